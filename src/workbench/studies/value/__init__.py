"""What is each customer worth to us, and what do we do for it?"""

from workbench.studies.value.accounts import GradeScheme, KeyAccounts, grade_accounts, grade_scheme
from workbench.studies.value.service import (
    CostToServe,
    PromisesKept,
    ServiceStandard,
    cost_to_serve,
    promises_kept,
    service_standard,
    unit_costs,
)
from workbench.studies.value.tiers import EXCLUDED, LEFT, TierRules, Tiers, tier_rules, tiers

__all__ = [
    "EXCLUDED",
    "LEFT",
    "CostToServe",
    "GradeScheme",
    "KeyAccounts",
    "PromisesKept",
    "ServiceStandard",
    "TierRules",
    "Tiers",
    "cost_to_serve",
    "grade_accounts",
    "grade_scheme",
    "promises_kept",
    "service_standard",
    "tier_rules",
    "tiers",
    "unit_costs",
]
