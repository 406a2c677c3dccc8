"""How likely is a history of purchases? BG/NBD, MBG/NBD and Pareto/NBD: likelihood, score, P(alive), expectation.

A history is x repeat purchases, the last t_x after the first purchase, seen for T. Parameters come as logarithms. While
alive a customer buys at a rate that is Gamma(r, alpha) over customers. In BG/NBD a share, Beta(a, b), leaves after each
repeat; in MBG/NBD after the first purchase too; in Pareto/NBD at a rate, Gamma(s, beta), at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, digamma, expit, exprel, gammaln, hyp2f1

_BLOCK = 512
_AT, _STEP = np.linspace(-2.7, 2.7, 28, retstep=True)
_V = 1 / (1 + np.exp(-np.pi * np.sinh(_AT)))  # tanh-sinh nodes of (0, 1): dense at both ends
_LOG_WEIGHTS = np.log(_STEP * np.pi * np.cosh(_AT) * _V * (1 - _V))
_NEAR_ONE = 1e-5

Likelihood = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
Expected = Callable[[np.ndarray, np.ndarray, np.ndarray | float, np.ndarray | float], np.ndarray]
Draw = Callable[[np.ndarray, np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Process:
    """A model of purchases and departure.

    Attributes
    ----------
    names : tuple of str
        The four parameters.
    likelihood : callable(theta, x, t_x, T) -> (loglik (n,), score (4, n) in the log-parameters, log odds alive (n,))
    expected : callable(theta, x, T, t) -> (n,)
        Purchases in (T, T + t] of a customer alive at T.
    draw : callable(theta, x, T, t, rng) -> (n,)
        The same, drawn.
    """

    label: str
    names: tuple[str, str, str, str]
    likelihood: Likelihood
    expected: Expected
    draw: Draw


def _of_count(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """function(x) by way of the few counts there are."""
    most = int(x.max(initial=0))
    found: np.ndarray = function(x) if most >= len(x) else function(np.arange(most + 1.0))[..., x.astype(int)]
    return found


def _beta_geometric(first: int) -> tuple[Likelihood, Expected, Draw]:
    """BG/NBD (first = 0) and MBG/NBD (1): `first` is whether the first purchase is an occasion to leave."""

    def likelihood(
        theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r, alpha, a, b = np.exp(theta)
        n, then, now = r + x, np.log(alpha + t_x), np.log(alpha + T)

        def of_x(x: np.ndarray) -> np.ndarray:
            k, both = x + first, digamma(a + b) - digamma(a + b + x + first)
            with np.errstate(divide="ignore", invalid="ignore"):
                odds = np.where(k > 0, np.log(b + k - 1) - theta[2], np.inf)
                per_b = np.where(k > 0, 1 / (b + k - 1), 0)
            log_x = gammaln(r + x) - gammaln(r) + r * theta[1] + betaln(a, b + k) - betaln(a, b)
            return np.array([odds, log_x, digamma(r + x) - digamma(r), both, both + digamma(b + k) - digamma(b), per_b])

        odds, log_x, to_r, to_a, to_b, per_b = _of_count(of_x, x)
        odds = odds + n * (then - now)
        alive, dead = expit(odds), expit(-odds)
        score = np.array(
            [
                to_r + theta[1] - alive * now - dead * then,
                r / alpha - n * (alive / (alpha + T) + dead / (alpha + t_x)),
                to_a + dead / a,
                to_b - dead * per_b,
            ]
        )
        loglik = log_x - n * now + np.logaddexp(0, -odds)
        return loglik, score * np.exp(theta)[:, None], odds

    def expected(theta: np.ndarray, x: np.ndarray, T: np.ndarray | float, t: np.ndarray | float) -> np.ndarray:
        r, alpha, a, b = np.exp(theta)
        if abs(a - 1) < _NEAR_ONE:  # a removable pole: the mean of both sides
            sides = [np.array([*theta[:2], np.log1p(e), theta[3]]) for e in (-2 * _NEAR_ONE, 2 * _NEAR_ONE)]
            below, above = (expected(side, x, T, t) for side in sides)
            middle: np.ndarray = (below + above) / 2
            return middle
        c, z = a + b + x + first - 1, t / (alpha + T + t)
        found: np.ndarray = c / (a - 1) * (1 - (1 - z) ** (a - 1) * hyp2f1(a - 1, c - r - x, c, z))
        return found

    def draw(theta: np.ndarray, x: np.ndarray, T: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
        r, alpha, a, b = np.exp(theta)
        leaves = np.maximum(rng.beta(a, b + x + first), 1e-12)
        bought: np.ndarray = np.minimum(rng.poisson(rng.gamma(r + x) / (alpha + T) * t), rng.geometric(leaves))
        return bought

    return likelihood, expected, draw


def _departure(theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Log of the integral of (alpha + u)^-(r + x) (beta + u)^-(s + 1) over t_x to T, and means of four terms under it.

    The terms are log(alpha + u), 1 / (alpha + u), log(beta + u), 1 / (beta + u). Tanh-sinh in y = log(m + u), where m
    makes the steeper factor exponential, stretched so that an integrand exponential in y becomes constant: large x and
    long T cost no digits. A block of rows at a time stays in the processor's cache.
    """
    r, alpha, s, beta = np.exp(theta)
    steeper = (r + x) * (beta + t_x) > (s + 1) * (alpha + t_x)
    m, apart = np.where(steeper, alpha, beta), np.where(steeper, beta - alpha, alpha - beta)
    power, other = np.where(steeper, r + x, s + 1), np.where(steeper, s + 1, r + x)
    found = np.empty((5, len(x)))
    for at in range(0, len(x), _BLOCK):
        rows = slice(at, at + _BLOCK)
        low, gap, n, k = ((v[rows])[:, None] for v in (m + t_x, apart, power, other))
        high = low + (T - t_x)[rows, None]
        length = np.log(high / low)
        fall = np.clip((n - 1) * length + k * np.log((high + gap) / (low + gap)), -600, 600)
        steady = np.abs(fall) < 1e-8
        share = np.where(steady, _V, np.log1p(_V * np.expm1(-fall)) / np.where(steady, 1, -fall))
        log_m = np.log(low) + length * share
        to_m = np.exp(log_m)
        to_other = to_m + gap
        log_other = np.log(to_other)
        with np.errstate(divide="ignore"):
            logs = (_LOG_WEIGHTS + fall * share - (n - 1) * log_m - k * log_other) + np.log(length * exprel(-fall))
        top = np.maximum(logs.max(axis=1, keepdims=True), -1e300)
        parts = np.exp(logs - top)
        total = np.maximum(parts.sum(axis=1), 1e-300)
        with np.errstate(divide="ignore"):
            found[0, rows] = np.where(length[:, 0] > 0, top[:, 0] + np.log(total), -np.inf)
        for i, term in enumerate((log_m, 1 / to_m, log_other, 1 / to_other), start=1):
            found[i, rows] = np.einsum("ij,ij->i", parts, term) / total
    return np.where(steeper, found, found[[0, 3, 4, 1, 2]])


