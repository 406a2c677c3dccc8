"""The views: described in full, one row a key, and the same as what pandas takes from the canonical tables."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import open_warehouse, sqlfiles, views
from workbench.warehouse.views import view

ROOT = Path(__file__).resolve().parents[2]
ASKED = {
    "account_month": {"as_of": "2026-07-01", "day": 15},
    "bill_history": {"as_of": "2026-07-01"},
    "business_account": {"as_of": "2026-07-01", "margin": 0.45},
    "campaign_contact": {"campaign": "bundle_offers"},
    "campaign_exposure": {"campaign": "bundle_offers", "days": 90},
    "campaign_member_life": {"campaign": "bundle_offers", "as_of": "2026-07-01"},
    "campaign_member_window": {"campaign": "bundle_offers", "days": 90},
    "campaign_value": {"campaign": "bundle_offers"},
    "closed_campaign_member": {"outcome": "revenue", "covariate": "arpu_before", "as_of": "2026-07-01"},
    "complaint_outcome": {"as_of": "2026-07-01"},
    "customer_base": {"from_on": "2026-04-01", "as_of": "2026-07-01"},
    "collection_stage": {"as_of": "2026-07-01"},
    "credit_history": {"day": "2026-04-01", "as_of": "2026-07-01"},
    "customer_contradiction": {"as_of": "2026-07-01"},
    "customer_event": {"customer": "1000017136", "as_of": "2026-07-01"},
    "customer_leaving": {"as_of": "2026-07-01"},
    "customer_exit": {"as_of": "2026-07-01", "silent_days": 90},
    "customer_month_margin": {"day": "2026-07-01", "months": 12, "share": 0.45},
    "customer_month_value": {"as_of": "2026-07-01"},
    "customer_peer": {"as_of": "2026-07-01", "province": "广东"},
    "customer_promise": {"as_of": "2026-07-01", "days": 365, "event": "complaint", "seconds": 86_400},
    "customer_service": {"as_of": "2026-07-01", "days": 365},
    "customer_view": {"as_of": "2026-07-01"},
    "line_fraud": {"as_of": "2026-07-01", "days": 30, "windows": 6, "premium": 3.0},
    "line_margin": {"as_of": "2026-07-01", "margin": 0.45, "months": 3, "province": ""},
    "province_month": {"campaign": "home_pilot", "kind": "person", "as_of": "2026-07-01"},
    "recent_usage": {"as_of": "2026-07-01"},
    "service_held": {"day": "2026-01-01", "as_of": "2026-07-01"},
    "service_kept": {"as_of": "2026-07-01"},
    "service_offer": {"as_of": "2026-07-01", "share": 0.45},
    "service_use": {"as_of": "2026-07-01", "days": 90, "province": "西藏"},
    "survey_outcome": {"wave": "2025", "days": 120, "as_of": "2026-07-01"},
    "table_month": {"as_of": "2026-07-01"},
}
EMPTY = ["customer_contradiction"]  # the sample contradicts itself nowhere: tests/warehouse/test_quality.py
GIVEN = ["week_profile"]  # reads a table that who asks gives: tests/warehouse/test_usage.py


@pytest.fixture(scope="module")
def warehouse(operator):
    return open_warehouse("sample", root=operator)


@pytest.mark.parametrize("name", sorted({*sqlfiles.names("views"), *sqlfiles.names(sqlfiles.LONG)} - {*GIVEN}))
def test_every_view_has_the_columns_and_the_key_that_it_says(warehouse, name):
    """On the sample operator: the described columns in order, rows, each key once, in the order of the key."""
    found = view(warehouse, name, **ASKED.get(name, {}))
    key = sqlfiles.order(name)
    assert list(found) == [column for column, _, _ in sqlfiles.described(name)] and (len(found) or name in EMPTY)
    assert not found.duplicated(key).any() or any("Order: " in line for line in sqlfiles.notes(name))
    keys = found[key].reset_index(drop=True)
    pd.testing.assert_frame_equal(keys, keys.sort_values(key, ignore_index=True))
    numbers = [column for column, unit, _ in sqlfiles.described(name) if unit]
    assert not found[numbers].select_dtypes(exclude="number").columns.any()


def test_page_is_current():
    """docs/views.md is what the files say; `python -m workbench.warehouse.views > docs/views.md` writes it."""
    assert (ROOT / "docs/views.md").read_text(encoding="utf-8") == views.dictionary_markdown()


def test_a_parameter_left_out_is_refused(warehouse):
    """A view takes all parameters that it names, and no other."""
    with pytest.raises(WorkbenchError, match="province"):
        view(warehouse, "customer_peer", as_of="2026-07-01")


def test_long_twins_hold_what_the_maps_hold(warehouse):
    """Each entry of a map is a row of the twin, and no other; a covariate is a number where its text is one."""
    maps = warehouse.query(
        "SELECT customer_id, outcomes, covariates FROM campaign_member WHERE campaign_id = 'small_01'"
    )
    long = view(warehouse, "campaign_member_value").query("campaign_id == 'small_01'")
    for kind, value in (("outcomes", "value"), ("covariates", "text")):
        held = {
            (who, name): x
            for who, pairs in zip(maps["customer_id"], maps[kind], strict=True)
            for name, x in pairs.items()
        }
        rows = long[long["kind"] == kind]
        assert dict(zip(zip(rows["customer_id"], rows["name"], strict=True), rows[value], strict=True)) == held
    known = long.query("name == 'arpu_before'")
    assert (known["value"] == known["text"].astype(float)).all()
    items = warehouse.query("SELECT response_id, items FROM survey_response WHERE wave = '2025'")
    answers = view(warehouse, "survey_response_value").groupby("response_id")["value"].sum()
    wanted = items["items"].map(lambda pairs: sum(pairs.values()))
    assert np.allclose(answers[items["response_id"]], wanted)


def test_wide_and_long_agree(warehouse):
    """What closed_campaign_member gives of a campaign is what `Warehouse.campaign` has in columns."""
    table = view(warehouse, "closed_campaign_member", **ASKED["closed_campaign_member"])
    ours = table[table["campaign_id"] == "bundle_offers"].set_index("customer_id")
    wide = warehouse.campaign("bundle_offers").set_index("customer_id")
    with pytest.raises(CannotAnswer, match="campaign 'home_pilot' has no members in the warehouse of 'sample'"):
        warehouse.campaign("home_pilot")  # declared, and not unknown
    assert ours["outcome"].equals(wide["revenue"].rename("outcome"))
    assert ours["known"].equals(wide["arpu_before"].rename("known"))
    assert ours["arm"].equals(wide["arm"])


def test_margin_of_a_month_by_pandas(warehouse):
    """June 2026 is the twelfth month: bills less the fees of added products at the share, and the products' margins."""
    found = view(warehouse, "customer_month_margin", **ASKED["customer_month_margin"]).query("nth == 12")
    found = found.set_index("customer_id")
    billed = warehouse.table("bill").query("issued_on < '2026-07-01'")
    last = billed["month"].max()
    paid = billed[billed["month"] == last].groupby("customer_id")["amount"].sum()
    end = last + pd.DateOffset(months=1)
    held = warehouse.table("holding").merge(warehouse.table("product"), on="product_id")
    held = held[(held["from_on"] < end) & (held["to_on"].isna() | (held["to_on"] >= last))]
    fee = held.groupby("customer_id")["monthly_fee"].sum().reindex(paid.index).fillna(0)
    gain = (held["monthly_fee"] * held["margin"]).groupby(held["customer_id"]).sum().reindex(paid.index).fillna(0)
    both = paid.index.intersection(found.index)
    assert len(both) > 10_000
    assert np.allclose(found.loc[both, "bill"], (paid - fee)[both])
    assert np.allclose(found.loc[both, "margin"], (0.45 * (paid - fee) + gain)[both], atol=1e-3)
    assert not found.loc[found.index.difference(paid.index), "margin"].any()


