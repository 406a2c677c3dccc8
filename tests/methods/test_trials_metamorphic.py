"""What must change nothing: order, names, dtypes, units, constants, ids; in predictions and the adjusted effect."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from workbench.methods.experiment.members import features_of
from workbench.studies.observational import effect_on_treated
from workbench.studies.uplift import Trees, predict_offers, predict_uplift, value_offers

QUICK = Trees(rounds=8, rate=0.2)
FEATURES = ["bill", "tenure", "vip", "new", "town", "plan"]


def members(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Two flags of exactly half, tied categories and whole numbers: as many ties as a list of customers has."""
    rng = np.random.default_rng([5, seed])
    t = rng.permutation(np.arange(n) % 2)
    table = pd.DataFrame({"id": np.arange(n) + 1_000, "t": t, "bill": np.round(rng.gamma(2, 40, n), 2)})
    table["tenure"] = rng.integers(1, 9, n)
    table["vip"], table["new"] = (rng.permutation(np.arange(n) % 2) for _ in range(2))
    table["town"], table["plan"] = (rng.permutation(np.resize(list("ABCD"), n)) for _ in range(2))
    table["bought"] = (rng.random(n) < 0.2 + 0.2 * t * (table["town"] == "A")).astype(int)
    table["spend"] = np.round(table["bought"] * rng.gamma(2, 20, n), 2)
    return table


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns=dict(zip(FEATURES, ["z", "y", "x", "w", "v", "u"], strict=True)))


SAME = {
    "rows": lambda t: t.sample(frac=1, random_state=1),
    "columns": lambda t: t[t.columns[::-1]],
    "names": renamed,
    "constant": lambda t: t.assign(one=1, none=np.nan, word="x"),
    "fen": lambda t: t.assign(bill=(t["bill"] * 100).round()),
    "text ids": lambda t: t.assign(id=t["id"].astype(str)),
    "labels": lambda t: t.assign(town=t["town"].map(dict(zip("ABCD", "YXWZ", strict=True)))),
    "nullable": lambda t: t.convert_dtypes(),
    "arrow": lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
    "category": lambda t: t.assign(town=t["town"].astype("category"), plan=t["plan"].astype("category")),
    "decimal": lambda t: t.assign(bill=t["bill"].map(lambda v: Decimal(str(v)))),
    "booleans": lambda t: t.assign(vip=t["vip"] == 1, t=t["t"] == 1),
    "arm by name": lambda t: t.assign(t=t["t"].map({0: "control", 1: "call"})),
}


def asked(name: str, change) -> tuple[pd.DataFrame, list[str]]:
    """The changed table, and its features, last first where columns change places."""
    table, features = change(members()), list(FEATURES)
    if name == "columns":
        features = features[::-1]
    if name == "names":
        features = ["z", "y", "x", "w", "v", "u"]
    return table, features + ["one", "none", "word"] * (name == "constant")


@pytest.fixture(scope="module")
def plain() -> pd.Series:
    return predict_uplift(members(), outcome="bought", treatment="t", features=FEATURES, trees=QUICK)


@pytest.mark.parametrize("name", SAME)
def test_predictions_stay(name, plain):
    """Each member has exactly the same prediction, ties among features, outcomes and members included."""
    table, features = asked(name, SAME[name])
    found = predict_uplift(table, outcome="bought", treatment="t", features=features, trees=QUICK)
    pd.testing.assert_series_equal(found.reindex(plain.index), plain, check_exact=True)


def test_an_outcome_in_fen_is_predicted_in_fen():
    """A hundred times the outcome is a hundred times the prediction."""
    table = members()
    how = {"treatment": "t", "features": FEATURES, "trees": QUICK}
    yuan = predict_uplift(table, outcome="spend", **how)
    fen = predict_uplift(table.assign(spend=table["spend"] * 100), outcome="spend", **how)
    assert fen.to_numpy() == pytest.approx(100 * yuan.to_numpy(), rel=1e-12)


