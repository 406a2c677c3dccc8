"""Does the level that is asked for reach every interval? At 80% each lies within that at 95%, and one is narrower."""

import dataclasses
import functools
import inspect

import numpy as np
import pandas as pd
import pytest
from doors import CASES, ROOMS, Names, answered

from workbench.errors import WorkbenchError
from workbench.methods.intervals import share
from workbench.result import Result
from workbench.studies.segmentation import concentration

ELSEWHERE = {
    "plan_campaign": "its level is that of the test which is planned: test_campaign_planning_design",
    "concentration": "needs more customers for an interval: below",
}


def door(case):
    """The function that a case calls."""
    name = case.name.split(".")[-1]
    return next((vars(room)[name] for room in ROOMS if name in vars(room)), None)


LEVELLED = [
    c
    for c in CASES
    if c.name.split(".")[-1] not in ELSEWHERE and door(c) and "level" in inspect.signature(door(c)).parameters
]


def ends(result):
    """All numbers that are ends of intervals: of the tables, else of the result itself."""
    tables = [result]
    if isinstance(result, Result):
        held = [vars(result).get(field.name) for field in dataclasses.fields(result)]
        tables = [result.summary(), *(table for table in held if isinstance(table, pd.DataFrame))]
    pairs = [
        table[[low, low.removesuffix("low") + "high"]].to_numpy(float)
        for table in tables
        for low in table
        if str(low).endswith("low") and low.removesuffix("low") + "high" in table
    ]
    return np.concatenate(pairs).T if pairs else np.array([[result.low], [result.high]])


@pytest.mark.parametrize("case", LEVELLED, ids=lambda case: case.name)
def test_a_lower_level_gives_narrower_intervals(case, monkeypatch):
    """The rest of the table stays."""
    function, name = door(case), case.name.split(".")[-1]
    wide = ends(answered(case)[0])
    for room in ROOMS:
        if vars(room).get(name) is function:
            monkeypatch.setattr(room, name, functools.partial(function, level=0.8))
    narrow = ends(case.call(case.tables(), Names()))
    assert wide.shape == narrow.shape
    known = np.isfinite(wide).all(axis=0) & np.isfinite(narrow).all(axis=0)
    scale = 1e-9 * np.abs(wide[:, known]).max()
    assert (narrow[0] >= wide[0] - scale)[known].all() and (narrow[1] <= wide[1] + scale)[known].all()
    width = (wide[1] - wide[0])[known]
    assert (width > scale).any()
    assert ((narrow[1] - narrow[0])[known] < width - scale)[width > scale].all()


@pytest.mark.parametrize("case", LEVELLED, ids=lambda case: case.name)
def test_a_level_in_per_cent_is_refused(case, monkeypatch):
    """95 is no share: quantiles of it are missing, wrong, or an error that names no argument."""
    function, name = door(case), case.name.split(".")[-1]
    for room in ROOMS:
        if vars(room).get(name) is function:
            monkeypatch.setattr(room, name, functools.partial(function, level=95))
    with pytest.raises(WorkbenchError, match="level"):
        case.call(case.tables(), Names())


OUT = [("resamples", 1), ("resamples", -5), ("draws", 0), ("folds", 1), ("permutations", 0), ("rng", -1), ("seed", -1)]
UNDRAWN = {("experiment.average_effect", "rng"), ("segmentation.concentration", "rng"), ("churn.churn_formula", "seed")}
"""What these cases ask for needs no draw."""
FEW = [
    (case, option, few)
    for case in CASES
    for option, few in OUT
    if door(case) and option in inspect.signature(door(case)).parameters and (case.name, option) not in UNDRAWN
]


@pytest.mark.parametrize(("case", "option", "few"), FEW, ids=lambda value: getattr(value, "name", str(value)))
def test_too_few_resamples_make_no_interval(case, option, few, monkeypatch):
    """Of one it would have the width 0; of none numpy would say something of an index, as of a negative seed."""
    function, name = door(case), case.name.split(".")[-1]
    for room in ROOMS:
        if vars(room).get(name) is function:
            monkeypatch.setattr(room, name, lambda *given, **asked: function(*given, **asked | {option: few}))
    with pytest.raises(WorkbenchError, match="seed -1 is negative" if few == -1 else option):
        case.call(case.tables(), Names())


@pytest.mark.parametrize("level", [0, 1, 95, np.nan, "95%", None])
def test_concentration_and_intervals_refuse_what_is_no_level(level):
    """Also texts and gaps."""
    with pytest.raises(WorkbenchError, match="is no coverage"):
        concentration(pd.Series(np.arange(1.0, 401.0)), level=level)
    with pytest.raises(WorkbenchError, match="is no coverage"):
        share(3, 10, level=level)


def test_concentration_has_narrower_intervals_at_a_lower_level():
    """Gini of 400 even amounts."""
    amounts = pd.Series(np.arange(1.0, 401.0))
    wide, narrow = (ends(concentration(amounts, rng=0, **level)) for level in ({}, {"level": 0.8}))
    assert np.nanmax(narrow[1] - narrow[0]) < np.nanmax(wide[1] - wide[0])
