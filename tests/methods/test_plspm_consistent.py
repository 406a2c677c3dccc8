"""Does consistent PLS find the paths between error-free notions, and say where it cannot?"""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer
from workbench.methods.plspm import Construct, HigherOrder, PathModel, bootstrap_pls, consistent_pls, fit_pls


def test_mobi_equals_two_programs(shared_data, request):
    """Paths, R2 and loadings of seminr and cSEM on the mobile survey to 1e-9, to 1e-6 at the default stop."""
    mobi = pd.read_csv(shared_data / "mobi.csv")
    model = PathModel.from_toml(request.config.rootpath / "data/models/ecsi.toml")
    theirs = json.loads((shared_data / "expected_mobi_ecsi.json").read_text(encoding="utf-8"))["PLSc_path_scheme"]
    for tolerance, within in ((1e-13, 1e-9), (1e-7, 1e-6)):
        found = consistent_pls(fit_pls(mobi, model, tolerance=tolerance))
        paths = {f"{s}->{t}": value for (s, t), value in found.paths.items()}
        for program in ("seminr-R", "cSEM-R"):
            assert paths == pytest.approx(theirs[program]["paths"], abs=within)
            assert found.r2.to_dict() == pytest.approx(theirs[program]["r2"], abs=within)
            assert found.loadings.droplevel(0).to_dict() == pytest.approx(theirs[program]["loadings"], abs=within)
    assert "Expectation is measured too unreliably to be corrected: rho_A is 0.462" in found.headline()
    assert len(found.verdicts) == 1


def test_consistent_in_simulation():
    """Factors with a path of 0.6 and loadings of 0.6 to 0.8: PLS is too low, the correction within three
    standard errors, and its interval contains the truth."""
    rng = np.random.default_rng(2)
    n, loading = 4000, np.array([0.6, 0.7, 0.8])
    a = rng.normal(size=(n, 1))
    b = 0.6 * a + 0.8 * rng.normal(size=(n, 1))
    items = [f * loading + np.sqrt(1 - loading**2) * rng.normal(size=(n, 3)) for f in (a, b)]
    model = PathModel([Construct(c, [f"{c}{i}" for i in range(3)], low=-20, high=20) for c in "AB"], {"B": ["A"]})
    table = pd.DataFrame(np.hstack(items), columns=list(model.items))
    boot = bootstrap_pls(table, model, resamples=200, interval="percentile")
    found = consistent_pls(boot)
    row = found.table[found.table["quantity"] == "path"].iloc[0]
    assert boot.fit.paths["A", "B"] < 0.5
    assert abs(row["estimate"] - 0.6) < 3 * row["se"] and row["low"] < 0.6 < row["high"]
    spread = found.table[found.table["quantity"] == "loading"]["se"].to_numpy()
    assert (np.abs(found.loadings.to_numpy() - np.tile(loading, 2)) < 4 * spread).all()
    assert not found.verdicts


def test_single_items_and_mode_b_are_left_alone():
    """Where there is no rho_A there is nothing to correct."""
    rng = np.random.default_rng(4)
    values = 5.5 + rng.normal(size=(150, 1)) + rng.normal(size=(150, 3))
    model = PathModel([Construct("Q", ["q1", "q2"], mode="B"), Construct("L", ["l1"])], {"L": ["Q"]})
    fit = fit_pls(pd.DataFrame(values.clip(1, 10), columns=list(model.items)), model)
    found = consistent_pls(fit)
    assert found.paths.to_numpy() == pytest.approx(fit.paths.to_numpy())
    assert found.loadings.to_numpy() == pytest.approx(fit.loadings.to_numpy())


SIX = [Construct(name, [f"{name}{i}" for i in range(3)], low=-20, high=20) for name in "DEFXZY"]
PATHS = {"H->Y": 0.3, "X->Y": 0.2, "Z->Y": 0.4}


