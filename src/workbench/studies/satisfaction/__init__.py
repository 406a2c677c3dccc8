"""How satisfied are customers, with whom, and what would raise it?

index.py: the index 0-100 of every construct in every operator and service, with its uncertainty. precision.py: whether
a cell's interval is narrow enough, and what thin cells borrow. weighting.py: raking to known margins. gaps.py:
differences between operators, and which are significant. ranks.py: the ranks that remain possible, and whether
operators' own weights would change them. own.py: where one operator stands beside the others, and what it should do.
items.py: which items a gap comes from. change.py: why the index moved between waves. drivers.py: the paths that lead
to satisfaction, and where a point is easiest to gain. competitors.py: the same beside the competitors. priorities.py:
which item to improve, and what would follow. draws.py: what these need of a resample.
"""

from workbench.methods.plspm import Construct, PathModel
from workbench.studies.satisfaction.change import wave_change
from workbench.studies.satisfaction.competitors import competitor_map
from workbench.studies.satisfaction.drivers import importance_performance, path_effects
from workbench.studies.satisfaction.gaps import operator_gaps
from workbench.studies.satisfaction.index import satisfaction_index
from workbench.studies.satisfaction.items import gap_to_items
from workbench.studies.satisfaction.own import decision, own_standing
from workbench.studies.satisfaction.precision import index_precision, shrunken_index
from workbench.studies.satisfaction.priorities import improve_first, item_priorities, simulate_improvement
from workbench.studies.satisfaction.ranks import operator_ranks, own_weights
from workbench.studies.satisfaction.weighting import rake

__all__ = [
    "Construct",
    "PathModel",
    "competitor_map",
    "decision",
    "gap_to_items",
    "importance_performance",
    "improve_first",
    "index_precision",
    "item_priorities",
    "operator_gaps",
    "operator_ranks",
    "own_standing",
    "own_weights",
    "path_effects",
    "rake",
    "satisfaction_index",
    "shrunken_index",
    "simulate_improvement",
    "wave_change",
]
