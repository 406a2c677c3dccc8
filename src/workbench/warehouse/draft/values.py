"""How would this column of a file fill that canonical one? By its values: codes, numbers, days, identifiers."""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

from workbench.personal import CARD, PHONE, personal
from workbench.places import provinces
from workbench.warehouse.draft.sample import Sample, bare, month_end, month_of
from workbench.warehouse.ingest.mapping import NUMBERS
from workbench.warehouse.schema import Column

ENOUGH = 0.95
SOME = 0.2  # of identifiers that are numbers of people: all of them are hidden
LOOKED_AT = 1_000
MOST_CODES = 30
DATES = (
    "",
    "%Y%m%d",
    "%Y%m",
    "%Y-%m",
    "%Y/%m",
    "%Y年%m月%d日",
    "%Y年%m月",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d%H%M%S",
    "%Y/%m/%d %p%I:%M",
    "%Y-%m-%d %p%I:%M",
    "%Y/%m/%d %p%I:%M:%S",
    "%Y-%m-%d %p%I:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M",
    "%Y%m%d %H:%M:%S",
)
PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_SIGNED = r"[-(]?[￥¥$]?-?{}[元)]?"
_FORMS = (
    "|".join(map(_SIGNED.format, (r"\d{1,3}(,\d{3})+(\.\d+)?", r"\d+(\.\d+)?"))),
    r"-?\d{1,3}(\.\d{3})*(,\d+)?",
    r"-?\d{1,3}( \d{3})*(,\d+)?",
    r"-?\d+(\.\d+)?%",
)
_NO_UNITS = ("percent", "recent", "积分", "评分", "得分", "部分", "百分", "十分")
FORMS = dict(zip(NUMBERS, map(re.compile, _FORMS), strict=True))


@dataclass(frozen=True)
class Cell:
    """What stands behind a canonical column in the mapping.

    Attributes
    ----------
    toml : str
    sources : tuple of str
        Columns of the file that it reads.
    doubt : str
        What to check; "" where names and values agree.
    first, last : date or None
        The earliest and the latest day that its values tell.
    """

    toml: str
    sources: tuple[str, ...] = ()
    doubt: str = ""
    first: date | None = None
    last: date | None = None


@cache
def words() -> dict[str, Any]:
    """The synonyms, as synonyms.toml has them."""
    return tomllib.loads(resources.files("workbench.warehouse").joinpath("synonyms.toml").read_text(encoding="utf-8"))


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def inline(**parts: Any) -> str:
    """An inline table of TOML; `from_` is from. Values are TOML already."""
    return "{ " + ", ".join(f"{key.rstrip('_')} = {value}" for key, value in parts.items()) + " }"


def cell(column: Column, sample: Sample, name: str) -> Cell | None:
    """How a column of the file fills a canonical one; None where its values do not fit."""
    texts = sample.texts(name)
    if not texts:
        return Cell(quoted(name), (name,), "it is empty in what was read")
    if column.type == "boolean" or column.accepted_values:
        return coded(column, name, texts)
    if column.type in ("date", "timestamp"):
        return dated(name, list(set(texts)))
    texts = looked_at(texts)
    if column.type in ("integer", "double"):
        return numbered(column, name, texts, sample.unit)
    for kind, said in ((PHONE, '"phone"'), (CARD, '"card"')) if column.is_identifier else ():
        if sum(kind in personal(text, whole=True) for text in texts) > SOME * len(texts):
            return Cell(inline(from_=quoted(name), pseudonym=said), (name,))
    if column.name.endswith("_key"):
        hidden = all(re.fullmatch(r"[0-9a-fA-F]{16,}", text) for text in texts)
        said = inline(from_=quoted(name), pseudonym="false" if hidden else "true")
        return Cell(said, (name,), "it looks like a pseudonym already" if hidden else "")
    return Cell(quoted(name), (name,), _two_names(sample.texts(name)) if column.name == "province" else "")


def _two_names(texts: list[str]) -> str:
    """Ask where a province has two names, as 广东 and 广东省: it would be two provinces."""
    names: dict[str, list[str]] = {}
    for text in sorted({*texts} & provinces().keys()):
        names.setdefault(provinces()[text].code, []).append(text)
    twice = next((" and ".join(of) for of in names.values() if len(of) > 1), "")
    return twice and f"{twice} are one province: give it one name under values, and list the others there as they are"


