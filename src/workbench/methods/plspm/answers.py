"""What do the respondents say? Checked answers, and their moments under any rows of weights.

A resample, a survey weight, a group: each is a row of weights, and all moments of all rows are matrix
products of the rows with the answers and their products. Mean replacement is exact in each row: beside
x_j x_k the sums of d_j x_k and d_j d_k are kept, where d_j marks that answer j is missing; pairwise moments
take those of d_j x_k^2 too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import WorkbenchError, require_columns, require_known
from workbench.messages import Listed, Message, Number, as_message, say
from workbench.methods.cells import refuse_gaps_in
from workbench.methods.plspm.model import USUAL, PathModel, require_model
from workbench.methods.resampling import canonical_order

Missing = Literal["mean", "pairwise", "listwise"]
Weights: TypeAlias = str | Sequence[float] | np.ndarray | pd.Series | None
CHUNK = 1024
FLAT = 1e-12
SHORT = 15
SHORTER = 7
FEW = 10
WHOLE_UP_TO = 2**24  # whole numbers that single precision holds


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers ready to be weighted, in canonical order (first by cell).

    Attributes
    ----------
    x : array, shape (n, items), or more columns
        Reversed items turned; 0 where missing. Whole answers on short scales are centred at a whole number, so that
        sums of counts times products are exact even in single precision; others are standardised. Where the model has
        interactions, the products of every two items of interacting constructs follow.
    missing : bool array, as `x`
    center, scale : arrays, one a column of `x`
    low, high : arrays, shape (items,)
        In units of the questionnaire: answer = center + scale * x.
    unshown : dict of str to Message
        Constructs whose scale is neither given nor shown by the answers, each with a sentence that says so.
    scarce : dict of str to int
        Items that all but fewer than 10 respondents answered alike, with the number of those.
    weights : array, shape (n,)
        Mean 1.
    cell : int array, shape (n,)
        Which of `cells` a respondent belongs to; non-decreasing.
    cells : DataFrame
        One row a cell, its columns those asked for (one cell without columns, if none).
    position : int array, shape (n,)
        Row of the given survey.
    dropped : int
        Respondents left out for a missing answer (listwise).
    pairwise : bool
        Moments of two items come from those who answered both; else missing answers take the item's mean.
    """

    x: np.ndarray
    missing: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    weights: np.ndarray
    cell: np.ndarray
    cells: pd.DataFrame
    position: np.ndarray
    dropped: int
    pairwise: bool
    unshown: dict[str, Message] = field(default_factory=dict)
    scarce: dict[str, int] = field(default_factory=dict)

    @cached_property
    def countable(self) -> bool:
        """Whether whole weights leave all sums whole: short scales, no survey weights."""
        return bool((self.weights == 1).all() and (self.scale == 1).all() and (self.x == np.rint(self.x)).all())

    @property
    def effective(self) -> float:
        """Kish's effective number of respondents."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def part(self, inside: np.ndarray) -> Answers:
        """Give the respondents inside as one cell."""
        cut = {name: getattr(self, name)[inside] for name in ("x", "missing", "weights", "position")}
        return replace(self, **cut, cell=np.zeros(int(inside.sum()), int), cells=pd.DataFrame(index=range(1)))


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of the answers in each of B rows of weights.

    Attributes
    ----------
    mean, sd : arrays, shape (B, items)
        In units of the questionnaire, divisor: the sum of the weights.
    correlation : array, shape (B, items, items)
        NaN where an item does not vary in a row.
    cell_mean : array, shape (B, cells, items)
        Means of the answers that were given, in units of the questionnaire.
    """

    mean: np.ndarray
    sd: np.ndarray
    correlation: np.ndarray
    cell_mean: np.ndarray


