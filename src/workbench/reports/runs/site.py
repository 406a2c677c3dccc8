"""The index of all reports: one page that works from a folder, searched without a server, newest period first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.catalogue import label
from workbench.errors import WorkbenchError
from workbench.locks import whole
from workbench.messages import Listed, say, word
from workbench.places import neighbours, provinces
from workbench.recognised import sentence
from workbench.reports.page.languages import NAMES, file_name
from workbench.reports.page.languages import spoken as in_use
from workbench.reports.page.said import but_numbers, was
from workbench.reports.runs.slots import CUSTOMER, read_manifest
from workbench.reports.runs.sources import data_changed, read_numbers, values_in
from workbench.reports.runs.write import said_in

TITLE = "Reports"
FILES = (("tables.xlsx", "xlsx"), ("report.pdf", "PDF"), ("report.ipynb", "notebook"), ("results.json", "results"))
_WIDE, _HIGH = 96, 22
_OURS = ("index.*.html", "glossary.*.html", "period-*.html", "province-*.html")
_PERIODS = 12


def write_site(root: Path, *, index_only: bool = False) -> Path:
    """Write `reports/site/index.html` from what is published, but for pages of one customer, and give its path.

    In each language in which there is a report; that of the newest has the plain name. Beside it a page of each period,
    of each province, and the glossary.

    Parameters
    ----------
    root : Path
        The project.
    index_only : bool
        Leave the other pages as they are, while reports are made.
    """
    site = root / "reports" / "site"
    site.mkdir(parents=True, exist_ok=True)
    places = [m.parent for m in sorted(site.glob("*/*/manifest.json")) if m.parent.name[0] != "."]
    manifests = {place: read_manifest(place) for place in places}
    own = [[(p.get("name"), p.get("type")) for p in m.get("parameters", [])] for m in manifests.values()]
    shown = [place for place, parameters in zip(places, own, strict=True) if CUSTOMER not in parameters]
    known = sorted(map(manifests.__getitem__, shown), key=lambda m: str(m.get("finished", "")), reverse=True)
    whose = [m for manifest in known for m in (manifest, manifest.get("last_good")) if isinstance(m, dict)]
    spoken = tuple(dict.fromkeys(language for m in whose for language in m.get("languages", ["en"]))) or (in_use(),)
    pages = {}
    for language in spoken:
        entries = [_entry(place, site, root, language) for place in shown]
        for stem, page in _pages(entries, language, spoken):
            pages[_name(stem, language, spoken)] = page
            pages.setdefault(f"{stem}.html", page)  # the first language has the plain name, too
            if index_only:
                break
    for name, page in pages.items():
        with whole(site / name) as aside:
            aside.write_text(page, encoding="utf-8")
    ours = () if index_only else (path for pattern in _OURS for path in site.glob(pattern))
    for left in {*ours} - {site / name for name in pages}:
        left.unlink()
    return site / "index.html"


def _name(stem: str, language: str, spoken: tuple[str, ...]) -> str:
    return f"{stem}.{language}.html" if len(spoken) > 1 else f"{stem}.html"


def _pages(entries: list[dict[str, Any]], language: str, spoken: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Give the pages of a language: the index, the same of each period and of each province, and the glossary."""
    from workbench.reports.page.html import glossary_page, site_page

    def link(stem: str, text: str) -> dict[str, str]:
        return {"href": _name(stem, language, spoken), "text": text}

    periods = {f"period-{re.sub(r'[^A-Za-z0-9-]', '', e['period'])}": e["period"] for e in entries if e["period"]}
    periods = dict(sorted(periods.items(), key=lambda item: item[1], reverse=True)[:_PERIODS])
    there = {f"province-{e['where'].code}": e["where"] for e in entries if e["where"]}
    names = {stem: f"{p.short} {p.english}" if language == "en" else p.short for stem, p in sorted(there.items())}
    own = {stem: link(stem, name) for stem, name in names.items()}
    newest = [link("index", word("newest", language))] * bool(periods)
    tabs = {"Period": [*newest, *(link(*pair) for pair in periods.items())], "Province": [*own.values()]}
    chosen: dict[str, tuple[str, list[dict[str, Any]], Any]] = {"index": ("", entries, tabs)}
    for stem, period in periods.items():
        groups = {(e["study"], e["group"]) for e in entries if e["period"] == period}
        of = [e for e in entries if (e["study"], e["group"]) in groups and e["period"] <= period]
        chosen[stem] = (period, of, tabs)
    for stem, place in there.items():
        near = [own[f"province-{one.code}"] for one in neighbours(place) if f"province-{one.code}" in own]
        chosen[stem] = (names[stem], [e for e in entries if e["where"] == place], {"Neighbours": near})
    for stem, (of_what, some, beside) in (*chosen.items(), ("glossary", ("", [], {}))):
        others = [{"href": _name(stem, o, spoken), "text": NAMES[o], "language": o} for o in spoken if o != language]
        title = " · ".join(filter(None, (word(TITLE, language), of_what)))
        if stem == "glossary":
            yield stem, glossary_page(language=language, links=others)
            continue
        here, shown = _name(stem, language, spoken), _reports(some, language)
        yield stem, site_page(reports=shown, language=language, links=others, tabs=beside, title=title, here=here)


