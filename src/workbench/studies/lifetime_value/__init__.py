"""What is a customer worth from here on?

Without a contract a customer leaves in silence: `fit_btyd` tells who is still there and how often they will buy,
`fit_gamma_gamma` for how much. Under a contract the leaving is recorded: `lifetime_value` takes it from there, and
`fit_sbg` carries retention beyond what was observed.
"""

from workbench.methods.btyd.models import Btyd, fit_btyd
from workbench.methods.btyd.retention import fit_sbg
from workbench.methods.btyd.spend import fit_gamma_gamma
from workbench.studies.lifetime_value.contract import lifetime_value

__all__ = ["Btyd", "fit_btyd", "fit_gamma_gamma", "fit_sbg", "lifetime_value"]
