"""RFM: by hand, by property, on CDNOW, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.segmentation import NEVER_ACTIVE, SegmentGrid, default_grid, rfm, score_rfm
from workbench.studies.segmentation.binning import scores

ONE = {"name": "all", "name_zh": "全部", "meaning": "everyone", "action": "nothing", "boxes": [{}]}


@pytest.fixture(scope="module")
def cdnow(shared_data):
    """Purchases of the CDNOW sample."""
    table = pd.read_csv(shared_data / "cdnow_sample.csv.gz")
    return table.assign(on=pd.to_datetime(table["date"].astype(str)))


def score_cdnow(events, **choices):
    """Score CDNOW at the snapshot of the published counts."""
    return rfm(events, customer="sample_id", when="on", amount="amount", as_of="1998-07-01", **choices)


def counts(scored, column):
    """Customers at each score that occurs."""
    return scored.customers[column].value_counts().sort_index().to_dict()


def base(recency, frequency, monetary, ids=None):
    """Customers with known features."""
    ids = range(len(recency)) if ids is None else ids
    return pd.DataFrame({"id": ids, "r_days": recency, "f": frequency, "m": monetary})


def score_base(table, **choices):
    """Score them."""
    return score_rfm(table, customer="id", recency="r_days", frequency="f", monetary="m", **choices)


def small_events():
    """Six customers, one with a refund, one with a refund only, one after the snapshot."""
    rows = [
        ("a", "2026-06-30 23:59", 10.0),
        ("a", "2026-06-30 08:00", 5.0),
        ("a", "2026-05-01", 1.0),
        ("b", "2026-06-01", 7.0),
        ("b", "2026-06-20", -2.0),
        ("c", "2026-01-01", 3.0),
        ("d", "2026-02-01", 3.0),
        ("e", "2026-03-01", 0.0),
        ("f", "2026-06-10", -4.0),
        ("g", "2026-07-01 00:00", 9.0),
    ]
    return pd.DataFrame(rows, columns=["who", "on", "yuan"]).assign(
        on=lambda t: pd.to_datetime(t["on"], format="mixed")
    )


def score_small(events, **choices):
    """Score the small events at 2026-07-01."""
    return rfm(events, **{"customer": "who", "when": "on", "amount": "yuan", "as_of": "2026-07-01"} | choices)


def test_features_by_hand():
    """Days of a day count once, refunds reduce the sum only, the snapshot itself is not known."""
    result = score_small(small_events())
    table = result.customers.set_index("who")
    assert table.loc["a", ["recency_days", "frequency", "monetary"]].tolist() == [1, 2, 16.0]
    assert table.loc["b", ["recency_days", "frequency", "monetary"]].tolist() == [30, 1, 5.0]
    assert table.loc["e", ["frequency", "monetary"]].tolist() == [1, 0.0]
    assert np.isnan(table.loc["f", "recency_days"])
    assert table.loc["f", ["segment", "cell", "monetary"]].tolist() == [NEVER_ACTIVE, "000", -4.0]
    assert "g" not in table.index
    assert result.set_aside == {
        "events from the snapshot on": 1,
        "customers of whom only those are known": 1,
        "events with a negative amount": 2,
        "customers never active": 1,
        "customers with an amount below 0": 1,  # "f", of whom a refund alone is known
    }
    assert "1 have an amount below 0" in result.headline()


def test_amounts_below_zero_by_hand():
    """A refund beyond what was paid scores lowest and lowers the sum: the best bring 8 of 8 - 2 + 3 + 3 + 4."""
    table = pd.DataFrame({"id": range(5), "r_days": [1, 2, 3, 4, 5], "f": [9, 7, 5, 3, 1], "m": [8.0, 3, 4, 3, -2]})
    result = score_base(table)
    assert result.customers["m"].tolist()[-1] == 1 and result.set_aside["customers with an amount below 0"] == 1
    share = result.summary().set_index("segment")["monetary_share"]
    assert share.sum() == pytest.approx(1) and share[result.customers["segment"][0]] == pytest.approx(8 / 16)
    assert "1 have an amount below 0" in result.headline()
    nothing = score_base(table.assign(m=[8.0, -3, -4, 3, -9])).headline()
    assert "add up to nothing, so nobody brings a share" in nothing and "nan" not in nothing


def test_scores_by_hand():
    """Five customers, five bins: the best of each column has a 5 and the segment of its cell."""
    result = score_base(base([1, 2, 3, 4, 5], [9, 8, 7, 6, 5], [10, 40, 30, 20, 50]))
    assert result.customers["cell"].tolist() == ["551", "444", "333", "222", "115"]
    assert result.customers["segment"].tolist() == ["loyal", "champions", "needs_attention", "hibernating", "dormant"]


def test_cdnow_ranks_with_ties_by_id(cdnow):
    """Independent quintiles with ties by customer give the published counts."""
    result = score_cdnow(cdnow, ties="by_id")
    published = {1: 471, 2: 471, 3: 472, 4: 471, 5: 472}
    assert [counts(result, c) for c in "rfm"] == [published] * 3
    cells = result.customers["cell"].value_counts()
    assert (len(cells), cells["555"], cells["111"]) == (67, 248, 171)
    assert result.customers["cell"].nunique() == 67


def test_cdnow_ties_together(cdnow):
    """Equal frequencies stay together: 51.7 % bought once, so F has three values."""
    result = score_cdnow(cdnow)
    assert list(counts(result, "f").values()) == [1621, 358, 378]
    assert counts(result, "f") == {2: 1621, 4: 358, 5: 378}
    assert round((result.customers["frequency"] == 1).mean(), 3) == 0.517


def test_cdnow_binnings_disagree(cdnow):
    """Nested and independent binning put 5.6 % of the customers in the same cell."""
    one, other = (score_cdnow(cdnow, ties="by_id", binning=b) for b in ("independent", "nested"))
    assert round((one.customers["cell"] == other.customers["cell"]).mean(), 3) == 0.056


def test_row_order_does_not_matter(cdnow):
    """Shuffled purchases give the same table, to the last bit."""
    shuffled = cdnow.sample(frac=1, random_state=3)
    for ties in ("together", "by_id"):
        pd.testing.assert_frame_equal(
            score_cdnow(cdnow, ties=ties).customers, score_cdnow(shuffled, ties=ties).customers, check_exact=True
        )


def test_ids_of_digits_sort_as_numbers():
    """Equal values are ranked by number where identifiers are digits in text, so "10" stands above "9"."""
    table = base([1] * 5, [1] * 5, [1] * 5, ids=["10", "9", "2", "100", "007"])
    result = score_base(table, ties="by_id")
    assert result.customers["id"].tolist() == ["2", "007", "9", "10", "100"]
    assert result.customers["cell"].tolist() == ["111", "222", "333", "444", "555"]


def test_all_ties_together_is_the_middle():
    """Customers alike in everything all get the middle score."""
    result = score_base(base([3] * 7, [1] * 7, [2] * 7))
    assert set(result.customers["cell"]) == {"333"}


def test_most_customers_active_yesterday_are_still_recent():
    """Where more than half share the best recency, as contract customers do, they score 4 and can be champions."""
    result = score_base(base([1] * 6 + [2, 3, 5, 9], range(20, 10, -1), range(90, 80, -1)))
    assert result.customers["r"].tolist() == [4] * 6 + [2, 2, 1, 1]
    assert result.customers["segment"].iloc[0] == "champions"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=5, max_size=60), st.integers(2, 6), st.booleans())
def test_scores_keep_order(values, bins, nested):
    """A higher value never has a lower score, equal values share one, and scores stay within 1 to bins."""
    column = np.array(values, dtype=float)
    together = scores(column[:, None], bins, nested=nested, together=True)[:, 0]
    by_rank = scores(column[:, None], bins, nested=nested, together=False)[:, 0]
    order = np.argsort(column, kind="stable")
    for found in (together, by_rank):
        assert (np.diff(found[order]) >= 0).all()
        assert found.min() >= 1 and found.max() <= bins
    assert pd.Series(together).groupby(column).nunique().max() == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 80), st.integers(0, 99), st.booleans())
def test_without_ties_both_rules_agree(n, seed, nested):
    """Distinct values are binned alike by rank and by cut point."""
    values = np.random.default_rng(seed).permuted(np.tile(np.arange(n, dtype=float)[:, None], 3), axis=0)
    one, other = (scores(values, 5, nested=nested, together=t) for t in (True, False))
    assert (one == other).all()


def test_never_active_move_nobody():
    """Customers without recency are kept, counted, and do not shift the others' scores."""
    table = base([1.0, 2, 3, 4, 5], [9, 8, 7, 6, 5], [10, 40, 30, 20, 50])
    extra = pd.DataFrame({"id": [90, 91], "r_days": [np.nan, np.nan], "f": [0, 0], "m": [99.0, np.nan]})
    with_them = score_base(pd.concat([table, extra]))
    pd.testing.assert_frame_equal(with_them.customers.iloc[:5], score_base(table).customers, check_dtype=False)
    assert with_them.set_aside["customers never active"] == 2
    assert with_them.summary().set_index("segment").loc[NEVER_ACTIVE, "customers"] == 2


