"""What there is to render: studies, and slots, a study with its parameters.

Only the standard library is imported here: finding that nothing is to be done takes a moment.
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import json
import os
import platform
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import WorkbenchError, require_known
from workbench.messages import Name, Term, as_message, join, say
from workbench.reports.page.languages import SPOKEN
from workbench.reports.page.languages import languages as spoken_languages
from workbench.reports.runs.parameters import Needs, Parameter, Value, declared, declared_needs, read_source, resolve
from workbench.reports.runs.periods import Period, last_complete, parse
from workbench.reports.runs.sources import (
    check_source,
    data_changed,
    known_until,
    mapping_of,
    other_sources,
    said_by,
    version_folder,
    warehouse_version,
)
from workbench.result import MINIMUM_CELL

PACKAGE = Path(workbench.__file__).resolve().parent
CUSTOMER = ("customer", "str")
FORMATS = ("xlsx", "pdf")
"""What a report may have beside its page, its notebook and its numbers."""


class NotCovered(WorkbenchError):
    """A report is asked for of days that the data do not reach."""


@dataclass(frozen=True)
class Study:
    """A notebook of the project.

    Attributes
    ----------
    name : str
        Name of the notebook's file without its ending.
    path : Path
        The file.
    """

    name: str
    path: Path

    @cached_property
    def content(self) -> bytes:
        """The file as it was when it was first asked for: what is checked is what runs."""
        return self.path.read_bytes()

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """Cells with kind, source and tags."""
        with self._named():
            return read_source(self.content)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters it declares."""
        cells = self.cells
        with self._named():
            return declared(cells)

    @cached_property
    def needs(self) -> Needs | None:
        """What it needs of a source, as it declares it; None where it says nothing."""
        cells = self.cells
        with self._named():
            return declared_needs(cells)

    @cached_property
    def broken(self) -> WorkbenchError | None:
        """Why it can't be read: the others are listed and run all the same."""
        try:
            _ = self.parameters, self.needs
            return None
        except WorkbenchError as error:
            return error

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the notebook in what is wrong with it."""
        try:
            yield
        except (OSError, WorkbenchError) as error:
            said = error if isinstance(error, WorkbenchError) else as_message(error.strerror or str(error))
            raise WorkbenchError("notebook '{name}': {error}").of(self.path.name, said) from error

    def default(self, name: str) -> Value | None:
        """Give the declared value of a parameter; None where it has no such parameter."""
        return next((p.default for p in self.parameters if p.name == name), None)

    @property
    def of_one_customer(self) -> bool:
        """Whether its report is of one customer: made when asked for by name, and of no plan, index or bundle."""
        return CUSTOMER in ((p.name, p.type) for p in self.parameters)

    @cached_property
    def title(self) -> str:
        """Its first heading, else its name."""
        for cell in self.cells:
            if cell["kind"] == "markdown" and (found := re.search(r"^#+\s+(.+)$", cell["source"], flags=re.MULTILINE)):
                return found[1].strip()
        return self.name


@dataclass(frozen=True)
class Slot:
    """A study with a value for each of its parameters, for a period or for none: what is run, published and listed.

    Attributes
    ----------
    study : Study
        Its notebook.
    parameters : dict
        Value of every declared parameter.
    name : str
        Name of its folder: "default", or the period and the values that differ from the defaults.
    fingerprint : str
        Hash of all that its results depend on.
    data_version : str
        Version of the warehouse of its `source`; empty if it has none.
    code : str
        Hash of all that its results depend on but the data.
    period, plan : str
        Label of the period and name of the plan it belongs to; empty for none.
    minimum_cell : int
        Rows of tables that stand on fewer customers are suppressed.
    formats : tuple of str
        Of FORMATS, what is made beside page, notebook and numbers.
    languages : tuple of str
        In which its pages are said, the first in front.
    others : dict
        Versions of the further sources that its parameters name.
    """

    study: Study
    parameters: dict[str, Value]
    name: str
    fingerprint: str
    data_version: str
    code: str = ""
    period: str = ""
    plan: str = ""
    minimum_cell: int = MINIMUM_CELL
    formats: tuple[str, ...] = FORMATS
    languages: tuple[str, ...] = ("en",)
    others: Mapping[str, str] = field(default_factory=dict)

    def versions(self, root: Path) -> list[Path]:
        """Give the folders of the versions that it reads."""
        read = {str(self.parameters.get("source", "")): self.data_version, **self.others}
        return [place for name, version in read.items() if (place := version_folder(name, version, root))]

    @property
    def key(self) -> tuple[str, str]:
        """Name of the study and of the folder: what tells slots apart."""
        return self.study.name, self.name

    def folder(self, root: Path) -> Path:
        """Give the folder its report is published in."""
        return root / "reports" / "site" / self.study.name / self.name


def find_studies(root: Path) -> dict[str, Study]:
    """Give the studies of a project by name: every notebook in `notebooks/`."""
    return {p.stem: Study(p.stem, p) for p in sorted((root / "notebooks").glob("*.ipynb"))}


def broken_studies(root: Path) -> dict[str, WorkbenchError]:
    """Say of each study that can't be read why."""
    return {name: study.broken for name, study in find_studies(root).items() if study.broken}


