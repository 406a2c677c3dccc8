"""Which columns are months, as bill_apr, 4月账单, ARPU_202604 are? Each becomes a row, by a SELECT that is drafted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date

from workbench.days import month_after
from workbench.warehouse.draft.sample import NOTHING, Sample, month_end
from workbench.warehouse.sql import literal, quoted

MONTH = "month"
FEWEST_NUMBERED, LATE = 3, 2
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CHINESE = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
_N, _YEAR = r"(?P<n>1[0-2]|0?[1-9])", r"(?P<y>20\d\d)"
_WORD = rf"(?P<w>{'|'.join(_NAMES)})(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?"
_FORMS = (
    rf"(?<!\d){_YEAR}[-_./年 ]?{_N}(?!\d)月?份?(?:[-/]0?1(?!\d)(?: 00:00:00)?)?",
    rf"(?<![a-z]){_WORD}(?:[-_ ']*(?P<y>20\d\d|\d\d)(?!\d))?(?![a-z0-9])",
    rf"(?<![\d近前去续满来超第])(?:{_N}|(?P<c>十[一二]?|[一二三四五六七八九]))月份?(?![内以前后末初租龄均])",
    r"(?<=[a-z_ ])(?<!\d)(?:m|month)?(?P<i>\d{1,2})$",
)


@dataclass(frozen=True)
class Wide:
    """Columns that are months: by what is told and by month, what to check, and the texts that stand for nothing."""

    columns: dict[str, dict[date, str]]
    doubts: dict[str, str]
    nothing: tuple[str, ...] = ()

    def months(self) -> list[date]:
        """The months that they tell of."""
        return sorted({day for found in self.columns.values() for day in found})

    def sql(self) -> str:
        """A SELECT that makes a row of each month of which something is told."""
        told, rows = ", ".join(map(quoted, self.columns)), "rows_of"
        names = [[found.get(day, f"{n} {day:%Y-%m}") for n, found in self.columns.items()] for day in self.months()]
        if lacking := {name for row in names for name in row} - {n for c in self.columns.values() for n in c.values()}:
            rows = f"(SELECT *, {', '.join(f'NULL::VARCHAR AS {quoted(n)}' for n in sorted(lacking))} FROM rows_of)"
        one = "({})" if len(self.columns) > 1 else "{}"
        months = ",\n".join(
            f"  {one.format(', '.join(map(quoted, row)))} AS '{day:%Y-%m}'"
            for day, row in zip(self.months(), names, strict=True)
        )
        nothing = f"NOT IN ({', '.join(map(literal, self.nothing))})" if self.nothing else "IS NOT NULL"
        return (
            f"SELECT * FROM {rows}\nUNPIVOT INCLUDE NULLS ({one.format(told)} FOR {MONTH} IN (\n{months}\n))\n"
            f"WHERE {' OR '.join(f'{quoted(stem)} {nothing}' for stem in self.columns)}"
        )


def names_no_year(sample: Sample) -> bool:
    """Whether its headings name months without a year."""
    return any(not year for found in _groups(sample).values() for year, _ in found)


def _groups(sample: Sample) -> dict[str, dict[tuple[int, int], str]]:
    """Columns that tell the same of several months: by what they tell, the column of each year (0: none) and month."""
    groups: dict[tuple[str, str], list[tuple[tuple[int, int], str]]] = {}
    for name in sample.columns if MONTH not in map(str.lower, sample.columns) else ():
        plain = re.sub("(?<=[a-z])(?=[A-Z])", "_", unicodedata.normalize("NFKC", name))
        found = next(filter(None, (re.search(form, plain.lower()) for form in _FORMS)), None)
        if found is None or len(plain) != len(plain.lower()):
            continue
        told = {key: text for key, text in found.groupdict().items() if text}
        parts = [part.strip(" _-./'") for part in (plain[: found.start()], plain[found.end() :])]
        stem = ("_" if all(map(str.isascii, parts)) else "").join(filter(None, parts))
        stem = stem or re.sub(r"[\W\d_]+", "", sample.options.get("sheet", sample.path.stem)) or "value"
        month = _NAMES.index(told["w"]) + 1 if "w" in told else _CHINESE.index(told["c"]) + 1 if "c" in told else 0
        when = int(told.get("y", 0)), month or int(told.get("n", told.get("i", 0)))
        kind = "number" if "i" in told else "year" if "y" in told else ""
        groups.setdefault((stem, kind), []).append(((when[0] + 2000 * (0 < when[0] < 100), when[1]), name))
    taken, kept = {MONTH, *map(str.lower, sample.columns)}, {}
    for (stem, kind), pairs in groups.items():
        columns, months = dict(pairs), sorted(month for (_, month), _ in pairs)
        row = list(range(months[0], months[0] + len(months)))
        gaps = sum((b - a) % 12 != 1 for a, b in zip(months, [*months[1:], months[0]], strict=True))
        numbered = months == row and months[0] < 2 and len(months) >= FEWEST_NUMBERED
        fits = {"number": numbered, "year": True, "": gaps <= 1}[kind]
        if fits and len(pairs) == len(columns) > 1 and stem.lower() not in taken:
            kept[stem] = {(0, -n): name for (_, n), name in pairs} if kind == "number" else columns
            taken.add(stem.lower())
    return kept


def widened(sample: Sample, near: date | None, today: date) -> Wide:
    """Which columns of a file are months.

    `near` is a day of the delivery, where one is known: it tells the year, if neither headings nor file name it.
    """
    dated = {stem: _dated(sample, found, near, today) for stem, found in _groups(sample).items()}
    return Wide({n: days for n, (days, _) in dated.items()}, {n: why for n, (_, why) in dated.items()})


def by_month(sample: Sample, wide: Wide, told: Collection[str]) -> Sample:
    """A sample with a row for each month of which some things are told."""
    columns = {stem: found for stem, found in wide.columns.items() if stem in told}
    read = {name for found in columns.values() for name in found.values()}
    nothing = tuple(sorted({text for name in read for text in sample.columns[name]} & set(NOTHING)))
    made = Wide(columns, {stem: wide.doubts[stem] for stem in columns}, nothing)
    empty = [""] * len(next(iter(sample.columns.values())))
    cells = {
        (stem, day): sample.columns[found[day]] if day in found else empty
        for stem, found in columns.items()
        for day in made.months()
    }
    rows = [
        (i, day)
        for i in range(len(empty))
        for day in made.months()
        if any(cells[stem, day][i] not in ("", *nothing) for stem in columns)
    ]
    long = {name: [texts[i] for i, _ in rows] for name, texts in sample.columns.items() if name not in read}
    long |= {MONTH: [f"{day:%Y-%m}" for _, day in rows]} | {n: [cells[n, day][i] for i, day in rows] for n in columns}
    return replace(sample.fresh(), columns=long, links=sample.links, wide=made)


def _dated(
    sample: Sample, found: dict[tuple[int, int], str], near: date | None, today: date
) -> tuple[dict[date, str], str]:
    """The day of each column's month, and what to check: a year that is not named is that of file or delivery."""
    names, months = list(found.values()), [month for _, month in found]
    said = f"{names[0]} to {names[-1]}"
    if any(year for year, _ in found):
        return {date(year, month, 1): name for (year, month), name in found.items()}, ""
    if min(months) < 0:  # numbers, the first of which is the first month, or 0 the last
        order = sorted(months, reverse=0 not in months)
        last = near.replace(day=1) if near else month_after(today, -1)
        days = {month_after(last, i + 1 - len(order)): found[0, number] for i, number in enumerate(order)}
        return days, f"are {said} the months {min(days):%Y-%m} to {max(days):%Y-%m}, {days[max(days)]} the last?"
    ends = [m for m in months if m % 12 + 1 not in months] or [months[-1 if (months[1] - months[0]) % 12 == 1 else 0]]
    file = f"{sample.path.stem} {sample.options.get('sheet', '')}"
    named, why = set(re.findall(r"(?<!\d)(20\d\d)(?!\d{3}|\d$)", file)), "by the name of the file"
    if len(named) != 1:
        years = [day for y in range(1999, today.year + 1) if (day := date(y, ends[0], 1)) <= today]
        begun = [day for day in years if near and day >= month_after(near, -LATE)]  # bills come later than who joined
        named = {f"{min(begun, default=[day for day in years if near or month_end(day) < today][-1]):%Y}"}
        why = "for no heading names a year"
    last = date(int(min(named)), ends[0], 1)
    days = {month_after(last, -((ends[0] - month) % 12)): name for (_, month), name in found.items()}
    return days, f"{said} are taken for {min(days):%Y-%m} to {max(days):%Y-%m}, {why}. Right?"
