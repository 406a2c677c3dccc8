"""What do people say? A satisfaction survey of three operators, by stratum, with design weights and a few gaps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from workbench.sample.extracts import DUPLICATE, Extracts, words
from workbench.sample.operator import Operator
from workbench.sample.panel import OUTCOMES, Frame, Invitations, invite, response_rates
from workbench.sample.population import (
    CONSTRUCTS,
    ITEMS,
    LOADING,
    SERVICES,
    WAVES,
    Population,
    construct_correlations,
    population,
    truth,
)
from workbench.sample.timeline import dates

RESPONDENTS = 8_400
NO_ANSWER = 99
"""Read as missing by the mapping, as an empty cell is: two texts for one value, so that it is typed here."""
HAZARD_CORRELATION = -0.7
"""Between a customer's satisfaction (latent construct) and the normal score of their hazard of leaving."""
BEHAVIOUR_DAYS = 120
_GAPS = 0.006
_BREAKS = (
    ("unparsable number", "items.SA1", "很好"),
    ("missing mandatory", "weight", ""),
    ("unknown code", "service", "电报"),
    (DUPLICATE, "", ""),
)
_INVITATION_BREAKS = (
    ("unknown code", "outcome", "睡着了"),
    ("missing mandatory", "invited_on", ""),
    (DUPLICATE, "", ""),
)
# Questions beside the model: items whose latent scores they follow, how closely, level above the items', ends.
_BESIDE = {"NPS": (("SA1", "LO1", "LO2"), 0.85, 0.0, (0, 10)), "CES": (("QU1", "QU3", "QU4"), 0.75, -2.6, (1, 7))}


def allocation(people: Population, respondents: int) -> np.ndarray:
    """Interviews by cell, shape (c,): small strata get more than their share, and 12 at least."""
    wish = people.share**0.6
    return np.maximum(12, np.rint(respondents * wish / wish.sum())).astype(np.int64)