def find_slots(
    names: Iterable[str],
    given: Mapping[str, Any],
    root: Path,
    *,
    period: Period | None = None,
    languages: tuple[str, ...] = (),
) -> list[Slot]:
    """Make the slots that a run asks for, all parameters checked.

    Parameters
    ----------
    names : iterable of str
        Studies; if empty all of the project that can be read, but for those of one customer.
    given : mapping
        Parameter values, as text or typed.
    root : Path
        The project.
    period : Period, optional
        What the reports speak of: see `make_slot`.
    languages : tuple of str
        In which they are said; if empty those of WORKBENCH_LANG, of the report that is there, of the machine.

    Raises
    ------
    WorkbenchError
        If there is no such study, no study at all, or a parameter is unknown or ill-typed.
    """
    studies = find_studies(root)
    if not studies:
        folder = str(root / "notebooks")
        raise WorkbenchError("no notebook in '{folder}'. Put one there, named after its study.").of(folder)
    sound = (name for name, study in studies.items() if not (study.broken or study.of_one_customer))
    chosen = list(dict.fromkeys(names)) or list(sound)
    for name in chosen:
        require_known("study", name, studies)
        if wrong := studies[name].broken:
            raise wrong
    if "source" in given:
        check_source(str(given["source"]), root)
    shared = shared_fingerprint(root)
    return [make_slot(studies[name], given, root, shared, period=period, languages=languages) for name in chosen]


