"""How does a text become a value? The SQL of each type, and of the forms in which people write numbers and days."""

from __future__ import annotations

import re

from workbench.warehouse.ingest.blocks import Origin
from workbench.warehouse.ingest.mapping import BEFORE, EXCEL, PERCENT
from workbench.warehouse.schema import Column
from workbench.warehouse.sql import literal, quoted

DATE_FORM = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]0?0:00(:00(\.0+)?)?)?"
EXCEL_DAYS = (61, 2_958_465)  # before 1 March 1900 Excel counts a day that was none
TIMESTAMP_FORM = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d{1,6}0*)?)?)?"


def present(source: str, missing: tuple[str, ...]) -> str:
    text = quoted(source)
    if len(missing) == 1:
        return f"nullif({text}, {literal(missing[0])})"
    return f"CASE WHEN {text} NOT IN ({', '.join(map(literal, missing))}) THEN {text} END" if missing else text


def cast(u: str, column: Column, value: Origin) -> str:
    match column.type:
        case "text" | "texts":
            return u
        case "double" | "numbers":
            return _scaled(_written(u, value.number), value.scale)
        case "integer" if value.scale or value.number:
            number = _scaled(_written(u, value.number), value.scale)
            return f"CASE WHEN {number} = round({number}) THEN TRY_CAST({number} AS BIGINT) END"
        case "integer":
            return f"CASE WHEN {as_number(u)} = TRY_CAST({u} AS BIGINT) THEN TRY_CAST({u} AS BIGINT) END"
        case "boolean":
            return f"CASE {u} WHEN 'true' THEN true WHEN 'false' THEN false WHEN '1' THEN true WHEN '0' THEN false END"
        case "date" if value.format:
            return f"CAST({parsed(u, value.format)} AS DATE)"
        case "date":
            return f"CASE WHEN regexp_full_match({u}, '{DATE_FORM}') THEN TRY_CAST({u} AS DATE) END"
        case "timestamp" if value.format:
            return parsed(u, value.format)
        case _:
            # Most stand as DuckDB writes them itself; that is many times cheaper to see than any pattern.
            cast = f"TRY_CAST({u} AS TIMESTAMP)"
            usual = f"strlen({u}) = 19 AND CAST({cast} AS VARCHAR) = {u}"
            spaced = f"try_strptime({u}, '%Y-%m-%d %H:%M:%S')"
            other = f"CASE WHEN regexp_full_match({u}, '{TIMESTAMP_FORM}') THEN {cast} END"
            return f"CASE WHEN {usual} THEN {cast} ELSE coalesce({other}, {spaced}) END"


def cast_natural(u: str, column: Column, value: Origin) -> str:
    """What `cast` makes of the text of a number, day or time, without the text."""
    number = _scaled(f"CASE WHEN isfinite(CAST({u} AS DOUBLE)) THEN CAST({u} AS DOUBLE) END", value.scale)
    match column.type:
        case "double":
            return number
        case "integer" if value.scale:
            return f"CASE WHEN {number} = round({number}) THEN TRY_CAST({number} AS BIGINT) END"
        case "integer":
            return f"TRY_CAST({u} AS BIGINT)"
        case "date":
            time = f"CAST({u} AS TIMESTAMP)"
            return f"CASE WHEN {time} = date_trunc('day', {time}) THEN CAST({time} AS DATE) END"
        case _:
            return f"CAST({u} AS TIMESTAMP)"


def parsed(u: str, format: str) -> str:
    """A date or time in the declared form."""
    if format == EXCEL:
        days, (low, high) = as_number(u), EXCEL_DAYS
        at = f"TIMESTAMP '1899-12-30' + to_microseconds(CAST(round({days} * 86400) * 1000000 AS BIGINT))"
        return f"CASE WHEN {days} BETWEEN {low} AND {high} THEN {at} END"
    if before := BEFORE.fullmatch(format):
        whole = (
            f"CASE WHEN regexp_full_match({u}, '[0-9]{{1,4}}(\\.0+)?') THEN CAST(CAST({u} AS DOUBLE) AS INTEGER) END"
        )
        return f"DATE '{before[2]}' - to_{before[1]}s({whole})"
    if "%p" in format:
        u = f"replace(replace({u}, '上午', 'AM'), '下午', 'PM')"
    parsed = f"try_strptime({u}, {literal(format)})"
    if not ADJACENT.search(format):
        return parsed
    return f"CASE WHEN strftime({parsed}, {literal(format)}) = {u} THEN {parsed} END"  # 2026061 is no day


ADJACENT = re.compile("%[YymdHIMSj]%[YymdHIMSj]")


def _written(u: str, form: str | None) -> str:
    """A number as people write it, in the declared form; without one, as programs write it."""
    if form is None:
        return as_number(u)
    plain = f"replace(translate({u}, '０１２３４５６７８９．，（）－＋％￥', '0123456789.,()-+%¥'), ' ', '')"
    bare = f"regexp_replace(regexp_replace({plain}, '^([-+(]?)(¥|\\$|€|£|RMB|CNY)', '\\1'), '(元|圆)([)]?)$', '\\2')"
    group, point = (form[1], "," if form.endswith(",00") else ".") if form != PERCENT else (",", ".")
    digits = rf"([0-9]{{1,3}}([{group}][0-9]{{3}})+|[0-9]+)([{point}][0-9]+)?"
    whole = f"[-+]?{digits}" + (r"%" if form == PERCENT else rf"|[(]{digits}[)]|{digits}-")
    number = f"TRY_CAST(replace(replace(regexp_extract({bare}, '{digits}'), '{group}', ''), '{point}', '.') AS DOUBLE)"
    sign = f"CASE WHEN {bare} LIKE '-%' OR {bare} LIKE '(%' OR {bare} LIKE '%-' THEN -1 ELSE 1 END"
    per = " / 100" if form == PERCENT else ""
    return f"CASE WHEN regexp_full_match({bare}, '{whole}') THEN {number} * {sign}{per} END"


def as_number(u: str) -> str:
    # DuckDB reads 1_000 as 1000 and takes nan and inf for numbers.
    number = f"TRY_CAST({u} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) AND NOT contains({u}, '_') THEN {number} END"


def _scaled(number: str, scale: float | None) -> str:
    if scale is None:
        return number
    inverse = round(1 / scale)
    # 1110 fen / 100 is 11.1; 1110 * 0.01 is not.
    if inverse > 1 and abs(inverse * scale - 1) < 1e-12:
        return f"({number}) / {inverse}.0::DOUBLE"
    return f"({number}) * {scale!r}::DOUBLE"
