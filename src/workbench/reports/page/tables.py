"""Tables as notebooks say them: one payload that becomes HTML, plain text and a sheet.

The payload carries the numbers at full precision, apart from rows that stand on too few customers: those
leave the notebook suppressed, in every form.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.catalogue import entry, label
from workbench.errors import WorkbenchError, require_columns, unknown
from workbench.messages import join, say
from workbench.places import provinces
from workbench.result import MINIMUM_CELL, Totals
from workbench.words import width as width

if TYPE_CHECKING:
    import pandas as pd

MIME = "application/vnd.workbench.table+json"
_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)+")
_POINTS = " points"
_PROBABILITY = re.compile(r"[pq](_\w+)?|\w+_p(_holm)?")
HIDDEN = "–"
SENTENCE = 40
PROGRAMS = ("sql", "toml")  # columns of lines of a program, which no language of people changes
MISSING = ""


def payload(
    frame: pd.DataFrame,
    *,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    counts: str | None = None,
    minimum: int = MINIMUM_CELL,
    totals: Totals = (),
) -> dict[str, Any]:
    """Give a table as plain JSON: columns with kind and format, rows at full precision.

    Parameters
    ----------
    frame : DataFrame
        One row per line of the table; an index that has a name or labels becomes the first columns.
    name, caption : str
        Name of the sheet, and the sentence above the table.
    formats : mapping of str to str, optional
        A format by column, such as ``{"share": "{:.1%}"}``.
    counts : str, optional
        The column that says how many customers a row stands on. Rows below `minimum` are suppressed:
        the count becomes "<10", every other cell that is not a label becomes "–"; and so are those by which they
        could be worked out.
    totals : sequence of str or tuples of str, or None
        Which totals are known: see `suppression.suppressed`.

    Raises
    ------
    WorkbenchError
        If a column is named twice, or a format names no column or does not fit its values.
    """
    import numpy as np
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise WorkbenchError("table '{name}' is a {kind}. Pass a DataFrame, such as result.summary().").of(
            name, type(frame).__name__
        )
    frame = _flat(frame)
    columns = [str(c) for c in frame.columns]
    if len(set(columns)) < len(columns):
        twice = next(c for c in columns if columns.count(c) > 1)
        raise WorkbenchError("table '{name}' has two columns '{twice}'. Rename one.").of(name, twice)
    frame.columns = columns
    small, beside = _suppressed(frame, counts, minimum, name, totals)
    frame = _by_province(frame.set_axis(range(len(frame))))
    small, beside = (np.flatnonzero(np.isin(frame.index, rows)).tolist() for rows in (small, beside))
    low = sorted([*small, *beside])
    for column in formats or {}:
        if column not in columns:
            raise unknown("column", column, columns, say("table '{name}'", name=name))
    kinds = {c: _kind(frame[c]) for c in columns}
    cells = {c: [_plain(v, kinds[c]) for v in frame[c].tolist()] for c in columns}
    for column in columns:
        if kinds[column] != "text" or column == counts:
            for row in low:
                cells[column][row] = None
    made = {
        "name": str(name),
        "caption": str(caption),
        "columns": [
            {"name": c, "kind": kinds[c], "format": (formats or {}).get(c) or _default_format(cells[c], kinds[c])}
            for c in columns
        ],
        "rows": [list(row) for row in zip(*(cells[c] for c in columns), strict=True)],
        "suppressed": low,
        "beside": beside,
        "counts": counts,
        "minimum": minimum,
    }
    shown(made)
    return made


def shown(table: Mapping[str, Any]) -> list[list[str]]:
    """Format every cell of a payload as a reader sees it."""
    suppressed = set(table["suppressed"])
    return [
        [
            hidden(table, column, i) if i in suppressed and hides(table, column) else _formatted(value, column, table)
            for value, column in zip(row, table["columns"], strict=True)
        ]
        for i, row in enumerate(table["rows"])
    ]


def hides(table: Mapping[str, Any], column: Mapping[str, Any]) -> bool:
    """Say whether a suppressed row hides this column: every one but labels."""
    return column["kind"] != "text" or column["name"] == table["counts"]


def hidden(table: Mapping[str, Any], column: Mapping[str, Any], row: int) -> str:
    """Give what stands in place of a suppressed cell."""
    small = column["name"] == table["counts"] and row not in table.get("beside", ())
    return f"<{table['minimum']}" if small else HIDDEN


def as_html(table: Mapping[str, Any], *, longest: int | None = None, mark: str = "") -> str:
    """Write a payload as an HTML table: everything escaped, numbers to the right, at most `longest` rows.

    Columns are called by their labels; columns of sentences are kept wide enough to read. Where most columns are
    numbers the texts are marked, else the numbers; ends of cells are left out, as HTML allows. `mark` begins the id by
    which the region that scrolls is called as the table.
    """
    rows = shown(table)[:longest]
    numeric = [column["kind"] in ("number", "integer") for column in table["columns"]]
    many = 2 * sum(numeric) > len(numeric)
    classes = [_class(column, (row[i] for row in rows), many=many) for i, column in enumerate(table["columns"])]
    names = [html.escape(called(column, table.get("language", "en"), table["name"])) for column in table["columns"]]
    head = "".join(
        f'<th scope="col"{k}>{name}</th>' if name.strip() else f"<td{k}></td>"
        for name, k in zip(names, classes, strict=True)
    )
    cells = [
        f"<td{k}><code>{{}}</code>" if column["name"] in PROGRAMS else f"<td{k}>{{}}"
        for column, k in zip(table["columns"], classes, strict=True)
    ]
    body = "".join(
        "<tr>" + "".join(f.format(html.escape(cell)) for cell, f in zip(row, cells, strict=True)) + "\n" for row in rows
    )
    region, named = (f' role="region" aria-labelledby="{mark}c"', f' id="{mark}c"') if mark else ("", "")
    return (
        f'<div class="table" tabindex="0"{region}><table{" class=v" if many else ""}>\n'
        f"<caption{named}>{html.escape(caption(table, longest))}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def caption(table: Mapping[str, Any], longest: int | None) -> str:
    """Give the caption with what the reader does not see: rows beyond `longest`, rows suppressed."""
    notes = [say("{caption}", caption=table["caption"])]
    if longest is not None and len(table["rows"]) > longest:
        told = {"n": longest, "all": len(table["rows"]), "name": table["name"]}
        notes.append(say("The first {n} of {all} rows; all are in the sheet '{name}'.", **told))
    if table["suppressed"]:
        notes.append(say("Rows on fewer than {n} are suppressed.", n=table["minimum"]))
    if table.get("beside"):
        notes.append(say("So are rows by which these could be worked out."))
    return join(*notes).said(table.get("language", "en"))


def called(column: Mapping[str, Any], language: str = "en", table: str = "") -> str:
    """Say what a column is called, by its label in the table's language; of differences of shares their unit, too.

    In some tables a column has a name of its own.

    >>> called({"name": "difference", "format": "{:+.1%} points"})
    'difference (points)'
    >>> called({"name": "customers"}), called({"name": "customers"}, table="rolls")
    ('customers', 'account months')
    """
    name = str(column.get("label") or label(column["name"], table=table))
    return (
        entry("{column} (points)", language).format(column=name) if column.get("format", "").endswith(_POINTS) else name
    )


def _class(column: Mapping[str, Any], cells: Iterable[str], *, many: bool) -> str:
    """Give the class of a column's cells: numbers, days, sentences, texts among `many` numbers."""
    if column["kind"] in ("number", "integer"):
        return "" if many else " class=n"
    if column["kind"] == "date":
        return " class=d"
    wide = max(map(width, cells), default=0) > SENTENCE
    return " class=w" if wide else " class=t" if many else ""


