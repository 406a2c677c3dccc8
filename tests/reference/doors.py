"""Every public function of the studies, once each, on a small table: what the suites over all of them share.

A new study adds its tables (with the meaning of each column) and one `Case` a function. `test_metamorphic` changes
what must not matter, `test_doors` breaks a column, `test_sentences` reads what is said.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from workbench import studies
from workbench.errors import WorkbenchError
from workbench.methods import experiment, plspm
from workbench.studies import (
    arrears,
    churn,
    departures,
    fraud,
    observational,
    satisfaction,
    segmentation,
    service,
    tiers,
    uplift,
    voice,
)
from workbench.studies import (
    campaign_effect as effects,
)
from workbench.studies import (
    campaign_planning as planning,
)
from workbench.studies import (
    lifetime_value as lifetimes,
)
from workbench.studies import (
    potential as potentials,
)

ROOMS = (*(import_module(f"workbench.studies.{m.name}") for m in iter_modules(studies.__path__)), experiment, plspm)
FEW = experiment.Trees(rounds=15, rate=0.15)
COSTS = {"call": 0.9, "sms": 0.4}


class Names:
    """How a call names its columns: it notes which are asked for, and gives them other names, orders or units."""

    def __init__(self, rename: Mapping[str, str] = {}, extra: Sequence[str] = (), *, back=False, money=1.0):
        self.rename, self.extra, self.back, self.money = rename, extra, back, money
        self.asked: set[str] = set()
        self.free: set[str] = set()
        self.listed: set[str] = set()

    def __call__(self, name: str) -> str:
        """Name a column."""
        self.asked.add(name)
        self.free.add(name)
        return self.rename.get(name, name)

    def all(self, *names: str) -> list[str]:
        """Name covariates or features, whose order must not matter and among which a constant adds nothing."""
        self.listed.update(names)
        found = [*map(self, names), *self.extra]
        return found[::-1] if self.back else found

    def uses(self, *names: str) -> None:
        """Note columns that the function itself names."""
        self.asked.update(names)

    def yuan(self, amount: float) -> float:
        """Give an amount in the unit of the table."""
        return amount * self.money


Tables = dict[str, pd.DataFrame]


def made_once(make: Callable[[], Tables]) -> Callable[[], Tables]:
    """Keep what a maker of tables makes; everyone gets copies of their own."""
    kept = cache(make)

    @wraps(make)
    def copies() -> Tables:
        return {name: table.copy() for name, table in kept().items()}

    return copies


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A public function on a small table.

    Attributes
    ----------
    name : str
        Room and function.
    call : callable
        From the tables and their names to the result.
    tables : callable
        Makes the tables.
    effects : callable, optional
        Estimate, low and high of each effect of `t` in the result; swapping the arms must swap them.
    estimates : callable, optional
        Numbers of the result that repeated rows must give as weights do.
    skip : dict of str to str
        Relations that do not apply, and why.
    refuses : dict of (str, str) to str
        Columns and damages that are not refused, and why.
    """

    name: str
    call: Callable[[Tables, Names], Any]
    tables: Callable[[], Tables]
    effects: Callable[[Any], Sequence[tuple[float, float, float]]] | None = None
    estimates: Callable[[Any], Any] | None = None
    skip: Mapping[str, str] = dataclasses.field(default_factory=dict)
    allows: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)


# What each column of the tables means, whichever table it stands in.
MEANING = {
    "number": [
        "x",
        "z",
        "dose",
        "days",
        "score",
        "use",
        "tenure",
        "calls",
        "mb",
        "minutes",
        "night",
        "recency_days",
        "frequency_trend",
        "times",
        "bill",
        "at_risk",
        "gone",
        "wait_s",
        "hotline",
        "visit",
        "days_known",
        "hotline_within_10",
        "hotline_judged_10",
        "hotline_within_40",
        "hotline_judged_40",
        "growth",
        "months",
        "numbers",
        "overlapping",
        "window_days",
        "stage",
        "late_days",
        "late",
    ],
    "money": [
        "y",
        "y30",
        "y60",
        "before",
        "revenue_before",
        "revenue_after",
        "yuan",
        "after",
        "effect",
        "se",
        "bar",
        "m0",
        "m1",
        "m2",
        "m3",
        "m4",
        "m5",
        "call",
        "sms",
        "m6",
        "m7",
        "margin",
        "exposed",
        "loss",
        "amount",
        "paid",
        "owed",
        "collected",
        "cost",
        "open",
    ],
    "flag": [
        "b",
        "got",
        "quit",
        "churned",
        "complete",
        "held_tv",
        "took_tv",
        "redeemed",
        "used",
        "written_off",
        "settled",
        "left_90",
    ],
    "arm": ["t"],
    "weight": ["weight"],
    "item": ["q1", "q2", "v1", "v2", "s1", "s2", "s3", "likely", "CES"],
    "category": [
        "town",
        "tier",
        "arm",
        "operator",
        "service",
        "province",
        "campaign",
        "is",
        "kind",
        "band",
        "request",
        "outcome",
        "frequency_state",
        "channel",
        "group",
        "why",
        "to",
        "came_from",
        "verdict",
        "source",
        "state",
        "action",
        "collector",
    ],
    "day": [
        "on",
        "off",
        "known",
        "answered_on",
        "left_on",
        "seen",
        "contacted_at",
        "opened_at",
        "due_at",
        "closed_at",
        "window_to",
        "due_on",
        "paid_on",
    ],
    "id": ["id", "household", "customer_id", "subscription_id", "case_id", "bill_id", "action_id"],
    "period": ["month", "start", "wave", "period"],
}


class Roles(dict[str, str]):
    """What each column means; of one that is not under MEANING it says so."""

    def __missing__(self, column: str) -> str:
        raise KeyError(f"tests/reference/doors.py: put column {column!r} under what it means in MEANING")


ROLE = Roles({column: role for role, names in MEANING.items() for column in names})


@cache
def _members() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 480
    t = rng.permutation(np.arange(n) % 2)
    level = rng.gamma(2.0, 10.0, n)
    x, z = np.round(rng.normal(size=n) * 2) / 2, np.round(rng.normal(size=n), 1)
    b = (rng.random(n) < 0.35 + 0.2 * t).astype(int)
    first = np.round(level * b + 4 * t * b + 3 * x * b + 5, 1).clip(0)
    got = t * (rng.random(n) < 0.7)
    table = pd.DataFrame({"id": rng.permutation(n) + 95, "household": np.arange(n) // 2, "t": t, "b": b, "y": first})
    return table.assign(
        x=x,
        z=z,
        town=rng.choice(["a", "b", "c"], n),
        got=got.astype(int),
        before=np.round(level, 1),
        y30=np.round(first * 0.4, 1),
        y60=np.round(first * 0.9, 1),
        quit=(rng.random(n) < 0.15 + 0.08 * t).astype(int),
        days=rng.integers(20, 120, n),
        dose=rng.integers(1, 4, n),
        known=pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 12, n), unit="D"),
        score=np.round(0.5 * x + rng.normal(size=n), 1),
        campaign=np.resize(["may", "june", "july"], n),
        arm=np.where(t == 0, "control", rng.choice(["call", "sms"], n)),
        redeemed=b,
    )


@made_once
def members() -> Tables:
    """A campaign: 480 members in two arms (or three), many of whom are alike in x."""
    return {"members": _members().copy()}


@made_once
def gone() -> Tables:
    """The campaign, with an outcome missing for every seventh of the treated and every ninth of the control."""
    table = _members()
    away = (table["t"] == 1) & (table["id"] % 7 == 0) | (table["t"] == 0) & (table["id"] % 9 == 0)
    return {"members": table.assign(y=table["y"].mask(away))}


