"""What has changed between two reports of a study? Numbers first, then tables and answer, then what may have caused it.

Re-running a handed-over report and setting two months side by side ask the same question, so both ask it here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.reports import tables

SAME, WITHIN, DIFFERS, MISSING, NEW = "same", "within tolerance", "differs", "missing", "new"
RTOL = 1e-6
_NUMBER = re.compile(r"[\d,]*\d(?:\.(\d+))?")


@dataclass(frozen=True)
class Reading:
    """What a published report says.

    Attributes
    ----------
    numbers : dict
        Rows of `results.json` by name.
    tables : dict
        Payloads of its tables by name.
    answer : str
        The sentences of its answer.
    manifest : dict
    source : tuple of str
        Its cells, but for the one with the run's parameters.
    """

    numbers: dict[str, dict[str, Any]]
    tables: dict[str, dict[str, Any]]
    answer: str
    manifest: dict[str, Any]
    source: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A number, or a cell of a table, on both sides.

    Attributes
    ----------
    name : str
        Of the quantity, or `table · row · column`.
    status : str
        "same", "within tolerance", "differs", "missing" (only before) or "new" (only after).
    before, after : dict or None
        value, and for quantities unit, low, high, rtol; None where it is not there.
    noise : str
        Of a number that differs: "larger than its noise", "within its noise", or "no interval".
    """

    name: str
    status: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    noise: str = ""

    def said(self) -> str:
        """Say it in a line: both sides, the unit, the noise."""
        sides = (self.before, self.after)
        a, b = ("–" if n is None else str(n.get("shown") or _figures(n)) for n in sides)
        unit = (self.before or self.after or {}).get("unit", "")
        return f"{a} → {b}{f' {unit}' if unit not in ('', '1') else ''}{f', {self.noise}' if self.noise else ''}"


@dataclass(frozen=True)
class Comparison:
    """Two reports side by side.

    Attributes
    ----------
    numbers : tuple of Change
        Every recorded number.
    cells : tuple of Change
        Cells, rows and tables that are not the same, and the answer where it is not.
    compared : int
        Cells that were compared.
    causes : tuple of str
        What differs among code, parameters, data and environment.
    """

    numbers: tuple[Change, ...]
    cells: tuple[Change, ...]
    compared: int
    causes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether all is the same, or within its tolerance."""
        return all(c.status in (SAME, WITHIN) for c in (*self.numbers, *self.cells))

    def headline(self) -> str:
        """Say it in a sentence."""
        count = Counter(c.status for c in self.numbers)
        said = ", ".join(f"{count[s]:,} {s}" for s in (SAME, WITHIN, DIFFERS, MISSING, NEW) if count[s])
        off = sum(c.status not in (SAME, WITHIN) for c in self.cells)
        loud = sum(c.noise == "larger than its noise" for c in self.numbers)
        noise = f" ({loud:,} by more than noise)" if count[DIFFERS] else ""
        return f"numbers: {said or 'none'}{noise}; cells of tables and answer: {off:,} of {self.compared:,} differ"


def read_report(folder: Path) -> Reading:
    """Read a published report.

    Raises
    ------
    WorkbenchError
        If the folder holds no whole report.
    """
    from workbench.reports.execute import gather
    from workbench.reports.parameters import read_source

    try:
        rows, manifest, notebook = (
            json.loads((folder / name).read_text("utf-8")) for name in ("results.json", "manifest.json", "report.ipynb")
        )
        said = gather(notebook)
        words = [
            "".join(o["data"]["text/plain"])
            for cell in notebook["cells"]
            for o in cell.get("outputs", [])
            if o.get("metadata", {}).get("workbench", {}).get("kind") == "answer"
        ]
        source = tuple(c["source"] for c in read_source(json.dumps(notebook)) if "injected-parameters" not in c["tags"])
        numbers = {str(row["name"]): row for row in rows}
        if len(numbers) < len(rows):
            raise ValueError("a number is recorded twice")
        return Reading(numbers, {t["name"]: t for t in said.tables}, "\n".join(words), dict(manifest), source)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkbenchError(
            f"'{folder.parent.name}/{folder.name}' is no whole report ({type(error).__name__}: {error}). Run it again."
        ) from error


def compare(before: Reading, after: Reading) -> Comparison:
    """Set two reports side by side; the tolerance is that of the first."""
    names = dict.fromkeys([*before.numbers, *after.numbers])
    numbers = tuple(_number(name, before.numbers.get(name), after.numbers.get(name)) for name in names)
    cells, compared = [], 1
    for name in dict.fromkeys([*before.tables, *after.tables]):
        old, new = before.tables.get(name), after.tables.get(name)
        if old is None or new is None:
            cells.append(_presence(f"table {name}", old and {"value": "a table"}, new and {"value": "a table"}))
        else:
            compared += len(old["rows"]) * len(old["columns"])
            cells += _cells(name, old, new, _tolerance(old, before.numbers.values()))
    loosest = max([RTOL, *(float(n["rtol"]) for n in before.numbers.values())])
    if before.answer != after.answer:
        status = WITHIN if _alike(before.answer, after.answer, loosest) else DIFFERS
        cells.append(Change("answer", status, {"value": before.answer}, {"value": after.answer}))
    return Comparison(numbers, tuple(cells), compared, tuple(_causes(before, after)))


def noise(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say whether a change is larger than the noise of two independent estimates.

    The interval of the difference is made from the arms of the two intervals that face each other
    (Zou and Donner 2008), so that intervals need not be symmetric.

    >>> noise({"value": 5, "low": 3, "high": 7}, {"value": 8, "low": 6, "high": 10})
    'larger than its noise'
    >>> noise({"value": 5, "low": 3, "high": 7}, {"value": 7, "low": 5, "high": 9})
    'within its noise'
    """
    if None in (ends := [side.get(end) for side in (before, after) for end in ("low", "high")]):
        return "no interval"
    rises = after["value"] > before["value"]
    arm = (
        (ends[1] - before["value"], after["value"] - ends[2])
        if rises
        else (before["value"] - ends[0], ends[3] - after["value"])
    )
    return "larger than its noise" if abs(after["value"] - before["value"]) > math.hypot(*arm) else "within its noise"


