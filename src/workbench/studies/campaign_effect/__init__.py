"""Which offer worked, did it reach people, and did it last?

arms.py: several arms against control and each other. delivery.py: the effect on those who were reached. attrition.py:
what missing outcomes leave open. contamination.py: other campaigns at the same time. windows.py: the effect over time,
and what the campaign broke. lasting.py: who stays a customer, and whether contacts wear off.
"""

from workbench.studies.campaign_effect.arms import arm_effects
from workbench.studies.campaign_effect.attrition import attrition_bounds
from workbench.studies.campaign_effect.contamination import contamination
from workbench.studies.campaign_effect.delivery import complier_effect
from workbench.studies.campaign_effect.lasting import contact_fatigue, staying
from workbench.studies.campaign_effect.windows import Guard, effect_windows

__all__ = [
    "Guard",
    "arm_effects",
    "attrition_bounds",
    "complier_effect",
    "contact_fatigue",
    "contamination",
    "effect_windows",
    "staying",
]
