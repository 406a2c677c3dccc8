"""A campaign is read only when its outcome window has closed."""

import pytest

from workbench.errors import CannotAnswer
from workbench.warehouse import campaign_arms, open_warehouse


def test_the_last_day_of_the_window_must_be_known(operator):
    """The window ends on 2026-06-30: as of that day it is open, as of the next it is not."""
    warehouse = open_warehouse("sample", root=operator)
    with pytest.raises(CannotAnswer, match="runs until 2026-06-30"):
        campaign_arms(warehouse, "data_upgrade", arm="treatment", as_of="2026-06-30")
    arms = campaign_arms(warehouse, "data_upgrade", arm="treatment", as_of="2026-07-01")
    assert set(arms.members["treatment"]) == {0, 1} and arms.members["customer_id"].is_unique
