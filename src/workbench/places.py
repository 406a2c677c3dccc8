"""Provinces by their codes in the national standard: short, full and English names, and places on a map of tiles."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from workbench.catalogue import CATALOGUES


@dataclass(frozen=True)
class Province:
    """A province: GB/T 2260 code, names, syllables, telephone code of the capital, row and column on a map of tiles."""

    code: str
    short: str
    full: str
    english: str
    pinyin: str
    telephone: str
    row: int
    column: int


@cache
def provinces() -> dict[str, Province]:
    """Give the provinces by each of their names, in the order of their codes.

    >>> provinces()["内蒙古自治区"].short, provinces()["Guangdong"].telephone, next(iter(provinces()))
    ('内蒙古', '020', '北京')
    """
    written = tomllib.loads((CATALOGUES / "provinces.toml").read_text("utf-8"))["provinces"]
    fields = sorted(one.split(",") for line in written.strip().split("\n") for one in line.split("|"))
    known = [Province(*names, int(row), int(column)) for *names, row, column in fields]  # type: ignore[call-arg]
    return {name: one for one in known for name in (one.short, one.full, one.english)}


@cache
def neighbours(place: Province) -> tuple[Province, ...]:
    """Give the provinces that share a border with one, in the order of their codes.

    >>> [one.short for one in neighbours(provinces()["宁夏"])]
    ['内蒙古', '陕西', '甘肃']
    """
    pairs = tomllib.loads((CATALOGUES / "provinces.toml").read_text("utf-8"))["borders"].split()
    near = {code for pair in pairs if place.code in pair for code in pair.split("-")} - {place.code}
    return tuple(one for name, one in provinces().items() if one.code in near and name == one.short)


def in_order(names: Iterable[str]) -> list[str]:
    """Put provinces in the order of their codes, as ministries list them; other names stay as they stand.

    >>> in_order(["上海", "内蒙古", "北京"]), in_order(["uplift", "churn"])
    (['北京', '内蒙古', '上海'], ['uplift', 'churn'])
    """
    names, known = list(names), provinces()
    return sorted(names, key=lambda name: known[name].code) if all(name in known for name in names) else names


def typed_as(text: str, names: Iterable[str]) -> list[str]:
    """Give the names of provinces that a text says by its initials, its pinyin or its English name.

    >>> typed_as("gd", ["广东", "广西"]), typed_as("shan xi", ["山西省", "陕西省"]), typed_as("tibet", ["西藏", "贵州"])
    (['广东'], ['山西省', '陕西省'], ['西藏'])
    """
    bare = re.sub(r"[\s'’-]", "", text.lower())

    def says(one: Province) -> bool:
        initials = "".join(syllable[0] for syllable in one.pinyin.split())
        return bare in (initials, one.pinyin.replace(" ", ""), one.english.lower().replace(" ", ""))

    return [name for name in names if name in provinces() and says(provinces()[name])] if bare.isascii() else []