def test_a_product_of_unknown_margin_stays_in_the_bill():
    """Billed 100 at 50%: a product of 20 brings its own 80%, one of 10 of unknown margin the share of the bill."""
    with duckdb.connect() as con:
        con.execute("CREATE TABLE customer AS SELECT 'a' AS customer_id, DATE '2026-01-01' AS joined_on")
        con.execute(
            "CREATE TABLE bill AS SELECT 'a' AS customer_id, DATE '2026-06-01' AS month, "
            "DATE '2026-06-30' AS issued_on, 100.0 AS amount"
        )
        con.execute(
            "CREATE TABLE product AS FROM (VALUES ('p', 20.0, 0.8), ('q', 10.0, NULL)) "
            "AS t (product_id, monthly_fee, margin)"
        )
        con.execute(
            "CREATE TABLE holding AS SELECT 'a' AS customer_id, product_id, DATE '2026-02-01' AS from_on, "
            "NULL::DATE AS to_on FROM product"
        )
        asked = {"day": "2026-07-01", "months": 1, "share": 0.5}
        (row,) = con.execute(views.view_sql("customer_month_margin"), asked).df().to_dict("records")
    assert (row["bill"], row["addon"], row["margin"]) == (80, 16, 56)


def test_who_comes_back_after_as_of_had_left():
    """Left on 10 March and back on 5 May: in April they had left, in June not. April knows no line of May."""
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE subscription AS FROM (VALUES ('a', DATE '2025-01-01', DATE '2026-03-10'), "
            "('a', DATE '2026-05-05', NULL), ('b', DATE '2026-05-05', NULL)) AS t (customer_id, activated_on, ended_on)"
        )
        found = {
            day: con.execute(views.view_sql("line_life"), {"as_of": day}).fetchall()
            for day in ("2026-04-01", "2026-06-01")
        }
    assert [(who, str(left)) for who, _, left in found["2026-04-01"]] == [("a", "2026-03-10")]
    assert [(who, left) for who, _, left in found["2026-06-01"]] == [("a", None), ("b", None)]