def as_text(table: Mapping[str, Any]) -> str:
    """Write a payload as aligned plain text."""
    grid = [[called({**c, "label": c["name"]}) for c in table["columns"]], *shown(table)]
    widths = [max(map(width, column)) for column in zip(*grid, strict=True)]
    right = [c["kind"] in ("number", "integer") for c in table["columns"]]
    lines = [
        "  ".join(
            " " * (w - width(cell)) + cell if r else cell + " " * (w - width(cell))
            for cell, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in grid
    ]
    return "\n".join([table["caption"], *lines])


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    frame = frame.copy()
    if isinstance(frame.columns, pd.MultiIndex):
        frame.columns = [" · ".join(str(part) for part in c if str(part)) for c in frame.columns]
    index = frame.index
    if isinstance(index, pd.RangeIndex) and index.name is None:
        return frame
    if index.nlevels == 1 and index.name is None and pd.api.types.is_integer_dtype(index):
        return frame.reset_index(drop=True)
    frame.index.names = [n if n is not None else ("" if i == 0 else " " * i) for i, n in enumerate(index.names)]
    repeated = [n for n in frame.index.names if n in frame.columns]
    return frame.reset_index(drop=False, allow_duplicates=bool(repeated))


def _by_province(frame: pd.DataFrame) -> pd.DataFrame:
    """Put provinces that stand by their letters, as grouping leaves them, in the order of their codes."""
    import numpy as np

    for at, name in enumerate(frame.columns[:3]):
        known = {p: place.code for p in set(frame[name].astype(str)) if (place := provinces().get(p))}
        codes = frame[name].astype(str).map(known)
        if len(known) > 2 and codes.notna().all():
            group = frame.groupby(list(frame.columns[:at]), sort=False).ngroup() if at else codes.eq("")
            letters = frame[name].astype(str).groupby(group)
            if all(names.is_monotonic_increasing for _, names in letters):
                order = np.lexsort([codes.astype(str).to_numpy(dtype=str), group.to_numpy()])
                return frame.iloc[order]
    return frame


def _kind(column: pd.Series) -> str:
    from pandas.api import types

    if types.is_bool_dtype(column):
        return "bool"
    if types.is_integer_dtype(column):
        return "integer"
    if types.is_numeric_dtype(column):
        return "number"
    if types.is_datetime64_any_dtype(column):
        midnight = column.dropna()
        return "date" if (midnight == midnight.dt.normalize()).all() else "datetime"
    filled = column.dropna().tolist()
    if filled and all(hasattr(v, "isoformat") and hasattr(v, "year") for v in filled):
        return "datetime" if any(getattr(v, "hour", 0) or getattr(v, "minute", 0) for v in filled) else "date"
    if filled and all(isinstance(v, (int, float)) or hasattr(v, "as_tuple") for v in filled):
        return "number"
    return "text"


def _plain(value: Any, kind: str) -> Any:
    import pandas as pd

    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    if kind == "bool":
        return bool(value)
    if kind == "integer":
        return int(value)
    if kind == "number":
        number = float(value)
        return number if math.isfinite(number) else None
    if kind in ("date", "datetime"):
        moment = pd.Timestamp(value)
        return moment.date().isoformat() if kind == "date" else moment.isoformat(sep=" ", timespec="seconds")
    return str(value)


def _default_format(cells: list[Any], kind: str) -> str:
    if kind not in ("integer", "number"):
        return ""
    largest = max((abs(v) for v in cells if v is not None), default=0)
    if kind == "integer":
        return "{:,d}" if largest >= 10_000 else "{:d}"
    if all(v == round(v) for v in cells if v is not None):
        return "{:,.0f}"
    magnitude = math.floor(math.log10(largest)) if largest else 0
    return f"{{:,.{min(max(3 - magnitude, 0), 6)}f}}"


def _formatted(value: Any, column: Mapping[str, Any], table: Mapping[str, Any]) -> str:
    if value is None:
        return MISSING
    if column["kind"] == "bool":
        return entry("yes" if value else "no", table.get("language", "en"))
    if not column["format"]:
        spoken, parts = table.get("language", "en"), str(value).split(" · ")
        return " · ".join(label(part, spoken) if _CODE.fullmatch(part) else part for part in parts)
    try:
        text = column["format"].format(value).removesuffix(f"%{_POINTS}")
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise WorkbenchError(
            "table '{name}': the format '{format}' does not fit column '{column}' ({kind}, for instance {value}). "
            "Write one such as '{{:.1f}}', '{{:,.0f}}' or '{{:.1%}}'."
        ).of(table["name"], column["format"], column["name"], column["kind"], repr(value)) from error
    if isinstance(value, (int, float)) and value < 0:
        return text.replace("-", "\N{MINUS SIGN}" if re.search("[1-9]", text) else "", 1)
    if _PROBABILITY.fullmatch(column["name"]) and value >= 0 and "." in text and not text.strip("0."):
        return f"<{text[:-1]}1"
    return text


def _suppressed(
    frame: pd.DataFrame, counts: str | None, minimum: int, name: str, totals: Totals
) -> tuple[list[int], list[int]]:
    from workbench.suppression import suppressed

    if counts is None or frame.empty:
        return [], []
    where = say("table '{name}'", name=name)
    require_columns(frame, [counts], where, hint="counts= names the column of counts.")
    if _kind(frame[counts]) not in ("integer", "number"):
        raise WorkbenchError("table '{name}': the column of counts '{counts}' holds no numbers.").of(name, counts)
    return suppressed(frame, counts, minimum, totals)


def withheld(frame: pd.DataFrame, counts: str, minimum: int, totals: Totals = ()) -> set[int]:
    """Give the places of the rows of a table that its `payload` suppresses."""
    return set().union(*_suppressed(_flat(frame), counts, minimum, "", totals))
