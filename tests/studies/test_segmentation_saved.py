"""A kept segmentation: the same cluster next month, a readable file, refusals, and drift that is more than chance."""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.result import Decision, Refusal
from workbench.studies.segmentation import (
    concentration,
    decision,
    described_use,
    drift,
    fit_segments,
    memberships,
    read_segments,
    save_segments,
    score_rfm,
)

MEANING = {"mb": "MB a month", "minutes": "call minutes a month", "night": "share of events at night"}


def customers(n=600, seed=0, shift=0.0):
    """Heavy and light users; `shift` moves the data volume of all by so many log units."""
    rng = np.random.default_rng(seed)
    heavy = rng.random(n) < 0.4
    mb = np.exp(np.where(heavy, 8.0, 4.0) + 0.5 * rng.standard_normal(n) + shift)
    minutes = np.exp(np.where(heavy, 2.0, 5.0) + 0.5 * rng.standard_normal(n))
    return pd.DataFrame({"mb": mb, "minutes": minutes, "night": rng.beta(2, 8, n)}, index=[f"c{i}" for i in range(n)])


def fitted(table, method="kmeans"):
    """Two clusters on the scale that fits."""
    return fit_segments(table, k=2, method=method, log=["mb", "minutes"], shares=["night"], resamples=3)


@pytest.fixture(scope="module")
def kept():
    """A segmentation of 600 customers."""
    return save_segments(fitted(customers()), customers(), as_of="2026-04-01", definitions=MEANING, names={1: "轻度"})


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
def test_same_customer_same_cluster(tmp_path, method):
    """Read from its file, the segmentation gives each customer the cluster of the fit, in any order and any batch."""
    table, path = customers(), tmp_path / "kept.json"
    result = fitted(table, method)
    again = read_segments(save_segments(result, table, as_of="2026-04-01", definitions=MEANING).save(path))
    assert list(tmp_path.iterdir()) == [path]
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(again.assign(shuffled).sort_index(), result.labels.sort_index())
    assert again.assign(table.iloc[:7]).equals(result.labels[:7])
    assert again.version == read_segments(path).version


def test_members_of_the_clusters(kept):
    """Who is in which cluster on a day, by its number and name; a customer without revenue has 0."""
    table = customers()
    held = kept.members(table, on="2026-07-01", revenue=pd.Series({table.index[1]: 5.0}))
    assert held["segment"].str[0].astype(int).tolist() == kept.assign(table).tolist()
    assert set(held["segment"]) == set(kept.titles) and kept.titles[0] == "1 轻度" and set(held["on"]) == {"2026-07-01"}
    assert held["revenue"].sum() == held["revenue"].iloc[1] == 5
    text = kept.members(table, on="2026-07-01", revenue=pd.Series({str(table.index[1]): 5.0}))
    assert text["revenue"].tolist() == held["revenue"].tolist()


def test_file_is_readable_and_names_may_be_edited(tmp_path, kept):
    """Definitions, names, date and software stand in the file; other names keep the version."""
    text = kept.to_json()
    plain = json.loads(text)
    assert plain["definitions"] == MEANING and plain["as_of"] == "2026-04-01" and "scikit-learn" in plain["software"]
    assert plain["names"][0] == "轻度" and "轻度" in text and max(map(len, text.splitlines())) < 400
    path = tmp_path / "kept.json"
    path.write_text(text.replace("轻度", "语音型"), encoding="utf-8")
    assert read_segments(path).names[0] == "语音型"
    assert read_segments(path).version == kept.version == plain["version"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plain: plain | {"format": 7}, "has the format 7; this program reads 1"),
        (lambda plain: plain | {"version": "0"}, "calls itself version '0'"),
        (lambda plain: plain | {"as_of": "2026-05-01"}, "more than their words was edited"),
        (lambda plain: plain | {"names": ["one"]}, "1 names"),
        (lambda plain: {k: v for k, v in plain.items() if k != "rule"}, "not a whole saved segmentation"),
        (lambda plain: [plain], "not a whole saved segmentation"),
    ],
)
def test_files_refused(tmp_path, kept, change, words):
    """An unknown format, another content than its version says, and half a file are refused."""
    path = tmp_path / "kept.json"
    path.write_text(json.dumps(change(json.loads(kept.to_json()))), encoding="utf-8")
    with pytest.raises(WorkbenchError, match=words):
        read_segments(path)


def test_what_cannot_be_saved_or_applied(tmp_path, kept):
    """No file, brackets without end, a missing feature, other features, a missing meaning, a name for no cluster."""
    table = customers()
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(WorkbenchError, match="not a whole saved segmentation"):
        read_segments(tmp_path / "deep.json")
    with pytest.raises(WorkbenchError, match="no saved segmentation at"):
        read_segments(tmp_path / "none.json")
    with pytest.raises(WorkbenchError, match="features lacks 'night'"):
        kept.assign(table.drop(columns="night"))
    with pytest.raises(WorkbenchError, match="not those of the fit"):
        save_segments(fitted(table), customers(seed=5), as_of="2026-04-01", definitions=MEANING)
    with pytest.raises(WorkbenchError, match="definitions lacks 'night'"):
        save_segments(fitted(table), table, as_of="2026-04-01", definitions={"mb": "MB", "minutes": "min"})
    with pytest.raises(WorkbenchError, match="names holds '3'"):
        save_segments(fitted(table), table, as_of="2026-04-01", definitions=MEANING, names={3: "x"})
    with pytest.raises(CannotAnswer, match="table of features is empty"):
        drift(kept, table.iloc[:0])


