"""Does making good a complaint keep the customer? What became of those who complained, day by day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.columns import number, require_table
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, legend
from workbench.messages import Label, Listed, Message, Number, Span, Term, join, say
from workbench.methods.btyd.purchases import left_out
from workbench.methods.cells import listed
from workbench.methods.intervals import require_level
from workbench.result import COUNT, Quantity, Result, Table, Tile
from workbench.studies.departures.codes import codes, is_number, is_whole
from workbench.studies.departures.outcomes import (
    CLOCK,
    FEWEST_LEFT,
    arms_compared,
    compared,
    from_opening,
    occupation,
    rates,
    worth_of,
)
from workbench.studies.departures.spells import FAILED, GONE, LATE, OPEN, RECOVERED, read


@dataclass(frozen=True, eq=False)
class Recovery(Result):
    """Leaving by state of the last complaint.

    Attributes
    ----------
    table : DataFrame
        One row a comparison: among, state, against, customers, left (in the state), ratio (of hazards), low, high,
        e_value (risk ratio that an unrecorded trait must have), e_value_low (for the interval to reach 1), reading.
    rates : DataFrame
        One row a state: state, customers, days (at risk), left, per_100 (leaving in 30 days), low, high.
    arms : DataFrame
        One row an arm that chance decided: arm, against, customers, customers_against, left, percentage_points
        (more who leave within the window), low, high, compensation_more (mean), reading. Empty without.
    worth : DataFrame
        What an hour sooner, and a yuan of compensation, is worth, in currency a complaint: what, low, high, reading.
    curve : DataFrame
        Share of complainers in each state by day since opening: day, state, share.
    set_aside : dict of str to int
    """

    table: pd.DataFrame
    rates: pd.DataFrame
    arms: pd.DataFrame
    worth: pd.DataFrame
    curve: pd.DataFrame
    window: int
    landmark: int
    set_aside: dict[str, int]
    level: float
    currency: str = "yuan"

    NAME, COUNTS, TOTALS, CHART = "recovery", "customers", None, say("Shares of complainers by state and day")
    FORMATS = dict.fromkeys(["ratio", "low", "high", "e_value", "e_value_low"], "{:.2f}") | {"left": COUNT}

    def ratio(self, state: str, among: str = CLOCK) -> pd.Series | None:
        """Give a comparison, if it could be made."""
        rows = self.table[(self.table["state"] == state) & (self.table["among"] == among)]
        return None if rows.empty else rows.iloc[0]

    def headline(self) -> Message:
        """Say how failed and late complaints compare with those made good, and what chance tells of compensation."""
        parts: list[Message] = []
        for state in (FAILED, LATE):
            if (row := self.ratio(state)) is not None:
                said: dict[str, Any] = {
                    "ratio": Number(row["ratio"], ".2f"),
                    "e": Number(row["e_value"], ".1f"),
                    "span": Span(row["low"], row["high"], ".2f"),
                }
                parts.append(
                    say(
                        "After a complaint rejected or withdrawn, customers leave {ratio} times as often {span} as "
                        "after one solved in time (associated; E-value {e}).",
                        **said,
                    )
                    if state == FAILED
                    else say("After one solved late, {ratio} times as often {span} (associated; E-value {e}).", **said)
                    if parts
                    else say(
                        "After a complaint solved late, customers leave {ratio} times as often {span} as after one "
                        "solved in time (associated; E-value {e}).",
                        **said,
                    )
                )
        for row in self.arms.itertuples():
            parts.append(
                say(
                    "Effect of '{arm}' against '{against}', randomised: {points} points more leave {span}.",
                    arm=Label(row.arm),
                    against=Label(row.against),
                    points=Number(row.percentage_points, "+.2f"),
                    span=Span(row.low, row.high, "+.2f"),
                )
            )
        few = say("Too few customers left after complaints of each outcome to compare them.")
        return join(*([few] if self.ratio(FAILED) is None and self.ratio(LATE) is None else []), *parts)

    def tiles(self) -> tuple[Tile, ...]:
        """Give the ratio of failed to recovered, and the effect that chance tells."""
        found = []
        if (row := self.ratio(FAILED)) is not None:
            found.append(
                Tile(
                    say("leaving after a failed complaint, times that after one solved in time"),
                    Number(row["ratio"], ".2f"),
                    Span(row["low"], row["high"], ".2f"),
                )
            )
        for row in self.arms.head(1).itertuples():
            label = say("{arm}: percentage points more leave (randomised)", arm=Label(row.arm))
            found.append(Tile(label, Number(row.percentage_points, "+.2f"), Span(row.low, row.high, "+.2f")))
        return tuple(found)

    def caption(self) -> Message:
        """Say what the table shows."""
        said = say(
            "Hazard of leaving by state of the complaint, for {window} days after closing; landmark: state on day "
            "{landmark} after opening. Associated, not caused: who fails differs from who is made good.",
            window=self.window,
            landmark=self.landmark,
        )
        return join(said, left_out(self.set_aside))

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return say("Complainers by state and day since opening; the top band has left.")

    def by_state(self) -> Table:
        """Give leaving by state, for all customers."""
        caption = say("Departures per 100 customers in 30 days, by state of the last complaint.")
        formats = dict.fromkeys(["per_100", "low", "high"], "{:.2f}") | {"days": COUNT, "left": COUNT}
        return Table("states", self.rates, caption, formats, "customers")

    def by_lot(self) -> Table:
        """Give the arms that chance decided.

        Raises
        ------
        CannotAnswer
            If chance decided nothing, or too few left to tell.
        """
        if self.arms.empty:
            raise CannotAnswer(
                say("not answerable: chance decided neither compensation nor queue, or too few left to tell an effect.")
            )
        caption = say(
            "Percentage points more who leave within {window} days of opening, by randomised arm.", window=self.window
        )
        formats = dict.fromkeys(["percentage_points", "low", "high"], "{:+.2f}")
        formats |= {"left": COUNT, "compensation_more": "{:.2f}"}
        return Table("arms", self.arms, caption, formats, "customers")

    def what_it_is_worth(self) -> Table:
        """Give what an hour and a yuan are worth, as ranges."""
        caption = say(
            "What is saved per complaint, in {unit}: a range, 0 within it means not shown.", unit=Term(self.currency)
        )
        return Table("worth", self.worth, caption, dict.fromkeys(["low", "high"], "{:+.2f}"), None)

    def quantities(self) -> Iterable[Quantity]:
        """Name hazard ratios and effects."""
        for place, r in enumerate(self.table.itertuples()):
            name = f"hazard_ratio[among={r.among},state={r.state}]"
            yield Quantity(name, r.ratio, "1", r.low, r.high, 1e-4, row=place)
        for r in self.arms.itertuples():
            yield Quantity(f"effect_of_lot[arm={r.arm}]", r.percentage_points, "percentage points", r.low, r.high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of complainers in each state by day since opening."""
        ax = axes(ax)
        wide = self.curve.pivot_table(index="day", columns="state", values="share")
        names = [name for name in (RECOVERED, LATE, FAILED, OPEN, GONE) if name in wide]
        ax.stackplot(
            wide.index, *(100 * wide[name] for name in names), alpha=0.75, labels=[Label(name).said() for name in names]
        )
        ax.set_xlim(0, wide.index.max())
        ax.set_ylim(0, 100)
        legend(ax)
        ax.set_xlabel("days since opening")
        ax.set_ylabel("share of complaints (%)")
        return ax


