"""Who did not answer, and what can weights repair? Raking to known margins, and rates of response."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import chi2, norm

from workbench.errors import CannotAnswer, WorkbenchError, named, require_columns
from workbench.result import Quantity, Result
from workbench.studies.plspm.diagram import dot_and_interval
from workbench.studies.plspm.groups import holm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Margins = Mapping[str | tuple[str, ...], pd.Series]
SETTLED = 1e-9
OFF = 1e-6
CYCLES = 500


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
    cycles : int
        Rounds through the margins until no factor moved by more than 1e-9 of itself.
    """

    weights: pd.Series
    table: pd.DataFrame
    deff_before: float
    deff_after: float
    factor_low: float
    factor_high: float
    capped: int
    cycles: int

    def headline(self) -> str:
        """Say who is missing most, and what the repair costs."""
        worst = self.table.loc[self.table["off"].abs().idxmax()]
        left = (self.table["after"] - self.table["population"]).abs().max()
        capped = (
            f" The cap holds {self.capped:,} respondents; a margin stays off by up to {100 * left:.1f} points."
            if self.capped
            else ""
        )
        return (
            f"Before raking {worst['margin']} {worst['category']} is furthest off: {worst['before']:.1%} of the "
            f"survey, {worst['population']:.1%} of the population. Raking to {self.table['margin'].nunique()} margins "
            f"multiplies weights by {self.factor_low:.2f} to {self.factor_high:.2f}; the design effect goes from "
            f"{self.deff_before:.2f} to {self.deff_after:.2f}.{capped}"
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the categories: respondents, shares of population and survey before and after."""
        return self.table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw where each share stood (dot), and the way to the population's (line)."""
        ends = np.sort(self.table[["before", "population"]].to_numpy(), axis=1)
        rows = self.table.assign(estimate=self.table["before"], low=ends[:, 0], high=ends[:, 1])
        names = self.table["margin"] + " " + self.table["category"].astype(str)
        return dot_and_interval(names, rows, ax, label="share of the survey; line: to that of the population")

    def quantities(self) -> Iterable[Quantity]:
        """Name the design effects."""
        yield Quantity("design_effect[weights=design]", self.deff_before, "1")
        yield Quantity("design_effect[weights=raked]", self.deff_after, "1")


@dataclass(frozen=True, eq=False)
class NonResponse(Result):
    """Who was invited and did not answer.

    Attributes
    ----------
    table : DataFrame
        One row a column and group: column, group, invited, answered, rate, low, high (Wilson).
    tests : DataFrame
        One row a column, and "all": column, df, chi2, p, p_holm. Likelihood ratio of a logistic model of answering
        with all columns against the one without this column (without any).
    invited, answered, left_out : int
        Left out are the ineligible.
    level : float
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    invited: int
    answered: int
    left_out: int
    level: float

    def headline(self) -> str:
        """Say how many answered and whether some groups did less than others."""
        every = self.tests.iloc[-1]
        said = f"{self.answered:,} of {self.invited:,} invited answered ({self.answered / self.invited:.1%})"
        if every["p"] >= 1 - self.level:
            return f"{said}; who did so does not depend on {named(self.tests['column'][:-1])} (p = {every['p']:.2f})."
        clear = self.tests.iloc[:-1].loc[lambda t: t["p_holm"] < 1 - self.level, "column"]
        rows = self.table[self.table["column"].isin(clear)] if len(clear) else self.table
        low, high = rows.loc[rows["rate"].idxmin()], rows.loc[rows["rate"].idxmax()]
        what = f"it depends on {named(clear)}" if len(clear) else "it depends on the groups together"
        return (
            f"{said}; {what} (p {_small(every['p'])}): from {low['rate']:.1%} for {low['group']} to {high['rate']:.1%} "
            f"for {high['group']}. Raking to these columns repairs what they explain, nothing else."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the rates of response."""
        return self.table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the rate of every group with its interval."""
        names = self.table["column"] + " " + self.table["group"].astype(str)
        label = f"share that answered ({self.level:.0%} interval)"
        return dot_and_interval(names, self.table.rename(columns={"rate": "estimate"}), ax, label=label)

    def quantities(self) -> Iterable[Quantity]:
        """Name every rate."""
        for row in self.table.to_dict("records"):
            name = f"response_rate[{row['column']}={row['group']}]"
            yield Quantity(name, row["rate"], "share", row["low"], row["high"])


def rake(survey: pd.DataFrame, margins: Margins, *, weight: str | None = None, cap: float | None = None) -> Raking:
    """Weight the respondents so that every margin agrees with the population's (iterative proportional fitting).

    Parameters
    ----------
    survey : DataFrame
        One row a respondent.
    margins : mapping of column, or tuple of columns, to Series
        Totals or shares of the population by category; for a tuple the Series has a level a column.
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
    factor, off, cycles = frame.factors(np.ones((1, len(counts))))
    frame.refuse_unmet(off[0])
    each = factor[0, frame.cross]
    raked = np.zeros(len(survey))
    raked[counts] = design[counts] * each
    raked *= (len(counts) if abs(frame.total - 1) < OFF else frame.total) / raked.sum()
    return Raking(
        weights=pd.Series(raked, index=survey.index, name="weight"),
        table=frame.shares(factor[0]),
        deff_before=kish(design[counts]),
        deff_after=kish(raked[counts]),
        factor_low=float(each.min()),
        factor_high=float(each.max()),
        capped=0 if cap is None else int((each >= cap * (1 - OFF)).sum()),
        cycles=cycles,
    )


def nonresponse(
    invited: pd.DataFrame, *, by: Sequence[str], answered: str = "outcome", level: float = 0.95
) -> NonResponse:
    """Tabulate who answered, group by group, and test whether it depends on the groups.

    Parameters
    ----------
    invited : DataFrame
        One row an invitation.
    by : sequence of str
        Columns known of everyone invited.
    answered : str
        Column that says who answered: True, or "answered"; rows with "ineligible" are left out and counted.
    level : float

    Raises
    ------
    WorkbenchError
        If a column is missing or has gaps, or `answered` says it in other words.
    CannotAnswer
        If all or none answered.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    by = [by] if isinstance(by, str) else list(by)
    require_columns(invited, [*by, answered], "invited", hint="answered= and by= name columns.")
    holes = [c for c in [*by, answered] if invited[c].isna().any()]
    if holes:
        raise WorkbenchError(f"invited has gaps in {named(holes)}. Fill them with a name for 'unknown'.")
    if pd.api.types.is_bool_dtype(invited[answered]):
        yes, keep = invited[answered].to_numpy(bool), np.ones(len(invited), bool)
    else:
        yes, keep = (invited[answered] == "answered").to_numpy(), (invited[answered] != "ineligible").to_numpy()
    left = invited.loc[keep, by].assign(_yes=yes[keep])
    if left["_yes"].nunique() < 2:
        many = "all" if len(left) and left["_yes"].all() else "none"
        raise CannotAnswer(
            f"column '{answered}' says that {many} answered; it holds {named(invited[answered].unique()[:5])}. Pass "
            "everyone invited, with True or 'answered' for those who did."
        )
    frames = []
    for column in by:
        found = left.groupby(column, observed=True)["_yes"].agg(["size", "sum"]).reset_index()
        frames.append(found.set_axis(["group", "invited", "answered"], axis=1).assign(column=column))
    table = pd.concat(frames, ignore_index=True)
    rate, low, high = _wilson(table["answered"], table["invited"], level)
    table = table.assign(rate=rate, low=low, high=high)
    table = table[["column", "group", "invited", "answered", "rate", "low", "high"]]
    return NonResponse(table, _tests(left, by), len(left), int(left["_yes"].sum()), int((~keep).sum()), level)


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
class RakingFrame:
    """Respondents in the cells that the margins make together, ready to rake any rows of weights.

    Attributes
    ----------
    cross : int array, shape (n,)
        Cell of each respondent.
    spread : sparse array, shape (cells, n)
        Design weight of each respondent, in its cell.
    codes : list of int arrays, shape (cells,)
        Category of each cell in each margin.
    shares_of : list of arrays
        Share of the population of each category.
    categories : list of (margin, list of categories)
    total : float
        1 for shares.
    cap : float or None
    """

    cross: np.ndarray
    spread: sparse.csr_array
    codes: list[np.ndarray]
    shares_of: list[np.ndarray]
    categories: list[tuple[str, list[str]]]
    total: float
    cap: float | None

    @classmethod
    def of(cls, survey: pd.DataFrame, margins: Margins, design: np.ndarray, cap: float | None) -> RakingFrame:
        """Check the margins against the respondents."""
        if not margins:
            raise WorkbenchError("margins= is empty. Give at least one column with its totals or shares.")
        if cap is not None and cap <= 1:
            raise WorkbenchError(f"cap={cap} lets no weight rise. Give more than 1, for instance 5.")
        code, share, categories, totals = [], [], [], {}
        for columns, margin in zip(map(list, margin_columns(margins)), margins.values(), strict=True):
            name = " x ".join(columns)
            require_columns(survey, columns, "survey", hint="margins= names columns.")
            at, target, labels = _matched(survey, columns, margin, name)
            totals[name] = float(target.sum())
            code.append(at)
            share.append(target / target.sum())
            categories.append((name, labels))
        if max(totals.values()) - min(totals.values()) > OFF * max(totals.values()):
            said = ", ".join(f"'{name}' {total:,.6g}" for name, total in totals.items())
            raise WorkbenchError(f"margins disagree in total: {said}. Give shares, or totals of one population.")
        seen, cross = np.unique(np.column_stack(code), axis=0, return_inverse=True)
        n = len(cross)
        spread = sparse.csr_array((design, (cross.ravel(), np.arange(n))), shape=(len(seen), n))
        return cls(cross.ravel(), spread, list(seen.T), share, categories, max(totals.values()), cap)

    def factors(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Give what multiplies the design weights of each cell in each row, how far shares stay off, and the cycles.

        Shapes (B, cells), (B,). A category that a row does not hold takes no part in it. Factors are 1 on average over
        the weights of the row.
        """
        base = (self.spread @ np.ascontiguousarray(rows.T, dtype=float)).T
        base /= base.sum(axis=1, keepdims=True)
        factor, cycles, moving = np.ones_like(base), 0, True
        while moving and cycles < CYCLES:
            before, cycles = factor, cycles + 1
            for code, share in zip(self.codes, self.shares_of, strict=True):
                reached = self._sums(base * factor, code, len(share))
                aim = np.where(reached > 0, share, 0.0)
                aim /= aim.sum(axis=1, keepdims=True)
                factor = factor * (aim / np.where(reached > 0, reached, 1.0))[:, code]
            if self.cap is not None:
                factor = _capped(base, factor, self.cap)
            moving = (np.abs(factor - before) > SETTLED * before)[base > 0].any()
        factor = factor / (base * factor).sum(axis=1, keepdims=True)
        return factor, self._off(base * factor), cycles

    def raked(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Rake blocks of rows, each row anew; one that cannot meet its margins becomes NaN."""
        for rows in blocks:
            factor, off, _ = self.factors(rows)
            if self.cap is None:
                factor[off > OFF] = np.nan
            yield rows * factor[:, self.cross]

    def refuse_unmet(self, off: float) -> None:
        """Refuse margins that no weights of these respondents meet (a cap permits it)."""
        if off > OFF and self.cap is None:
            raise CannotAnswer(
                f"no weights meet all margins at once (a share stays off by {100 * off:.2g} points): some combinations "
                f"of {named(name for name, _ in self.categories)} have no respondent. Join small categories, or leave "
                "a margin out."
            )

    def shares(self, factor: np.ndarray) -> pd.DataFrame:
        """Tabulate the categories before and after."""
        size = np.bincount(self.cross)
        base = self.spread.sum(axis=1)
        frames = []
        for code, share, (name, labels) in zip(self.codes, self.shares_of, self.categories, strict=True):
            before, after = (np.bincount(code, w) / w.sum() for w in (base, base * factor))
            rows = {"margin": name, "category": labels, "n": np.bincount(code, size).astype(int), "population": share}
            frames.append(pd.DataFrame(rows).assign(before=before, after=after, off=before - share))
        return pd.concat(frames, ignore_index=True)

    def _off(self, table: np.ndarray) -> np.ndarray:
        """How far the furthest share stays off in each row, shape (B,)."""
        worst = np.zeros(len(table))
        for code, share in zip(self.codes, self.shares_of, strict=True):
            reached = self._sums(table, code, len(share))
            aim = np.where(reached > 0, share, 0.0)
            worst = np.maximum(worst, np.abs(reached - aim / aim.sum(axis=1, keepdims=True)).max(axis=1))
        return worst

    @staticmethod
    def _sums(table: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
        order = np.argsort(code, kind="stable")
        return np.add.reduceat(table[:, order], np.searchsorted(code[order], np.arange(count)), axis=1)


def _design(survey: pd.DataFrame, weight: str | None) -> np.ndarray:
    if weight is None:
        return np.ones(len(survey))
    require_columns(survey, [weight], "survey", hint="weight= names the column of the design weight.")
    design = survey[weight].to_numpy(dtype=float, na_value=np.nan)
    if not (np.isfinite(design) & (design >= 0)).all() or not design.any():
        raise WorkbenchError(f"column '{weight}' holds missing, infinite or negative weights. Give 0 or more to each.")
    return design


def _matched(survey: pd.DataFrame, columns: list[str], margin: pd.Series, name: str) -> tuple:
    """Category of each respondent, target and label of each category; both sides hold the same ones."""
    if not isinstance(margin, pd.Series) or margin.index.nlevels != len(columns) or margin.index.has_duplicates:
        raise WorkbenchError(f"margin '{name}' must be a Series with one total or share for each of its categories.")
    target = margin[margin != 0].astype(float)
    if not (np.isfinite(target) & (target > 0)).all() or target.empty:
        raise WorkbenchError(f"margin '{name}' holds missing, infinite or negative totals. Give 0 or more.")
    keys = pd.MultiIndex.from_frame(survey[columns]) if len(columns) > 1 else pd.Index(survey[columns[0]])
    order = target.sort_index()
    at = order.index.get_indexer(keys)
    if (at < 0).any():
        count = int((at < 0).sum())
        first = _label(keys[int(np.argmax(at < 0))])
        raise WorkbenchError(
            f"margin '{name}' has no total for '{first}' ({count} respondents are in no category of it). It has: "
            f"{named(map(_label, order.index[:20]))}. Add the category, or join it with another in the survey."
        )
    empty = np.flatnonzero(np.bincount(at, minlength=len(order)) == 0)
    if len(empty):
        raise WorkbenchError(
            f"nobody answered in {named(_label(order.index[i]) for i in empty[:5])} of margin '{name}'. Join it with a "
            "neighbouring category, in the margin and in the survey."
        )
    return at, order.to_numpy(), [_label(c) for c in order.index]


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


def _wilson(hits: pd.Series, n: pd.Series, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = norm.isf((1 - level) / 2)
    rate = (hits / n).to_numpy()
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return rate, (middle - half).to_numpy(), (middle + half).to_numpy()


def _tests(left: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Likelihood-ratio tests of each column given the others, and of all."""
    counts = left.groupby(by, observed=True)["_yes"].agg(["sum", "size"]).reset_index()
    full, df = _deviance(counts, by)
    rows = []
    for column, kept in [*((c, [k for k in by if k != c]) for c in by), ("all", [])]:
        less, rank = _deviance(counts, kept)
        rows.append({"column": column, "df": df - rank, "chi2": max(less - full, 0.0)})
    table = pd.DataFrame(rows)
    table["p"] = np.where(table["df"] > 0, chi2.sf(table["chi2"], table["df"].clip(lower=1)), np.nan)
    adjusted = np.append(holm(table["p"].fillna(1.0).to_numpy()[:-1]), table["p"].iloc[-1])
    return table.assign(p_holm=adjusted)


def _deviance(counts: pd.DataFrame, columns: list[str]) -> tuple[float, int]:
    """Deviance and rank of a logistic model with the main effects of `columns`."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ModelWarning

    design = [np.ones((len(counts), 1))]
    design += [pd.get_dummies(counts[c], drop_first=True, dtype=float).to_numpy() for c in columns]
    x = np.hstack(design)
    y = np.column_stack([counts["sum"], counts["size"] - counts["sum"]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ModelWarning)  # a group in which all or none answered: its deviance is 0
        fitted = sm.GLM(y, x, family=sm.families.Binomial()).fit(maxiter=100)
    return float(fitted.deviance), int(np.linalg.matrix_rank(x))


def _small(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
