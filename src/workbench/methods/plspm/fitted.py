"""A fitted path model. Can its measurement be trusted? Verdicts as sentences, with the thresholds of the field.

References
----------
Fornell & Larcker (1981), JMR 18 (AVE). Henseler, Ringle & Sarstedt (2015), JAMS 43 (HTMT). Ringle, Sarstedt, Sinkovics
& Sinkovics (2023), Data in Brief 48 (HTMT+). Dijkstra & Henseler (2015), MIS Quarterly 39 (rho_A). Hair, Risher,
Sarstedt & Ringle (2019), European Business Review 31 (VIF of items).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from workbench.figures import Axes
from workbench.messages import Listed, Message, Number, say
from workbench.methods.plspm.batch import SINGULAR, Scheme
from workbench.methods.plspm.diagram import path_diagram
from workbench.methods.plspm.model import PathModel
from workbench.result import Quantity, Result

RELIABLE = 0.7
VARIANCE = 0.5
DISTINCT = 0.9
COLLINEAR = 5.0
PER_COEFFICIENT = 10


@dataclass(frozen=True, eq=False)
class PlsFit(Result):
    """A path model fitted by partial least squares.

    Attributes
    ----------
    scheme : {"path", "factorial", "centroid"}
    weights, loadings : Series by (construct, item)
        Outer weights that give scores of variance 1; correlations of items with their construct.
    unstandardised_weights : Series by (construct, item)
        Weights of the answers as given, summing to 1 in each construct: those of the index.
    paths : Series by (source, target)
        Standardised path coefficients.
    total_effects, importance : Series by (source, target)
        Over all chains of paths: standardised; in points of the target's index per point of the source's (NaN where
        one of the two is not defined).
    r2 : Series by construct
        Share of variance explained, of constructs that paths lead to.
    index : Series by construct
        0-100; NaN where an outer weight is negative, or the ends of the scale are neither given nor shown by the
        answers (see `verdicts`).
    rho_a, rho_c, alpha, ave : Series by construct
        Reliability and average variance extracted; 1 for single items, NaN for mode B.
    htmt, correlations : DataFrame, construct by construct
        Heterotrait-monotrait ratio of absolute correlations (HTMT+); correlations of the scores.
    item_correlations : DataFrame, item by item
        As the fit saw them: weighted, gaps treated as `missing` says.
    n : int
        Respondents that count.
    n_effective : float
        After weighting (Kish).
    missing : int
        Answers not given.
    dropped : int
        Respondents left out for a missing answer.
    estimates : Series by (quantity, name)
        All of the above as `bootstrap_pls` names it; the index also where it is not defined.
    first : PlsFit or None
        The first stage, where the model has higher-order constructs or interactions; `model` and all else are then
        of the second, in which dimensions (0-100) and products of scores are items.
    unshown : dict of str to Message
        Constructs whose scale is neither given nor shown by the answers, each with a sentence that says so.
    scarce : dict of str to int
        Items that all but fewer than 10 respondents answered alike, with the number of those.
    """

    model: PathModel
    scheme: Scheme
    weights: pd.Series
    loadings: pd.Series
    unstandardised_weights: pd.Series
    paths: pd.Series
    total_effects: pd.Series
    importance: pd.Series
    r2: pd.Series
    index: pd.Series
    rho_a: pd.Series
    rho_c: pd.Series
    alpha: pd.Series
    ave: pd.Series
    htmt: pd.DataFrame
    correlations: pd.DataFrame
    item_correlations: pd.DataFrame
    iterations: int
    converged: bool
    n: int
    n_effective: float
    missing: int
    dropped: int
    estimates: pd.Series
    first: PlsFit | None = None
    unshown: dict[str, Message] = field(default_factory=dict)
    scarce: dict[str, int] = field(default_factory=dict)

    def quantities(self) -> Iterable[Quantity]:
        """Name the weights of the index, which all reports on a wave share."""
        for (_, item), weight in self.unstandardised_weights.items():
            yield Quantity(f"index_weight[item={item}]", float(weight), "1", rtol=1e-4)

    def headline(self) -> Message:
        """Say how well the model explains what it is about."""
        k, n = len(self.model.constructs), self.n
        said = say("{k} constructs fitted to {n} respondents WITHOUT convergence", k=k, n=n)
        if self.converged:
            said = say(
                "{k} constructs fitted to {n} respondents after {iterations} iterations",
                k=k,
                n=n,
                iterations=self.iterations,
            )
        if self.r2.isna().all():
            return say("{said}; no path can be told, as sources copy each other.", said=said)
        best = self.r2.idxmax()
        return say("{said}; {best} is explained best (R² {r2}).", said=said, best=best, r2=Number(self.r2[best], ".2f"))

    def summary(self) -> pd.DataFrame:
        """Tabulate the constructs: index, R2, reliability. (Intervals: `bootstrap_pls`.)"""
        columns = {"index": self.index, "r2": self.r2, "rho_a": self.rho_a, "rho_c": self.rho_c, "ave": self.ave}
        return pd.DataFrame(columns).reindex(list(self.model.names))

    def plot(self, ax: Axes | None = None, *, faint: Collection[tuple[str, str]] = ()) -> Axes:
        """Draw the model with its coefficients and R2; `faint` paths (source, target) are dashed."""
        return path_diagram(self.model, self.paths, self.r2, ax, faint=faint)

    @property
    def r2_adjusted(self) -> pd.Series:
        """R2 less what as many sources would explain by chance, by construct: 1 - (1 - R2)(n - 1)/(n - sources - 1)."""
        sources = pd.Series({target: len(self.model.paths[target]) for target in self.r2.index})
        return 1 - (1 - self.r2) * (self.n - 1) / (self.n - sources - 1)

    @property
    def verdicts(self) -> tuple[Message, ...]:
        """What an examiner would object to, one sentence each; empty if nothing."""
        return fit_verdicts(self)


def doubts_said(doubts: Sequence[str]) -> Message:
    """Say how many doubts there are."""
    if not doubts:
        return say("No doubts about the measurement")
    return say("{n} doubts about the measurement", n=len(doubts))


def fit_verdicts(fit: PlsFit) -> tuple[Message, ...]:
    """Say, one sentence each, what makes a fit doubtful."""
    said = []
    if not fit.converged:
        said.append(say("PLS did not converge in {n} iterations: do not use these numbers.", n=fit.iterations))
    said += dict.fromkeys(fit.unshown.values())
    said += [
        say(
            "{item}: all but {n} of the respondents gave the same answer, so its correlations rest on {n}.",
            item=item,
            n=count,
        )
        for item, count in fit.scarce.items()
    ]
    said += [
        say("The paths to {target} cannot be told: among its sources one is a combination of others.", target=target)
        for target in fit.model.order
        if target in fit.model.paths and np.isnan(fit.r2[target])
    ]
    said += _small_verdicts(fit)
    for name in fit.model.names:
        weights = fit.weights[name]
        for item, weight in weights[weights < 0].items():
            said.append(
                say(
                    "{name}: the outer weight of {item} is negative ({weight}), so the index of {name} is not defined. "
                    "Check the item's coding, or leave it out.",
                    name=name,
                    item=item,
                    weight=Number(weight, ".3f"),
                )
            )
    for stage in (fit.first, fit) if fit.first else (fit,):
        for name in stage.model.names:
            if stage is fit or name not in fit.model.names:
                said += _direction_verdicts(stage, name)
                said += _reliability_verdicts(name, stage.rho_a[name], stage.ave[name])
        said += _collinear_verdicts(stage, fit)
    said += [
        say(
            "{first} and {second} are hardly distinct: HTMT+ is {htmt}, above {limit}. Read their separate effects "
            "with care.",
            first=first,
            second=second,
            htmt=Number(value, ".3f"),
            limit=Number(DISTINCT, "g"),
        )
        for first, second, value in _pairs(fit.htmt)
        if value > DISTINCT
    ]
    return tuple(said)


def _small_verdicts(fit: PlsFit) -> list[Message]:
    """Say which regressions have fewer than ten respondents for each of their coefficients."""
    tasks = [
        say("{n} paths lead to {target}", n=len(sources), target=target)
        for target, sources in fit.model.paths.items()
        if fit.n < PER_COEFFICIENT * len(sources)
    ] + [
        say("{n} items form {construct}", n=len(c.items), construct=c.name)
        for c in fit.model.constructs
        if c.mode == "B" and fit.n < PER_COEFFICIENT * len(c.items)
    ]
    if not tasks:
        return []
    return [
        say(
            "{n} respondents are few for this model ({tasks}; ten each are the rule of thumb): weights and paths are "
            "uncertain.",
            n=fit.n,
            tasks=Listed(tasks, ";"),
        )
    ]


def _direction_verdicts(fit: PlsFit, name: str) -> list[Message]:
    """Say which items run against the others, and whether the construct's sign is more than a convention."""
    loadings, reflective = fit.loadings[name], fit.model.construct(name).mode == "A"
    against = loadings[loadings < 0]
    if len(loadings) < 2 or against.empty:
        return []
    said = []
    if reflective:
        values = (say("{item} {value}", item=item, value=Number(value, ".2f")) for item, value in against.items())
        said.append(
            say(
                "{name}: these items run against the others (loadings {values}). If they are worded the other way "
                "round, name them in reversed=.",
                name=name,
                values=Listed(values, ""),
            )
        )
    if 2 * len(against) == len(loadings):
        said.append(
            say(
                "{name}: as many items point down ({items}) as up, so which end of {name} is the high one is a "
                "convention, and the signs of its paths with it.",
                name=name,
                items=Listed(against.index, ""),
            )
        )
    return said


