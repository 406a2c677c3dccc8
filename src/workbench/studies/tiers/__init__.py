"""Which service is each customer due, what does it cost, and is it given? And which accounts are key accounts?"""

from workbench.studies.tiers.accounts import GradeScheme, KeyAccounts, grade_accounts, grade_scheme
from workbench.studies.tiers.advice import decision
from workbench.studies.tiers.levels import EXCLUDED, LEFT, TierRules, Tiers, tier_rules, tiers
from workbench.studies.tiers.service import (
    CostToServe,
    PromisesKept,
    ServiceStandard,
    cost_to_serve,
    promises_kept,
    service_standard,
    unit_costs,
)

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
    "decision",
    "grade_accounts",
    "grade_scheme",
    "promises_kept",
    "service_standard",
    "tier_rules",
    "tiers",
    "unit_costs",
]
