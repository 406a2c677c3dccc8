"""Who are the customers? Persons, households and organisations with a hidden segment, a life and lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.sample.operator import Operator
from workbench.sample.timeline import END, FIRST_DETAIL_MONTH, MONTH_START, MONTHS, NEVER

KINDS = ("person", "household", "company", "government", "reseller", "distributor")
_KIND_SHARE = (0.88, 0.062, 0.035, 0.008, 0.01, 0.005)
SEGMENTS = ("business", "data_youth", "all_round", "senior_voice", "second_sim", "night_streaming")
_SEGMENT_SHARE = {
    "person": (0.12, 0.24, 0.27, 0.16, 0.11, 0.10),
    "household": (0.05, 0.20, 0.55, 0.05, 0.0, 0.15),
    "organisation": (0.85, 0.0, 0.15, 0.0, 0.0, 0.0),
}
REASONS = ("port_out", "disconnect", "non_payment")
_REASON_SHARE = (0.36, 0.44, 0.20)

CIRCLE = np.array([45, 12, 18, 6, 5, 9])
"""By segment: how many others a line calls."""


@dataclass(frozen=True)
class Customers:
    """A batch of n customers; every array has shape (n,) but `activity` (n, 24), its use relative to normal.

    Days are counted from the first of the sample; `ended` is the last day, or NEVER; `scale` is use relative to
    the segment's; `operator` is theirs.
    `hazard` is the true probability of leaving within a month.
    """

    operator: Operator
    id: np.ndarray
    kind: np.ndarray
    segment: np.ndarray
    name: np.ndarray
    province: np.ndarray
    city: np.ndarray
    birth_year: np.ndarray
    gender: np.ndarray
    staff: np.ndarray
    fraud: np.ndarray
    prepaid: np.ndarray
    joined: np.ndarray
    ended: np.ndarray
    reason: np.ndarray
    hazard: np.ndarray
    activity: np.ndarray
    scale: np.ndarray

    def alive(self, first: int, after: int) -> np.ndarray:
        """Days from `first` to before `after` on which each was a customer, shape (n,)."""
        return np.clip(np.minimum(self.ended + 1, after) - np.maximum(self.joined, first), 0, None)


@dataclass(frozen=True)
class Lines:
    """The lines of a batch, m in all, by customer; `customer` is the position in the batch.

    `events` (m, 3) are mean calls, messages and data sessions in a normal month; `call_s` and `session_mb`
    mean sizes; all three are 0 for lines that are not mobile. `profile` is the segment, or 6 and 7 for fraud.
    """

    operator: Operator
    id: np.ndarray
    customer: np.ndarray
    service: np.ndarray
    number: np.ndarray
    tariff: np.ndarray
    activated: np.ndarray
    profile: np.ndarray
    events: np.ndarray
    call_s: np.ndarray
    session_mb: np.ndarray


def draw_customers(operator: Operator, first: int, count: int, rng: np.random.Generator) -> Customers:
    """Draw customers number `first` to `first` + `count` - 1 of the operator."""
    by_segment = operator.segments
    kind = rng.choice(len(KINDS), count, p=_KIND_SHARE).astype(np.int8)
    group = np.minimum(kind, 2)
    shares = np.cumsum([_SEGMENT_SHARE[g] for g in ("person", "household", "organisation")], axis=1)
    segment = (rng.random(count)[:, None] > shares[group]).sum(axis=1).clip(max=5).astype(np.int8)
    person = kind == 0
    fraud = (rng.random(count) < 0.0035) & person
    prepaid = (rng.random(count) < by_segment["prepaid"][segment]) & (group < 2)
    joined = _draw_joined(fraud, rng)
    months = np.maximum(0, -joined) / 30.44
    hazard = by_segment["churn"][segment] * (0.65 + 0.7 * np.exp(-months / 30))
    hazard *= np.exp(0.25 * rng.standard_normal(count))
    hazard = np.clip(hazard * np.where(prepaid, 1.2, 0.95) * np.where(group == 2, 0.6, 1), 0.001, 0.2)
    hazard[fraud] = 0.01
    rate = -np.log1p(-hazard) / 30.44
    ended = (np.maximum(joined + 20, 0) + rng.standard_exponential(count) / rate).astype(np.int64)
    ended[ended >= END] = NEVER
    left = ended < NEVER
    reason = np.where(left, rng.choice(3, count, p=_REASON_SHARE), -1)
    reason[(reason == 2) & prepaid] = 1
    province = rng.choice(len(operator.provinces), count, p=operator.province_share)
    sizes = np.array([len(c) for c in operator.cities])
    born = by_segment["born"][segment]
    return Customers(
        operator=operator,
        id=1_000_000_001 + np.arange(first, first + count),
        kind=kind,
        segment=segment,
        name=operator.people(kind, KINDS, rng),
        province=province,
        city=(rng.random(count) * sizes[province]).astype(np.int64),
        birth_year=np.where(person, born[:, 0] + rng.integers(0, 1 << 30, count) % (born[:, 1] - born[:, 0]), 0),
        gender=np.where(person & (rng.random(count) < 0.96), rng.integers(0, 2, count), -1),
        staff=(rng.random(count) < 0.005) & person,
        fraud=fraud,
        prepaid=prepaid,
        joined=joined,
        ended=ended,
        reason=reason,
        hazard=hazard,
        activity=_draw_activity(ended, fraud, _past(count, rng)),
        scale=np.exp(0.5 * rng.standard_normal(count) - 0.125),
    )


def _draw_joined(fraud: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = len(fraud)
    old = -1 - np.minimum(rng.standard_exponential(count) * 1_500, 7_000).astype(np.int64)
    new = rng.integers(0, END - 10, count)
    recent = rng.integers(MONTH_START[FIRST_DETAIL_MONTH - 2], MONTH_START[-3], count)
    return np.where(fraud, recent, np.where(rng.random(count) < 0.74, old, new))


def _past(count: int, rng: np.random.Generator) -> np.random.Generator:
    """Leave out `count` numbers of a stream that nobody needs any more, so that what follows stays."""
    rng.random(count)
    return rng


def _draw_activity(ended: np.ndarray, fraud: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Use by month: a slow trend, a season, noise; most who leave decline for four months, some fall silent."""
    count, month = len(ended), np.arange(MONTHS)
    slope = np.array([0.0, 0.03, -0.04])[rng.choice(3, count, p=(0.84, 0.08, 0.08))]
    level = np.exp(slope[:, None] * (month - 12) + 0.08 * rng.standard_normal((count, MONTHS)))
    level *= np.where((month % 12 == 7) | (month % 12 == 2), 1.08, 1.0)
    silent_from = np.where(rng.random(count) < 0.025, rng.integers(6, MONTHS, count), MONTHS)
    level[month >= silent_from[:, None]] *= 0.005
    declines = (ended < NEVER) & (rng.random(count) < 0.65) & ~fraud
    to_go = np.searchsorted(MONTH_START, ended, side="right")[:, None] - 1 - month
    drop = np.array([0.2, 0.3, 0.5, 0.7, 1.0])[np.clip(to_go, 0, 4)]
    return np.where(declines[:, None], level * drop, level)


