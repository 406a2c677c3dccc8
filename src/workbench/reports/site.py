"""The index of all reports: one page that works from a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.reports.slots import read_manifest

TITLE = "Reports"
FILES = (("tables.xlsx", "xlsx"), ("report.pdf", "PDF"), ("report.ipynb", "notebook"), ("results.json", "results"))


def write_site(root: Path) -> Path:
    """Write `reports/site/index.html` from the manifests that are published, and give its path.

    Parameters
    ----------
    root : Path
        The project.
    """
    from workbench.reports.page import site_page

    site = root / "reports" / "site"
    site.mkdir(parents=True, exist_ok=True)
    reports = [_entry(m.parent, site) for m in sorted(site.glob("*/*/manifest.json")) if m.parent.name[0] != "."]
    path = site / "index.html"
    aside = site / ".index.html.new"
    aside.write_text(site_page(title=TITLE, reports=reports), encoding="utf-8")
    os.replace(aside, path)
    return path


def _entry(folder: Path, site: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    here = quote(folder.relative_to(site).as_posix())
    failed = manifest.get("status") != "done"
    return {
        "title": manifest.get("title") or folder.parent.name,
        "parameters": _parameters(manifest, folder),
        "status": manifest.get("status", "unreadable"),
        "headline": manifest.get("error" if failed else "headline", ""),
        "data_version": manifest.get("data_version", ""),
        "finished": str(manifest.get("finished", ""))[:16],
        "seconds": manifest.get("seconds", ""),
        "page": f"{here}/failure.html" if (folder / "failure.html").is_file() else f"{here}/index.html",
        "files": _files(folder, here, failed),
    }


def _files(folder: Path, here: str, failed: bool) -> list[dict[str, str]]:
    good = [{"href": f"{here}/{name}", "text": text} for name, text in FILES if (folder / name).is_file()]
    if failed and (folder / "index.html").is_file():
        good.insert(0, {"href": f"{here}/index.html", "text": "last good version"})
    return good


def _parameters(manifest: dict[str, Any], folder: Path) -> str:
    changed = [f"{p['name']} = {p['value']}" for p in manifest.get("parameters", []) if p.get("changed")]
    return ", ".join(changed) or ("as declared" if folder.name == "default" else folder.name)
