"""Provinces by their codes in the national standard: short, full and English names, and places on a map of tiles."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from workbench.catalogue import CATALOGUES


@dataclass(frozen=True)
class Province:
    """A province: GB/T 2260 code, names, telephone code of its capital, and its row and column on the map of tiles."""

    code: str
    short: str
    full: str
    english: str
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