def coded(column: Column, name: str, texts: list[str]) -> Cell | None:
    """A code list, as far as the texts are known; None where none is."""
    kind = "boolean" if column.type == "boolean" else column.name
    known = {bare(said): value for value, names in words()["code"].get(kind, {}).items() for said in (value, *names)}
    legal = ("true", "false") if kind == "boolean" else column.accepted_values
    found = {text: known.get(bare(text)) for text in sorted(set(texts))}
    fits = {text: value for text, value in found.items() if value in legal}
    other = [text for text in found if text not in fits]
    if not fits or len(found) > MOST_CODES:
        return None
    doubt = f"not known, and refused until listed under values: {', '.join(map(quoted, other))}" if other else ""
    if all(text == value for text, value in found.items()):
        return Cell(quoted(name), (name,))
    listed = {quoted(text): value if kind == "boolean" else quoted(str(value)) for text, value in fits.items()}
    return Cell(inline(from_=quoted(name), values=inline(**listed)), (name,), doubt)


def numbered(column: Column, name: str, texts: list[str], above: str = "") -> Cell | None:
    """A number in the form and unit in which the file has it."""
    shares = {form: _share(shape.fullmatch, texts) for form, shape in [("", PLAIN), *FORMS.items()]}
    form = max(shares, key=shares.__getitem__)  # the first of several that fit alike
    if shares[form] < ENOUGH:
        return None
    if (
        form == ""
        and column.type == "integer"
        and _share(lambda text: not PLAIN.fullmatch(text) or float(text) % 1 == 0, texts) < ENOUGH
    ):
        return None
    scale, doubt = scaled(column, name, above)
    if form == "" and scale in (None, 1) and column.in_range:
        low, high = (float(end) for end in column.in_range)  # type: ignore[arg-type]
        if _share(lambda text: not PLAIN.fullmatch(text) or low <= float(text) <= high, texts) < ENOUGH:
            return None
    parts = {"from_": quoted(name)} | ({"number": quoted(form)} if form else {})
    parts |= {"scale": str(scale)} if scale not in (None, 1) else {}
    return Cell(inline(**parts) if len(parts) > 1 else quoted(name), (name,), doubt)


def titled(column: Column, name: str) -> str:
    """A heading as names are compared, without a unit at its end.

    >>> titled(Column("amount", "double", "", "currency"), "fee_fen")
    'fee'
    """
    for unit in sorted(words()["unit"].get(column.unit.split("/")[0], {}), key=len, reverse=True):
        if found := re.fullmatch(rf"(.*\w)({'' if unit > '~' else '[_ /]'}[_ /]*{unit})", _spread(name)):
            return bare(found[1])
    return bare(name)


def _spread(name: str) -> str:
    """A heading in one width and case, with a space before each of its words."""
    name = unicodedata.normalize("NFKC", name)
    return re.sub("(?<=[a-z])(?=[A-Z])|(?<=[^ -~])(?=[A-Za-z])", " ", name).lower()


def scaled(column: Column, name: str, above: str = "") -> tuple[float | None, str]:
    """The factor from the unit that a heading, or a title above it, tells; None for none; and what to check.

    A unit is a word of its own in the heading or ends one, as in amount_fen, 应收金额分, 费用(万元), 收入/亿元.
    """
    units = words()["unit"].get(column.unit.split("/")[0], {})
    told: dict[str, float] = {}
    for word in re.split(r"[\W_]+", _spread(name)):
        ends = [unit for unit in units if word == unit or (word.endswith(unit) and (len(unit) > 1 or unit > "~"))]
        if ends and not word.endswith(_NO_UNITS):
            unit = max(ends, key=len)
            told[unit] = units[unit]
    doubt = f"{' or '.join(told)}: which is its unit?" if len(set(told.values())) > 1 else ""
    if not told and above in units:
        return units[above], f"a title says that the unit is {above}: of this column, too?"
    return next(iter(told.values()), None), doubt