def latent_scores(people: Population, standing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Latent scores of people drawn at random from their cells, shape (respondents, items).

    `standing` (respondents,) are standard normal scores of their hazards; the correlations of the items among
    themselves are the population's whatever they share with it.
    """
    names = list(CONSTRUCTS)
    with_satisfaction = construct_correlations()[names.index("Satisfaction")]
    block = np.repeat(np.arange(len(names)), [len(items) for items in CONSTRUCTS.values()])
    shared = HAZARD_CORRELATION * with_satisfaction[block] * LOADING
    rest = np.linalg.cholesky(people.latent - np.outer(shared, shared))
    return standing[:, None] * shared + rng.standard_normal((len(standing), len(ITEMS))) @ rest.T


def answers(people: Population, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Answers 1-10 of respondents drawn at random from their cells, shape (respondents, items)."""
    return _answered(people, cell, latent_scores(people, rng.standard_normal(len(cell)), rng))


def _answered(people: Population, cell: np.ndarray, latent: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(people.centre[cell] + people.spread * latent), 1, 10).astype(np.int64)


def write_survey(extracts: Extracts, operator: Operator, frame: Frame, rng: np.random.Generator) -> tuple[dict, dict]:
    """Write both waves; gives the population values that the survey estimates, and the truth behind its people.

    Gaps fall completely at random, so that no way of treating them is biased by who gave no answer.
    """
    waves, behind = {}, {}
    for wave in WAVES:
        people = population(operator, wave)
        behind[wave] = _write_wave(extracts, wave, people, frame, rng)
        waves[wave] = truth(people) | {"beside": _beside_truth(people)}
    link = {"hazard_correlation": HAZARD_CORRELATION, "days": BEHAVIOUR_DAYS, "waves": behind}
    return {"model": "tcsi", "scheme": "path", "waves": waves}, {"response_rates": response_rates(operator)} | link


def _write_wave(extracts: Extracts, wave: str, people: Population, frame: Frame, rng: np.random.Generator) -> dict:
    counts = allocation(people, RESPONDENTS)
    asked = invite(people, counts, wave, frame, rng)
    n = int(counts.sum())
    cell = asked.cell[:n]
    latent = latent_scores(people, asked.standing[:n], rng)
    said = _answered(people, cell, latent)
    beside = [_beside(people, cell, latent, name, rng) for name in _BESIDE]
    request = _requests(people.source.words["requests"], said, rng)
    every = np.column_stack([said, *beside])
    gap = rng.random(every.shape) < _GAPS
    every = np.where(gap & (rng.random(every.shape) < 0.5), NO_ANSWER, every)
    blank = gap & (every != NO_ANSWER)
    columns = {"response_id": int(wave) * 1_000_000 + np.arange(n), "wave": wave}
    columns |= _where(people, asked, slice(n), frame)
    columns |= {
        "answered_on": dates(asked.day[:n]),
        "request": words(request, people.source.words["requests"].values()),
        "weight": np.round(people.share * people.source.lines_in_all / counts, 3)[cell],
        "items": {item: pa.array(every[:, k], mask=blank[:, k]) for k, item in enumerate((*ITEMS, *_BESIDE))},
    }
    extracts.write("survey_response", columns, breaks=_BREAKS, part=wave)
    _write_invitations(extracts, wave, people, asked, frame)
    return _behaviour_truth(said, asked.customer[:n], frame)


def _where(people: Population, asked: Invitations, rows: slice | np.ndarray, frame: Frame) -> dict[str, pa.Array]:
    cell, customer = asked.cell[rows], asked.customer[rows]
    return {
        "operator": words(people.operator[cell], people.source.names),
        "province": words(people.province[cell], people.source.provinces),
        "service": words(people.service[cell], SERVICES),
        "channel": words(asked.channel[rows], people.source.words["survey_channels"]),
        "customer_id": pa.array(frame.id[customer], mask=customer < 0),
    }


def _write_invitations(extracts: Extracts, wave: str, people: Population, asked: Invitations, frame: Frame) -> None:
    order = np.argsort(asked.invited, kind="stable")
    number = int(wave) * 1_000_000 + np.arange(len(order))
    columns = {"invitation_id": number, "wave": wave} | _where(people, asked, order, frame)
    columns |= {
        "invited_on": dates(asked.invited[order]),
        "outcome": words(asked.outcome[order], OUTCOMES),
        "response_id": pa.array(int(wave) * 1_000_000 + order, mask=asked.outcome[order] > 0),
    }
    extracts.write("survey_invitation", columns, breaks=_INVITATION_BREAKS, part=wave)


def _follows(people: Population, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Items that a question beside the model follows, its latent level by cell (c,), and the items' spread."""
    items, _, above, _ = _BESIDE[name]
    at = np.array([ITEMS.index(item) for item in items])
    return at, people.centre[:, at].mean(axis=1) + above, float(np.sqrt(people.latent[np.ix_(at, at)].mean()))


def _beside(people: Population, cell: np.ndarray, latent: np.ndarray, name: str, rng: np.random.Generator):
    at, level, spread = _follows(people, name)
    _, close, _, ends = _BESIDE[name]
    score = close * latent[:, at].mean(axis=1) / spread + np.sqrt(1 - close**2) * rng.standard_normal(len(cell))
    return np.clip(np.rint(level[cell] + people.spread * score), *ends).astype(np.int64)


def _beside_truth(people: Population) -> list[dict[str, object]]:
    """Population net promoter score (points) and share of effort answers 6 and 7, by operator and service."""
    promoter, neutral = (ndtr((_follows(people, "NPS")[1] - least + 0.5) / people.spread) for least in (9, 7))
    easy = ndtr((_follows(people, "CES")[1] - 6 + 0.5) / people.spread)
    nps = 100 * (promoter - (1 - neutral))
    found: list[dict[str, object]] = []
    for o, s in np.ndindex(len(people.source.names), len(SERVICES)):
        share = people.share * ((people.operator == o) & (people.service == s))
        entry = {"operator": people.source.names[o], "service": SERVICES[s]}
        values = {"nps": share @ nps / share.sum(), "easy": share @ easy / share.sum()}
        found.append(entry | {name: round(float(value), 6) for name, value in values.items()})
    return found


def _requests(items: Iterable[str], said: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What each asks to improve, -1 for nothing: the less satisfied ask more often, for what they rate lowest."""
    at = [ITEMS.index(item) for item in items]
    weakest = np.argmin(said[:, at] + 0.5 * rng.random((len(said), len(at))), axis=1)
    asks = rng.random(len(said)) < np.clip(0.75 - 0.06 * said[:, ITEMS.index("SA1")], 0.1, 1)
    return np.where(asks, weakest, -1)


def _behaviour_truth(said: np.ndarray, customer: np.ndarray, frame: Frame) -> dict[str, object]:
    """How the true chance of leaving within BEHAVIOUR_DAYS moves with the score of those whose customer is known."""
    known = customer >= 0
    at = [ITEMS.index(item) for item in CONSTRUCTS["Satisfaction"]]
    score = 100 * (said[known][:, at].mean(axis=1) - 1) / 9
    chance = 1 - (1 - frame.hazard[customer[known]]) ** (BEHAVIOUR_DAYS / 30.44)
    slope = np.polyfit(score, chance, 1)[0] if known.sum() > 1 else np.nan
    return {
        "linked": int(known.sum()),
        "expected_churn": round(float(chance.mean()), 6),
        "risk_difference_per_10_points": round(float(10 * slope), 6),
    }
