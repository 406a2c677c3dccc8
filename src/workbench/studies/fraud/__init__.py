"""Who cheats, which rules find it, and which are worth the cases that they send?"""

from workbench.studies.fraud.anomalies import Anomalies, anomalies
from workbench.studies.fraud.candidates import Candidates, rule_candidates
from workbench.studies.fraud.hits import RuleHits, rule_hits
from workbench.studies.fraud.rulebase import FraudRule, RuleBase, rule_base

__all__ = [
    "Anomalies",
    "Candidates",
    "FraudRule",
    "RuleBase",
    "RuleHits",
    "anomalies",
    "rule_base",
    "rule_candidates",
    "rule_hits",
]