@made_once
def observed() -> Tables:
    """Members who were contacted because of their bill."""
    rng = np.random.default_rng(2)
    n = 300
    bill, use = np.round(rng.normal(size=(2, n)), 1)
    town = rng.choice(["a", "b"], n)
    t = (rng.random(n) < 1 / (1 + np.exp(0.5 - 0.7 * bill - 0.4 * (town == "b")))).astype(int)
    y = np.round(20 + 3 * bill + 2 * use + 2 * t + 2 * rng.normal(size=n), 1)
    before = np.round(20 + 3 * bill + 2 * use + 2 * rng.normal(size=n), 1)
    return {"members": pd.DataFrame({"t": t, "y": y, "before": before, "bill": bill, "use": use, "town": town})}


@made_once
def exposed() -> Tables:
    """A campaign, and contacts by others."""
    table = _members()
    rng = np.random.default_rng(3)
    who = rng.choice(table["id"], 90)
    seen = pd.Timestamp("2026-01-05") + pd.to_timedelta(rng.integers(0, 60, 90), unit="D")
    return {"members": table.copy(), "exposures": pd.DataFrame({"id": who, "seen": seen})}


@made_once
def ledger() -> Tables:
    """Twelve campaigns with effect and error."""
    rng = np.random.default_rng(4)
    k = 12
    se = np.round(rng.uniform(1, 3, k), 2)
    on = pd.Timestamp("2025-01-05") + pd.to_timedelta(30 * np.arange(k), unit="D")
    effect = np.round(2 + 2 * rng.normal(size=k) + se * rng.normal(size=k), 2)
    return {
        "campaigns": pd.DataFrame({"campaign": list("abcdefghijkl"), "effect": effect, "se": se, "bar": 1.0, "on": on})
    }


@made_once
def offers() -> Tables:
    """What each offer would change for forty members."""
    rng = np.random.default_rng(6)
    return {"effects": pd.DataFrame(np.round(rng.normal(1, 2, (40, 2)), 1), columns=["call", "sms"])}


@made_once
def suspected() -> Tables:
    """Three hundred lines in two windows, of which a tenth cheats and calls many numbers; cases of every third."""
    rng = np.random.default_rng(19)
    n = 300
    cheats = rng.random(n) < 0.12
    ends = pd.to_datetime(["2026-06-01", "2026-07-01"])
    lines = pd.concat(
        [
            pd.DataFrame({"subscription_id": np.arange(n) + 95, "window_to": end, "window_days": 30}).assign(
                exposed=np.round(rng.exponential(40, n), 1),
                calls=rng.integers(0, 60, n) + 80 * cheats,
                numbers=rng.integers(0, 40, n) + 70 * cheats * (rng.random(n) < 0.9),
                overlapping=rng.poisson(0.2 + cheats),
                kind=np.where(rng.random(n) < 0.8, "person", "company"),
            )
            for end in ends
        ],
        ignore_index=True,
    )
    looked = np.flatnonzero(cheats | (rng.random(n) < 0.3))
    cases = pd.DataFrame({"case_id": np.arange(len(looked)) + 7, "subscription_id": looked + 95})
    return {
        "lines": lines,
        "cases": cases.assign(
            verdict=np.where(rng.random(len(looked)) < 0.1, None, np.where(cheats[looked], "fraud", "honest")),
            loss=np.where(cheats[looked], np.round(rng.exponential(300, len(looked)), 1), 0.0),
            source=rng.choice(["rule", "audit", "tip"], len(looked), p=[0.6, 0.3, 0.1]),
        ),
    }


RULES = fraud.RuleBase(
    tuple(
        fraud.FraudRule(
            column,
            f"many {column}",
            f"{column} >= threshold and kind = 'person'",
            30,
            bar,
            "high",
            "Ask.",
            "us",
            dt.date(2026, 1, 1),
            {column: bar + 1, "kind": "person"},
            {column: bar + 1, "kind": "company"},
            name_zh="过多",
        )
        for column, bar in (("calls", 70), ("numbers", 60), ("overlapping", 2))
    )
)


def _suspected(n: Names, *more: str) -> None:
    n.uses("subscription_id", "window_to", "window_days", "exposed", "case_id", "verdict", "loss", "source", *more)


READ = ("calls", "numbers", "overlapping", "kind")


@made_once
def purchases() -> Tables:
    """Purchases of 300 customers in a year; who leaves does so by a law of their own after a purchase."""
    rng = np.random.default_rng(7)
    rate, leaves = rng.gamma(0.9, 1 / 42, 300), rng.beta(0.8, 2.5, 300)
    who, day = [], []
    for i in range(300):
        at = np.r_[0.0, np.cumsum(rng.exponential(1 / rate[i], 60))][: rng.geometric(leaves[i])] + rng.integers(0, 90)
        at = at[at < 364]
        who += [i * 7 + 95] * len(at)
        day += list(at)
    on = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.floor(day), unit="D")
    level = 1 / rng.gamma(3.0, 1 / 10, 300 * 7 + 95)
    amount = np.round(60 * level[np.array(who)] * rng.gamma(3, 1, len(who)) + 1, 1)
    return {"purchases": pd.DataFrame({"id": who, "on": on, "yuan": amount})}


@made_once
def complainers() -> Tables:
    """Lives of 300 customers of three years, of whom most left, and a complaint of each: how it ended tells on them."""
    rng = np.random.default_rng(13)
    n, since = 300, pd.Timestamp("2024-01-01")
    on = since - pd.to_timedelta(rng.integers(1, 700, n), unit="D")
    opened = since + pd.to_timedelta(rng.integers(0, 500, n), unit="D")
    closed = opened + pd.to_timedelta(rng.integers(1, 9, n), unit="D")
    outcome = np.where(rng.random(n) < 0.7, "solved", "rejected")
    days = np.ceil(rng.exponential(np.where(outcome == "solved", 300, 90)))
    off = pd.Series(closed + pd.to_timedelta(days, unit="D")).dt.to_period("W").dt.end_time.dt.normalize()  # few days
    gone, place = (off < "2026-01-01").to_numpy(), rng.random(n)
    people = pd.DataFrame(
        {
            "id": rng.permutation(n) + 95,
            "on": on,
            "off": off.where(gone),
            "why": np.where(gone, np.where(place < 0.6, "port_out", "disconnect"), None),
            "to": np.where(gone & (place < 0.6), np.where(place < 0.4, "B", "C"), None),
            "came_from": rng.choice(["B", "C"], n),
            "seen": since + pd.to_timedelta(rng.integers(0, 700, n), unit="D"),
            "kind": rng.choice(["a", "b"], n),
            "churned": (rng.random(n) < 0.2).astype(int),
        }
    )
    arm = rng.choice(["offered", "not_offered"], n)
    cases = pd.DataFrame(
        {
            "id": people["id"],
            "opened_at": opened,
            "due_at": opened + pd.Timedelta(days=5),
            "closed_at": closed,
            "outcome": outcome,
            "arm": arm,
            "yuan": np.where(arm == "offered", 30.0, 1.0),
        }
    )
    return {"lives": people, "complaints": cases}


@made_once
def leavers() -> Tables:
    """The lives alone."""
    return {"lives": complainers()["lives"]}


@made_once
def bases() -> Tables:
    """Two bases of 600 customers, most of them the same, of whom more left in the second."""
    rng = np.random.default_rng(14)
    before, after = (
        pd.DataFrame(
            {
                "id": np.arange(600) + first,
                "tier": rng.choice(["a", "b"], 600, p=[1 - p, p]),
                "kind": rng.choice(["x", "y"], 600),
                "churned": (rng.random(600) < p / 4).astype(int),
            }
        )
        for first, p in ((95, 0.3), (200, 0.6))
    )
    return {"before": before, "after": after}


