"""Which facts know the outcome? Those that order departures too well alone, or were set too late, are refused."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.columns import days, periods
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import Listed, Name, Number, say
from workbench.methods.ranking import auc
from workbench.studies.churn.terms import Facts

LEAKS = 0.95
_CHECKED = 2_000


def by_content(facts: Facts, y: np.ndarray) -> list[str]:
    """Names of the facts that vary, the likest to the outcome first: no result depends on names, order or units."""
    keys = {}
    for fact, values in facts.items():
        if values.dtype.kind != "f":
            share = np.bincount(pd.factorize(values, use_na_sentinel=False)[0]) / len(values)
            keys[fact] = (1, round(1 - float(share @ share), 9), fact)
        else:
            known = ~np.isnan(values)
            apart = values[known] - (values[known].mean() if known.any() else 0.0)
            size = np.sqrt(apart @ apart * y.mean() * (1 - y.mean()) * len(y))
            like = abs(apart @ y[known]) / size if size > 0 else 0.0
            keys[fact] = (0, round(-float(like), 9) if size > 0 else float(known.all() or not known.any()), fact)
    return sorted((f for f, key in keys.items() if key[:2] not in ((0, 1.0), (1, 0.0))), key=keys.__getitem__)


def refuse_leaks(facts: Facts, y: np.ndarray, panel, month: str | None, set_on: Mapping[str, str]) -> None:
    """Refuse facts that know the outcome: by the day they were set, and by how well they order departures alone."""
    for fact, column in set_on.items():
        if month is None:
            raise WorkbenchError("set_on= needs the month column: a fact is set too late from the month start on.")
        late = days(panel[column], column)[0].to_numpy() >= periods(panel[month], month).to_numpy()
        if late.any():
            raise CannotAnswer(
                say(
                    "'{fact}' knows the outcome: in {n} rows it was set on the month start or later. Leave it out, or "
                    "give it as it was known then.",
                    fact=Name(fact),
                    n=int(late.sum()),
                )
            )
    gone, here = np.flatnonzero(y), np.flatnonzero(~y)
    rows = np.r_[gone[:: max(1, len(gone) // _CHECKED)], here[:: max(1, len(here) // _CHECKED)]]
    found = {fact: _alone(values[rows], y[rows]) for fact, values in facts.items()}
    if over := [fact for fact, alone in found.items() if alone > LEAKS]:
        raise CannotAnswer(
            say(
                "{facts} alone orders departures with AUC {auc}, above {limit}: that is the outcome in disguise, not a "
                "fact known before. Leave it out.",
                facts=Listed([Name(f"'{f}'") for f in over]),
                auc=Number(max(found.values()), ".2f"),
                limit=Number(LEAKS, "g"),
            )
        )


def _alone(values: np.ndarray, y: np.ndarray) -> float:
    """AUC of a fact by itself, whichever way it points; of a category by the rate of its levels.

    Without their own outcome whoever left stands below the others of their level: a category that tells nothing orders
    backwards, and only forwards does it know anything.
    """
    if values.dtype.kind != "f":
        level = pd.factorize(values, use_na_sentinel=False)[0]
        n, gone = np.bincount(level), np.bincount(level, y)
        return auc(y, (gone[level] - y + y.mean()) / n[level])[0]
    gone = np.isnan(values)
    orders = [np.where(gone, -np.inf, values)]
    orders += [np.where(gone, np.inf, values), gone * 1.0] if gone.any() else []
    return max(abs(auc(y, order)[0] - 0.5) + 0.5 for order in orders)
