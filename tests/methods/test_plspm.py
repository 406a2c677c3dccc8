"""Is the PLS engine exact: against tables by hand, published digits, and what must hold for any data?"""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import Construct, PathModel, bootstrap_pls, fit_pls, reliability_table
from workbench.methods.plspm.answers import moments, read_answers
from workbench.methods.resampling import bootstrap_weights

SCHEMES = ("path", "factorial", "centroid")
THREE = PathModel(
    [Construct("Quality", ["q1", "q2", "q3"]), Construct("Value", ["v1", "v2"]), Construct("Loyalty", ["l1"])],
    {"Value": ["Quality"], "Loyalty": ["Quality", "Value"]},
)


def answers(n: int, seed: int, model: PathModel = THREE) -> pd.DataFrame:
    """Answers 1-10 that share one factor."""
    rng = np.random.default_rng(seed)
    values = 6 + 1.5 * rng.normal(size=(n, 1)) + 1.2 * rng.normal(size=(n, len(model.items)))
    return pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(model.items))


def same(left, right, within=1e-9) -> None:
    """Two fits agree in every quantity."""
    a, b = left.estimates, right.estimates
    assert np.allclose(a, b.reindex(a.index), rtol=0, atol=within, equal_nan=True)


@pytest.fixture(scope="module")
def mobi(shared_data):
    """The mobile-phone survey of the European index."""
    return pd.read_csv(shared_data / "mobi.csv")


@pytest.fixture(scope="module")
def expected(shared_data):
    """What other programs print for it."""
    return json.loads((shared_data / "expected_mobi_ecsi.json").read_text(encoding="utf-8"))["schemes"]


