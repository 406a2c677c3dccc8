"""Which campaigns ran a year ago? Four arms with contacts that fail, a pilot in whole provinces, and many small ones.

`bundle_offers` (randomised, four arms, 180 days): a voucher that brings purchases forward, a data pack for heavy users,
and a call that pays, reaches two in three, and makes some complain or opt out. Each earlier contact of 90 days takes a
share of the effect. No arm changes who leaves. `home_pilot` ran in whole provinces, not randomised. The small ones
(randomised, 60 days) changed nothing, but for five. All effects end before July 2025, so that a year's bills know
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from workbench.sample.campaigns import Known, known_before
from workbench.sample.extracts import DUPLICATE, Extracts, money, words
from workbench.sample.money import Bills
from workbench.sample.operator import Operator
from workbench.sample.people import Customers
from workbench.sample.timeline import MONTH_START, MONTHS, dates

OFFERS, PILOT = "bundle_offers", "home_pilot"
ARMS = ("control", "voucher", "data_pack", "call")
OFFERS_MONTH = 6
WINDOW = 6
KEPT_PER_CONTACT = 0.6
"""Share of an offer's effect that each earlier contact leaves."""
PILOT_MONTHS = slice(7, 12)
PILOT_EFFECT = 4.0
# The small ones: month, share of eligible customers, yuan a month for two months, by call (else by message).
SMALL = (
    (4, 0.12, 0.0, 0),
    (4, 0.12, 7.0, 1),
    (5, 0.12, 0.0, 0),
    (5, 0.12, 0.0, 1),
    (5, 0.12, 5.0, 0),
    (6, 0.03, 0.0, 0),
    (6, 0.04, 0.0, 1),
    (7, 0.03, 9.0, 1),
    (7, 0.04, 0.0, 0),
    (7, 0.03, 0.0, 0),
    (8, 0.05, -4.0, 1),
    (8, 0.03, 0.0, 0),
    (8, 0.04, 0.0, 1),
    (9, 0.05, 6.0, 1),
    (9, 0.03, 0.0, 0),
    (9, 0.04, 0.0, 0),
)
SMALL_IDS = tuple(f"small_{number:02}" for number in range(1, len(SMALL) + 1))
IDS = (OFFERS, *SMALL_IDS)
_MONTHS = np.array([OFFERS_MONTH, *(row[0] for row in SMALL)])
_SPANS = np.array([WINDOW] + [2] * len(SMALL))
_COSTS = {0: (0.05, 2.0), 1: (4.0, 8.0)}
_BREAKS = (("unparsable number", "outcomes.revenue", "#N/A"), ("unknown code", "arm", "第九组"), (DUPLICATE, "", ""))


@dataclass(frozen=True)
class Past:
    """What the past campaigns did to n customers.

    `campaign`, `who`, `arm`, `reached`, `responded`, `opted_out` have one entry a member (campaign: position in IDS;
    arm: 0 control, 1-3 the offers', 4 the small ones'); `complained` are positions in `who` of members whom a contact
    made complain; `monthly` (n, 24) is what all changed in the bills; `truth` are the columns of the offers' truth.
    """

    campaign: np.ndarray
    who: np.ndarray
    arm: np.ndarray
    reached: np.ndarray
    responded: np.ndarray
    opted_out: np.ndarray
    complained: np.ndarray
    monthly: np.ndarray
    truth: dict[str, np.ndarray]

    @property
    def start(self) -> np.ndarray:
        """Day of assignment of each member."""
        return MONTH_START[_MONTHS[self.campaign]]

    @property
    def by_call(self) -> np.ndarray:
        """Whether each member was to be called; the others got a message."""
        small = np.array([True, *(bool(row[3]) for row in SMALL)])[self.campaign]
        return np.where(self.arm == 4, small, self.arm == 3)


def play_past(
    customers: Customers, bills: Bills, active_days: np.ndarray, data_mb: np.ndarray, rng: np.random.Generator
) -> tuple[Past, dict[int, Known]]:
    """Draw the past campaigns of a batch; gives what was known at the start of each month, too."""
    known = {
        month: known_before(customers, bills, active_days, data_mb, month) for month in sorted(set(_MONTHS.tolist()))
    }
    n = len(customers.id)
    monthly, parts, dose = np.zeros((n, MONTHS)), [], np.zeros(n, dtype=np.int64)
    for number, (month, share, effect, _) in enumerate(SMALL, start=1):
        member = np.flatnonzero(known[month].eligible & (rng.random(n) < share))
        arm = 4 * (rng.random(len(member)) < 0.5)
        reached = (arm > 0) & (rng.random(len(member)) < 0.95)
        gain = effect * reached * rng.gamma(4, 0.25, len(member))
        monthly[member, month : month + 2] += gain[:, None]
        if month < OFFERS_MONTH:
            dose[member] += reached
        responded = rng.random(len(member)) < 0.05 + 0.01 * effect * reached
        parts.append((np.full(len(member), number), member, arm, reached, responded, rng.random(len(member)) < 0.01))
    offers, changed, truth = _play_offers(known[OFFERS_MONTH], dose, rng)
    monthly[:, OFFERS_MONTH : OFFERS_MONTH + WINDOW] += changed
    campaign, who, arm, reached, responded, opted_out = map(np.concatenate, zip(offers, *parts, strict=True))
    home = [customers.operator.provinces.index(name) for name in customers.operator.pilot]
    pilot = np.isin(customers.province, home) & (customers.kind == 0)
    monthly[:, PILOT_MONTHS] += PILOT_EFFECT * pilot[:, None] * rng.gamma(4, 0.25, (n, 5))
    angry = (campaign == 0) & (arm == 3) & reached & (rng.random(len(who)) < 0.03)
    return Past(campaign, who, arm, reached, responded, opted_out, np.flatnonzero(angry), monthly, truth), known


