"""Whom does the survey reach? Invitations, who answers them, and which of the operator's customers the people are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from workbench.sample.operator import Operator
from workbench.sample.people import Customers, Lines
from workbench.sample.population import SERVICES, Population
from workbench.sample.timeline import MONTH, MONTH_START

FRAME = 40_000
"""Customers that the survey can draw from; more would only cost memory."""
_CHANNEL_SHARE = (0.5, 0.4, 0.1)
_CHANNEL_RATE = np.array([0.38, 0.52, 0.72])
_SERVICE_RATE = np.array([1.0, 1.08, 0.9])
OUTCOMES = ("answered", "refused", "not_reached", "ineligible")
_SILENT_SHARE = (0.48, 0.42, 0.10)
_TENURE_DAYS, _ORGANISATION = 30, 4


@dataclass(frozen=True)
class Frame:
    """Customers whom the survey may ask; arrays (n,) but `takes` (n, 3), whether they take a service."""

    id: np.ndarray
    province: np.ndarray
    joined: np.ndarray
    ended: np.ndarray
    hazard: np.ndarray
    takes: np.ndarray

    @classmethod
    def of(cls, customers: Customers, lines: Lines) -> Frame:
        """End customers of a batch; no staff, reseller or distributor."""
        at = ~customers.staff & (customers.kind < _ORGANISATION)
        takes = np.zeros((len(at), 4), dtype=bool)
        takes[lines.customer, lines.service] = True
        takes = takes[:, : len(SERVICES)]
        columns = (customers.id, customers.province, customers.joined, customers.ended, customers.hazard, takes)
        return cls(*(column[at] for column in columns))

    @classmethod
    def joined_up(cls, parts: list[Frame]) -> Frame:
        """All batches as one."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True)
class Invitations:
    """People invited in a wave, those who answer first; arrays (m,).

    `customer` is a position in the frame, -1 where none is known; `standing` the normal score of the customer's
    hazard among those of the service, drawn where none is known; days are counted from the first of the sample.
    """

    cell: np.ndarray
    channel: np.ndarray
    outcome: np.ndarray
    customer: np.ndarray
    standing: np.ndarray
    day: np.ndarray
    invited: np.ndarray


def response_rates(source: Operator) -> dict[str, dict[str, float]]:
    """Factors whose product is the chance that an invitation is answered, as truth/survey.json carries them."""
    factors: dict[str, tuple[Sequence[str], np.ndarray]] = {
        "channel": (source.words["survey_channels"], _CHANNEL_RATE),
        "service": (SERVICES, _SERVICE_RATE),
    }
    factors["province"] = (source.provinces, _province_rate(source))
    return {name: dict(zip(labels, map(float, rate.round(6)), strict=True)) for name, (labels, rate) in factors.items()}


def _province_rate(source: Operator) -> np.ndarray:
    return 1 + 0.12 * np.cos(1.3 * np.arange(len(source.provinces)))


def invite(people: Population, counts: np.ndarray, wave: str, frame: Frame, rng: np.random.Generator) -> Invitations:
    """Invite in each cell until `counts` (c,) have answered; customers are drawn at random and asked once a wave.

    A customer can be asked on a day of the fieldwork (January and February) on which they are one. Whether they answer
    depends on channel, service and province, not on what they would say.
    """
    cell = np.repeat(np.arange(len(counts)), counts)
    channel = rng.choice(3, len(cell), p=_CHANNEL_SHARE)
    rate = _CHANNEL_RATE[channel] * _SERVICE_RATE[people.service[cell]]
    rate *= _province_rate(people.source)[people.province[cell]]
    silent = rng.geometric(rate.round(6)) - 1
    outcome = np.zeros(len(cell) + silent.sum(), dtype=np.int64)
    outcome[len(cell) :] = 1 + rng.choice(3, silent.sum(), p=_SILENT_SHARE)
    cell, channel = (np.concatenate([a, np.repeat(a, silent)]) for a in (cell, channel))
    start = int(np.flatnonzero(np.datetime64(f"{wave}-01") == MONTH)[0])
    first, after = MONTH_START[start], MONTH_START[start + 2]
    customer, standing = np.full(len(cell), -1), rng.standard_normal(len(cell))
    day, their_day = (rng.integers(first, after, size) for size in (len(cell), len(frame.id)))
    free = (frame.joined + _TENURE_DAYS <= their_day) & (their_day < frame.ended)
    for service in np.argsort(frame.takes.sum(axis=0), kind="stable"):
        asked = np.flatnonzero((people.operator[cell] == 0) & (people.service[cell] == service))
        pool = rng.permutation(np.flatnonzero(free & frame.takes[:, service]))
        score = np.empty(len(frame.id))
        score[pool[np.argsort(frame.hazard[pool], kind="stable")]] = ndtri((np.arange(len(pool)) + 0.5) / len(pool))
        slot, drawn = _paired(people.province[cell[asked]], frame.province[pool])
        customer[asked[slot]] = pool[drawn]
        standing[asked[slot]] = score[pool[drawn]]
        free[pool[drawn]] = False
    day = np.where(customer >= 0, their_day[customer], day)
    return Invitations(cell, channel, outcome, customer, standing, day, day - rng.integers(0, 10, len(day)))


def _paired(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions that pair the first of each label on the left with the first of it on the right, and so on.

    >>> _paired(np.array([7, 8, 7, 7]), np.array([7, 9, 7]))
    (array([0, 2]), array([0, 2]))
    """
    one, two = (labels.astype(np.int64) * (len(left) + len(right)) + _rank(labels) for labels in (left, right))
    _, slot, drawn = np.intersect1d(one, two, assume_unique=True, return_indices=True)
    return slot, drawn


def _rank(labels: np.ndarray) -> np.ndarray:
    """How many equal labels stand before each."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return rank
