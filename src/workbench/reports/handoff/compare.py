"""What has changed between two reports of a study? Numbers first, then tables and answer, then what may have caused it.

Re-running a handed-over report and setting two months side by side ask the same question, so both ask it here.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from workbench.catalogue import unit as unit_said
from workbench.errors import WorkbenchError
from workbench.messages import Listed, Message, Name, Named, Number, Span, Term, Value, Word, say
from workbench.methods.multiple import holm
from workbench.recognised import recognised
from workbench.reports.page import tables
from workbench.reports.runs.sources import values_in

LEVEL = 0.95
SAME, WITHIN, DIFFERS, MISSING, NEW = "same", "within tolerance", "differs", "missing", "new"
LOUD, QUIET = "significant", "not significant"
RTOL = 1e-6
_NUMBER = re.compile(r"[\d,]*\d(?:\.(\d+))?")
Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """What a published report says: recorded numbers and tables by name, answer, manifest, and its cells' source."""

    numbers: dict[str, Fields]
    tables: dict[str, Fields]
    answer: str
    manifest: dict[str, Any]
    source: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A number, or a cell named `table · row · column`, on both sides; None where it is not there.

    `significance` says of a number that differs whether it does by more than chance, as far as its intervals tell.
    """

    name: str
    status: str
    before: Fields | None
    after: Fields | None
    significance: str = ""

    @property
    def good(self) -> bool:
        """Whether it counts as the same."""
        return self.status in (SAME, WITHIN)

    def order(self) -> tuple[Any, ...]:
        """Sort by what matters: what differs significantly, by how far, then what differs otherwise, or not."""
        far, sides = _distance(self.before, self.after), [n["value"] for n in (self.before, self.after) if n]
        told = [v for v in sides if isinstance(v, (int, float))]
        part = abs(told[1] - told[0]) / max(map(abs, told)) if len(told) == 2 and any(told) else 1.0
        return self.good, self.significance != LOUD, -(far or 0.0), -part, self.name

    def said(self) -> Message:
        """Say it in a line: both sides, the unit, whether the change is significant."""
        unit = (self.before or self.after or {}).get("unit", "1")
        sides = say("{before} → {after}", before=_said(self.before), after=_said(self.after))
        change = sides if unit == "1" else say("{change} {unit}", change=sides, unit=Named(unit, unit_said(unit, "zh")))
        judged = self.significance
        return say("{change}, {significance}", change=change, significance=Term(judged)) if judged else change


@dataclass(frozen=True)
class Comparison:
    """Two reports side by side: every number, the `cells` not the same of so many `compared`, and likely causes."""

    numbers: tuple[Change, ...]
    cells: tuple[Change, ...]
    compared: int
    causes: tuple[Message, ...]

    @property
    def same(self) -> bool:
        """Whether all is the same, or within its tolerance."""
        return all(c.good for c in (*self.numbers, *self.cells))

    def headline(self) -> Message:
        """Say it in a sentence."""
        count = Counter(c.status for c in self.numbers)
        each = [
            say("{n} {status}", n=count[s], status=Term(s)) for s in (SAME, WITHIN, DIFFERS, MISSING, NEW) if count[s]
        ]
        said: Listed | Message = Listed(each, "") if each else say("none")
        if count[DIFFERS]:
            loud = sum(c.significance == LOUD for c in self.numbers)
            said = say("{counts} ({n} significant)", counts=said, n=loud)
        off = sum(not c.good for c in self.cells)
        return say(
            "numbers: {numbers}; cells of tables and answer: {off} of {all} differ",
            numbers=said,
            off=off,
            all=self.compared,
        )


def read_report(folder: Path) -> Reading:
    """Read a published report; a folder that holds no whole one is refused."""
    from workbench.reports.runs.parameters import read_source
    from workbench.reports.runs.write import gather

    report = f"{folder.parent.name}/{folder.name}"
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        if (why := manifest.get("error")) and not (folder / "results.json").is_file():
            told = recognised(why) or Word(why)
            raise WorkbenchError("'{report}' has no numbers, for its run failed: {error}").of(report, told)
        rows = json.loads((folder / "results.json").read_text("utf-8"))
        text = (folder / "report.ipynb").read_text("utf-8")
        outputs = [o for cell in json.loads(text)["cells"] for o in cell.get("outputs", [])]
        answers = [o for o in outputs if o.get("metadata", {}).get("workbench", {}).get("kind") == "answer"]
        answer = "\n".join("".join(o["data"]["text/plain"]) for o in answers)
        source = tuple(c["source"] for c in read_source(text) if "injected-parameters" not in c["tags"])
        shown: dict[str, Fields] = {t["name"]: t for t in gather(json.loads(text)).tables}
        numbers = {row["name"]: _checked(row) for row in rows}
        if len(numbers) < len(rows):
            raise ValueError("a number is there twice")
        return Reading(numbers, shown, answer, dict(manifest), source)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkbenchError("'{report}' is no whole report ({kind}: {error}). Run it again.").of(
            report, type(error).__name__, str(error)
        ) from error


def compare(before: Reading, after: Reading) -> Comparison:
    """Set two reports side by side; of two tolerances for a number the stricter holds."""
    names = dict.fromkeys([*before.numbers, *after.numbers])
    pairs = (_number(name, before.numbers.get(name), after.numbers.get(name)) for name in names)
    numbers = tuple(sorted(_corrected(pairs), key=Change.order))
    cells: list[Change] = []
    for name in dict.fromkeys([*before.tables, *after.tables]):
        old, new = before.tables.get(name), after.tables.get(name)
        if old is None or new is None:
            cells.append(_presence(f"table {name}", old and {"value": "a table"}, new and {"value": "a table"}))
        else:
            cells += _cells(name, old, new, _tolerance(new, after.numbers.values()))
    if before.answer != after.answer:
        loosest = max([RTOL, *(float(n["rtol"]) for n in after.numbers.values())])
        status = WITHIN if _alike(before.answer, after.answer, loosest) else DIFFERS
        cells.append(Change("answer", status, {"value": before.answer}, {"value": after.answer}))
    compared = 1 + sum(len(t["rows"]) * len(t["columns"]) for t in before.tables.values())
    return Comparison(numbers, tuple(cells), compared, tuple(_causes(before, after)))


def significance(before: Fields, after: Fields) -> str:
    """Say whether the change between two independent estimates is significant.

    The interval of the difference is made of the arms of the two intervals that face each other (Zou and Donner 2008),
    so that intervals need not be symmetric.

    >>> significance({"value": 5, "low": 3, "high": 7}, {"value": 8, "low": 6, "high": 10})
    'significant'
    >>> significance({"value": 5, "low": 3, "high": 7}, {"value": 7, "low": 5, "high": 9})
    'not significant'
    """
    found = _distance(before, after)
    return "no interval" if found is None else LOUD if found > 1 else QUIET


def _distance(before: Fields | None, after: Fields | None) -> float | None:
    """How far two estimates lie apart, in half widths of the interval of their difference; None without intervals."""
    if before is None or after is None:
        return None
    lower, upper = sorted((before, after), key=lambda n: n["value"])
    if lower.get("high") is None or upper.get("low") is None:
        return None
    arms = math.hypot(lower["high"] - lower["value"], upper["value"] - upper["low"])
    gap = upper["value"] - lower["value"]
    return gap / arms if arms else math.inf if gap else 0.0


def _corrected(numbers: Iterable[Change]) -> Iterator[Change]:
    """Judge the changes of one kind together (Holm), as a study does where it compares many; unchanged ones count."""
    for _, of in groupby(sorted(numbers, key=_stem), key=_stem):
        judged = [(change, _distance(change.before, change.after)) for change in of]
        known = [k for k, (_, far) in enumerate(judged) if far is not None]
        p = holm(np.array([math.erfc(1.959964 * (judged[k][1] or 0.0) / math.sqrt(2)) for k in known]))
        loud = {k for k, adjusted in zip(known, p, strict=True) if adjusted < 1 - LEVEL}
        for k, (change, far) in enumerate(judged):
            told = change.significance and far is not None
            yield replace(change, significance=LOUD if k in loud else QUIET) if told else change


def _stem(change: Change) -> str:
    return change.name.partition("[")[0]


def _checked(row: Fields) -> Fields:
    figures = (row["value"], row["rtol"], *(row[end] for end in ("low", "high") if row[end] is not None))
    if not all(isinstance(f, (int, float)) for f in figures) or not all(
        isinstance(row[k], str) for k in ("name", "unit")
    ):
        raise ValueError(f"number {row['name']!r} is not a number")
    return row


def _presence(name: str, old: Fields | None, new: Fields | None) -> Change:
    return Change(name, NEW if old is None else MISSING, old, new)


def _number(name: str, old: Fields | None, new: Fields | None) -> Change:
    if old is None or new is None:
        return _presence(name, old, new)
    fields = ("value", "low", "high")
    # An estimate near nothing is judged by the width of its interval.
    size = max(abs(old["value"]), *(abs(old[f] - old["value"]) for f in fields if old[f] is not None))
    rtol = min(float(old["rtol"]), float(new["rtol"]))
    if old["unit"] != new["unit"] or not all(_close(old[f], new[f], rtol, size) for f in fields):
        return Change(name, DIFFERS, old, new, significance(old, new))
    return Change(name, SAME if all(old[f] == new[f] for f in fields) else WITHIN, old, new)


def _close(a: Any, b: Any, rtol: float, size: float = 0.0) -> bool:
    if {type(a), type(b)} <= {int, float}:
        return a == b or abs(a - b) <= rtol * max(abs(a), abs(b), size)
    return type(a) is type(b) and a == b


def _tolerance(table: Fields, numbers: Iterable[Fields]) -> float:
    """Give a table the loosest tolerance of the recorded numbers that it shows."""
    shown = {v for row in table["rows"] for v in row if isinstance(v, float)}
    return max([RTOL, *(float(n["rtol"]) for n in numbers if n["value"] in shown)])


def _cells(name: str, old: Fields, new: Fields, rtol: float) -> Iterator[Change]:
    before, after = _by_label(old), _by_label(new)
    for label in dict.fromkeys([*before, *after]):
        row, other = before.get(label), after.get(label)
        if row is None or other is None:
            yield _presence(f"{name} · {label}", row and {"value": "a row"}, other and {"value": "a row"})
            continue
        for column in dict.fromkeys([*row, *other]):
            where, a, b = f"{name} · {label} · {column}", row.get(column), other.get(column)
            if a is None or b is None:
                yield _presence(where, a, b)
            elif a["value"] != b["value"] or a["shown"] != b["shown"]:
                close = a["shown"] == b["shown"] or _close(a["value"], b["value"], rtol)
                yield Change(where, WITHIN if close else DIFFERS, a, b)


def _by_label(table: Fields) -> dict[str, dict[str, Fields]]:
    """Give cells by row and column; a row is known by its labels, which stand left of the first figure."""
    columns = table["columns"]
    rows: dict[str, dict[str, Fields]] = {}
    labels = next((i for i, c in enumerate(columns) if c["kind"] in ("number", "integer", "bool")), len(columns))
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
    return all(abs(x - y) <= rtol * max(x, y) + (1.01 * 10.0**-places if places else 0) for x, y, places in figures)


def _causes(before: Reading, after: Reading) -> Iterator[Message]:
    """Name what differs among all that a report depends on."""
    old, new = before.manifest, after.manifest
    versions = [m.get("versions", {}) for m in (old, new)]
    data = [{"data": m.get("data_version") or "none"} for m in (old, new)]
    found = [
        *(say("parameter {name}: {before} → {after}", **each) for each in _changed(*map(values_in, (old, new)))),
        *(say("version of {name}: {before} → {after}", **each) for each in _changed(*versions)),
        *(say("{name}: {before} → {after}", **each | {"name": Term("data version")}) for each in _changed(*data)),
    ]
    if before.source != after.source:
        cells = [Counter(side.source) for side in (before, after)]
        gone, come = ((x - y).total() for x, y in (cells, cells[::-1]))
        found.append(say("notebook: {gone} cells gone or changed, {come} new or changed", gone=gone, come=come))
    yield from found
    if old.get("fingerprint") != new.get("fingerprint"):
        may = say("package, models or lock: may differ too")
        yield may if found else say("package, models or lock: differ, as nothing else does")


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield {"name": name, "before": str(old.get(name, "–")), "after": str(new.get(name, "–"))}


def _said(number: Fields | None) -> Value | Message:
    if number is None:
        return Name("–")
    if "shown" in number or not isinstance(number["value"], float):
        return Word(str(number.get("shown", number["value"])))
    low, high, value = number.get("low"), number.get("high"), Number(number["value"], ".9g")
    if low is None or high is None:
        return value
    return say("{value} {ends}", value=value, ends=Span(low, high, ".6g"))
