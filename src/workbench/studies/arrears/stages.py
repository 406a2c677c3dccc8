"""What does each stage of collection bring and cost, by stage and collector, and whom to go to next?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import MOST_ASIDE, category, take
from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.figures import Axes, axes, dot_and_interval
from workbench.messages import Listed, Message, Number, Span, Word, join, say
from workbench.methods import clusters
from workbench.methods.ranks import rank_ends
from workbench.methods.resampling import Rng, bootstrap_weights, require_resamples
from workbench.result import COUNT, POINTS, SHARE, Quantity, Result, Table, Tile
from workbench.studies.arrears.bills import overdue
from workbench.studies.arrears.jumps import jump

FEWEST, EVENTS, _CENT = 30, 10, 0.005
OUTCOMES = ("reached", "promised", "not_reached")
LOT, JUMP, NONE = "randomised", "jump against placebo days", "not answerable"
_EFFECTS = ("more_paid", "more_earned", "net_earned", "more_lost")


@dataclass(frozen=True, eq=False)
class Collection(Result):
    """What each stage brings.

    Attributes
    ----------
    table : DataFrame
        One row a stage. Of those acted on whose ten days are over: actions, customers, reached (share of those tried),
        settled (share paid in full) with its ends, owed, collected, cost, per_cost (collected a unit of cost). Effect
        of acting, against those held out (intention to treat): basis, held_out (bills), more_paid (share) with its
        ends and p; more_earned (currency a bill) and net_earned (less the cost of an action) with their ends; more_lost
        (share of customers who leave of their own will within 90 days) with its ends. Without a lot, more_paid is that
        of the jump on the day of the stage, and nothing else is known.
    collectors : DataFrame
        One row a collector: actions, customers, settled, difference (from what their stages bring in all) with low,
        high, rank, rank_low, rank_high.
    why : dict of int to Message
        Why a stage's effect is not answerable.
    """

    table: pd.DataFrame
    collectors: pd.DataFrame
    why: dict[int, Message]
    set_aside: dict[str, int]
    level: float
    currency: str

    NAME, COUNTS, TOTALS = "stages", "customers", None
    CHART = say("Dots with intervals, a row a stage")
    FORMATS = (
        {f"settled{end}": SHARE for end in ("", "_low", "_high")}
        | {f"{name}{end}": POINTS for name in ("more_paid", "more_lost") for end in ("", "_low", "_high")}
        | {f"{name}{end}": "{:+,.2f}" for name in ("more_earned", "net_earned") for end in ("", "_low", "_high")}
        | dict.fromkeys(["owed", "collected", "cost", "held_out", "actions"], COUNT)
        | {"per_cost": "{:,.1f}"}
    )
    CAPTION = (
        "Stages of ten days: reached (of those tried), paid in full, owed, collected, cost, and collected for each "
        "unit of cost ({currency})."
    )

    def headline(self) -> Message:
        """Say what each stage earns, what restricting costs, and which collector is behind."""
        parts = [self._said(r) for r in self.table.itertuples()]
        for r in self.table.itertuples():
            if r.action == "restrict" and np.isfinite(r.more_lost):
                ends = Span(100 * r.more_lost_low, 100 * r.more_lost_high, "+.1f")
                points = Number(100 * r.more_lost, "+.1f")
                parts.append(
                    say("restricting makes {points} points {span} more leave within 90 days", points=points, span=ends)
                )
        behind = self.behind()
        if len(behind):
            names = Listed([Word(name) for name in behind["collector"]])
            parts.append(say("{names} collect less than the others at the same stages", names=names))
        rest = say("{clauses}.", clauses=Listed([parts[0].sentence(), *parts[1:]], ";"))
        if (row := self._best()) is None:
            return rest
        said: dict[str, Any] = {"stage": stage_name(row), "net": Number(row["net_earned"], "+,.2f")}
        said |= {"span": Span(row["net_earned_low"], row["net_earned_high"], "+,.2f")}
        if row["net_earned_low"] > 0 and row["action"] == "restrict" and row["more_lost_low"] > 0:
            first = self.say(
                "Collecting earns most at {stage}: {net} {currency} a bill after cost {span}, not "
                "counting customers lost.",
                **said,
            )
        elif row["net_earned_low"] > 0:
            first = self.say("Collecting earns most at {stage}: {net} {currency} a bill after cost {span}.", **said)
        elif row["net_earned_high"] < 0:
            first = self.say("Collecting loses least at {stage}: {net} {currency} a bill after cost {span}.", **said)
        else:
            first = self.say(
                "No stage is certain to earn its cost: at best {net} {currency} a bill after cost {span}, at {stage}.",
                **said,
            )
        return join(first, rest)

    def _best(self) -> pd.Series | None:
        """The stage that earns most of those that surely earn; without one, of those that may; else of all."""
        known = self.table[(self.table["basis"] == LOT) & self.table["net_earned"].notna()]
        for some in (known["net_earned_low"] > 0, known["net_earned_high"] >= 0, known["net_earned"].notna()):
            if some.any():
                return known.loc[known.loc[some, "net_earned"].idxmax()]
        return None

    def _said(self, r) -> Message:
        if r.basis == NONE:
            return say("what {stage} earns is not answerable: {why}", stage=stage_name(r), why=self.why[r.stage])
        span = Span(100 * r.more_paid_low, 100 * r.more_paid_high, "+.1f")
        if r.basis == JUMP:
            return say(
                "{stage} is followed by {points} points {span} more who pay at once",
                stage=stage_name(r),
                points=Number(100 * r.more_paid, "+.1f"),
                span=span,
            )
        said: dict[str, Any] = {"stage": stage_name(r), "points": Number(100 * r.more_paid, "+.1f"), "span": span}
        if not np.isfinite(r.net_earned):
            return say("{stage} makes {points} points {span} more pay within ten days; its cost is not known", **said)
        said["net"] = Number(r.net_earned, "+,.2f")
        said["ends"] = Span(r.net_earned_low, r.net_earned_high, "+,.2f")
        if r.net_earned < 0:
            return self.say(
                "{stage} makes {points} points {span} more pay within ten days, which is {net} {ends} {currency} a "
                "bill after cost",
                **said,
            )
        return self.say(
            "{stage} makes {points} points {span} more pay within ten days and earns {net} {ends} {currency} a bill "
            "after cost",
            **said,
        )

    def behind(self) -> pd.DataFrame:
        """Collectors who surely rank behind another: their interval lies below what their stages bring in all."""
        return self.collectors[(self.collectors["high"] < 0) & (self.collectors["rank_low"] > 1)]

    def tiles(self) -> tuple[Tile, ...]:
        """What the stage that earns most earns, and what restricting costs."""
        if (row := self._best()) is None:
            return ()
        label = self.say("{currency} earned a bill, {stage}", stage=stage_name(row))
        if row["net_earned"] < 0:
            label = self.say("{stage}, a bill after cost ({currency})", stage=stage_name(row))
        ends = Span(row["net_earned_low"], row["net_earned_high"], "+,.2f", self.level)
        return (Tile(label, Number(row["net_earned"], "+,.2f"), ends),)

    def summary(self) -> pd.DataFrame:
        """Tabulate who was acted on, what came in and what it cost."""
        return self.table.loc[:, "stage":"per_cost"].rename(columns={"action": "stage_action"})

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        return say("How many more pay in full within ten days because a stage acts on them.")

    def effects(self) -> Table:
        """Give what acting changed as a page shows it."""
        frame = self.table[["stage", "action", *self.table.columns[self.table.columns.get_loc("basis") :]]]
        said = self.say(
            "What acting changed, a bill: those who pay, what comes in (adjusted for what was owed before), the same "
            "after cost ({currency}), and those who leave of their own will within 90 days."
        )
        forms = {name: form for name, form in self.FORMATS.items() if name in frame}
        return Table("effects", frame.rename(columns={"action": "stage_action"}), said, forms, "held_out", totals=None)

    def by_collector(self) -> Table:
        """Give the collectors as a page shows them."""
        if not len(self.collectors):
            raise CannotAnswer(say("not answerable: no collector has {n} actions on record.", n=FEWEST))
        said = say(
            "Bills paid in full within ten days, against what the same stages bring in all; which rank each may have."
        )
        forms = {"settled": SHARE, "actions": COUNT} | dict.fromkeys(["difference", "low", "high"], POINTS)
        return Table("collectors", self.collectors, said, forms, "customers", totals=None)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the effect of each stage on those who pay, in points."""
        rows = self.table[self.table["basis"] != NONE]
        names = [stage_name(r) for r in rows.itertuples()]
        ends = 100 * rows[["more_paid", "more_paid_low", "more_paid_high"]].set_axis(
            ["estimate", "low", "high"], axis=1
        )
        label = self.say("more who pay within ten days (percentage points, {level} interval)")
        return dot_and_interval(names, ends, axes(ax), label=label, zero=True, digits="+.1f")

    def quantities(self) -> Iterable[Quantity]:
        """Effect of each stage on those who pay, on what comes in after cost, and on those who leave."""
        for r in self.table.to_dict("records"):
            for name, unit in (("more_paid", "share"), ("net_earned", self.currency), ("more_lost", "share")):
                if np.isfinite(r[name]):
                    ends = r[f"{name}_low"], r[f"{name}_high"]
                    yield Quantity(f"{name}[stage={r['stage']}]", r[name], unit, *ends)

    def next_stage(
        self, bills: pd.DataFrame, actions: pd.DataFrame, *, as_of: date | str, worth: float
    ) -> pd.DataFrame:
        """Give the next stage of each customer with an open bill, by what acting is expected to bring.

        Parameters
        ----------
        bills, actions : DataFrame
            Views `bill_history` and `collection_stage`, as of today.
        worth : float
            What is lost with a customer who leaves, in currency.

        Returns
        -------
        DataFrame
            One row a customer, best first: customer_id, bill_id, days (past due on `as_of`), stage, action, owed,
            expected (effect on paying x owed - cost - effect on leaving x worth), low, high (of the effect on paying),
            advice: act where `low` and what the stage earns are surely above 0; leave alone where either is surely
            below; not certain; not known; past the last stage, where there is none to follow. Their bill that brings
            most; a stage follows the last one taken, as its effect is known only for those who went through those
            before.
        """
        table, _ = overdue(bills, as_of)
        table = table[table["cause"] == -1]
        done = take(actions, "actions", numbers=["stage"], by=["bill_id"]).table.groupby("bill_id")["stage"].max()
        stage = category(table["bill_id"], "bill_id").map(done).fillna(0).astype(int) + 1
        owed = table["amount"] - table["paid"]
        rows = self.table.set_index("stage").reindex(stage)
        fee = (rows["cost"] / rows["actions"]).to_numpy()
        lost = np.where(rows["action"] == "restrict", rows["more_lost"], 0.0)
        found = pd.DataFrame(
            {
                "customer_id": table["customer_id"].to_numpy(),
                "bill_id": table["bill_id"].to_numpy(),
                "days": table["exit"].to_numpy() + 1,
                "stage": stage.to_numpy(),
                "action": rows["action"].to_numpy(),
                "owed": owed.to_numpy(),
            }
        )
        for name, effect in (("expected", "more_paid"), ("low", "more_paid_low"), ("high", "more_paid_high")):
            found[name] = rows[effect].to_numpy() * found["owed"] - fee - lost * worth
        loses, sure = rows["net_earned_high"].to_numpy() < 0, ~(rows["net_earned_low"].to_numpy() <= 0)
        past = ~np.isin(found["stage"], self.table["stage"]) & (found["stage"] > self.table["stage"].max())
        found["advice"] = np.select(
            [past, found["expected"].isna(), loses | (found["high"] <= 0), sure & (found["low"] > 0)],
            ["past the last stage", "not known", "leave alone", "act"],
            "not certain",
        )
        found = found[(found["action"].notna() | past) & (found["owed"] > 0)]
        found = found.sort_values(["expected", "bill_id"], ascending=[False, True])
        return found.drop_duplicates("customer_id").reset_index(drop=True)


