"""Which tier of service is each customer due, and which accounts are key accounts?"""

import workbench.renamed as _renamed
from workbench.studies.tiers.accounts import GradeScheme, grade_accounts, grade_scheme
from workbench.studies.tiers.advice import decision
from workbench.studies.tiers.levels import EXCLUDED, LEFT, TierRules, tier_rules, tiers

__all__ = [
    "EXCLUDED",
    "LEFT",
    "GradeScheme",
    "TierRules",
    "decision",
    "grade_accounts",
    "grade_scheme",
    "tier_rules",
    "tiers",
]

__getattr__ = _renamed.in_service(__name__)
