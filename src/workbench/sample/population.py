"""What is true of everyone? Population values of the satisfaction model, computed, not simulated.

Answers are latent normal scores on the TCSI path model, rounded and held to 1-10 within each cell of operator,
service and province. Means are sums of normal probabilities; the covariance of two rounded answers is a Hermite
series in their latent correlation (Mehler's formula). Cells are pooled by their numbers of lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import gammaln, ndtr

from workbench.sample.operator import Operator

CONSTRUCTS = {
    "Image": ("IM1", "IM2", "IM3"),
    "Expectation": ("EX1", "EX2", "EX3"),
    "Quality": ("QU1", "QU2", "QU3", "QU4", "QU5"),
    "Value": ("VA1", "VA2"),
    "Equity": ("EQ1", "EQ2"),
    "Satisfaction": ("SA1", "SA2", "SA3"),
    "Complaints": ("CO1",),
    "Loyalty": ("LO1", "LO2", "LO3"),
}
PATHS = {
    "Expectation": {"Image": 0.64},
    "Quality": {"Expectation": 0.72},
    "Value": {"Expectation": 0.16, "Quality": 0.60},
    "Equity": {"Value": 0.40, "Quality": 0.36},
    "Satisfaction": {"Image": 0.16, "Expectation": 0.08, "Quality": 0.44, "Value": 0.15, "Equity": 0.16},
    "Complaints": {"Satisfaction": 0.62},
    "Loyalty": {"Image": 0.16, "Satisfaction": 0.55, "Complaints": 0.10},
}
"""Paths between the latent constructs; the PLS paths of the answers are smaller (measurement error)."""
SERVICES = ("mobile", "broadband", "fixed")
WAVES = ("2025", "2026")
ITEMS = tuple(item for items in CONSTRUCTS.values() for item in items)
_BLOCK = np.array([k for k, items in enumerate(CONSTRUCTS.values()) for _ in items])
LOADING = np.array([86, 84, 80, 80, 78, 76, 86, 84, 82, 84, 80, 90, 88, 88, 86, 90, 88, 86, 96, 88, 80, 86]) / 100
_SPREAD = 2.0
_YEARLY = 0.2
_ABOVE = dict(Image=2.5, Expectation=1.5, Quality=1.0, Value=-6, Equity=-4, Satisfaction=0, Complaints=-5, Loyalty=-2)
_TERMS = 40


@dataclass(frozen=True)
class Population:
    """A wave's population: c cells (operator, service, province positions), p items; `source` has their names.

    `share` (c,) sums to 1; `centre` (c, p) are means of the latent scores, whose standard deviation is
    `spread`; `latent` (p, p) their correlations within a cell.
    """

    source: Operator
    operator: np.ndarray
    service: np.ndarray
    province: np.ndarray
    share: np.ndarray
    centre: np.ndarray
    latent: np.ndarray
    spread: float = _SPREAD


@cache
def population(source: Operator, wave: str) -> Population:
    """The population that a wave samples: all three operators' lines, at the levels of `source`."""
    provinces = len(source.provinces)
    operator, service, province = (a.ravel() for a in np.indices((3, len(SERVICES), provinces)))
    share = source.shares[operator, service] * source.province_share[province]
    tilt = 0.18 * np.sin(1.7 * np.arange(provinces))[province] + 0.10 * np.cos(2.3 * province + 1.1 * operator)
    names = list(CONSTRUCTS)
    level = source.satisfaction + _YEARLY * WAVES.index(wave)
    target = np.empty((*level.shape, len(ITEMS)))
    for item, block in enumerate(_BLOCK):
        size, rank = np.sum(block == _BLOCK), item - np.argmax(block == _BLOCK)
        step = 0 if names[block] == "Satisfaction" else 0.12 * (rank - (size - 1) / 2)
        target[..., item] = 1 + 0.09 * (level + _ABOVE[names[block]]) + step
    shape = (*level.shape, provinces)
    centre = _centres(target, tilt.reshape(shape), source.province_share).reshape(len(share), len(ITEMS))
    return Population(source, operator, service, province, share / share.sum(), centre, latent_correlations())


def latent_correlations() -> np.ndarray:
    """Correlations of the items' latent scores, shape (p, p)."""
    among = construct_correlations()[np.ix_(_BLOCK, _BLOCK)] * np.outer(LOADING, LOADING)
    np.fill_diagonal(among, 1)
    return among


def construct_correlations() -> np.ndarray:
    """Correlations of the constructs that the paths imply, in causal order, shape (8, 8)."""
    names = list(CONSTRUCTS)
    among = np.eye(len(names))
    for target, sources in PATHS.items():
        j, coefficients = names.index(target), np.zeros(len(names))
        coefficients[[names.index(s) for s in sources]] = list(sources.values())
        among[j, :j] = among[:j, j] = among[:j, :j] @ coefficients[:j]
    return among