def dated(name: str, texts: list[str]) -> Cell | None:
    """A day or time in the form in which the file has it, and the latest one."""
    days = {form: [_day(text, form) for text in texts] for form in DATES}
    forms = [form for form, found in days.items() if _share(lambda day: day is not None, found) >= ENOUGH]
    if not forms:
        serial = _share(lambda t: bool(PLAIN.fullmatch(t)) and 20_000 < float(t) < 80_000, texts) >= ENOUGH
        said = inline(from_=quoted(name), format='"excel"')
        return Cell(said, (name,), "are these the numbers by which Excel counts days?") if serial else None
    form = forms[0]
    first, last = (end(day for day in days[form] if day is not None) for end in (min, max))
    if "%d" not in form and form:
        last = month_end(last)
    doubt = "day first, or month first?" if {"%d/%m/%Y", "%m/%d/%Y"} <= set(forms) else ""
    said = inline(from_=quoted(name), format=quoted(form)) if form else quoted(name)
    return Cell(said, (name,), doubt, first, last)


def tenure(sample: Sample, name: str, as_of: str) -> Cell | None:
    """The first day out of the months that somebody has been a customer."""
    if _share(lambda text: bool(re.fullmatch(r"\d{1,4}(\.0+)?", text)), looked_at(sample.texts(name))) < ENOUGH:
        return None
    said = inline(from_=quoted(name), format=quoted(f"months before {as_of}"))
    return Cell(said, (name,), "counted in months? else days, weeks or years before")


def churned(sample: Sample, name: str, last_day: str) -> Cell | None:
    """The last day out of a yes or no to who has left."""
    codes = words()["code"]["boolean"]
    yes, no = ({t for t in set(sample.texts(name)) if bare(t) in [*codes[v], v]} for v in ("true", "false"))
    if len(yes) != 1 or len(no) != 1 or len(set(sample.texts(name))) > 2:
        return None
    said = inline(from_=quoted(name), values=inline(**{quoted(*yes): last_day}), missing=f"[{quoted(*no)}]")
    return Cell(said, (name,), "within which time did they leave? Taken as the last month: see since above")


def added(column: Column, sample: Sample, names: list[str]) -> Cell | None:
    """Numbers that make one together, alike at both ends of their names: total_day_min and total_eve_min."""
    if months := {day: name for name in names if (day := month_of(name))}:
        found = numbered(column, name := months[max(months)], looked_at(sample.texts(name)), sample.unit)
        end = month_end(max(months))
        more = f"of {len(names)} columns, most of other months, it alone is read; [[prepare]] makes rows of columns"
        return replace(found, doubt=more, last=end) if found and len(names) > 1 else found and replace(found, last=end)
    if len(names) == 1:
        return numbered(column, names[0], looked_at(sample.texts(names[0])), sample.unit)
    alike: dict[tuple[str, str], list[Cell]] = {}
    for name in names:
        parts = re.split(r"[\W_]+", name)
        found = numbered(replace(column, in_range=None), name, looked_at(sample.texts(name)))
        if found and found.toml == quoted(name):
            alike.setdefault((parts[0], parts[-1]), []).append(found)
    most = max(alike.values(), key=len, default=[])
    if len(most) < 2:
        return most[0] if most else None
    sources = tuple(source for one in most for source in one.sources)
    return Cell(inline(sum=f"[{', '.join(map(quoted, sources))}]"), sources, "do these add up to it?")


def looked_at(texts: list[str]) -> list[str]:
    """Some of the texts, from the first to the last."""
    return texts[:: -(-len(texts) // LOOKED_AT)] if texts else texts


def _share(true: Any, values: list[Any]) -> float:
    return sum(bool(true(value)) for value in values) / len(values) if values else 0.0


def _day(text: str, form: str) -> date | None:
    try:
        if not form:
            whole = re.fullmatch(r"\d{4}([-/]\d{1,2}){2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?", text)
            day = datetime.strptime(re.split("[ T]", text)[0].replace("/", "-"), "%Y-%m-%d") if whole else None
        else:
            day = datetime.strptime(text.replace("上午", "AM").replace("下午", "PM") if "%p" in form else text, form)
            if re.search("%[YmdHMS]%", form) and day.strftime(form) != text:
                return None
    except ValueError:
        return None
    return day.date() if day and 1900 < day.year < 2100 else None
