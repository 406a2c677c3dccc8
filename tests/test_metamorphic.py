"""What must not matter: row order, column order, names, ids, units, dtypes, time zones - for every public function.

The table of relation and function, in Markdown: `PYTHONPATH=src:tests/reference python tests/test_metamorphic.py`.
"""

import dataclasses
import datetime as dt
import re
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Real

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from doors import BY_NAME, CASES, ROLE, ROOMS, WITHOUT, Case, Names, Tables, answered

from workbench.errors import WorkbenchError
from workbench.result import Quantity, Result

ROWS = ("answers", "position", "rows", "chance", "gain", "draws")  # single rows, in the order that a result keeps


def said(result: object) -> object:
    """All that a result says: its fields, sentence, table and numbers, as plain values."""
    if isinstance(result, Result):
        heard = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name not in ROWS}
        return heard | {
            "headline()": result.headline(),
            "summary()": result.summary(),
            "quantities()": list(result.quantities()),
        }
    if dataclasses.is_dataclass(result):
        return {f.name: getattr(result, f.name) for f in dataclasses.fields(result)}
    return result


def close(a: float, b: float) -> bool:
    """Equal but for the order of sums, and for where an iteration stopped."""
    return abs(a - b) <= 1e-7 + 1e-5 * max(abs(a), abs(b))


def differences(
    one: object, other: object, where: str = "", *, same: Callable = close, free: bool = False
) -> list[str]:
    """Walk two results side by side and list what differs.

    Rows of tables are matched by their ids or their index where there are such; with `free` by their words.
    """
    again = partial(differences, same=same, free=free)
    if isinstance(one, Result) or dataclasses.is_dataclass(one):
        return again(said(one), said(other), where)
    if isinstance(one, pd.DataFrame):
        if free and set(one.columns) == set(other.columns):
            other = other[list(one.columns)]
        if list(one.columns) != list(other.columns):
            return [f"{where}: columns {list(one.columns)[:6]} for {list(other.columns)[:6]}"]
        one, other = _by_words(one, other, free=free)
        other = _aligned(one, other)
        return [
            d
            for c in range(one.shape[1])
            for d in again(one.iloc[:, c].to_list(), other.iloc[:, c].to_list(), f"{where}.{one.columns[c]}")
        ][:3]
    if isinstance(one, pd.Series):
        return again(one.to_list(), _aligned(one, other).to_list(), where)
    if isinstance(one, pd.Index):
        return again(list(one), list(other), where)
    if isinstance(one, np.ndarray):
        if one.shape != np.shape(other):
            return [f"{where}: shape {one.shape} for {np.shape(other)}"]
        if one.dtype.kind == "f":
            wrong = ~(np.isclose(one, other, rtol=1e-5, atol=1e-7, equal_nan=True))
            if not wrong.any():
                return []
        return again(one.ravel().tolist(), np.asarray(other).ravel().tolist(), where)
    if isinstance(one, Mapping):
        if free:
            other = (
                dict(sorted(other.items(), key=lambda item: list(map(str, one)).index(str(item[0]))))
                if {*map(str, one)} == {*map(str, other)}
                else other
            )
        if list(map(str, one)) != list(map(str, other)):
            return [f"{where}: {list(one)[:6]} for {list(other)[:6]}"]
        return [
            d for key, value in zip(one, other.values(), strict=True) for d in again(one[key], value, f"{where}.{key}")
        ]
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return [f"{where}: {len(one)} for {len(other)}"]
        if free and all(isinstance(part, Quantity) for part in (*one, *other)):
            one, other = (sorted(parts, key=lambda part: part.name) for parts in (one, other))
        found = (again(a, b, where) for a, b in zip(one, other, strict=True))
        return [d for part in found for d in part][:2]
    if callable(one) or type(one).__module__.startswith(("numpy.random", "scipy")):
        return []
    if pd.api.types.is_scalar(one) and pd.isna(one):
        return [] if pd.api.types.is_scalar(other) and pd.isna(other) else [f"{where}: {one} for {other}"]
    if isinstance(one, Real) and isinstance(other, Real) and not isinstance(one, (bool, np.bool_)):
        return [] if one == other or same(float(one), float(other)) else [f"{where}: {one:.7g} for {other:.7g}"]
    if isinstance(one, (pd.Timestamp, dt.date)):
        return [] if _clock(one) == _clock(other) else [f"{where}: {one} for {other}"]
    if isinstance(one, (str, Real)) or isinstance(other, str):
        return [] if str(one) == str(other) else [f"{where}: {str(one)[:150]!r} for {str(other)[:150]!r}"]
    if type(one).__module__.startswith("workbench") and hasattr(one, "__dict__"):
        return again(vars(one), vars(other), where)
    try:
        return [] if bool(one == other) else [f"{where}: {str(one)[:60]} for {str(other)[:60]}"]
    except (TypeError, ValueError):
        return []


