"""Who holds and takes up what: nothing of the window is known before it, and what is foreseen comes about."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.potential import potential_value, value_grid, worth_raising
from workbench.warehouse import open_warehouse
from workbench.warehouse.holdings import service_holdings


@pytest.fixture(scope="module")
def held(operator):
    """The sample operator's holdings on two days, half a year apart."""
    warehouse = open_warehouse("sample", root=operator)
    return {day: service_holdings(warehouse, day, margin=0.45) for day in ("2026-01-01", "2026-07-01")}


def test_nothing_of_the_window_is_known_before_it(held):
    """The past of July is what January had as its present: features, amounts and services held."""
    now, past = held["2026-01-01"].customers, held["2026-07-01"].past
    pd.testing.assert_frame_equal(past[now.columns], now)
    took = past.filter(like="took_").to_numpy()
    assert not (took & past.filter(like="held_").to_numpy()).any() and took.any(axis=0).sum() >= 10


def test_take_up_is_counted_by_hand(held, operator):
    """Who took up cloud storage in the window, by a query of its own."""
    found = open_warehouse("sample", root=operator).query(
        "SELECT DISTINCT customer_id FROM holding WHERE product_id = 'CLOUD' AND from_on >= DATE '2026-01-01' AND "
        "customer_id NOT IN (SELECT customer_id FROM holding WHERE product_id = 'CLOUD' "
        "AND from_on < DATE '2026-01-01' AND (to_on IS NULL OR to_on >= DATE '2026-01-01'))"
    )["customer_id"]
    past = held["2026-07-01"].past
    assert set(past.loc[past["took_CLOUD"], "customer_id"]) == set(found) & set(past["customer_id"])


def test_what_is_foreseen_comes_about(held):
    """Take-up foreseen in January is within a quarter of what came by July (it rose), and tells who brought more."""
    then, later = held["2026-01-01"], held["2026-07-01"].past
    asked = {
        "customer": "customer_id",
        "months": then.months,
        "features": then.features,
        "peers": then.peers,
        "addons": then.addons,
        "pays": "bill_month",
    }
    found = potential_value(then.customers, then.past, then.services, resamples=50, **asked)
    took = later.set_index("customer_id").loc[found.customers["customer_id"]]
    came = np.column_stack([took[f"took_{name}"] for name in found.services["service"]])
    assert abs(found.chance.sum() / came.sum() - 1) < 0.25
    cross, margin = found.customers["cross_sell"], (came * found.gain).sum(axis=1)
    third = pd.qcut(cross, 3, labels=False)
    means = pd.Series(margin).groupby(third).mean()
    assert means.is_monotonic_increasing and means[2] > 2 * means[0]
    assert 0 < (value_grid(found).customers["certainty"] > 0.8).mean() < 1
    assert worth_raising(found, contact_cost=1.0, lift=0.2).contacts["contacts"].iloc[0] > 0


def test_refusals(operator):
    """A margin that is no share, and a day before the data, are refused."""
    warehouse = open_warehouse("sample", root=operator)
    with pytest.raises(WorkbenchError, match="margin is a share"):
        service_holdings(warehouse, "2026-07-01", margin=45)
    with pytest.raises(CannotAnswer):
        service_holdings(warehouse, "2024-08-01", margin=0.45)
