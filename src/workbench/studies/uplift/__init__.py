"""Campaign uplift: who buys *because* we contacted them, did it pay, and whom should we contact next time?

In the order of a study: `check_campaign` (were the arms alike before?), `average_effect` (what did the campaign
change?), `predict_uplift` (for whom?), `uplift_curve` and `effect_groups` (do the predictions rank and are they to
scale?), `targeting` (what is contacting the best share worth in money, and is it better than contacting everybody?) and
`describe_targets` (who are they, in words).
"""

from workbench.studies.uplift.arms import ArmEffects, arm_effects
from workbench.studies.uplift.assignment import Assignment, assign_arms
from workbench.studies.uplift.attrition import AttritionBounds, attrition_bounds
from workbench.studies.uplift.checks import CampaignChecks, check_campaign, sample_ratio
from workbench.studies.uplift.contamination import Contamination, contamination
from workbench.studies.uplift.curves import EffectGroups, UpliftCurve, effect_groups, uplift_curve
from workbench.studies.uplift.delivery import ComplierEffect, complier_effect
from workbench.studies.uplift.describe import TargetGroup, describe_targets
from workbench.studies.uplift.design import CampaignPlan, Spread, past_spread, plan_campaign, required_size
from workbench.studies.uplift.did import DidEffect, difference_in_differences
from workbench.studies.uplift.effect import AverageEffect, Interval, average_effect
from workbench.studies.uplift.lasting import Fatigue, Staying, contact_fatigue, staying
from workbench.studies.uplift.learners import Trees, predict_uplift
from workbench.studies.uplift.ledger import CampaignLedger, campaign_effects, campaign_ledger
from workbench.studies.uplift.monitor import Monitoring, monitor_campaign
from workbench.studies.uplift.observational import TreatedEffect, effect_on_treated
from workbench.studies.uplift.sensitivity import Sensitivity
from workbench.studies.uplift.targeting import Targeting, targeting
from workbench.studies.uplift.windows import EffectWindows, Guard, effect_windows

__all__ = [
    "ArmEffects",
    "Assignment",
    "AttritionBounds",
    "AverageEffect",
    "CampaignChecks",
    "CampaignLedger",
    "CampaignPlan",
    "ComplierEffect",
    "Contamination",
    "DidEffect",
    "EffectGroups",
    "EffectWindows",
    "Fatigue",
    "Guard",
    "Interval",
    "Monitoring",
    "Sensitivity",
    "Spread",
    "Staying",
    "TargetGroup",
    "Targeting",
    "TreatedEffect",
    "Trees",
    "UpliftCurve",
    "arm_effects",
    "assign_arms",
    "attrition_bounds",
    "average_effect",
    "campaign_effects",
    "campaign_ledger",
    "check_campaign",
    "complier_effect",
    "contact_fatigue",
    "contamination",
    "describe_targets",
    "difference_in_differences",
    "effect_groups",
    "effect_on_treated",
    "effect_windows",
    "monitor_campaign",
    "past_spread",
    "plan_campaign",
    "predict_uplift",
    "required_size",
    "sample_ratio",
    "staying",
    "targeting",
    "uplift_curve",
]
