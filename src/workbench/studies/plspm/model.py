"""What do we believe drives what? A path model as a value: constructs, their items, and paths."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from workbench.errors import WorkbenchError, named, nearest, unknown

Mode = Literal["A", "B"]
CONSTRUCT_KEYS = ("name", "items", "mode", "low", "high", "reversed")
MODEL_KEYS = ("title", "construct", "paths", "missing_codes")


@dataclass(frozen=True)
class Construct:
    """A notion that is not measured itself but by the answers to its items.

    Parameters
    ----------
    name : str
    items : sequence of str
        Columns of the survey.
    mode : {"A", "B"}
        "A": items reflect the construct (correlation weights); "B": items form it (regression weights).
    low, high : float, or one for each item
        Ends of the scale as printed in the questionnaire, not as observed.
    reversed : sequence of str
        Items scored the other way round; they are turned before anything is computed.

    Raises
    ------
    WorkbenchError
        If there is no item, an item stands twice, the mode is neither A nor B, a reversed item is not one of
        the items, or the ends of a scale do not make one.

    Examples
    --------
    >>> Construct("Value", ["VA1", "VA2"]).ends()[1].tolist()
    [10.0, 10.0]
    """

    name: str
    items: tuple[str, ...]
    mode: Mode = "A"
    low: float | tuple[float, ...] = 1.0
    high: float | tuple[float, ...] = 10.0
    reversed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise WorkbenchError(f"a construct needs a name; it has {self.name!r}. Give name= a short text.")
        for key in ("items", "reversed"):
            value = getattr(self, key)
            if isinstance(value, str):
                raise WorkbenchError(f"construct '{self.name}': {key} is one text. Give a list, like ['{value}'].")
            object.__setattr__(self, key, tuple(value))
        for key in ("low", "high"):
            value = getattr(self, key)
            if isinstance(value, Sequence) and not isinstance(value, str):
                object.__setattr__(self, key, tuple(value))
        self._check()

    def _check(self) -> None:
        where = f"construct '{self.name}'"
        if not self.items:
            raise WorkbenchError(f"{where} has no items. Name at least one column of the survey in items=.")
        twice = sorted({str(i) for i in self.items if self.items.count(i) > 1})
        if twice:
            raise WorkbenchError(f"{where} lists {named(twice)} twice. Name each item once.")
        if self.mode not in get_args(Mode):
            raise WorkbenchError(f"{where} has mode {self.mode!r}. Choose 'A' (reflective) or 'B' (formative).")
        for item in self.reversed:
            if item not in self.items:
                raise unknown("item", item, self.items, f"{where} (named in reversed)")
        for key in ("low", "high"):
            value = getattr(self, key)
            if isinstance(value, tuple) and len(value) != len(self.items):
                raise WorkbenchError(
                    f"{where} has {len(value)} values of {key} for {len(self.items)} items. Give one, or one each."
                )
        try:
            low, high = self.ends()
        except (TypeError, ValueError):
            raise WorkbenchError(f"{where}: low={self.low!r}, high={self.high!r}. Give numbers.") from None
        for item, a, b in zip(self.items, low, high, strict=True):
            if not (np.isfinite(a) and np.isfinite(b) and a < b):
                raise WorkbenchError(f"{where}: item '{item}' has low={a:g}, high={b:g}. low must be below high.")

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of each item's scale, shape (items,) each."""
        count = len(self.items)
        return tuple(np.broadcast_to(np.asarray(end, dtype=float), count).copy() for end in (self.low, self.high))


