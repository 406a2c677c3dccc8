"""How many leave at each step, by cause? A life table with late entry, by counting.

At risk at step t is who came under observation before it and was there until then: entry < t <= exit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import WorkbenchError
from workbench.methods.intervals import share
from workbench.methods.resampling import Rng, bootstrap_weights

FEWEST = 10
"""A step with fewer at risk tells no hazard."""


@dataclass(frozen=True, eq=False)
class LifeTable:
    """Counts by step, day or month: position i is step i + 1.

    Attributes
    ----------
    at_risk : array, shape (reach,)
    left : array, shape (causes, reach)
    empty : int
        Spells that ended where they began: they were at risk at no step.
    """

    at_risk: np.ndarray
    left: np.ndarray
    empty: int = 0

    @property
    def start(self) -> int:
        """First step with 10 at risk: a curve from an earlier one could fall to 0 with a single departure."""
        return int(np.argmax(self.at_risk >= FEWEST)) + 1 if (self.at_risk >= FEWEST).any() else len(self.at_risk) + 1

    @property
    def thin(self) -> int | None:
        """First later step with fewer than 10 at risk; None if there is none."""
        few = np.flatnonzero(self.at_risk[self.start - 1 :] < FEWEST)
        return self.start + int(few[0]) if len(few) else None

    def hazard(self, start: int | None = None) -> np.ndarray:
        """Share of those at risk who leave, shape (causes, reach); 0 before `start` (that of the table if None)."""
        shares: np.ndarray = self.left / np.maximum(self.at_risk, 1)
        shares[:, : (self.start if start is None else start) - 1] = 0.0
        return shares

    def surviving(self, start: int | None = None) -> np.ndarray:
        """Share still there after each step of those there before `start`, shape (reach,)."""
        return surviving(self.hazard(start))

    def incidence(self, start: int | None = None) -> np.ndarray:
        """Share gone by each step by each cause, shape (causes, reach); with `surviving` they add up to 1.

        Examples
        --------
        Of 20, four leave at step 1 by cause 0 and eight at step 2 by cause 1.

        >>> table = life_table([0] * 20, [1] * 4 + [2] * 16, [0] * 4 + [1] * 8 + [-1] * 8)
        >>> table.incidence().round(12).tolist(), table.surviving().round(12).tolist()
        ([[0.2, 0.2], [0.0, 0.4]], [0.8, 0.4])
        """
        return incidence(self.hazard(start))

    def errors(self, at: Sequence[int] | np.ndarray, start: int | None = None) -> np.ndarray:
        """Standard errors of the incidence at some steps, shape (causes, len(at)): departures by step multinomial."""
        shares = self.hazard(start)
        gone, stay = incidence(shares), before(shares)
        still = np.maximum(1 - shares.sum(axis=0), 1e-300)
        found = np.zeros((len(shares), len(at)))
        for j, t in enumerate(at):
            h, n = shares[:, :t], np.maximum(self.at_risk[:t], 1)
            for c in range(len(shares)):
                lost = -(gone[c, t - 1] - gone[c, :t]) / still[:t]
                moved = np.tile(lost, (len(shares), 1))
                moved[c] += stay[:t]
                mean = (moved * h).sum(axis=0)
                found[c, j] = np.sqrt((((moved**2 * h).sum(axis=0) - mean**2) / n).sum())
        return found

    def ends(
        self, at: Sequence[int] | np.ndarray, *, level: float = 0.95, start: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the incidence's interval at some steps, two arrays of shape (causes, len(at)).

        Wilson's, at the number of customers whose share would have this error; where departures are few, that number
        leans on the harmonic mean of those at risk by one departure more, for what was seen once is not well known.
        """
        first = self.start if start is None else start
        gone, errors = self.incidence(first)[:, np.asarray(at) - 1], self.errors(at, first)
        events = np.array([self.left[:, first - 1 : t].sum(axis=1) for t in at]).T
        spread = [(1 / np.maximum(self.at_risk[first - 1 : t], 1)).mean() if t >= first else 1.0 for t in at]
        own = np.divide(errors**2, gone * (1 - gone), out=np.zeros(gone.shape), where=(gone > 0) & (gone < 1))
        size = (events + 1) / (events * own + np.array(spread))
        return share(gone * size, size, level=level)

    def draws(self, at: Sequence[int], resamples: int, *, rng: Rng = 0, start: int | None = None) -> np.ndarray:
        """Incidence at some steps with departures drawn anew, shape (resamples, causes, len(at)).

        Departures of a step are multinomial among those at risk; steps without one give none.
        """
        generator, shares = np.random.default_rng(rng), self.hazard(start)
        busy = np.flatnonzero(shares.sum(axis=0) > 0)
        n, h = self.at_risk[busy], shares[:, busy]
        chances = np.concatenate([h, 1 - h.sum(axis=0, keepdims=True)]).clip(0).T
        drawn = generator.multinomial(n, chances, size=(resamples, len(busy)))[..., :-1]
        gone = incidence(np.moveaxis(drawn / n[:, None], 2, 1))
        place = np.searchsorted(busy, np.asarray(at), side="left")  # busy steps up to and with step t
        return np.where(place > 0, gone[..., np.maximum(place - 1, 0)], 0.0)


