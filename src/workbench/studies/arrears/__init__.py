"""Who does not pay, and what does collecting earn?"""

from workbench.studies.arrears.advice import basis, decision
from workbench.studies.arrears.bills import cure
from workbench.studies.arrears.credit import credit_card
from workbench.studies.arrears.loss import expected_loss
from workbench.studies.arrears.rolls import AGEING, VANISHED, roll_rates
from workbench.studies.arrears.stages import collection

__all__ = [
    "AGEING",
    "VANISHED",
    "basis",
    "collection",
    "credit_card",
    "cure",
    "decision",
    "expected_loss",
    "roll_rates",
]
