"""Path models by partial least squares: specify, fit, resample, assess. Knows nothing of telecoms."""

from workbench.methods.plspm.advice import decision
from workbench.methods.plspm.assess import (
    cross_loadings,
    formative_table,
    fornell_larcker,
    htmt_table,
    model_quality,
    reliability_table,
    srmr,
    structural_table,
)
from workbench.methods.plspm.bootstrap import PlsBootstrap, bootstrap_pls
from workbench.methods.plspm.consistent import consistent_pls
from workbench.methods.plspm.effects import mediation
from workbench.methods.plspm.fit import fit_pls
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.groups import compare_groups, measurement_invariance
from workbench.methods.plspm.model import Construct, HigherOrder, PathModel
from workbench.methods.plspm.moderation import moderation
from workbench.methods.plspm.predict import PlsPrediction, predict_pls

__all__ = [
    "Construct",
    "HigherOrder",
    "PathModel",
    "PlsBootstrap",
    "PlsFit",
    "PlsPrediction",
    "bootstrap_pls",
    "compare_groups",
    "consistent_pls",
    "cross_loadings",
    "decision",
    "fit_pls",
    "formative_table",
    "fornell_larcker",
    "htmt_table",
    "measurement_invariance",
    "mediation",
    "model_quality",
    "moderation",
    "predict_pls",
    "reliability_table",
    "srmr",
    "structural_table",
]
