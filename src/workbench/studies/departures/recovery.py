"""Does making good a complaint keep the customer? What became of those who complained, day by day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.columns import category, number, require_table
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import axes
from workbench.messages import Label, Message, Number, Span, Term, join, say
from workbench.methods.cells import listed
from workbench.methods.confounding import e_value
from workbench.methods.counts import expected
from workbench.methods.intervals import share_difference
from workbench.methods.survival import cox, indicators, state_table
from workbench.result import COUNT, Quantity, Result, Table, Tile
from workbench.studies.departures.spells import FAILED, GONE, LATE, NONE, OPEN, RECOVERED, STATES, read

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_LEFT = 10
"""A state with fewer departures has no ratio, and arms of fewer together no effect."""
ASSOCIATED, EFFECT = "associated", "effect (randomised)"
EVERYBODY, CLOCK, LANDMARK = "all customers, by tenure", "complainers, from opening on", "complainers, landmark"
ORDER = (LATE, FAILED, OPEN, RECOVERED)


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
        One row an arm that chance decided, against the first: arm, against, customers, left, points (percentage points
        more who leave within the window), low, high, paid (mean compensation more), reading. Empty without.
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

    NAME, COUNTS, CHART = "recovery", "customers", say("Shares of complainers by state and day")
    FORMATS = dict.fromkeys(["ratio", "low", "high", "e_value", "e_value_low"], "{:.2f}") | {"left": COUNT}

    def ratio(self, state: str, among: str = CLOCK) -> pd.Series | None:
        """Give a comparison, if it could be made."""
        rows = self.table[(self.table["state"] == state) & (self.table["among"] == among)]
        return None if rows.empty else rows.iloc[0]

    def headline(self) -> Message:
        """Say how failed and late complaints compare with those made good, and what chance tells of compensation."""
        parts = []
        for state in (FAILED, LATE):
            if (row := self.ratio(state)) is not None:
                parts.append(
                    say(
                        "After a complaint that is {state}, customers leave {ratio} times as often {span} as after one "
                        "solved in time (associated).",
                        state=Label(state), ratio=Number(row["ratio"], ".2f"),
                        span=Span(row["low"], row["high"], ".2f"),
                    )
                )  # fmt: skip
        for row in self.arms.itertuples():
            parts.append(
                say(
                    "Effect of '{arm}' against '{against}', randomised: {points} points more leave {span}.",
                    arm=Label(row.arm), against=Label(row.against), points=Number(row.points, "+.2f"),
                    span=Span(row.low, row.high, "+.2f"),
                )
            )  # fmt: skip
        return join(*parts) if parts else say("Too few customers left after complaints to compare outcomes.")

    def tiles(self) -> tuple[Tile, ...]:
        """Give the ratio of failed to recovered, and the effect that chance tells."""
        found = []
        if (row := self.ratio(FAILED)) is not None:
            found.append(
                Tile(say("leaving after a failed complaint, times that after one solved in time"),
                    Number(row["ratio"], ".2f"), Span(row["low"], row["high"], ".2f"))
            )  # fmt: skip
        for row in self.arms.head(1).itertuples():
            label = say("{arm}: percentage points more leave (randomised)", arm=Label(row.arm))
            found.append(Tile(label, Number(row.points, "+.2f"), Span(row.low, row.high, "+.2f")))
        return tuple(found)

    def caption(self) -> Message:
        """Say what the table shows."""
        return say(
            "Hazard of leaving by state of the complaint, for {window} days after closing; landmark: state on day "
            "{landmark} after opening. Associated, not caused: who fails differs from who is made good.",
            window=self.window, landmark=self.landmark,
        )  # fmt: skip

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
            If chance decided nothing.
        """
        if self.arms.empty:
            raise CannotAnswer(
                say("not answerable: chance decided neither compensation nor queue, so there is no effect to tell.")
            )
        caption = say("Percentage points more who leave within {window} days of opening, by randomised arm.",
            window=self.window)  # fmt: skip
        formats = dict.fromkeys(["points", "low", "high"], "{:+.2f}") | {"left": COUNT, "paid": "{:.2f}"}
        return Table("arms", self.arms, caption, formats, "customers")

    def what_it_is_worth(self) -> Table:
        """Give what an hour and a yuan are worth, as ranges."""
        caption = say("What is saved per complaint, in {unit}: a range, 0 within it means not shown.",
            unit=Term(self.currency))  # fmt: skip
        return Table("worth", self.worth, caption, dict.fromkeys(["low", "high"], "{:+.2f}"), None)

    def quantities(self) -> Iterable[Quantity]:
        """Name hazard ratios and effects."""
        for r in self.table.itertuples():
            yield Quantity(f"hazard_ratio[among={r.among},state={r.state}]", r.ratio, "1", r.low, r.high, 1e-4)
        for r in self.arms.itertuples():
            yield Quantity(f"effect_of_lot[arm={r.arm}]", r.points, "points", r.low, r.high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of complainers in each state by day since opening."""
        ax = axes(ax)
        wide = self.curve.pivot_table(index="day", columns="state", values="share")
        names = [name for name in (RECOVERED, LATE, FAILED, OPEN, GONE) if name in wide]
        ax.stackplot(wide.index, *(100 * wide[name] for name in names), alpha=0.75,
            labels=[Label(name).said() for name in names])  # fmt: skip
        ax.set_xlim(0, wide.index.max())
        ax.set_ylim(0, 100)
        ax.legend(loc="center right")
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
        If columns are missing, days or outcomes are none, or window and landmark are not 1 or more.
    CannotAnswer
        If fewer than 10 customers left within the window of a complaint.

    References
    ----------
    Hirschman (1970), Exit, Voice, and Loyalty. Anderson, Cain and Gelber (1983), J. of Clinical Oncology 1 (landmark).
    VanderWeele and Ding (2017), Annals of Internal Medicine 167 (E-value).
    """
    if window < 1 or landmark < 1 or value < 0:
        raise WorkbenchError(f"window={window}, landmark={landmark}: give 1 day or more, and a value of 0 or more.")
    names = listed(given)
    require_table(lives, names, "lives")
    asked = {"opened": opened, "due": due, "closed": closed, "outcome": outcome, "since": since, "as_of": as_of}
    known = read(lives, complaints, customer=customer, started=started, left=left, **asked)
    groups = pd.DataFrame({name: category(lives[name], name, missing="refuse") for name in names})
    groups = groups.set_axis(lives[customer].astype(str), axis=0)
    spells, cases = known.spells(window), known.cases
    after = _from_opening(cases, window)
    if (gone := int(after["left"].sum())) < FEWEST_LEFT:
        raise CannotAnswer(
            say("not answerable: {n} customers left within {window} days of a complaint, {few} are needed.", n=gone,
                window=window, few=FEWEST_LEFT)
        )  # fmt: skip
    kept = cases[(cases["opened"] + landmark < cases["until"]) & (cases["known"] > landmark)]
    there = kept["opened"] + landmark
    late = pd.DataFrame(
        {
            "customer": kept["customer"], "entry": 0, "exit": np.minimum(kept["until"] - there, window),
            "state": kept["state"].where(kept["closed"] <= there, OPEN),
            "left": kept["left"] & (kept["until"] - there <= window),
        }
    )  # fmt: skip
    compared = (
        _ratios(spells, groups, NONE, EVERYBODY, level),
        _ratios(after, groups, RECOVERED, CLOCK, level),
        _ratios(late, groups, RECOVERED, LANDMARK, level),
    )
    columns = ["among", "state", "against", "customers", "left", "ratio", "low", "high", "e_value", "e_value_low"]
    table = pd.DataFrame([row for rows in compared for row in rows], columns=columns).assign(reading=ASSOCIATED)
    paid = number(complaints[compensation], compensation, missing="keep") if compensation else None
    arms = _arms(cases, complaints, lot, paid, window, level)
    worth = _worth(cases, arms, paid, groups, value, window, level)
    return Recovery(
        table, _rates(spells, level), arms, worth, _curve(after, window), window, landmark, known.set_aside, level,
        currency,
    )  # fmt: skip


def _from_opening(cases: pd.DataFrame, window: int) -> pd.DataFrame:
    """Cut each complaint into its time open and its time closed, in days since opening."""
    length, shut = cases["until"] - cases["opened"], cases["closed"] - cases["opened"]
    end = np.where(shut < length, np.minimum(shut + window, length), np.minimum(length, shut + window))
    one = cases[["customer", "left"]].assign(case=np.arange(len(cases)), entry=0, exit=shut, state=OPEN)
    one["left"] &= shut >= length
    two = cases[["customer", "left", "state"]].assign(case=np.arange(len(cases)), entry=shut, exit=end)
    two["left"] &= two["exit"] >= length
    both = pd.concat([one, two], ignore_index=True)
    return both[both["exit"] > both["entry"]].reset_index(drop=True)


def _ratios(spells: pd.DataFrame, groups, against: str, among: str, level: float) -> list[list[object]]:
    """Hazard ratios of the states that have departures enough, given the groups; clustered by customer."""
    left = spells.groupby("state")["left"].sum()
    told = [s for s in ORDER if s != against and left.get(s, 0) >= FEWEST_LEFT]
    if not told or left.get(against, 0) < FEWEST_LEFT:
        return []
    used = spells[spells["state"].isin([against, *told])]
    x = [indicators(used["state"], against)]
    for name in groups:
        mine = used["customer"].map(groups[name])
        dummies = indicators(mine, mine.value_counts().sort_index().idxmax())
        events = dummies.mul(used["left"], axis=0).sum()
        x.append(dummies.loc[:, (events > 0) & (events < used["left"].sum())].add_prefix(f"{name}="))
    fit = cox(used["entry"], used["exit"], used["left"], pd.concat(x, axis=1), clusters=used["customer"], level=level)
    rows: list[list[object]] = []
    for state in told:
        ratio, low, high = fit.table.loc[state, ["ratio", "low", "high"]]
        mine = used[used["state"] == state]
        near = low if low > 1 else high if high < 1 else 1.0
        rows.append([among, state, against, mine["customer"].nunique(), int(mine["left"].sum()), ratio, low, high,
            e_value(ratio), e_value(near)])  # fmt: skip
    return rows


def _rates(spells: pd.DataFrame, level: float) -> pd.DataFrame:
    """Departures per 100 customers in 30 days, by state."""
    spells = spells.assign(days=spells["exit"] - spells["entry"])
    found = spells.groupby("state").agg(customers=("customer", "nunique"), days=("days", "sum"), left=("left", "sum"))
    found = found.reindex([s for s in STATES if s in found.index])
    low, high = expected(found["left"].to_numpy(), level=level)
    to_share = [100 * -np.expm1(-30 * events / found["days"]) for events in (found["left"], low, high)]
    return found.assign(per_100=to_share[0], low=to_share[1], high=to_share[2]).reset_index()


def _curve(after: pd.DataFrame, window: int) -> pd.DataFrame:
    """Occupation of the states by day since opening, by Aalen and Johansen."""
    names = [OPEN, RECOVERED, LATE, FAILED, GONE]
    place = {name: i for i, name in enumerate(names)}
    into = after[after["state"] != OPEN].set_index("case")["state"].map(place)
    to = after["case"].map(into).fillna(-1).astype(int).where(after["state"] == OPEN, -1)
    to = to.mask(after["left"], place[GONE])
    kept = (after["entry"] < window).to_numpy()
    exit = np.minimum(after["exit"], window)
    to = to.where(after["exit"] <= window, -1)
    # a case closed on its first day has no time open: it is given that day
    at_once = ~after["case"].isin(after.loc[after["state"] == OPEN, "case"])
    extra = pd.DataFrame({"entry": 0, "exit": 1, "state": place[OPEN], "to": after.loc[at_once, "state"].map(place)})
    moved = pd.DataFrame({"entry": after["entry"].mask(at_once, 1), "exit": exit, "state": after["state"].map(place),
        "to": to})[kept]  # fmt: skip
    all_ = pd.concat([moved[moved["exit"] > moved["entry"]], extra], ignore_index=True).astype(int)
    shares = state_table(all_["entry"], all_["exit"], all_["state"], all_["to"], states=len(names)).occupied()
    day = np.arange(shares.shape[1] + 1)
    start = np.eye(len(names))[0][:, None]
    shares = np.hstack([start, shares])
    return pd.DataFrame({"day": np.tile(day, len(names)), "state": np.repeat(names, len(day)), "share": shares.ravel()})


def _arms(cases, complaints, lot, paid, window: int, level: float) -> pd.DataFrame:
    """Compare the arms by assignment: who leaves within the window of opening, among complaints known that long."""
    columns = ["arm", "against", "customers", "left", "points", "low", "high", "paid", "reading"]
    empty = pd.DataFrame(columns=columns)
    if lot is None:
        return empty
    require_table(complaints, [lot], "complaints")
    arm = category(complaints[lot], lot).to_numpy()[cases["row"]]
    ready = pd.DataFrame({"arm": arm, "customer": cases["customer"], "row": cases["row"],
        "left": cases["left"] & (cases["until"] - cases["opened"] <= window)})  # fmt: skip
    ready = ready[pd.notna(arm) & (cases["known"] >= window).to_numpy()].drop_duplicates("customer")
    sizes = ready["arm"].value_counts().sort_index()
    if len(sizes) < 2 or ready["left"].sum() < FEWEST_LEFT:
        return empty
    first, rows = _reference(list(sizes.index)), []
    zero = ready[ready["arm"] == first]
    for name in [name for name in sizes.index if name != first]:
        one = ready[ready["arm"] == name]
        low, high, _ = share_difference(one["left"].sum(), len(one), zero["left"].sum(), len(zero), level=level)
        more = np.nan if paid is None else np.nanmean(paid[one["row"]]) - np.nanmean(paid[zero["row"]])
        gap = one["left"].mean() - zero["left"].mean()
        rows.append([name, first, len(one), int(one["left"].sum()), 100 * gap, 100 * low, 100 * high, more, EFFECT])
    return pd.DataFrame(rows, columns=columns)


def _reference(arms: list[str]) -> str:
    """Give the arm that got nothing, by its name, else the first."""
    return next((a for a in arms if a.startswith(("not", "no_", "control", "held"))), arms[0])


def _worth(cases, arms, paid, groups, value: float, window: int, level: float) -> pd.DataFrame:
    """What an hour sooner and a yuan are worth: a linear model of leaving after closing, among cases solved."""
    import statsmodels.api as sm

    rows: list[dict[str, Any]] = []
    solved = cases[cases["state"].isin([RECOVERED, LATE]) & (cases["known"] >= window)]
    gone = solved["left"] & (solved["until"] - solved["closed"] <= window)
    if value and gone.sum() >= FEWEST_LEFT:
        x = pd.DataFrame({"hours": solved["hours"]})
        if paid is not None:
            x["paid"] = np.nan_to_num(paid[solved["row"]])
        for name in groups:
            mine = solved["customer"].map(groups[name])
            x = x.join(indicators(mine, mine.value_counts().sort_index().idxmax()).add_prefix(f"{name}="))
        x = x.loc[:, x.std() > 0]
        who = pd.factorize(solved["customer"])[0]
        fit = sm.OLS(gone.astype(float), sm.add_constant(x)).fit(cov_type="cluster", cov_kwds={"groups": who})
        ends = fit.conf_int(1 - level)
        for name, said in (("hours", "an hour sooner"), ("paid", "a yuan of compensation")):
            if name in x:
                low, high = ends.loc[name] if name == "hours" else -ends.loc[name].iloc[::-1]
                rows.append({"what": said, "low": value * low, "high": value * high, "reading": ASSOCIATED})
    for row in arms.itertuples():
        if value and np.isfinite(row.paid) and row.paid > 0:
            rows = [r for r in rows if r["what"] != "a yuan of compensation"]
            scale = -value / 100 / row.paid
            rows.append({"what": "a yuan of compensation", "low": scale * row.high, "high": scale * row.low,
                "reading": EFFECT})  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "low", "high", "reading"])
