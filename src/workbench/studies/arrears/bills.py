"""Bills past due: are they paid, does the customer leave first, and are those who paid late again?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from workbench.columns import EPOCH, MOST_ASIDE, category, day, take
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, legend
from workbench.messages import Listed, Message, Share, Span, Term, as_message, join, say
from workbench.methods.intervals import share as wilson
from workbench.methods.resampling import Rng, interval, require_resamples
from workbench.methods.survival import customer_draws, life_table
from workbench.result import COUNT, SHARE, Quantity, Result, Tile

FEWEST, FOLLOWED = 30, 10
DAYS = (10, 20, 30, 60, 90)
NEVER = 10**7
GONE_BEFORE = "of customers who had left by the due day"
_CENT = 0.005


def overdue(bills: pd.DataFrame, as_of: date | str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read the bills of the view `bill_history` that were open beyond their due day, and count the others.

    Adds exit (days past due on which the bill was paid, the customer left, or observation ended) and cause (0 paid,
    1 left, 2 written off, -1 still open).
    """
    taken = take(
        bills,
        "bills",
        key="bill_id",
        numbers=["amount", "paid"],
        dates=["due_on", "paid_on", "left_on"],
        flags=["written_off"],
        by=["customer_id"],
        missing="keep",
    ).table
    for column, most in (("amount", 0), ("paid", 0), ("due_on", MOST_ASIDE)):
        if taken[column].isna().sum() > most * len(taken):
            raise WorkbenchError("'{column}' of bills is missing in {n} rows: give it.").of(
                column, taken[column].isna().sum()
            )
    last = int((day(as_of, "as_of") - EPOCH).days) - 1
    part = taken["paid_on"].notna() & (taken["paid"] < taken["amount"] - _CENT) & (taken["amount"] > 0)
    taken["paid_on"] = taken["paid_on"].mask(part)
    due, paid, left = ((taken[c] - EPOCH).dt.days.fillna(NEVER) for c in ("due_on", "paid_on", "left_on"))
    table, aside = taken.assign(due=due.astype(int), cured=paid.astype(int), left=left.astype(int)), {}
    for reason, rows in (
        ("bills without a due day, or due before they were issued", taken["due_on"].isna()),
        ("bills of 0 or less", table["amount"] <= 0),
        ("due on the day before as_of or later", table["due"] >= last),
        ("paid by the due day", table["cured"] <= table["due"]),
        (GONE_BEFORE, table["left"] <= table["due"]),
    ):
        rows = rows.reindex(table.index)
        if rows.any():
            aside[reason] = int(rows.sum())
            table = table[~rows]
    if (part := part.reindex(table.index)).any():
        aside["with a day of paying, but paid in part only (counted as open)"] = int(part.sum())
    over = table["paid"] > table["amount"] + _CENT
    if over.any():
        aside["paid over the bill (counted in full as paid)"] = int(over.sum())
    end = table[["cured", "left"]].min(axis=1).clip(upper=last)
    cause = np.select(
        [table["cured"] == end, table["left"] == end], [0, 1 + (table["written_off"] == 1).astype(int)], -1
    )
    table = table.assign(exit=end - table["due"], cause=cause)
    order = np.lexsort([category(table[c], c).to_numpy(str) for c in ("bill_id", "customer_id")])
    return table.iloc[order].reset_index(drop=True), aside


