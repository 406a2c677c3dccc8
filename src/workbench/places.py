"""Provinces in the order of the national standard, under their short, full and English names, and on a map of tiles."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


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
    written = tomllib.loads((Path(__file__).parent / "provinces.toml").read_text("utf-8"))["provinces"]
    known = [Province(code, *fields) for code, fields in sorted(written.items())]
    return {name: one for one in known for name in (one.short, one.full, one.english)}


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names: provinces by their code, as every table of the ministry, then the others by letters.

    >>> in_order(["云南", "overall", "北京", "内蒙古"])
    ['北京', '内蒙古', '云南', 'overall']
    """
    known = provinces()
    return sorted(names, key=lambda name: (name not in known, known[name].code if name in known else "", name))
