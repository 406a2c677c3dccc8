"""How do customers and operator meet? Contacts on every channel, and cases with a promise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, Extracts, words
from workbench.sample.offers import Past
from workbench.sample.operator import SERVICES
from workbench.sample.people import Customers, Lines
from workbench.sample.recovery import draw_recovery
from workbench.sample.timeline import CAMPAIGN_MONTH, END, MONTH_START, NEVER, timestamps

CHANNELS = ("hotline", "app", "web", "sms", "shop", "visit", "outbound_call")
_CONTACT_BREAKS = (
    ("unknown code", "channel", "飞鸽传书"),
    ("impossible date", "contacted_at", "2026-06-31 10:00:00"),
    ("orphan reference", "customer_id", "9999999999"),
    (DUPLICATE, "", ""),
)
_CASE_BREAKS = (
    ("impossible date", "opened_at", "2026-04-31 08:00:00"),
    ("missing mandatory", "customer_id", ""),
    ("orphan reference", "customer_id", "9999999999"),
)
_KINDS = ("complaint", "fault", "installation")
_OUTCOMES = ("solved", "rejected", "withdrawn")


def write_service(
    extracts: Extracts,
    customers: Customers,
    lines: Lines,
    contacted: np.ndarray,
    rng: np.random.Generator,
    repair: np.random.Generator,
) -> None:
    """Write contacts and cases of a batch; `contacted` (campaigns, n) says whom each campaign reached.

    What comes of complaints is drawn from the stream `repair`.
    """
    cases = [_draw_cases(customers, lines, kind, rng) for kind in range(3)]
    for kind in range(3):
        _write_cases(extracts, kind, customers, *cases[kind], rng, repair)
    _write_contacts(extracts, customers, contacted, cases[0][0], cases[0][2], rng)


def _moments(customers: Customers, rate: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Events at `rate` a month in each customer's life: who, and day."""
    lived = customers.alive(0, END)
    who = np.repeat(np.arange(len(rate)), rng.poisson(rate * lived / 30.44))
    day = np.maximum(customers.joined, 0)[who] + (rng.random(len(who)) * lived[who]).astype(np.int64)
    return who, day


