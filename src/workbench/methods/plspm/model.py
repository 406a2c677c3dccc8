"""What do we believe drives what? A path model as a value: constructs, their items, and paths."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from workbench.errors import WorkbenchError, nearest, require_kind, require_known
from workbench.messages import Name, Named, Value, say

Mode = Literal["A", "B"]
CONSTRUCT_KEYS = ("name", "items", "mode", "low", "high", "reversed", "label")
HIGHER_ORDER_KEYS = ("name", "dimensions", "mode")
USUAL = {"low": 1.0, "high": 10.0}
MODEL_KEYS = ("title", "construct", "higher_order", "paths", "missing_codes")


@dataclass(frozen=True)
class Construct:
    """A notion that is not measured itself but by the answers to its items.

    Parameters
    ----------
    items : sequence of str
        Columns of the survey.
    mode : {"A", "B"}
        "A": items reflect the construct (correlation weights); "B": items form it (regression weights).
    low, high : float, or one for each item
        Ends of the scale as printed in the questionnaire, not as observed. An end that is not given is taken for 1 or
        10, and `assumed` names it: only answers that show this scale make an index (see `fit_pls`).
    reversed : sequence of str
        Items scored the other way round; they are turned before anything is computed.
    label : mapping of item to text, or to its English and its Chinese text
        What an item asks about, in a few words, as sentences and pictures name it; its code where none is given.

    Raises
    ------
    WorkbenchError
        If there is no item, an item stands twice, the mode is neither A nor B, a reversed or labelled item is not one
        of the items, a label is no text, or the ends of a scale do not make one.

    Examples
    --------
    >>> Construct("Value", ["VA1", "VA2"]).ends()[1].tolist()
    [10.0, 10.0]
    """

    name: str
    items: Sequence[str]
    mode: Mode = "A"
    low: float | Sequence[float] | None = None
    high: float | Sequence[float] | None = None
    reversed: Sequence[str] = ()
    label: Mapping[str, str | Sequence[str]] = field(default_factory=dict, compare=False, repr=False)
    assumed: tuple[str, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "assumed", tuple(end for end in USUAL if getattr(self, end) is None))
        for end in self.assumed:
            object.__setattr__(self, end, USUAL[end])
        if not isinstance(self.name, str) or not self.name:
            raise WorkbenchError("a construct needs a name; it has {name}. Give name= a short text.").of(
                repr(self.name)
            )
        for key in ("items", "reversed"):
            value = getattr(self, key)
            if isinstance(value, str):
                raise WorkbenchError("construct '{name}': {key} is one text. Give a list, like ['{value}'].").of(
                    self.name, key, value
                )
            object.__setattr__(self, key, tuple(value))
        for key in ("low", "high"):
            value = getattr(self, key)
            if isinstance(value, Sequence) and not isinstance(value, str):
                object.__setattr__(self, key, tuple(value))
        self._check()

    def _check(self) -> None:
        where = say("construct '{name}'", name=self.name)
        if not self.items:
            raise WorkbenchError("{where} has no items. Name at least one column of the survey in items=.").of(where)
        twice = sorted({str(i) for i in self.items if self.items.count(i) > 1})
        if twice:
            raise WorkbenchError("{where} lists {names} twice. Name each item once.").of(where, twice)
        if self.mode not in get_args(Mode):
            raise WorkbenchError("{where} has mode {mode}. Choose 'A' (reflective) or 'B' (formative).").of(
                where, repr(self.mode)
            )
        for item in self.reversed:
            require_known("item", item, self.items, say("{where} (named in reversed)", where=where))
        if not isinstance(self.label, Mapping):
            raise WorkbenchError("label is {label}. Give a text for each item, like {{'VA1': 'price'}}.").of(
                repr(self.label), at=where
            )
        for item, text in self.label.items():
            require_known("item", item, self.items, say("{where} (named in label)", where=where))
            texts = _texts(text)
            if not 1 <= len(texts) <= 2 or not all(isinstance(t, str) and t.strip() and t.isprintable() for t in texts):
                raise WorkbenchError(
                    "the label of '{item}' is {text}. Give one line, or one in English and one in Chinese."
                ).of(item, repr(text), at=where)
        for key in ("low", "high"):
            value = getattr(self, key)
            if isinstance(value, tuple) and len(value) != len(self.items):
                raise WorkbenchError("{where} has {n} values of {key} for {all} items. Give one, or one each.").of(
                    where, len(value), key, len(self.items)
                )
        try:
            low, high = self.ends()
        except (TypeError, ValueError):
            raise WorkbenchError("low={low}, high={high}. Give numbers.").of(
                repr(self.low), repr(self.high), at=where
            ) from None
        for item, a, b in zip(self.items, low, high, strict=True):
            if not (np.isfinite(a) and np.isfinite(b) and a < b):
                raise WorkbenchError("item '{item}' has low={a}, high={b}. low must be below high.").of(
                    item, f"{a:g}", f"{b:g}", at=where
                )

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of each item's scale, shape (items,) each."""
        count = len(self.items)
        low, high = (np.broadcast_to(np.asarray(end, dtype=float), count).copy() for end in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class HigherOrder:
    """A construct of constructs: quality, of network quality and service quality.

    Parameters
    ----------
    dimensions : sequence of str
        Constructs of the model, two or more; paths lead to and from the higher-order construct, not to them.
    mode : {"A", "B"}
        As for items: dimensions reflect the construct, or form it.
    """

    name: str
    dimensions: Sequence[str]
    mode: Mode = "A"

    def __post_init__(self) -> None:
        as_construct = Construct(self.name, self.dimensions, self.mode, 0.0, 100.0)
        object.__setattr__(self, "dimensions", as_construct.items)
        if len(self.dimensions) < 2:
            raise WorkbenchError("higher-order construct '{name}' has one dimension. Name two or more.").of(self.name)


@dataclass(frozen=True)
class PathModel:
    """Constructs and the paths between them, checked when built.

    Parameters
    ----------
    paths : mapping of target to its sources
        ``{"Expectation": ("Image",)}`` draws Image -> Expectation. A source ``"Image*Value"`` is the interaction of two
        constructs that lead to the same target.
    missing_codes : sequence of float
        Numbers that stand for "no answer", for instance -99.

    Raises
    ------
    WorkbenchError
        If a construct is named twice, shares an item with another, has no path, or is unknown to the paths; if
        a path is drawn twice or to itself; if paths run in a circle; if a path leads to a dimension of a higher-order
        construct, or to an interaction; if an interaction stands without both of its constructs.

    Examples
    --------
    >>> model = PathModel([Construct("Image", ["IM1"]), Construct("Loyalty", ["LO1"])], {"Loyalty": ["Image"]})
    >>> model.edges
    (('Image', 'Loyalty'),)
    """

    constructs: Sequence[Construct]
    paths: Mapping[str, Sequence[str]]
    title: str = ""
    missing_codes: Sequence[float] = field(default=())
    higher_order: Sequence[HigherOrder] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "constructs", tuple(self.constructs))
        for target, sources in self.paths.items():
            if isinstance(sources, str):
                raise WorkbenchError("paths to '{target}': one text. Give a list, like ['{one}'].").of(target, sources)
        object.__setattr__(self, "paths", {t: tuple(s) for t, s in self.paths.items() if len(s)})
        object.__setattr__(self, "missing_codes", tuple(self.missing_codes))
        object.__setattr__(self, "higher_order", tuple(self.higher_order))
        self._check_constructs()
        if self.stages is None:
            self._check_paths()

    @classmethod
    def from_toml(cls, file: str | Path) -> PathModel:
        """Read a model from a TOML file with `[[construct]]` (and `[[higher_order]]`) tables and a `[paths]` table.

        Raises
        ------
        WorkbenchError
            If the file is missing, is not TOML, or holds a key that a model does not have.
        """
        file = Path(file)
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError:
            raise WorkbenchError("cannot read the model {file}. Check the path; models are in data/models.").of(
                file
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
            raise WorkbenchError("the model {file} is not TOML in UTF-8: {reason}.").of(file, reason) from None
        _known_keys(content, MODEL_KEYS, f"the model {file.name}")
        tables = {kind: content.get(kind, []) for kind in ("construct", "higher_order")}
        if not all(isinstance(t, list) for t in tables.values()) or not isinstance(content.get("paths", {}), dict):
            raise WorkbenchError("the model {file} needs [[construct]] tables and one [paths] table.").of(file.name)
        for kind, known in (("construct", CONSTRUCT_KEYS), ("higher_order", HIGHER_ORDER_KEYS)):
            for number, table in enumerate(tables[kind], 1):
                _known_keys(table, known, f"{kind} {table.get('name', number)} of the model {file.name}")
                if "name" not in table or known[1] not in table:
                    raise WorkbenchError("{kind} {number} of the model {file} needs name and {known}.").of(
                        kind, number, file.name, known[1]
                    )
        try:
            return cls(
                [Construct(**table) for table in tables["construct"]],
                content.get("paths", {}),
                title=content.get("title", ""),
                missing_codes=content.get("missing_codes", ()),
                higher_order=[HigherOrder(**table) for table in tables["higher_order"]],
            )
        except WorkbenchError as error:
            raise WorkbenchError("{where}: {error}").of(file.name, error) from None

    def _check_constructs(self) -> None:
        if len(self.constructs) < 2:
            raise WorkbenchError("a path model needs two constructs or more; this one has {n}.").of(
                len(self.constructs)
            )
        seen: dict[str, str] = {}
        for construct in self.constructs:
            if self.names.count(construct.name) > 1:
                raise WorkbenchError("two constructs are called '{construct}'. Give each its own name.").of(
                    construct.name
                )
            for item in construct.items:
                if item in seen:
                    raise WorkbenchError(
                        "item '{item}' belongs to '{seen}' and to '{construct}'. Leave it in one of them."
                    ).of(item, seen[item], construct.name)
                seen[item] = construct.name

    def _check_paths(self) -> None:
        for target, sources in self.paths.items():
            for name in (target, *sources):
                require_known("construct", name, self.names, "the paths of the model")
            if target in sources:
                raise WorkbenchError("'{target}' has a path to itself. Remove it.").of(target)
            if len(set(sources)) < len(sources):
                raise WorkbenchError("a path to '{target}' is drawn twice. Name each source once.").of(target)
        touched = {name for edge in self.edges for name in edge}
        alone = [name for name in self.names if name not in touched]
        if alone:
            raise WorkbenchError("no path leads to or from {names}. Add one in paths, or leave it out.").of(alone)
        if len(self.order) < len(self.names):
            circle = [name for name in self.names if name not in self.order]
            raise WorkbenchError("the paths run in a circle through {names}. Remove one of its paths.").of(circle)

    @cached_property
    def interactions(self) -> dict[str, tuple[str, str]]:
        """Constructs whose scores make each product, by its name."""
        known = [*self.names, *(h.name for h in self.higher_order)]
        products = dict.fromkeys(s for s in (n for e in self.edges for n in e) if "*" in s and s not in known)
        pairs = {p: p.split("*") for p in products}
        return {p: (pair[0], pair[1]) for p, pair in pairs.items() if len(pair) == 2 and set(pair) <= set(known)}

    @cached_property
    def stages(self) -> tuple[PathModel, PathModel] | None:
        """The models of both stages, if there are higher-order constructs or interactions (else None).

        In the first, dimensions take the place of their construct and there is no interaction. In the second, the
        dimensions' scores are the items of their construct and the product of two scores the item of an interaction.
        """
        if not self.higher_order and not self.interactions:
            return None
        parts = self._dimensions()
        for target, sources in self.paths.items():
            if target in self.interactions:
                raise WorkbenchError(
                    "'{target}' is a product, so no path can lead to it. Remove it from the targets."
                ).of(target)
            for product in (source for source in sources if source in self.interactions):
                self._check_interaction(product, target, parts)

        def expanded(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(part for name in names if name not in self.interactions for part in parts.get(name, [name]))

        place = {h.dimensions[0]: Construct(h.name, h.dimensions, h.mode, 0.0, 100.0) for h in self.higher_order}
        inner = {d for dimensions in parts.values() for d in dimensions}
        upper = [place.get(c.name, c) for c in self.constructs if c.name in place or c.name not in inner]
        upper += [Construct(name, (name,), low=0.0, high=1.0) for name in self.interactions]
        second = PathModel(upper, self.paths, self.title, self.missing_codes)
        lower = {part: expanded(sources) for target, sources in self.paths.items() for part in expanded([target])}
        return PathModel(self.constructs, lower, self.title, self.missing_codes), second

    def _dimensions(self) -> dict[str, tuple[str, ...]]:
        """Dimensions of each higher-order construct, checked."""
        owner: dict[str, str] = {}
        touched = {name for edge in self.edges for name in edge}
        for higher in self.higher_order:
            if higher.name in self.names:
                raise WorkbenchError("two constructs are called '{construct}'. Give each its own name.").of(higher.name)
            for part in higher.dimensions:
                require_known("construct", part, self.names, say("higher-order construct '{name}'", name=higher.name))
                if part in owner:
                    raise WorkbenchError(
                        "'{part}' is a dimension of '{owner}' and of '{higher}'. Leave it in one of them."
                    ).of(part, owner[part], higher.name)
                if part in touched:
                    raise WorkbenchError(
                        "'{part}' is a dimension of '{higher}', but a path leads to or from it. Let the path lead "
                        "to or from '{higher}'."
                    ).of(part, higher.name)
                owner[part] = higher.name
        return {h.name: tuple(h.dimensions) for h in self.higher_order}

    def _check_interaction(self, product: str, target: str, higher: Mapping[str, object]) -> None:
        first, second = self.interactions[product]
        if first == second:
            raise WorkbenchError("'{product}' is a construct times itself. Name two different constructs.").of(product)
        for factor in (first, second):
            if factor in higher:
                raise WorkbenchError("'{product}': '{factor}' is of higher order. Name constructs that have items.").of(
                    product, factor
                )
            if factor not in self.paths[target]:
                raise WorkbenchError(
                    "'{product}' leads to '{target}', but '{factor}' does not: its own effect would be taken for "
                    "the interaction's. Add '{factor}' to the sources of '{target}'."
                ).of(product, target, factor)

    def with_path(self, source: str, target: str) -> PathModel:
        """Give the same model with one path more; the source may be an interaction. Itself where it has the path.

        >>> model = PathModel([Construct(c, [c.lower()]) for c in "ABC"], {"C": ["A", "B"]})
        >>> model.with_path("A*B", "C").paths["C"]
        ('A', 'B', 'A*B')
        """
        return replace(self, paths={**self.paths, target: tuple(dict.fromkeys((*self.paths.get(target, ()), source)))})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the constructs."""
        return tuple(c.name for c in self.constructs)

    @property
    def items(self) -> tuple[str, ...]:
        """All items, construct by construct."""
        return tuple(item for c in self.constructs for item in c.items)

    @cached_property
    def labels(self) -> dict[str, Value]:
        """What each item is called: its label, else its code."""
        given = {item: _texts(text) for c in self.constructs for item, text in c.label.items()}
        return {
            item: Named(*given[item], *[""] * (2 - len(given[item]))) if item in given else Name(item)
            for item in self.items
        }

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
        require_known("construct", name, self.names, "the model")
        return self.constructs[self.names.index(name)]


def _texts(label: Any) -> list[Any]:
    """Give the texts of a label: one, or English and Chinese."""
    return list(label) if isinstance(label, (list, tuple)) else [label]


def _known_keys(table: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise WorkbenchError("{where} has an unknown key '{key}'.{near} Known: {names}.").of(
                where, key, nearest(key, known), known
            )


def require_model(model: object) -> None:
    """Refuse what is no path model, such as the name of one."""
    name = model if isinstance(model, str) else "tcsi"
    require_kind(model, PathModel, "model", f"PathModel.from_toml(workbench.project.model_file('{name}'))")
