"""What is handed over? One zip with reports and all that made them, the same bytes each time, without a customer.

Entries are stored, not compressed: the bytes then depend on the content alone, on every machine, and whoever has
the content can tell whether a single byte of the file is another.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import WorkbenchError, unknown
from workbench.reports.handoff import crate, scan
from workbench.reports.slots import PACKAGE, Slot, find_slots, find_studies, is_done, read_manifest

FORMAT = 1
SUMS = "SHA256SUMS"
REPORT = ("index.html", "manifest.json", "report.ipynb", "results.json", "tables.xlsx")
_DECLARED = "truth/declared.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was written.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the whole file: give it to the receiver by another way.
    files, bytes : int
    """

    path: Path
    sha256: str
    files: int
    bytes: int


def create(slots: Iterable[str], out: Path | None = None, *, root: Path, minimum: int = 10) -> Bundle:
    """Write reports and all that made them into one file.

    Parameters
    ----------
    slots : iterable of str
        STUDY (its default report) or STUDY/NAME, as folders of `reports/site`.
    out : Path, optional
        By default `dist/handoff-STUDY….zip` of the project.
    root : Path
        The project.
    minimum : int
        Fewest people that a shown figure may stand on.

    Raises
    ------
    WorkbenchError
        If a report is not there, failed, or was made by other code, data or libraries than are here now; or if
        something must not leave the house: customers, secrets, paths, cells that are too small.
    """
    chosen = list(dict.fromkeys(_slot(name, root) for name in slots))
    reports = {slot.key: _good(slot, root) for slot in chosen}
    files = _reports(chosen, root) | _inputs(chosen, root)
    facts = {
        "format": FORMAT,
        "workbench": workbench.__version__,
        "code": code_hash(files),
        "finished": max(m["finished"] for m in reports.values()),
        "minimum": minimum,
        "slots": [
            {
                "study": study,
                "slot": name,
                "changed": {p["name"]: p["value"] for p in m["parameters"] if p["changed"]},
                "headline": m["headline"],
                "finished": m["finished"],
            }
            for (study, name), m in reports.items()
        ],
        "sources": {source: _data(source, root) for source in _sources(chosen)},
    }
    files |= _about(facts, files, root)
    secret = scan.secrets((v for slot in chosen for v in slot.parameters.values()), root)
    scan.refuse(files, root=root, minimum=minimum, secret=secret)
    packed = pack(sealed(files))
    path = out or root / "dist" / f"handoff-{'-'.join(dict.fromkeys(s.study.name for s in chosen))[:60]}.zip"
    write_whole(path, packed)
    return Bundle(path, hashlib.sha256(packed).hexdigest(), len(files) + 1, len(packed))


def sealed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Add the list of the hashes of all files."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    return {**files, SUMS: "".join(lines).encode()}


def pack(files: Mapping[str, bytes]) -> bytes:
    """Give a zip whose bytes depend on names and contents alone.

    >>> pack({"a": b"1", "b": b"2"}) == pack({"b": b"2", "a": b"1"})
    True
    """
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return sink.getvalue()


