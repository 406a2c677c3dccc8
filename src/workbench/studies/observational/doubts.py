"""What forbids to call the difference between contacted and others an effect?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.messages import Amount, Label, Listed, Message, Number, Share, estimated, say
from workbench.methods.multiple import holm
from workbench.studies.observational.adjustment import Adjusted, gap

FEWEST_CONTROLS = 100
LEAST_OVERLAP = 0.3
NOTABLE = 0.1
ALARM = 0.05


def splits_decide(found: Adjusted, tests: dict[str, Adjusted], treated: np.ndarray, level: float) -> bool:
    """Whether more splits into folds may lead across a limit: of a gate, a placebo's alarm, or the effect's sign."""
    noise, middle = 2 * found.noise(), np.median(found.splits, axis=0)
    gates = zip(middle[1:], noise[1:], (LEAST_OVERLAP, FEWEST_CONTROLS, NOTABLE), strict=True)
    if any(abs(value - limit) <= wide for value, wide, limit in gates):
        return True
    alarms = [(found, (1 - level) / 2), *((test, ALARM / 2 / len(tests)) for test in tests.values())]
    return any(
        abs(abs(one.estimate) - stats.norm.isf(tail) * math.sqrt(one.variance)) <= 2 * one.noise()[0]
        for one, tail in alarms
    )


def balance_of(
    columns: dict[str, np.ndarray], covariates: list[str], treated: np.ndarray, found: Adjusted
) -> pd.DataFrame:
    """Standardised differences inside the overlap, before and after weighting, the largest before first."""
    rows = []
    for trait, values in columns.items():
        owner = max((c for c in covariates if trait == c or trait.startswith((f"{c}=", f"{c} "))), key=len)
        rows.append((trait, owner, *gap(values, treated, found.inside, found.weight)))
    table = pd.DataFrame(rows, columns=["covariate", "of", "before", "after"])
    size = table["before"].abs().round(9)
    return table.loc[table.assign(size=-size).sort_values(["size", "covariate"]).index].reset_index(drop=True)


def doubts_about(
    found: Adjusted,
    overlap: float,
    effective: float,
    outside: Message,
    balance: pd.DataFrame,
    placebo: pd.DataFrame,
    *,
    outcome: str,
    most_likely: float,
) -> tuple[Message, ...]:
    """Say what forbids to call the difference an effect."""
    worst = balance.loc[balance["after"].abs().idxmax()]
    wide, doubts = 2 * found.noise(), []
    if round(overlap - wide[1], 2) < LEAST_OVERLAP:
        doubts.append(
            say(
                "only {share} of the contacted have comparable controls (chance of contact at most {chance}), and "
                "{least} are needed; without: {outside}",
                share=_give(overlap, wide[1], ".0%"),
                chance=Share(most_likely, 0),
                least=Share(LEAST_OVERLAP, 0),
                outside=outside,
            )
        )
    if round(effective - wide[2]) < FEWEST_CONTROLS:
        doubts.append(
            say(
                "the controls that are like the contacted count as {controls}, and {least} are needed",
                controls=_give(effective, wide[2], ".0f"),
                least=FEWEST_CONTROLS,
            )
        )
    if round(abs(worst["after"]) + wide[3], 2) > NOTABLE:
        doubts.append(
            say(
                "weighted controls still differ from the contacted in '{covariate}' by {gap} standard deviations, and "
                "{most} is the most",
                covariate=Label(str(worst["covariate"])),
                gap=_give(abs(worst["after"]), wide[3], ".2f"),
                most=Number(NOTABLE, "g"),
            )
        )
    doubts += [
        say(
            "contact and {outcome} both depend on how {pair} come together, beyond what could be modelled: give that "
            "as a column",
            outcome=Label(outcome),
            pair=Listed(tuple(map(Label, pair))),
        )
        for pair in found.unmodelled
    ]
    for row in placebo[placebo["p"] < ALARM].itertuples():
        doubts.append(
            say(
                "contact seems to have changed '{outcome}', which it cannot have ({effect}), so the arms differ "
                "in something unrecorded",
                outcome=Label(row.outcome),
                effect=effect_of(row),
            )
        )
    return tuple(doubts)


def _give(value: float, wide: float, digits: str) -> Message | Number:
    """Write a number with what the split into folds leaves open of it, where that shows."""
    low, high = Number(max(value - wide, 0.0), digits), Number(value + wide, digits)
    if low.said() == high.said():
        return Number(value, digits)
    return say("{low} to {high} (by how members are split into folds)", low=low, high=high)


def effect_of(row: Any) -> Message:
    """Say the effect found on a placebo, with its interval."""
    return estimated(Amount(row.estimate, signed=True), row.low, row.high)


def placebos_of(tests: dict[str, Adjusted], df: float, level: float) -> pd.DataFrame:
    """Tabulate the effects on what contact cannot have changed, their p after Holm."""
    rows = []
    for name, test in tests.items():
        se = math.sqrt(test.variance)
        half = float(stats.t.isf((1 - level) / 2, df)) * se
        p = float(2 * stats.t.sf(abs(test.estimate) / se, df)) if se > 0 else float(test.estimate == 0)
        rows.append((name, test.estimate, test.estimate - half, test.estimate + half, p))
    table = pd.DataFrame(rows, columns=["outcome", "estimate", "low", "high", "p"])
    if rows:
        table["p"] = holm(table["p"].to_numpy())
    return table