def _steps(centre: np.ndarray, spread: float) -> np.ndarray:
    """Standardised scores at which the answer rises from 1 to 2 … 9 to 10: (…, 9)."""
    return (np.arange(1, 10) + 0.5 - centre[..., None]) / spread


def _centres(target: np.ndarray, tilt: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Latent means (…, provinces, p) whose answers average to `target` (…, p) over provinces, by bisection."""
    low, high = np.full(target.shape, -10.0), np.full(target.shape, 25.0)
    for _ in range(50):
        middle = (low + high) / 2
        centre = middle[..., None, :] + tilt[..., None]
        mean = np.einsum("c,...cp->...p", share, 1 + ndtr(-_steps(centre, _SPREAD)).sum(axis=-1))
        low, high = np.where(mean < target, middle, low), np.where(mean < target, high, middle)
    return ((low + high) / 2)[..., None, :] + tilt[..., None]


def moments(people: Population) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Exact moments of the answers: means by cell (c, p), means (p,) and covariances (p, p) of all."""
    steps = _steps(people.centre, people.spread)
    means = 1 + ndtr(-steps).sum(axis=2)
    density = np.exp(-0.5 * steps**2) / np.sqrt(2 * np.pi)
    before, polynomial = np.zeros_like(steps), np.ones_like(steps)
    within = np.zeros((len(people.share), len(ITEMS), len(ITEMS)))
    for k in range(1, _TERMS + 1):
        coefficient = (density * polynomial).sum(axis=2) / np.exp(0.5 * gammaln(k + 1))
        within += coefficient[:, :, None] * coefficient[:, None, :] * people.latent**k
        before, polynomial = polynomial, steps * polynomial - (k - 1) * before
    squares = 1 + ((2 * np.arange(1, 10) + 1) * ndtr(-steps)).sum(axis=2)
    diagonal = np.arange(len(ITEMS))
    within[:, diagonal, diagonal] = squares - means**2
    overall = people.share @ means
    away = means - overall
    spread = np.einsum("c,cij->ij", people.share, within) + (people.share[:, None] * away).T @ away
    return means, overall, spread


def pls(correlation: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Outer weights (p,) and paths of the model by PLS: mode A, path scheme, at its fixed point."""
    names = list(CONSTRUCTS)
    model = np.zeros((len(names), len(names)), dtype=bool)
    for target, sources in PATHS.items():
        model[names.index(target), [names.index(s) for s in sources]] = True
    membership = (_BLOCK[:, None] == np.arange(len(names))).astype(float)
    outer = membership.copy()
    for _ in range(1_000):
        outer /= np.sqrt(np.einsum("ij,ik,kj->j", outer, correlation, outer))
        scores = outer.T @ correlation @ outer
        inner = np.where(model.T, scores, 0.0)
        for j in np.flatnonzero(model.any(axis=1)):
            sources = model[j]
            inner[j, sources] = np.linalg.solve(scores[np.ix_(sources, sources)], scores[sources, j])
        new = membership * (correlation @ outer @ inner.T)
        new /= np.sqrt(np.einsum("ij,ik,kj->j", new, correlation, new))
        done, outer = np.abs(new - outer).max() < 1e-13, new
        if done:
            break
    scores = outer.T @ correlation @ outer
    paths: dict[str, float] = {}
    for target, sources in PATHS.items():
        end, at = names.index(target), [names.index(s) for s in sources]
        values = np.linalg.solve(scores[np.ix_(at, at)], scores[at, end])
        paths |= {f"{s}->{target}": float(v) for s, v in zip(sources, values, strict=True)}
    return outer.sum(axis=1), paths


def truth(people: Population) -> dict[str, object]:
    """Paths and indices of a wave, as truth/satisfaction.json carries them."""
    means, _, covariance = moments(people)
    deviation = np.sqrt(np.diag(covariance))
    weights, paths = pls(covariance / np.outer(deviation, deviation))
    unstandardised = weights / deviation
    index = []
    for o, s in np.ndindex(len(people.source.names), len(SERVICES)):
        cell = (people.operator == o) & (people.service == s)
        mean = np.average(means[cell], axis=0, weights=people.share[cell])
        for k, construct in enumerate(CONSTRUCTS):
            at = k == _BLOCK
            value = 100 * (unstandardised[at] @ (mean[at] - 1)) / (9 * unstandardised[at].sum())
            entry = {"operator": people.source.names[o], "service": SERVICES[s], "construct": construct}
            index.append(entry | {"value": round(float(value), 6)})
    return {"paths": {name: round(value, 8) for name, value in paths.items()}, "index": index}