def _clock(value: object) -> pd.Timestamp:
    return pd.Timestamp(value).replace(tzinfo=None)


def _by_words(one: pd.DataFrame, other: pd.DataFrame, *, free: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give two tables with their rows in one order: that of their ids, or with `free` of all that is text in them."""
    keys = [c for c in one if ROLE.get(c) == "id"][:1] or [c for c in one if free and one[c].dtype.kind not in "fiub"]
    if not keys:
        return one, other
    orders = (
        [
            row[0]
            for row in sorted(
                enumerate("|".join(map(str, row)) for row in t[keys].to_numpy().tolist()), key=lambda row: row[1]
            )
        ]
        for t in (one, other)
    )
    return tuple(t.iloc[order].reset_index(drop=True) for t, order in zip((one, other), orders, strict=True))


def _aligned(one, other):
    if len(one) == len(other) and one.index.is_unique and other.index.is_unique and not one.index.equals(other.index):
        if set(map(str, one.index)) == set(map(str, other.index)):
            return other.set_axis(map(str, other.index)).reindex(list(map(str, one.index)))
    return other


def asked(case: Case) -> Names:
    """The names that a case asks for."""
    return answered(case)[1]


def plain(case: Case) -> object:
    """The result of a case as it stands."""
    return answered(case)[0]


def changed(
    tables: Tables, change: Callable[[pd.Series], pd.Series], roles: tuple[str, ...], columns: set[str]
) -> Tables:
    """Change the columns of these meanings that the function asks for."""
    found = {}
    for name, table in tables.items():
        hit = [c for c in table if ROLE.get(c) in roles and c in columns]
        found[name] = table.assign(**{c: change(table[c]) for c in hit})
    return found


def has(case: Case, *roles: str) -> bool:
    """Does the function read a column of one of these meanings?"""
    columns = {c for t in case.tables().values() for c in t}
    return any(ROLE.get(c) in roles for c in columns & asked(case).asked)


def compare(case: Case, tables: Tables, names: Names | None = None, back: Mapping[str, str] = {}, **how) -> list[str]:
    """What differs in the result of these tables from that of the plain ones."""
    return differences(plain(case), _renamed(case.call(tables, names or Names()), back), **how)


def _renamed(value: object, back: Mapping[str, str]) -> object:
    """Give what a result says with its columns' old names."""
    if not back:
        return value
    again = partial(_renamed, back=back)
    if isinstance(value, str):
        for new, old in back.items():
            for there, here in (("_", "_"), ("_", " ")):
                value = value.replace(new.replace(there, here), old.replace(there, here))
        return value
    if isinstance(value, Result) or dataclasses.is_dataclass(value):
        return {again(k): again(v) for k, v in said(value).items()}
    if isinstance(value, pd.DataFrame):
        found = pd.DataFrame(
            {c: again(value.iloc[:, c].to_list()) for c in range(value.shape[1])}, index=again(value.index)
        )
        return found.set_axis(again(list(value.columns)), axis=1)
    if isinstance(value, pd.Series):
        return pd.Series(again(value.to_list()), index=again(value.index), dtype=object)
    if isinstance(value, pd.Index):
        return pd.Index(again(value.to_list()))
    if isinstance(value, Mapping):
        return {again(k): again(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(again, value)) if type(value) in (list, tuple) else [*map(again, value)]
    return value


def rows_shuffled(case: Case) -> list[str]:
    """Any order of the rows."""
    return compare(case, {k: t.sample(frac=1, random_state=3) for k, t in case.tables().items()})


def index_relabelled(case: Case) -> list[str]:
    """Labels of rows that say nothing; where they repeat, the result is the same or says that it needs them."""
    if any(t.index.name in ROLE for t in case.tables().values()):
        return []
    tables = {k: t.set_axis([f"r{i * 7 % 1009}" for i in range(len(t))]) for k, t in case.tables().items()}
    found = case.call(tables, Names())
    renamed = {k: t.set_axis(np.arange(len(t))) for k, t in case.tables().items()}
    if isinstance(found, (pd.Series, pd.DataFrame)) and len(found) == len(next(iter(tables.values()))):
        found = found.set_axis(plain(case).index)
    wrong = differences(plain(case), found)
    try:
        found = case.call({k: t.set_axis(np.zeros(len(t), int)) for k, t in renamed.items()}, Names())
    except WorkbenchError as error:
        return wrong if "repeats row labels" in str(error) else [*wrong, f"refused in other words: {error}"]
    return wrong + differences(plain(case), found)


def columns_reordered(case: Case) -> list[str]:
    """Any order of the table's columns, and of the covariates or features."""
    return compare(case, {k: t[t.columns[::-1]] for k, t in case.tables().items()}, Names(back=True), free=True)


def columns_renamed(case: Case) -> list[str]:
    """Other names, that sort otherwise."""
    columns = {c for t in case.tables().values() for c in t}
    free = sorted(asked(case).free & columns)
    rename = {c: f"k{len(free) - i:02}{c}" for i, c in enumerate(free)}
    tables = {k: t.rename(columns=rename).rename_axis(index=rename) for k, t in case.tables().items()}
    return compare(case, tables, Names(rename), {v: k for k, v in rename.items()}, free=True)


def ids_as_text(case: Case) -> list[str]:
    """Integer or text ids; as text, 100 sorts before 95."""
    tables = changed(case.tables(), lambda c: c.astype(str), ("id",), asked(case).asked)
    return compare(case, tables, free=True)


def ids_of_one_table(case: Case) -> list[str]:
    """Ids that one of several tables holds as text, or as floats for a gap elsewhere, are those of the others."""
    found = []
    for change in (lambda c: c.astype(str), lambda c: c.astype(float)):
        tables = case.tables()
        first = next(iter(tables))
        tables |= changed({first: tables[first]}, change, ("id",), asked(case).asked)
        found += compare(case, tables, free=True)
    return found


def holds_ids(case: Case) -> int:
    """Of how many tables an id is asked for."""
    return sum(any(ROLE.get(c) == "id" for c in {*t} & asked(case).asked) for t in case.tables().values())


def unused_column(case: Case) -> list[str]:
    """A column of which nothing was said: without any value, and with one in every row."""
    return compare(case, {k: t.assign(nothing=np.nan, constant=1.0) for k, t in case.tables().items()})


def constant_covariate(case: Case) -> list[str]:
    """A covariate that is the same for everyone."""
    tables = {k: t.assign(constant=1.0) for k, t in case.tables().items()}
    found = case.call(tables, Names(extra=["constant"]))
    return differences(numbers_of(plain(case)), numbers_of(found))


def empty_covariate(case: Case) -> list[str]:
    """A covariate without a value is refused by name, or changes nothing."""
    tables = {k: t.assign(nothing=np.nan) for k, t in case.tables().items()}
    try:
        found = case.call(tables, Names(extra=["nothing"]))
    except WorkbenchError as error:
        return [] if "nothing" in str(error) else [f"refused without its name: {error}"]
    return differences(numbers_of(plain(case)), numbers_of(found))


def numbers_of(result: object) -> object:
    """The estimates that a result is read for."""
    if isinstance(result, Result):
        found = [q for q in result.quantities() if "nothing" not in q.name and "constant" not in q.name]
        return {q.name: (q.value, q.low, q.high) for q in found} or result.headline()
    return result


def of_dtype(roles: tuple[str, ...], change: Callable[[pd.Series], pd.Series]) -> Callable[[Case], list[str]]:
    """Other dtypes of the same values."""
    return lambda case: compare(case, changed(case.tables(), change, roles, asked(case).asked))


def _arrow(column: pd.Series) -> pd.Series:
    kind = pa.bool_() if column.dtype == bool else pa.float64() if column.dtype.kind == "f" else pa.int64()
    return column.astype(pd.ArrowDtype(kind))


def _objects(column: pd.Series) -> pd.Series:
    from decimal import Decimal

    return pd.Series([None if pd.isna(v) else Decimal(repr(v)) for v in column.tolist()], column.index, dtype=object)


def in_fen(case: Case) -> list[str]:
    """Money in fen: a hundred times the money, all else as it was."""
    tables = changed(case.tables(), lambda c: c * 100, ("money",), asked(case).asked)
    names = Names(money=100.0)
    found = case.call(tables, names)

    def same(a: float, b: float) -> bool:
        return any(abs(a * by - b) <= 1e-7 + 1e-5 * abs(b) for by in (1, 100, 10_000, 1e-2))

    one, other = said(plain(case)), said(found)
    if isinstance(one, dict) and "headline()" in one:
        words = [re.sub(r"[−+-]?[\d,.]+(e[+-]?\d+)?", "#", r["headline()"]) for r in (one, other)]
        if words[0] != words[1]:
            return [f"headline: {one['headline()'][:160]!r} for {other['headline()'][:160]!r}"]
        one, other = (
            {k: (v.value, v.low, v.high) for k, v in ((q.name, q) for q in r["quantities()"])} for r in (one, other)
        )
    return differences(one, other, same=same)


def arms_swapped(case: Case) -> list[str]:
    """Control for treated: the effect turns its sign, and so do its ends."""
    tables = {k: t.assign(t=1 - t["t"]) if "t" in t else t for k, t in case.tables().items()}
    one, other = case.effects(plain(case)), case.effects(case.call(tables, Names()))
    return differences(list(one), [(-e, -high, -low) for e, low, high in other])


def rows_for_weights(case: Case) -> list[str]:
    """A row of weight 3 is three rows of weight 1."""
    tables = {}
    for key, table in case.tables().items():
        tables[key] = table.loc[table.index.repeat(table["weight"])].assign(weight=1).reset_index(drop=True)
    return differences(case.estimates(plain(case)), case.estimates(case.call(tables, Names())))


NUMBERS = ("number", "money", "item", "weight", "arm", "flag")
WORDS = ("category",)
RELATIONS: dict[str, tuple[Callable[[Case], list[str]], Callable[[Case], bool]]] = {
    "rows shuffled": (rows_shuffled, lambda case: True),
    "index relabelled": (index_relabelled, lambda case: True),
    "columns reordered": (columns_reordered, lambda case: True),
    "columns renamed": (columns_renamed, lambda case: True),
    "ids as text": (ids_as_text, lambda case: has(case, "id")),
    "ids of one table": (ids_of_one_table, lambda case: holds_ids(case) > 1),
    "unused column": (unused_column, lambda case: True),
    "constant covariate": (constant_covariate, lambda case: bool(asked(case).listed)),
    "covariate without values": (empty_covariate, lambda case: bool(asked(case).listed)),
    "money in fen": (in_fen, lambda case: has(case, "money")),
    "arms swapped": (arms_swapped, lambda case: case.effects is not None),
    "rows for weights": (rows_for_weights, lambda case: case.estimates is not None),
    "numbers nullable": (of_dtype(NUMBERS, lambda c: c.convert_dtypes()), lambda case: has(case, *NUMBERS)),
    "numbers Arrow": (of_dtype(NUMBERS, _arrow), lambda case: has(case, *NUMBERS)),
    "numbers Decimal": (
        of_dtype(("number", "money", "item", "weight"), _objects),
        lambda case: has(case, *NUMBERS[:4]),
    ),
    "flags boolean": (of_dtype(("flag",), lambda c: c.astype(bool)), lambda case: has(case, "flag")),
    "text as category": (of_dtype(WORDS, lambda c: c.astype("category")), lambda case: has(case, *WORDS)),
    "text Arrow": (of_dtype(WORDS, lambda c: c.astype(pd.ArrowDtype(pa.string()))), lambda case: has(case, *WORDS)),
    "days with a zone": (
        of_dtype(("day",), lambda c: c.dt.tz_localize("Asia/Shanghai")),
        lambda case: has(case, "day"),
    ),
    "days as ISO text": (of_dtype(("day",), lambda c: c.dt.strftime("%Y-%m-%d")), lambda case: has(case, "day")),
    "days as dates": (of_dtype(("day",), lambda c: c.dt.date.astype(object)), lambda case: has(case, "day")),
    "days in ns": (of_dtype(("day",), lambda c: c.astype("datetime64[ns]")), lambda case: has(case, "day")),
    "days Arrow": (
        of_dtype(("day",), lambda c: c.dt.date.astype(pd.ArrowDtype(pa.date32()))),
        lambda case: has(case, "day"),
    ),
}


def applies(relation: str, case: Case) -> bool:
    """Does the relation say something about the function?"""
    return relation not in case.skip and RELATIONS[relation][1](case)


@pytest.mark.parametrize("name", BY_NAME)
def test_what_must_not_matter_does_not(name):
    """The result says the same, to the digits, or as the relation transforms it."""
    case = BY_NAME[name]
    wrong = {relation: check(case) for relation, (check, _) in RELATIONS.items() if applies(relation, case)}
    assert not {relation: found for relation, found in wrong.items() if found}


def test_every_public_function_is_in_the_suite():
    """A new function is added to the cases, or to the list of those that take no table, with the reason."""
    public = {n for room in ROOMS for n in room.__all__ if n[0].islower()}
    missing = public - {c.name.split(".")[1].split()[0] for c in CASES} - set(WITHOUT)
    assert not missing, f"tests/reference/doors.py: write a Case for {missing}, or a reason under WITHOUT"


def test_relations_that_do_not_apply_say_why():
    """Each is a known relation, with a reason."""
    assert all(relation in RELATIONS and reason for case in CASES for relation, reason in case.skip.items())


def table() -> str:
    """Tabulate relation and function: ✓ holds, ✗ does not, – says nothing; reasons below."""
    lines = ["| function | " + " | ".join(RELATIONS) + " |", "|---" * (len(RELATIONS) + 1) + "|"]
    reasons, wrong = [], []
    for case in CASES:
        cells = []
        for relation, (check, _) in RELATIONS.items():
            if relation in case.skip:
                cells.append("°")
                reasons.append(f"{case.name}, {relation}: {case.skip[relation]}")
            elif not applies(relation, case):
                cells.append("–")
            else:
                try:
                    found = check(case)
                except Exception as error:
                    found = [f"{type(error).__name__}: {error}"]
                cells.append("✗" if found else "✓")
                wrong += [f"{case.name}, {relation}: {found[0]}"] if found else []
        lines.append(f"| {case.name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"- ° {r}" for r in reasons), *(f"- ✗ {w}" for w in wrong)])


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(table())