def draw_lines(customers: Customers, serial: int, rng: np.random.Generator) -> Lines:
    """Draw the lines of a batch; `serial` is the number of lines drawn before."""
    n, by_segment = len(customers.id), customers.operator.segments
    counts = _line_counts(customers.kind, customers.fraud, rng)
    customer = np.repeat(np.tile(np.arange(n), 4), counts.ravel())
    service = np.repeat(np.repeat(np.arange(4), n), counts.ravel())
    order = np.argsort(customer, kind="stable")
    customer, service = customer[order], service[order]
    m = len(customer)
    rank = np.arange(m) - np.searchsorted(customer, customer)
    profile = customers.segment[customer].astype(np.int64)
    fraud = customers.fraud[customer]
    profile[fraud] = 6 + (customers.id[customer[fraud]] % 2)
    mobile = (service == 0)[:, None]
    events = by_segment["events"][np.minimum(profile, 5)] * np.exp(0.4 * rng.standard_normal((m, 3)) - 0.08)
    events *= customers.scale[customer, None]
    call_s = by_segment["call_seconds"][np.minimum(profile, 5)] * np.exp(0.35 * rng.standard_normal(m) - 0.06)
    session_mb = by_segment["session_mb"][np.minimum(profile, 5)] * np.exp(0.45 * rng.standard_normal(m) - 0.1)
    terms, kind = customers.operator.mobile, customers.kind[customer]
    tariff = _draw_tariffs(terms, events, call_s, session_mb, kind, service, rng)
    events[profile == 6] = (450, 1, 1)  # a SIM box: hundreds of short calls, each to another number
    events[profile == 7] = (120, 2, 3)  # bursts of long calls abroad
    call_s[profile == 6], call_s[profile == 7] = 35, 420
    end = np.minimum(customers.ended, END - 1)[customer]
    delay = np.where(rank > 0, rng.standard_exponential(m) * 150, 0).astype(np.int64)
    return Lines(
        operator=customers.operator,
        id=20_000_000_000 + (customers.id[customer] - 1_000_000_001) * 1_000 + rank,
        customer=customer,
        service=service,
        number=12_000_000_000 + ((serial + np.arange(m)) * 387_420_489) % 1_000_000_000,
        tariff=tariff,
        activated=np.minimum(customers.joined[customer] + delay, end),
        profile=profile,
        events=np.where(mobile, events, 0),
        call_s=call_s,
        session_mb=session_mb,
    )


def _line_counts(kind: np.ndarray, fraud: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines by service and customer, shape (4, n)."""
    n = len(kind)
    median = np.array([0, 0, 4.0, 7.0, 3.0, 4.0])[kind]
    spread = np.minimum(median * np.exp(0.9 * rng.standard_normal(n)), 180).astype(np.int64)
    extra = np.where(kind == 0, (rng.random(n) < 0.08) & ~fraud, rng.binomial(2, 0.4, n))
    mobile = 1 + np.where(kind == 0, extra, np.where(kind == 1, 1 + extra, spread))
    chance = rng.random((3, n))
    broadband = chance[0] < np.array([0.10, 1.0, 0.5, 0.8, 0.4, 0.6])[kind]
    fixed = np.where(kind < 2, chance[1] < np.array([0.02, 0.15])[np.minimum(kind, 1)], 1 + spread // 3)
    iptv = (kind == 1) & (chance[2] < 0.6)
    return np.stack([mobile, broadband & ~fraud, fixed * ~fraud, iptv]).astype(np.int64)


def _draw_tariffs(
    terms: np.ndarray,
    events: np.ndarray,
    call_s: np.ndarray,
    session_mb: np.ndarray,
    kind: np.ndarray,
    service: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Most people are near the tariff that is cheapest for what they use."""
    used = np.stack([events[:, 0] / 2 * call_s / 60, events[:, 2] * session_mb, events[:, 1] / 2], axis=1)
    cost = terms[:, 0] + sum(np.maximum(0, used[:, [k]] - terms[:, 1 + k]) * terms[:, 4 + k] for k in range(3))
    mobile = np.argmin(cost + 9 * rng.gumbel(size=cost.shape), axis=1)
    after = len(terms)
    broadband = after + np.where(kind >= 2, 2, rng.random(len(kind)) < 0.3)
    return np.choose(service, [mobile, broadband, after + 3, after + 4])
