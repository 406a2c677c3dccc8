"""Lists of customers for those who act on them: CSV, workbook and Parquet, each saying what it is and of when."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.locks import whole
from workbench.messages import Word
from workbench.personal import for_me_alone, personal

if TYPE_CHECKING:
    import pandas as pd

OUTPUT = "WORKBENCH_OUTPUT"
"""Environment variable: the folder that a run in the background fills."""
PATTERN = "*.list.*"
MODELS = "*.model.*"
LONGEST_SHEET = 200_000  # beyond that people filter, and machines read Parquet
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
Words = Mapping[str, str]
"""What a column's texts are in another language, by the text; by the empty one what the column is called."""
Spoken = tuple[str, Mapping[str, Words]]


def write_list(
    frame: pd.DataFrame, folder: Path, *, name: str, definition: str, as_of: str, spoken: Spoken = ("en", {})
) -> tuple[Path, ...]:
    """Write a list of customers as CSV, workbook and Parquet, definition and date inside each; give the files.

    CSV is UTF-8 with a mark, as spreadsheets expect, with columns `list`, `as_of` and `definition` in each row; a text
    that a spreadsheet would take for a formula begins with an apostrophe there, and only there. The workbook has
    them on its sheet "run", the Parquet file in its metadata. Lists beyond 200,000 rows have no workbook.

    Parameters
    ----------
    frame : DataFrame
        One row a customer (or line), under its pseudonym.
    folder : Path
        Must exist. Files are written whole or not at all.
    name : str
        Letters, digits, hyphen and underscore, of any script.
    definition : str
        Who is on the list, in a sentence.
    as_of : str
        Date, YYYY-MM-DD.
    spoken : (str, mapping of str to Words), optional
        In which language CSV and workbook are said, and by column (also `list`, `as_of` and `definition`) the words.
        Machines read Parquet (names and texts as they are, the words in its metadata), or the third row of the
        workbook.

    Raises
    ------
    WorkbenchError
        If a text is missing, the name cannot name a file, the list is empty, a column has the name of one of ours, or a
        column holds what looks like a telephone number, an IMSI, an identity card or an e-mail address.
    """
    if not re.fullmatch(r"[\w-]{1,60}", name):
        raise WorkbenchError("list '{name}' cannot name a file. Use letters, digits, hyphens and underscores.").of(name)
    if not definition.strip():
        raise WorkbenchError("list '{name}' lacks its definition. Say in definition= who is on it.").of(name)
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", as_of):
        raise WorkbenchError("list '{name}': as_of is '{as_of}'. Give the day as YYYY-MM-DD.").of(name, as_of)
    if frame.empty:
        raise WorkbenchError("list '{name}' is empty, so there is nobody to act on. Write none.").of(name)
    frame = frame.reset_index(drop=True)
    _refuse_personal(frame, name)
    ours = {"list": name, "as_of": as_of, "definition": definition}
    if taken := sorted(set(ours) & set(map(str, frame.columns))):
        raise WorkbenchError("list '{name}' has a column '{first}', which the file adds itself. Rename it.").of(
            name, taken[0]
        )
    writers = {"csv": _csv, "xlsx": _workbook, "parquet": _parquet}
    files = []
    for ending, write in writers.items():
        if ending == "xlsx" and len(frame) > LONGEST_SHEET:
            continue
        path = folder / f"{name}.list.{ending}"
        with whole(path) as aside:
            for_me_alone(aside)
            write(frame, aside, ours, spoken)
        files.append(path)
    return tuple(files)


def output_folder() -> Path:
    """Give the folder that lists go to: that of the run, or `reports/lists` of the project for those at a notebook."""
    from workbench.project import project_root

    given = os.environ.get(OUTPUT)
    folder = Path(given) if given else project_root() / "reports" / "lists"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def texts(column: pd.Series) -> list[Any]:
    """Give each text of a column once, or whether it has yes and no; of numbers and days none."""
    import pandas as pd

    if not pd.api.types.is_bool_dtype(column) and not _is_text(column):
        return []
    return [value for value in column.dropna().unique().tolist() if isinstance(value, str | bool) and value != ""]


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))


def _refuse_personal(frame: pd.DataFrame, name: str) -> None:
    import pandas as pd

    for column in frame.columns:
        values = frame[column].dropna()
        if pd.api.types.is_float_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
            continue
        found = values.astype(str).map(lambda text: next(iter(personal(text, whole=True)), None)).dropna()
        if len(found):
            raise WorkbenchError(
                "column '{column}' of list '{name}' holds what looks like {first} ({n} rows). Lists carry "
                "pseudonyms: leave the column out, or give it a pseudonym in the mapping."
            ).of(column, name, Word(found.iloc[0]), len(found))


def guarded(value: object) -> object:
    """Give a cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a CSV file for spreadsheets: in UTF-8 with a mark, no text of which is taken for a formula."""
    texts = [name for name in frame.columns if _is_text(frame[name])]
    whole = frame.copy()
    whole[texts] = whole[texts].astype(object).map(guarded)
    # Quoted, for a bare carriage return inside a text would begin a line, and its rest a cell.
    whole.rename(columns=guarded).to_csv(path, index=False, encoding="utf-8-sig", quoting=csv.QUOTE_NONNUMERIC)


def _csv(frame: pd.DataFrame, path: Path, ours: dict[str, str], spoken: Spoken) -> None:
    names = {column: words[""] for column, words in spoken[1].items()}
    twice = {called for called in names.values() if list(names.values()).count(called) > 1}
    names = {column: f"{called} {column}" if called in twice else called for column, called in names.items()}
    write_csv(_in_words(frame.assign(**ours), spoken[1], bool).rename(columns=names), path)


def _parquet(frame: pd.DataFrame, path: Path, ours: dict[str, str], spoken: Spoken) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.Table.from_pandas(frame, preserve_index=False)
    about = json.dumps(ours | ({"spoken": spoken} if spoken[1] else {}), ensure_ascii=False).encode()
    parquet.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), b"workbench": about}), path)


def _workbook(frame: pd.DataFrame, path: Path, ours: dict[str, str], spoken: Spoken) -> None:
    from workbench.reports.page import sheets, tables

    language, said = spoken
    definition = said.get("definition", {}).get(ours["definition"], ours["definition"])
    table = tables.payload(_in_words(frame, said), name=ours["list"], caption=definition)
    table["language"] = language
    for column in table["columns"]:
        column["label"] = said.get(column["name"], {}).get("")
    about = {**ours, "definition": definition, "rows": len(frame)}
    run = [(said[key][""] if key in said else key, value, "") for key, value in about.items()]
    sheets.write_sheets(path, [table], run, language)


def _in_words(frame: pd.DataFrame, said: Mapping[str, Words], *also: type) -> pd.DataFrame:
    """Say the texts of a list, and the values of other types that have words."""
    spoken = {}
    for column, words in said.items():
        if column in frame and len(words) > 1:
            kept = {text: words.get(str(text), text) for text in texts(frame[column]) if isinstance(text, (str, *also))}
            spoken[column] = frame[column].astype(object).map(lambda value, kept=kept: kept.get(value, value))
    return frame.assign(**spoken)
