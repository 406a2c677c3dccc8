"""Which operator is it? Names, provinces, tariffs, products, prices and levels, read from a file of constants."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.messages import say

SERVICES = ("mobile", "broadband", "fixed", "iptv")


@dataclass(frozen=True, eq=False)
class Operator:
    """The constants of an operator, as operator.toml describes them.

    `names` are its own and two competitors'; `shares` and `satisfaction` are (operators, services); `mobile` (mobile
    tariffs, 7) are fee, minutes, MB, messages, and prices beyond them; `take` (3, products) is by kind of customer.
    """

    names: tuple[str, ...]
    lines_in_all: float
    shares: np.ndarray
    satisfaction: np.ndarray
    growth: np.ndarray
    arpu: np.ndarray
    provinces: tuple[str, ...]
    province_share: np.ndarray
    cities: tuple[tuple[str, ...], ...]
    pilot: tuple[str, ...]
    tariff_ids: tuple[str, ...]
    tariff_names: tuple[str, ...]
    tariff_service: np.ndarray
    tariff_fees: np.ndarray
    mobile: np.ndarray
    product_ids: tuple[str, ...]
    product_names: tuple[str, ...]
    product_groups: tuple[str, ...]
    product_fees: np.ndarray
    product_margins: tuple[float, ...]
    take: np.ndarray
    segments: dict[str, np.ndarray]
    campaigns: dict[str, list]
    words: dict[str, Any]

    def people(self, kinds: np.ndarray, labels: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
        """Invent a name for each customer; `kinds` are positions in `labels`. Returns text, shape (n,)."""
        n = len(kinds)
        first, second, third = (np.array(list(self.words[part])) for part in ("surnames", "given", "given"))
        one = rng.integers(0, 3, n) == 0
        given = np.char.add(
            second[rng.integers(0, len(second), n)], np.where(one, "", third[rng.integers(0, len(third), n)])
        )
        out = np.char.add(first[rng.integers(0, len(first), n)], given).astype("U16")
        brands = np.array(self.words["brands"].split())
        brand = brands[rng.integers(0, len(brands), n)]
        for kind, trades in self.words["trades"].items():
            at = np.flatnonzero(kinds == labels.index(kind))
            trades = np.array(trades.split())
            out[at] = np.char.add(brand[at], trades[rng.integers(0, len(trades), len(at))])
        return out


def read_operator(file: Path | None = None) -> Operator:
    """Read an operator's constants; by default those of the sample operator.

    Raises
    ------
    WorkbenchError
        If the file is not TOML, lacks a constant, or holds one of another shape.
    """
    place = file or resources.files(__package__).joinpath("operator.toml")
    try:
        return _operator(tomllib.loads(place.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        lacks = say("lacks {error}", error=str(error))
        said = lacks if isinstance(error, KeyError) else say("cannot be read: {error}", error=str(error))
        raise WorkbenchError("{place} {said}. The sample's own operator.toml shows every constant.").of(
            place.name, said
        ) from None


def _operator(raw: dict) -> Operator:
    rows = [entry.split() for entry in raw["provinces"].replace("\n", "|").split("|") if entry]
    size = np.array([float(row[1]) for row in rows])
    tariffs, products = raw["tariffs"], list(zip(*raw["products"], strict=True))
    service = np.array([SERVICES.index(row[2]) for row in tariffs])
    if (np.bincount(service, minlength=4)[1:] != (3, 1, 1)).any() or (np.diff(service) < 0).any():
        raise ValueError("tariffs are not mobile ones, three of broadband, one of fixed line and one of IPTV, in order")
    arrays = {name: np.array(raw[name], dtype=float) for name in ("shares", "satisfaction", "growth", "arpu")}
    if [a.shape for a in arrays.values()] != [(3, 3), (3, 3), (3,), (3,)] or len(raw["names"]) != 3:
        raise ValueError("shares, satisfaction, growth and arpu are not those of three operators and three services")
    return Operator(
        names=tuple(raw["names"]),
        lines_in_all=raw["lines_in_all"],
        **arrays,
        pilot=tuple(raw["pilot"]),
        provinces=tuple(row[0] for row in rows),
        province_share=size / size.sum(),
        cities=tuple(tuple(row[2:]) for row in rows),
        tariff_ids=tuple(row[0] for row in tariffs),
        tariff_names=tuple(row[1] for row in tariffs),
        tariff_service=service,
        tariff_fees=np.array([row[3] for row in tariffs], dtype=float),
        mobile=np.array([row[3:] for row in tariffs if row[2] == "mobile"], dtype=float),
        product_ids=products[0],
        product_names=products[1],
        product_groups=products[2],
        product_fees=np.array(products[3]),
        product_margins=products[4],
        take=np.array(products[5:]),
        segments={name: np.array(values) for name, values in raw["segments"].items()},
        campaigns=raw["campaigns"],
        words=raw["words"],
    )
