"""What did contact change for whom? The ground that every study of campaigns stands on.

members.py: what a table of members must be. checks.py: were the arms alike before? means.py and effect.py: what the
campaign changed on average. learners.py: for whom, by models that did not see the member. words.py: numbers in words.
"""

from workbench.methods.experiment.checks import check_campaign, sample_ratio
from workbench.methods.experiment.effect import average_effect
from workbench.methods.experiment.learners import Trees, predict_uplift

__all__ = ["Trees", "average_effect", "check_campaign", "predict_uplift", "sample_ratio"]
