"""Who does not pay, and what does collecting earn?"""

from workbench.studies.arrears.rolls import AGEING, OUT, VANISHED, RollRates, roll_rates

__all__ = ["AGEING", "OUT", "VANISHED", "RollRates", "roll_rates"]