def offer_effects(known: Known, dose: np.ndarray) -> np.ndarray:
    """Expected yuan by arm, customer and month of the window for whom the contact reaches, shape (3, n, 6)."""
    heavy = expit(2.5 * (np.log1p(known.data_mb / 1_000) - np.log1p(7)))
    size = np.stack([np.full_like(heavy, 1.0), 10 * heavy - 1.5, 4 + 3 * (known.tenure_months > 36)])
    course = np.array([(14, -4, -4, 0, 0, 0), (1,) * WINDOW, (1,) * WINDOW], dtype=float)
    return size[:, :, None] * course[:, None, :] * (KEPT_PER_CONTACT**dose)[None, :, None]


def _play_offers(known: Known, dose: np.ndarray, rng: np.random.Generator):
    n = len(dose)
    member = np.flatnonzero(known.eligible & (rng.random(n) < 0.7))
    arm = rng.integers(0, 4, len(member))
    effect = offer_effects(known, dose)[:, member]
    answers = expit((known.age[member] - 28) / 18)
    delivered = rng.random((3, len(member))) < np.stack(
        [np.full(len(member), 0.92), np.full(len(member), 0.95), answers]
    )
    at = np.arange(len(member))
    reached = (arm > 0) & delivered[arm - 1, at]
    changed = np.zeros((n, WINDOW))
    noise = rng.gamma(4, 0.25, len(member))
    changed[member] = np.where(reached[:, None], effect[arm - 1, at], 0) * noise[:, None]
    responds = np.array([0.03, 0.20, 0.10, 0.15])[arm * reached]
    opts_out = np.array([0.01, 0.02, 0.01, 0.05])[arm * reached]
    played = (
        np.zeros(len(member), dtype=np.int64),
        member,
        arm,
        reached,
        rng.random(len(member)) < responds,
        rng.random(len(member)) < opts_out,
    )
    truth = {
        "member": np.tile(member, 3),
        "arm": np.repeat(np.arange(1, 4), len(member)),
        "reached": delivered.ravel(),
        "dose": np.tile(dose[member], 3),
    }
    return played, changed, truth | {f"month_{k + 1}": effect[:, :, k].ravel() for k in range(WINDOW)}


def campaign_rows(operator: Operator) -> list[tuple]:
    """Rows of the campaign file: id, name, channel, assignment, first and last day, three unit costs, provinces."""
    offers, small, home = operator.campaigns["past"]
    days = _days(OFFERS_MONTH, WINDOW)
    rows = [(OFFERS, offers, "outbound_call", "randomised", *days, 3.0, 10.0, 0.45, None)]
    for k, (month, _, _, call) in enumerate(SMALL):
        name, channel = f"{small}{k + 1:02}", ("sms", "outbound_call")[call]
        rows.append((SMALL_IDS[k], name, channel, "randomised", *_days(month, 2), *_COSTS[call], 0.45, None))
    days = _days(PILOT_MONTHS.start, PILOT_MONTHS.stop - PILOT_MONTHS.start)
    pilot = (PILOT, home, "outbound_call", "selected", *days, 0.0, 0.0, 0.45, ";".join(operator.pilot))
    return [*rows, pilot]


def _days(month: int, span: int) -> tuple[int, int]:
    return int(MONTH_START[month]), int(MONTH_START[month + span]) - 1


def write_past_members(
    extracts: Extracts, customers: Customers, known: dict[int, Known], past: Past, bills: Bills
) -> dict[str, object]:
    """Write the members of a batch; gives the offers' truth: one row a member and arm."""
    who, month = past.who, _MONTHS[past.campaign]
    place = np.searchsorted(sorted(known), month), who
    before = {
        name if name == "age" else f"{name}_before": np.stack([getattr(known[m], name) for m in sorted(known)])[place]
        for name in ("age", "tenure_months", "arpu", "data_mb")
    }
    earned = np.cumsum(np.column_stack([np.zeros(len(customers.id)), bills.amount]), axis=1)
    revenue = earned[who, month + _SPANS[past.campaign]] - earned[who, month]
    extracts.write(
        "campaign_member",
        {
            "campaign_id": words(past.campaign, IDS),
            "customer_id": customers.id[who],
            "arm": words(past.arm, (*ARMS, "treatment")),
            "assigned_on": dates(past.start),
            "contacted": past.reached,
            "outcomes": {
                "responded": past.responded.astype(np.int8),
                "opted_out": past.opted_out.astype(np.int8),
                "revenue": money(revenue),
            },
            "covariates": before,
        },
        breaks=_BREAKS,
    )
    member = past.truth["member"]
    billed = bills.billed[member][:, OFFERS_MONTH : OFFERS_MONTH + WINDOW]
    return {
        "customer_id": pa.array(customers.id[member]).cast(pa.string()),
        "arm": words(past.truth["arm"], ARMS).dictionary_decode(),
        "reached": past.truth["reached"],
        "dose": past.truth["dose"],
    } | {f"month_{k + 1}": past.truth[f"month_{k + 1}"] * billed[:, k] for k in range(WINDOW)}
