"""Campaign uplift: who buys *because* we contacted them, did it pay, and whom should we contact next time?

In the order of a study: `check_campaign` (were the arms alike before?), `average_effect` (what did the campaign
change?), `predict_uplift` (for whom?), `uplift_curve` and `effect_groups` (do the predictions rank and are they to
scale?), `targeting` (what is contacting the best share worth in money, and is it better than contacting everybody?) and
`describe_targets` (who are they, in words). Several offers under a budget: `predict_offers`, `allocate_offers`,
`value_offers`. A list that comes later: `fit_uplift`, `score_list`.
"""

from workbench.methods.experiment.checks import check_campaign, sample_ratio
from workbench.methods.experiment.describe import describe_targets
from workbench.methods.experiment.effect import average_effect
from workbench.methods.experiment.learners import Trees, predict_uplift
from workbench.studies.uplift.allocation import allocate_offers
from workbench.studies.uplift.curves import uplift_curve
from workbench.studies.uplift.groups import effect_groups
from workbench.studies.uplift.offers import predict_offers, value_offers
from workbench.studies.uplift.saved import ListCounter, ScoredList, UpliftModel, fit_uplift, score_list
from workbench.studies.uplift.targeting import targeting

__all__ = [
    "ListCounter",
    "ScoredList",
    "Trees",
    "UpliftModel",
    "allocate_offers",
    "average_effect",
    "check_campaign",
    "describe_targets",
    "effect_groups",
    "fit_uplift",
    "predict_offers",
    "predict_uplift",
    "sample_ratio",
    "score_list",
    "targeting",
    "uplift_curve",
    "value_offers",
]
