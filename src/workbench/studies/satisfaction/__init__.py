"""How satisfied are customers, with whom, and what would raise it?

index.py: the index 0-100 of every construct in every operator and service, with its uncertainty. gaps.py:
differences between operators against noise. drivers.py: the paths that lead to satisfaction, how well they
are measured, and where a point is easiest to gain.
"""

from workbench.studies.plspm import Construct, PathModel, path_diagram
from workbench.studies.satisfaction.drivers import (
    ImportancePerformance,
    PathEffects,
    importance_performance,
    path_effects,
)
from workbench.studies.satisfaction.gaps import OperatorGaps, operator_gaps
from workbench.studies.satisfaction.index import SatisfactionIndex, satisfaction_index

__all__ = [
    "Construct",
    "ImportancePerformance",
    "OperatorGaps",
    "PathEffects",
    "PathModel",
    "SatisfactionIndex",
    "importance_performance",
    "operator_gaps",
    "path_diagram",
    "path_effects",
    "satisfaction_index",
]
