"""How likely is each customer to leave, does the formula still hold, and whom is it worth contacting?"""

from workbench.studies.churn.fitting import churn_formula
from workbench.studies.churn.formula import ChurnFormula
from workbench.studies.churn.monitor import churn_monitor
from workbench.studies.churn.profit import churn_profit

__all__ = ["ChurnFormula", "churn_formula", "churn_monitor", "churn_profit"]
