"""Who cheats, which rules find it, and which are worth the cases that they send?"""

from workbench.studies.fraud.anomalies import anomalies
from workbench.studies.fraud.candidates import rule_candidates
from workbench.studies.fraud.hits import rule_hits
from workbench.studies.fraud.rulebase import FraudRule, RuleBase, rule_base

__all__ = ["FraudRule", "RuleBase", "anomalies", "rule_base", "rule_candidates", "rule_hits"]