def item_inflation(fit: PlsFit) -> pd.Series:
    """VIF of every item among its construct's items, by (construct, item); of mode B with two items or more."""
    formed = [c for c in fit.model.constructs if c.mode == "B" and len(c.items) > 1]
    parts = {c.name: inflation(fit.item_correlations.loc[list(c.items), list(c.items)].to_numpy()) for c in formed}
    rows = {(c.name, item): value for c in formed for item, value in zip(c.items, parts[c.name], strict=True)}
    return pd.Series(rows, index=pd.MultiIndex.from_tuples(rows, names=["construct", "item"]), dtype=float, name="vif")


def inflation(correlation: np.ndarray) -> np.ndarray:
    """VIF of each variable, 1 / (1 - R2 on the others); infinite where one is a combination of others."""
    if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
        return np.full(len(correlation), np.inf)
    return np.diag(np.linalg.inv(correlation))


def _collinear_verdicts(stage: PlsFit, fit: PlsFit) -> list[Message]:
    return [
        say(
            "{name}: the weight of {item} is hard to tell from those of the other items that form {name}: its VIF is "
            "{vif}, above {limit}. Leave it out, or join it with what it repeats.",
            name=name,
            item=item,
            vif=Number(value, ".1f"),
            limit=Number(COLLINEAR, "g"),
        )
        for (name, item), value in item_inflation(stage).items()
        if value > COLLINEAR and (stage is fit or name not in fit.model.names)
    ]


def _reliability_verdicts(name: str, rho_a: float, ave: float) -> list[Message]:
    said = []
    if rho_a < RELIABLE:
        said.append(
            say(
                "{name} is measured unreliably: rho_A is {rho}, below {limit}.",
                name=name,
                rho=Number(rho_a, ".3f"),
                limit=Number(RELIABLE, "g"),
            )
        )
    if ave < VARIANCE:
        said.append(
            say(
                "{name} explains less than half of its items' variance: AVE is {ave}, below {limit}.",
                name=name,
                ave=Number(ave, ".3f"),
                limit=Number(VARIANCE, "g"),
            )
        )
    return said


def _pairs(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    names = list(matrix.index)
    return [(a, b, matrix.loc[a, b]) for i, a in enumerate(names) for b in names[i + 1 :]]
