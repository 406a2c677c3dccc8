"""The intervals of the uplift study hold the truth as often as they say, in campaigns whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from workbench.studies.uplift import average_effect, effect_groups, predict_uplift, targeting, uplift_curve
from workbench.studies.uplift.policy import Costs, Rows, assessed

MARGIN, CONTACT = 0.5, 0.6
DEPTHS = 0.1, 0.4


@dataclass(frozen=True)
class World:
    """A population of campaigns: `slope` of the effect in x, share of treated, share of members who buy at all."""

    slope: float
    share: float = 0.5
    buyers: float = 0.3
    level: float = 1.0

    def draw(self, members: int, seed: int) -> pd.DataFrame:
        """Draw a campaign; `tau` is the individual effect, `score` a noisy guess of it made before the campaign."""
        rng = np.random.default_rng(seed)
        x = rng.random(members)
        treated = rng.permutation(np.arange(members) < round(self.share * members))
        tau = self.level + self.slope * (x - 0.5)
        buys = rng.random(members) < self.buyers
        base = np.where(buys, rng.gamma(2.0, 4.0, members), 0.0)
        habit = base + 2 * np.random.default_rng([seed, 1]).standard_normal(members)
        y = base + treated * np.where(buys, tau / self.buyers, 0.0)
        score = x + 0.3 * rng.standard_normal(members)
        noise = rng.standard_normal(members)
        columns = {"treated": treated, "y": y, "x": x, "tau": tau, "score": score, "noise": noise, "habit": habit}
        return pd.DataFrame(columns)

    def truth(self) -> Truth:
        """The population's values, from a million members."""
        crowd = self.draw(1_000_000, 10**6).sort_values("score", ascending=False)
        share = np.arange(1, len(crowd) + 1) / len(crowd)
        gain = crowd["tau"].to_numpy().cumsum() / len(crowd)
        excess = float((gain - share * gain[-1]).mean())
        autoc = float((gain / share - gain[-1]).mean())
        return Truth(crowd["score"].to_numpy()[::-1], share, gain, excess, autoc)


@dataclass(frozen=True)
class Truth:
    """Ascending scores, and share and gain at each depth of the population, its Qini excess and its AUTOC."""

    ascending: np.ndarray
    share: np.ndarray
    gain: np.ndarray
    excess: float
    autoc: float

    def net(self, cut: float) -> float:
        """Net per customer of contacting those with at least this score."""
        count = len(self.ascending) - np.searchsorted(self.ascending, cut)
        return 0.0 if count == 0 else float(MARGIN * self.gain[count - 1] - CONTACT * count / len(self.share))

    def best_share(self) -> float:
        """Share with the highest net."""
        return float(self.share[(MARGIN * self.gain - CONTACT * self.share).argmax()])


def holds(world: World, runs: int, members: int = 4_000, *, adjust: bool = False) -> pd.Series:
    """Share of the intervals printed that hold their truth (NaN below 100), and of runs that a random score wins."""
    truth, rows = world.truth(), []
    how = {"outcome": "y", "treatment": "treated"}
    for run in range(runs):
        table = world.draw(members, run)
        effect = average_effect(table, **how)
        lin = average_effect(table, covariates=["x"], **how)
        curve = uplift_curve(table, score="score", resamples=200, rng=run, **how)
        toc = uplift_curve(table, score="score", kind="toc", resamples=200, rng=run, **how)
        money = {"margin": MARGIN, "contact_cost": CONTACT, "resamples": 200, "rng": run}
        target = targeting(table, score="score", **money, **how)
        lost = targeting(table, score="noise", **money, **how)
        lean = targeting(table, score="score", adjust=["x", "habit"], **money, **how) if adjust else target
        wide, narrow = (band.iloc[(band["share"] - 0.4).abs().argmin()] for band in (target.curve, lean.curve))
        above, net_at = truth.gain / truth.share - truth.gain[-1], MARGIN * truth.gain - CONTACT * truth.share
        bands = {
            "curve": (curve.points, truth.gain),
            "TOC": (toc.points, above),
            "budget curve": (target.curve, net_at),
            "budget curve, adjusted": (lean.curve, net_at),
        }
        plan = _plan(table, run)
        net = sum(w * truth.net(cut) for w, cut in zip(plan.weights, plan.cuts, strict=True))
        rows.append(
            {
                "effect": _held(effect.low, world.level, effect.high),
                "effect, adjusted": _held(lin.low, world.level, lin.high),
                "Qini excess": _held(curve.low, truth.excess, curve.high),
                "AUTOC": _held(toc.area_low, truth.autoc, toc.area_high),
                "width, adjusted": (narrow["high"] - narrow["low"]) / (wide["high"] - wide["low"]),
                "net at chosen share": _held(target.net_low, net, target.net_high),
                "best share": target.best_share_low - 0.006 <= truth.best_share() <= target.best_share_high + 0.006,
                "random score wins": lost.verdict == "works and targetable",
                "score wins": target.verdict == "works and targetable",
            }
            | {f"{name} at {at:.0%}": _covers(*bands[name], truth.share, at) for name in bands for at in DEPTHS}
        )
    table = pd.DataFrame(rows, dtype=float)
    return table.mean().where(table.count() >= min(runs, 100))


