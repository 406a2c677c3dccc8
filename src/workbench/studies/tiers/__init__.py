"""Which tier of service is each customer due, and which accounts are key accounts?"""

from workbench.renamed import elsewhere
from workbench.studies.tiers.accounts import GradeScheme, KeyAccounts, grade_accounts, grade_scheme
from workbench.studies.tiers.advice import decision
from workbench.studies.tiers.levels import EXCLUDED, LEFT, TierRules, Tiers, tier_rules, tiers

__all__ = [
    "EXCLUDED",
    "LEFT",
    "GradeScheme",
    "KeyAccounts",
    "TierRules",
    "Tiers",
    "decision",
    "grade_accounts",
    "grade_scheme",
    "tier_rules",
    "tiers",
]

__getattr__ = elsewhere(
    __name__, "workbench.studies.service", "CostToServe PromisesKept cost_to_serve promises_kept unit_costs"
)
