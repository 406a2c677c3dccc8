"""A new study: a notebook of the house's form that already runs, to be changed cell by cell."""

from __future__ import annotations

import json
import keyword
from pathlib import Path

from workbench.catalogue import prose
from workbench.errors import WorkbenchError
from workbench.reports.page.languages import languages

TEMPLATE = Path(__file__).resolve().parent / "study.ipynb"
_LONGEST = 60


def new_study(name: str, root: Path, language: str = "") -> Path:
    """Write `notebooks/NAME.ipynb` from the template, and give its path.

    Parameters
    ----------
    name : str
        One word, as a Python module would be called; Chinese is fine.
    root : Path
        The project.
    language : str
        In which its text is written; by default the first one of reports.

    Raises
    ------
    WorkbenchError
        If the name is not fit to be one, there is such a study already, or there is no catalogue of the language.
    """
    name = name.strip()
    if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower() or len(name) > _LONGEST:
        raise WorkbenchError(
            "'{name}' cannot be the name of a study. Take one word of small letters, digits and _, at most {most}, "
            "such as late_payers: its notebook, module and report are called so."
        ).of(name[:_LONGEST], _LONGEST)
    notebook = json.loads(TEMPLATE.read_text("utf-8"))
    spoken = languages([language] if language else ())[0]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = prose("".join(cell["source"]), spoken).splitlines(keepends=True)
    first = notebook["cells"][0]
    first["source"] = [line.replace("NAME", name) for line in first["source"]]
    path = root / "notebooks" / f"{name}.ipynb"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")
    except FileExistsError:
        raise WorkbenchError("there is a study '{name}' already. Open it, or take another name.").of(name) from None
    return path
