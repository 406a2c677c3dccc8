"""Path models by partial least squares: specify, fit, resample, assess. Knows nothing of telecoms."""

from workbench.studies.plspm.bootstrap import PlsBootstrap, bootstrap_pls
from workbench.studies.plspm.diagram import path_diagram
from workbench.studies.plspm.fit import PlsFit, fit_pls
from workbench.studies.plspm.model import Construct, PathModel
from workbench.studies.plspm.verdicts import reliability_table

__all__ = [
    "Construct",
    "PathModel",
    "PlsBootstrap",
    "PlsFit",
    "bootstrap_pls",
    "fit_pls",
    "path_diagram",
    "reliability_table",
]