def test_summary_adds_up(cdnow):
    """Segments hold all customers and the whole amount; quantities carry the same shares, as counts."""
    result = score_cdnow(cdnow)
    table = result.summary()
    assert table["customers"].sum() == 2357
    assert table["monetary_share"].sum() == pytest.approx(1)
    named = {q.name: q for q in result.quantities()}
    share = named["segment_share[champions]"]
    assert share.value == (result.customers["segment"] == "champions").mean()
    assert share.low is None
    assert f"{share.value:.1%}" in result.headline()
    assert table["action"].str.endswith(".").all()


def test_heat_map_draws(cdnow):
    """The R x F map shows each used square's count."""
    import matplotlib.pyplot as plt

    result = score_cdnow(cdnow)
    ax = plt.subplots()[1]
    assert result.plot(ax) is ax
    assert sum(bool(t.get_text()) for t in ax.texts) == len(result.customers[["r", "f"]].drop_duplicates())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"as_of": "2025-12-31"}, "no event lies before the snapshot 2025-12-31: the first is of 2026-01-01"),
        ({"as_of": "2026-07-01 12:00"}, "as_of is a day"),
        ({"as_of": "soon"}, "give a day like '2026-07-01'"),
        ({"as_of": "01/07/2026"}, "give a day like '2026-07-01'"),
        ({"amount": "yuann"}, "Did you mean 'yuan'"),
        ({"bins": 4}, "grid is for 5 bins, not 4"),
        ({"binning": "nest"}, "Did you mean 'nested'"),
        ({"ties": "first"}, "There are: 'together', 'by_id'"),
    ],
)
def test_events_refused(change, words):
    """A wrong choice, column or date is refused with the reason."""
    with pytest.raises(WorkbenchError, match=words):
        score_small(small_events(), **change)


