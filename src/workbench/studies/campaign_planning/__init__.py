"""Which campaigns paid, is the running one working, and how large must the next one be?

ledger.py: all campaigns side by side, corrected for lucky winners. monitor.py: intervals that hold at every look.
design.py: holdout, smallest effect that is seen, and cost. assignment.py: the draw of the arms.
"""

from workbench.methods.experiment.assignment import assign_arms, hold_out
from workbench.methods.experiment.design import plan_campaign, required_size
from workbench.methods.experiment.spread import Spread, past_spread
from workbench.studies.campaign_planning.ledger import campaign_effects, campaign_ledger
from workbench.studies.campaign_planning.monitor import monitor_campaign

__all__ = [
    "Spread",
    "assign_arms",
    "campaign_effects",
    "campaign_ledger",
    "hold_out",
    "monitor_campaign",
    "past_spread",
    "plan_campaign",
    "required_size",
]