def _clock(day: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A second of each day, in office hours mostly."""
    hour = np.clip(14 + 3.5 * rng.standard_normal(len(day)), 7, 22.99)
    return day * 86_400 + (hour * 3_600).astype(np.int64)


def _draw_cases(customers, lines, kind: int, rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who, service and opening second. More complaints where many will leave; installations at activation."""
    if kind == 2:
        line = np.flatnonzero((lines.service == 1) & (lines.activated >= 3))
        opened = _clock(lines.activated[line] - 2, rng)
        early = opened < np.maximum(customers.joined[lines.customer[line]], 0) * 86_400
        opened[early] += 2 * 86_400
        return lines.customer[line], np.ones(len(line), dtype=np.int64), opened
    n = len(customers.id)
    wide = np.bincount(lines.customer, lines.service == 1, n) > 0
    rate = 0.004 + 0.25 * customers.hazard if kind == 0 else 0.004 + 0.012 * wide
    who, day = _moments(customers, rate * np.where(customers.kind >= 2, 1.8, 1), rng)
    return who, (wide[who] & (rng.random(len(who)) < 0.6)).astype(np.int64), _clock(day, rng)


def write_past(
    extracts: Extracts, customers: Customers, past: Past, rng: np.random.Generator, repair: np.random.Generator
) -> None:
    """Write contacts that past campaigns delivered, and the complaints they caused within 20 days."""
    at = np.flatnonzero(past.reached)
    last = customers.ended[past.who]
    day = np.minimum(past.start + rng.integers(0, 5, len(past.who)), last)
    call = past.by_call[at]
    second = _clock(day[at], rng)
    channel, topic = np.where(call, 6, 3), np.where(call, 1, 6)
    _write_touches(extracts, customers, past.who[at], channel, topic, second, rng, serial=9_000)
    angry = past.complained
    opened = _clock(np.minimum(day[angry] + rng.integers(0, 16, len(angry)), last[angry]), rng)
    _write_cases(extracts, 0, customers, past.who[angry], np.zeros(len(angry), np.int64), opened, rng, repair, 900)


def _write_cases(extracts, kind, customers, who, service, opened, rng, repair, serial=0) -> None:
    hours = np.array([48, 24, 72])[kind]
    closed = opened + (rng.gamma(2, hours * 0.26, len(who)) * 3_600).astype(np.int64)
    outcome = rng.choice(3, len(who), p=(0.86, 0.09, 0.05))
    categories = customers.operator.words["categories"][kind]
    category = rng.integers(0, len(categories), len(who))
    rank = np.empty(len(who), dtype=np.int64)
    rank[np.argsort(who, kind="stable")] = serial + np.arange(len(who)) - np.searchsorted(np.sort(who), np.sort(who))
    more = {}
    if kind == 0:
        came = draw_recovery(customers, who, opened, closed, outcome, repair)
        closed, outcome = came.closed, came.outcome
        more = {
            "queue": words(came.queue, customers.operator.words["queues"]),
            "compensation": pa.array(came.compensation, mask=closed >= END * 86_400),
            "compensation_arm": words(came.arm, ("offered", "not_offered")),
        }
    is_open = closed >= END * 86_400
    extracts.write(
        "ticket",
        {
            "ticket_id": customers.id[who] * 10_000 + kind * 1_000 + rank,
            "customer_id": customers.id[who],
            "kind": _KINDS[kind],
            "service": words(service, SERVICES),
            "category": words(category, categories),
            "opened_at": timestamps(opened),
            "due_at": timestamps(opened + hours * 3_600),
            "closed_at": timestamps(np.where(is_open, NEVER * 86_400, closed)),
            "outcome": words(np.where(is_open, -1, outcome), _OUTCOMES),
        }
        | more,
        breaks=_CASE_BREAKS,
    )


def _write_contacts(extracts, customers, contacted, complainer, complained, rng) -> None:
    young = customers.birth_year > 1985
    who, day = _moments(customers, np.where(customers.kind >= 2, 0.5, 0.18), rng)
    by_age = np.array([(0.42, 0.16, 0.06, 0.12, 0.12, 0.02, 0.10), (0.20, 0.42, 0.10, 0.12, 0.05, 0.01, 0.10)])
    channel = (
        (rng.random(len(who))[:, None] > np.cumsum(by_age, axis=1)[young[who].astype(int)]).sum(axis=1).clip(max=6)
    )
    topic = rng.integers(0, len(customers.operator.words["topics"]), len(who))
    campaign, member = np.nonzero(contacted)
    launch = np.full(len(member), MONTH_START[CAMPAIGN_MONTH]) + rng.integers(0, 5, len(member))
    launch = np.minimum(launch, customers.ended[member])
    parts = [
        (who, channel, topic, _clock(day, rng)),
        (complainer, np.zeros(len(complainer), dtype=np.int64), np.full(len(complainer), 4), complained),
        (member, np.array([6, 3, 6])[campaign], np.array([1, 6, 5])[campaign], _clock(launch, rng)),
    ]
    who, channel, topic, second = (np.concatenate(column) for column in zip(*parts, strict=True))
    _write_touches(extracts, customers, who, channel, topic, second, rng)


def _write_touches(extracts, customers, who, channel, topic, second, rng, serial=0) -> None:
    order = np.lexsort((topic, channel, second, who))
    who, channel, topic, second = who[order], channel[order], topic[order], second[order]
    rank = serial + np.arange(len(who)) - np.searchsorted(who, who)
    waits = np.where(channel == 0, np.rint(rng.gamma(1.3, 35, len(who))).astype(np.int64), -1)
    extracts.write(
        "contact",
        {
            "contact_id": customers.id[who] * 10_000 + rank,
            "customer_id": customers.id[who],
            "contacted_at": timestamps(second),
            "channel": words(channel, CHANNELS),
            "direction": words(np.isin(channel, (3, 6)).astype(np.int64), ("in", "out")),
            "topic": words(topic, customers.operator.words["topics"]),
            "wait_s": pa.array(waits, mask=waits < 0),
        },
        breaks=_CONTACT_BREAKS,
    )
