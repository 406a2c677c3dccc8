"""What does the survey say about the model? One fit: weights, loadings, paths, reliability, index."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, require_known
from workbench.messages import Message, join, say
from workbench.methods.plspm.answers import Answers, Missing, Moments, Weights, moments, read_answers
from workbench.methods.plspm.batch import ITERATIONS, Layout, Scheme, estimates, solve
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.model import PathModel
from workbench.methods.plspm.stages import Stages, first_moments
from workbench.methods.resampling import one_thread

IMPOSSIBLE = 1e-9


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
    require_known("scheme", scheme, get_args(Scheme))
    answers = read_answers(survey, model, weights=weights, missing=missing)
    return fit_answers(answers, model, scheme=scheme, tolerance=tolerance)


def fit_answers(
    answers: Answers,
    model: PathModel,
    *,
    scheme: Scheme = "path",
    tolerance: float = 1e-7,
    along: np.ndarray | None = None,
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
    layout = Layout(model)
    _refuse_too_few(layout, len(answers.x))
    unshown = _unshown(answers, model)
    _refuse_contradiction(moment.correlation[0])
    solution = solve(layout, moment.correlation, scheme=scheme, tolerance=tolerance, along=along)
    values = estimates(layout, answers, moment, solution)[0]
    if np.isnan(solution.weight).any():
        raise CannotAnswer(
            "the answers do not determine the outer weights: an item copies others of its construct, or a construct "
            "is unrelated to its neighbours. Look at the items' correlations."
        )
    table = pd.Series(values, index=pd.MultiIndex.from_tuples(layout.labels, names=["quantity", "name"]))
    items = pd.MultiIndex.from_tuples(
        [(c.name, i) for c in model.constructs for i in c.items], names=["construct", "item"]
    )
    chains = pd.MultiIndex.from_tuples(
        [(model.names[s], model.names[t]) for s, t in layout.effects], names=["source", "target"]
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
        htmt=_square(layout, table["htmt"].to_numpy()),
        correlations=_square(layout, table["correlation"].to_numpy()),
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


def _refuse_too_few(layout: Layout, n: int) -> None:
    """Refuse a regression that so few respondents fit without error, whatever they say."""
    names = layout.model.names
    tasks = [
        (len(sources), say("{n} paths lead to '{target}'", n=len(sources), target=names[t]))
        for t, sources in layout.sources.items()
    ]
    tasks += [
        (int(layout.size[c]), say("{n} items form '{construct}'", n=layout.size[c], construct=names[c]))
        for c in layout.formative
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


def _square(layout: Layout, values: np.ndarray) -> pd.DataFrame:
    names = list(layout.model.names)
    matrix = np.eye(len(names))
    matrix[layout.pairs] = values
    matrix.T[layout.pairs] = values
    return pd.DataFrame(matrix, index=names, columns=names)
