"""What is each customer worth, what could they bring, and whom is it worth raising?"""

from workbench.studies.potential.ninecells import ValueGrid, value_grid
from workbench.studies.potential.potential import FEWEST_MONTHS, Potential, potential_value
from workbench.studies.potential.raising import WorthRaising, worth_raising

__all__ = ["FEWEST_MONTHS", "Potential", "ValueGrid", "WorthRaising", "potential_value", "value_grid", "worth_raising"]