def _pareto(
    theta: np.ndarray, x: np.ndarray, t_x: np.ndarray, T: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pareto/NBD: who left did so between t_x and T."""
    r, alpha, s, beta = np.exp(theta)
    log_integral, log_alpha, per_alpha, log_beta, per_beta = _departure(theta, x, t_x, T)
    n, dead_log = r + x, theta[2] + log_integral
    now_alpha, now_beta = np.log(alpha + T), np.log(beta + T)
    alive_log = -n * now_alpha - s * now_beta
    odds = alive_log - dead_log
    alive, dead = expit(odds), expit(-odds)
    loglik = _of_count(lambda x: gammaln(r + x), x) - gammaln(r) + r * theta[1] + s * theta[3]
    score = np.array(
        [
            _of_count(lambda x: digamma(r + x), x) - digamma(r) + theta[1] - alive * now_alpha - dead * log_alpha,
            r / alpha - n * (alive / (alpha + T) + dead * per_alpha),
            theta[3] - alive * now_beta + dead * (1 / s - log_beta),
            s / beta - alive * s / (beta + T) - dead * (s + 1) * per_beta,
        ]
    )
    return loglik + np.logaddexp(alive_log, dead_log), score * np.exp(theta)[:, None], odds


def _pareto_expected(theta: np.ndarray, x: np.ndarray, T: np.ndarray | float, t: np.ndarray | float) -> np.ndarray:
    r, alpha, s, beta = np.exp(theta)
    span = np.log1p(t / (beta + T))
    found: np.ndarray = (r + x) / (alpha + T) * (beta + T) * span * exprel(-(s - 1) * span)
    return found


def _pareto_draw(theta: np.ndarray, x: np.ndarray, T: np.ndarray, t: float, rng: np.random.Generator) -> np.ndarray:
    r, alpha, s, beta = np.exp(theta)
    rate = np.maximum(rng.gamma(s, size=len(x)) / (beta + T), 1e-300)
    mean = rng.gamma(r + x) / (alpha + T) * np.minimum(t, rng.exponential(size=len(x)) / rate)
    bought: np.ndarray = rng.poisson(mean)
    return bought


PROCESSES = {
    "bg_nbd": Process("BG/NBD", ("r", "alpha", "a", "b"), *_beta_geometric(0)),
    "mbg_nbd": Process("MBG/NBD", ("r", "alpha", "a", "b"), *_beta_geometric(1)),
    "pareto_nbd": Process("Pareto/NBD", ("r", "alpha", "s", "beta"), _pareto, _pareto_expected, _pareto_draw),
}