@dataclass(frozen=True, eq=False)
class Cures(Result):
    """What becomes of overdue bills.

    Attributes
    ----------
    table : DataFrame
        One row a number of days past due: customers, still_open (bills, before it), paid_share with low and high,
        left_share, written_off_share and open_share, which add up to 1. Bills still open count until as_of. Intervals
        by resampling customers.
    untold : tuple of int
        Days asked for that have no row: some bills were seen less long, and fewer than 10 were still open and followed.
    became : tuple of int
        Bills by the end of observation: paid, left, written off, still open; they add up to `bills`.
    again, again_low, again_high : float
        Of those who had paid all, the share with an overdue bill again within `within` days.
    """

    table: pd.DataFrame
    curve: np.ndarray
    bills: int
    again: float
    again_low: float
    again_high: float
    within: int
    set_aside: dict[str, int]
    level: float
    untold: tuple[int, ...] = ()
    became: tuple[int, int, int, int] = (0, 0, 0, 0)

    NAME, COUNTS, TOTALS = "cure", "customers", None
    CHART = say("Curves by days past due: paid, left, written off")
    FORMATS = dict.fromkeys(["low", "high"], SHARE) | {"days": "{:.0f}", "still_open": COUNT}
    CAPTION = "What had become of overdue bills by so many days past due; open ones count while they are seen."

    def headline(self) -> Message:
        """Say how many are paid by 30 days and by the last, and how many are late again."""
        first, last = self.table.iloc[(len(self.table) - 1) // 2], self.table.iloc[-1]
        ends = Span(first["low"], first["high"], ".1%")
        paid = say(
            "of {n} overdue bills {share} {span} are paid within {days} days",
            n=self.bills,
            share=Share(first["paid_share"]),
            span=ends,
            days=int(first["days"]),
        )
        if len(self.table) > 1:
            later = Share(last["paid_share"])
            paid = say("{paid} and {later} within {most}", paid=paid, later=later, most=int(last["days"]))
        parts = [
            paid.sentence(),
            say(
                "{share} are lost with a customer who leaves or is cut off",
                share=Share(last["left_share"] + last["written_off_share"]),
            ),
        ]
        if self.untold:
            parts.append(say("too few were followed for {days} days to say more", days=min(self.untold)))
        if np.isfinite(self.again):
            parts.append(
                say(
                    "of those who had paid all, {share} {span} are late again within {days} days",
                    share=Share(self.again),
                    span=Span(self.again_low, self.again_high, ".1%"),
                    days=self.within,
                )
            )
        if over := sum(n for reason, n in self.set_aside.items() if reason.startswith("paid over")):
            parts.append(say("{n} are paid over the bill", n=over))
        return say("{clauses}.", clauses=Listed(parts, ";"))

    def caption(self) -> Message:
        """Say what the table shows, and what has become of all bills, which the shares do not tell."""
        paid, left, lost, still = self.became
        said = say(
            "Until the day of the report, of {n} bills {paid} are paid, {left} were lost with a customer who left, "
            "{lost} were written off, and {still} are still open.",
            n=self.bills,
            paid=paid,
            left=left,
            lost=lost,
            still=still,
        )
        return join(as_message(self.CAPTION), said, self._gone_before())

    def _gone_before(self) -> Message:
        n = self.set_aside.get(GONE_BEFORE, 0)
        return say("Not among them are {n} bills of customers who had left by the due day.", n=n) if n else say("")

    def tiles(self) -> tuple[Tile, ...]:
        """How many bills are paid by the middle day."""
        row = self.table.iloc[(len(self.table) - 1) // 2]
        label = say("overdue bills paid within {days} days", days=int(row["days"]))
        return (Tile(label, Share(row["paid_share"]), Span(row["low"], row["high"], ".1%")),)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the three incidences by day."""
        ax = axes(ax)
        for curve, name in zip(self.curve, ("paid up", "left", "written off"), strict=True):
            ax.step(np.arange(len(curve) + 1), 100 * np.r_[0, curve], where="post", label=name)
        ax.set_xlabel("days past due")
        ax.set_ylabel("% of overdue bills")
        legend(ax)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share paid by each number of days, and late again."""
        for r in self.table.itertuples():
            yield Quantity(f"cure[days={r.days}]", r.paid_share, "share", r.low, r.high)
        if np.isfinite(self.again):
            yield Quantity("late_again", self.again, "share", self.again_low, self.again_high)


def cure(
    bills: pd.DataFrame,
    *,
    as_of: date | str,
    days: Sequence[int] = DAYS,
    within: int = 90,
    level: float = 0.95,
    resamples: int = 200,
    rng: Rng = 0,
) -> Cures:
    """Follow overdue bills until they are paid, the customer has left, or is written off (Aalen-Johansen).

    Parameters
    ----------
    bills : DataFrame
        The view `bill_history`: customer_id, bill_id, due_on, amount, paid, paid_on, left_on, written_off.
    as_of : date or str
        Exclusive.
    days : sequence of int
        Days past due at which to say what has become of them.
    within : int
        Days without an overdue bill that make a cure: late again is counted until then.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If columns are not what they should be, fewer than 30 bills were overdue, none of them has ended, or none of
        `days` was seen.
    """
    require_resamples(resamples)
    if not len(days) or min(days) < 1:
        raise WorkbenchError("'days' must hold days past due from 1 on.")
    table, aside = overdue(bills, as_of)
    if len(table) < FEWEST:
        few = say("not answerable: {n} bills were overdue, and it takes {k}.", n=len(table), k=FEWEST)
        apart = Listed([say("{reason}: {n}", reason=Term(reason), n=n) for reason, n in aside.items()], ";")
        raise CannotAnswer(join(few, *([say("Set aside: {apart}.", apart=apart)] if aside else [])))
    exits, cause = table["exit"].to_numpy(), table["cause"].to_numpy()
    if (cause < 0).all():
        raise CannotAnswer(
            say("not answerable: none of {n} overdue bills has been paid, lost or written off yet.", n=len(table))
        )
    spells, asked = np.zeros(len(table), dtype=np.int64), sorted(set(days))
    lost = exits[cause < 0].min(initial=NEVER)  # on this day the first bill drops out of sight
    days = [d for d in asked if d <= lost or (exits >= d).sum() >= FOLLOWED]
    if not days:
        raise CannotAnswer(
            say(
                "not answerable: fewer than {k} overdue bills were followed for {days} days.", k=FOLLOWED, days=asked[0]
            )
        )
    at = [min(d, int(exits.max())) for d in days]
    known = life_table(spells, exits, cause)
    gone = np.zeros((3, len(known.at_risk)))
    gone[: len(known.left)] = known.incidence(1)
    who = pd.factorize(table["customer_id"])[0]
    drawn = customer_draws(spells, exits, cause, at, resamples, clusters=who, rng=rng, start=1)[:, 0]
    place = np.array(at) - 1
    paid, n = gone[0, place], who.max() + 1
    ends, flat = interval(paid, drawn, level=level), np.ptp(drawn, axis=0) < 1e-12  # all alike: Wilson's of customers
    low, high = np.where(flat, wilson(paid * n, n, level=level), ends)
    found = pd.DataFrame(
        {
            "days": days,
            "customers": [len(np.unique(who[exits >= d])) for d in at],
            "still_open": known.at_risk[place],
            "paid_share": paid,
            "low": low,
            "high": high,
            "left_share": gone[1, place],
            "written_off_share": gone[2, place],
            "open_share": 1 - gone[:, place].sum(axis=0),
        }
    )
    again = _again(table, who, int((day(as_of, "as_of") - EPOCH).days) - 1, within, level)
    untold = tuple(d for d in asked if d not in days)
    cured, left, lost, still = (int((cause == k).sum()) for k in (0, 1, 2, -1))
    became = cured, left, lost, still
    return Cures(found, gone[:, : max(at)], len(table), *again, within, aside, level, untold, became)


def _again(table: pd.DataFrame, who: np.ndarray, last: int, within: int, level: float) -> tuple[float, float, float]:
    """Share late again within so many days of paying all, with its interval; NaN with fewer than 30 who paid all,
    or fewer than 10 followed so long.

    Bills that are overdue at once make one spell of arrears; it ends when the last of them is paid.
    """
    table = table.assign(who=who, end=table["cured"].where(table["cause"] == 0, NEVER)).sort_values(["who", "due"])
    until = table.groupby("who")["end"].cummax()
    before = until.groupby(table["who"]).shift()
    new = before.isna() | (table["due"] >= before)
    first = table[new]
    end = until.groupby(new.cumsum()).last().to_numpy()
    following = first.groupby("who")["due"].shift(-1).fillna(NEVER).to_numpy() + 1
    end, following = end[end <= last], following[end <= last]
    if len(end) < FEWEST:
        return np.nan, np.nan, np.nan
    exits = np.minimum(following, last) - end
    if within > exits[following > last].min(initial=NEVER) and (exits >= within).sum() < FOLLOWED:
        return np.nan, np.nan, np.nan
    told = life_table(np.zeros(len(end), int), exits, np.where(following <= last, 0, -1), reach=within)
    share = float(told.incidence(1)[:, -1].sum())
    error = float(told.errors([within], 1)[0, 0]) if share else 0.0
    worth = share * (1 - share) / error**2 if error > 0 else float(told.at_risk[-1])
    low, high = map(float, wilson(share * worth, worth, level=level))
    return share, low, high
