"""In which state is each at each step? Occupation of states by Aalen and Johansen: a matrix product a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.errors import WorkbenchError
from workbench.methods.survival.table import whole


@dataclass(frozen=True, eq=False)
class StateTable:
    """Counts by state and step: position i is step i + 1.

    Attributes
    ----------
    at_risk : array, shape (states, reach)
    moves : array, shape (states, states, reach)
        From a state to another at each step.
    """

    at_risk: np.ndarray
    moves: np.ndarray

    def occupied(self, begin: int = 0) -> np.ndarray:
        """Share in each state after each step of those in `begin` at first, shape (states, reach).

        Examples
        --------
        Two of four fall ill at step 1, one of them is well again at step 2.

        >>> table = state_table([0] * 4 + [1] * 2, [1, 1, 3, 3, 2, 3], [0] * 4 + [1] * 2, [1, 1, -1, -1, 0, -1])
        >>> table.occupied().tolist()
        [[0.5, 0.75, 0.75], [0.5, 0.25, 0.25]]
        """
        shares = self.moves / np.maximum(self.at_risk, 1)[:, None, :]
        states, reach = self.at_risk.shape
        found, now = np.empty((reach, states)), np.eye(states)[begin]
        steps = np.eye(states) + np.moveaxis(shares, 2, 0) - np.eye(states) * shares.sum(axis=1).T[:, :, None]
        for i in range(reach):
            now = now @ steps[i]
            found[i] = now
        return found.T


def state_table(
    entry: ArrayLike, exit: ArrayLike, state: ArrayLike, to: ArrayLike, *, states: int | None = None
) -> StateTable:
    """Count who is in each state and who moves, by step.

    Parameters
    ----------
    entry, exit : arrays of whole numbers, shape (n,)
        One spell in a state each: at risk in it if entry < t <= exit. Who moves has another that begins at `exit`.
    state, to : arrays of int, shape (n,)
        State of the spell, 0, 1, …; state that it ended in at `exit`, -1 if it was not seen to end.
    states : int, optional
        How many there are, if some may be empty.

    Raises
    ------
    WorkbenchError
        If a spell does not last a step, or a state is below 0.
    """
    entry, exit = whole(entry, "entry"), whole(exit, "exit")
    state, to = whole(state, "state"), whole(to, "to", least=-1)
    if (exit <= entry).any():
        raise WorkbenchError(
            "{n} of {all} spells last no step: let a move in the step of another come in the next, or leave them out "
            "and count them."
        ).of((exit <= entry).sum(), len(entry))
    reach = int(exit.max())
    count = int(max(state.max(), to.max())) + 1 if states is None else states
    came = np.bincount(state * (reach + 1) + entry, minlength=count * (reach + 1)).reshape(count, -1)
    went = np.bincount(state * (reach + 1) + exit, minlength=count * (reach + 1)).reshape(count, -1)
    at_risk = (np.cumsum(came, axis=1) - np.cumsum(went, axis=1))[:, :reach]
    moved = to >= 0
    place = (state[moved] * count + to[moved]) * (reach + 1) + exit[moved]
    moves = np.bincount(place, minlength=count * count * (reach + 1)).reshape(count, count, -1)[..., 1:]
    return StateTable(at_risk, moves)
