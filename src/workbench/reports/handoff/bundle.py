"""What is handed over? Reports and all that made them, the same bytes each time, without a customer."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import workbench
from workbench.errors import WorkbenchError, unknown
from workbench.locks import whole
from workbench.reports.handoff import crate, scan
from workbench.reports.handoff.sealed import Files, is_safe, seal
from workbench.reports.runs.slots import (
    FORMATS,
    PACKAGE,
    Slot,
    find_studies,
    make_slot,
    read_manifest,
    shared_fingerprint,
)
from workbench.reports.runs.sources import values_in
from workbench.result import MINIMUM_CELL

FORMAT = 1
REPORT = ("index.html", "manifest.json", "report.ipynb", "results.json")
BESIDE = ("index.*.html", "tables.xlsx")


@dataclass(frozen=True)
class Bundle:
    """A bundle that was written; give its sha256 to the receiver by another way."""

    path: Path
    sha256: str
    files: int
    bytes: int


def create(slots: Iterable[str], out: Path | None = None, *, root: Path, minimum: int = 10) -> Bundle:
    """Write published reports, each STUDY or STUDY/NAME, and all that made them into one file.

    Raises
    ------
    WorkbenchError
        If a report is not there, failed, or was made by other code, data or libraries than are here now; or if
        something must not leave the house: customers, secrets, paths, figures on fewer people than `minimum`.
    """
    chosen = {place: _slot(place, root) for place in (find_folder(name, root) for name in slots)}
    manifests = {f"{place.parent.name}/{place.name}": read_manifest(place) for place in chosen}
    read = {str(slot.parameters["source"]) for slot in chosen.values() if slot.data_version}
    sources = sorted(read.union(*(slot.others for slot in chosen.values())))
    given = {p: [*REPORT, *sorted(f.name for kind in BESIDE for f in p.glob(kind))] for p in chosen}
    files = {f"results/{p.parent.name}/{p.name}/{n}": (p / n).read_bytes() for p, names in given.items() for n in names}
    files |= _inputs(chosen.values(), sources, root) | program()
    if wrong := [name for name in files if not is_safe(name)]:
        raise WorkbenchError("the file name {first} does not exist on every system. Rename it.").of(repr(wrong[0]))
    facts = {
        "format": FORMAT,
        "workbench": workbench.__version__,
        "code": code_hash(files),
        "finished": max(m["finished"] for m in manifests.values()),
        "minimum": minimum,
        "slots": [
            {"name": name, "study": slot.study.name, "changed": _changed(slot), "minimum_cell": slot.minimum_cell}
            | {key: manifest[key] for key in ("headline", "finished")}
            for (name, manifest), slot in zip(manifests.items(), chosen.values(), strict=True)
        ],
        "sources": {source: _data(source, root) for source in sources},
    }
    files |= {name: text.encode() for name, text in _about(facts, files, root).items()}
    files["ro-crate-metadata.json"] = crate.metadata(facts, files).encode()
    secret = {
        p.name: str(s.parameters[p.name]) for s in chosen.values() for p in s.study.parameters if p.type == "secret"
    }
    scan.refuse(files, root=root, minimum=minimum, secret=secret)
    content = seal(files)
    studies = "-".join(dict.fromkeys(slot.study.name for slot in chosen.values()))
    path = out or root / "dist" / f"handoff-{studies[:60]}.zip"
    write_whole(path, content)
    return Bundle(path, hashlib.sha256(content).hexdigest(), len(files) + 1, len(content))


def find_folder(name: str, root: Path) -> Path:
    """Find the folder of a published report, STUDY or STUDY/NAME; of one that is not there the nearest is suggested."""
    study, _, folder = name.strip("/").partition("/")
    if study not in (studies := find_studies(root)):
        raise unknown("study", study, studies)
    place = root / "reports" / "site" / study
    there = sorted(p.parent.name for p in place.glob("[!.]*/manifest.json"))
    if not there:
        raise WorkbenchError("there is no report of '{study}' yet. Run: workbench run {study}").of(study)
    folder = folder or ("default" if len(there) > 1 else there[0])
    if folder not in there:
        raise unknown("report", f"{study}/{folder}", [f"{study}/{t}" for t in there], "reports/site")
    return place / folder


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        aside.write_bytes(content)
        aside.chmod(0o644)


def program() -> dict[str, bytes]:
    """Give the files of this very package, as `code/workbench/…`."""
    files = (p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".pyo"))
    return {f"code/workbench/{p.relative_to(PACKAGE).as_posix()}": p.read_bytes() for p in files}


def code_hash(files: Files) -> str:
    """Hash the program among files by names and contents."""
    code = sorted((n, hashlib.sha256(c).hexdigest()) for n, c in files.items() if n.startswith("code/"))
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def environment(names: Iterable[str]) -> dict[str, Any]:
    """Give the versions of Python and of those libraries that are installed here."""
    packages = {}
    for name in sorted(set(names)):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    system = f"{platform.system()} {platform.machine()}"
    return {"python": platform.python_version(), "platform": system, "packages": packages}


def file_hash(path: Path, how: Any = "sha256") -> str:
    """Hash a file of any size, as `hashlib.file_digest` takes it; empty where there is none."""
    from workbench.warehouse.ingest.archives import opened, size

    if size(path) is None:
        return ""
    with opened(path) as stream:
        return hashlib.file_digest(stream, how).hexdigest()


def _slot(place: Path, root: Path) -> Slot:
    """Give the slot of a published report, if that is what would be made here and now."""
    manifest = read_manifest(place)
    made_as = {
        "minimum_cell": manifest.get("minimum_cell", MINIMUM_CELL),
        "formats": tuple(manifest.get("formats", FORMATS)),
        "languages": tuple(manifest.get("languages", ["en"])),
    }
    if (study := find_studies(root)[place.parent.name]).of_one_customer:
        raise WorkbenchError("study '{study}' is the page of one customer, and no such page leaves the house.").of(
            study.name
        )
    slot = make_slot(study, values_in(manifest), root, shared_fingerprint(root), **made_as)
    made = manifest.get("versions", {})
    now = environment(made)["packages"] | {"python": platform.python_version()}
    current = manifest.get("status") == "done" and manifest.get("fingerprint") == slot.fingerprint
    if not current or any(now.get(name, v) != v for name, v in made.items()):
        plan, period = (manifest.get(key) for key in ("plan", "period"))
        asked = [f"--plan {plan}", *[f"--period {period}"] * bool(period)] if plan else [slot.study.name]
        asked += [] if plan else [f"-p {k}={v}" for k, v in _changed(slot).items()]
        command = " ".join(["workbench run", *asked])
        raise WorkbenchError(
            "the report {parent}/{place} failed, or was made by another notebook, data version, program, lock or "
            "library than are here now. Run: {command} --force"
        ).of(place.parent.name, place.name, command)
    return slot


def _changed(slot: Slot) -> dict[str, Any]:
    """Give the parameters that are not as declared."""
    return {p.name: slot.parameters[p.name] for p in slot.study.parameters if slot.parameters[p.name] != p.default}


def _inputs(slots: Iterable[Slot], sources: Iterable[str], root: Path) -> dict[str, bytes]:
    from workbench.warehouse.ingest.mapping import read_mapping

    paths = [slot.study.path for slot in slots] + [root / "requirements.lock", root / "LICENSE"]
    paths += [*(root / "data" / "models").glob("*.toml")]
    for mapping in (root / "data" / "mappings" / f"{source}.toml" for source in sources):
        paths += [mapping, *read_mapping(mapping).codes]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in paths if p.is_file()}


def _about(facts: Mapping[str, Any], files: Files, root: Path) -> dict[str, str]:
    notebooks = {s["name"]: json.loads(files[f"results/{s['name']}/report.ipynb"]) for s in facts["slots"]}
    sheet, text = crate.claims(notebooks, root / "docs" / "results.md")
    locked = re.findall(r"^([\w.-]+)==", files.get("requirements.lock", b"").decode(), re.MULTILINE)
    manifests = {s["name"]: json.loads(files[f"results/{s['name']}/manifest.json"]) for s in facts["slots"]}
    said = {name: m["said"]["zh"]["headline"] for name, m in manifests.items() if "zh" in m.get("said", {})}
    return ({"README.zh.md": crate.readme(facts, "zh", said)} if said else {}) | {
        "README.md": crate.readme(facts),
        "CITATION.cff": crate.citation(facts),
        "claims.csv": sheet,
        "claims.md": text,
        "bundle.json": json.dumps(facts, ensure_ascii=False, indent=1),
        "environment.json": json.dumps(environment(locked), indent=1),
    }


def _data(source: str, root: Path) -> dict[str, Any]:
    """Describe the data of a source without a row of it: the recipe of the sample, or names, hashes and rows.

    Mended records are rows of customers: of them, too, names and hashes alone.
    """
    from workbench.warehouse import open_warehouse
    from workbench.warehouse.ingest.decided import Decided
    from workbench.warehouse.ingest.forgotten import FORGOTTEN
    from workbench.warehouse.ingest.known import raw_hash
    from workbench.warehouse.ingest.repairs import Repairs

    raw, warehouse, repairs = root / "data" / "raw" / source, open_warehouse(source, root=root), Repairs(source, root)
    if warehouse.query("SELECT value FROM facts WHERE name = 'repairs'")["value"].tolist() not in (
        [repairs.digest],
        [],
    ):
        raise WorkbenchError(
            "the repairs of '{source}' in data/repairs/{source} are not those that were ingested. Put those back, "
            "or ingest these and run the report."
        ).of(source)
    if len(warehouse.query("SELECT 1 FROM quarantine WHERE list_contains(reasons, ?) LIMIT 1", [FORGOTTEN])):
        raise WorkbenchError(
            "the extracts of '{source}' name customers who asked to be forgotten, so that nobody else can verify "
            "the report. Have them delivered anew without those, ingest, and run it."
        ).of(source)
    if len(Decided(source, root).rows):
        raise WorkbenchError(
            "who is one customer in '{source}' was decided by hand, and no bundle holds that, so that nobody else can "
            "verify the report. Take the decisions out of {folder}, ingest, and run it."
        ).of(source, f"data/private/identity/{source}")
    mended = {"repairs": {path.name: file_hash(path) for path in repairs.files}} if repairs.files else {}
    read = warehouse.files()
    rows = {str(file): int(records) for file, records in zip(read["file"], read["records"], strict=True)}
    files = {name: {"sha256": file_hash(raw / name), "rows": count} for name, count in rows.items()}
    if missing := [name for name, file in files.items() if not file["sha256"]]:
        raise WorkbenchError(
            "'{name}' of source '{source}' is not in data/raw/{source}, so that its hash is not known. Put the "
            "extracts there that were ingested."
        ).of(missing[0], source)
    was = dict(zip(read["file"], read["digest"], strict=True))
    if other := [name for name in files if file_hash(raw / name, raw_hash) != was[name]]:
        raise WorkbenchError(
            "'{name}' of source '{source}' is not the file that was ingested. Put that one back into data/raw/"
            "{source}, or ingest this one and run the report."
        ).of(other[0], source)
    try:
        recipe = json.loads((raw / "truth/declared.json").read_text("utf-8"))
        return {"kind": "sample", "customers": recipe["customers"], "seed": recipe["seed"], "files": files} | mended
    except (OSError, ValueError, KeyError):
        return {"kind": "pointer", "files": files} | mended
