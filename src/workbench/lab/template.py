"""A new study: a notebook, a module and a test of the house's form that already run, to be changed piece by piece."""

from __future__ import annotations

import json
import keyword
import unicodedata
from pathlib import Path

from workbench.catalogue import prose
from workbench.errors import WorkbenchError
from workbench.reports.page.languages import languages

TEMPLATE = Path(__file__).resolve().parent / "study.ipynb"
"""The notebook where there is no room for a module: it borrows an estimator; `study.own.ipynb` has one of its own."""
STUDIES = Path("src", "workbench", "studies")
_LONGEST = 60


def new_study(name: str, root: Path, language: str = "") -> tuple[Path, ...]:
    """Write a study from the template, and give the paths of its notebook and, in a checkout, of its module and test.

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
    plain = unicodedata.normalize("NFKC", name).lower()  # as Python itself reads a name of full width
    if not name.isidentifier() or keyword.iskeyword(name) or name != plain or len(name) > _LONGEST:
        raise WorkbenchError(
            "'{name}' cannot be the name of a study. Take one word of small letters, digits and _, at most {most}, "
            "such as late_payers: its notebook, module and report are called so."
        ).of(name[:_LONGEST], _LONGEST)
    own = (root / STUDIES).is_dir()
    notebook = json.loads((TEMPLATE.with_suffix(".own.ipynb") if own else TEMPLATE).read_text("utf-8"))
    spoken = languages([language] if language else ())[0]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = prose("".join(cell["source"]), spoken).splitlines(keepends=True)
    first = notebook["cells"][0]
    first["source"] = [line.replace("NAME", name) for line in first["source"]]
    written = {root / "notebooks" / f"{name}.ipynb": json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"}
    if own:
        room, test = root / STUDIES / name, root / "tests" / "studies" / f"test_{name}.py"
        parts = {"init": room / "__init__.py", "estimate": room / "estimate.py", "test": test}
        written |= {path: TEMPLATE.with_name(f"study.{part}.txt").read_text("utf-8") for part, path in parts.items()}
    if any(path.exists() for path in written):
        raise WorkbenchError("there is a study '{name}' already. Open it, or take another name.").of(name)
    title = name.title().replace("_", "")
    title = title if title[0].isupper() else f"Study{title}"  # a Chinese one has no capitals, by which lint sorts
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("STUDYResult", f"{title}Result").replace("STUDY", name))
    return tuple(written)