def make_slot(
    study: Study,
    given: Mapping[str, Any],
    root: Path,
    shared: str,
    *,
    period: Period | None = None,
    implied: Mapping[str, Any] | None = None,
    plan: str = "",
    minimum_cell: int = MINIMUM_CELL,
    formats: tuple[str, ...] = FORMATS,
    languages: tuple[str, ...] = (),
) -> Slot:
    """Make the slot of a study with parameters, all checked.

    A period gives `as_of` its first day after, and every parameter of the type period its label, unless they are given.
    Without one, another source than the declared one gives `as_of` the day that its data reach, and other days stay as
    far from it as declared. What the source's mapping says under `[parameters]` goes before both.

    Parameters
    ----------
    study, given, root, period, plan, minimum_cell, formats, languages
        As in `Slot` and `find_slots`.
    shared : str
        What `shared_fingerprint` gave.
    implied : mapping, optional
        What the period says of further parameters: such values are no part of the folder's name.

    Raises
    ------
    NotCovered
        If the period, or an `as_of` or period that is not as declared, ends after what the warehouse knows.
    """
    source = str(given.get("source", study.default("source") or ""))
    until = None if period or source == study.default("source") else known_until(source, root)
    implied = (_implied(study, period) if period else {}) | dict(implied or {})
    values, implied = values_of(study, given, of_source(study, mapping_of(source, root)), until, implied)
    changed = {p.name: values[p.name] for p in study.parameters if values[p.name] != implied.get(p.name, p.default)}
    name = folder_name(changed) if changed or not period else ""
    _require_covered(study, changed, period, source, root)
    _require_customer(study, values, source, root)
    version = warehouse_version(source, root)
    others = other_sources(values, source, root)
    slot = ",".join(filter(None, (label := period.label if period else "", name)))
    if not languages and not os.environ.get(SPOKEN):  # a clock without a locale keeps what somebody asked for
        languages = tuple(read_manifest(root / "reports" / "site" / study.name / slot).get("languages", ()))
    languages = spoken_languages(languages)
    known: list[Any] = [shared, study.cells, values, _models(values, root), *filter(None, [others])]
    if minimum_cell != MINIMUM_CELL or formats != FORMATS:
        known += [minimum_cell, sorted(formats)]
    if languages != ("en",):
        known += [list(languages)]
    code = _digest(known)
    return Slot(
        study=study,
        parameters=values,
        name=slot,
        fingerprint=_digest([code, version]),
        data_version=version,
        code=code,
        period=label,
        plan=plan,
        minimum_cell=minimum_cell,
        formats=formats,
        languages=languages,
        others=others,
    )


def _implied(study: Study, period: Period) -> dict[str, Value]:
    by_type: dict[str, Value] = {p.name: period.label for p in study.parameters if p.type == "period"}
    return by_type | {p.name: period.end.isoformat() for p in study.parameters if (p.name, p.type) == ("as_of", "date")}


