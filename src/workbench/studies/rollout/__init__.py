"""What did a roll-out to whole provinces change? Difference in differences, with few clusters (fewclusters.py)."""

from workbench.studies.rollout.did import DidEffect, difference_in_differences

__all__ = [
    "DidEffect",
    "difference_in_differences",
]
