"""How long does it last, and how does it end? Counts by step with late entry, states, and hazard ratios."""

from workbench.methods.survival.cox import cox, indicators
from workbench.methods.survival.observed import FEWEST_DEPARTURES, Step, observe, require_records, unlikely
from workbench.methods.survival.states import state_table
from workbench.methods.survival.table import FEWEST, LifeTable, customer_draws, life_table, surviving

__all__ = [
    "FEWEST",
    "FEWEST_DEPARTURES",
    "LifeTable",
    "Step",
    "cox",
    "customer_draws",
    "indicators",
    "life_table",
    "observe",
    "require_records",
    "state_table",
    "surviving",
    "unlikely",
]