def life_table(
    entry: ArrayLike, exit: ArrayLike, cause: ArrayLike, *, reach: int | None = None, causes: int | None = None
) -> LifeTable:
    """Count who is at risk and who leaves, by step and cause.

    Parameters
    ----------
    entry, exit : arrays of whole numbers, shape (n,)
        Steps (whole days or months, 0 or more) after which each came under observation, and until which each was
        there.
    cause : array of int, shape (n,)
        0, 1, … for who left at `exit`; -1 for who was still there.
    reach : int, optional
        Number of steps; the last exit if not given.
    causes : int, optional
        How many there are, if some may have taken nobody.

    Raises
    ------
    WorkbenchError
        If steps are not whole or below 0, an exit lies before its entry, or a cause is below -1.

    References
    ----------
    Aalen and Johansen (1978), Scandinavian J. of Statistics 5. Andersen, Borgan, Gill and Keiding (1993), Statistical
    models based on counting processes, III.3.4 (truncation).

    Examples
    --------
    The second comes under observation after step 2: at step 2 they are not at risk yet.

    >>> life_table([0, 2, 0], [2, 3, 3], [0, 1, -1]).at_risk.tolist()
    [2, 2, 2]
    """
    entry, exit, cause = whole(entry, "entry"), whole(exit, "exit"), whole(cause, "cause", least=-1)
    if (exit < entry).any():
        raise WorkbenchError("{n} of {all} spells end before they begin: mend them.").of(
            (exit < entry).sum(), len(entry)
        )
    steps = (int(exit.max()) if len(exit) else 0) if reach is None else reach
    kinds = int(cause.max(initial=-1)) + 1 if causes is None else causes
    at_risk, left = _counted(entry, exit, cause, steps, kinds, None)
    return LifeTable(at_risk.astype(int), left.astype(int), int((exit == entry).sum()))


def customer_draws(
    entry: ArrayLike,
    exit: ArrayLike,
    cause: ArrayLike,
    at: Sequence[int],
    resamples: int,
    *,
    clusters: np.ndarray | None = None,
    rng: Rng = 0,
    start: int | None = None,
) -> np.ndarray:
    """Incidence at some steps with customers drawn anew, shape (resamples, causes, len(at)).

    Parameters
    ----------
    clusters : array, shape (n,), optional
        Who several spells belong to; they are drawn together.
    """
    entry, exit, cause = whole(entry, "entry"), whole(exit, "exit"), whole(cause, "cause", least=-1)
    first = life_table(entry, exit, cause).start if start is None else start
    found, causes = [], int(cause.max(initial=-1)) + 1
    for rows in bootstrap_weights(len(entry), resamples, clusters=clusters, rng=rng):
        for weight in rows:
            table = LifeTable(*_counted(entry, exit, cause, int(exit.max()), causes, weight))
            found.append(table.incidence(first)[:, np.asarray(at) - 1])
    return np.array(found)


def surviving(hazard: np.ndarray) -> np.ndarray:
    """Share still there after each step, from hazards of shape (…, causes, reach)."""
    return np.cumprod(1 - hazard.sum(axis=-2), axis=-1)


def before(hazard: np.ndarray) -> np.ndarray:
    """Share still there before each step."""
    there = surviving(hazard)
    return np.concatenate([np.ones_like(there[..., :1]), there[..., :-1]], axis=-1)


def incidence(hazard: np.ndarray) -> np.ndarray:
    """Share gone by each step by each cause, from hazards of shape (…, causes, reach)."""
    return np.cumsum(before(hazard)[..., None, :] * hazard, axis=-1)


def _counted(
    entry: np.ndarray, exit: np.ndarray, cause: np.ndarray, reach: int, causes: int, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Count (or sum the weights of) who is at risk and who leaves by step; who ends where they began is neither."""
    came = np.bincount(np.minimum(entry, reach), weight, reach + 1)[: reach + 1]
    went = np.bincount(np.minimum(exit, reach + 1), weight, reach + 2)[: reach + 1]
    at_risk = (np.cumsum(came) - np.cumsum(went))[:reach]
    gone = (cause >= 0) & (exit > entry) & (exit <= reach)
    place = exit[gone] * causes + cause[gone]
    counts = np.bincount(place, None if weight is None else weight[gone], (reach + 1) * causes)
    return at_risk, counts.reshape(reach + 1, causes)[1:].T


def whole(values: ArrayLike, name: str, *, least: int = 0) -> np.ndarray:
    """Read whole numbers as integers, shape (n,).

    Raises
    ------
    WorkbenchError
        If one is missing, not whole or below `least`.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "iu":
        found = np.asarray(values, dtype=float)
        if not (np.isfinite(found).all() and (found == np.round(found)).all()):
            raise WorkbenchError("'{name}' holds values that are no whole numbers: count in whole days or months.").of(
                name
            )
        found = found.astype(np.int64)
    if (found < least).any():
        raise WorkbenchError("'{name}' is below {least} in {n} of {all} rows: mend them.").of(
            name, least, (found < least).sum(), len(found)
        )
    return found