@pytest.fixture(scope="module")
def published(shared_data):
    """Printed tables, and bootstrap standard errors of another engine."""
    return json.loads((shared_data / "expected_mobi_published.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ecsi(request):
    """The European model, from its file."""
    return PathModel.from_toml(request.config.rootpath / "data/models/ecsi.toml")


def test_two_single_items_by_hand():
    """One item a construct: the path is the correlation, the index the rescaled mean."""
    model = PathModel([Construct(c, [c.lower()], low=1, high=10) for c in "AB"], {"B": ["A"]})
    fit = fit_pls(pd.DataFrame({"a": [1, 2, 3, 4], "b": [2, 1, 4, 5]}), model)
    # deviations a: -1.5 -.5 .5 1.5, b: -1 -2 1 2; products 6; squares 5 and 10
    assert fit.paths["A", "B"] == pytest.approx(6 / np.sqrt(5 * 10))
    assert fit.r2["B"] == pytest.approx(36 / 50)
    assert fit.index.to_dict() == pytest.approx({"A": 100 * 1.5 / 9, "B": 100 * 2 / 9})
    # one point of A's index brings the regression slope 6/5 of B's
    assert fit.importance["A", "B"] == pytest.approx(6 / 5)


def test_fornell_index_by_hand():
    """Two items with equal standardised weights and spreads 1 and 2: the unstandardised weights are 2/3 and 1/3."""
    model = PathModel([Construct("A", ["a", "b"], low=1, high=10), Construct("C", ["c"])], {"C": ["A"]})
    table = pd.DataFrame({"a": [4, 4, 6, 6], "b": [3, 7, 3, 7], "c": [2, 4, 4, 6]})
    fit = fit_pls(table, model)
    assert fit.weights["A"].tolist() == pytest.approx([np.sqrt(0.5)] * 2)
    assert fit.unstandardised_weights["A"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert fit.index["A"] == pytest.approx(100 * (2 / 3 * 4 + 1 / 3 * 4) / 9)


def test_mode_b_is_regression():
    """A formative construct before one item: its weights are those of the regression, R2 likewise."""
    model = PathModel([Construct("Q", ["q1", "q2", "q3"], mode="B"), Construct("L", ["l1"])], {"L": ["Q"]})
    table = answers(200, 3)
    fit = fit_pls(table, model)
    z = (table - table.mean()) / table.std(ddof=0)
    slope, *_ = np.linalg.lstsq(z[["q1", "q2", "q3"]], z["l1"], rcond=None)
    assert (fit.weights["Q"] / fit.weights["Q"].sum()).to_numpy() == pytest.approx(slope / slope.sum())
    assert fit.r2["L"] == pytest.approx(float((z[["q1", "q2", "q3"]] @ slope).var(ddof=0)))
    assert np.isnan(fit.rho_a["Q"]) and np.isnan(fit.htmt.loc["Q", "L"])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("tolerance", "within"), [(1e-13, 1e-10), (1e-7, 1e-6)])
def test_mobi_equals_the_other_programs(mobi, ecsi, expected, scheme, tolerance, within):
    """ECSI on the mobile-phone survey: the fixed point to 1e-10 at a tight stop, 1e-6 at the default."""
    fit, want = fit_pls(mobi, ecsi, scheme=scheme, tolerance=tolerance), expected[scheme]
    assert fit.converged

    def close(found: dict, wanted: dict) -> None:
        assert wanted and {k: found[k] for k in wanted} == pytest.approx(wanted, abs=within)

    def chains(series) -> dict:
        return {f"{s}->{t}": v for (s, t), v in series.items()}

    close(fit.weights.droplevel(0), want["outer_weights_unit_variance_scores"])
    close(fit.loadings.droplevel(0), want["loadings"])
    close(fit.unstandardised_weights.droplevel(0), want["unstandardised_weights_sum_to_one"])
    close(chains(fit.paths), want["paths"])
    close(chains(fit.total_effects), want["total_effects"])
    close(fit.r2, want["r2"])
    close(fit.index, want["index_0_100"])
    for ours, theirs in {"alpha": "alpha", "rho_a": "rhoA", "rho_c": "rhoC", "ave": "AVE"}.items():
        close(getattr(fit, ours), {name: row[theirs] for name, row in want["reliability"].items()})
    close({f"{a}~{b}": fit.htmt.loc[a, b] for a in fit.htmt for b in fit.htmt}, want["htmt"])
    wanted = {f"{s}->{t}": row["importance_unstd"] for t, rows in want["ipma"].items() for s, row in rows.items()}
    close(chains(fit.importance), wanted)


def test_mobi_standard_errors(mobi, ecsi, published):
    """Against 20,000 resamples of another engine: 0.02 is the Monte Carlo error of 500 printed resamples times
    three for paths; 5 % of itself is three Monte Carlo errors of 2,000 resamples for the index."""
    paths = bootstrap_pls(mobi, ecsi, resamples=2000, scheme="centroid", interval="percentile").table
    paths = paths[paths["quantity"] == "path"].set_index("name")
    printed = pd.Series(published["bootstrap_500_std_error"])
    assert (paths["se"] - printed).abs().max() < 0.02
    long = pd.DataFrame(published["our_20000_resamples_centroid"]).T
    assert (paths["se"] / long["se"].astype(float) - 1).abs().max() < 0.06
    index = bootstrap_pls(mobi, ecsi, resamples=2000, interval="percentile").table
    index = index[index["quantity"] == "index"].set_index("name")
    for name, row in published["index_0_100_bootstrap_20000_path"].items():
        assert index.loc[name, "se"] == pytest.approx(row["se"], rel=0.06)
        assert index.loc[name, ["low", "high"]].tolist() == pytest.approx(row["pct95"], abs=0.25 * row["se"])


def test_mobi_verdicts_name_the_faults(mobi, ecsi):
    """Expectation is unreliable and Quality hardly distinct from Satisfaction, as the literature says."""
    fit = fit_pls(mobi, ecsi)
    said = " ".join(fit.verdicts)
    assert "Expectation is measured unreliably: rho_A is 0.462" in said
    assert "Quality and Satisfaction are hardly distinct: HTMT+ is 0.954" in said
    assert "not distinct" in reliability_table(fit).set_index("construct").loc["Loyalty", "verdict"]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), scheme=st.sampled_from(SCHEMES))
def test_what_changes_nothing(seed, scheme):
    """Row order, item order, a constant weight and a respondent of weight 0 leave every quantity as it was."""
    table = answers(120, seed)
    rng = np.random.default_rng(seed)
    base = fit_pls(table, THREE, scheme=scheme, tolerance=1e-12)
    shuffled = fit_pls(table.sample(frac=1, random_state=seed % 1000), THREE, scheme=scheme, tolerance=1e-12)
    assert (shuffled.estimates == base.estimates).all()
    turned = PathModel([Construct(c.name, c.items[::-1]) for c in THREE.constructs], THREE.paths)
    same(base, fit_pls(table, turned, scheme=scheme, tolerance=1e-12))
    same(base, fit_pls(table, THREE, scheme=scheme, weights=np.full(120, 3.7), tolerance=1e-12))
    extra = pd.concat([table, table.iloc[:1] * 0 + rng.integers(1, 11)], ignore_index=True)
    same(base, fit_pls(extra, THREE, scheme=scheme, weights=np.r_[np.ones(120), 0], tolerance=1e-12))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), gaps=st.sampled_from([0.0, 0.08]))
