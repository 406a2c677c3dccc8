"""How is a report published? By renames, so that a whole one stands at each moment, and one run at a time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.locks import locked
from workbench.messages import say
from workbench.reports.page import lists
from workbench.reports.runs.slots import read_manifest

_PREVIOUS, _DUE = ".previous", ".index.due"
_GOOD = ("index*.html", "tables.xlsx", "report*.pdf", "results.json", "report.ipynb", lists.PATTERN, lists.MODELS)


def publish(made: Path, place: Path) -> None:
    """Move a whole folder to its place; the one that was there goes only when the new one stands.

    A folder that an interrupted run left aside is put back first.
    """
    aside = place.with_name(f".{place.name}{_PREVIOUS}")
    place.parent.mkdir(parents=True, exist_ok=True)
    _put_back(aside, place)
    if place.exists():
        os.rename(place, aside)
    os.rename(made, place)
    shutil.rmtree(aside, ignore_errors=True)


def keep_good(place: Path, made: Path, manifest: dict[str, Any]) -> None:
    """Take the last good version of a slot over into the folder of its failed run, marked as such."""
    from workbench.reports.page.html import with_notice
    from workbench.reports.page.languages import file_name
    from workbench.reports.runs.write import write_json

    if not (place / "index.html").is_file():
        return
    before = read_manifest(place)
    good = before if before.get("status") == "done" else before.get("last_good", {})
    for path in (path for pattern in _GOOD for path in place.glob(pattern)):
        if path.is_file():
            shutil.copy2(path, made / path.name)
    mark = say(
        "This is the last good version, of {day}. The run of {today} failed.",
        day=str(good.get("finished", "an earlier run"))[:16],
        today=manifest["finished"][:16],
    )
    for language in (spoken := good.get("languages") or ["en"]):
        if (path := made / file_name("index.html", language, spoken)).is_file():
            path.write_text(with_notice(path.read_text("utf-8"), mark, language), encoding="utf-8")
    write_json(made / "manifest.json", manifest | {"last_good": good})


def _put_back(aside: Path, place: Path) -> None:
    if aside.exists():
        shutil.rmtree(aside) if place.exists() else os.rename(aside, place)


def mend(root: Path) -> None:
    """Put back what publications that were killed between their two renames left aside."""
    site = root / "reports" / "site"
    if any(site.glob(f"*/.*{_PREVIOUS}")):
        with publishing(root):
            for aside in site.glob(f"*/.*{_PREVIOUS}"):
                _put_back(aside, aside.with_name(aside.name[1 : -len(_PREVIOUS)]))


def refresh_site(root: Path) -> None:
    """Write the index, if there is one, as after new data, of which some reports are not."""
    if (root / "reports" / "site" / "index.html").is_file():
        site_is_due(root)
        write_due_site(root)


def site_is_due(root: Path) -> None:
    """Note, so that no crash forgets it, that the index is older than the reports."""
    mark = root / "reports" / "site" / _DUE
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()


def write_due_site(root: Path, *, every: float = 0.0) -> None:
    """Write the index if it is due, at most once in some seconds."""
    index, mark = (root / "reports" / "site" / name for name in ("index.html", _DUE))
    if not mark.exists() or (every and index.is_file() and time.time() - index.stat().st_mtime < every):
        return
    from workbench.reports.runs.site import write_site

    with publishing(root):
        write_site(root, index_only=bool(every))
        if not every:  # what is left of the site is written at the end
            mark.unlink(missing_ok=True)


@contextmanager
def publishing(root: Path) -> Iterator[None]:
    """Let one run at a time change what is published."""
    site = root / "reports" / "site"
    site.mkdir(parents=True, exist_ok=True)
    with locked(site):
        yield
