"""What service do we promise, what does it cost, and is it given?

costs.py: what each tier of customers brings and costs. promises.py: what each tier is promised and gets.
shortfalls.py: standards for everybody, and what those say who met one that was missed. advice.py: what to mend.
"""

from workbench.studies.service.advice import decision, standard_to_mend
from workbench.studies.service.costs import cost_to_serve, unit_costs
from workbench.studies.service.promises import TierPromises, promises_kept, tier_promises
from workbench.studies.service.shortfalls import ServiceStandard, service_shortfalls, service_standards

__all__ = [
    "ServiceStandard",
    "TierPromises",
    "cost_to_serve",
    "decision",
    "promises_kept",
    "service_shortfalls",
    "service_standards",
    "standard_to_mend",
    "tier_promises",
    "unit_costs",
]
