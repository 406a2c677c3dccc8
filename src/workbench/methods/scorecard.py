"""Points for a yes or no: bins, weight of evidence, information value, and a card that a person can add up.

More points are better: `event` is what nobody wants (leaving, not paying), and each bin has its points. Missing values
have a bin of their own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from workbench.columns import number
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Label, Listed, say
from workbench.methods.ranking import auc
from workbench.methods.regression import separated

MOST, SMALLEST = 6, 0.03  # bins of a feature, and the least share of the rows in one
_DIFFERENT = 6.635  # chi-square of one degree of freedom at 1%
_COLUMNS = ("feature", "above", "to", "points")


@dataclass(frozen=True)
class Scale:
    """What points mean: `base` points at odds of `odds` good to 1 bad; `double` points more double the odds.

    >>> round(Scale().factor, 6), round(Scale().offset, 6)
    (28.853901, 487.122876)
    """

    base: float = 600.0
    odds: float = 50.0
    double: float = 20.0

    @property
    def factor(self) -> float:
        """Points a unit of the log odds."""
        return float(self.double / np.log(2))

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return float(self.base - self.factor * np.log(self.odds))

    def points(self, logit: np.ndarray) -> np.ndarray:
        """Points at log odds of the event, bad to good."""
        return self.offset - self.factor * np.asarray(logit, float)

    def probability(self, points: np.ndarray) -> np.ndarray:
        """Probability of the event at points."""
        chance: np.ndarray = 1 / (1 + np.exp((np.asarray(points, float) - self.offset) / self.factor))
        return chance


def evidence(codes: np.ndarray, event: np.ndarray, *, add: float = 0.0) -> pd.DataFrame:
    """Weight of evidence of each bin: ln(share of the good / share of the bad), and its part of the information value.

    Parameters
    ----------
    codes : array, shape (n,)
        Bin of each row; any values that sort.
    event : array of bool, shape (n,)
    add : float
        Added to both counts of each bin, so that a bin without events has a finite weight: 0.5 for a card, 0 for the
        published information value.

    Returns
    -------
    DataFrame
        One row a bin, by `codes`: n, events, woe, information; information.sum() is the information value.

    Examples
    --------
    >>> evidence(np.array([0, 0, 0, 1, 1, 1]), np.array([1, 0, 0, 1, 1, 0])).round(4).to_numpy().tolist()
    [[3.0, 1.0, 0.6931, 0.231], [3.0, 2.0, -0.6931, 0.231]]
    """
    bins, place = np.unique(codes, return_inverse=True)
    n, bad = np.bincount(place), np.bincount(place, np.asarray(event, float))
    good, events = n - bad + add, bad + add
    with np.errstate(divide="ignore", invalid="ignore"):
        share_good, share_bad = good / good.sum(), events / events.sum()
        woe = np.log(share_good) - np.log(share_bad)
        found = {"n": n, "events": bad.astype(int), "woe": woe, "information": (share_good - share_bad) * woe}
    return pd.DataFrame(found, index=pd.Index(bins, name="bin"))


def cuts(values: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Where to cut a number, so that bins differ most in the event, ends belonging to the left.

    Leaves of one tree, at most `MOST`, of which neighbours that do not differ at 1% are joined.

    Parameters
    ----------
    values : array, shape (n,)
        NaN are left out.

    Returns
    -------
    array, sorted; empty where no cut separates anything
    """
    from sklearn.tree import DecisionTreeClassifier

    known = ~np.isnan(values)
    distinct, rank = np.unique(values[known], return_inverse=True)
    if len(distinct) < 2:
        return np.empty(0)
    least = max(2, int(np.ceil(SMALLEST * len(values))))
    tree = DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=MOST, min_samples_leaf=least, random_state=0)
    tree.fit(rank[:, None], event[known])  # ranks: a tree rounds to single precision
    at = np.floor(np.unique(tree.tree_.threshold[tree.tree_.feature >= 0])).astype(int)
    return _different(distinct[at], values[known], event[known])


