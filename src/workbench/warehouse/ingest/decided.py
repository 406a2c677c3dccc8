"""What did somebody decide about customers who may be one? CSV files in `data/private/identity/SOURCE`.

A row a customer of a case: `case_id`, `decision` (same, different, or nothing yet), `customer_id` as delivered; other
columns are for people. All of a case who are the same are one customer; who is different is so from all others of it.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from workbench.errors import WorkbenchError, require_known, unknown
from workbench.locks import replace
from workbench.messages import say
from workbench.personal import for_me_alone

SAME, DIFFERENT = "same", "different"
PLACE = ("case_id", "decision", "customer_id")
OWN = "decided.csv"


def identity_folder(source: str, root: Path) -> Path:
    """The folder of what was decided about a source's customers, which only its owner may read."""
    return root / "data" / "private" / "identity" / source


class Decided:
    """What was decided about a source's customers: `rows` has file, line, case_id, decision and customer_id."""

    def __init__(self, source: str, root: Path) -> None:
        files = sorted(identity_folder(source, root).glob("*.csv")) if source else []
        found = [(path.name, number, *row) for path in files for number, row in _decisions(path)]
        self.rows = pd.DataFrame(found, columns=["file", "line", *PLACE], dtype=object)
        said = "".join(f"{row[2:]}" for row in sorted(found, key=lambda row: row[2:])) if found else ""
        self.digest = hashlib.blake2b(said.encode(), digest_size=16).hexdigest() if found else ""

    def of(self, cases: Iterable[str]) -> pd.DataFrame:
        """The rows of some cases.

        Raises
        ------
        WorkbenchError
            If nothing was decided of one.
        """
        for case in cases:
            require_known("case_id", case, self.rows["case_id"].unique(), say("what was decided"))
        return self.rows[self.rows["case_id"].isin(set(cases))]


def _decisions(path: Path) -> Iterable[tuple[int, tuple[str, ...]]]:
    for number, row in enumerate(_table(path), 2):
        decision = row["decision"].strip().lower()
        if decision not in (SAME, DIFFERENT, ""):
            where = say("{file}, row {n}", file=str(path), n=number)
            raise unknown("decision", row["decision"], (SAME, DIFFERENT), where)
        if decision:
            yield number, (row["case_id"].strip(), decision, row["customer_id"].strip())


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise WorkbenchError("{path} can't be read as CSV in UTF-8: {error}. Save it so.").of(
            str(path), str(error)
        ) from None
    if lacking := [name for name in PLACE if name not in (reader.fieldnames or ())]:
        raise WorkbenchError("{path} lacks {columns}. Make it by: workbench data identity --export").of(
            str(path), lacking
        )
    if any(None in row or None in row.values() for row in rows):
        raise WorkbenchError("{path} has rows with too few or too many cells. Mend them.").of(str(path))
    return rows


def write_cases(cases: pd.DataFrame, path: Path) -> None:
    """Write cases as a CSV file that its owner alone may read, to be decided; what was decided already stays."""
    first = [name for name in PLACE if name in cases]
    table = cases.assign(decision=cases["decision"] if "decision" in cases else "")
    names = [*PLACE, *(name for name in cases if name not in (*first, "decision"))]
    aside = path.with_name(f".{path.name}")
    for_me_alone(aside)
    table[names].to_csv(aside, index=False, encoding="utf-8-sig")
    replace(aside, path)


def decide(source: str, root: Path, cases: pd.DataFrame, decision: str) -> None:
    """Write a decision about whole cases, in the place of one that stands; "" takes it back.

    Parameters
    ----------
    cases : DataFrame
        case_id and customer_id, as `identity_review` has them.
    """
    folder = identity_folder(source, root)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    without(source, root, "case_id", set(cases["case_id"]))
    if decision and len(cases):
        own = folder / OWN
        old = pd.DataFrame(_table(own) if own.is_file() else [], columns=list(PLACE), dtype=str)
        write_cases(pd.concat([old, cases.assign(decision=decision)[list(PLACE)]]), own)


@contextmanager
def or_as_before(source: str, root: Path) -> Iterator[None]:
    """Put the decisions back as they stood if what is done with them fails."""
    folder = identity_folder(source, root)
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    try:
        yield
    except BaseException:
        for path in {*folder.glob("*.csv"), *before}:
            for_me_alone(path)
            path.write_bytes(before[path]) if path in before else path.unlink()
        raise


def without(source: str, root: Path, column: str, gone: set[str]) -> list[Path]:
    """Take rows out of all files of decisions; give the files that were changed."""
    changed = []
    for path in sorted(identity_folder(source, root).glob("*.csv")):
        table = pd.DataFrame(_table(path), dtype=str)
        if len(table) and (held := table[column].str.strip().isin(gone)).any():
            changed.append(path)
            write_cases(table[~held], path)
    return changed