def test_index_by_hand(kept):
    """The index of the clusters is the sum over shares of difference times log ratio, half a customer added to each."""
    now = customers(seed=3)
    a, b = (np.array(x) + 0.5 for x in (kept.customers, np.bincount(kept.assign(now))[1:]))
    a, b = a / a.sum(), b / b.sum()
    found = drift(kept, now).index.set_index("of").loc["(clusters)"]
    assert found.psi == pytest.approx(((b - a) * np.log(b / a)).sum())
    assert found.noise == pytest.approx((2 / 600) * 3.841, rel=1e-3)


def test_drift_in_words(kept):
    """Fresh customers of the same kind are stable; data volumes tripled call for a refit; 20 customers are too few."""
    assert drift(kept, customers(4_000, seed=1)).verdict == "stable"
    moved = drift(kept, customers(4_000, seed=2, shift=1.1))
    assert moved.verdict == "refit"
    assert moved.index.set_index("of")["verdict"].drop(["mb", "(clusters)"]).eq("stable").all()
    assert moved.headline().startswith("Since 2026-04-01: refit") and "Moved most: mb" in moved.headline()
    assert drift(kept, customers(20, seed=9)).verdict == "too few"


def test_no_small_cluster_is_said_or_recorded(kept):
    """Of two clusters one holds fewer than ten: neither is told, as the other's share would give it away."""
    now = customers(20, seed=9)
    assert 0 < np.bincount(kept.assign(now))[1:].min() < 10
    few = drift(kept, now)
    assert not few.clusters["shown"].any() and "went from" not in few.headline()
    assert not [q.name for q in few.quantities() if "cluster_share" in q.name]
    assert drift(kept, customers(300, seed=4)).clusters["shown"].all()


def test_drift_draws_and_records(kept):
    """Picture and quantities carry each feature and each cluster."""
    result = drift(kept, customers(300, seed=4))
    assert [t.get_text() for t in result.plot().get_yticklabels()] == ["mb", "minutes", "night", "(clusters)"]
    assert {q.name for q in result.quantities()} == {f"stability_index[{c}]" for c in (*MEANING, "(clusters)")} | {
        f"cluster_share_change[{c}]" for c in (1, 2)
    }
    assert len(result.summary()) == 4


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.6])
def test_intervals_cover(shift):
    """The interval of the index holds the true one in at least 93 % of samples, and chance stays under its noise."""
    from workbench.methods.ranking import stability_index

    rng = np.random.default_rng(0)
    p = np.full(10, 0.1)
    q = np.exp(shift * np.linspace(-1, 1, 10))
    q /= q.sum()
    true = ((q - p) * np.log(q / p)).sum()
    found = [stability_index(rng.multinomial(1_500, p), rng.multinomial(1_000, q)) for _ in range(600)]
    hit = np.mean([row["low"] <= true <= row["high"] for row in found])
    assert 0.93 <= hit <= (1.0 if shift == 0 else 0.985), hit
    if shift == 0:
        assert np.mean([row["psi"] > row["noise"] for row in found]) == pytest.approx(0.05, abs=0.03)


def test_use_is_described_by_whoever_has_all_of_it():
    """A customer without a value has none; where nothing is known of anybody, that is said."""
    table = pd.DataFrame({"customer_id": ["a", "b", "c"], "mb": [1.0, np.nan, 3.0], "night": [0.1, 0.2, np.nan]})
    assert described_use(table, {"mb": "data", "night": "at night"}).to_dict("index") == {
        "a": {"data": 1.0, "at night": 0.1}
    }
    for called in ({}, {"mb": "data"}):
        with pytest.raises(CannotAnswer, match="of no customer is it known how they use us"):
            described_use(table.assign(mb=np.nan), called)


def test_memberships_stand_by_day(kept):
    """One row a customer and day, with the revenue of that day's table; one day twice is one day."""
    use = customers()
    table = pd.DataFrame({"customer_id": use.index, "monetary": 2.0})
    found = memberships(kept, {"2026-04-01": (use, table), "2026-07-01": (use[:10], table)})
    assert found.groupby("on")["revenue"].agg(["size", "sum"]).to_numpy().tolist() == [[600, 1200.0], [10, 20.0]]


def test_a_decision_leaves_out_what_was_refused(kept):
    """Where all was refused there is none; else what could be answered bears one."""
    none = Refusal("not answerable")
    assert decision(none, none, none) is none
    moved = drift(kept, customers(seed=1))
    found = decision(none, fitted(customers()), moved)
    assert isinstance(found, Decision) and len(found.do) == 1


def test_customers_of_whom_no_use_is_known_are_not_ranked():
    """The sentence says what is missing, not how many bins there are."""
    table = pd.DataFrame({"c": ["a", "b"], "r": [np.nan] * 2, "f": [np.nan] * 2, "m": [1.0, 2.0]})
    with pytest.raises(CannotAnswer, match="of none of 2 customers is it known when they were last active"):
        score_rfm(table, customer="c", recency="r", frequency="f", monetary="m")
    assert concentration(table["m"].repeat(20), resamples=10)
