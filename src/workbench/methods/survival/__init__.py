"""How long does it last, and how does it end? Counts by step with late entry, states, and hazard ratios."""

from workbench.methods.survival.cox import Cox, cox, indicators
from workbench.methods.survival.observed import FEWEST_DEPARTURES, Observed, Step, observe, require_records, unlikely
from workbench.methods.survival.states import StateTable, state_table
from workbench.methods.survival.table import FEWEST, LifeTable, customer_draws, life_table, surviving

__all__ = [
    "FEWEST",
    "FEWEST_DEPARTURES",
    "Cox",
    "LifeTable",
    "Observed",
    "StateTable",
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