def is_safe(name: str) -> bool:
    """Say whether a name stays inside the folder it is unpacked in, on every system.

    >>> [is_safe(n) for n in ("a/b.txt", "../a", "/a", "a//b", "C:x", "a\\\\b", "a/./b")]
    [True, False, False, False, False, False, False]
    """
    return all(p not in ("", ".", "..") for p in name.split("/")) and not re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', name)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f".{path.name[:40]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chmod(aside, 0o644)
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def code_hash(files: Mapping[str, bytes]) -> str:
    """Hash the program among files by names and contents."""
    code = sorted((n, hashlib.sha256(c).hexdigest()) for n, c in files.items() if n.startswith("code/"))
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def program() -> dict[str, bytes]:
    """Give the files of this very package, as `code/workbench/…`."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".pyo"))
    return {f"code/workbench/{p.relative_to(PACKAGE).as_posix()}": p.read_bytes() for p in files}


def environment(lock: str) -> dict[str, Any]:
    """Give the versions of Python and of every library of a lock that is installed here."""
    packages = {}
    for name in sorted(set(re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE))):
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}",
            "packages": packages}  # fmt: skip


def find_folder(name: str, root: Path) -> Path:
    """Find the folder of a published report: STUDY for its default one, or STUDY/NAME.

    Raises
    ------
    WorkbenchError
        If there is no such study or report; the nearest is suggested.
    """
    study, _, folder = name.strip("/").partition("/")
    studies = find_studies(root)
    if study not in studies:
        raise unknown("study", study, studies)
    place = root / "reports" / "site" / study
    there = sorted(p.name for p in place.iterdir() if p.is_dir() and p.name[0] != ".") if place.is_dir() else []
    if not there:
        raise WorkbenchError(f"there is no report of '{study}' yet. Run: workbench run {study}")
    folder = folder or ("default" if "default" in there or len(there) > 1 else there[0])
    if folder not in there:
        raise unknown("report", f"{study}/{folder}", [f"{study}/{t}" for t in there], "reports/site")
    return place / folder


def _slot(name: str, root: Path) -> Slot:
    place = find_folder(name, root)
    study, folder = place.parent.name, place.name
    given = {p["name"]: p["value"] for p in read_manifest(place).get("parameters", []) if p.get("changed")}
    slot = find_slots([study], given, root)[0]
    again = f"Run: workbench run {study}" + "".join(f" -p {k}={v}" for k, v in given.items())
    if slot.name != folder or not is_done(slot, root):
        raise WorkbenchError(
            f"the report {study}/{folder} failed, or was made by another notebook, data version, program or lock than "
            f"are here now. {again}"
        )
    return slot


def _good(slot: Slot, root: Path) -> dict[str, Any]:
    manifest = read_manifest(slot.folder(root))
    for name, version in manifest["versions"].items():
        here = platform.python_version() if name == "python" else metadata.version(name) if name != "workbench" else ""
        if here and here != version:
            raise WorkbenchError(
                f"the report {slot.study.name}/{slot.name} was made with {name} {version}; here is {here}. "
                f"Run: workbench run {slot.study.name} --force"
            )
    return manifest


def _sources(slots: Iterable[Slot]) -> list[str]:
    return sorted({str(s.parameters["source"]) for s in slots if s.parameters.get("source") and s.data_version})


def _reports(slots: Iterable[Slot], root: Path) -> dict[str, bytes]:
    files = {}
    for slot in slots:
        for name in REPORT:
            files[f"results/{slot.study.name}/{slot.name}/{name}"] = (slot.folder(root) / name).read_bytes()
    return files


def _inputs(slots: Iterable[Slot], root: Path) -> dict[str, bytes]:
    paths = [slot.study.path for slot in slots]
    paths += [root / "data" / "mappings" / f"{source}.toml" for source in _sources(slots)]
    paths += [*(root / "data" / "models").glob("*.toml"), root / "requirements.lock", root / "LICENSE"]
    files = {p.relative_to(root).as_posix(): p.read_bytes() for p in paths if p.is_file()} | program()
    for name in files:
        if not is_safe(name):
            raise WorkbenchError(f"the file name {name!r} does not exist on every system. Rename it.")
    return files


def _about(facts: Mapping[str, Any], files: Mapping[str, bytes], root: Path) -> dict[str, bytes]:
    notebooks = {
        (s["study"], s["slot"]): json.loads(files[f"results/{s['study']}/{s['slot']}/report.ipynb"])
        for s in facts["slots"]
    }
    sheet, text = crate.claims(notebooks, crate.meanings(root / "docs" / "results.md"))
    about = {
        "README.md": crate.readme(facts),
        "CITATION.cff": crate.citation(facts),
        "claims.csv": sheet,
        "claims.md": text,
        "bundle.json": _json(facts),
        "environment.json": _json(environment(files.get("requirements.lock", b"").decode())),
    }
    made = {name: content.encode() for name, content in about.items()}
    return made | {"ro-crate-metadata.json": crate.metadata(facts, {**files, **made}).encode()}


def _data(source: str, root: Path) -> dict[str, Any]:
    """Describe the data of a source without a row of it: the recipe of the sample, or names, hashes and rows."""
    raw = root / "data" / "raw" / source
    account = _account(source, root)
    if missing := [name for name in account if not (raw / name).is_file()]:
        raise WorkbenchError(
            f"'{missing[0]}' of source '{source}' is not in data/raw/{source}, so that its hash is not known. Put the "
            "extracts that were ingested there."
        )
    files = {name: {"sha256": file_hash(raw / name), "rows": rows} for name, rows in account.items()}
    try:
        recipe = json.loads((raw / _DECLARED).read_text("utf-8"))
        return {"kind": "sample", "customers": recipe["customers"], "seed": recipe["seed"], "files": files}
    except (OSError, ValueError, KeyError):
        return {"kind": "pointer", "files": files}


def _account(source: str, root: Path) -> dict[str, int]:
    from workbench.warehouse import open_warehouse

    frame = open_warehouse(source, root=root).account()
    return {str(file): int(raw) for file, raw in zip(frame["file"], frame["raw"], strict=True)}


def file_hash(path: Path) -> str:
    """Hash a file of any size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
