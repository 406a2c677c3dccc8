"""What do customers say beside the index, what do they ask for, and what do they do afterwards?

scores.py: net promoter score, top boxes and means with design-based errors. requests.py: improvements asked for.
behaviour.py: churn and revenue after the interview. nonresponse.py: who did not answer. advice.py: what to do.
"""

import workbench.renamed as _renamed
from workbench.studies.voice.advice import decision
from workbench.studies.voice.behaviour import respondent_scores, satisfaction_outcome
from workbench.studies.voice.nonresponse import nonresponse
from workbench.studies.voice.requests import improvement_requests
from workbench.studies.voice.scores import mean_answer, net_promoter, top_boxes, voice_scores

__all__ = [
    "decision",
    "improvement_requests",
    "mean_answer",
    "net_promoter",
    "nonresponse",
    "respondent_scores",
    "satisfaction_outcome",
    "top_boxes",
    "voice_scores",
]

__getattr__ = _renamed.in_service(__name__)
