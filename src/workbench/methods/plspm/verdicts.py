"""Can this measurement be trusted? Verdicts as sentences, with the thresholds of the field.

References
----------
Fornell & Larcker (1981), JMR 18 (AVE). Henseler, Ringle & Sarstedt (2015), JAMS 43 (HTMT). Ringle, Sarstedt, Sinkovics
& Sinkovics (2023), Data in Brief 48 (HTMT+). Dijkstra & Henseler (2015), MIS Quarterly 39 (rho_A). Hair, Risher,
Sarstedt & Ringle (2019), European Business Review 31 (VIF of items).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.messages import Listed, Message, Number, Share, say
from workbench.methods.plspm.batch import SINGULAR

if TYPE_CHECKING:
    from workbench.methods.plspm.bootstrap import PlsBootstrap
    from workbench.methods.plspm.fit import PlsFit

RELIABLE = 0.7
VARIANCE = 0.5
DISTINCT = 0.9
COLLINEAR = 5.0
PER_COEFFICIENT = 10


def doubts_said(doubts: Sequence[str]) -> Message:
    """Say how many doubts there are."""
    if not doubts:
        return say("No doubts about the measurement")
    return say("{n} doubts about the measurement", n=len(doubts))


def fit_verdicts(fit: PlsFit) -> tuple[Message, ...]:
    """Say, one sentence each, what makes a fit doubtful."""
    said = []
    if not fit.converged:
        said.append(say("PLS did not converge in {n} iterations: do not use these numbers.", n=fit.iterations))
    said += dict.fromkeys(fit.unshown.values())
    said += [
        say(
            "{item}: all but {n} of the respondents gave the same answer, so its correlations rest on {n}.",
            item=item,
            n=count,
        )
        for item, count in fit.scarce.items()
    ]
    said += [
        say("The paths to {target} cannot be told: among its sources one is a combination of others.", target=target)
        for target in fit.model.order
        if target in fit.model.paths and np.isnan(fit.r2[target])
    ]
    said += _small_verdicts(fit)
    for name in fit.model.names:
        weights = fit.weights[name]
        for item, weight in weights[weights < 0].items():
            said.append(
                say(
                    "{name}: the outer weight of {item} is negative ({weight}), so the index of {name} is not defined. "
                    "Check the item's coding, or leave it out.",
                    name=name,
                    item=item,
                    weight=Number(weight, ".3f"),
                )
            )
    for stage in (fit.first, fit) if fit.first else (fit,):
        for name in stage.model.names:
            if stage is fit or name not in fit.model.names:
                said += _direction_verdicts(stage, name)
                said += _reliability_verdicts(name, stage.rho_a[name], stage.ave[name])
        said += _collinear_verdicts(stage, fit)
    said += [
        say(
            "{first} and {second} are hardly distinct: HTMT+ is {htmt}, above {limit}. Read their separate effects "
            "with care.",
            first=first,
            second=second,
            htmt=Number(value, ".3f"),
            limit=Number(DISTINCT, "g"),
        )
        for first, second, value in _pairs(fit.htmt)
        if value > DISTINCT
    ]
    return tuple(said)


def bootstrap_verdicts(boot: PlsBootstrap) -> tuple[Message, ...]:
    """Say what makes a fit doubtful, and what its resamples add."""
    said = list(boot.fit.verdicts)
    if boot.failed:
        said.append(
            say(
                "{failed} of {n} resamples did not converge and are in no interval, so intervals may be too narrow.",
                failed=boot.failed,
                n=len(boot.replicates),
            )
        )
    if boot.scale is not None:
        return tuple(said)
    if boot.widening > 1:
        respondents = boot.units == boot.fit.n
        said.append(
            say(
                "{units} are few to resample: intervals are widened by {share} (Student's t), and R2, rho_A and HTMT "
                "have none. 100 are enough.",
                units=say("{n} respondents", n=boot.units) if respondents else say("{n} clusters", n=boot.units),
                share=Share(boot.widening - 1, 0),
            )
        )
    drawn = max(len(boot.replicates) - boot.failed, 1)
    with np.errstate(invalid="ignore"):
        negative = pd.Series((boot.replicates < 0).sum(axis=0) / drawn, index=pd.MultiIndex.from_tuples(boot.labels))
    for owned, share in negative["weight"].items():
        construct, item = owned.split(":", 1)
        if share > 0.025 and boot.fit.weights[construct, item] > 0:
            said.append(
                say(
                    "{construct}: the outer weight of {item} is negative in {share} of the resamples.",
                    construct=construct,
                    item=item,
                    share=Share(share, 0),
                )
            )
    return tuple(said)


def _small_verdicts(fit: PlsFit) -> list[Message]:
    """Say which regressions have fewer than ten respondents for each of their coefficients."""
    tasks = [
        say("{n} paths lead to {target}", n=len(sources), target=target)
        for target, sources in fit.model.paths.items()
        if fit.n < PER_COEFFICIENT * len(sources)
    ] + [
        say("{n} items form {construct}", n=len(c.items), construct=c.name)
        for c in fit.model.constructs
        if c.mode == "B" and fit.n < PER_COEFFICIENT * len(c.items)
    ]
    if not tasks:
        return []
    return [
        say(
            "{n} respondents are few for this model ({tasks}; ten each are the rule of thumb): weights and paths are "
            "uncertain.",
            n=fit.n,
            tasks=Listed(tasks, ";"),
        )
    ]


def _direction_verdicts(fit: PlsFit, name: str) -> list[Message]:
    """Say which items run against the others, and whether the construct's sign is more than a convention."""
    loadings, reflective = fit.loadings[name], fit.model.construct(name).mode == "A"
    against = loadings[loadings < 0]
    if len(loadings) < 2 or against.empty:
        return []
    said = []
    if reflective:
        values = (say("{item} {value}", item=item, value=Number(value, ".2f")) for item, value in against.items())
        said.append(
            say(
                "{name}: these items run against the others (loadings {values}). If they are worded the other way "
                "round, name them in reversed=.",
                name=name,
                values=Listed(values, ""),
            )
        )
    if 2 * len(against) == len(loadings):
        said.append(
            say(
                "{name}: as many items point down ({items}) as up, so which end of {name} is the high one is a "
                "convention, and the signs of its paths with it.",
                name=name,
                items=Listed(against.index, ""),
            )
        )
    return said


