"""When was a contract under observation, and were its departures on record then?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workbench.columns import category, days
from workbench.errors import CannotAnswer, require_columns
from workbench.messages import Message, Number, say
from workbench.methods.btyd.purchases import BACKWARDS, day_of, placeholders_aside, refuse, rows_aside
from workbench.methods.survival.table import life_table

Step = Literal["day", "month"]
FEWEST_DEPARTURES = 5

_BY_LUCK = 0.001
_STRETCH = 30


@dataclass(frozen=True)
class Observed:
    """Contracts with what is known of them in steps (days or calendar months).

    Attributes
    ----------
    table : DataFrame
        One row a contract, index as given: started, begin (position of that), entry and exit (tenure at which it came
        under and went out of observation), alive (at exit), here (on as_of), left, group, tenure (on as_of).
    opened, closed : int
        Positions of since and as_of on the scale of `begin`.
    step : {"day", "month"}
    set_aside : dict of str to int
    """

    table: pd.DataFrame
    opened: int
    closed: int
    step: Step
    set_aside: dict[str, int]


def observe(
    customers: pd.DataFrame,
    started: str,
    left: str,
    since: object,
    as_of: pd.Timestamp,
    within: str | None,
    step: Step | None,
) -> Observed:
    """Steps of tenure at which each came under and went out of observation, and whether alive then."""
    require_columns(customers, [started, left, *([within] if within else [])], "customers")
    customers, aside = placeholders_aside(customers, started, "customers")
    begin = days(customers[started], started)[0].dt.normalize()
    refuse(int(begin.isna().sum()), len(customers), say("missing values in '{column}'", column=started), "customers")
    end, unknown_day = days(customers[left], left)
    never = unknown_day & (customers[left].astype(str).str[:4] > "2000").to_numpy()
    refuse(
        int((unknown_day & ~never).sum()),
        len(customers),
        say("placeholders like 1900-01-01 in '{column}'", column=left),
        "customers",
    )
    end = end.dt.normalize()
    backwards, what = (end < begin).to_numpy(), say("'{left}' lies before '{started}'", left=left, started=started)
    customers, odd = rows_aside(customers, backwards, what, BACKWARDS, "customers")
    begin, end, never, aside = begin[~backwards], end[~backwards], never[~backwards], aside | odd
    group = category(customers[within], within, missing="refuse") if within else "all"
    opened = begin.min() if since is None else day_of(since, "since")
    gone = end < as_of
    if not opened < as_of:
        if gone.any():
            raise CannotAnswer(
                "nothing was observed from {opened} to before {day}. The departures on record begin on {first}. Give "
                "since='{since}', or the day from which they are recorded."
            ).of(opened.date(), as_of.date(), (first := end[gone].min().date()), str(first))
        raise CannotAnswer("nothing was observed from {opened} to before {day}. Choose a later as_of.").of(
            opened.date(), as_of.date()
        )
    step = step or _step_of(end[gone])
    first, last = (_position(moment, step) for moment in (begin, end))
    closed = int(_position(pd.Series([as_of]), step).iloc[0])
    start = int(_position(pd.Series([opened]), step).iloc[0])
    if step == "month" and since is not None and opened.day > 1:
        start += 1  # departures of the month in which records began are known in part
    part = gone & (last >= closed)  # left in the month of as_of, of which not all is known
    early, late = last < start, begin >= as_of
    table = pd.DataFrame(
        {
            "started": begin,
            "begin": first,
            "entry": np.maximum(start - first, 0),
            "exit": (last + 1).where(gone, closed).clip(upper=closed) - first,
            "alive": ~gone | part,
            "here": ~gone,
            "left": end,
            "group": group,
            "tenure": closed - first,
        }
    )
    aside |= {"left before since": int(early.sum()), "began on or after as_of": int(late.sum())}
    if part.any():
        aside["left in the month of as_of, which is not whole: there until then"] = int((part & ~late).sum())
    if never.any():
        aside[f"'{left}' in 2099 or later, read as running"] = int(never.sum())
    kept = table[~early & ~late].astype({"entry": int, "exit": int, "tenure": int, "begin": int})
    return Observed(kept, start, closed, step, aside)


def _step_of(left: pd.Series) -> Step:
    """Tell whether departures are known by month: all on the first, or all on the last, day of one."""
    whole = left.dt.is_month_start.all() or left.dt.is_month_end.all()
    return "month" if whole and len(left) >= FEWEST_DEPARTURES else "day"


def _position(moments: pd.Series, step: Step) -> pd.Series:
    """Days, or calendar months, since the year 0 of the calendar that matters; only differences count."""
    if step == "month":
        return moments.dt.year * 12 + moments.dt.month
    return (moments - pd.Timestamp("1900-01-01")).dt.days


def require_records(part: pd.DataFrame, group: str, step: Step) -> None:
    """Refuse records that lack departures at their beginning or end, and departures that contradict who is here."""
    gone = part[~part["alive"]]
    if len(gone) < FEWEST_DEPARTURES:
        return
    last = gone["begin"] + gone["exit"] - 1
    where = say("the departures of group '{group}'", group=str(group)) if group != "all" else say("the departures")
    early = _unrecorded(part, part["entry"].clip(lower=int(last.min()) - part["begin"]), part["exit"])
    if unlikely(early, len(gone)):
        raise CannotAnswer(
            "{where} on record begin on {first}, and about {early} were to be expected before, since records are "
            "said to begin: they were not recorded then. Give since='{since}', or the day from which they are."
        ).of(where, gone["left"].min().date(), Number(early, ",.0f"), f"{gone['left'].min():%Y-%m-%d}")
    late = _unrecorded(part, part["entry"], part["exit"].clip(upper=int(last.max()) + 1 - part["begin"]))
    if unlikely(late, len(gone)):
        raise CannotAnswer(
            "{where} on record end on {last}, and about {late} were to be expected from then to as_of: they are not "
            "recorded to its end. Choose an earlier as_of."
        ).of(where, gone["left"].max().date(), Number(late, ",.0f"))
    _require_possible(part, where, step)


def _require_possible(part: pd.DataFrame, where: Message, step: Step) -> None:
    """Refuse rates by which more must have joined in one month, for those still here, than all who are on record.

    Whoever ever left, told as if they had left lately, gives such rates. With late entry the rates of a month may stand
    for years: who is here is then the only witness. The share still there is taken at the high end of its interval.
    Who joined over two years ago is not asked: perhaps fewer left in the years of which nothing is on record.
    """
    table = life_table(part["entry"], part["exit"], -part["alive"].astype(int))
    told, month = (table.thin or len(table.at_risk) + 1) - 1, 1 if step == "month" else _STRETCH
    told = min(told, table.start + 24 * month)
    tenure = part.loc[part["here"] & part["tenure"].between(table.start, told), "tenure"]
    counts = ((tenure - table.start) // month).value_counts().sort_index()
    youngest = table.start + month * counts.index.to_numpy()
    there = table.surviving()
    for at, here in zip(youngest, counts, strict=True):
        if here <= len(part) * there[at - 1]:
            continue
        joined = here / max(1 - float(table.ends([at])[0][0, 0]), 1e-9)
        if joined > len(part):
            raise CannotAnswer(
                "{where} on record contradict who is here: by their rates {joined} customers or more joined in one "
                "month, {months} months before as_of, for {here} of them to be here; {all} are on record. It looks as "
                "if departures of other times were given days of this time. Give each its own day."
            ).of(where, Number(joined, ",.0f"), round(at / month), here, len(part))


def unlikely(expected: float, seen: int) -> bool:
    """Tell whether of `seen` departures hardly by luck none lies in a time in which so many more were to be expected.

    >>> unlikely(5, 100), unlikely(9, 100)
    (False, True)
    """
    return float((seen / (seen + expected)) ** seen) < _BY_LUCK


def _unrecorded(part: pd.DataFrame, entry: pd.Series, leave: pd.Series) -> float:
    """Departures to be expected outside a shorter observation (entry, leave), by the hazards within it.

    The least by hazards of each step of tenure, on which a single departure may be all, and of stretches of 30, within
    which contracts may all end on one day.
    """
    observed, reach = leave > entry, int(part["exit"].max())
    stayed = part["alive"] | (leave < part["exit"])
    seen_within = life_table(entry[observed], leave[observed], -stayed[observed].astype(int), reach=reach)
    within, left = seen_within.at_risk, seen_within.left.sum(axis=0)
    at_risk = life_table(part["entry"], part["exit"], np.full(len(part), -1), reach=reach).at_risk
    found = []
    for length in (1, _STRETCH):
        stretch = np.arange(reach) // length
        gone, seen, all_of = (np.bincount(stretch, values) for values in (left, within, at_risk))
        hazard = np.divide(gone, seen, out=np.zeros(len(gone)), where=seen > 0)
        found.append(float(((all_of - seen) * hazard).sum()))
    return min(found)