def _reports(entries: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Give the newest entry of each study and its parameters, with what is said of all of a study alike."""
    entries = sorted(entries, key=lambda e: (e["study"], e["group"], e["period"]))
    reports = [_with_history(list(of), language) for _, of in groupby(entries, key=lambda e: (e["study"], e["group"]))]
    studies = [_alike(list(of), language) for _, of in groupby(reports, key=lambda e: e["study"])]
    return [report for of in studies for report in of]


def trend(values: list[float]) -> str:
    """Draw values over periods as the points of a line, 96 by 22, the last one at the right end.

    >>> trend([1.0, 3.0, 2.0])
    '2.0,20.0 48.0,2.0 94.0,11.0'
    """
    low, high = min(values), max(values)
    step = (_WIDE - 4) / max(len(values) - 1, 1)
    rise = (_HIGH - 4) / (high - low) if high > low else 0.0
    heights = [_HIGH - 2 - (v - low) * rise if rise else _HIGH / 2 for v in values]
    return " ".join(f"{2 + i * step:.1f},{y:.1f}" for i, y in enumerate(heights))


def _alike(reports: list[dict[str, Any]], language: str) -> list[dict[str, Any]]:
    """Name each report of a study by what sets it apart, and show one figure of all: another one has no place there.

    One that is called otherwise in its numbers alone (the best 36%) stands with its own name. Provinces come in the
    order of their codes, after the whole.
    """
    apart = [report["changed"] for report in reports if report["changed"]]
    names = {name for changed in apart for name in changed if len({c.get(name) for c in apart}) > 1 or len(apart) == 1}
    labels = Counter(report["figure"]["label"] for report in reports)
    kind = Counter(map(but_numbers, labels.elements())).most_common(1)[0][0]
    shown = max((label for label in labels if but_numbers(label) == kind), key=labels.__getitem__)
    sources = any("source" in changed for changed in apart)
    called = ["".join(v for n, v in report["changed"].items() if n in names) for report in reports]
    for report, alone in zip(reports, [called.count(name) == 1 for name in called], strict=True):
        own = [value for name, value in report["changed"].items() if name in names or not alone]
        of_all = report["source"] if sources else word("overall", language)
        report["name"] = Listed(filter(None, own), "").said(language) or of_all
        report["place"] = provinces().get(report["name"])
        report["shown"] = shown
        if but_numbers(report["figure"]["label"]) != kind:
            report["figure"] = {"label": shown, "value": "", "interval": ""}
    return sorted(reports, key=lambda r: (r["place"] is not None, r["place"].code if r["place"] else ""))


def _with_history(entries: list[dict[str, Any]], language: str) -> dict[str, Any]:
    """Give the newest entry of a study and its parameters with the earlier ones, and the trend of its first number."""
    newest = entries[-1]
    known = [(e["period"], e["number"]) for e in entries if e["number"]]
    same = [(period, n) for period, n in known if n["name"] == known[-1][1]["name"]] if known else []
    drawn: dict[str, Any] = {}
    if len(same) > 1:
        values = [float(n["value"]) for _, n in same]
        first, last = (f"{same[i][0]} {values[i]:,.4g}" for i in (0, -1))
        drawn = {
            "points": trend(values),
            "text": f"{same[0][1]['name']}: {first} → {last} {same[0][1]['unit']}".strip(),
        }
    past = next((e for e in entries[-2::-1] if e["status"] == "done"), {"figure": {"label": "", "value": ""}})
    value = was(newest["figure"]["label"], [past["figure"]], language, whole=False)
    before = {"period": past["period"], "value": value} if value else None
    return newest | {"earlier": entries[-2::-1], "trend": drawn, "before": before}


def _is_stale(manifest: Mapping[str, Any], root: Path) -> bool:
    """Whether there are other data now; of a source that can't be asked where it stands it is not known."""
    try:
        return data_changed(manifest, root)
    except WorkbenchError:
        return False


def _entry(folder: Path, site: Path, root: Path, language: str) -> dict[str, Any]:
    manifest = said_in(read_manifest(folder), language)
    here = quote(folder.relative_to(site).as_posix())
    failed = manifest.get("status") != "done"
    kept = manifest.get("last_good")
    good = said_in(kept, language) if isinstance(kept, dict) and failed and (folder / "index.html").is_file() else {}
    number = next((n for n in read_numbers(folder)[:1] if n.get("value") is not None), None)
    period = str(manifest.get("period", ""))
    said = (good or manifest).get("error" if failed and not good else "headline", "")
    return {
        "study": folder.parent.name,
        "group": folder.name.removeprefix(period).lstrip(",") if period else folder.name,
        "period": period,
        "title": manifest.get("title") or folder.parent.name,
        "parameters": word(_parameters(manifest, folder), language),
        "status": manifest.get("status", "unreadable"),
        "stale": not failed and _is_stale(manifest, root),
        "source": str(values_in(manifest).get("source", "")),
        "changed": _apart(manifest, folder, language),
        "where": next((provinces().get(str(p["value"])) for p in _changed(manifest) if p["name"] == "province"), None),
        "headline": sentence(said, language) if failed and not good else said,
        "decision": (good or manifest).get("decision", ""),
        "figure": _figure((good or manifest).get("tiles"), number, language),
        "last_good": str(good.get("finished", ""))[:16],
        "data_version": manifest.get("data_version", ""),
        "finished": str(manifest.get("finished", ""))[:16],
        "seconds": manifest.get("seconds", ""),
        "page": f"{here}/{_page(folder, good or manifest, language) if good or not failed else 'failure.html'}",
        "failure": f"{here}/failure.html",
        "files": _files(folder, here, failed, good or manifest, language),
        "number": None if failed else number,
    }


def _page(folder: Path, manifest: dict[str, Any], language: str, name: str = "index.html") -> str:
    """Name a report's page in a language, or in its own first one."""
    own = file_name(name, language, manifest.get("languages") or ["en"])
    return own if (folder / own).is_file() else name


def _files(folder: Path, here: str, failed: bool, manifest: dict[str, Any], language: str) -> list[dict[str, str]]:
    there = [(_page(folder, manifest, language, name), text) for name, text in FILES]
    good = [
        {"href": f"{here}/{name}", "text": word(text, language)} for name, text in there if (folder / name).is_file()
    ]
    if failed and (folder / "index.html").is_file():
        page = _page(folder, manifest, language)
        good.insert(0, {"href": f"{here}/{page}", "text": word("last good version", language)})
    return good


def _parameters(manifest: dict[str, Any], folder: Path) -> str:
    changed = [f"{p['name']} = {p['value']}" for p in _changed(manifest)]
    return ", ".join(changed) or ("as declared" if manifest else folder.name)


def _changed(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    period = manifest.get("period", "")
    return [p for p in manifest.get("parameters", []) if p.get("changed") and not (period and p["name"] == "as_of")]


def _told(parameter: dict[str, Any], language: str) -> str:
    """Say a value, a source by its name; one that is a number, a day, yes or no, with its parameter's name."""
    from workbench.reports.page.html import value_said

    said = str(value_said(parameter, language))
    if parameter["name"] == "source":
        return said
    if isinstance(parameter["value"], str) and parameter.get("kind", parameter.get("unit")) != "date":
        return str(parameter.get("called", said))
    return say("{name}: {what}", name=label(parameter["name"], language, "parameter"), what=said).said(language)


def _apart(manifest: dict[str, Any], folder: Path, language: str) -> dict[str, str]:
    """Give what sets a report apart, in words; of a source without the days that moved along with it."""
    changed = {p["name"]: _told(p, language) for p in _changed(manifest)}
    asked = "~" in folder.name or "source" not in changed  # a name that is cut may lack some
    return {name: said for name, said in changed.items() if asked or re.search(rf"(^|,){name}=", folder.name)}


def _figure(tiles: list[dict[str, str]] | None, number: dict[str, Any] | None, language: str) -> dict[str, str]:
    """Give the first key figure of a report, else its first number, in words; its label is compared with others'."""
    if tiles:
        return {"interval": ""} | tiles[0] | {"label": sentence(tiles[0]["label"], language)}
    if number is None:
        return {"label": "", "value": "", "interval": ""}
    return {"label": f"{number['name']} ({number['unit']})", "value": f"{number['value']:,.4g}", "interval": ""}
