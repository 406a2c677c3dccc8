"""Who is missing among those who answered, and what can weights repair? Raking to known margins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse

from workbench import columns as reader
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Listed, Message, Number, Share, Word, join, quoted, say, spelt
from workbench.methods.cells import plain, weights_of
from workbench.result import Quantity, Result

Margins = Mapping[str | tuple[str, ...], pd.Series]
SETTLED = 1e-9
OFF = 1e-6
CYCLES = 500
ROUNDED = 0.005


@dataclass(frozen=True, eq=False)
class Raking(Result):
    """Weights that make the respondents agree with the population in every margin.

    Attributes
    ----------
    weights : Series, by the survey's rows
        Sums to the margins' total if they are totals, else to the number of respondents.
    table : DataFrame
        One row a margin and category: margin, category, n (respondents), population, before, after (shares; before
        with the design weights), off (before - population).
    deff_before, deff_after : float
        Kish's design effect n Σw² / (Σw)² of the design weights and of the raked ones.
    factor_low, factor_high : float
        By how much design weights were multiplied, least and most; 1 on average.
    capped : int
        Respondents at the cap.
    scaled : tuple of str
        Margins that agree with the others in total within their rounding only, with what they sum to.
    """

    weights: pd.Series
    table: pd.DataFrame
    deff_before: float
    deff_after: float
    factor_low: float
    factor_high: float
    capped: int
    scaled: tuple[Message, ...] = ()

    def headline(self) -> Message:
        """Say who is missing most, and what the repair costs."""
        worst = self.table.loc[self.table["off"].abs().idxmax()]
        left = (self.table["after"] - self.table["population"]).abs().max()
        capped, scaled = say(""), say("")
        if self.capped:
            capped = say(
                "The cap holds {n} respondents; a margin stays off by up to {left} points.",
                n=self.capped,
                left=Number(100 * left, ".1f"),
            )
        if self.scaled:
            scaled = say("Rounded margins were scaled to one total: {margins}.", margins=Listed(self.scaled, ""))
        return join(
            say(
                "Before raking {margin} {category} is furthest off: {before} of the survey, {population} of the "
                "population.",
                margin=spelt(worst["margin"]),
                category=Word(str(worst["category"])),
                before=Share(worst["before"]),
                population=Share(worst["population"]),
            ),
            say(
                "Raking to {n} margins multiplies weights by {low} to {high}; the design effect goes from {before} to "
                "{after}.",
                n=self.table["margin"].nunique(),
                low=Number(self.factor_low, ".2f"),
                high=Number(self.factor_high, ".2f"),
                before=Number(self.deff_before, ".2f"),
                after=Number(self.deff_after, ".2f"),
            ),
            capped,
            scaled,
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the design effects."""
        yield Quantity("design_effect[weights=design]", self.deff_before, "1")
        yield Quantity("design_effect[weights=raked]", self.deff_after, "1")


def rake(survey: pd.DataFrame, margins: Margins, *, weight: str | None = None, cap: float | None = None) -> Raking:
    """Weight the respondents so that every margin agrees with the population's (iterative proportional fitting).

    Parameters
    ----------
    survey : DataFrame
        One row a respondent.
    margins : mapping of column, or tuple of columns, to Series
        Totals or shares of the population by category; for a tuple the Series has a level a column. Margins that
        agree in total within the rounding of their digits (at most 0.5%) are scaled to one total, and named.
    weight : str, optional
        Column of the design weight.
    cap : float, optional
        Most that a design weight is multiplied by, the average being 1. Margins then stay off where it binds; the
        result says by how much.

    Raises
    ------
    WorkbenchError
        If a column or category is missing on either side, or margins disagree in total.
    CannotAnswer
        If no weights meet all margins at once.

    Warning
    -------
    Raking repairs what the margins explain: those who did not answer are taken to be like those who did of the same
    categories.

    References
    ----------
    Deming & Stephan (1940), On a least squares adjustment of a sampled frequency table when the expected marginal
    totals are known, Annals of Mathematical Statistics 11(4).
    """
    design = _design(survey, weight)
    counts = np.flatnonzero(design > 0)
    frame = RakingFrame.of(survey.iloc[counts], margins, design[counts], cap)
    factor, off = frame.factors(np.ones((1, len(counts))))
    frame.refuse_unmet(off[0])
    each = factor[0, frame.cross]
    raked = np.zeros(len(survey))
    raked[counts] = design[counts] * each
    raked *= (len(counts) if frame.total == 1 else frame.total) / raked.sum()
    return Raking(
        weights=pd.Series(raked, index=survey.index, name="weight"),
        table=frame.shares(factor[0]),
        deff_before=kish(design[counts]),
        deff_after=kish(raked[counts]),
        factor_low=float(each.min()),
        factor_high=float(each.max()),
        capped=0 if cap is None else int((each >= cap * (1 - OFF)).sum()),
        scaled=frame.scaled,
    )


def margin_columns(margins: Margins) -> list[tuple[str, ...]]:
    """Columns of each margin."""
    return [key if isinstance(key, tuple) else (key,) for key in margins]


