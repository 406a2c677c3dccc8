"""In which state of a complaint is each customer, day by day?

no complaint, open, recovered (solved within the promise), late (solved after it), failed (rejected or withdrawn), gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.columns import days, require_table
from workbench.errors import WorkbenchError, unknown
from workbench.methods.btyd.purchases import day_of
from workbench.methods.survival import observe, require_records
from workbench.studies.departures.codes import codes

NONE, OPEN, RECOVERED, LATE, FAILED, GONE = "no complaint", "open", "recovered", "late", "failed", "gone"
STATES = (NONE, OPEN, RECOVERED, LATE, FAILED)
OUTCOMES = ("solved", "rejected", "withdrawn")


@dataclass(frozen=True, eq=False)
class Complaints:
    """Lives, and the complaints of those who were here, in days of tenure.

    Attributes
    ----------
    lives : DataFrame
        By customer: entry, exit, alive, start (day of the calendar).
    cases : DataFrame
        One row a complaint: customer, row (of the table given), opened, closed, until (all in days of tenure; closed is
        `until` while open; until is the exit or the next complaint's opening), left (whether the customer left at
        `until`), state (once closed; open), hours (to close, or missing), known (days from opening to as_of), stayed
        (days from opening to leaving, also after a later complaint; infinite while here).
    openings : DataFrame
        One row a complaint opened within the time by somebody here, whatever became of it: customer, row, moment (of
        opening), known, stayed.
    set_aside : dict of str to int
    """

    lives: pd.DataFrame
    cases: pd.DataFrame
    openings: pd.DataFrame
    set_aside: dict[str, int]

    def spells(self, window: int) -> pd.DataFrame:
        """Cut each life by its complaints: one row a spell (customer, entry, exit, state, left).

        An outcome counts for `window` days after closing, or until the next complaint.
        """
        c = self.cases
        parts = [
            pd.DataFrame({"customer": c["customer"], "entry": c["opened"], "exit": c["closed"], "state": OPEN}),
            pd.DataFrame(
                {
                    "customer": c["customer"],
                    "entry": c["closed"],
                    "exit": np.minimum(c["closed"] + window, c["until"]),
                    "state": c["state"],
                }
            ),
        ]
        busy = pd.concat(parts, ignore_index=True)
        busy = busy[busy["exit"] > busy["entry"]].sort_values(["customer", "entry"], kind="stable")
        whole = self.lives[["entry", "exit"]].assign(state=NONE)
        first = busy.groupby("customer")["entry"].first()
        gaps = pd.DataFrame(
            {
                "customer": busy["customer"],
                "entry": busy["exit"],
                "state": NONE,
                "exit": busy.groupby("customer")["entry"].shift(-1).fillna(busy["customer"].map(whole["exit"])),
            }
        )
        whole.loc[first.index, "exit"] = first
        spells = pd.concat([busy, gaps, whole.rename_axis("customer").reset_index()], ignore_index=True)
        spells["entry"] = np.maximum(spells["entry"], spells["customer"].map(self.lives["entry"]))
        spells = spells[spells["exit"] > spells["entry"]].astype({"entry": int, "exit": int})
        ends, alive = (spells["customer"].map(self.lives[name]) for name in ("exit", "alive"))
        spells = spells.assign(left=(spells["exit"] == ends) & ~alive.astype(bool))
        return spells.sort_values(["customer", "entry"], kind="stable").reset_index(drop=True)


def read(
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
) -> Complaints:
    """Read lives and complaints; complaints of others, outside the time or after the end of a life are set aside."""
    require_table(lives, [customer, started, left], "lives")
    require_table(complaints, [customer, opened, due, closed, outcome], "complaints")
    names = codes(lives[customer], customer)
    if names.isna().any() or names.duplicated().any():
        raise WorkbenchError("'{customer}' is missing or stands twice in lives: give one row a customer.").of(customer)
    end = day_of(as_of, "as_of")
    lives = lives.set_index(names.to_numpy())
    known = observe(lives, started, left, since, end, None, "day")
    table, aside = known.table, dict(known.set_aside)
    require_records(table, "all", known.step)
    when, due_at, done = (days(complaints[name], name)[0] for name in (opened, due, closed))
    ended = codes(complaints[outcome], outcome)
    if odd := sorted(set(ended.dropna()) - set(OUTCOMES)):
        raise unknown("outcome of a complaint", odd[0], OUTCOMES, outcome)
    done = done.where(done < end)
    who = codes(complaints[customer], customer)
    start = who.map(table["started"])
    tenure = (when.dt.normalize() - start).dt.days
    shut = (done.dt.normalize() - start).dt.days
    entry, exit = who.map(table["entry"]), who.map(table["exit"])
    here = (tenure >= entry) & (tenure < exit)
    reasons = {
        "complaints of nobody in lives": ~who.isin(table.index),
        "complaints without a day of opening": when.isna(),
        "complaints closed before they were opened": done < when,
        "complaints closed without an outcome": done.notna() & ended.isna(),
        "complaints opened outside the time or after leaving": ~here,
    }
    kept = np.ones(len(complaints), dtype=bool)
    for reason, rows in reasons.items():
        if (hit := kept & rows.to_numpy(dtype=bool)).any():
            aside[reason] = int(hit.sum())
            kept &= ~hit
    state = np.select(
        [done.isna(), ended.isin(OUTCOMES[1:]), due_at.notna() & (done > due_at)], [OPEN, FAILED, LATE], RECOVERED
    )
    cases = pd.DataFrame(
        {
            "customer": who,
            "row": np.arange(len(who)),
            "opened": tenure,
            "closed": shut,
            "state": state,
            "hours": (done - when).dt.total_seconds() / 3600,
            "known": (end - when.dt.normalize()).dt.days,
            "exit": exit,
            "alive": who.map(table["alive"]),
            "moment": when,
        }
    )
    cases["stayed"] = (exit - tenure).where(~cases["alive"].eq(True), np.inf)
    openings = cases.loc[here.to_numpy(dtype=bool), ["customer", "row", "moment", "known", "stayed"]]
    openings = openings.astype({"known": int}).reset_index(drop=True)
    return Complaints(table[["entry", "exit", "alive", "started"]], _cut(cases[kept], aside), openings, aside)


def _cut(cases: pd.DataFrame, aside: dict[str, int]) -> pd.DataFrame:
    """End each complaint with the next one or the life; those of a day with a later one are set aside."""
    cases = cases.sort_values(["customer", "opened", "closed", "state", "hours"], kind="stable")
    later = cases.groupby("customer")["opened"].shift(-1)
    cases["until"] = later.fillna(cases["exit"])
    cases["left"] = later.isna() & ~cases["alive"].astype(bool)
    cut = cases["closed"].isna() | (cases["closed"] >= cases["until"])
    cases["state"] = cases["state"].mask(cut, OPEN)
    cases["closed"] = cases["closed"].mask(cut, cases["until"])
    empty = cases["until"] <= cases["opened"]
    if empty.any():
        aside["complaints of a day with a later one"] = int(empty.sum())
    whole = {"opened": int, "closed": int, "until": int, "known": int}
    return cases[~empty].drop(columns=["exit", "alive", "moment"]).astype(whole).reset_index(drop=True)