def _different(ends: np.ndarray, values: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Drop cuts between neighbours whose shares of events do not differ (chi-square, 1%), the most alike first."""
    while len(ends):
        place = np.searchsorted(ends, values)
        n, bad = np.bincount(place, minlength=len(ends) + 1), np.bincount(place, event, len(ends) + 1)
        both = (bad[1:] + bad[:-1]) / (n[1:] + n[:-1])
        error = both * (1 - both) * (1 / n[1:] + 1 / n[:-1])
        gap = (bad[1:] / n[1:] - bad[:-1] / n[:-1]) ** 2
        alike = np.where(error > 0, gap / np.maximum(error, 1e-300), 0.0)
        if alike.min() > _DIFFERENT:
            break
        ends = np.delete(ends, int(alike.argmin()))
    return ends


@dataclass(frozen=True, eq=False)
class Card:
    """A card of points.

    Attributes
    ----------
    terms : DataFrame
        One row a bin: feature, above (exclusive), to (inclusive), points; both ends NaN in the bin of missing values.
        Fitted ones have n, events, woe and, the same in each bin of a feature, information (its value) and weight.
    scale : Scale
        What the sum of points means.
    """

    terms: pd.DataFrame
    scale: Scale = Scale()

    def __post_init__(self) -> None:
        require_columns(self.terms, _COLUMNS, "card")
        for feature, rows in self.terms.groupby("feature", sort=False):
            ends = rows[["above", "to"]].to_numpy(float)
            ends = ends[~np.isnan(ends).all(axis=1)]
            ends = ends[np.argsort(ends[:, 0])]
            whole = len(ends) >= len(rows) - 1 and len(ends) and ends[0, 0] == -np.inf and ends[-1, 1] == np.inf
            if not (whole and (ends[1:, 0] == ends[:-1, 1]).all() and np.isfinite(rows["points"]).all()):
                raise WorkbenchError(
                    "card: the bins of '{feature}' leave a gap, overlap, stand twice or lack points. Each bin begins "
                    "where the one before ends, the first has no 'above', the last no 'to'."
                ).of(feature)

    @property
    def features(self) -> list[str]:
        """Names of the columns that the card reads."""
        return list(dict.fromkeys(self.terms["feature"]))

    def points(self, table: pd.DataFrame, *, whole: bool = True) -> np.ndarray:
        """Add up the points of each row, shape (n,); `whole` rounds those of each bin, as on paper.

        Raises
        ------
        WorkbenchError
            If a feature lacks, is not numeric, or is missing in rows for which the card has no bin.
        """
        require_columns(table, self.features, "customers")
        total = np.zeros(len(table))
        for feature, rows in self.terms.groupby("feature", sort=False):
            values = number(table[feature], feature, missing="keep")
            told = rows[rows["to"].notna()].sort_values("to")
            none = rows.loc[rows["to"].isna(), "points"].to_numpy(float)
            gone = np.isnan(values)
            if gone.any() and not len(none):
                raise WorkbenchError(
                    "'{feature}' is missing in {n} rows, and the card has no bin for missing values: add one (a bin "
                    "with missing = true), or leave those rows out."
                ).of(feature, gone.sum())
            each: np.ndarray = np.r_[told["points"].to_numpy(float), none]
            place = np.searchsorted(told["to"].to_numpy(float), values)
            place[gone] = len(told)
            points = np.round(each) if whole else each
            total += points[place]
        return total

    def probability(self, table: pd.DataFrame, *, whole: bool = True) -> np.ndarray:
        """Probability of the event that the points of each row stand for, shape (n,)."""
        return self.scale.probability(self.points(table, whole=whole))

    def rounding(self, table: pd.DataFrame) -> float:
        """By how much whole points move a probability at most."""
        return float(np.abs(self.probability(table) - self.probability(table, whole=False)).max())


def read_card(path: str | Path) -> Card:
    """Read a card from a TOML file: [scale] with base, odds, double, and [[bin]] with feature, above, to, points.

    Raises
    ------
    WorkbenchError
        If the file is none, or its bins leave a gap.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        rows = [
            {"above": -np.inf, "to": np.inf, **row} | ({"above": np.nan, "to": np.nan} if row.get("missing") else {})
            for row in found["bin"]
        ]
        return Card(pd.DataFrame(rows)[list(_COLUMNS)], Scale(**found.get("scale", {})))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WorkbenchError(
            "can't read the card {path}: {error}. It has [scale] with base, odds, double, and a [[bin]] with feature, "
            "above, to and points for each bin."
        ).of(path, error) from None


def fit_card(table: pd.DataFrame, event: np.ndarray, features: Sequence[str]) -> Card:
    """Fit a card: each feature cut by `cuts`, its bins weighed by evidence, the weights a logistic regression.

    Parameters
    ----------
    table : DataFrame
        One row a unit; features numeric, missing values allowed.
    event : array of bool, shape (n,)
    features : sequence of str
        Their order does not matter; those that separate nothing are left out, and those whose weight would turn round
        as others say the same already.

    Raises
    ------
    CannotAnswer
        If there are fewer than 10 events, or 10 others, for each feature, or nothing separates them.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards, Wiley.
    """
    event, scale = np.asarray(event, bool), Scale()
    read = {feature: number(table[feature], feature, missing="keep") for feature in sorted(features)}
    fewest = int(min(event.sum(), (~event).sum()))
    if fewest < 10 * max(len(read), 1):
        raise CannotAnswer(
            say(
                "not answerable: {n} events (or others) for {k} features; a card takes 10 for each. Take a longer time "
                "or fewer features.",
                n=fewest,
                k=len(read),
            )
        )
    found, columns = [], []
    for feature, values in read.items():
        edges = np.r_[-np.inf, cuts(values, event), np.inf]
        gone = np.isnan(values)
        codes = np.where(gone, len(edges) - 1, np.searchsorted(edges[1:], values))
        told = evidence(codes, event, add=0.5)
        if len(told) < 2:
            continue
        ends = np.append(edges, [np.nan])
        frame = told.assign(feature=feature, above=ends[told.index], to=ends[np.minimum(told.index + 1, len(edges))])
        frame.loc[frame.index == len(edges) - 1, ["above", "to"]] = np.nan
        found.append(frame.assign(information=told["information"].sum()))
        columns.append(told["woe"].reindex(codes).to_numpy())
    if not found:
        raise CannotAnswer(say("not answerable: {names} separate nothing.", names=Listed([Label(f) for f in features])))
    weights, constant = _logistic(np.column_stack(columns), event)
    while (weights > 0).any() and len(found) > 1:  # it would give points for the worse: the others say it already
        worst = int(weights.argmax())
        found, columns = found[:worst] + found[worst + 1 :], columns[:worst] + columns[worst + 1 :]
        weights, constant = _logistic(np.column_stack(columns), event)
    share = scale.offset / len(found), scale.factor * constant / len(found)
    rows = [
        frame.assign(weight=weight, points=share[0] - share[1] - scale.factor * weight * frame["woe"])
        for frame, weight in zip(found, weights, strict=True)
    ]
    order = [*_COLUMNS, "n", "events", "woe", "information", "weight"]
    return Card(pd.concat(rows, ignore_index=True)[order], scale)


def _logistic(x: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients and constant of the log odds of the event."""
    from statsmodels.api import GLM, add_constant, families

    if separated(*_distinct(x, event), constant=True).any():
        raise CannotAnswer(say("not answerable: the features tell the event for sure in some rows; one may know it."))
    fit = GLM(event.astype(float), add_constant(x, has_constant="add"), family=families.Binomial()).fit()
    return fit.params[1:], float(fit.params[0])


def _distinct(x: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.unique(np.column_stack([x, event]), axis=0)
    return rows[:, :-1], rows[:, -1]


def _distance(score: np.ndarray, event: np.ndarray) -> float:
    """Largest distance of the distributions of events and others (Kolmogorov and Smirnov)."""
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(event, score)
    return float(np.abs(true - false).max())


def compare(scores: dict[str, np.ndarray], event: np.ndarray, level: float = 0.95) -> pd.DataFrame:
    """How well two scores order events: auc with low, high, and ks, a row a score, then their difference.

    >>> event, scores = np.array([0, 0, 1, 0], bool), {"a": np.array([1, 2, 3, 3]), "b": np.zeros(4)}
    >>> compare(scores, event)[["auc", "ks"]].round(4).to_numpy().tolist()
    [[0.8333, 0.6667], [0.5, 0.0], [0.3333, 0.6667]]

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two correlated ROC curves, Biometrics 44.
    """
    found = [auc(event, score) for score in scores.values()]
    parts = [found[0][1], found[1][1], found[0][1] - found[1][1]]
    half = norm.isf((1 - level) / 2) * np.array([np.sqrt((part**2).sum()) for part in parts])
    rows = [
        {"order": name, "auc": value, "ks": _distance(score, event)}
        for (name, score), (value, _) in zip(scores.items(), found, strict=True)
    ]
    table = pd.DataFrame(rows)
    gain = table[["auc", "ks"]].iloc[0] - table[["auc", "ks"]].iloc[1]
    table = pd.concat([table, pd.DataFrame([{"order": "difference", **gain}])], ignore_index=True)
    return table.assign(low=table["auc"] - half, high=table["auc"] + half)[["order", "auc", "low", "high", "ks"]]