def test_whole_weights_are_copies(seed, gaps):
    """A weight of 3 is the same as three copies, also with missing answers."""
    rng = np.random.default_rng(seed)
    table = answers(150, seed)
    table = table.mask(rng.random(table.shape) < gaps)
    copies = rng.integers(0, 4, len(table))
    repeated = table.loc[table.index.repeat(copies)]
    left = fit_pls(table.assign(w=copies), THREE, weights="w", tolerance=1e-12)
    right = fit_pls(repeated, THREE, tolerance=1e-12)
    same(left, right)


def test_mean_replacement_is_exact_in_every_resample():
    """The moments of a row of counts are those of the copied rows with their own means filled in."""
    rng = np.random.default_rng(5)
    table = answers(80, 5)
    table = table.mask(rng.random(table.shape) < 0.1).assign(group=np.resize(["x", "y", "z"], 80))
    ready = read_answers(table, THREE, by=["group"])
    rows = next(iter(bootstrap_weights(80, 3, rng=1)))
    found = moments(ready, rows)
    given_table = table.iloc[ready.position]
    for row in range(3):
        copied = given_table.loc[given_table.index.repeat(rows[row].astype(int))]
        filled = copied[list(THREE.items)].fillna(copied[list(THREE.items)].mean())
        assert found.mean[row] == pytest.approx(filled.mean().to_numpy())
        assert found.sd[row] == pytest.approx(filled.std(ddof=0).to_numpy())
        assert found.correlation[row] == pytest.approx(filled.corr().to_numpy())
        by_group = copied.groupby("group")[list(THREE.items)].mean()
        assert found.cell_mean[row] == pytest.approx(by_group.to_numpy())


@pytest.mark.parametrize("missing", ["mean", "pairwise"])
def test_single_precision_counts_are_exact(missing):
    """Whole counts of whole answers give the same moments in single precision; with survey weights it is not used."""
    rng = np.random.default_rng(8)
    table = answers(3000, 8)
    table = table.mask(rng.random(table.shape) < 0.05).assign(group=np.resize(["x", "y"], 3000))
    rows = next(iter(bootstrap_weights(3000, 5, rng=1)))
    plain = read_answers(table, THREE, by=["group"], missing=missing)
    weighted = read_answers(table, THREE, by=["group"], missing=missing, weights=rng.random(3000))
    halves = read_answers(table.replace(7, 7.5), THREE, by=["group"], missing=missing)
    assert plain.countable and not weighted.countable and not halves.countable
    for ready in (plain, weighted, halves):
        double, single = moments(ready, rows), moments(ready, rows.astype(np.float32))
        for name in ("mean", "sd", "correlation", "cell_mean"):
            assert np.allclose(getattr(double, name), getattr(single, name), rtol=0, atol=1e-13)


def test_pairwise_is_exact_in_every_resample():
    """Correlations of a row of counts are those of the copied rows among who answered both; sd's, who answered."""
    rng = np.random.default_rng(7)
    table = answers(90, 7)
    table = table.mask(rng.random(table.shape) < [0.2, 0.1, 0, 0.2, 0, 0.1])
    ready = read_answers(table, THREE, missing="pairwise", weights=np.full(90, 2.0))
    rows = next(iter(bootstrap_weights(90, 3, rng=1)))
    found = moments(ready, rows)
    for row in range(3):
        copied = table.iloc[ready.position].loc[lambda t, r=row: t.index.repeat(rows[r].astype(int))]
        assert found.correlation[row] == pytest.approx(copied.corr().to_numpy())
        assert found.sd[row] == pytest.approx(copied.std(ddof=0).to_numpy())
        assert found.mean[row] == pytest.approx(copied.mean().to_numpy())
    boot = bootstrap_pls(table, THREE, resamples=50, missing="pairwise")
    assert boot.fit.missing == table.isna().to_numpy().sum() and boot.failed == 0
    same(fit_pls(table.dropna(), THREE, missing="pairwise"), fit_pls(table.dropna(), THREE))