def _figures(number: Mapping[str, Any]) -> str:
    value = number["value"]
    if not isinstance(value, float):
        return str(value)
    ends = [number.get("low"), number.get("high")]
    return f"{value:.6g}" + (f" ({ends[0]:.6g} to {ends[1]:.6g})" if None not in ends else "")


def _presence(name: str, old: dict | None, new: dict | None) -> Change:
    return Change(name, NEW if old is None else MISSING, old, new)


def _number(name: str, old: dict | None, new: dict | None) -> Change:
    if old is None or new is None:
        return _presence(name, old, new)
    fields = ("value", "low", "high")
    if old["unit"] == new["unit"] and all(old[f] == new[f] for f in fields):
        return Change(name, SAME, old, new)
    arms = [abs(old[f] - old["value"]) for f in fields if old[f] is not None]
    size = max(abs(old["value"]), *arms)  # an estimate of nothing is judged by the width of its interval
    close = old["unit"] == new["unit"] and all(_close(old[f], new[f], float(old["rtol"]), size) for f in fields)
    return Change(name, WITHIN, old, new) if close else Change(name, DIFFERS, old, new, noise(old, new))


def _close(a: Any, b: Any, rtol: float, size: float = 0.0) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or not all(isinstance(v, (int, float)) for v in (a, b)):
        return a is b or (type(a) is type(b) and a == b)
    return a == b or abs(a - b) <= rtol * max(abs(a), abs(b), size)


def _tolerance(table: Mapping[str, Any], numbers: Iterable[Mapping[str, Any]]) -> float:
    """Give a table the loosest tolerance of the recorded numbers that it shows."""
    shown = {v for row in table["rows"] for v in row if isinstance(v, float)}
    return max([RTOL, *(float(n["rtol"]) for n in numbers if n["value"] in shown)])


def _cells(name: str, old: Mapping[str, Any], new: Mapping[str, Any], rtol: float) -> Iterator[Change]:
    """Compare cell by cell; a row is known by its labels, which stand left of the first figure."""
    before, after = _by_label(old), _by_label(new)
    for label in dict.fromkeys([*before, *after]):
        row, other = before.get(label), after.get(label)
        if row is None or other is None:
            yield _presence(f"{name} · {label}", row and {"value": "a row"}, other and {"value": "a row"})
            continue
        for column in dict.fromkeys([*row, *other]):
            where = f"{name} · {label} · {column}"
            if column not in row or column not in other:
                yield _presence(where, row.get(column), other.get(column))
            elif row[column]["value"] != other[column]["value"]:
                a, b = row[column], other[column]
                close = a["shown"] == b["shown"] or _close(a["value"], b["value"], rtol)
                yield Change(where, WITHIN if close else DIFFERS, a, b)


def _by_label(table: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    columns = table["columns"]
    labels = next((i for i, c in enumerate(columns) if c["kind"] in ("number", "integer", "bool")), len(columns))
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    seen: Counter[str] = Counter()
    for i, (row, shown) in enumerate(zip(table["rows"], tables.shown(table), strict=True)):
        label = ", ".join(shown[:labels]) if labels else f"row {i + 1}"
        seen[label] += 1
        label += f" ({seen[label]})" if seen[label] > 1 else ""
        rows[label] = {c["name"]: {"value": v, "shown": s} for c, v, s in zip(columns, row, shown, strict=True)}
    return rows


def _alike(a: str, b: str, rtol: float) -> bool:
    """Say whether two sentences have the same words, and figures that agree but for tolerance and rounding."""
    if _NUMBER.sub("#", a) != _NUMBER.sub("#", b):
        return False
    pairs = zip(_NUMBER.finditer(a), _NUMBER.finditer(b), strict=True)
    figures = ((float(x[0].replace(",", "")), float(y[0].replace(",", "")), len(x[1] or "")) for x, y in pairs)
    return all(abs(x - y) <= rtol * max(x, y) + (1.01 * 10.0**-places if x != y else 0) for x, y, places in figures)


def _causes(before: Reading, after: Reading) -> Iterator[str]:
    """Name what differs among all that a report depends on."""
    old, new = before.manifest, after.manifest
    values = [{p["name"]: p["value"] for p in m.get("parameters", [])} for m in (old, new)]
    versions = [m.get("versions", {}) for m in (old, new)]
    found = []
    for what, (a, b) in (("parameter", values), ("version of", versions)):
        found += [f"{what} {k}: {a.get(k, '–')} → {b.get(k, '–')}" for k in {**a, **b} if a.get(k) != b.get(k)]
    if old.get("data_version") != new.get("data_version"):
        found.append(f"data: {old.get('data_version') or 'none'} → {new.get('data_version') or 'none'}")
    if before.source != after.source:
        changed = sum((Counter(before.source) - Counter(after.source)).values())
        added = sum((Counter(after.source) - Counter(before.source)).values())
        found.append(f"notebook: {changed} cells of before changed or removed, {added} new or changed")
    yield from found
    if old.get("fingerprint") != new.get("fingerprint"):
        yield "package, models or lock: " + ("may differ too" if found else "differ, as nothing else does")