def test_recent_usage_by_pandas(warehouse):
    """The mean month of April to June."""
    found = view(warehouse, "recent_usage", as_of="2026-07-01").set_index("customer_id")
    used = warehouse.table("usage_month").query("'2026-04-01' <= month < '2026-07-01'")
    wanted = used.groupby("customer_id")[["call_min", "data_mb"]].sum() / 3
    assert np.allclose(found, wanted.loc[found.index]) and len(found) == len(wanted)


def test_peers_by_pandas(warehouse):
    """Lines that run by name, and thirds of those who call at all: equal minutes in the same third."""
    found = view(warehouse, "customer_peer", as_of="2026-07-01", province="").set_index("customer_id")
    lines = warehouse.table("subscription").query("activated_on < '2026-07-01' and not ended_on < '2026-07-01'")
    named = lines.groupby("customer_id")["service"].agg(lambda kinds: "+".join(sorted(set(kinds))))
    assert found["line_services"].equals(named.reindex(found.index).fillna("none").rename("line_services"))
    place = found.loc[found["call_min"] > 0, "call_min"].rank(method="max", pct=True)
    wanted = pd.cut(place, [0, 1 / 3, 2 / 3 - 1e-9, 1], labels=["little call", "some call", "much call"])
    assert found["call_band"].equals(wanted.astype("str").reindex(found.index).fillna("no call").rename("call_band"))


def test_order_of_rows_does_not_matter(warehouse):
    """Views that add amounts as exact decimals are the same to the last bit, whichever order the rows are in."""
    with warehouse.connect() as con:
        for name in ("bill", "subscription", "customer", "holding", "product", "campaign_member", "campaign", "ticket"):
            con.execute(f"CREATE TEMP TABLE {name} AS SELECT * FROM {name} ORDER BY hash({name})")
        for name in (
            "customer_month_margin",
            "line_margin",
            "province_month",
            "campaign_member_window",
            "survey_outcome",
        ):
            shuffled = con.execute(views.view_sql(name), ASKED[name]).df()
            pd.testing.assert_frame_equal(shuffled, view(warehouse, name, **ASKED[name]), check_exact=True)
