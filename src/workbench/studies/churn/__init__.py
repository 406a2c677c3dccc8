"""How likely is each customer to leave, does the formula still hold, and whom is it worth contacting?"""

from workbench.studies.churn.fitting import churn_formula
from workbench.studies.churn.formula import ChurnFormula

__all__ = ["ChurnFormula", "churn_formula"]