def read_answers(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    weights: Weights = None,
    missing: Missing = "mean",
    by: Sequence[str] = (),
    within: pd.DataFrame | None = None,
) -> Answers:
    """Check the survey against the model, and order it so that the order in the file cannot matter.

    Parameters
    ----------
    by : sequence of str
        Columns whose combinations are the cells.
    within : DataFrame, optional
        Further columns (strata, clusters) that take part in the order; same rows as `survey`.

    Raises
    ------
    WorkbenchError
        If a column is missing, an item is text, constant, never answered or off its scale, or a weight is
        negative or missing; the item, the value and what to do are named.
    """
    require_model(model)
    require_known("treatment of missing answers", missing, get_args(Missing))
    require_columns(survey, model.items, "survey", hint="Items are named in the model.")
    require_columns(survey, by, "survey")
    low, high = (np.concatenate(ends) for ends in zip(*(c.ends() for c in model.constructs), strict=True))
    values = np.column_stack([_numbers(survey[item], model) for item in model.items])
    _refuse_off_scale(values, model.items, low, high)
    given = values
    turned = np.array([item in c.reversed for c in model.constructs for item in c.items])
    values = np.where(turned, low + high - values, values)
    weight = checked_weights(survey, weights)

    keep = weight > 0
    weightless = int((~keep).sum())
    if missing == "listwise":
        keep &= ~np.isnan(values).any(axis=1)
    dropped = len(survey) - weightless - int(keep.sum())
    position = np.flatnonzero(keep)
    if len(position) < 3:
        raise WorkbenchError("the survey holds {n} usable respondents. A path model needs far more.").of(len(position))
    cell, cells = _cells(survey.iloc[position], by)

    key = pd.DataFrame(values[position]).assign(_weight=weight[position])
    key.insert(0, "_cell", cell)
    if within is not None:
        key = pd.concat([key, within.iloc[position].reset_index(drop=True)], axis=1)
    key.columns = range(key.shape[1])
    order = canonical_order(key)
    position, cell = position[order], cell[order]
    values, weight = values[position], weight[position]
    center, scale = _spread(values, weight, model.items)
    absent = np.isnan(values)
    x = np.where(absent, 0.0, (values - center) / scale)
    weight, pairwise = weight / weight.mean(), missing == "pairwise"
    unshown, scarce = _unshown_scales(model, given[position]), _scarce(values, model.items)
    answers = Answers(
        x,
        absent,
        center,
        scale,
        low,
        high,
        weight,
        cell,
        cells,
        position,
        dropped,
        pairwise,
        unshown,
        scarce,
    )
    return _with_products(answers, model) if model.interactions else answers


def product_columns(model: PathModel, interactions: Iterable[tuple[str, str]]) -> tuple[list[int], list[int]]:
    """Positions of the two items whose product each column of `Answers.x` after the items is."""
    at = {item: place for place, item in enumerate(model.items)}
    blocks = [[model.construct(name).items for name in pair] for pair in interactions]
    pairs = list(dict.fromkeys((at[i], at[j]) for first, second in blocks for i in first for j in second))
    return tuple(np.array(pairs).T.tolist())


def _with_products(answers: Answers, model: PathModel) -> Answers:
    """Append the products of items that moments of a product of scores take."""
    first, second = product_columns(model, model.interactions.values())
    gaps = answers.missing[:, [*first, *second]].any()
    if gaps:
        incomplete = [model.items[i] for i in dict.fromkeys([*first, *second]) if answers.missing[:, i].any()]
        raise WorkbenchError(
            "{names} has missing answers, but an interaction takes the product of answers given. Use "
            "missing='listwise'."
        ).of(incomplete)
    products = answers.x[:, first] * answers.x[:, second]
    return replace(
        answers,
        x=np.hstack([answers.x, products]),
        missing=np.hstack([answers.missing, np.zeros(products.shape, dtype=bool)]),
        center=np.append(answers.center, np.zeros(len(first))),
        scale=np.append(answers.scale, np.ones(len(first))),
    )


