"""Path models by partial least squares: specify, fit, resample, assess. Knows nothing of telecoms."""

from workbench.studies.plspm.assess import (
    cross_loadings,
    formative_table,
    fornell_larcker,
    htmt_table,
    reliability_table,
    srmr,
    structural_table,
)
from workbench.studies.plspm.bootstrap import PlsBootstrap, bootstrap_pls
from workbench.studies.plspm.consistent import ConsistentPls, consistent_pls
from workbench.studies.plspm.diagram import path_diagram
from workbench.studies.plspm.effects import Mediation, mediation
from workbench.studies.plspm.fit import PlsFit, fit_pls
from workbench.studies.plspm.groups import (
    GroupDifferences,
    MeasurementInvariance,
    compare_groups,
    measurement_invariance,
)
from workbench.studies.plspm.model import Construct, HigherOrder, PathModel
from workbench.studies.plspm.moderation import Moderation, moderation
from workbench.studies.plspm.predict import PlsPrediction, predict_pls

__all__ = [
    "ConsistentPls",
    "Construct",
    "GroupDifferences",
    "HigherOrder",
    "MeasurementInvariance",
    "Mediation",
    "Moderation",
    "PathModel",
    "PlsBootstrap",
    "PlsFit",
    "PlsPrediction",
    "bootstrap_pls",
    "compare_groups",
    "consistent_pls",
    "cross_loadings",
    "fit_pls",
    "formative_table",
    "fornell_larcker",
    "htmt_table",
    "measurement_invariance",
    "mediation",
    "moderation",
    "path_diagram",
    "predict_pls",
    "reliability_table",
    "srmr",
    "structural_table",
]
