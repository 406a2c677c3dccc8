"""Where few members buy: which numbers of a campaign have an interval, and by which method."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np

from workbench.errors import CannotAnswer
from workbench.messages import Label, Message, Number, say
from workbench.methods.intervals import Mean, expected_events, mean_difference, share_difference, skewed, uneven

FEWEST_EVENTS = 20
FEWEST_AMOUNTS = 10
SINGLE_MEMBER = say("an arm has a single member, so nothing tells how uncertain its mean is")


@dataclass(frozen=True)
class Outcome:
    """What counts as an event of an outcome, and how its differences are judged.

    Attributes
    ----------
    events : array of bool, shape (n,)
        Members whose outcome is not the commonest: the buyers, where most buy nothing.
    binary : bool
        All outcomes are 0 or 1, so that a difference has a score interval at any count.
    amounts : bool
        No outcome is below 0.
    """

    events: np.ndarray
    binary: bool
    amounts: bool

    @classmethod
    def of(cls, y: np.ndarray) -> Outcome:
        binary, lowest = bool(((y == 0) | (y == 1)).all()), y.min()
        events = y != 0
        if 2 * events.sum() >= len(y):  # else 0 is the commonest, and nothing needs sorting
            values, often = np.unique(y, return_counts=True)
            events = y != values[often.argmax()] if often.max() > 1 else np.ones(len(y), dtype=bool)
        return cls(events, binary, bool(lowest >= 0))

    @property
    def fewest(self) -> int:
        """Events the smaller arm must be expected to have: 10 for a score interval of amounts, 20 for any other."""
        return FEWEST_AMOUNTS if self.amounts else FEWEST_EVENTS

    def enough(self, events: np.ndarray, members: np.ndarray, fewest: int | None = None) -> np.ndarray:
        """Whether the smaller arm would have so many events at the rate of both; arms (control, treated) first.

        Without `fewest` as many as `difference` needs: none for an outcome of 0/1. A normal interval needs 20.
        """
        expected = expected_events(events[1], members[1], events[0], members[0])
        if fewest is None:
            return np.asarray(self.binary | (expected >= self.fewest))
        return np.asarray(expected >= fewest)


def counts(mask: np.ndarray, treated: np.ndarray) -> np.ndarray:
    """How many of the marked members are control and treated."""
    return np.array([(mask & ~treated).sum(), (mask & treated).sum()])


def too_few(events: np.ndarray, members: np.ndarray, outcome: str = "", fewest: int = FEWEST_EVENTS) -> Message:
    """Why there is no interval: how many events the smaller arm has, and how many it would have by chance."""
    smaller = 0 if members[0] <= members[1] else 1
    expected = floor(10 * float(expected_events(events[1], members[1], events[0], members[0]))) / 10
    commonest = say("another outcome than the commonest")
    return say(
        "{events} of the {members} members of {arm} have {other}, where {expected} would by chance; {least} are needed",
        events=int(events[smaller]),
        members=int(members[smaller]),
        arm=say("the control group") if smaller == 0 else say("the contacted"),
        other=say("another '{outcome}' than the commonest", outcome=Label(outcome)) if outcome else commonest,
        expected=Number(expected, ",g"),
        least=fewest,
    )


def unanswerable(reason: Message) -> CannotAnswer:
    """Refuse for a reason, a clause that can be said by itself."""
    return CannotAnswer("not answerable: {reason}.").of(reason)


def all_alike(outcome: str, members: int) -> Message:
    """Why nothing can be compared: nothing varies."""
    return say("'{outcome}' is the same for all {members} members", outcome=Label(outcome), members=members)


def difference(
    one: Mean, zero: Mean, outcome: Outcome, level: float, df: np.ndarray | float = np.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval and p value of the difference of means, by the method that holds for the outcome."""
    if outcome.binary:
        return share_difference(one.value * one.n, one.n, zero.value * zero.n, zero.n, level=level)
    return mean_difference(one, zero, amounts=outcome.amounts, level=level, df=df)


def ends(
    estimate: np.ndarray,
    se: np.ndarray,
    third: np.ndarray,
    one: Mean,
    zero: Mean,
    *,
    outcome: Outcome,
    known: np.ndarray,
    scale: np.ndarray | float = 1.0,
    spare: np.ndarray | float = 0.0,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of `scale` times the difference of the arms plus what is surer; NaN where not `known`.

    The normal interval, corrected for skewness (Hall), where many buy; a score interval of the difference where few do.

    Parameters
    ----------
    estimate, se, third : arrays of one shape
        Value, standard error, and third moment of the error.
    one, zero : Mean
        Outcomes of the treated and of the control behind each value.
    known : array of bool
        Whether enough members bought.
    scale : array
        Factor from the difference of the means to the value; below 0 where the value falls as the difference rises.
    spare : array
        Variance of what is added to the difference (the incentive paid), less twice its covariance with it.
    """
    low, high, _ = skewed(estimate, se, np.divide(third, se**3, out=np.zeros_like(se), where=se > 0), level=level)
    low, high = (np.where(se > 0, end, estimate) for end in (low, high))
    few = np.asarray(uneven(one, zero) & known) if outcome.amounts else np.zeros(np.shape(estimate), dtype=bool)
    if few.any():
        bottom, top, _ = difference(one, zero, outcome, level)
        effect = one.value - zero.value
        below, above = (np.sqrt(np.maximum((scale * gap) ** 2 + spare, 0)) for gap in (effect - bottom, top - effect))
        falls = np.less(scale, 0)  # the value falls as the difference rises
        low = np.where(few, estimate - np.where(falls, above, below), low)
        high = np.where(few, estimate + np.where(falls, below, above), high)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)
