"""What did something change that was not randomised?

`effect_on_treated`: contacted customers against others weighted to be like them (adjustment.py), what forbids to call
the difference an effect (doubts.py), and how strong a hidden cause would have to be (sensitivity.py).
`difference_in_differences`: an offer to whole provinces (panel.py), against those that had not got it (yet), with few
clusters (fewclusters.py).
"""

from workbench.studies.observational.did import difference_in_differences
from workbench.studies.observational.treated import effect_on_treated

__all__ = ["difference_in_differences", "effect_on_treated"]
