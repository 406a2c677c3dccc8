"""Who does not pay, and what does collecting earn?"""

from workbench.studies.arrears.advice import basis, decision
from workbench.studies.arrears.bills import Cures, cure
from workbench.studies.arrears.credit import CreditCard, credit_card
from workbench.studies.arrears.loss import ExpectedLoss, expected_loss
from workbench.studies.arrears.rolls import AGEING, OUT, VANISHED, RollRates, roll_rates
from workbench.studies.arrears.stages import Collection, collection

__all__ = [
    "AGEING",
    "OUT",
    "VANISHED",
    "Collection",
    "CreditCard",
    "Cures",
    "ExpectedLoss",
    "RollRates",
    "basis",
    "collection",
    "credit_card",
    "cure",
    "decision",
    "expected_loss",
    "roll_rates",
]
