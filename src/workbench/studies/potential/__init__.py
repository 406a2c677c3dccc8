"""What is each customer worth, what could they bring, and whom is it worth raising?"""

from workbench.studies.potential.ninecells import value_grid
from workbench.studies.potential.potential import FEWEST_MONTHS, potential_value
from workbench.studies.potential.raising import worth_raising

__all__ = ["FEWEST_MONTHS", "potential_value", "value_grid", "worth_raising"]