def test_twins_are_told_apart_by_the_rest_of_their_row():
    """Members alike in features, outcome and arm keep their order by what else is known, whatever the file's order."""
    table = members().assign(vip=0, new=0, bill=1.0, tenure=2, town="A", plan="B")
    table["redeemed"] = np.random.default_rng(3).integers(0, 5, len(table))
    y, arm = table["bought"].to_numpy(float), table["t"].to_numpy()
    first = table.iloc[features_of(table, FEATURES, y, arm).order].drop(columns="id").to_numpy()
    other = table.sample(frac=1, random_state=2).reset_index(drop=True)
    other = other.assign(id=other["id"].map(lambda v: f"c{v * 7919 % 10_007}"))
    y, arm = other["bought"].to_numpy(float), other["t"].to_numpy()
    again = other.iloc[features_of(other, FEATURES, y, arm).order].drop(columns="id").to_numpy()
    assert (first == again).all()


ADJUSTED = {"outcome": "spend", "treatment": "t", "draws": 1, "clusters": "home"}


@pytest.fixture(scope="module")
def adjusted():
    """The adjusted effect of the table as it is."""
    return effect_on_treated(members().assign(home=lambda t: t["id"] // 2), covariates=FEATURES, **ADJUSTED)


@pytest.mark.parametrize(
    "name", ["rows", "columns", "names", "constant", "fen", "text ids", "nullable", "arrow", "decimal"]
)
def test_the_adjusted_effect_stays(name, adjusted):
    """Estimate, error, overlap and the refusals are the same to rounding, households whatever they are called."""
    table, features = asked(name, SAME[name])
    home = table["id"].astype(str).str.extract(r"(\d+)")[0].astype(int) // 2
    found = effect_on_treated(table.assign(home="h" + home.astype(str)), covariates=features, **ADJUSTED)
    for value in ("estimate", "se", "low", "high", "effective_controls", "overlap_share"):
        assert getattr(found, value) == pytest.approx(getattr(adjusted, value), rel=1e-7), value
    assert len(found.doubts) == len(adjusted.doubts)


def three_arms() -> pd.DataFrame:
    table = members(900)
    arm = np.random.default_rng(1).permutation(np.repeat(["control", "gift", "price"], 300))
    return table.assign(arm=arm)


OFFERED = {"outcome": "spend", "arm": "arm", "trees": QUICK}
MONEY = OFFERED | {"margin": 0.5, "response": "bought"}


@pytest.fixture(scope="module")
def offered():
    """Predictions by offer, and the money of the choice, of the table as it is."""
    how = {"features": FEATURES, "costs": {"gift": 0.3, "price": 0.2}, "incentives": {"gift": 1.0, "price": 2.0}}
    first = predict_offers(three_arms(), features=FEATURES, repeats=1, **OFFERED)
    return first, value_offers(three_arms(), **how, **MONEY)


@pytest.mark.parametrize(
    "name", ["rows", "columns", "names", "constant", "fen", "text ids", "labels", "arrow", "offers"]
)
def test_offers_stay(name, offered):
    """Predictions by offer, and the money of the choice, are the same, also where offers are called otherwise."""
    first, plain = offered
    calls = {"gift": "z", "price": "a"} if name == "offers" else {"gift": "gift", "price": "price"}
    change = SAME.get(name, lambda t: t)
    table, features = change(three_arms().assign(arm=lambda t: t["arm"].replace(calls))), asked(name, lambda t: t)[1]
    found = predict_offers(table, features=features, repeats=1, **OFFERED)
    for offer, called in calls.items():
        assert found[called].reindex(first.index).to_numpy() == pytest.approx(
            first[offer].to_numpy(), rel=1e-9, abs=1e-12
        )
    costs = {"costs": {calls["gift"]: 0.3, calls["price"]: 0.2}}
    costs |= {"incentives": {calls["gift"]: 1.0, calls["price"]: 2.0}}
    again = value_offers(table, features=features, **costs, **MONEY)
    assert again.net.estimate == pytest.approx(plain.net.estimate, rel=1e-9)
    assert (again.net.low, again.advantage.high) == pytest.approx((plain.net.low, plain.advantage.high), rel=1e-9)