def second_order(mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of the items that follow from 0.3 H + 0.2 X + 0.4 Z, and what ties dimensions to H.

    Mode A: H stands behind its dimensions with loadings 0.7, 0.8, 0.9. Mode B: they form it by weights 5 : 4 : 3 and
    correlate 0.4. Items load 0.6, 0.7, 0.8.
    """
    loading = np.array([0.7, 0.8, 0.9])
    dimensions = np.where(np.eye(3), 1.0, np.outer(loading, loading) if mode == "A" else 0.4)
    weight = np.array([5.0, 4.0, 3.0])
    weight /= np.sqrt(weight @ dimensions @ weight)
    tied = loading if mode == "A" else dimensions @ weight
    outer = np.array([[1, 0.3, 0.4], [0.3, 1, 0.2], [0.4, 0.2, 1]])  # H, X, Z
    outer = np.vstack([np.column_stack([outer, outer @ [0.3, 0.2, 0.4]]), [*(outer @ [0.3, 0.2, 0.4]), 1]])
    notion = np.eye(6)
    notion[:3, :3], notion[3:, 3:] = dimensions, outer[1:, 1:]
    notion[:3, 3:] = np.outer(tied, outer[0, 1:])
    notion[3:, :3] = notion[:3, 3:].T
    items = np.kron(np.eye(6), np.array([[0.6], [0.7], [0.8]]))
    return np.where(np.eye(18), 1.0, items @ notion @ items.T), tied if mode == "A" else weight


def whole(n: int, correlation: np.ndarray, exact: bool, seed: int = 0) -> pd.DataFrame:
    """Respondents drawn from the population, or whose correlations are the population's to the last digit."""
    z = np.random.default_rng(seed).normal(size=(n, len(correlation)))
    if exact:
        z -= z.mean(axis=0)
        z = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / n)).T
    return pd.DataFrame(z @ np.linalg.cholesky(correlation).T, columns=[i for c in SIX for i in c.items])


def higher(mode: str) -> PathModel:
    """D, E and F are the dimensions of H."""
    return PathModel(SIX, {"Y": ["H", "X", "Z"]}, higher_order=[HigherOrder("H", list("DEF"), mode=mode)])


@pytest.mark.parametrize("mode", ["A", "B"])
@pytest.mark.parametrize("scheme", ["path", "factorial", "centroid"])
def test_higher_order_is_the_population_s(mode, scheme):
    """From the population's correlations come its paths, loadings and weights, which two plain stages miss."""
    correlation, tied = second_order(mode)
    fit = fit_pls(whole(100, correlation, exact=True), higher(mode), scheme=scheme, tolerance=1e-12)
    found = consistent_pls(fit)
    assert {f"{s}->{t}": v for (s, t), v in found.paths.items()} == pytest.approx(PATHS, abs=1e-7)
    assert (found.loadings["H"] if mode == "A" else found.weights["H"]).to_numpy() == pytest.approx(tied, abs=1e-7)
    assert found.loadings["Y"].to_numpy() == pytest.approx([0.6, 0.7, 0.8], abs=1e-7)
    assert found.r2["Y"] == pytest.approx(0.3 * 0.52 + 0.2 * 0.37 + 0.4 * 0.56, abs=1e-7)
    assert fit.paths["H", "Y"] < 0.28 and not found.verdicts
    if mode == "B":
        assert list(found.table[found.table["quantity"] == "weight"]["name"]) == ["H:D", "H:E", "H:F"]


@pytest.mark.parametrize(
    ("mode", "surveys"), [("A", 12), ("B", 12), *(pytest.param(m, 400, marks=pytest.mark.prove) for m in "AB")]
)
def test_higher_order_in_simulation(mode, surveys):
    """Over surveys of 600 the mean of the corrected paths is the truth, and intervals hold it as often as they say."""
    correlation, _ = second_order(mode)
    rows, held = [], []
    for seed in range(surveys):
        boot = bootstrap_pls(whole(600, correlation, False, seed), higher(mode), resamples=150, interval="percentile")
        table = consistent_pls(boot).table
        table = table[table["quantity"] == "path"].set_index("name").loc[list(PATHS)]
        rows.append(table["estimate"])
        held.append((table["low"] <= list(PATHS.values())) & (table["high"] >= list(PATHS.values())))
    error = np.std(rows, axis=0, ddof=1) / np.sqrt(surveys)
    assert (np.abs(np.mean(rows, axis=0) - list(PATHS.values())) < np.maximum(4 * error, 0.01)).all()
    assert np.mean(held) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / (2 * surveys))


def test_dimensions_without_common_factor_are_named():
    """A dimension whose items hardly agree is said to be too unreliable, or refused, and never a number with nan."""
    correlation, _ = second_order("A")
    table = whole(200, correlation, exact=False)
    noise = np.random.default_rng(3).normal(size=(200, 2))
    found = fit_pls(table.assign(D0=noise[:, 0], D1=noise[:, 1]), higher("A"))
    try:
        said = consistent_pls(found).headline()
    except CannotAnswer as refused:
        said = str(refused)
    assert "D is measured too unreliably" in said or "too unreliable (rho_A D" in said
    assert "nan" not in said
