"""Which campaigns ran, and what did they change? Two randomised, one chosen by risk; effects known for each member.

`data_upgrade` (randomised, half and half) sells a larger package: it lifts the spending of young heavy users of data
and annoys many others. `sms_greeting` (randomised, 80/20) changes nothing. `retention_call` goes to customers at risk,
who renew less and spend less whatever is done: the plain difference of its arms has the wrong sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import expit

from workbench.sample.extracts import DUPLICATE, Extracts, money, words
from workbench.sample.money import Bills
from workbench.sample.operator import Operator
from workbench.sample.people import Customers
from workbench.sample.timeline import CAMPAIGN_MONTH, END, MONTH_START, MONTHS, dates

IDS = ("data_upgrade", "sms_greeting", "retention_call")
_SHARE = np.array([0.45, 0.40, 0.40])
_DAY = int(MONTH_START[CAMPAIGN_MONTH])

_MEMBER_BREAKS = (
    ("unparsable number", "outcomes.revenue", "#N/A"),
    ("orphan reference", "customer_id", "9999999999"),
    ("missing mandatory", "arm", ""),
    (DUPLICATE, "", ""),
)


@dataclass(frozen=True)
class Known:
    """What was known of n customers on the day of assignment, each shape (n,).

    `arpu` and `data_mb` are means a month of the three months before, `decline` the fall of active days
    against the three months before those (log ratio).
    """

    age: np.ndarray
    tenure_months: np.ndarray
    arpu: np.ndarray
    data_mb: np.ndarray
    decline: np.ndarray
    eligible: np.ndarray

    def risk(self) -> np.ndarray:
        """The retention team's score, about standard normal."""
        score = 1.1 * self.decline + 0.9 * np.exp(-self.tenure_months / 24) - 0.75 * np.log(self.arpu / 45)
        return np.clip(score - 0.1, -2.5, 2.5)


@dataclass(frozen=True)
class Played:
    """The campaigns of a batch, each array (3, n): members, arms, delivery, expected effects (0 for others).

    `effect_monthly` is in yuan a month of the window; `responded` is what was observed; `monthly` (n,) is what
    contact changed in each customer's bill in each month of the window.
    """

    member: np.ndarray
    treated: np.ndarray
    contacted: np.ndarray
    effect_responded: np.ndarray
    effect_monthly: np.ndarray
    responded: np.ndarray
    monthly: np.ndarray


def known_before(
    customers: Customers, bills: Bills, active_days: np.ndarray, data_mb: np.ndarray, month: int = CAMPAIGN_MONTH
) -> Known:
    """Look at a batch on the first day of a month, 4 or later; `active_days` and `data_mb` are (n, 24)."""
    before, earlier, day = slice(month - 3, month), slice(max(month - 6, 0), month - 3), int(MONTH_START[month])
    days, days_earlier = active_days[:, before].mean(axis=1), active_days[:, earlier].mean(axis=1)
    tenure = (day - customers.joined) / 30.44
    alive = (customers.joined <= day - 181) & (customers.ended >= day)
    return Known(
        age=2026 - customers.birth_year,
        tenure_months=tenure.round(1),
        arpu=np.maximum(money(bills.amount[:, before].mean(axis=1)), 1.0),
        data_mb=data_mb[:, before].mean(axis=1).round(1),
        decline=np.clip(np.log((days_earlier + 1) / (days + 1)), -1.5, 1.5).round(3),
        eligible=alive & (customers.kind == 0),
    )


def effects(known: Known) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Expected effects of contact on the response and on monthly revenue, and the response without: each (3, n)."""
    heavy = expit(2.5 * (np.log1p(known.data_mb / 1_000) - np.log1p(7)))
    young = expit((38 - known.age) / 5)
    middle = np.exp(-0.5 * (np.log(known.arpu / 65) / 0.7) ** 2)
    appetite = heavy * (0.25 + 0.75 * young) * (0.3 + 0.7 * middle)
    none = np.zeros_like(heavy)
    renews = expit(0.3 - 1.1 * known.risk())
    upgrade = np.where(appetite < 0.125, np.minimum(1, known.arpu / 30), 1) * (40 * appetite - 5)
    responded = np.stack([0.30 * appetite - 0.015, none, 0.25 * (1 - renews)])
    monthly = np.stack([upgrade, none, 4 + 2 * young])
    return responded, monthly, np.stack([0.03 + 0.03 * young, none + 0.05, renews])


def play(known: Known, rng: np.random.Generator) -> Played:
    """Draw members, arms, responses and what happened to revenue."""
    shape = (len(IDS), len(known.age))
    member = (rng.random(shape) < _SHARE[:, None]) & known.eligible
    chance = np.stack([np.full(shape[1], 0.5), np.full(shape[1], 0.8), expit(1.2 * known.risk())])
    treated = member & (rng.random(shape) < chance)
    delivered = rng.random(shape) < np.array([1.0, 0.9, 1.0])[:, None]
    responded, monthly, without = effects(known)
    response = rng.random(shape) < without + responded * treated
    realised = monthly * treated * rng.gamma(4, 0.25, shape)
    return Played(
        member, treated, treated & delivered, responded * member, monthly * member, response, realised.sum(axis=0)
    )


def write_campaigns(extracts: Extracts, operator: Operator, past: list[tuple]) -> None:
    """Write the campaigns, with the rows of those that ran before."""
    channels, assignments = ("outbound_call", "sms", "outbound_call"), ("randomised", "randomised", "selected")
    days, said = (_DAY, END - 1), operator.campaigns
    rows = zip(IDS, said["names"], channels, assignments, said["contact_costs"], said["incentive_costs"], strict=True)
    current = [(*row[:4], *days, *row[4:], 0.45, None) for row in rows]
    names = "campaign_id name channel assignment starts_on ends_on contact_cost incentive_cost margin provinces".split()
    columns = dict(zip(names, zip(*current, *past, strict=True), strict=True))
    extracts.write("campaign", columns | {name: dates(columns[name]) for name in ("starts_on", "ends_on")})


def write_members(
    extracts: Extracts, customers: Customers, known: Known, played: Played, bills: Bills
) -> dict[str, np.ndarray]:
    """Write the members of a batch with outcomes; gives their true effects."""
    campaign, who = np.nonzero(played.member)
    window = slice(CAMPAIGN_MONTH, MONTHS)
    revenue = bills.amount[:, window].sum(axis=1)
    treated = played.treated[campaign, who]
    risk = np.where(campaign == 2, known.risk()[who], np.nan).round(3)
    before = {f"{name}_before": getattr(known, name)[who] for name in ("tenure_months", "arpu", "data_mb", "decline")}
    extracts.write(
        "campaign_member",
        {
            "campaign_id": words(campaign, IDS),
            "customer_id": customers.id[who],
            "arm": words(treated.astype(np.int64), ("control", "treatment")),
            "assigned_on": dates(np.full(len(who), _DAY)),
            "contacted": played.contacted[campaign, who],
            "outcomes": {"responded": played.responded[campaign, who].astype(np.int8), "revenue": money(revenue[who])},
            "covariates": before | {"age": known.age[who], "risk_score": pa.array(risk, mask=np.isnan(risk))},
        },
        breaks=_MEMBER_BREAKS,
        eol="\r\n",
    )
    months = bills.billed[:, window].sum(axis=1)
    return {
        "campaign_id": np.array(IDS)[campaign],
        "customer_id": customers.id[who],
        "effect_responded": played.effect_responded[campaign, who],
        "effect_revenue": played.effect_monthly[campaign, who] * months[who],
    }