def recovery(
    lives: pd.DataFrame,
    complaints: pd.DataFrame,
    *,
    customer: str,
    started: str,
    left: str,
    opened: str,
    due: str,
    closed: str,
    outcome: str,
    since: object,
    as_of: object,
    given: str | Sequence[str] | None = None,
    lot: str | None = None,
    compensation: str | None = None,
    value: float = 0.0,
    window: int = 90,
    landmark: int = 14,
    level: float = 0.95,
    currency: str = "yuan",
) -> Recovery:
    """Compare leaving after complaints solved in time, solved late, and failed (rejected or withdrawn).

    To be solved one must still be there: the state counts from the day of closing on, not from the first day (immortal
    time). Who complains differs from who does not, so outcomes are compared among complainers, from opening on and by
    landmark; only what chance decided (`lot`) has an effect.

    Parameters
    ----------
    lives : DataFrame
        One row a customer, those who left too.
    complaints : DataFrame
        One row a complaint.
    customer, started, left : str
        Columns: who (in both tables); first and last day (of lives).
    opened, due, closed, outcome : str
        Columns of complaints: when opened, promised, closed (missing while open); solved, rejected or withdrawn.
    since, as_of : date
        Departures are recorded from `since` on; what happened before `as_of` is known.
    given : str or sequence of str, optional
        Columns of lives, of groups known at opening, that the comparisons hold fixed.
    lot : str, optional
        Column of complaints: the arm that chance decided, missing where it did not (compensation, queue, partner).
        All that were randomised count, whatever became of them, against not_offered, control or held_out, else the
        arm that is first by letters.
    compensation : str, optional
        Column of complaints: what was credited, in currency.
    value : float
        What is lost with a customer, in currency; 0 tells no worth.
    window : int
        Days after closing (arms: after opening) that count.
    landmark : int
        Days after opening on which the state is taken.

    Raises
    ------
    WorkbenchError
        If columns are missing, days or outcomes are none, window and landmark are no whole numbers from 1 on, or
        the level is no share.
    CannotAnswer
        If fewer than 10 customers left within the window of a complaint.

    References
    ----------
    Hirschman (1970), Exit, Voice, and Loyalty. Anderson, Cain and Gelber (1983), J. of Clinical Oncology 1 (landmark).
    VanderWeele and Ding (2017), Annals of Internal Medicine 167 (E-value).
    """
    if not (is_whole(window) and is_whole(landmark) and is_number(value) and value >= 0):
        raise WorkbenchError(
            "window={window}, landmark={landmark}: give whole days, 1 or more, and a value of 0 or more."
        ).of(str(window), str(landmark))
    require_level(level)
    window, landmark = int(window), int(landmark)
    names = listed(given)
    require_table(lives, names, "lives")
    require_table(complaints, [name for name in (lot, compensation) if name], "complaints")
    paid = number(complaints[compensation], compensation, missing="keep") if compensation else None
    drawn = codes(complaints[lot], lot).to_numpy() if lot else None
    asked: dict[str, Any] = {
        "opened": opened,
        "due": due,
        "closed": closed,
        "outcome": outcome,
        "since": since,
        "as_of": as_of,
    }
    known = read(lives, complaints, customer=customer, started=started, left=left, **asked)
    groups = pd.DataFrame({name: codes(lives[name], name, missing="refuse") for name in names})
    groups = groups.set_axis(codes(lives[customer], customer), axis=0)
    spells, cases = known.spells(window), known.cases
    after = from_opening(cases, window)
    if (gone := int(after["left"].sum())) < FEWEST_LEFT:
        said = say(
            "not answerable: {n} customers left within {window} days of a complaint, {few} are needed.",
            n=gone,
            window=window,
            few=FEWEST_LEFT,
        )
        aside = [say("{reason}: {n}", reason=Term(reason), n=n) for reason, n in known.set_aside.items() if n]
        raise CannotAnswer(join(said, *([say("Set aside: {apart}.", apart=Listed(aside, ";"))] if aside else [])))
    table = compared(cases, after, spells, groups, window, landmark, level)
    arms = arms_compared(known.openings, drawn, paid, window, level)
    worth = worth_of(cases, arms, paid, groups, value, window, level, currency)
    return Recovery(
        table,
        rates(spells, level),
        arms,
        worth,
        occupation(cases, window),
        window,
        landmark,
        known.set_aside,
        level,
        currency,
    )
