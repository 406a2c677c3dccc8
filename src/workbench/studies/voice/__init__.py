"""What do customers say beside the index, what do they ask for, and what do they do afterwards?

scores.py: net promoter score, top boxes and means with design-based errors (design.py). requests.py: improvements asked
for. shortfalls.py: promised service not kept, and what those it happened to say. behaviour.py: churn and revenue after
the interview. nonresponse.py: who did not answer. advice.py: what to do.
"""

from workbench.studies.voice.advice import decision
from workbench.studies.voice.behaviour import SatisfactionOutcome, respondent_scores, satisfaction_outcome
from workbench.studies.voice.nonresponse import NonResponse, nonresponse
from workbench.studies.voice.requests import ImprovementRequests, improvement_requests
from workbench.studies.voice.scores import Measure, VoiceScores, mean_answer, net_promoter, top_boxes, voice_scores
from workbench.studies.voice.shortfalls import (
    ServiceShortfalls,
    ServiceStandard,
    service_shortfalls,
    service_standards,
)

__all__ = [
    "ImprovementRequests",
    "Measure",
    "NonResponse",
    "SatisfactionOutcome",
    "ServiceShortfalls",
    "ServiceStandard",
    "VoiceScores",
    "decision",
    "improvement_requests",
    "mean_answer",
    "net_promoter",
    "nonresponse",
    "respondent_scores",
    "satisfaction_outcome",
    "service_shortfalls",
    "service_standards",
    "top_boxes",
    "voice_scores",
]