def moments(answers: Answers, rows: np.ndarray) -> Moments:
    """Compute the moments of the answers in each row of weights.

    Parameters
    ----------
    rows : array, shape (B, n)
        How often each respondent counts (on top of its survey weight), in the order of `answers`. float32 says
        that the rows are whole counts.
    """
    p, b = answers.x.shape[1], len(rows)
    gaps = np.flatnonzero(answers.missing.any(axis=0))
    g, count = len(gaps), len(answers.cells)
    upper = np.triu_indices(p)
    total = np.zeros((b, len(upper[0])))
    crossed = np.zeros((b, g * (p + g + p * answers.pairwise)))
    first = np.zeros((count, b, 1 + p + g))
    starts = np.searchsorted(answers.cell, np.arange(count + 1))
    single = _single_is_exact(answers, rows)
    features = np.ones((1 + p + g + len(upper[0]), CHUNK), np.float32 if single else np.float64)
    for c in range(count):
        for start in range(starts[c], starts[c + 1], CHUNK):
            part = slice(start, min(start + CHUNK, starts[c + 1]))
            x, absent = answers.x[part].astype(features.dtype), answers.missing[part][:, gaps]
            weight = rows[:, part] if single else rows[:, part] * answers.weights[part]
            sums = weight @ _filled(features[:, : len(x)], x, absent).T
            first[c] += sums[:, : 1 + p + g]
            total += sums[:, 1 + p + g :]
            if g and (holes := absent.any(axis=1)).any():
                marked = absent[holes].astype(features.dtype)
                both = np.hstack([x[holes], marked, x[holes] ** 2] if answers.pairwise else [x[holes], marked])
                crossed += weight[:, holes] @ (marked[:, :, None] * both[:, None, :]).reshape(len(marked), -1)
    return _finished(answers, first, total, crossed, upper, gaps)


def _single_is_exact(answers: Answers, rows: np.ndarray) -> bool:
    """Whether single precision, twice as fast, gives the same sums: all whole, none beyond what it holds."""
    if rows.dtype != np.float32 or not answers.countable or answers.x.shape[1] > len(answers.low):
        return False
    return CHUNK * float(rows.max()) * SHORT**2 < WHOLE_UP_TO


