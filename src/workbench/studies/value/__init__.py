"""What is each customer worth, what could he bring, and whom is it worth raising?"""

from workbench.studies.value.ninecells import ValueGrid, value_grid
from workbench.studies.value.potential import Potential, potential_value
from workbench.studies.value.raising import WorthRaising, worth_raising

__all__ = ["Potential", "ValueGrid", "WorthRaising", "potential_value", "value_grid", "worth_raising"]
