"""What can a parameter be? The campaigns, arms, provinces and waves that the warehouse has, each in words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.catalogue import label
from workbench.errors import WorkbenchError
from workbench.messages import say, word
from workbench.places import provinces
from workbench.reports.runs.parameters import resolve
from workbench.reports.runs.slots import Study, find_slots
from workbench.reports.runs.sources import warehouse_version

if TYPE_CHECKING:
    from workbench.warehouse import Warehouse

Choice = tuple[str, str]
"""A value, and what it is called."""

_QUERIES = {
    "campaign": "SELECT campaign_id AS v, name FROM campaign WHERE {known} ORDER BY starts_on DESC, campaign_id",
    "arm": "SELECT DISTINCT arm AS v FROM campaign_member WHERE arm <> 'control' AND {campaign} ORDER BY 1",
    "outcome": "SELECT DISTINCT name AS v FROM campaign_member_value WHERE kind = 'outcomes' AND {campaign} ORDER BY 1",
    "wave": "SELECT DISTINCT wave AS v FROM survey_response ORDER BY 1 DESC",
    "province": "SELECT DISTINCT province AS v FROM {people} WHERE province IS NOT NULL",
    "channel": "SELECT DISTINCT channel AS v FROM campaign WHERE channel IS NOT NULL ORDER BY 1",
    "kind": "SELECT DISTINCT kind AS v FROM customer WHERE kind IS NOT NULL ORDER BY 1",
}
"""By the unit of a parameter; `campaign` stands for the one that is chosen."""


def choices(study: Study, given: Mapping[str, Any], root: Path, language: str = "en") -> dict[str, list[Choice]]:
    """Give the values among which each parameter is chosen, in words; without those that are free.

    `given` are the values chosen so far: the source whose warehouse is asked, the campaign whose arms are meant.
    """
    from workbench.warehouse import open_warehouse

    values = {p.name: str(given.get(p.name, p.default)) for p in study.parameters}
    live = {path.stem for path in (root / "data" / "mappings").glob("*.toml") if b"engine" in path.read_bytes()}
    sources = sorted(live | {path.parent.name for path in (root / "data" / "warehouse").glob("*/CURRENT")})
    files = {"source": sources, "model": [path.stem for path in sorted((root / "data" / "models").glob("*.toml"))]}
    warehouse, found = None, {}
    with suppress(WorkbenchError):  # of one that cannot be opened the run says so
        warehouse = open_warehouse(values["source"], root=root) if values.get("source") in sources else None
    for p in study.parameters:
        told = [(str(choice), called(str(choice), p.name, language)) for choice in p.choices]
        if p.type == "str" and not told:
            told = [(v, v) for v in files.get(p.name, ())]
            told = told or (_constructs(values, root, language) if p.unit == "construct" else [])
            told = told or (
                _told(p.unit, study, values, warehouse, language) if warehouse and p.unit in _QUERIES else []
            )
            if told and p.default in ("", "latest", "best"):  # not of the data, but of ours
                told.insert(0, (p.default, word(p.default or "all", language)))
        if told:
            found[p.name] = told
    return found


def wrong(study: Study, given: Mapping[str, Any], root: Path) -> dict[str, WorkbenchError]:
    """Say what is wrong with each value, by parameter: its type, its range, and whether the warehouse has it."""
    known, errors = choices(study, given, root), {}
    for name, value in given.items():
        legal = tuple(choice for choice, _ in known.get(name, ()))
        limited = [replace(p, choices=legal) if p.name == name and p.type == "str" else p for p in study.parameters]
        try:
            resolve(limited, {name: value}, study=study.name)
        except WorkbenchError as error:
            errors[name] = error
    if not errors and any(p.name == "as_of" for p in study.parameters):
        try:
            find_slots([study.name], given, root)
        except WorkbenchError as error:
            errors["as_of"] = error
    return errors


def campaign_name(campaign: str, source: str, root: Path) -> str:
    """Give the name that a campaign has in a source's warehouse; "" where it has none."""
    from workbench.warehouse import open_warehouse

    if not warehouse_version(source, root):
        return ""
    asked = "SELECT name FROM campaign WHERE campaign_id = $campaign AND name IS NOT NULL"
    found = open_warehouse(source, root=root).query(asked, {"campaign": campaign})
    return str(found["name"].iloc[0]) if len(found) else ""


def called(value: str, parameter: str, language: str) -> str:
    """Say a value of a parameter: by its label under the parameter's name, else as a word."""
    found = label(value, language, parameter)
    return word(value, language) if found == value.replace("_", " ") and language != "en" else found


def _constructs(values: Mapping[str, str], root: Path, language: str) -> list[Choice]:
    from workbench.methods.plspm import PathModel

    try:
        model = PathModel.from_toml(root / "data" / "models" / f"{values.get('model')}.toml")
    except (OSError, WorkbenchError):  # the run says so
        return []
    return [(c.name, label(c.name, language)) for c in model.constructs]


def _told(unit: str, study: Study, values: Mapping[str, str], warehouse: Warehouse, language: str) -> list[Choice]:
    from workbench.warehouse.views import long_twin

    needs = study.needs or {}
    columns = [key.partition(".")[2] for key, least in needs.items() if key.startswith("campaign.") and least == 1]
    asked = {"campaign": values["campaign"]} if "campaign" in values and unit in ("arm", "outcome") else {}
    sql = _QUERIES[unit].format(
        known=" AND ".join(f"{column} IS NOT NULL" for column in columns) or "TRUE",
        campaign="campaign_id = $campaign" if asked else "TRUE",
        people="survey_response" if any(key.startswith("survey_response") for key in needs) else "customer",
    )
    sql = long_twin("campaign_member_value", sql, warehouse) if unit == "outcome" else sql
    try:
        rows = warehouse.query(sql, asked).fillna("").astype(str)
    except WorkbenchError:
        return []
    if unit == "campaign":
        names = {v: say("{name} ({code})", name=name, code=v).said(language) for v, name in rows.to_numpy()}
        return [(v, names[v] if name else v) for v, name in rows.to_numpy()]
    found = rows["v"].tolist()
    if unit != "province":
        return [(v, v if unit == "wave" else called(v, unit, language)) for v in found]
    codes = {v: one for v in found if (one := provinces().get(v))}
    english = {
        v: say("{name} ({code})", name=v, code=one.english).said() for v, one in codes.items() if language == "en"
    }
    return [(v, english.get(v, v)) for v in sorted(found, key=lambda v: (codes[v].code if v in codes else "~", v))]