def collection(
    actions: pd.DataFrame,
    bills: pd.DataFrame | None = None,
    *,
    as_of: date | str | None = None,
    level: float = 0.95,
    currency: str = "currency",
    resamples: int = 400,
    rng: Rng = 0,
) -> Collection:
    """Say what each stage of collection brings and costs, and what acting changed.

    Parameters
    ----------
    actions : DataFrame
        The view `collection_stage`; where `arm` is treated or held_out, chance decided. Bills held out are compared
        with all that were to be acted on (intention to treat), customers being clusters.
    bills : DataFrame, optional
        The view `bill_history`, for stages without a lot: the daily chance of paying around the day of the stage.
    as_of : date or str, optional
        Exclusive; with `bills`.

    Raises
    ------
    CannotAnswer
        If no action's ten days are over.

    Warning
    -------
    Collectors are compared within stages, not by lot: who gets the harder bills ranks lower than they deserve.
    """
    require_resamples(resamples)
    table, aside = _read(actions)
    if not len(table):
        raise CannotAnswer(say("not answerable: no action of collection is on record whose ten days are over."))
    open_bills = overdue(bills, as_of)[0] if bills is not None and as_of is not None else None
    stages = table.groupby("stage")["days"].median().astype(int).tolist()
    rows, why = [], {}
    for stage in sorted(table["stage"].unique()):
        part = table[table["stage"] == stage]
        row, reason = _effects(part, level)
        if reason is not None and open_bills is not None:
            try:
                row |= jump(open_bills, part["days"].to_numpy(), stages, level)
                row["basis"] = JUMP
                reason = None
            except CannotAnswer as error:
                reason = error.args[0]
        if reason is not None:
            why[int(stage)] = reason
        rows.append(_stage_row(part, int(stage), level) | row)
    return Collection(pd.DataFrame(rows), _collectors(table, level, resamples, rng), why, aside, level, currency)