def _held(low: float, true: float, high: float) -> float:
    """1 or 0, NaN where no interval was printed."""
    return np.nan if np.isnan(low) else float(low <= true <= high)


def _covers(band: pd.DataFrame, true: np.ndarray, share: np.ndarray, at: float) -> float:
    row = band.iloc[(band["share"] - at).abs().argmin()]
    return _held(row["low"], np.interp(row["share"], share, true), row["high"])


def _plan(table: pd.DataFrame, rng: int):
    rows = Rows(table["y"].to_numpy(), np.zeros(len(table)), table["treated"].to_numpy())
    return assessed(rows, table["score"].to_numpy(), Costs(MARGIN, CONTACT, 0.0, 0.0), rng)


def _require(found: pd.Series, runs: int) -> None:
    """Coverage within three standard errors of 95%, the best share's at least that; a random score wins at most 5%."""
    allowed = 3 * np.sqrt(0.95 * 0.05 / runs)
    bands = [name for name in found.index if " at " in name and name.endswith("%")]
    assert len(bands) == 4 * len(DEPTHS)
    for name in ("effect", "effect, adjusted", "Qini excess", "AUTOC", "net at chosen share", *bands):
        silent = name.endswith("at 10%") and np.isnan(found[name])  # a tenth of the list may hold too few buyers
        assert silent or abs(found[name] - 0.95) <= allowed, (name, found[name])
    assert found["best share"] >= 0.95 - allowed
    assert found["random score wins"] <= 0.05 + allowed


@pytest.mark.prove
def test_intervals_hold_the_truth_where_effects_differ():
    """In 50 campaigns with heterogeneous effects every interval covers within three standard errors of 95%."""
    _require(holds(World(slope=4.0), 50, 2_000), 50)


@pytest.mark.prove
@pytest.mark.parametrize(
    "world",
    [
        World(slope=4.0),
        World(slope=0.0),
        World(slope=4.0, share=0.9),
        World(slope=4.0, buyers=0.03),
        World(slope=4.0, level=0.0),
    ],
    ids=["differing", "alike", "90/10", "rare buyers", "no mean effect"],
)
def test_coverage_over_a_thousand_campaigns(world):
    """Every interval covers within three standard errors of 95% over 1,000 campaigns of each kind."""
    found = holds(world, 1_000)
    print(f"\n{world}\n{found.round(3).to_string()}")
    _require(found, 1_000)


def alike_campaigns_with_a_finding(runs: int, validation: str) -> pd.Series:
    """Share of campaigns without any effect in which curve and calibration slope find differences (one-sided 2.5%)."""
    found = []
    for seed in range(runs):
        rng = np.random.default_rng([7, seed])
        x = pd.DataFrame(rng.standard_normal((3_000, 5)), columns=list("abcde"))
        y = 200 + 20 * x["a"] + 10 * x["b"] + 60 * rng.standard_normal(len(x))
        members = x.assign(y=y, treated=rng.random(len(x)) < 0.8)
        how = {"outcome": "y", "treatment": "treated"}
        score = predict_uplift(members, features=list("abcde"), validation=validation, rng=seed, **how)
        judged = members.assign(score=score).dropna(subset="score")
        curve = uplift_curve(judged, score="score", resamples=200, rng=seed, **how)
        groups = effect_groups(judged, score="score", **how)
        found.append({"curve": curve.low > 0, "calibration slope": groups.slope_low > 0})
    return pd.DataFrame(found).mean()


@pytest.mark.prove
def test_sequential_predictions_find_nothing_where_nothing_is():
    """Where all members are alike, predictions judged in sequence find differences in 2.5% of 400 campaigns."""
    found = alike_campaigns_with_a_finding(400, "sequential")
    print(f"\nmembers alike, found to differ (sequential)\n{found.round(3).to_string()}")
    assert (found <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)).all()


@pytest.mark.prove
def test_adjusting_the_budget_curve_narrows_it():
    """Over 1,000 campaigns with a telling covariate the adjusted band is about half as wide and covers as it says."""
    found = holds(World(slope=4.0), 1_000, 2_000, adjust=True)
    print(f"\nadjusted\n{found.round(3).to_string()}")
    _require(found, 1_000)
    assert found["width, adjusted"] < 0.55