def item_inflation(fit: PlsFit) -> pd.Series:
    """VIF of every item among its construct's items, by (construct, item); of mode B with two items or more."""
    formed = [c for c in fit.model.constructs if c.mode == "B" and len(c.items) > 1]
    parts = {c.name: inflation(fit.item_correlations.loc[list(c.items), list(c.items)].to_numpy()) for c in formed}
    rows = {(c.name, item): value for c in formed for item, value in zip(c.items, parts[c.name], strict=True)}
    return pd.Series(rows, index=pd.MultiIndex.from_tuples(rows, names=["construct", "item"]), dtype=float, name="vif")


def inflation(correlation: np.ndarray) -> np.ndarray:
    """VIF of each variable, 1 / (1 - R2 on the others); infinite where one is a combination of others."""
    if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
        return np.full(len(correlation), np.inf)
    return np.diag(np.linalg.inv(correlation))


def _collinear_verdicts(stage: PlsFit, fit: PlsFit) -> list[Message]:
    return [
        say(
            "{name}: the weight of {item} is hard to tell from those of the other items that form {name}: its VIF is "
            "{vif}, above {limit}. Leave it out, or join it with what it repeats.",
            name=name,
            item=item,
            vif=Number(value, ".1f"),
            limit=Number(COLLINEAR, "g"),
        )
        for (name, item), value in item_inflation(stage).items()
        if value > COLLINEAR and (stage is fit or name not in fit.model.names)
    ]


def _reliability_verdicts(name: str, rho_a: float, ave: float) -> list[Message]:
    said = []
    if rho_a < RELIABLE:
        said.append(
            say(
                "{name} is measured unreliably: rho_A is {rho}, below {limit}.",
                name=name,
                rho=Number(rho_a, ".3f"),
                limit=Number(RELIABLE, "g"),
            )
        )
    if ave < VARIANCE:
        said.append(
            say(
                "{name} explains less than half of its items' variance: AVE is {ave}, below {limit}.",
                name=name,
                ave=Number(ave, ".3f"),
                limit=Number(VARIANCE, "g"),
            )
        )
    return said


def _pairs(matrix: pd.DataFrame) -> list[tuple[str, str, float]]:
    names = list(matrix.index)
    return [(a, b, matrix.loc[a, b]) for i, a in enumerate(names) for b in names[i + 1 :]]