def _finished(
    answers: Answers,
    first: np.ndarray,
    total: np.ndarray,
    crossed: np.ndarray,
    upper: tuple[np.ndarray, ...],
    gaps: np.ndarray,
) -> Moments:
    """Turn weighted sums into means, standard deviations and correlations."""
    b, p = len(total), answers.x.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        overall = first.sum(axis=0)
        mean = _means(overall, p, gaps)
        second = np.empty((b, p, p))
        second[:, upper[0], upper[1]] = total
        second[:, upper[1], upper[0]] = total
        crossed = crossed.reshape(b, len(gaps), crossed.shape[1] // max(len(gaps), 1))
        spread = _pairwise if answers.pairwise and len(gaps) else _mean_replaced
        sd, correlation = spread(overall, mean, second, crossed, gaps)
        correlation[:, np.arange(p), np.arange(p)] = np.where(np.isnan(sd), np.nan, 1.0)
        cell_mean = _means(first, p, gaps)
    at = answers.center + answers.scale * mean
    cell_at = (answers.center + answers.scale * cell_mean).transpose(1, 0, 2)
    return Moments(at, answers.scale * sd, correlation, cell_at)


def _mean_replaced(
    overall: np.ndarray, mean: np.ndarray, second: np.ndarray, crossed: np.ndarray, gaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations and correlations with gaps filled by the row's means."""
    p = mean.shape[1]
    if len(gaps):
        filled = np.zeros_like(second)
        filled[:, gaps, :] = mean[:, gaps, None] * crossed[:, :, :p]
        second += filled + filled.transpose(0, 2, 1)
        both = mean[:, gaps, None] * mean[:, None, gaps] * crossed[:, :, p:]
        second[:, gaps[:, None], gaps] += both
    covariance = second / overall[:, :1, None] - mean[:, :, None] * mean[:, None, :]
    sd = _root(np.einsum("bii->bi", covariance))
    return sd, covariance / (sd[:, :, None] * sd[:, None, :])


def _pairwise(
    overall: np.ndarray, mean: np.ndarray, second: np.ndarray, crossed: np.ndarray, gaps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviations of the answers given, and correlations among those who answered both items."""
    p, g = mean.shape[1], len(gaps)
    size = np.tile(overall[:, :1, None], (1, p, p))
    size[:, gaps, :] -= overall[:, 1 + p :, None]
    size[:, :, gaps] -= overall[:, None, 1 + p :]
    size[:, gaps[:, None], gaps] += crossed[:, :, p : p + g]
    size = np.where(size > FLAT, size, np.nan)
    at = np.tile(overall[:, None, 1 : 1 + p], (1, p, 1))  # [row, j, i]: sum of answers i where j is given
    at[:, gaps, :] -= crossed[:, :, :p]
    square = np.tile(np.einsum("bii->bi", second)[:, None, :], (1, p, 1))
    square[:, gaps, :] -= crossed[:, :, p + g :]
    at /= size
    deviation = _root(square / size - at**2)
    covariance = second / size - at * at.transpose(0, 2, 1)
    sd = np.einsum("bii->bi", deviation).copy()
    return sd, covariance / (deviation * deviation.transpose(0, 2, 1))


def _root(variance: np.ndarray) -> np.ndarray:
    return np.sqrt(np.where(variance > FLAT, variance, np.nan))


def _means(sums: np.ndarray, p: int, gaps: np.ndarray) -> np.ndarray:
    given = np.repeat(sums[..., :1], p, axis=-1)
    given[..., gaps] -= sums[..., 1 + p :]
    return sums[..., 1 : 1 + p] / np.where(given > FLAT, given, np.nan)


def _filled(features: np.ndarray, x: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Fill rows with 1, answers, gaps, and products of all pairs i <= j in the order of `numpy.triu_indices`."""
    p = x.shape[1]
    at = 1 + p + absent.shape[1]
    features[1 : 1 + p] = x.T
    features[1 + p : at] = absent.T
    x = features[1 : 1 + p]
    for i in range(p):
        np.multiply(x[i:], x[i], out=features[at : at + p - i])
        at += p - i
    return features


def _numbers(column: pd.Series, model: PathModel) -> np.ndarray:
    values = columns.number(column, str(column.name), what="item", missing="keep")
    return np.where(np.isin(values, model.missing_codes), np.nan, values) if model.missing_codes else values


def _refuse_off_scale(values: np.ndarray, items: Sequence[str], low: np.ndarray, high: np.ndarray) -> None:
    off = (values < low) | (values > high)
    for j in map(int, np.flatnonzero(off.any(axis=0))):
        example = values[off[:, j], j].min()
        raise WorkbenchError(
            "item '{items}' holds {example}, off its scale {low} to {high} ({n} answers). Mend low= or high= of its "
            "construct, or declare a missing code."
        ).of(items[j], f"{example:g}", f"{low[j]:g}", f"{high[j]:g}", int(off[:, j].sum()))


def _unshown_scales(model: PathModel, values: np.ndarray) -> dict[str, Message]:
    """Say which constructs have an end of the scale that is neither given nor shown by the answers.

    An end taken for 1 or 10 is shown if somebody gave it to one of the items whose end is taken so; and the upper one
    only of items that somebody gave more than 7, where the shorter scales in use have ended.
    """
    at = {item: place for place, item in enumerate(model.items)}
    reach = {"low": np.nanmin(values, axis=0), "high": np.nanmax(values, axis=0)}
    shown = {
        end: any(reach[end][at[i]] == usual for c in model.constructs if end in c.assumed for i in c.items)
        for end, usual in USUAL.items()
    }
    said = {}
    for construct in model.constructs:
        short = [i for i in construct.items if "high" in construct.assumed and reach["high"][at[i]] <= SHORTER]
        unknown = [end for end in construct.assumed if not shown[end] or (end == "high" and short)]
        if unknown:
            items = [construct.items, short][bool(short) and shown["high"] and shown["low"]]
            seen = (
                say(
                    "{item} {low} to {high}",
                    item=i,
                    low=Number(reach["low"][at[i]], "g"),
                    high=Number(reach["high"][at[i]], "g"),
                )
                for i in items
            )
            said[construct.name] = say(
                "{construct}: the ends of its scale are not given and the answers do not show the usual 1 to 10 "
                "({seen}), so its index is not defined. Give {ends} as printed in the questionnaire.",
                construct=construct.name,
                seen=Listed(seen, ""),
                ends=Listed(f"{end}=" for end in unknown),
            )
    return said


def _scarce(values: np.ndarray, items: Sequence[str]) -> dict[str, int]:
    """Count the answers other than the usual one of items that hardly vary."""
    others = [int((given != np.median(given)).sum()) for column in values.T for given in [column[~np.isnan(column)]]]
    return {item: count for item, count in zip(items, others, strict=True) if count < FEW}


def checked_weights(survey: pd.DataFrame, weights: Weights) -> np.ndarray:
    """Give one usable weight a respondent, or refuse."""
    if weights is None:
        return np.ones(len(survey))
    if isinstance(weights, str):
        require_columns(survey, [weights], "survey", hint="weights= names the column of the survey weight.")
        where, weights = say("weight column '{name}'", name=weights), survey[weights]
    else:
        where = say("weights")
    given = pd.Series(weights)
    weight: np.ndarray
    if pd.api.types.is_numeric_dtype(given):
        weight = given.to_numpy(dtype=float, na_value=np.nan)
    else:
        weight = columns.number(given, str(given.name or "weights"), what="weight", missing="keep")
    if len(weight) != len(survey):
        raise WorkbenchError("{where} has {n} values for {all} respondents. Give one each.").of(
            where, len(weight), len(survey)
        )
    for problem, bad in (("missing", np.isnan(weight)), ("negative", weight < 0), ("infinite", np.isinf(weight))):
        if bad.any():
            raise WorkbenchError(
                "{where} has {n} {problem} values, the first in row {row}. Every respondent needs a weight of 0 or "
                "more."
            ).of(where, int(bad.sum()), as_message(problem), str(int(np.argmax(bad))))
    if not (weight > 0).any():
        raise WorkbenchError("{where} is zero for every respondent. At least some must count.").of(where)
    return weight


def _cells(survey: pd.DataFrame, by: Sequence[str]) -> tuple[np.ndarray, pd.DataFrame]:
    by = list(by)
    if not by:
        return np.zeros(len(survey), dtype=int), pd.DataFrame(index=range(1))
    refuse_gaps_in(survey, by)
    groups = survey.groupby(by, sort=True, observed=True)
    return groups.ngroup().to_numpy(), groups.size().reset_index()[by]


def _spread(values: np.ndarray, weight: np.ndarray, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    given = ~np.isnan(values)
    never = [item for item, some in zip(items, given.any(axis=0), strict=True) if not some]
    if never:
        raise WorkbenchError("nobody answered {names}. Leave it out of the model.").of(never)
    highest, lowest = np.nanmax(values, axis=0), np.nanmin(values, axis=0)
    constant = [f"{item} (always {a:g})" for item, a, b in zip(items, lowest, highest, strict=True) if a == b]
    if constant:
        raise WorkbenchError("{names} does not vary, so it measures nothing. Leave it out of the model.").of(constant)
    share = np.where(given, weight[:, None], 0.0)
    share /= share.sum(axis=0)
    filled = np.where(given, values, 0.0)
    center = (share * filled).sum(axis=0)
    if (filled == np.rint(filled)).all() and (highest - lowest).max() <= SHORT:
        return np.rint(center), np.ones(len(center))
    return center, np.sqrt((share * (filled - center) ** 2 * given).sum(axis=0))
