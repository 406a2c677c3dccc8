"""How many leave by which month, and by which cause?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import require_table
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, legend
from workbench.messages import Label, Listed, Message, Number, Share, Span, join, say
from workbench.methods.btyd.purchases import DAYS, day_of, left_out
from workbench.methods.cells import cell_name, listed
from workbench.methods.intervals import require_level
from workbench.methods.survival import FEWEST, FEWEST_DEPARTURES, LifeTable, Step, life_table, observe, require_records
from workbench.result import COUNT, SHARE, Quantity, Result, Tile
from workbench.studies.departures.codes import apart, codes, is_whole

ANY, ALL, UNKNOWN = "any_cause", "all", "unknown"


@dataclass(frozen=True, eq=False)
class Incidence(Result):
    """Share gone by each month of tenure, by cause (Aalen and Johansen, left-truncated).

    Attributes
    ----------
    table : DataFrame
        One row a group (all first), month and cause (any_cause first): group, months, cause, customers (in sight at any
        tenure), left (by then), incidence, low, high. Months that were not observed on 10 customers have no row. A
        group or cause of the data that is called all or any_cause stands in quotation marks.
    curve : DataFrame
        One row a month and cause, of all customers: months, cause, share.
    begins, thin : dict of str to float
        Month of tenure at which a group's curve begins, where that is not the first; from which on fewer than 10 are
        at risk.
    set_aside : dict of str to int
    longest : int
        Last month asked for.
    too_few : dict of str to int
        Customers of each group that has no row because fewer than 5 of it left.
    """

    table: pd.DataFrame
    curve: pd.DataFrame
    begins: dict[str, float]
    thin: dict[str, float]
    set_aside: dict[str, int]
    level: float
    step: Step
    longest: int
    window: float  # months with departures on record
    too_few: dict[str, int] = field(default_factory=dict)

    NAME, COUNTS, TOTALS = "incidence", "customers", (("months", "cause"),)
    CHART = say("Shares gone by month of tenure, a band a cause")
    FORMATS = dict.fromkeys(["incidence", "low", "high"], SHARE) | {"left": COUNT, "months": COUNT}
    CAPTION = "Share gone by month of tenure and cause, among customers who joined, whenever they came into sight."
    PICTURE_CAPTION = "Share of those who joined gone by each month of tenure; a band is a cause."

    def row(self, cause: str = ANY, group: str = ALL) -> pd.Series:
        """Give the last month told of a cause and group."""
        rows = self.table[(self.table["cause"] == cause) & (self.table["group"] == group)]
        return rows.iloc[-1]

    def headline(self) -> Message:
        """Say how many leave, by which cause, and what was not observed."""
        any_, rows = self.row(), self.table[(self.table["group"] == ALL) & (self.table["cause"] != ANY)]
        rows = rows[rows["months"] == any_["months"]].sort_values(["incidence", "cause"], ascending=[False, True])
        parts = [say("{cause} {share}", cause=Label(r.cause), share=Share(r.incidence)) for r in rows.itertuples()]
        span = Span(any_["low"], any_["high"], ".1%")
        told: dict[str, Any] = {"share": Share(any_["incidence"]), "months": int(any_["months"]), "span": span}
        told["causes"] = Listed(parts, "")
        said = [say("Of customers who join, {share} leave within {months} months {span}: {causes}.", **told)]
        if round(self.window) < 1:
            said = [
                say(
                    "Of customers who join, {share} leave within {months} months {span} if all time is like the "
                    "{days} days on record: {causes}.",
                    days=round(self.window * DAYS["month"]),
                    **told,
                )
            ]
        elif round(self.window) < any_["months"]:
            said = [
                say(
                    "Of customers who join, {share} leave within {months} months {span} if all months are like the "
                    "{window} on record: {causes}.",
                    window=round(self.window),
                    **told,
                )
            ]
        if ALL in self.begins:
            said.append(say("Counted from month {n} of tenure on.", n=Number(self.begins[ALL], ".0f")))
        if ALL in self.thin and self.thin[ALL] <= self.longest:
            said.append(
                say(
                    "From month {n} of tenure on fewer than {few} are at risk, and nothing is said.",
                    n=Number(self.thin[ALL], ".0f"),
                    few=FEWEST,
                )
            )
        if self.too_few:
            said.append(
                say(
                    "Groups with fewer than {few} departures have no row: {n}, with {customers} customers together.",
                    few=FEWEST_DEPARTURES,
                    n=len(self.too_few),
                    customers=sum(self.too_few.values()),
                )
            )
        return join(*said, left_out(self.set_aside))

    def tiles(self) -> tuple[Tile, ...]:
        """Give the share gone by the last month, of any cause and of the most frequent one."""
        any_ = self.row()
        rows = self.table[(self.table["group"] == ALL) & (self.table["months"] == any_["months"])].iloc[1:]
        shown = [any_] if rows.empty else [any_, rows.loc[rows["incidence"].idxmax()]]
        return tuple(
            Tile(
                say("leave within {n} months, {cause}", n=int(r["months"]), cause=Label(r["cause"])),
                Share(r["incidence"]),
                Span(r["low"], r["high"], ".1%"),
            )
            for r in shown
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name the share gone by group, month and cause."""
        for place, r in enumerate(self.table.itertuples()):
            name = f"incidence[group={r.group},months={r.months},cause={r.cause}]"
            yield Quantity(name, r.incidence, "share", r.low, r.high, row=place)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share gone, the causes one on the other."""
        ax = axes(ax)
        wide = self.curve.pivot_table(index="months", columns="cause", values="share")
        wide = 100 * wide[wide.iloc[-1].sort_values(ascending=False).index]
        at, base = np.r_[0.0, wide.index], np.zeros(len(wide) + 1)
        for i, cause in enumerate(wide):
            top = base + np.r_[0.0, wide[cause]]
            ax.fill_between(at, base, top, color=f"C{i}", alpha=0.75, linewidth=0, label=Label(str(cause)).said())
            base = top
        ax.set_xlim(0, at[-1])
        ax.set_ylim(0, None)
        legend(ax)
        ax.set_xlabel("tenure (months)")
        ax.set_ylabel("share gone (%)")
        return ax


def incidence(
    lives: pd.DataFrame,
    *,
    started: str,
    left: str,
    cause: str,
    since: object,
    as_of: object,
    by: str | Sequence[str] | None = None,
    months: Sequence[int] = (12, 24),
    step: Step | None = None,
    level: float = 0.95,
) -> Incidence:
    """Estimate how many leave by which month of tenure, by cause.

    A customer is at risk at the tenures at which they were observed: not before `since` (left truncation). Causes
    compete: who left by one cannot leave by another, so the shares add up with those still there to 1; one less a
    Kaplan-Meier curve of each cause would count them twice.

    Parameters
    ----------
    lives : DataFrame
        One row a customer, those who left too.
    started, left, cause : str
        Columns: first day, last day (missing while they are here), why they left ("unknown" where missing).
    since : date or None
        First day from which departures are recorded; None only if they are from the first customer on.
    as_of : date
        Exclusive: what happened before this day is known.
    by : str or sequence of str, optional
        Columns of groups that get rows of their own.
    months : sequence of int
        Months of tenure that are told.
    step : {"day", "month"}, optional
        What the dates tell, as `lifetime_value` reads it.

    Raises
    ------
    WorkbenchError
        If dates are missing, months are no whole numbers from 1 on, or the level is no share.
    CannotAnswer
        If fewer than 5 departures were observed, they were not recorded for a part of the time, or no month asked for
        was observed on 10 customers; if over a twentieth left before they came (fewer are left out).

    References
    ----------
    Aalen and Johansen (1978), Scandinavian J. of Statistics 5. Putter, Fiocco and Geskus (2007), Statistics in
    Medicine 26 (why not 1 - KM).

    Examples
    --------
    Of 40, ten port out on their 20th day and ten are cut off on their 50th.

    >>> start = pd.Timestamp("2025-01-01")
    >>> off = [start + pd.Timedelta(days=d) for d in [19] * 10 + [49] * 10] + [pd.NaT] * 20
    >>> table = pd.DataFrame({"on": start, "off": off, "why": ["port_out"] * 10 + ["non_payment"] * 10 + [None] * 20})
    >>> found = incidence(table, started="on", left="off", cause="why", since=None, as_of="2026-01-01", months=[2])
    >>> found.table["incidence"].tolist()
    [0.5, 0.25, 0.25]
    """
    wanted = list(months) if isinstance(months, Iterable) else [months]
    if not wanted or not all(map(is_whole, wanted)):
        raise WorkbenchError("months={months}: give whole numbers of months, from 1 on.").of(str(wanted))
    names, asked = listed(by), sorted({int(m) for m in wanted})
    require_level(level)
    require_table(lives, [started, left, cause, *names], "lives")
    lives = lives.reset_index(drop=True)
    why = apart(codes(lives[cause], cause).fillna(UNKNOWN), [ANY])
    cells = [codes(lives[c], c, missing="refuse") for c in names]
    known = observe(lives, started, left, since, day_of(as_of, "as_of"), None, step)
    table = known.table
    table["cause"] = why.reindex(table.index).where(~table["alive"])
    require_records(table, ALL, known.step)
    causes = sorted(table["cause"].dropna().unique())
    parts = [(ALL, table)]
    if names:
        keys = pd.Series(list(zip(*cells, strict=True)), lives.index)
        parts += _by_group(table, keys.reindex(table.index))
    length = 1.0 if known.step == "month" else DAYS["month"]
    window = (known.closed - known.opened) / length
    rows: list[pd.DataFrame] = []
    begins: dict[str, float] = {}
    thin: dict[str, float] = {}
    too_few: dict[str, int] = {}
    curve = pd.DataFrame()
    for name, part in parts:
        code = part["cause"].map({c: i for i, c in enumerate(causes)}).fillna(-1).astype(int)
        each = life_table(part["entry"], part["exit"], code, causes=len(causes))
        whole = life_table(part["entry"], part["exit"], np.minimum(code, 0), causes=1)
        if (gone := int(whole.left.sum())) < FEWEST_DEPARTURES and name != ALL:
            too_few[name] = len(part)
            continue
        if gone < FEWEST_DEPARTURES:
            raise CannotAnswer(
                say("not answerable: {n} departures observed, {few} are needed.", n=gone, few=FEWEST_DEPARTURES)
            )
        last = (whole.thin or len(whole.at_risk) + 1) - 1
        if whole.start > 1:
            begins[name] = float(np.ceil(whole.start / length))
        if whole.thin or round(asked[-1] * length) > last:
            thin[name] = float(np.ceil((last + 1) / length))
        tables = [(ANY, whole, 0), *((c, each, i) for i, c in enumerate(causes))]
        rows.append(_told(tables, asked, length, last, level).assign(group=name, customers=len(part)))
        if name == ALL:
            curve = _curve(each, causes, whole.start, last, length)
    columns = ["group", "months", "cause", "customers", "left", "incidence", "low", "high"]
    found = pd.concat(rows, ignore_index=True)[columns]
    if not (found["group"] == ALL).any():
        raise CannotAnswer(
            say(
                "not answerable: no tenure of {months} months was observed on {few} customers. Ask for nearer months.",
                months=Listed(asked, "or"),
                few=FEWEST,
            )
        )
    return Incidence(found, curve, begins, thin, known.set_aside, level, known.step, asked[-1], window, too_few)


def _told(
    tables: list[tuple[str, LifeTable, int]], asked: list[int], length: float, last: int, level: float
) -> pd.DataFrame:
    """Rows of one group: what was gone by each month asked for that was observed, any cause first."""
    start, at = tables[0][1].start, np.array([round(m * length) for m in asked])
    told = (at >= start) & (at <= last)
    found = []
    for place, (label, table, i) in enumerate(tables):
        low, high = (end[i] for end in table.ends(at[told], level=level, start=start))
        gone, t = table.incidence(start)[i], at[told]
        left = np.cumsum(table.left[i])[t - 1].astype(int)
        rows = {"months": np.array(asked)[told], "place": place, "cause": label, "left": left}
        found.append(pd.DataFrame(rows | {"incidence": gone[t - 1], "low": low, "high": high}))
    return pd.concat(found).sort_values(["months", "place"])


def _curve(each: LifeTable, causes: list[str], start: int, last: int, length: float) -> pd.DataFrame:
    """Share gone by cause, once a week or month."""
    every = np.unique(np.r_[np.arange(0, last, 7 if length > 1 else 1), last - 1])
    return pd.DataFrame(
        {
            "months": np.tile((every + 1) / length, len(causes)),
            "cause": np.repeat(causes, len(every)),
            "share": each.incidence(start)[:, every].ravel(),
        }
    )


def _by_group(table: pd.DataFrame, keys: pd.Series) -> list[tuple[str, pd.DataFrame]]:
    """Cut a table by keys of several columns; two keys that would be called alike are written with quotation marks."""
    parts = dict(list(table.groupby(keys)))
    called = pd.Series([cell_name(key) for key in parts])
    called = called.where(~called.duplicated(keep=False), [", ".join(map(json.dumps, key)) for key in parts])
    return sorted(zip(apart(called, [ALL]), parts.values(), strict=True), key=lambda part: part[0])
