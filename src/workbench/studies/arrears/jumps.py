"""Does the chance of paying jump on the day of a stage, more than on days on which nothing happens?"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.messages import Share, say

WIDTH = 5
"""Days on either side that are compared."""
PLACEBOS, LAST = 19, 75
SALARY = range(10, 16)
"""Days of the month on which salaries are paid."""


def jump(bills: pd.DataFrame, days: np.ndarray, stages: Collection[int], level: float = 0.95) -> dict[str, float]:
    """Give how many more of the bills open before the day of a stage are paid in its first five days.

    Payments by due day and day past due, against what a smooth curve, weekends and salary days lead to expect: the
    ratio of the five days from the stage on to the five before. The same on days without a stage (placebo days) tells
    its error.

    Parameters
    ----------
    bills : DataFrame
        Those of `overdue`.
    days : array
        Days past due on which the actions fell.
    stages : collection of int
        Days past due of all stages: days near them are no placebo.

    Raises
    ------
    CannotAnswer
        If the actions do not fall on one day, fewer than five days come before it, or fewer than 19 placebo days are
        left.
    """
    at = int(np.median(days))
    if (days != at).mean() > 0.1:
        share = Share(float((days == at).mean()), 0)
        raise CannotAnswer(
            say("nobody was held out, and only {share} of the actions fall on day {day}", share=share, day=at)
        )
    if at <= WIDTH:
        raise CannotAnswer(say("nobody was held out, and nothing comes before day {n}", n=at))
    at_risk, paid, usual = _by_day(bills, {*stages, at})
    seen, told = _windows(paid), _windows(usual)
    height = np.log((seen + 0.5) / (told + 0.5))
    found = height[WIDTH:] - height[:-WIDTH]  # position i: the jump at day i + WIDTH + 1
    error = np.sqrt(1 / (seen[WIDTH:] + 0.5) + 1 / (seen[:-WIDTH] + 0.5))
    ends = {day + after for day in {*stages, at} for after in (0, 2 * WIDTH)}  # a stage begins, a stage ends
    free = [d for d in range(WIDTH + 1, LAST - WIDTH + 2) if min(abs(d - s) for s in ends) >= WIDTH]
    free = [d for d in free if min(seen[d - 1], seen[d - WIDTH - 1]) >= WIDTH]
    if len(free) < PLACEBOS:
        raise CannotAnswer(
            say(
                "nobody was held out, and {n} days without a stage can be compared with; it takes {k}",
                n=len(free),
                k=PLACEBOS,
            )
        )
    here, elsewhere = at - WIDTH - 1, np.array(free) - WIDTH - 1
    effect, placebo = found[here], np.abs(found / error)[elsewhere]
    p = float((1 + (placebo >= abs(effect) / error[here]).sum()) / (1 + len(placebo)))
    half = float(np.quantile(placebo, level)) * error[here]
    share = paid[at - 1 : at - 1 + WIDTH].sum() / at_risk[at - 1]
    points = [float(share * (1 - np.exp(-value))) for value in (effect, effect - half, effect + half)]
    return dict(zip(("more_paid", "more_paid_low", "more_paid_high"), points, strict=True)) | {"more_paid_p": p}


def _windows(values: np.ndarray) -> np.ndarray:
    """Sums over five days from each day on."""
    return np.convolve(values, np.ones(WIDTH), "valid")


def _by_day(bills: pd.DataFrame, stages: set[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Open before, paid on, and expected to be paid on each day past due from 1 to 75."""
    from statsmodels.api import GLM, families

    dues, place = np.unique(bills["due"], return_inverse=True)
    end = np.minimum(bills["exit"].to_numpy(), LAST + 1)
    cells = len(dues), LAST + 2
    gone = np.bincount(place * cells[1] + end, minlength=np.prod(cells)).reshape(cells)
    cured = (bills["cause"] == 0).to_numpy() & (bills["exit"] <= LAST).to_numpy()
    paid = np.bincount((place * cells[1] + end)[cured], minlength=np.prod(cells)).reshape(cells)[:, 1:-1]
    at_risk = gone[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:-1]
    day = np.arange(1, LAST + 1)
    when = pd.to_datetime((dues[:, None] + day).ravel(), unit="D")
    bent = np.log(day)
    smooth = np.column_stack([bent**k for k in range(4)] + [day / LAST])
    shown = np.array([(when.day_of_week >= 5), when.day.isin(SALARY)], dtype=float).T
    x = np.column_stack([np.tile(smooth, (len(dues), 1)), shown])
    x = x[:, [0, *(1 + np.flatnonzero(np.ptp(x[:, 1:], axis=0) > 0))]]
    near = np.tile([any(0 <= d - s < WIDTH for s in stages) for d in day], len(dues))
    use = (at_risk.ravel() > 0) & ~near
    offset = np.log(np.maximum(at_risk.ravel(), 1))
    if use.sum() <= 2 * x.shape[1] or not paid.ravel()[use].any():
        raise CannotAnswer(say("nobody was held out, and too few pay on days without a stage"))
    fit = GLM(paid.ravel()[use], x[use], family=families.Poisson(), offset=offset[use]).fit()
    usual = np.where(at_risk.ravel() > 0, np.exp(np.minimum(x @ fit.params, 0) + offset), 0).reshape(at_risk.shape)
    return at_risk.sum(axis=0), paid.sum(axis=0), usual.sum(axis=0)