@made_once
def months() -> Tables:
    """Three months of 700 customers, of whom a sixth leave in each; what they are worth, and what contact would do."""
    rng = np.random.default_rng(11)
    parts = []
    for month in ("2026-01", "2026-02", "2026-03"):
        n = 700
        x, z, town = np.round(rng.normal(size=n), 1), rng.integers(0, 5, n), rng.choice(["a", "b", "c"], n)
        quit = (rng.random(n) < 1 / (1 + np.exp(2.2 - 0.8 * x - 0.3 * z * (town == "b")))).astype(int)
        part = {"id": rng.permutation(n) + 95, "month": month, "x": x, "z": z, "town": town, "quit": quit}
        parts.append(pd.DataFrame(part))
    table = pd.concat(parts, ignore_index=True)
    known = np.round(1 / (1 + np.exp(1.5 - table["x"])), 3)
    worth = np.round(rng.gamma(2.0, 50.0, len(table)), 1)
    change = np.round(rng.normal(0.02, 0.03, len(table)), 3)
    return {"panel": table.assign(score=known, margin=worth, growth=change)}


@made_once
def watched() -> Tables:
    """The same months, and one after them that no formula has seen."""
    panel = months()["panel"]
    later = panel[panel["month"] == "2026-03"].assign(month="2026-04").reset_index(drop=True)
    return {"panel": panel.drop(columns="margin"), "later": later}


@made_once
def contracts() -> Tables:
    """Contracts of 400 customers of six years, of whom a third left."""
    rng = np.random.default_rng(8)
    n, as_of = 400, pd.Timestamp("2026-01-01")
    on = as_of - pd.to_timedelta(rng.integers(40, 6 * 365, n), unit="D")
    off = on + pd.to_timedelta(np.ceil(1_500 * rng.weibull(0.7, n)), unit="D")
    table = pd.DataFrame(
        {"id": np.arange(n), "on": on, "off": off.where(off < as_of), "town": rng.choice(["a", "b"], n)}
    )
    return {"customers": table.assign(margin=np.round(rng.gamma(2, 10, n), 1))}


@made_once
def renewals() -> Tables:
    """Customers at risk and gone by period."""
    return {
        "periods": pd.DataFrame(
            {
                "period": range(1, 8),
                "at_risk": [1000, 869, 743, 653, 593, 551, 517],
                "gone": [131, 126, 90, 60, 42, 34, 26],
            }
        )
    }


@cache
def _survey() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    n = 360
    table = pd.DataFrame(
        {"operator": np.resize(["A", "B", "C"], n), "service": np.resize(["mobile"] * 3 + ["fixed"] * 3, n)}
    )
    values = (
        6
        + rng.normal(size=(n, 1))
        + 1.1 * rng.normal(size=(n, 7))
        + 0.4 * (table["operator"] == "C").to_numpy()[:, None]
    )
    items = ["q1", "q2", "v1", "v2", "s1", "s2", "s3"]
    table[items] = np.clip(np.round(values), 1, 10)
    table.loc[::40, "s1"] = np.nan
    requests = np.array(["price", "network", "", "speed"])[rng.integers(0, 4, n)]
    return table.assign(
        weight=rng.integers(1, 4, n),
        province=rng.choice(["x", "y"], n),
        group=np.resize(["u", "u", "w"], n),
        likely=np.clip(np.round(values[:, 4]), 0, 10),
        request=requests,
        household=np.arange(n) // 3,
    )


@made_once
def survey() -> Tables:
    """A survey of three operators in two services, with whole weights and a few missing answers."""
    return {"survey": _survey().copy()}


@made_once
def waves() -> Tables:
    """The survey twice; in the second wave s1 and s2 are higher."""
    one, two = _survey(), _survey().sample(frac=1, random_state=1).reset_index(drop=True)
    two = two.assign(s1=(two["s1"] + 1).clip(1, 10), s2=(two["s2"] + 1).clip(1, 10))
    return {"survey": pd.concat([one.assign(wave="2025"), two.assign(wave="2026")], ignore_index=True)}


@made_once
def invited() -> Tables:
    """Invitations, and who answered."""
    rng = np.random.default_rng(10)
    return {
        "invited": pd.DataFrame(
            {
                "town": rng.choice(["a", "b", "c"], 300),
                "outcome": rng.choice(["answered", "refused", "ineligible"], 300),
            }
        )
    }


@made_once
def linked() -> Tables:
    """Respondents, and what they did in the months after."""
    rng = np.random.default_rng(11)
    n = 500
    score = np.round(np.clip(70 + 17 * rng.normal(size=n), 0, 100))
    left = (rng.random(n) < 1 / (1 + np.exp(1.5 + 0.03 * (score - 70)))).astype(int)
    before = np.round(np.exp(4 + 0.5 * rng.normal(size=n)), 1)
    on = pd.Series([pd.Timestamp("2026-01-10")] * n)
    table = pd.DataFrame(
        {"customer_id": np.arange(n), "score": score, "churned": left, "weight": rng.integers(1, 4, n)}
    )
    return {
        "linked": table.assign(
            revenue_before=before,
            revenue_after=np.round(before * (1 - 0.5 * left) + 0.2 * (score - 70) + rng.normal(size=n), 1),
            answered_on=on,
            left_on=(on + pd.Timedelta(days=40)).where(left == 1),
            complete=True,
            tenure=np.round(rng.normal(size=n), 1),
        )
    }


@made_once
def served() -> Tables:
    """Calls and faults of 80 customers, and what those who were interviewed said."""
    rng = np.random.default_rng(12)
    start = pd.Timestamp("2026-05-01")
    who = rng.integers(0, 80, 241)
    began = start + pd.to_timedelta(rng.integers(0, 40, 241), unit="D")
    wait = pd.DataFrame(
        {"customer_id": who, "contacted_at": began, "channel": "hotline", "wait_s": rng.integers(1, 40, 241)}
    )
    due, closed = began + pd.Timedelta(days=3), began + pd.to_timedelta(rng.integers(0, 6, 241), unit="D")
    fault = pd.DataFrame({"customer_id": who, "kind": "fault", "opened_at": began, "due_at": due, "closed_at": closed})
    people = pd.DataFrame({"customer_id": np.arange(80), "answered_on": start + pd.Timedelta(days=60)})
    people = people.assign(score=np.round(rng.uniform(20, 100, 80)), weight=rng.integers(1, 4, 80))
    return {"contacts": wait, "tickets": fault, "respondents": people}