def test_contradicting_pairs_are_refused():
    """Three pairs answered by different people can correlate as no one survey could: nothing is made of that."""
    up, gap = np.arange(1, 9.0), np.full(8, np.nan)
    noise = np.random.default_rng(1).permutation(np.resize(up, 24))
    table = pd.DataFrame(
        {"a1": np.r_[up, up, gap], "a2": np.r_[up, gap, up], "b1": np.r_[gap, up, 9 - up], "b2": noise}
    )
    model = PathModel([Construct("A", ["a1", "a2"]), Construct("B", ["b1", "b2"])], {"B": ["A"]})
    with pytest.raises(CannotAnswer, match="contradict each other"):
        fit_pls(table, model, missing="pairwise")
    with pytest.raises(CannotAnswer, match="answered together by nobody"):
        fit_pls(table.assign(b1=np.r_[gap, gap, up]).assign(a2=np.r_[up, up, gap]), model, missing="pairwise")


def test_listwise_drops_and_counts():
    """Listwise deletion is a fit to the complete cases, and says how many it left out."""
    table = answers(100, 6)
    table.iloc[[3, 7], 0] = np.nan
    fit = fit_pls(table, THREE, missing="listwise")
    assert (fit.dropped, fit.n, fit.missing) == (2, 98, 0)
    same(fit, fit_pls(table.dropna(), THREE))
    assert fit_pls(table, THREE).missing == 2


def test_reversed_items_and_missing_codes():
    """A reversed item is turned within its scale, and a declared code is a gap."""
    table = answers(100, 8)
    turned = table.assign(q1=11 - table["q1"])
    turned.loc[4, "v1"] = -99
    declared = PathModel(
        [Construct("Quality", ["q1", "q2", "q3"], reversed=["q1"]), *THREE.constructs[1:]],
        THREE.paths,
        missing_codes=[-99],
    )
    gap = table.astype(float)
    gap.loc[4, "v1"] = np.nan
    same(fit_pls(turned, declared), fit_pls(gap, THREE))


def test_a_construct_points_where_most_of_its_items_do():
    """An item coded the wrong way gets a negative weight, and the index is refused by name."""
    table = answers(300, 9)
    fit = fit_pls(table.assign(q1=11 - table["q1"]), THREE)
    assert fit.loadings["Quality", "q2"] > 0 > fit.loadings["Quality", "q1"]
    assert np.isnan(fit.index["Quality"]) and not np.isnan(fit.index["Value"])
    assert any("outer weight of q1 is negative" in verdict for verdict in fit.verdicts)


@pytest.mark.parametrize("interval", ["percentile", "bc", "bca", "normal"])
def test_bootstrap_intervals(interval):
    """Every kind of interval contains its estimate here, and is the same for the same seed in any row order."""
    table = answers(120, 10).assign(stratum=np.resize([0, 1, 2], 120))
    options = {"resamples": 200, "interval": interval, "strata": "stratum", "rng": 4}
    boot = bootstrap_pls(table, THREE, **options)
    rows = boot.table[boot.table["quantity"].isin(["path", "r2", "index", "ave"])]
    assert ((rows["low"] <= rows["estimate"] + 1e-9) & (rows["estimate"] <= rows["high"] + 1e-9)).all()
    again = bootstrap_pls(table.sample(frac=1, random_state=1), THREE, **options)
    pd.testing.assert_frame_equal(boot.table, again.table, check_exact=True)
    assert boot.failed == 0 and boot.headline() and list(boot.quantities())


def test_a_resample_is_a_fit_to_the_drawn_respondents():
    """Replicates equal fits to the same draws, one by one."""
    table = answers(60, 11)
    boot = bootstrap_pls(table, THREE, resamples=20, interval="percentile", tolerance=1e-13, rng=2)
    ready = read_answers(table, THREE, within=pd.DataFrame({"s": np.zeros(60), "c": np.zeros(60)}))
    from workbench.methods.resampling import seeds

    rows = np.vstack(list(bootstrap_weights(60, 20, rng=seeds(2, 2)[0])))
    for row in (0, 7, 19):
        drawn = table.iloc[np.repeat(ready.position, rows[row].astype(int))]
        fit = fit_pls(drawn, THREE, tolerance=1e-13)
        assert boot.replicates[row] == pytest.approx(fit.estimates.to_numpy(), abs=1e-9, nan_ok=True)


def test_clusters_widen_intervals():
    """Respondents copied within clusters carry no more than one each: the error grows as the root of the copies."""
    table = answers(100, 12)
    copied = table.loc[table.index.repeat(4)].reset_index(names="household")
    plain = bootstrap_pls(copied, THREE, resamples=400, interval="percentile").table
    whole = bootstrap_pls(copied, THREE, resamples=400, interval="percentile", clusters="household").table
    ratio = (whole["se"] / plain["se"])[whole["quantity"] == "index"]
    assert ratio.to_numpy() == pytest.approx(2, rel=0.15)


