"""What can a parameter be? The campaigns, arms, provinces and waves that the warehouse has, each in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.catalogue import label
from workbench.errors import WorkbenchError
from workbench.messages import say, word
from workbench.places import provinces
from workbench.reports.runs.parameters import resolve
from workbench.reports.runs.slots import Study, find_slots, warehouse_version

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
    """Give the values among which each parameter is chosen; one that is free, or of which nothing is known, is left out.

    Parameters
    ----------
    study : Study
    given : mapping
        Values chosen so far: the source whose warehouse is asked, the campaign whose arms are meant.
    root : Path
        The project.
    language : str
        Of the words.
    """
    from workbench.warehouse import open_warehouse

    values = {p.name: str(given.get(p.name, p.default)) for p in study.parameters}
    found = {p.name: [(str(c), word(str(c), language)) for c in p.choices] for p in study.parameters if p.choices}
    if sources := [(path.parent.name,) * 2 for path in sorted((root / "data" / "warehouse").glob("*/CURRENT"))]:
        found |= {p.name: sources for p in study.parameters if p.name == "source"}
    if models := [(path.stem,) * 2 for path in sorted((root / "data" / "models").glob("*.toml"))]:
        found |= {p.name: models for p in study.parameters if (p.name, p.type) == ("model", "str") and not p.choices}
    found |= {
        p.name: of for p in study.parameters if p.unit == "construct" and (of := _constructs(values, root, language))
    }
    if not warehouse_version(values.get("source", ""), root):
        return found
    warehouse = open_warehouse(values["source"], root=root)
    for parameter in study.parameters:
        if parameter.unit in _QUERIES and parameter.type == "str" and not parameter.choices:
            told = _told(parameter.unit, study, values, warehouse, language)
            if str(parameter.default) not in dict(told):
                usual = word("all" if parameter.default == "" else str(parameter.default), language)
                told = [(str(parameter.default), usual)] * _stands_for_all(
                    parameter.unit, str(parameter.default)
                ) + told
            if told:
                found[parameter.name] = told
    return found


def wrong(study: Study, given: Mapping[str, Any], root: Path) -> dict[str, WorkbenchError]:
    """Say what is wrong with each value, by parameter: its type, its range, and whether the warehouse has it."""
    known = choices(study, given, root)
    errors = {}
    for name, value in given.items():
        legal = tuple(choice for choice, _ in known.get(name, ()))
        free = [replace(p, choices=legal) if p.name == name and p.type == "str" else p for p in study.parameters]
        try:
            resolve(free, {name: value}, study=study.name)
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
    asked = {"campaign": campaign}
    found = open_warehouse(source, root=root).query("SELECT name FROM campaign WHERE campaign_id = $campaign", asked)
    return str(found["name"].iloc[0]) if len(found) and found["name"].notna().iloc[0] else ""


def _constructs(values: Mapping[str, str], root: Path, language: str) -> list[Choice]:
    """Give the constructs of the chosen path model."""
    from workbench.methods.plspm import PathModel

    file = root / "data" / "models" / f"{values.get('model')}.toml"
    try:
        return (
            [(c.name, label(c.name, language)) for c in PathModel.from_toml(file).constructs] if file.is_file() else []
        )
    except WorkbenchError:  # the run says so
        return []


def _stands_for_all(unit: str, default: str) -> bool:
    """Whether a default that is no value of the data has a meaning of its own: all, the latest, the best."""
    return default in ("", "latest", "best") and unit != "campaign"


def _told(unit: str, study: Study, values: Mapping[str, str], warehouse: Warehouse, language: str) -> list[Choice]:
    needs = study.needs or {}
    columns = [key.partition(".")[2] for key, least in needs.items() if key.startswith("campaign.") and least == 1]
    of_survey = any(key.startswith("survey_response") for key in needs)
    asked = {"campaign": values["campaign"]} if "campaign" in values and unit in ("arm", "outcome") else {}
    sql = _QUERIES[unit].format(
        known=" AND ".join(f"{column} IS NOT NULL" for column in columns) or "TRUE",
        campaign="campaign_id = $campaign" if asked else "TRUE",
        people="survey_response" if of_survey else "customer",
    )
    try:
        rows = warehouse.query(_long(sql, warehouse), asked)
    except WorkbenchError:
        return []
    if unit == "campaign":
        return [(v, say("{name} ({code})", name=name, code=v).said(language) if name else v) for v, name in
            rows.fillna("").astype(str).itertuples(index=False)]  # fmt: skip
    found = rows["v"].astype(str).tolist()
    if unit == "province":
        order = provinces()
        found.sort(key=lambda v: (order[v].code if v in order else "~", v))
        english = {v: order[v].english for v in found if v in order and language == "en"}
        return [(v, say("{name} ({code})", name=v, code=english[v]).said() if v in english else v) for v in found]
    called = {v: label(v, language) if unit != "wave" else v for v in found}
    return [(v, word(v, language) if text == label(v) and language != "en" else text) for v, text in called.items()]


def _long(sql: str, warehouse: Warehouse) -> str:
    from workbench.warehouse.views import long_twin

    return long_twin("campaign_member_value", sql, warehouse) if "campaign_member_value" in sql else sql