def kish(weights: np.ndarray) -> float:
    """Design effect of unequal weights: n Σw² / (Σw)².

    >>> kish(np.array([1.0, 1.0, 2.0]))
    1.125
    """
    return float(len(weights) * (weights**2).sum() / weights.sum() ** 2)


@dataclass(frozen=True, eq=False)
class Margin:
    """A margin as raking needs it: category of each respondent (of each cell, in a frame), totals, labels.

    `rounding` is what the total may be off by if the values are rounded to the digits they have.
    """

    name: str
    code: np.ndarray
    share: np.ndarray
    labels: list[str]
    rounding: float


@dataclass(frozen=True, eq=False)
class RakingFrame:
    """Respondents in the cells that the margins make together, ready to rake any rows of weights.

    Attributes
    ----------
    cross : int array, shape (n,)
        Cell of each respondent.
    spread : sparse array, shape (cells, n)
        Design weight of each respondent, in its cell.
    total : float
        1 for shares.
    cap : float or None
    scaled : tuple of str
        Margins whose total differs from it by rounding.
    """

    cross: np.ndarray
    spread: sparse.csr_array
    margins: list[Margin]
    total: float
    cap: float | None
    scaled: tuple[Message, ...] = ()

    @classmethod
    def of(cls, survey: pd.DataFrame, margins: Margins, design: np.ndarray, cap: float | None) -> RakingFrame:
        """Check the margins against the respondents."""
        if not margins:
            raise WorkbenchError("margins= is empty. Give at least one column with its totals or shares.")
        if cap is not None and cap <= 1:
            raise WorkbenchError("cap={cap} lets no weight rise. Give more than 1, for instance 5.").of(str(cap))
        found = [
            _matched(survey, list(key), m) for key, m in zip(margin_columns(margins), margins.values(), strict=True)
        ]
        total, scaled = _one_total(found)
        seen, cross = np.unique(np.column_stack([m.code for m in found]), axis=0, return_inverse=True)
        spread = sparse.csr_array((design, (cross.ravel(), np.arange(len(survey)))), shape=(len(seen), len(survey)))
        coded = [replace(m, code=code, share=m.share / m.share.sum()) for m, code in zip(found, seen.T, strict=True)]
        return cls(cross.ravel(), spread, coded, total, cap, scaled)

    def factors(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give what multiplies the design weights of each cell in each row, and how far shares stay off.

        Shapes (B, cells), (B,). A category that a row does not hold takes no part in it. Factors are 1 on average over
        the weights of the row.
        """
        base = (self.spread @ np.ascontiguousarray(rows.T, dtype=float)).T
        base /= base.sum(axis=1, keepdims=True)
        aims = [np.where(_sums(base, m.code) > 0, m.share, 0.0) for m in self.margins]
        aims = [aim / aim.sum(axis=1, keepdims=True) for aim in aims]
        factor = np.ones_like(base)
        for _ in range(CYCLES):
            before = factor
            for margin, aim in zip(self.margins, aims, strict=True):
                reached = _sums(base * factor, margin.code)
                factor = factor * np.divide(aim, reached, out=np.zeros_like(aim), where=reached > 0)[:, margin.code]
            if self.cap is not None:
                factor = _capped(base, factor, self.cap)
            if not (np.abs(factor - before) > SETTLED * before)[base > 0].any():
                break
        factor = factor / (base * factor).sum(axis=1, keepdims=True)
        left = [
            np.abs(_sums(base * factor, m.code) - aim).max(axis=1) for m, aim in zip(self.margins, aims, strict=True)
        ]
        return factor, np.max(left, axis=0)

    def raked(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Rake blocks of rows, each row anew; one that cannot meet its margins becomes NaN."""
        for rows in blocks:
            factor, off = self.factors(rows)
            if self.cap is None:
                factor[off > OFF] = np.nan
            yield rows * factor[:, self.cross]

    def refuse_unmet(self, off: float) -> None:
        """Refuse margins that no weights of these respondents meet (a cap permits it)."""
        if off > OFF and self.cap is None:
            raise CannotAnswer(
                "no weights meet all margins at once (a share stays off by {off} points): some combinations of "
                "{margins} have no respondent. Join small categories, or leave a margin out."
            ).of(Number(100 * off, ".2g"), quoted(m.name for m in self.margins))

    def shares(self, factor: np.ndarray) -> pd.DataFrame:
        """Tabulate the categories before and after."""
        size, base, frames = np.bincount(self.cross), self.spread.sum(axis=1), []
        for m in self.margins:
            n, before, after = (np.bincount(m.code, w) for w in (size, base / base.sum(), base * factor))
            frame = pd.DataFrame({"margin": m.name, "category": m.labels, "n": n.astype(int), "population": m.share})
            frames.append(frame.assign(before=before, after=after / after.sum(), off=before - m.share))
        return pd.concat(frames, ignore_index=True)


def _sums(table: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Sums over the cells of each category, shape (B, categories)."""
    order = np.argsort(code, kind="stable")
    return np.add.reduceat(table[:, order], np.flatnonzero(np.diff(code[order], prepend=-1)), axis=1)


def _design(survey: pd.DataFrame, weight: str | None) -> np.ndarray:
    require_columns(survey, [weight] if weight else [], "survey", hint="weight= names the column of the design weight.")
    return weights_of(survey, weight)


def _one_total(margins: list[Margin]) -> tuple[float, tuple[Message, ...]]:
    """The total of all margins, 1 if they are shares, and those that differ from it by their rounding."""
    sums = [float(m.share.sum()) for m in margins]
    widest = [max(m.rounding, OFF * total) for m, total in zip(margins, sums, strict=True)]
    shares = all(abs(total - 1) <= wide for total, wide in zip(sums, widest, strict=True))
    largest = int(np.argmax(sums))
    aim, slack = (1.0, 0.0) if shares else (sums[largest], widest[largest])
    off = [abs(total - aim) > wide + slack for total, wide in zip(sums, widest, strict=True)]
    said = [
        say("'{margin}' sums to {total}", margin=m.name, total=Number(total, ",.9g"))
        for m, total in zip(margins, sums, strict=True)
    ]
    if any(off):
        raise WorkbenchError(
            "margins disagree in total beyond rounding: {names}. Give all of them as shares that sum to 1, or all "
            "as totals of one population."
        ).of(Listed(said, ""))
    return aim, tuple(s for s, total in zip(said, sums, strict=True) if abs(total - aim) > OFF * aim)


def _rounding(values: np.ndarray) -> float:
    """What a total may be off by if each value is rounded to the digits that all have.

    >>> round(_rounding(np.array([0.333, 0.333, 0.333])), 6), round(_rounding(np.array([333.0, 333, 333])), 6)
    (0.0015, 1.5)
    """
    for digits in range(9, -10, -1):
        unit = 10.0**-digits
        if (np.abs(values / (10 * unit) - np.rint(values / (10 * unit))) > 1e-7).any():
            break
    return min(len(values) * unit / 2, ROUNDED * values.sum())


def _matched(survey: pd.DataFrame, columns: list[str], margin: pd.Series) -> Margin:
    """Put each respondent into its category of a margin; both sides must hold the same categories."""
    name = " x ".join(columns)
    require_columns(survey, columns, "survey", hint="margins= names columns.")
    if not isinstance(margin, pd.Series) or margin.index.has_duplicates or margin.index.nlevels != len(columns):
        raise WorkbenchError("margin '{name}' must be a Series with one total or share for each of its categories.").of(
            name
        )
    target = pd.Series(reader.number(margin, name, what="margin"), margin.index)
    target = target[target != 0]
    if not (target > 0).all() or target.empty:
        raise WorkbenchError("margin '{name}' holds missing, infinite or negative totals. Give 0 or more.").of(name)
    levels = target.index.to_frame(index=False)
    levels.columns = columns
    levels = plain(levels, columns)
    keys, target.index = (
        pd.MultiIndex.from_frame(table) if len(columns) > 1 else pd.Index(table[columns[0]])
        for table in (plain(survey[columns], columns), levels)
    )
    order = target.sort_index()
    at = order.index.get_indexer(keys)
    if (at < 0).any():
        count = int((at < 0).sum())
        first = _label(keys[int(np.argmax(at < 0))])
        if first in map(_label, order.index):
            which = [c for c in columns if levels[c].map(type).iloc[0] is not plain(survey, [c])[c].map(type).iloc[0]]
            sides = (plain(survey, columns), levels)
            kinds = ["text" if isinstance(side[which[0]].iloc[0], str) else "numbers" for side in sides]
            raise WorkbenchError(
                "margin '{name}' does not match: '{first}' is {second} in the survey and {kinds} in the margin "
                "('{first2}' in both). Turn one into the other, for instance with astype."
            ).of(name, which[0], kinds[0], kinds[1], first)
        raise WorkbenchError(
            "margin '{name}' has no total for '{first}' ({count} respondents are in no category of it). It has: "
            "{names}. Add the category, or join it with another in the survey."
        ).of(name, first, count, map(_label, order.index[:20]))
    empty = np.flatnonzero(np.bincount(at, minlength=len(order)) == 0)
    if len(empty):
        raise WorkbenchError(
            "nobody answered in {names} of margin '{name}'. Join it with a neighbouring category, in the margin and "
            "in the survey."
        ).of(list(_label(order.index[i]) for i in empty[:5]), name)
    return Margin(name, at, order.to_numpy(), [_label(c) for c in order.index], _rounding(order.to_numpy()))


def _capped(base: np.ndarray, factor: np.ndarray, cap: float) -> np.ndarray:
    """Cut factors at the cap, and raise the others in proportion until they are 1 on average again."""
    for _ in range(CYCLES):
        factor = np.minimum(factor, cap)
        total = (base * factor).sum(axis=1, keepdims=True)
        if (total > 1 - SETTLED).all():
            break
        factor = factor / total
    return np.minimum(factor, cap)


def _label(category: object) -> str:
    return ", ".join(map(str, category)) if isinstance(category, tuple) else str(category)