def test_failed_resamples_are_counted():
    """A resample in which an item does not vary has no result: it is counted, said, and in no interval."""
    table = answers(24, 13)
    table["l1"] = [2, 3, 2, 3, *[5] * 20]
    boot = bootstrap_pls(table, THREE, resamples=400, interval="percentile", rng=1)
    never_drawn = (20 / 24) ** 24 * 400
    assert 0 < boot.failed and abs(boot.failed - never_drawn) < 4 * np.sqrt(never_drawn)
    assert np.isnan(boot.replicates).all(axis=1).sum() == boot.failed
    assert f"{boot.failed} of 400 resamples did not converge" in boot.headline()
    assert any("did not converge" in verdict for verdict in boot.verdicts)
    assert any("l1: all but 4 of the respondents gave the same answer" in verdict for verdict in boot.verdicts)


def test_an_item_of_one_respondent_has_no_interval():
    """One of 24 answers otherwise: 36 % of resamples miss them, so the rest says nothing; the item is named."""
    table = answers(24, 13)
    table["l1"] = [2, *[5] * 23]
    with pytest.raises(CannotAnswer, match=r"of 200 resamples, so there are no intervals. Items did not vary in some"):
        bootstrap_pls(table, THREE, resamples=200, interval="percentile", rng=1)
    assert any("l1: all but 1 of the respondents" in verdict for verdict in fit_pls(table, THREE).verdicts)


def _text(t):
    return t.assign(q1=t["q1"].astype(str))


def _set(item, row, value):
    def change(t):
        t = t.astype(float)
        t.loc[row, item] = value
        return t

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_text, r"the item 'q1' is not numeric: it holds str"),
        (lambda t: t.drop(columns="v2"), r"survey lacks 'v2'"),
        (lambda t: t.assign(v1=7), r"'v1 \(always 7\)' does not vary"),
        (lambda t: t.assign(v1=np.nan), r"nobody answered 'v1'"),
        (_set("q2", 5, 11), r"item 'q2' holds 11, off its scale 1 to 10 \(1 answers\)"),
        (_set("q2", 5, -99), r"item 'q2' holds -99.*missing code"),
        (lambda t: t.iloc[:0], r"0 usable respondents"),
        (lambda t: t.iloc[:1], r"1 usable respondents"),
    ],
)
def test_unusable_answers_are_refused(change, words):
    """What is wrong with an item is said with its name, the value and what to do."""
    with pytest.raises(WorkbenchError, match=words):
        fit_pls(change(answers(50, 1)), THREE)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.r_[-1.0, np.ones(49)], "1 negative values, the first in row 0"),
        (np.r_[1.0, np.nan, np.ones(48)], "1 missing values, the first in row 1"),
        (np.r_[np.inf, np.ones(49)], "1 infinite"),
        (np.zeros(50), "zero for every respondent"),
        (np.ones(3), "3 values for 50 respondents"),
        ("wieght", "survey lacks 'wieght'"),
        (["a"] * 50, "not numeric"),
    ],
)
def test_unusable_weights_are_refused(weights, words):
    """A weight that cannot count is refused with its row."""
    with pytest.raises(WorkbenchError, match=words):
        fit_pls(answers(50, 1), THREE, weights=weights)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scheme": "paths"}, "no scheme 'paths'"),
        ({"missing": "pairs"}, "no treatment of missing answers 'pairs'"),
        ({"interval": "exact"}, "no interval 'exact'"),
        ({"resamples": 5}, "too few"),
        ({"level": 95}, "no coverage"),
        ({"strata": "region"}, "survey lacks 'region'"),
        ({"clusters": np.ones(3)}, "clusters has 3 values for 50 respondents"),
    ],
)
def test_unknown_choices_are_refused(options, words):
    """Options outside what there is are refused with what there is."""
    with pytest.raises(WorkbenchError, match=words):
        bootstrap_pls(answers(50, 1), THREE, **options)


def test_undetermined_weights_are_refused():
    """Formative items that copy each other leave their weights open: no number is invented."""
    model = PathModel([Construct("Q", ["q1", "q2"], mode="B"), Construct("L", ["l1"])], {"L": ["Q"]})
    table = answers(50, 1)
    with pytest.raises(CannotAnswer, match="do not determine"):
        fit_pls(table.assign(q2=table["q1"]), model)