def _read(actions: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Actions on overdue bills whose ten days are over, sorted; the others counted."""
    numbers = ["stage", "days", "owed", "collected", "cost"]
    taken = take(
        actions,
        "actions",
        key="action_id",
        numbers=numbers,
        flags=["settled", "left_90"],
        missing="keep",
        categories=["collector", "arm", "outcome"],
        by=["customer_id", "bill_id", "action"],
    ).table
    taken["cost"] = taken["cost"].mask(taken["cost"].isna() & (taken["arm"] == "held_out"), 0.0)
    for column, most in (("stage", 0), ("days", MOST_ASIDE), ("owed", 0)):
        if taken[column].isna().sum() > most * len(taken):
            raise WorkbenchError("'{column}' is missing in {n} actions: give it.").of(
                column, taken[column].isna().sum()
            )
    if odd := sorted({*taken["arm"].dropna()} - {"treated", "held_out"}):
        raise WorkbenchError("'arm' of actions holds '{odd}': it is treated, held_out or missing.").of(odd[0])
    if odd := sorted({*taken["outcome"].dropna()} - {*OUTCOMES}):
        raise unknown("outcome of an action", odd[0], OUTCOMES)
    if odd := sorted({*taken["stage"]} - {*taken["stage"].round().clip(lower=1)}):
        raise WorkbenchError("'stage' of actions holds {odd}: give whole numbers from 1 on.").of(f"{odd[0]:g}")
    aside = {
        "paid over what was owed (counted as paid)": int((taken["collected"] > taken["owed"] + _CENT).sum()),
        "with less than 0 collected (counted as it is)": int((taken["collected"] < 0).sum()),
        "with a cost below 0 (counted as it is)": int((taken["cost"] < 0).sum()),
    }
    aside = {reason: n for reason, n in aside.items() if n}
    for reason, rows in (
        ("on bills without a due day, or due before they were issued", taken["days"].isna()),
        ("before the bill was overdue", taken["days"] <= 0),
        ("on bills already paid", taken["owed"] <= 0),
        ("ten days not over", taken["settled"].isna() | taken["collected"].isna()),
    ):
        rows = rows.reindex(taken.index)
        if rows.any():
            aside[reason] = int(rows.sum())
            taken = taken[~rows]
    if (lacking := taken["cost"].isna()).any():
        aside["with no cost (taken as the mean of its stage)"] = int(lacking.sum())
        acted = taken["cost"].mask(taken["arm"] == "held_out")
        taken["cost"] = taken["cost"].fillna(acted.groupby(taken["stage"]).transform("mean"))
    names = category(taken["action_id"], "action_id").to_numpy(str) if len(taken) else np.empty(0, str)
    return taken.iloc[np.argsort(names, kind="stable")].reset_index(drop=True), aside


def _stage_row(part: pd.DataFrame, stage: int, level: float) -> dict[str, object]:
    """Describe those of a stage who were acted on."""
    acted = part[part["arm"] != "held_out"]
    tried, settled = acted["outcome"].notna(), acted["settled"].astype(float)
    ratio, low, high = clusters.share(settled.to_numpy(), acted["customer_id"].to_numpy(), level)
    reached = acted.loc[tried, "outcome"].isin(["reached", "promised"])
    sums = acted[["owed", "collected"]].sum()
    sums["cost"] = acted["cost"].sum(skipna=False)
    return {
        "stage": stage,
        "action": part["action"].mode().iloc[0],
        "actions": len(acted),
        "customers": acted["customer_id"].nunique(),
        "reached": reached.mean() if len(reached) else np.nan,
        "settled": ratio,
        "settled_low": low,
        "settled_high": high,
        **sums,
        "per_cost": sums["collected"] / sums["cost"] if sums["cost"] > 0 else np.nan,
    }


def _effects(part: pd.DataFrame, level: float) -> tuple[dict[str, object], Message | None]:
    """Effects by lot, or why there are none."""
    row: dict[str, object] = {"basis": NONE, "held_out": int((part["arm"] == "held_out").sum())}
    row |= {f"more_paid{end}": np.nan for end in ("", "_low", "_high", "_p")}
    row |= {f"{name}{end}": np.nan for name in _EFFECTS[1:] for end in ("", "_low", "_high")}
    lot = part[part["arm"].notna()]
    treated = (lot["arm"] == "treated").to_numpy()
    who, settled = lot["customer_id"].to_numpy(), lot["settled"].astype(float).to_numpy()
    if not row["held_out"] or not treated.any():
        return row, say("nobody was held out by lot")
    if (events := _expected(settled, treated)) < EVENTS:
        return row, say(
            "too few were held out: {n} payments are to be expected among them, and it takes {k}",
            n=Number(events, ".1f"),
            k=EVENTS,
        )
    if (fewest := _customers(who, treated)) < EVENTS:
        return row, say("too few were drawn by lot: an arm has {n} customers, and it takes {k}", n=fewest, k=EVENTS)
    row["basis"] = LOT
    *ends, row["more_paid_p"] = clusters.difference(settled, treated, who, level)
    row |= dict(zip(("more_paid", "more_paid_low", "more_paid_high"), ends, strict=True))
    collected = _adjusted(lot["collected"].to_numpy(float), lot["owed"].to_numpy(float), treated)
    *ends, _ = clusters.difference(collected, treated, who, level)
    row |= dict(zip(("more_earned", "more_earned_low", "more_earned_high"), ends, strict=True))
    fee = float(lot.loc[treated, "cost"].mean())
    row |= dict(zip(("net_earned", "net_earned_low", "net_earned_high"), (end - fee for end in ends), strict=True))
    seen = lot["left_90"].notna().to_numpy()
    left = lot["left_90"].astype(float).to_numpy()
    known = left[seen], treated[seen], who[seen]
    if seen.any() and min(_expected(*known[:2]), _customers(known[2], known[1])) >= EVENTS / 2:
        *ends, _ = clusters.difference(*known, level)
        row |= dict(zip(("more_lost", "more_lost_low", "more_lost_high"), ends, strict=True))
    return row, None


def _adjusted(y: np.ndarray, known: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """Outcomes at the mean of what was known before, by a line in each arm (Lin 2013)."""
    found = y.copy()
    for arm in (treated, ~treated):
        if known[arm].std() > 0:
            found[arm] -= np.polyfit(known[arm], y[arm], 1)[0] * (known[arm] - known.mean())
    return found


def _customers(who: np.ndarray, treated: np.ndarray) -> int:
    """Customers of the smaller arm: their bills tell little of others."""
    return min(len(np.unique(who[treated])), len(np.unique(who[~treated])))


def _expected(y: np.ndarray, treated: np.ndarray) -> float:
    """Events in the smaller arm at the rate of both together; of those without, if they are fewer."""
    return float(min(y.mean(), 1 - y.mean()) * min(treated.sum(), (~treated).sum())) if len(y) else 0.0


def _collectors(table: pd.DataFrame, level: float, resamples: int, rng: Rng) -> pd.DataFrame:
    """Compare collectors with what their stages bring in all, and rank them."""
    acted = table[(table["arm"] != "held_out") & table["collector"].notna()]
    enough = acted["collector"].map(acted["collector"].value_counts()) >= FEWEST
    acted = acted[enough]
    names = sorted(acted["collector"].unique())
    columns = [
        "collector",
        "actions",
        "customers",
        "settled",
        "difference",
        "low",
        "high",
        "rank",
        "rank_low",
        "rank_high",
    ]
    if len(names) < 2:
        return pd.DataFrame(columns=columns)
    place = pd.Index(names).get_indexer(acted["collector"])
    stage = np.unique(acted["stage"], return_inverse=True)[1]
    cell = place * (stage.max() + 1) + stage
    shape = len(names), int(stage.max()) + 1
    y, who = acted["settled"].astype(float).to_numpy(), np.unique(acted["customer_id"], return_inverse=True)[1]

    def differences(weight: np.ndarray) -> np.ndarray:
        n = np.bincount(cell, weight, np.prod(shape)).reshape(shape)
        paid = np.bincount(cell, weight * y, np.prod(shape)).reshape(shape)
        usual = paid.sum(axis=0) / np.maximum(n.sum(axis=0), 1e-12)
        return (paid.sum(axis=1) - n @ usual) / np.maximum(n.sum(axis=1), 1e-12)

    found = differences(np.ones(len(y)))
    blocks = bootstrap_weights(int(who.max()) + 1, resamples, rng=rng)
    drawn = np.array([differences(weight[who]) for block in blocks for weight in block])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    first, last = rank_ends(found, drawn, level)
    by = acted.assign(paid=y).groupby("collector")
    frame = pd.DataFrame(
        {
            "collector": names,
            "actions": by.size().to_numpy(),
            "customers": by["customer_id"].nunique().to_numpy(),
            "settled": by["paid"].mean().to_numpy(),
            "difference": found,
            "low": low,
            "high": high,
            "rank": 1 + (found[:, None] < found).sum(axis=1),
            "rank_low": first,
            "rank_high": last,
        }
    )
    return frame.sort_values(["rank", "collector"], ignore_index=True)


def stage_name(row) -> Message:
    """Name a stage with what it does."""
    return say("stage {n} ({action})", n=int(row.stage), action=Word(row.action))