@made_once
def overdue() -> Tables:
    """Bills of 90 customers past due: most are paid, some of their customers leave."""
    rng = np.random.default_rng(21)
    n = 180
    due = pd.Timestamp("2026-01-20") + pd.to_timedelta(31 * (np.arange(n) // 90), unit="D")
    days = rng.geometric(0.05, n)
    paid_on = pd.Series(due + pd.to_timedelta(days, unit="D"))
    left = pd.Series(due + pd.to_timedelta(rng.integers(1, 40, n), unit="D")).where(rng.random(n) < 0.15)
    paid_on = paid_on.where((rng.random(n) < 0.8) & ~(left < paid_on))
    table = pd.DataFrame({"bill_id": rng.permutation(n) + 95, "customer_id": np.arange(n) % 90, "due_on": due})
    amount = np.round(rng.gamma(2, 40, n), 1)
    return {
        "bills": table.assign(
            amount=amount,
            paid=np.where(paid_on.notna(), amount, 0),
            paid_on=paid_on,
            left_on=left,
            written_off=left.notna() & (rng.random(n) < 0.3),
        )
    }


@made_once
def acted() -> Tables:
    """Two stages of collection on 400 bills, half of them held out by lot."""
    rng = np.random.default_rng(22)
    n = 800
    held = rng.random(n) < 0.5
    owed, paid = np.round(rng.gamma(2, 40, n), 1) + 1, rng.random(n) < np.where(held, 0.2, 0.35)
    stage = 1 + np.arange(n) // 400
    table = pd.DataFrame({"action_id": rng.permutation(n) + 95, "bill_id": np.arange(n) % 400, "stage": stage})
    return {
        "actions": table.assign(
            customer_id=np.arange(n) % 200,
            action=np.where(stage == 1, "remind", "restrict"),
            days=10 * stage - 9,
            collector=np.where(held, None, rng.choice(["a", "b"], n)),
            arm=np.where(held, "held_out", "treated"),
            cost=np.where(held, 0.0, 1.5),
            outcome=np.where(held, None, "reached"),
            owed=owed,
            collected=owed * paid,
            settled=paid,
            left_90=rng.random(n) < 0.1,
        )
    }


@made_once
def debtors() -> Tables:
    """Customers with what is known of their payments, and who did not pay."""
    rng = np.random.default_rng(23)
    n = 700
    late, days = np.round(rng.beta(0.5, 3, n), 2), np.where(rng.random(n) < 0.2, rng.integers(1, 60, n), 0)
    bad = rng.random(n) < 1 / (1 + np.exp(2.5 - 4 * late - 0.03 * days))
    table = pd.DataFrame({"id": rng.permutation(n) + 95, "late": late, "late_days": days, "churned": bad.astype(int)})
    return {"customers": table.assign(yuan=np.round(rng.gamma(3, 20, n), 1))}


@made_once
def ageing() -> Tables:
    """States of 150 accounts in nine months, what they owed and what of it was open 90 days later."""
    rng = np.random.default_rng(24)
    rows, state = [], rng.integers(0, 3, 150)
    for k in range(9):
        owed = np.round(np.where(state > 0, rng.gamma(2, 40, 150), 0), 1)
        left = np.round(owed * (rng.random(150) < 0.3 * state), 1) if k < 6 else np.nan
        on = pd.Timestamp("2025-09-15") + pd.DateOffset(months=k)
        names = np.array(["paid up", "21-30", "31-60"])[state]
        rows.append(pd.DataFrame({"id": np.arange(150), "on": on, "state": names, "owed": owed, "open": left}))
        state = np.where(rng.random(150) < 0.4, 0, np.minimum(state + 1, 2))
    return {"history": pd.concat(rows, ignore_index=True)}


BILL = ("bill_id", "customer_id", "due_on", "amount", "paid", "paid_on", "left_on", "written_off")
ACTION = (
    "action_id",
    "bill_id",
    "customer_id",
    "stage",
    "action",
    "collector",
    "arm",
    "cost",
    "outcome",
    "days",
    "owed",
    "collected",
    "settled",
    "left_90",
)


STANDARDS = [
    service.ServiceStandard("wait", "contact", "contacted_at", "wait_s", {"channel": "hotline"}, at_most=20),
    service.ServiceStandard("fault", "ticket", "opened_at", "closed_at", {"kind": "fault"}, by="due_at"),
]


@made_once
def panel() -> Tables:
    """Ten provinces in eight months; four start in month 4 or 5."""
    rng = np.random.default_rng(13)
    start = np.r_[[4.0, 4, 5, 5, 5], np.full(9, np.nan)]
    since = np.arange(8) - start[:, None]
    y = np.round(50 + rng.normal(size=(14, 1)) + 0.5 * rng.normal(size=(14, 8)) + np.where(since >= 0, 1.0, 0), 2)
    rows = {"id": np.repeat(np.arange(14), 8), "month": np.tile(np.arange(8), 14), "start": np.repeat(start, 8)}
    return {"panel": pd.DataFrame({**rows, "y": y.ravel(), "weight": np.repeat(rng.integers(1, 4, 14), 8)})}


@made_once
def customers() -> Tables:
    """Customers in three kinds of use."""
    rng = np.random.default_rng(14)
    n = 240
    kind = np.arange(n) % 3
    mb = np.round(np.exp(np.array([8.0, 4, 6])[kind] + 0.4 * rng.normal(size=n)), 1)
    minutes = np.round(np.exp(np.array([2.0, 5, 6.5])[kind] + 0.4 * rng.normal(size=n)), 1)
    index = pd.Index(rng.permutation(n) + 95, name="id")
    return {
        "features": pd.DataFrame({"mb": mb, "minutes": minutes, "night": np.round(rng.beta(2, 8, n), 3)}, index=index)
    }


@made_once
def scored() -> Tables:
    """Customers with recency, frequency and amount, many of them alike, and their state."""
    rng = np.random.default_rng(15)
    n = 200
    table = pd.DataFrame(
        {"id": rng.permutation(n) + 95, "recency_days": rng.integers(0, 30, n), "times": rng.integers(1, 9, n)}
    )
    state = rng.choice(["falling", "silent", "stable"], n)
    return {
        "customers": table.assign(
            yuan=np.round(rng.gamma(1, 40, n), 1), frequency_state=state, frequency_trend=np.round(-rng.random(n), 2)
        )
    }


@made_once
def used() -> Tables:
    """Days since each service was used."""
    rng = np.random.default_rng(16)
    table = pd.DataFrame({"customer_id": np.repeat(np.arange(60), 2), "service": np.tile(["tv", "cloud"], 60)})
    return {"used": table.assign(recency_days=rng.integers(0, 60, 120).astype(float), yuan=1.0)}


@made_once
def history() -> Tables:
    """Segments of 240 customers at four dates."""
    rng = np.random.default_rng(17)
    rows, state = [], np.arange(240) % 3
    for k in range(4):
        rows.append(
            pd.DataFrame(
                {
                    "id": np.arange(240),
                    "on": pd.Timestamp("2026-01-01") + pd.DateOffset(months=k),
                    "is": np.array(list("uvw"))[state],
                    "yuan": 10.0 + state,
                }
            )
        )
        state = np.where(rng.random(240) < 0.25, rng.integers(0, 3, 240), state)
    return {"history": pd.concat(rows, ignore_index=True)}


@made_once
def monthly() -> Tables:
    """Values of 60 customers in eight months."""
    rng = np.random.default_rng(18)
    value = np.round(np.repeat(rng.gamma(2, 60, 60), 8) * rng.uniform(0.7, 1.3, 480), 1)
    return {
        "values": pd.DataFrame(
            {"id": np.repeat(np.arange(60) + 95, 8), "month": np.tile(np.arange(8), 60), "yuan": value}
        )
    }


@made_once
def accounts() -> Tables:
    """Business accounts with revenue and growth, some without."""
    rng = np.random.default_rng(19)
    growth = np.where(rng.random(50) < 0.1, np.nan, np.round(rng.uniform(0, 1, 50), 2))
    return {
        "accounts": pd.DataFrame(
            {"id": rng.permutation(50) + 95, "yuan": np.round(np.exp(rng.uniform(2, 7, 50))), "growth": growth}
        )
    }


TIERS = tiers.TierRules(
    names=("top", "mid", "low"), names_zh=("上", "中", "下"), enter=(200, 100), keep=(0.8, 0.8), months=2, grace=1
)
EVENTS = pd.DataFrame(
    {"event": ["hotline", "visit"], "unit": "one", "cost": [5.0, 100.0], "source": "", "assumption": [True, False]}
)
PROMISES = service.TierPromises(
    pd.DataFrame({"tier": ["gold", "basic"], "tier_zh": ["金", "普"], "s": [10, 40], "v": [2, 0]}),
    ({"column": "s", "says": "answered", "event": "hotline"}, {"column": "v", "says": "visits", "count": "visit"}),
)


@made_once
def served_tiers() -> Tables:
    """Customers of two tiers, what they bring and what they were served."""
    rng = np.random.default_rng(20)
    n = 160
    calls = rng.poisson(3, n)
    judged = {f"hotline_judged_{k}": calls for k in (10, 40)}
    within = {f"hotline_within_{k}": rng.binomial(calls, p) for k, p in ((10, 0.5), (40, 0.8))}
    table = pd.DataFrame({"id": rng.permutation(n) + 95, "tier": np.resize(["gold", "basic"], n), "hotline": calls})
    return {
        "customers": table.assign(
            yuan=np.round(rng.gamma(2, 200, n), 1), visit=rng.poisson(1, n), days_known=400.0, **judged, **within
        )
    }


@made_once
def potential() -> Tables:
    """Customers now and half a year ago, and a service they may take."""
    rng = np.random.default_rng(21)
    n = 240
    past = pd.DataFrame(
        {
            "id": rng.permutation(n) + 95,
            "kind": rng.choice(["person", "house"], n),
            "tenure": np.round(rng.exponential(40, n)),
        }
    )
    paid = np.round(20 + rng.gamma(2, 10, n)[:, None] * rng.uniform(0.8, 1.2, (n, 12)), 1)
    months = [f"m{k}" for k in range(6)]
    now = past.assign(tenure=past["tenure"] + 6)
    past[months], now[months] = paid[:, :6], paid[:, 6:]
    past["held_tv"] = rng.random(n) < 0.2
    past["took_tv"] = (rng.random(n) < 0.3) & ~past["held_tv"]
    now["held_tv"] = past["held_tv"] | past["took_tv"]
    return {
        "customers": now,
        "past": past,
        "services": pd.DataFrame({"service": ["tv"], "margin": [12.0], "months": [10.0]}),
    }


def model(n: Names) -> plspm.PathModel:
    """Quality and value lead to satisfaction."""
    constructs = [
        plspm.Construct("Quality", [n("q1"), n("q2")], low=1, high=10),
        plspm.Construct("Value", [n("v1"), n("v2")], low=1, high=10),
        plspm.Construct("Satisfaction", [n("s1"), n("s2"), n("s3")], low=1, high=10),
    ]
    return plspm.PathModel(constructs, {"Value": ["Quality"], "Satisfaction": ["Quality", "Value"]})


def _scheme(n: Names) -> tiers.GradeScheme:
    ends = {"low": n.yuan(10), "high": n.yuan(1000), "scale": "log"}
    growth = {"column": n("growth"), "weight": 0.4, "low": 0, "high": 1, "scale": "linear"}
    parts = ({"column": n("yuan"), "weight": 0.6, **ends}, growth)
    return tiers.GradeScheme(parts, {"A1": 70, "A2": 50, "B1": 30, "B2": 0})


def _one(result) -> list[tuple[float, float, float]]:
    return [(result.estimate, result.low, result.high)]


def _rows(table: pd.DataFrame, estimate: str = "estimate", low: str = "low", high: str = "high"):
    return list(table[[estimate, low, high]].itertuples(index=False, name=None))


def _how(n: Names) -> dict[str, str]:
    return {"outcome": n("y"), "treatment": n("t")}


def first_step(room: ModuleType, name: str) -> Callable[[Callable[[Tables, Names], Any]], Callable]:
    """Keep what a function of a room gives for the same tables and names: cases of several functions begin with it."""

    def keep(call: Callable[[Tables, Names], Any]) -> Callable[[Tables, Names], Any]:
        kept: dict[tuple[Any, bytes], tuple[Any, Names]] = {}

        @wraps(call)
        def again(t: Tables, n: Names) -> Any:
            given = pickle.dumps((t, n.rename, n.extra, n.back, n.money))
            key = getattr(room, name), hashlib.sha256(given).digest()
            if key not in kept:
                fresh = Names(n.rename, n.extra, back=n.back, money=n.money)
                try:
                    kept[key] = call(t, fresh), fresh
                except WorkbenchError as error:
                    kept[key] = error, fresh
            found, names = kept[key]
            for noted in ("asked", "free", "listed"):
                getattr(n, noted).update(getattr(names, noted))
            if isinstance(found, WorkbenchError):
                raise found.with_traceback(None)
            return found

        return again

    return keep


@first_step(satisfaction, "satisfaction_index")
def _index(t: Tables, n: Names):
    cells = [n("operator"), n("service")]
    return satisfaction.satisfaction_index(t["survey"], model(n), by=cells, weight=n("weight"), resamples=40)


@first_step(satisfaction, "path_effects")
def _paths(t: Tables, n: Names):
    return satisfaction.path_effects(
        t["survey"], model(n), by=[n("operator"), n("service")], weight=n("weight"), resamples=40
    )


@first_step(plspm, "bootstrap_pls")
def _boot(t: Tables, n: Names):
    return plspm.bootstrap_pls(t["survey"], model(n), resamples=60, interval="percentile", weights=n("weight"))


@first_step(potentials, "potential_value")
def _potential(t: Tables, n: Names):
    n.uses("held_tv", "took_tv", "service", "margin", "months")
    months = [n(f"m{k}") for k in range(6)]
    asked = {"customer": n("id"), "months": months, "features": n.all("kind", "tenure"), "peers": [n("kind")]}
    return potentials.potential_value(
        t["customers"], t["past"], t["services"], **asked, window=6, closing=0.3, resamples=20
    )


def _formula(t: Tables, n: Names):
    return churn.churn_formula(
        t["panel"],
        features=n.all("x", "z", "town"),
        left=n("quit"),
        customer=n("id"),
        month=n("month"),
        segments=4,
        bins=3,
        rival="none",
    )


def _watched(t: Tables, n: Names):
    panel = {"left": n("quit"), "customer": n("id"), "month": n("month")}
    return churn.churn_monitor(_formula(t, n), t["later"], t["later"], **panel, value=n("margin"))


def _saved(t: Tables, n: Names):
    fitted = segmentation.fit_segments(
        t["features"], k=3, log=[n("mb"), n("minutes")], shares=[n("night")], resamples=3
    )
    meaning = {n(c): c for c in ("mb", "minutes", "night")}
    saved = segmentation.save_segments(fitted, t["features"], as_of="2026-04-01", definitions=meaning)
    return segmentation.drift(saved, t["features"][t["features"].index < 215])


FEATURES = {"unused column": "every column of the table is a feature"}
LISTS = {
    ("respondents", "empty"): "nobody was interviewed",
    ("contacts", "empty"): "no contact, no case",
    ("tickets", "empty"): "no ticket, no case",
}


CASES = [
    Case(
        "arrears.cure",
        lambda t, n: (n.uses(*BILL), arrears.cure(t["bills"], as_of="2026-07-01", days=[10, 30], resamples=20))[1],
        overdue,
    ),
    Case(
        "arrears.collection",
        lambda t, n: (n.uses(*ACTION), arrears.collection(t["actions"], resamples=20))[1],
        acted,
    ),
    Case(
        "arrears.credit_card",
        lambda t, n: arrears.credit_card(
            t["customers"],
            n("churned"),
            customer=n("id"),
            state=n("late_days"),
            features=n.all("late", "late_days"),
            bill=n("yuan"),
            tolerated=n.yuan(10.0),
        ),
        debtors,
    ),
    Case(
        "arrears.expected_loss",
        lambda t, n: arrears.expected_loss(
            t["history"],
            customer=n("id"),
            month=n("on"),
            state=n("state"),
            owed=n("owed"),
            unpaid=n("open"),
            as_of="2026-06-14",
        ),
        ageing,
    ),
    Case(
        "arrears.roll_rates",
        lambda t, n: arrears.roll_rates(
            t["history"],
            customer=n("id"),
            month=n("on"),
            state=n("state"),
            owed=n("owed"),
            states=["paid up", "21-30", "31-60"],
            out=[],
        ),
        ageing,
    ),
    Case("experiment.average_effect", lambda t, n: experiment.average_effect(t["members"], **_how(n)), members, _one),
    Case(
        "experiment.average_effect (Lin)",
        lambda t, n: experiment.average_effect(
            t["members"], **_how(n), covariates=n.all("x", "town"), clusters=n("household")
        ),
        members,
        _one,
    ),
    Case(
        "experiment.average_effect (aipw)",
        lambda t, n: experiment.average_effect(t["members"], **_how(n), covariates=n.all("x", "town"), method="aipw"),
        members,
        _one,
        skip={"arms swapped": "each arm's folds are drawn anew: the difference is that of a seed"},
    ),
    Case(
        "experiment.average_effect (share)",
        lambda t, n: experiment.average_effect(t["members"], outcome=n("b"), treatment=n("t")),
        members,
        _one,
        allows={("b", "a flag of codes"): "an outcome of 1 and 2 is an amount"},
    ),
    Case(
        "experiment.check_campaign",
        lambda t, n: experiment.check_campaign(t["members"], treatment=n("t"), covariates=n.all("x", "z", "town")),
        members,
    ),
    Case(
        "experiment.predict_uplift",
        lambda t, n: experiment.predict_uplift(
            t["members"], **_how(n), features=n.all("x", "z", "town"), trees=FEW, validation="cross"
        ),
        members,
    ),
    Case(
        "uplift.uplift_curve",
        lambda t, n: uplift.uplift_curve(t["members"], score=n("score"), **_how(n), resamples=100),
        members,
    ),
    Case(
        "uplift.effect_groups",
        lambda t, n: uplift.effect_groups(t["members"], score=n("score"), **_how(n), groups=3),
        members,
        lambda r: _rows(r.groups, *_columns_of(r.groups)),
    ),
    Case(
        "uplift.targeting",
        lambda t, n: uplift.targeting(
            t["members"], score=n("score"), **_how(n), margin=0.4, contact_cost=n.yuan(1.0), resamples=100
        ),
        members,
    ),
    Case(
        "uplift.describe_targets",
        lambda t, n: uplift.describe_targets(
            t["members"], score=n("score"), features=n.all("x", "z", "town"), share=0.3
        ),
        members,
        skip={"columns renamed": "equal splits of the tree are told in another order"},
    ),
    Case(
        "uplift.predict_offers",
        lambda t, n: uplift.predict_offers(
            t["members"], outcome=n("y"), arm=n("arm"), features=n.all("x", "z"), trees=FEW
        ),
        members,
    ),
    Case(
        "uplift.value_offers",
        lambda t, n: uplift.value_offers(
            t["members"],
            outcome=n("y"),
            arm=n("arm"),
            features=n.all("x", "z"),
            trees=FEW,
            margin=0.5,
            costs={k: n.yuan(v) for k, v in COSTS.items()},
        ),
        members,
    ),
    Case(
        "uplift.allocate_offers",
        lambda t, n: (
            n.uses("call", "sms"),
            uplift.allocate_offers(
                t["effects"], margin=0.5, budget=n.yuan(12.0), costs={k: n.yuan(v) for k, v in COSTS.items()}
            ),
        )[1],
        offers,
        skip={
            "unused column": "every column of the table is an offer",
            "columns reordered": "offers are told in the order of the table",
        },
        allows={(c, d): "every column is an offer" for c in COSTS for d in ("lacks",)},
    ),
    Case(
        "observational.effect_on_treated",
        lambda t, n: observational.effect_on_treated(
            t["members"], **_how(n), covariates=n.all("bill", "use", "town"), placebo=n("before"), draws=1, folds=2
        ),
        observed,
    ),
    Case(
        "campaign_effect.arm_effects",
        lambda t, n: effects.arm_effects(t["members"], outcome=n("y"), arm=n("arm"), covariates=n.all("x", "town")),
        members,
    ),
    Case("campaign_effect.attrition_bounds", lambda t, n: effects.attrition_bounds(t["members"], **_how(n)), gone),
    Case(
        "campaign_effect.complier_effect",
        lambda t, n: effects.complier_effect(
            t["members"], **_how(n), delivered=n("got"), covariates=n.all("x", "town")
        ),
        members,
    ),
    Case(
        "campaign_effect.contact_fatigue",
        lambda t, n: effects.contact_fatigue(t["members"], **_how(n), dose=n("dose"), covariates=n.all("x")),
        members,
    ),
    Case(
        "campaign_effect.contamination",
        lambda t, n: effects.contamination(
            t["members"],
            t["exposures"],
            member=n("id"),
            treatment=n("t"),
            on=n("seen"),
            window=("2026-01-01", "2026-04-01"),
            outcome=n("y"),
        ),
        exposed,
        allows={("exposures", "empty"): "nobody was contacted by others"},
    ),
    Case(
        "campaign_effect.effect_windows",
        lambda t, n: effects.effect_windows(
            t["members"],
            outcomes={30: n("y30"), 60: n("y60"), 90: n("y")},
            treatment=n("t"),
            covariates=n.all("x", "before"),
            guards={n("quit"): effects.Guard(0.05)},
        ),
        members,
        allows={("quit", "a flag of codes"): "a guard of 1 and 2 is an amount"},
    ),
    Case(
        "campaign_effect.staying",
        lambda t, n: effects.staying(t["members"], days=n("days"), left=n("quit"), treatment=n("t"), horizon=60),
        members,
    ),
    Case(
        "campaign_planning.assign_arms",
        lambda t, n: planning.assign_arms(
            t["members"],
            member=n("id"),
            shares={"control": 0.2, "call": 0.8},
            campaign="may",
            key="k" * 20,
            strata=[n("town")],
        ),
        members,
    ),
    Case(
        "campaign_planning.plan_campaign",
        lambda t, n: planning.plan_campaign(
            t["members"],
            outcome=n("y"),
            covariates=n.all("x"),
            clusters=n("household"),
            members=5_000,
            margin=0.4,
            contact_cost=n.yuan(0.5),
        ),
        members,
    ),
    Case(
        "campaign_planning.past_spread",
        lambda t, n: planning.past_spread(
            t["members"], outcome=n("y"), covariates=n.all("x", "before"), clusters=n("household")
        ),
        members,
    ),
    Case(
        "campaign_planning.campaign_effects",
        lambda t, n: planning.campaign_effects(
            t["members"], campaign=n("campaign"), **_how(n), covariates=n.all("x", "before")
        ),
        members,
    ),
    Case(
        "campaign_planning.campaign_ledger",
        lambda t, n: planning.campaign_ledger(
            t["campaigns"], effect=n("effect"), se=n("se"), break_even=n("bar"), date=n("on")
        ),
        ledger,
        allows={("se", "credit notes"): "an error is no amount"},
    ),
    Case(
        "campaign_planning.monitor_campaign",
        lambda t, n: planning.monitor_campaign(t["members"], **_how(n), known_on=n("known")),
        members,
    ),
    Case(
        "departures.incidence",
        lambda t, n: departures.incidence(
            t["lives"],
            started=n("on"),
            left=n("off"),
            cause=n("why"),
            by=n("kind"),
            since="2024-02-01",
            as_of="2026-01-01",
        ),
        leavers,
    ),
    Case(
        "departures.directions",
        lambda t, n: departures.directions(
            t["lives"],
            t["lives"],
            left=n("off"),
            destination=n("to"),
            arrived=n("seen"),
            origin=n("came_from"),
            reason=n("why"),
            by=n("kind"),
            since="2024-01-01",
            as_of="2026-01-01",
        ),
        leavers,
    ),
    Case(
        "departures.churn_change",
        lambda t, n: departures.churn_change(
            t["before"],
            t["after"],
            customer=n("id"),
            left=n("churned"),
            by=[n("tier"), [n("tier"), n("kind")]],
            resamples=60,
        ),
        bases,
    ),
    Case(
        "departures.recovery",
        lambda t, n: departures.recovery(
            t["lives"],
            t["complaints"],
            customer=n("id"),
            started=n("on"),
            left=n("off"),
            opened=n("opened_at"),
            due=n("due_at"),
            closed=n("closed_at"),
            outcome=n("outcome"),
            since="2024-01-01",
            as_of="2026-01-01",
            given=n("kind"),
            lot=n("arm"),
            compensation=n("yuan"),
            value=300.0,
        ),
        complainers,
    ),
    Case(
        "lifetime_value.fit_btyd",
        lambda t, n: lifetimes.fit_btyd(
            t["purchases"], customer=n("id"), when=n("on"), unit="week", until="2025-12-31"
        ),
        purchases,
    ),
    Case(
        "lifetime_value.fit_gamma_gamma",
        lambda t, n: lifetimes.fit_gamma_gamma(
            t["purchases"], customer=n("id"), when=n("on"), amount=n("yuan"), until="2025-12-31"
        ),
        purchases,
    ),
    Case(
        "lifetime_value.fit_sbg",
        lambda t, n: lifetimes.fit_sbg(t["periods"], period=n("period"), at_risk=n("at_risk"), left=n("gone")),
        renewals,
    ),
    Case(
        "lifetime_value.lifetime_value",
        lambda t, n: lifetimes.lifetime_value(
            t["customers"],
            started=n("on"),
            left=n("off"),
            margin=n("margin"),
            horizon=12,
            discount=0.08,
            since=None,
            as_of="2026-01-01",
            resamples=40,
        ),
        contracts,
    ),
    Case(
        "plspm.fit_pls",
        lambda t, n: plspm.fit_pls(t["survey"], model(n), weights=n("weight")),
        survey,
        estimates=lambda r: (r.paths, r.loadings, r.index),
    ),
    Case("plspm.bootstrap_pls", _boot, survey),
    Case("plspm.model_quality", lambda t, n: plspm.model_quality(_boot(t, n)), survey),
    Case("plspm.mediation", lambda t, n: plspm.mediation(_boot(t, n)), survey),
    Case("plspm.consistent_pls", lambda t, n: plspm.consistent_pls(_boot(t, n)), survey),
    Case(
        "plspm.compare_groups",
        lambda t, n: plspm.compare_groups(
            t["survey"], model(n), group=n("group"), permutations=40, weights=n("weight")
        ),
        survey,
    ),
    Case(
        "plspm.measurement_invariance",
        lambda t, n: plspm.measurement_invariance(t["survey"], model(n), group=n("group"), permutations=40),
        survey,
    ),
    Case("plspm.predict_pls", lambda t, n: plspm.predict_pls(t["survey"], model(n), folds=5, repetitions=2), survey),
    Case(
        "observational.difference_in_differences",
        lambda t, n: observational.difference_in_differences(
            t["panel"],
            unit=n("id"),
            period=n("month"),
            treated_from=n("start"),
            outcome=n("y"),
            weight=n("weight"),
            resamples=99,
        ),
        panel,
    ),
    Case(
        "satisfaction.satisfaction_index",
        _index,
        survey,
        estimates=lambda r: r.table[["operator", "service", "construct", "index"]],
    ),
    Case(
        "satisfaction.operator_gaps",
        lambda t, n: satisfaction.operator_gaps(_index(t, n), operator=n("operator")),
        survey,
    ),
    Case(
        "satisfaction.own_standing",
        lambda t, n: satisfaction.own_standing(
            (index := _index(t, n)),
            satisfaction.operator_gaps(index, operator=n("operator")),
            "A",
            operator=n("operator"),
        ),
        survey,
    ),
    Case(
        "satisfaction.operator_ranks",
        lambda t, n: satisfaction.operator_ranks(_index(t, n), operator=n("operator")),
        survey,
    ),
    Case(
        "satisfaction.own_weights",
        lambda t, n: satisfaction.own_weights(
            t["survey"],
            model(n),
            operator=n("operator"),
            by=[n("operator"), n("service")],
            weight=n("weight"),
            resamples=20,
        ),
        survey,
    ),
    Case(
        "satisfaction.gap_to_items",
        lambda t, n: satisfaction.gap_to_items(_index(t, n), operator=n("operator")),
        survey,
    ),
    Case("satisfaction.index_precision", lambda t, n: satisfaction.index_precision(_index(t, n)), survey),
    Case(
        "satisfaction.shrunken_index",
        lambda t, n: satisfaction.shrunken_index(_index(t, n), toward=[n("service")]),
        survey,
    ),
    Case("satisfaction.path_effects", _paths, survey),
    Case("satisfaction.importance_performance", lambda t, n: satisfaction.importance_performance(_paths(t, n)), survey),
    Case(
        "satisfaction.competitor_map",
        lambda t, n: satisfaction.competitor_map(
            _paths(t, n), own="A", of={n("service"): "mobile"}, operator=n("operator")
        ),
        survey,
    ),
    Case("satisfaction.item_priorities", lambda t, n: satisfaction.item_priorities(_paths(t, n)), survey),
    Case(
        "satisfaction.simulate_improvement",
        lambda t, n: satisfaction.simulate_improvement(_paths(t, n), {n("q1"): 0.5}),
        survey,
    ),
    Case(
        "satisfaction.improve_first",
        lambda t, n: satisfaction.improve_first((effects := _paths(t, n)), satisfaction.item_priorities(effects)),
        survey,
    ),
    Case(
        "satisfaction.wave_change",
        lambda t, n: satisfaction.wave_change(
            t["survey"],
            model(n),
            by=[n("operator")],
            mix=[n("province")],
            wave=n("wave"),
            weight=n("weight"),
            resamples=20,
        ),
        waves,
    ),
    Case(
        "satisfaction.rake",
        lambda t, n: satisfaction.rake(
            t["survey"],
            {n("province"): pd.Series({"x": 0.6, "y": 0.4}), n("service"): pd.Series({"mobile": 0.7, "fixed": 0.3})},
            weight=n("weight"),
        ),
        survey,
        estimates=lambda r: r.table[["margin", "category", "population", "before", "after"]],
    ),
    Case(
        "segmentation.rfm",
        lambda t, n: segmentation.rfm(
            t["purchases"], customer=n("id"), when=n("on"), amount=n("yuan"), as_of="2026-01-01"
        ),
        purchases,
    ),
    Case(
        "segmentation.score_rfm",
        lambda t, n: segmentation.score_rfm(
            t["customers"], customer=n("id"), recency=n("recency_days"), frequency=n("times"), monetary=n("yuan")
        ),
        scored,
    ),
    Case(
        "segmentation.concentration",
        lambda t, n: segmentation.concentration(t["customers"][n("yuan")], resamples=60),
        scored,
        allows={("yuan", "lacks"): "takes the column itself"},
    ),
    Case(
        "segmentation.fit_segments",
        lambda t, n: segmentation.fit_segments(
            t["features"],
            k=3,
            log=[n("mb"), n("minutes")],
            shares=[n("night")],
            resamples=5,
        ),
        customers,
        skip=FEATURES,
    ),
    Case("segmentation.drift", _saved, customers, skip=FEATURES),
    Case(
        "segmentation.migration",
        lambda t, n: segmentation.migration(
            t["history"], customer=n("id"), when=n("on"), segment=n("is"), revenue=n("yuan")
        ),
        history,
        allows={("on", "days as numbers"): "numbers sort in time"},
    ),
    Case(
        "segmentation.early_warnings",
        lambda t, n: (
            n.uses("frequency_state", "frequency_trend", "recency_days"),
            segmentation.early_warnings(t["customers"], as_of="2026-07-01", customer=n("id"), value=n("yuan")),
        )[1],
        scored,
        allows={("customers", "empty"): "a list of nobody"},
    ),
    Case(
        "segmentation.silent_services",
        lambda t, n: (
            n.uses("service", "recency_days"),
            segmentation.silent_services(t["used"], customer=n("customer_id")),
        )[1],
        used,
        allows={("used", "empty"): "a list of nobody"},
    ),
    Case(
        "tiers.tiers",
        lambda t, n: tiers.tiers(
            t["values"],
            customer=n("id"),
            value=n("yuan"),
            period=n("month"),
            rules=dataclasses.replace(TIERS, enter=(n.yuan(200), n.yuan(100))),
        ),
        monthly,
    ),
    Case(
        "tiers.grade_accounts",
        lambda t, n: tiers.grade_accounts(
            t["accounts"], customer=n("id"), value=n("yuan"), scheme=_scheme(n), draws=50
        ),
        accounts,
    ),
    Case(
        "service.cost_to_serve",
        lambda t, n: (
            n.uses("hotline", "visit"),
            service.cost_to_serve(
                t["customers"],
                customer=n("id"),
                tier=n("tier"),
                revenue=n("yuan"),
                margin=0.5,
                order=["gold", "basic"],
                costs=EVENTS.assign(cost=EVENTS["cost"] * n.money),
                resamples=60,
            ),
        )[1],
        served_tiers,
    ),
    Case(
        "service.promises_kept",
        lambda t, n: (
            n.uses("visit", "days_known", *[f"hotline_{w}_{k}" for w in ("within", "judged") for k in (10, 40)]),
            service.promises_kept(t["customers"], customer=n("id"), tier=n("tier"), promises=PROMISES),
        )[1],
        served_tiers,
    ),
    Case("churn.churn_formula", _formula, months),
    Case("churn.churn_monitor", _watched, watched),
    Case(
        "churn.churn_profit",
        lambda t, n: churn.churn_profit(
            t["panel"],
            n("margin"),
            probability=n("score"),
            left=n("quit"),
            effect=n("growth"),
            incentive=n.yuan(5.0),
            contact=n.yuan(0.5),
            resamples=20,
        ),
        months,
    ),
    Case("potential.potential_value", _potential, potential),
    Case("potential.value_grid", lambda t, n: potentials.value_grid(_potential(t, n)), potential),
    Case(
        "potential.worth_raising",
        lambda t, n: potentials.worth_raising(_potential(t, n), contact_cost=n.yuan(1.0), lift=0.02),
        potential,
    ),
    Case(
        "fraud.rule_hits",
        lambda t, n: (
            _suspected(n, *READ),
            fraud.rule_hits(t["lines"], RULES, t["cases"], as_of="2026-07-01", per_day=1, case_cost=n.yuan(20.0)),
        )[1],
        suspected,
    ),
    Case(
        "fraud.rule_candidates",
        lambda t, n: (_suspected(n, *READ), fraud.rule_candidates(t["lines"], RULES, t["cases"]))[1],
        suspected,
    ),
    Case(
        "fraud.anomalies",
        lambda t, n: (_suspected(n), fraud.anomalies(t["lines"], t["cases"], size=20))[1],
        suspected,
    ),
    Case(
        "voice.voice_scores",
        lambda t, n: voice.voice_scores(
            t["survey"],
            [voice.net_promoter(n("likely")), voice.mean_answer(n("s2")), voice.top_boxes(n("s3"))],
            by=[n("operator")],
            weight=n("weight"),
            strata=[n("province")],
        ),
        survey,
        estimates=lambda r: r.table[["operator", "measure", "estimate"]],
    ),
    Case(
        "voice.improvement_requests",
        lambda t, n: voice.improvement_requests(t["survey"], request=n("request"), score=n("s2"), weight=n("weight")),
        survey,
    ),
    Case(
        "voice.nonresponse",
        lambda t, n: voice.nonresponse(t["invited"], by=[n("town")], answered=n("outcome")),
        invited,
    ),
    Case(
        "service.service_shortfalls",
        lambda t, n: (
            n.uses(
                "customer_id",
                "contacted_at",
                "channel",
                "wait_s",
                "kind",
                "opened_at",
                "due_at",
                "closed_at",
                "answered_on",
            ),
            service.service_shortfalls(
                t["contacts"],
                t["tickets"],
                as_of="2026-07-01",
                standards=STANDARDS,
                respondents=t["respondents"],
                score=n("score"),
                weight=n("weight"),
                minimum=5,
            ),
        )[1],
        served,
        allows=LISTS,
    ),
    Case(
        "voice.satisfaction_outcome",
        lambda t, n: (
            n.uses("churned", "revenue_before", "revenue_after", "answered_on", "left_on", "complete"),
            voice.satisfaction_outcome(t["linked"], score=n("score"), covariates=n.all("tenure"), weight=n("weight")),
        )[1],
        linked,
    ),
    Case(
        "voice.respondent_scores",
        lambda t, n: voice.respondent_scores(t["survey"], plspm.fit_pls(t["survey"], model(n), weights=n("weight"))),
        survey,
    ),
]


def _columns_of(table: pd.DataFrame) -> tuple[str, str, str]:
    return (next(c for c in ("effect", "estimate") if c in table), "low", "high")


BY_NAME = {case.name: case for case in CASES}


@cache
def answered(case: Case) -> tuple[Any, Names]:
    """The result of a case as it stands, and the names that were asked for: once for all suites."""
    names = Names()
    return case.call(case.tables(), names), names


WITHOUT = {
    "basis": "says how many rows there are; in test_arrears_advice",
    "known_by_department": "reads the customer view; by hand in test_customer_view, by raw files in test_overview",
    "customer_history": "reads the view customer_event; by hand in test_customer_view",
    "customer_profile": "reads a row of the customer view; by hand in test_customer_view",
    "with_found": "joins two tables; by hand in test_customer_view",
    "coverage": "reads the view table_month; by hand in test_data_quality",
    "contradictions": "reads the view customer_contradiction; by hand in test_data_quality and test_quality",
    "lost_records": "reads the account; by hand in test_data_quality",
    "completeness": "reads counts; by hand in test_data_quality",
    "mend_first": "takes results",
    "studies_touched": "takes results",
    "quality_rules": "reads rules",
    "rule_base": "reads rules",
    "fit_uplift": "its folds, order and columns are those of predict_uplift; saved and read in test_uplift_saved",
    "score_list": "takes a model and batches; test_uplift_saved",
    "hold_out": "takes ids; test_uplift_saved",
    "formative_table": "takes a fit",
    "required_size": "takes a spread, no table",
    "sample_ratio": "takes counts",
    "net_promoter": "names a measure",
    "top_boxes": "names a measure",
    "mean_answer": "names a measure",
    "service_standards": "reads rules",
    "grade_scheme": "reads rules",
    "tier_rules": "reads rules",
    "tier_promises": "reads rules",
    "standard_to_mend": "takes a result; test_decisions_survey",
    "unit_costs": "reads rules",
    "default_grid": "reads rules",
    "read_segments": "reads a file",
    "save_segments": "within drift",
    "described_use": "takes columns by name; test_segmentation_saved",
    "memberships": "takes a saved segmentation; test_segmentation_saved",
    "decision": "takes results; test_decisions_survey, test_decisions_customers",
    "plot_profiles": "draws a table",
    "plot_usage": "draws a table",
    "weekly_use": "draws a table",
    "cross_loadings": "reads a fit",
    "fornell_larcker": "reads a fit",
    "htmt_table": "reads a fit",
    "srmr": "reads a fit",
    "reliability_table": "reads a fit",
    "structural_table": "reads a fit",
    "moderation": "reads a bootstrap of a model with a product",
}
