"""What every public function refuses: a broken column is named, never a traceback, never an answer.

Each damage says to which columns it is done, by their meaning; a function that takes it all the same says why.
"""

import datetime as dt

import doors
import numpy as np
import pandas as pd
import pytest
from doors import BY_NAME, ROLE, Case, Names, answered

import workbench as wb
from workbench.errors import WorkbenchError

NUMBERS = ("number", "money", "item", "weight")
DAYS = ("day",)
EVERY = tuple({*ROLE.values()})


def _first(column: pd.Series, value: object) -> pd.Series:
    values = column.astype(object).tolist()
    return pd.Series([value, *values[1:]], index=column.index, dtype=object)


# damage: columns of which meaning, what is done to them
DAMAGES = {
    "numbers as text": ((*NUMBERS, "arm", "flag"), lambda c: c.map(lambda v: None if pd.isna(v) else f"{v:g} ")),
    "one word among numbers": (NUMBERS, lambda c: _first(c, "n/a")),
    "dates for numbers": ((*NUMBERS, "flag"), lambda c: pd.Series(pd.Timestamp("2026-01-01"), c.index)),
    "infinite": (NUMBERS, lambda c: pd.Series([np.inf, *c.astype(float).tolist()[1:]], c.index)),
    "Y and N for a flag": (("flag",), lambda c: c.map(lambda v: "Y" if v else "N")),
    "a flag of codes": (("flag",), lambda c: c.astype(int) + 1),
    "a third arm": (("arm",), lambda c: c.where(c.index != c.index[0], 7)),
    "a negative weight": (("weight",), lambda c: -c),
    "days as numbers": (DAYS, lambda c: c.dt.strftime("%Y%m%d").astype(float)),
    "days as text, day first": (DAYS, lambda c: c.dt.strftime("%d/%m/%Y")),
    "days that are none": (DAYS, lambda c: _first(c.dt.strftime("%Y-%m-%d"), "2026-02-30")),
    "lists": (EVERY, lambda c: pd.Series([[1, 2]] * len(c), c.index, dtype=object)),
}


def columns(case: Case, *roles: str) -> list[tuple[str, str]]:
    """Table and column of all that a function asks for, of these meanings; found when a test runs, not before."""
    asked = answered(case)[1].asked
    return [(t, c) for t, table in case.tables().items() for c in table if c in asked and ROLE[c] in (roles or EVERY)]


def test_columns_of_every_function_are_tried():
    """A function that asks for none would be tried with nothing broken."""
    found = [columns(case) for case in BY_NAME.values()]
    assert all(found) and sum(map(len, found)) > 600


def taken(case: Case, tables: dict[str, pd.DataFrame], word: str) -> list[str]:
    """Why it is no refusal: the function answers, or does not name the column or what it is about."""
    try:
        case.call(tables, Names())
    except WorkbenchError as error:
        return [] if word in str(error) and "nan" not in str(error).split() else [f"{word}: {error}"]
    return [f"{word}: answered"]


@pytest.mark.parametrize("name", BY_NAME)
def test_a_broken_column_is_refused_by_name(name):
    """Text for numbers, codes for flags, days that can be read in two ways: each is named, with what to do."""
    case, wrong = BY_NAME[name], {}
    for table, column in columns(case):
        for damage, (roles, change) in DAMAGES.items():
            if ROLE[column] in roles and (column, damage) not in case.allows:
                tables = case.tables()
                tables[table] = tables[table].assign(**{column: change(tables[table][column])})
                wrong[table, column, damage] = taken(case, tables, column)
    assert not {key: why for key, why in wrong.items() if why}


@pytest.mark.parametrize("name", sorted(BY_NAME.keys() - {"segmentation.concentration"}))  # takes one column
def test_a_file_name_is_no_table(name):
    """Whoever gives the name of a file in place of a table reads what to give, and no traceback."""
    case = BY_NAME[name]
    for table in case.tables():
        with pytest.raises(WorkbenchError, match="is a str: give a DataFrame"):
            case.call(case.tables() | {table: "bills.csv"}, Names())