def test_bad_values_refused():
    """Missing, infinite or text values are refused with their place and count."""
    events = small_events()
    with pytest.raises(WorkbenchError, match="missing values: 'yuan' 2"):
        score_small(events.assign(yuan=events["yuan"].mask(events["who"] == "b")))
    with pytest.raises(WorkbenchError, match="infinite"):
        score_small(events.assign(yuan=events["yuan"].replace(10.0, np.inf)))
    with pytest.raises(WorkbenchError, match="give days as dates, or as text like '2026-07-01'"):
        score_small(events.assign(on=events["on"].dt.strftime("%d/%m/%Y")))
    as_text = score_small(events.assign(on=events["on"].astype(str)))
    pd.testing.assert_frame_equal(as_text.customers, score_small(events).customers)
    unknown = events.assign(on=events["on"].mask(events.index == 0, pd.Timestamp("1900-01-01")))
    assert score_small(unknown).set_aside["events on a placeholder, not a day"] == 1
    with pytest.raises(CannotAnswer, match="there are no events"):
        score_small(events.iloc[:0])
    with pytest.raises(CannotAnswer, match="1 active customers cannot be spread over 5 bins"):
        score_small(events[events["who"] == "a"])


def test_bad_features_refused():
    """Repeated customers, negative days and missing amounts of active customers are refused."""
    table = base([1.0, 2, 3, 4, 5], [9, 8, 7, 6, 5], [10.0, 40, 30, 20, 50])
    with pytest.raises(WorkbenchError, match="1 repeated 'id', for instance '0'"):
        score_base(table.assign(id=[0, 0, 1, 2, 3]))
    with pytest.raises(WorkbenchError, match="after the snapshot"):
        score_base(table.assign(r_days=-1.0))
    with pytest.raises(WorkbenchError, match=r"'m' 1\. Give 0"):
        score_base(table.assign(m=[np.nan, 40, 30, 20, 50]))


