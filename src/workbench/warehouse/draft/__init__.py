"""A mapping for files that nobody has mapped yet: drafted by names and values, to be checked by whoever knows them."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.warehouse.draft.propose import Proposal, propose
from workbench.warehouse.draft.sample import delivered, samples
from workbench.warehouse.draft.write import as_patterns, doubts, mapping_text

__all__ = ["Proposal", "doubts", "draft_mapping"]


def draft_mapping(
    files: Sequence[Path], *, name: str, root: Path, today: date, until: date | None = None
) -> tuple[Proposal, str, Path]:
    """Draft a mapping of some files, and say where they lie.

    Parameters
    ----------
    files : sequence of Path
        A zip archive stands for the files in it.
    name : str
        Of the source.
    root : Path
        The project; its path models tell which surveys they fit.
    today : date
        Stands for the day that the data reach where no column tells it.
    until : date, optional
        The last day of the data, where more than a piece of them was read.

    Returns
    -------
    (Proposal, str, Path)
        What is proposed, the text of the mapping, and the raw folder: the file itself where it is one.

    Raises
    ------
    WorkbenchError
        If a file can't be read, or no file fits any table.
    """
    files = list(dict.fromkeys(file.resolve() for file in files))
    if not files:
        raise WorkbenchError("name the files to draft a mapping of.")
    folder = Path(os.path.commonpath([file.parent for file in files]))
    files = [one for file in files for one in delivered(file)]
    if odd := next((file for file in files if not str(file).isprintable()), None):
        raise WorkbenchError("the name of {odd} has signs that no text can hold. Rename the file.").of(repr(str(odd)))
    found = [one for file in files for one in samples(file)]
    models = {file.stem: _items(file) for file in sorted((root / "data" / "models").glob("*.toml"))}
    asked: dict[str, Any] = {"models": models, "today": today, "operator": name, "until": until}
    made = propose(as_patterns([one.fresh() for one in found], folder), **asked)
    if apart := {re.sub(r"[?]+", "*", block.sample.at) for block in made.blocks if block.lacks()}:
        made = propose(as_patterns(found, folder, apart), **asked)
    raw = files[0] if [file.parent for file in files] == [folder] else folder
    return made, mapping_text(made, title=name, operator=name), raw


def _items(file: Path) -> list[str]:
    return [item for one in tomllib.loads(file.read_text("utf-8")).get("construct", []) for item in one["items"]]