SURVEY, MEMBERS, AMOUNTS_PAID = (doors.survey()["survey"], doors.members()["members"], doors.purchases()["purchases"])
ARMS = {"treatment": "t", "outcome": "y"}
PAID = {"customer": "id", "when": "on", "amount": "yuan", "as_of": "2026-01-01"}
COST = {"score": "score", "margin": 0.5, "contact_cost": 1.0}
LIFE = {"started": "on", "left": "off", "margin": "margin", "horizon": 12, "discount": 0.1, "since": None}
# door of the package: a call with something else in one of its places
ELSEWHERE = {
    "arms": lambda odd: wb.arms(odd, "may", arm="call", as_of="2026-07-01"),
    "customer_view": lambda odd: wb.customer_view(odd, "2026-07-01"),
    "effect": lambda odd: wb.effect(odd, **ARMS),
    "effect, outcome": lambda odd: wb.effect(MEMBERS, **ARMS | {"outcome": odd}),
    "effect, treatment": lambda odd: wb.effect(MEMBERS, **ARMS | {"treatment": odd}),
    "features": lambda odd: wb.features(odd, "2026-07-01"),
    "ingest": lambda odd: wb.ingest(odd),
    "lifetime_value": lambda odd: wb.lifetime_value(odd, **LIFE, as_of="2026-01-01"),
    "open": lambda odd: wb.open(odd),
    "rfm": lambda odd: wb.rfm(odd, **PAID),
    "rfm, amount": lambda odd: wb.rfm(AMOUNTS_PAID, **PAID | {"amount": odd}),
    "rfm, as_of": lambda odd: wb.rfm(AMOUNTS_PAID, **PAID | {"as_of": odd}),
    "satisfaction": lambda odd: wb.satisfaction(odd, doors.model(Names())),
    "satisfaction, model": lambda odd: wb.satisfaction(SURVEY, odd),
    "segment": lambda odd: wb.segment(odd),
    "sql": lambda odd: wb.sql(odd),
    "targeting": lambda odd: wb.targeting(odd, **ARMS, **COST),
    "tiers": lambda odd: wb.tiers(odd, customer="id", value="yuan"),
    "tiers, rules": lambda odd: wb.tiers(doors.monthly()["values"], customer="id", value="yuan", rules=odd),
    "uplift": lambda odd: wb.uplift(odd, **ARMS, features=["x"]),
    "voice": lambda odd: wb.voice(odd, [doors.voice.net_promoter("likely")], by=["operator"]),
    "voice, measures": lambda odd: wb.voice(SURVEY, odd, by=["operator"]),
}


@pytest.mark.parametrize("odd", ["tcsi", 1, ["x"], {}], ids=["name", "number", "list", "mapping"])
@pytest.mark.parametrize("door", ELSEWHERE)
def test_every_door_of_the_package_says_what_it_takes(door, odd):
    """A name, number, list or mapping where a table, warehouse, model, rules or column belongs: one sentence."""
    with pytest.raises(WorkbenchError) as said:
        ELSEWHERE[door](odd)
    assert "\n" not in str(said.value)


def test_every_door_of_the_package_is_tried():
    """But the errors themselves and `ask`, which calls what it is given."""
    assert {door.partition(",")[0] for door in ELSEWHERE} == {*wb.__all__} - {"Refusal", "WorkbenchError", "ask"}


def test_a_name_in_place_of_a_model_says_how_to_read_the_model():
    """The line that it gives is the one that reads it."""
    with pytest.raises(WorkbenchError) as said:
        wb.satisfaction(SURVEY, "tcsi")
    assert "Make one: PathModel.from_toml(workbench.project.model_file('tcsi'))." in str(said.value)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_column_that_lacks_or_stands_twice_is_refused(name):
    """Neither is guessed."""
    case, wrong = BY_NAME[name], []
    for table, column in columns(case):
        tables = case.tables()
        whole = tables[table]
        if (column, "lacks") not in case.allows:
            wrong += taken(case, tables | {table: whole.drop(columns=column)}, column)
        if (column, "twice") not in case.allows:
            wrong += taken(case, tables | {table: pd.concat([whole, whole[[column]]], axis=1)}, column)
    assert wrong == []


@pytest.mark.parametrize("name", BY_NAME)
def test_a_table_without_rows_is_refused(name):
    """Of each of its tables."""
    case = BY_NAME[name]
    for key, table in case.tables().items():
        if (key, "empty") in case.allows:
            continue
        with pytest.raises(WorkbenchError):
            case.call(case.tables() | {key: table[:0]}, Names())


@pytest.mark.parametrize("name", BY_NAME)
def test_a_column_without_values_is_no_traceback(name):
    """It is refused, or the answer says what it is an answer to; never an error of Python."""
    case = BY_NAME[name]
    for table, column in columns(case):
        tables = case.tables()
        tables[table] = tables[table].assign(**{column: pd.Series([None] * len(tables[table]), tables[table].index)})
        try:
            found = case.call(tables, Names())
        except WorkbenchError:
            continue
        assert "nan" not in getattr(found, "headline", str)(), (table, column)


@pytest.mark.parametrize("name", BY_NAME)
def test_credit_notes_stop_nothing(name):
    """An amount below 0 in every 23rd row is ordinary: there is an answer, in numbers."""
    case = BY_NAME[name]
    for table, column in columns(case, "money"):
        if (column, "credit notes") not in case.allows:
            tables = case.tables()
            amount = tables[table][column].astype(float)
            credited = amount.where(np.arange(len(amount)) % 23 != 5, -1 - amount / 2)
            found = case.call(tables | {table: tables[table].assign(**{column: credited})}, Names())
            assert "nan" not in getattr(found, "headline", str)(), (table, column)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_placeholder_is_no_day(name):
    """1900-01-01 in a row is what a row without a day is: set aside, or refused."""
    case = BY_NAME[name]

    def outcome(table, column, day):
        tables = case.tables()
        tables[table] = tables[table].assign(**{column: _first(tables[table][column].dt.date, day)})
        try:
            found = case.call(tables, Names())
            if any("placeholder" in reason for reason in getattr(found, "set_aside", {})):
                return "counted"
            return found.headline() if hasattr(found, "headline") else "answered"
        except WorkbenchError:
            return "refused"

    for table, column in columns(case, "day"):
        given = {outcome(table, column, day) for day in (dt.date(1900, 1, 1), dt.date(9999, 12, 31))}
        assert given <= {outcome(table, column, None), "refused", "counted"}, (table, column)
