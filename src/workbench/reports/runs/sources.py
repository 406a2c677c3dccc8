"""What is known of a source before a report is made of it? Its version, its last day, and what its mapping says."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, require_known
from workbench.reports.runs.parameters import Value


def mapping_of(source: str, root: Path) -> Path:
    """Where the mapping of a source stands, if it has one."""
    return root / "data" / "mappings" / f"{source}.toml"


def said_by(file: Path) -> dict[str, Any]:
    """Give the `[parameters]` of a mapping; none of one that is being written, which stops no report."""
    try:
        said = tomllib.loads(file.read_text("utf-8")).get("parameters", {})
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def known_until(source: str, root: Path) -> dt.date | None:
    """Give the day before which all is known of a source (its `as_of` as ingested); None without a warehouse."""
    version = warehouse_version(source, root)
    return _known_until(source, version, root) if version else None


@cache
def _known_until(source: str, _version: str, root: Path) -> dt.date:
    from workbench.warehouse import open_warehouse

    return open_warehouse(source, root=root).as_of


def other_sources(values: Mapping[str, Value], source: str, root: Path) -> dict[str, str]:
    """Give the versions of the sources that parameters name beside `source`."""
    named = sorted({value for value in values.values() if isinstance(value, str)} - {source, ""})
    mapped = [name for name in named if (root / "data" / "mappings" / f"{name}.toml").is_file()]
    return {name: version for name in mapped if (version := warehouse_version(name, root))}


def check_source(source: str, root: Path) -> None:
    """Refuse a source that has no mapping or no warehouse."""
    known = sorted(path.stem for path in (root / "data" / "mappings").glob("*.toml"))
    require_known("source", source, known, "data/mappings")
    if not warehouse_version(source, root):
        raise WorkbenchError("no warehouse of '{source}'. Run: workbench data ingest {source}").of(source)


def warehouse_version(source: str, root: Path) -> str:
    """Give the version of a source's warehouse, empty where it was not ingested; of one elsewhere, how it stands."""
    if not re.fullmatch(r"[\w.-]+", source):
        return ""
    if b"engine" in (file.read_bytes() if (file := mapping_of(source, root)).is_file() else b""):
        from workbench.warehouse import open_warehouse
        from workbench.warehouse.connect import live_mapping

        if live_mapping(source, root) is not None:
            return open_warehouse(source, root=root).version
    current = root / "data" / "warehouse" / source / "CURRENT"
    names = current.read_text("utf-8", errors="replace").split() if current.is_file() else []
    return names[0] if names else ""


def version_folder(source: str, version: str, root: Path) -> Path | None:
    """Give the folder of a warehouse's version; None where there is no version."""
    return root / "data" / "warehouse" / source / version if version else None


def values_in(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values of the parameters that a report was made with, as its manifest has them."""
    return {p.get("name", ""): p.get("value", "") for p in manifest.get("parameters", [])}


def read_numbers(folder: Path) -> list[dict[str, Any]]:
    """Read the numbers that a report recorded; none where they cannot be read."""
    try:
        numbers = json.loads((folder / "results.json").read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [n for n in numbers if isinstance(n, dict)] if isinstance(numbers, list) else []


def data_changed(manifest: Mapping[str, Any], root: Path) -> bool:
    """Say whether the data that a run read are not those of now."""
    source = str(values_in(manifest).get("source", ""))
    return inputs_changed(source, {"version": manifest.get("data_version", "")} | manifest.get("inputs", {}), root)


def inputs_changed(source: str, inputs: Mapping[str, Any], root: Path) -> bool:
    """Say whether a warehouse is another than that of a run's `inputs`, and a table that it read differs."""
    version = warehouse_version(source, root)
    if inputs["version"] == version:
        return False
    read, now = inputs.get("tables", {}), table_digests(source, version, root)
    return not read or any(now.get(name) != digest for name, digest in read.items())


def table_digests(source: str, version: str, root: Path) -> dict[str, str]:
    """Give the digest of each table of a warehouse's version; none where it has none."""
    try:
        folder = version_folder(source, version, root)
        return json.loads((folder / "tables.json").read_text("utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