@dataclass(frozen=True)
class PathModel:
    """Constructs and the paths between them, checked when built.

    Parameters
    ----------
    constructs : sequence of Construct
    paths : mapping of target to its sources
        ``{"Expectation": ("Image",)}`` draws Image -> Expectation.
    title : str
    missing_codes : sequence of float
        Numbers that stand for "no answer", for instance -99.

    Raises
    ------
    WorkbenchError
        If a construct is named twice, shares an item with another, has no path, or is unknown to the paths; if
        a path is drawn twice or to itself; if paths run in a circle.

    Examples
    --------
    >>> model = PathModel([Construct("Image", ["IM1"]), Construct("Loyalty", ["LO1"])], {"Loyalty": ["Image"]})
    >>> model.edges
    (('Image', 'Loyalty'),)
    """

    constructs: tuple[Construct, ...]
    paths: Mapping[str, tuple[str, ...]]
    title: str = ""
    missing_codes: tuple[float, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "constructs", tuple(self.constructs))
        for target, sources in self.paths.items():
            if isinstance(sources, str):
                raise WorkbenchError(f"paths to '{target}': one text. Give a list, like ['{sources}'].")
        object.__setattr__(self, "paths", {t: tuple(s) for t, s in self.paths.items() if len(s)})
        object.__setattr__(self, "missing_codes", tuple(self.missing_codes))
        self._check_constructs()
        self._check_paths()

    @classmethod
    def from_toml(cls, file: str | Path) -> PathModel:
        """Read a model from a TOML file with `[[construct]]` tables and a `[paths]` table.

        Raises
        ------
        WorkbenchError
            If the file is missing, is not TOML, or holds a key that a model does not have.
        """
        file = Path(file)
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError:
            raise WorkbenchError(f"cannot read the model {file}. Check the path; models are in data/models.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
            raise WorkbenchError(f"the model {file} is not TOML in UTF-8: {reason}.") from None
        _known_keys(content, MODEL_KEYS, f"the model {file.name}")
        constructs = content.get("construct", [])
        if not isinstance(constructs, list) or not isinstance(content.get("paths", {}), dict):
            raise WorkbenchError(f"the model {file.name} needs [[construct]] tables and one [paths] table.")
        for number, table in enumerate(constructs, 1):
            _known_keys(table, CONSTRUCT_KEYS, f"construct {table.get('name', number)} of the model {file.name}")
            if "name" not in table or "items" not in table:
                raise WorkbenchError(f"construct {number} of the model {file.name} needs name and items.")
        return cls(
            [Construct(**table) for table in constructs],
            content.get("paths", {}),
            title=content.get("title", ""),
            missing_codes=content.get("missing_codes", ()),
        )

    def _check_constructs(self) -> None:
        if len(self.constructs) < 2:
            raise WorkbenchError(f"a path model needs two constructs or more; this one has {len(self.constructs)}.")
        seen: dict[str, str] = {}
        for construct in self.constructs:
            if self.names.count(construct.name) > 1:
                raise WorkbenchError(f"two constructs are called '{construct.name}'. Give each its own name.")
            for item in construct.items:
                if item in seen:
                    raise WorkbenchError(
                        f"item '{item}' belongs to '{seen[item]}' and to '{construct.name}'. Leave it in one of them."
                    )
                seen[item] = construct.name

    def _check_paths(self) -> None:
        for target, sources in self.paths.items():
            for name in (target, *sources):
                if name not in self.names:
                    raise unknown("construct", name, self.names, "the paths of the model")
            if target in sources:
                raise WorkbenchError(f"'{target}' has a path to itself. Remove it.")
            if len(set(sources)) < len(sources):
                raise WorkbenchError(f"a path to '{target}' is drawn twice. Name each source once.")
        touched = {name for edge in self.edges for name in edge}
        alone = [name for name in self.names if name not in touched]
        if alone:
            raise WorkbenchError(f"no path leads to or from {named(alone)}. Add one in paths, or leave it out.")
        if len(self.order) < len(self.names):
            circle = [name for name in self.names if name not in self.order]
            raise WorkbenchError(f"the paths run in a circle through {named(circle)}. Remove one of its paths.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the constructs."""
        return tuple(c.name for c in self.constructs)

    @property
    def items(self) -> tuple[str, ...]:
        """All items, construct by construct."""
        return tuple(item for c in self.constructs for item in c.items)

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Paths as (source, target), in the order of the model."""
        return tuple((source, target) for target, sources in self.paths.items() for source in sources)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Constructs with every source before its targets (those in a circle are left out)."""
        done: list[str] = []
        waiting = list(self.names)
        while ready := [n for n in waiting if all(s in done for s in self.paths.get(n, ()))]:
            done += ready
            waiting = [n for n in waiting if n not in ready]
        return tuple(done)

    @cached_property
    def layers(self) -> dict[str, int]:
        """Length of the longest chain of paths that leads to each construct."""
        depth: dict[str, int] = {}
        for name in self.order:
            depth[name] = max((depth[s] + 1 for s in self.paths.get(name, ())), default=0)
        return depth

    def construct(self, name: str) -> Construct:
        """Give the construct of that name.

        Raises
        ------
        WorkbenchError
            If there is none; the nearest name is suggested.
        """
        if name not in self.names:
            raise unknown("construct", name, self.names, "the model")
        return self.constructs[self.names.index(name)]


def _known_keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise WorkbenchError(f"{where} has an unknown key '{key}'.{nearest(key, known)} Known: {named(known)}.")
