"""What does the survey say about the model? One fit: weights, loadings, paths, reliability, index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Message, Number, join, say
from workbench.methods.plspm.answers import Answers, Missing, Moments, Weights, moments, read_answers
from workbench.methods.plspm.batch import ITERATIONS, Plan, Scheme, estimates, solve
from workbench.methods.plspm.diagram import path_diagram
from workbench.methods.plspm.model import PathModel
from workbench.methods.plspm.stages import Stages, first_moments
from workbench.methods.plspm.verdicts import fit_verdicts
from workbench.methods.resampling import one_thread
from workbench.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMPOSSIBLE = 1e-9


@dataclass(frozen=True, eq=False)
class PlsFit(Result):
    """A path model fitted by partial least squares.

    Attributes
    ----------
    model : PathModel
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
    iterations : int
    converged : bool
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

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the model with its coefficients."""
        return path_diagram(self, ax)

    @property
    def r2_adjusted(self) -> pd.Series:
        """R2 less what as many sources would explain by chance, by construct: 1 - (1 - R2)(n - 1)/(n - sources - 1)."""
        sources = pd.Series({target: len(self.model.paths[target]) for target in self.r2.index})
        return 1 - (1 - self.r2) * (self.n - 1) / (self.n - sources - 1)

    @property
    def verdicts(self) -> tuple[Message, ...]:
        """What an examiner would object to, one sentence each; empty if nothing."""
        return fit_verdicts(self)


def fit_pls(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    scheme: Scheme = "path",
    weights: Weights = None,
    missing: Missing = "mean",
    tolerance: float = 1e-7,
) -> PlsFit:
    """Fit a path model to a survey by partial least squares.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent, one numeric column an item.
    model : PathModel
    scheme : {"path", "factorial", "centroid"}
        How neighbouring constructs are weighed in the inner estimation.
    weights : str or array, optional
        Survey weight: a column of `survey`, or one number a respondent.
    missing : {"mean", "pairwise", "listwise"}
        Missing answers take the item's weighted mean; or two items correlate as among those who answered both;
        or respondents with a missing answer are left out (and counted).
    tolerance : float
        Stop when no outer weight moves by more.

    Returns
    -------
    PlsFit
        With `converged` False where the iteration did not settle. Where the ends of a construct's scale are not given,
        they are 1 and 10 only if the answers show it (somebody gave 1, somebody 10, and every item more than 7 once);
        else its index and importance are NaN, and a verdict says which ends to give.

    Raises
    ------
    WorkbenchError
        If an item or a weight cannot be used; the message names it.
    CannotAnswer
        If the answers do not determine the weights.
    """
    answers = read_answers(survey, model, weights=weights, missing=missing)
    return fit_answers(answers, model, scheme=check_scheme(scheme), tolerance=tolerance)


def check_scheme(scheme: str) -> Scheme:
    """Refuse an unknown scheme."""
    legal: tuple[Scheme, ...] = get_args(Scheme)
    for known in legal:
        if scheme == known:
            return known
    raise WorkbenchError("scheme={scheme} is unknown. Choose 'path', 'factorial' or 'centroid'.").of(repr(scheme))


def fit_answers(
    answers: Answers, model: PathModel, *, scheme: Scheme, tolerance: float, along: np.ndarray | None = None
) -> PlsFit:
    """Fit a path model of one or two stages to answers that were checked already.

    Parameters
    ----------
    along : array, shape (items,), optional
        Outer weights of the fit that this one repeats on a part of the survey: they give the signs (one stage only).
    """
    with one_thread():
        moment = moments(answers, np.ones((1, len(answers.x))))
        if not model.stages:
            return _fitted(answers, model, moment, scheme, tolerance, along=along)
        first = _fitted(answers, model.stages[0], first_moments(model.stages[0], moment), scheme, tolerance)
        refuse_unconverged(first)
        stages = Stages(*model.stages)
        upper, _ = stages.moments(answers, moment, scheme=scheme, tolerance=tolerance)
        return _fitted(stages.answers(answers), model.stages[1], upper, scheme, tolerance, first)


def _fitted(
    answers: Answers,
    model: PathModel,
    moment: Moments,
    scheme: Scheme,
    tolerance: float,
    first: PlsFit | None = None,
    along: np.ndarray | None = None,
) -> PlsFit:
    """Fit a model of one stage to moments of one row."""
    plan = Plan(model)
    _refuse_too_few(plan, len(answers.x))
    unshown = _unshown(answers, model)
    _refuse_contradiction(moment.correlation[0])
    solution = solve(plan, moment.correlation, scheme=scheme, tolerance=tolerance, along=along)
    values = estimates(plan, answers, moment, solution)[0]
    if np.isnan(solution.weight).any():
        raise CannotAnswer(
            "the answers do not determine the outer weights: an item copies others of its construct, or a construct "
            "is unrelated to its neighbours. Look at the items' correlations."
        )
    table = pd.Series(values, index=pd.MultiIndex.from_tuples(plan.labels, names=["quantity", "name"]))
    items = pd.MultiIndex.from_tuples(
        [(c.name, i) for c in model.constructs for i in c.items], names=["construct", "item"]
    )
    chains = pd.MultiIndex.from_tuples(
        [(model.names[s], model.names[t]) for s, t in plan.effects], names=["source", "target"]
    )
    edges = pd.MultiIndex.from_tuples(model.edges, names=["source", "target"])
    raw = pd.Series(solution.weight[0] / moment.sd[0], index=items)
    weight = pd.Series(table["weight"].to_numpy(), index=items)
    index = table["index"].rename_axis("construct").copy()
    index[weight.groupby(level=0, sort=False).min().reindex(index.index) < 0] = np.nan
    index[index.index.isin(unshown)] = np.nan
    importance = pd.Series(table["importance"].to_numpy(), index=chains)
    importance[[np.isnan(index[list(pair)]).any() for pair in chains]] = np.nan
    return PlsFit(
        model=model,
        scheme=scheme,
        weights=weight,
        loadings=pd.Series(table["loading"].to_numpy(), index=items),
        unstandardised_weights=raw / raw.groupby(level=0).transform("sum"),
        paths=pd.Series(table["path"].to_numpy(), index=edges),
        total_effects=pd.Series(table["total_effect"].to_numpy(), index=chains),
        importance=importance,
        index=index,
        **{name: table[name].rename_axis("construct") for name in ("r2", "rho_a", "rho_c", "alpha", "ave")},
        htmt=_square(plan, table["htmt"].to_numpy()),
        correlations=_square(plan, table["correlation"].to_numpy()),
        item_correlations=pd.DataFrame(moment.correlation[0], list(model.items), list(model.items)),
        iterations=int(solution.iterations[0]),
        converged=bool(solution.converged[0]),
        n=len(answers.x),
        n_effective=answers.effective,
        missing=int(answers.missing.sum()),
        dropped=answers.dropped,
        estimates=table,
        first=first,
        unshown=unshown,
        scarce=answers.scarce,
    )


def _unshown(answers: Answers, model: PathModel) -> dict[str, Message]:
    """Constructs of a stage whose scale is not known: their own, or that of a dimension."""
    parts = {c.name: [n for n in answers.unshown if n == c.name or n in c.items] for c in model.constructs}
    return {name: join(*(answers.unshown[n] for n in dimensions)) for name, dimensions in parts.items() if dimensions}


def _refuse_too_few(plan: Plan, n: int) -> None:
    """Refuse a regression that so few respondents fit without error, whatever they say."""
    names = plan.model.names
    tasks = [
        (len(sources), say("{n} paths lead to '{target}'", n=len(sources), target=names[t]))
        for t, sources in plan.sources.items()
    ]
    tasks += [
        (int(plan.size[c]), say("{n} items form '{construct}'", n=plan.size[c], construct=names[c]))
        for c in plan.formative
    ]
    needed, task = max(tasks, key=lambda t: t[0])
    if n < needed + 2:
        raise CannotAnswer(
            "not answerable: {task}, and {n} respondents answered; a regression on {needed} needs {least} to have "
            "any error left. Ask for more respondents, or fewer paths."
        ).of(task, n, needed, needed + 2)


def _refuse_contradiction(correlation: np.ndarray) -> None:
    """Refuse pairwise correlations that no complete answers could have."""
    if np.isnan(correlation).any():
        raise CannotAnswer("two items were answered together by nobody, or without variation. Use missing='mean'.")
    if np.linalg.eigvalsh(correlation)[0] < -IMPOSSIBLE:
        raise CannotAnswer(
            "the pairwise correlations contradict each other (an eigenvalue is negative): too few answered the same "
            "items. Use missing='mean' or 'listwise'."
        )


def refuse_unconverged(fit: PlsFit) -> None:
    """Refuse to resample a fit that did not settle."""
    if not fit.converged:
        raise CannotAnswer(
            "PLS did not converge in {n} iterations with scheme '{scheme}'. Try another scheme, or a looser "
            "tolerance, and look for constructs that hardly correlate."
        ).of(ITERATIONS, fit.scheme)


def _square(plan: Plan, values: np.ndarray) -> pd.DataFrame:
    names = list(plan.model.names)
    matrix = np.eye(len(names))
    matrix[plan.pairs] = values
    matrix.T[plan.pairs] = values
    return pd.DataFrame(matrix, index=names, columns=names)
