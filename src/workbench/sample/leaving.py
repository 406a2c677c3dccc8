"""Why do customers say that they leave, to whom do they port, and from whom did they come?

Given who leaves, when and by which way. One competitor's campaign draws most who port from its first day on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.sample.people import REASONS, SEGMENTS, Customers
from workbench.sample.timeline import END, MONTH, MONTH_START, START

STATED = ("price", "network", "service", "competitor_offer", "moving", "not_needed")
ASKED = 0.8
"""Share of those who port or cancel whose reason is on record; nobody is asked who is cut off."""
CAMPAIGN_MONTH = 15
# Share of the second competitor among those who port, by segment: before its campaign, and from it on.
_SECOND = np.array([(0.20, 0.35, 0.28, 0.15, 0.35, 0.40), (0.25, 0.60, 0.35, 0.18, 0.55, 0.62)])
# Weights of the reasons: of those who port, of those whom the campaign draws, of those who cancel; tilted by segment.
_WAYS = ("port_out", "port_out_to_campaign", "disconnect")
_WEIGHT = np.array(
    [(0.30, 0.20, 0.12, 0.30, 0.05, 0.03), (0.20, 0.10, 0.06, 0.58, 0.04, 0.02), (0.22, 0.08, 0.10, 0.05, 0.20, 0.35)]
)
_TILT = np.ones((len(SEGMENTS), len(STATED)))
_TILT[(0, 0, 1, 1, 3, 4, 5), (2, 4, 1, 3, 0, 0, 1)] = (1.8, 1.5, 1.6, 1.3, 1.6, 1.5, 2.0)
_REASON = _WEIGHT[:, None, :] * _TILT
_REASON /= _REASON.sum(axis=2, keepdims=True)
# Share that brought their number, by segment, since numbers can be brought; of them from the first competitor.
_PORTED_IN = np.array([0.10, 0.18, 0.14, 0.06, 0.08, 0.16])
_FROM_FIRST = 0.65
_PORTABLE = int((np.datetime64("2019-12-01") - START).astype(np.int64))
_TENURES = 731
"""Days of tenure over which incidence is declared."""


@dataclass(frozen=True)
class Ways:
    """Of n customers, each shape (n,): stated reason (position in STATED), operators they port to and from (1, 2).

    -1 where there is none.
    """

    stated: np.ndarray
    destination: np.ndarray
    origin: np.ndarray


def draw_ways(customers: Customers, rng: np.random.Generator) -> Ways:
    """Draw reasons and operators of a batch, given segment, way and month of leaving."""
    n = len(customers.id)
    chance = rng.random((5, n))
    late = (customers.ended >= MONTH_START[CAMPAIGN_MONTH]).astype(np.int64)
    second = chance[0] < _SECOND[late, customers.segment]
    ported = customers.reason == 0
    way = np.where(ported, (second & (late > 0)).astype(np.int64), 2)
    stated = (chance[1][:, None] > np.cumsum(_REASON[way, customers.segment], axis=1)).sum(axis=1).clip(max=5)
    asked = np.isin(customers.reason, (0, 1)) & (chance[2] < ASKED)
    brought = (customers.joined >= _PORTABLE) & ~customers.fraud & (chance[3] < _PORTED_IN[customers.segment])
    return Ways(
        stated=np.where(asked, stated, -1),
        destination=np.where(ported, 1 + second, -1),
        origin=np.where(brought, 1 + (chance[4] > _FROM_FIRST), -1),
    )


def at_risk(customers: Customers) -> np.ndarray:
    """Expected customers at risk and expected leaves by contract and cause, by day of tenure, shape (2, 4, 731).

    A life is seen from the sample's first day, or the day of joining; at risk on day t of tenure if seen before it
    (strict). Of the four, the first is at risk, the others leave by REASONS.
    """
    rate = -np.log1p(-customers.hazard) / 30.44
    entry, last = np.maximum(-customers.joined, 0), END - 1 - customers.joined
    first = np.maximum(entry, 20)
    share = np.where(customers.prepaid[:, None], (0.36, 0.64, 0.0), (0.36, 0.44, 0.20))
    found = np.zeros((2, 1 + len(REASONS), _TENURES))
    for t in range(1, _TENURES):
        there = np.flatnonzero((entry < t) & (t <= last))
        lived = np.exp(-rate[there] * np.maximum(t - first[there], 0))
        leaves = lived * np.where(t >= first[there], -np.expm1(-rate[there]), 0)
        for contract, at in enumerate((~customers.prepaid[there], customers.prepaid[there])):
            found[contract, 0, t] = lived[at].sum()
            found[contract, 1:, t] = leaves[at] @ share[there[at]]
    return found


def incidence(risk: np.ndarray) -> dict[str, dict[str, dict[str, float]]]:
    """Cumulative incidence of each cause at 12 and 24 months, by contract, from sums of `at_risk`."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for contract, (there, *causes) in zip(("postpaid", "prepaid"), risk, strict=True):
        hazard = np.array(causes) / np.maximum(there, 1e-9)
        stays = np.cumprod(1 - hazard.sum(axis=0))
        of = np.cumsum(hazard * np.concatenate([[1.0], stays[:-1]]), axis=1)
        found[contract] = {
            f"{days}_days": {cause: round(float(of[k, days]), 6) for k, cause in enumerate(REASONS)}
            for days in (365, 730)
        }
    return found


def declared(names: tuple[str, ...], risk: np.ndarray) -> dict[str, object]:
    """Give the truth of leaving: incidence, destinations, stated reasons and numbers brought in."""
    by_segment = [dict(zip(SEGMENTS, map(float, row), strict=True)) for row in (*_SECOND, _PORTED_IN)]
    return {
        "incidence": incidence(risk),
        "incidence_of": "tenure in days, ended_on - joined_on, of lives seen from the sample's first day or the day of "
        "joining; expected from the true hazards of those at risk, entry strict",
        "campaign": {"operator": names[2], "from": str(MONTH[CAMPAIGN_MONTH].astype("datetime64[D]"))},
        "campaign_note": "it moves where those go who port, and what they state; it makes nobody leave",
        "share_to_campaign_operator": {"before": by_segment[0], "from": by_segment[1]},
        "stated_reasons": {
            way: {
                segment: dict(zip(STATED, map(float, row.round(6)), strict=True))
                for segment, row in zip(SEGMENTS, rows, strict=True)
            }
            for way, rows in zip(_WAYS, _REASON, strict=True)
        },
        "asked": ASKED,
        "ported_in": {"since": "2019-12-01", "share": by_segment[2], f"from_{names[1]}": _FROM_FIRST},
    }