def values_of(
    study: Study,
    given: Mapping[str, Any],
    usual: Mapping[str, Value],
    until: dt.date | None,
    implied: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Give the values that a study would be run with, and those of them that its source or period says.

    Of a source other than the declared one, `as_of` is the day that its data reach, `until`, and other days move along;
    `usual` is what the source's mapping says, which goes before that.
    """
    dates = {p.name: dt.date.fromisoformat(str(p.default)) for p in study.parameters if p.type == "date"}
    other = given.get("source") not in (None, study.default("source")) and "as_of" in dates
    within = {n: _moved(day, dates["as_of"], until).isoformat() for n, day in dates.items()} if until and other else {}
    asked_late = {k for k, v in within.items() if str(v) < str(study.default(k)) and given.get(k) == study.default(k)}
    given = {k: v for k, v in given.items() if k not in asked_late}  # a declared day beyond the data is not asked for
    said = {**usual, **within, **(implied or {})} | {name: value for name, value in usual.items() if name in within}
    read = {name: resolve(study.parameters, {name: value}, study=study.name)[name] for name, value in said.items()}
    return resolve(study.parameters, read | given, study=study.name), read


def _moved(day: dt.date, start: dt.date, to: dt.date) -> dt.date:
    """Give the day as many months from `to` as `day` is from `start`.

    >>> _moved(dt.date(2026, 4, 1), dt.date(2026, 7, 1), dt.date(1998, 7, 31))
    datetime.date(1998, 4, 30)
    """
    years, month = divmod(to.year * 12 + to.month - 1 + (day.year - start.year) * 12 + day.month - start.month, 12)
    return dt.date(years, month + 1, min(to.day, calendar.monthrange(years, month + 1)[1]))


def of_source(study: Study, file: Path) -> dict[str, Value]:
    """Give what the mapping of a source says of the study's parameters, for all studies or for it."""
    own, said = {p.name for p in study.parameters}, said_by(file)
    said = {k: v for k, v in said.items() if not isinstance(v, dict)} | said.get(study.name, {})
    return {k: v.isoformat() if isinstance(v, dt.date) else v for k, v in said.items() if k in own}


def _require_covered(
    study: Study, changed: Mapping[str, Value], period: Period | None, source: str, root: Path
) -> None:
    """Refuse a period, and an `as_of` or a parameter of the type period that is not as declared, beyond the data."""
    ends = {say("period '{period}'", period=period.label): period.end} if period else {}
    for p in study.parameters:
        if p.name in changed and p.type == "period":
            ends[say("period '{period}'", period=str(changed[p.name]))] = parse(str(changed[p.name])).end
        elif p.name in changed and (p.name, p.type) == ("as_of", "date"):
            ends[say("as_of = {day}", day=Name(str(changed[p.name])))] = dt.date.fromisoformat(str(changed[p.name]))
    if not ends or (until := known_until(source, root)) is None:
        return
    what, end = max(ends.items(), key=lambda item: item[1])
    if end > until:
        kind = period.kind if period else "month"
        covered = last_complete(until, kind).label
        last, as_of = Name(str(until - dt.timedelta(1))), Name(str(until))
        raise NotCovered(
            join(
                say(
                    "study '{study}': {what} is not covered: the data of '{source}' end with {last} (as_of = {as_of}).",
                    study=study.name,
                    what=what,
                    source=source,
                    last=last,
                    as_of=as_of,
                ),
                say(
                    "The last {kind} that they cover is {period}: ask for that, or ingest what came later, with as_of "
                    "of {file} set to the day it reaches.",
                    kind=Term(kind),
                    period=covered,
                    file=f"data/mappings/{source}.toml",
                ),
            )
        )


def _require_customer(study: Study, values: Mapping[str, Value], source: str, root: Path) -> None:
    """Refuse a customer whom the warehouse does not know; without a warehouse the notebook says so itself."""
    if study.of_one_customer and warehouse_version(source, root):
        from workbench.warehouse import open_warehouse, require_customer

        require_customer(open_warehouse(source, root=root), str(values[CUSTOMER[0]]))


def _models(values: Mapping[str, Value], root: Path) -> dict[str, str]:
    """Give the digests of the models and rules that parameters name, and of no other: a new one outdates no report."""
    named = {value for value in values.values() if isinstance(value, str)}
    places = [path for folder in ("models", "rules") for path in (root / "data" / folder).glob("*.toml")]
    files = {f"{path.parent.name}/{path.stem}": path for path in places}
    read = sorted(name for name, path in files.items() if path.stem in named)
    return {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in read}


def _digest(known: Any) -> str:
    return hashlib.sha256(json.dumps(known, ensure_ascii=True, sort_keys=True).encode("ascii")).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a published slot; empty if there is none that can be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def is_done(slot: Slot, root: Path) -> bool:
    """Say whether the slot is published with the inputs and the code of now."""
    manifest = read_manifest(slot.folder(root))
    if manifest.get("status") != "done":
        return False
    same = manifest.get("fingerprint") == slot.fingerprint
    return same or (bool(slot.code) and manifest.get("code") == slot.code and not data_changed(manifest, root))


def folder_name(values: Mapping[str, Value]) -> str:
    """Name a folder after values, safely: no separator, no dot in front, no odd length.

    >>> folder_name({})
    'default'
    >>> folder_name({"province": "北京", "area": "010"})
    'province=北京,area=010'
    >>> folder_name({"area": "../x"})
    'area=x~33c92215'
    """
    if not values:
        return "default"
    whole = ",".join(f"{name}={value}" for name, value in values.items())
    safe = re.sub(r"[^\w=,.+-]|(?<![0-9])\.|\.(?![0-9])", "", unicodedata.normalize("NFC", whole))[:60]
    if safe == whole and len(whole.encode()) <= 180:
        return safe
    return f"{safe}~{hashlib.sha256(whole.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def shared_fingerprint(root: Path) -> str:
    """Hash what all slots depend on: the package, the lock and the Python version."""
    digest = hashlib.sha256(platform.python_version().encode())
    for path in sorted(p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".pyo")):
        digest.update(f"\0{path.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    lock = root / "requirements.lock"
    digest.update(lock.read_bytes() if lock.is_file() else b"")
    return digest.hexdigest()
