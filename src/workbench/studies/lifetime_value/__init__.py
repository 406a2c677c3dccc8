"""What is a customer worth from here on?

Without a contract a customer leaves in silence: `fit_btyd` tells who is still there and how often they will buy,
`fit_gamma_gamma` for how much. Under a contract the leaving is recorded: `lifetime_value` takes it from there, and
`fit_sbg` carries retention beyond what was observed.
"""

from workbench.methods.btyd.holdout import Holdout
from workbench.methods.btyd.models import Btyd, fit_btyd
from workbench.methods.btyd.retention import Sbg, fit_sbg
from workbench.methods.btyd.spend import GammaGamma, fit_gamma_gamma
from workbench.studies.lifetime_value.contract import LifetimeValue, lifetime_value

__all__ = [
    "Btyd",
    "GammaGamma",
    "Holdout",
    "LifetimeValue",
    "Sbg",
    "fit_btyd",
    "fit_gamma_gamma",
    "fit_sbg",
    "lifetime_value",
]
