"""Can this measurement be trusted? Verdicts as sentences, with the thresholds of the field.

References
----------
Fornell & Larcker (1981), JMR 18 (AVE). Henseler, Ringle & Sarstedt (2015), JAMS 43 (HTMT). Dijkstra &
Henseler (2015), MIS Quarterly 39 (rho_A).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from workbench.studies.plspm.bootstrap import PlsBootstrap
    from workbench.studies.plspm.fit import PlsFit

RELIABLE = 0.7
VARIANCE = 0.5
DISTINCT = 0.9


def fit_verdicts(fit: PlsFit) -> tuple[str, ...]:
    """Say, one sentence each, what makes a fit doubtful."""
    said = []
    if not fit.converged:
        said.append(f"PLS did not converge in {fit.iterations} iterations: do not use these numbers.")
    for name in fit.model.names:
        weights = fit.weights[name]
        for item, weight in weights[weights < 0].items():
            said.append(
                f"{name}: the outer weight of {item} is negative ({weight:.3f}), so the index of {name} is not "
                "defined. Check the item's coding, or leave it out."
            )
    for stage in (fit.first, fit) if fit.first else (fit,):
        for name in stage.model.names:
            if stage is fit or name not in fit.model.names:
                said += _reliability_verdicts(name, stage.rho_a[name], stage.ave[name])
    said += [
        f"{first} and {second} are hardly distinct: HTMT is {value:.3f}, above {DISTINCT:g}. "
        "Read their separate effects with care."
        for first, second, value in _pairs(fit.htmt)
        if value > DISTINCT
    ]
    return tuple(said)


def bootstrap_verdicts(boot: PlsBootstrap) -> tuple[str, ...]:
    """Say what makes a fit doubtful, and what its resamples add."""
    said = list(boot.fit.verdicts)
    if boot.failed:
        said.append(
            f"{boot.failed:,} of {len(boot.replicates):,} resamples did not converge and are in no interval, so "
            "intervals may be too narrow."
        )
    if boot.scale is not None:
        return tuple(said)
    drawn = max(len(boot.replicates) - boot.failed, 1)
    with np.errstate(invalid="ignore"):
        negative = pd.Series((boot.replicates < 0).sum(axis=0) / drawn, index=pd.MultiIndex.from_tuples(boot.labels))
    for owned, share in negative["weight"].items():
        construct, item = owned.split(":", 1)
        if share > 0.025 and boot.fit.weights[construct, item] > 0:
            said.append(f"{construct}: the outer weight of {item} is negative in {share:.0%} of the resamples.")
    return tuple(said)


def _reliability_verdicts(name: str, rho_a: float, ave: float) -> list[str]:
    said = []
    if rho_a < RELIABLE:
        said.append(f"{name} is measured unreliably: rho_A is {rho_a:.3f}, below {RELIABLE:g}.")
    if ave < VARIANCE:
        said.append(f"{name} explains less than half of its items' variance: AVE is {ave:.3f}, below {VARIANCE:g}.")
    return said


def _pairs(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    names = list(matrix.index)
    return [(a, b, matrix.loc[a, b]) for i, a in enumerate(names) for b in names[i + 1 :]]