def test_default_grid_is_proved():
    """The shipped grid names all 125 cells once; champions hold the best one."""
    grid = default_grid()
    held = np.bincount(grid.position.ravel(), minlength=len(grid.segments))
    assert held.sum() == 125 and (held > 0).all()
    assert grid.names(*np.array([[5], [5], [5]])).tolist() == ["champions"]


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([{"r": [1, 1]}], "gap: no segment holds 'R2 F1 M1', 'R2 F1 M2', 'R2 F2 M1', 'R2 F2 M2'"),
        ([{}, {"r": [2, 2], "f": [2, 2], "m": [2, 2]}], "overlap: 'all' hold 'R2 F2 M2'"),
        ([{"r": [0, 2]}], r"'all' has r = \[0, 2\]"),
        ([{"q": [1, 2]}], "no score 'q'"),
    ],
)
def test_broken_grid_refused(boxes, words):
    """A gap, an overlap and a box off the scores are named."""
    with pytest.raises(WorkbenchError, match=words):
        SegmentGrid.from_mapping({"bins": 2, "segment": [ONE | {"boxes": boxes}]})


def test_overlap_of_two_named():
    """Both segments that claim a cell are named."""
    with pytest.raises(WorkbenchError, match="overlap: 'all', 'more' hold"):
        SegmentGrid.from_mapping({"bins": 2, "segment": [ONE, ONE | {"name": "more", "boxes": [{"r": [2, 2]}]}]})


def test_grid_file(tmp_path):
    """A grid of one's own is read from a path with Chinese and spaces; broken or absent files are refused."""
    path = tmp_path / "我的 grid.toml"
    path.write_text(
        'bins = 2\n[[segment]]\nname = "all"\nname_zh = "全部"\nmeaning = "x"\naction = "y"\nboxes = [{}]\n',
        encoding="utf-8",
    )
    grid = SegmentGrid.from_toml(path)
    assert set(score_base(base([1, 2], [1, 2], [1, 2]), bins=2, grid=grid).customers["segment"]) == {"all"}
    with pytest.raises(WorkbenchError, match=r"can't use .*absent\.toml: .*No such file"):
        SegmentGrid.from_toml(tmp_path / "absent.toml")
    path.write_text("bins = ", encoding="utf-8")
    with pytest.raises(WorkbenchError, match=r"can't use .*grid\.toml: Invalid value"):
        SegmentGrid.from_toml(path)
    with pytest.raises(WorkbenchError, match="lacks 'action'"):
        SegmentGrid.from_mapping({"bins": 2, "segment": [{k: v for k, v in ONE.items() if k != "action"}]})
    with pytest.raises(WorkbenchError, match="no key 'aktion'"):
        SegmentGrid.from_mapping({"bins": 2, "segment": [ONE | {"aktion": "z"}]})
    with pytest.raises(WorkbenchError, match="needs bins"):
        SegmentGrid.from_mapping({"segment": [ONE]})


def test_fixed_cuts_score_alike_in_every_month():
    """A value on a cut belongs to the better class, for recency (fewer days) as for frequency (more)."""
    table = pd.DataFrame({"id": range(6), "r": [1.0, 3, 4, 14, 30, 31], "f": [1, 2, 5, 10, 20, 50], "m": [1.0] * 6})
    names = {"customer": "id", "recency": "r", "frequency": "f", "monetary": "m"}
    found = score_rfm(table, cuts={"recency": [3, 7, 14, 30], "frequency": [2, 5, 10, 50]}, **names).customers
    assert found["r"].tolist() == [5, 5, 4, 3, 2, 1]
    assert found["f"].tolist() == [1, 2, 3, 4, 4, 5]


@pytest.mark.parametrize(
    ("cuts", "words"),
    [
        ({"recncy": [1, 2, 3, 4]}, "Did you mean 'recency'"),
        ({"recency": [1, 2, 3]}, "5 bins take 4 ascending numbers"),
        ({"recency": [1, 2, 2, 4]}, "ascending"),
    ],
)
def test_cuts_that_do_not_fit_are_refused(cuts, words):
    """Unknown features, too few cuts and cuts out of order are named."""
    table = pd.DataFrame({"id": range(6), "r": range(6), "f": range(6), "m": range(6)})
    with pytest.raises(WorkbenchError, match=words):
        score_rfm(table, customer="id", recency="r", frequency="f", monetary="m", cuts=cuts)
