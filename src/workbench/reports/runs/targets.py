"""A new list, or all customers of a source, scored by a saved model: one batch in memory (and 8 bytes a member).

A model is a file that is read, never run: an uplift model as JSON, a churn formula as TOML. Where the rows are on Spark
its text goes there; a churn formula is SQL where there are tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import refused
from workbench.errors import WorkbenchError, require_columns
from workbench.messages import Listed, Message, Number, join, say

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.studies.churn import ChurnFormula
    from workbench.studies.uplift import ScoredList, UpliftModel
    from workbench.warehouse import Warehouse

BATCH = 100_000
OURS = ("uplift", "chosen", "arm", "unlike", "churn")
_STRANGE = "strange "


@dataclass(frozen=True)
class WrittenList:
    """The file or table, what an uplift model found of its members, and that in words."""

    path: Path | str
    found: ScoredList | None
    said: Message


def score_file(
    model: Path | str,
    listed: Path | str,
    into: Path | str,
    *,
    member: str,
    campaign: str,
    key: bytes | str,
    holdout: float = 0.1,
    batch: int = BATCH,
    workers: int = 1,
) -> WrittenList:
    """Score a list of customers, draw the holdout among those worth a contact, and write it in the list's order.

    Columns of the file: the member, `uplift` (predicted effect of contact), `chosen` (worth a contact), `arm`
    ("contact", "control" for the holdout, "" for the rest) and `unlike` (unlike the members the model was fitted on);
    of a churn formula the member and `churn`, the probability of leaving. The holdout is drawn by a keyed hash of each
    member, so anybody with the key can draw it again, from any order of the list.

    Parameters
    ----------
    model : Path or str
        What `UpliftModel.save` wrote, or with the ending .toml what `ChurnFormula.save` wrote.
    listed : Path or str
        Parquet or CSV (UTF-8, comma), one row a member, with the model's features.
    into : Path or str
        The file to write, CSV where it ends so, else Parquet; it appears when it is whole.
    member : str
        Column that identifies a member.
    campaign : str
        Name of the new campaign; a new name is a new draw.
    key : bytes or str
        At least 16 characters.
    holdout : float
        Share of the chosen, 0-1, that is held out; 0 for none.
    workers : int
        Processes that score; the file is the same with any number of them.

    Raises
    ------
    WorkbenchError
        If a file cannot be read, a column is missing or of another kind, or members repeat or lack their
        identifier.
    CannotAnswer
        If the list is empty.
    """
    from workbench.warehouse.scoring import appended, spread

    loaded, work = _prepared(model, member)
    rows = spread(work, _batches(Path(listed), [member, *loaded.feature_names_in_], batch), workers)
    with appended(Path(into)) as write:
        return WrittenList(Path(into), *_write(loaded, rows, write, member, (campaign, key, holdout)))


def score_source(
    model: Path | str,
    warehouse: Any,
    into: Path | str,
    *,
    table: str = "",
    query: str = "",
    as_of: date | str | None = None,
    member: str = "customer_id",
    campaign: str = "",
    key: bytes | str = b"",
    holdout: float = 0.1,
    batch: int = BATCH,
    workers: int = 1,
) -> WrittenList:
    """Score the customers of a source where they are: our own warehouse, PostgreSQL or Spark. See `score_file`.

    Parameters
    ----------
    table : str
        New table of a PostgreSQL, or of the catalog of Spark, to write in the place of `into`.
    query : str
        A SELECT over the source with the member and the model's features; `$as_of` is the day. Without it, the
        active customers and the features of `customer_features`.
    as_of : date or str, optional
        Exclusive: what the warehouse declares if None.

    Raises
    ------
    WorkbenchError
        If the model takes what no feature is and there is no query, or the source or the table refuses.
    CannotAnswer
        If nobody is there, or the day lies outside the data.
    """
    from workbench.studies.churn import ChurnFormula
    from workbench.warehouse.features import as_date
    from workbench.warehouse.scoring import appended, records_of, spread
    from workbench.warehouse.sql import quoted

    loaded, work = _prepared(model, member)
    engine = getattr(warehouse, "engine", None)
    new_table = getattr(engine, "table", None)
    if table and not new_table:
        raise WorkbenchError("'{source}' is a warehouse of our own, where no table is written. Name a file.").of(
            warehouse.source
        )
    if engine and query.strip():
        from workbench.warehouse.engines.portable import require_portable

        require_portable(query)
    day = as_date(as_of or warehouse.as_of)
    empty = [] if query.strip() else _empty(loaded, warehouse)
    query = query.strip().rstrip(";") or _features(loaded, warehouse, day)
    wanted = list(map(quoted, (member, *loaded.feature_names_in_)))
    if of_sql := isinstance(loaded, ChurnFormula):
        wanted = [wanted[0], f"{loaded.sql()} AS churn"]
    asked = f"SELECT {', '.join(wanted)} FROM (\n{query}\n) AS customers ORDER BY {wanted[0]}"
    parameters = {"as_of": day} if "$as_of" in asked else {}
    if engine and engine.ships:
        rows = warehouse.stream(asked, parameters, batch=batch, work=None if of_sql else work)
    else:
        rows = records_of(warehouse, asked, parameters, batch=batch)
        rows = rows if of_sql else spread(work, rows, workers)
    with new_table(table) if table and new_table else appended(Path(into)) as write:
        found, said = _write(loaded, rows, write, member, (campaign, key, holdout))
    if empty:
        nothing = say(
            "The source has no row of {tables}: what the model reads there counts as nothing.",
            tables=Listed(list(map(refused.table, empty))),
        )
        said = join(said, nothing)
    return WrittenList(table or Path(into), found, said)


def scored_batch(text: bytes, name: str, member: str, records: pa.RecordBatch) -> pa.RecordBatch:
    """Give members and scores of a batch, wherever it is: in this process, in a worker, on an executor of Spark."""
    import pyarrow as pa

    from workbench.studies.churn import ChurnFormula

    model, frame = _restored(text, name), records.to_pandas()
    if frame[member].isna().any():
        raise WorkbenchError("'{member}' is missing for {n} rows of the list.").of(member, frame[member].isna().sum())
    found = {member: pa.array(frame[member].astype(str))}
    if isinstance(model, ChurnFormula):
        return pa.RecordBatch.from_pydict(found | {"churn": pa.array(model.probability(frame))})
    found["uplift"] = pa.array(model.predict(frame))
    return pa.RecordBatch.from_pydict(
        found | {_STRANGE + feature: pa.array(rows) for feature, rows in model.strange(frame).items()}
    )


@lru_cache(maxsize=2)
def _restored(text: bytes, name: str) -> Any:
    """Read a model from the text of its file, once a process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(text)
        return _loaded(path)


def _loaded(path: Path) -> UpliftModel | ChurnFormula:
    from workbench.studies.churn import ChurnFormula
    from workbench.studies.uplift import UpliftModel

    return ChurnFormula.load(path) if path.suffix == ".toml" else UpliftModel.load(path)


def _prepared(model: Path | str, member: str) -> tuple[Any, Callable[[pa.RecordBatch], Any]]:
    """Give the model, and what gives the scores of a batch."""
    loaded = _loaded(path := Path(model))
    if twice := [c for c in OURS if c in (member, *loaded.feature_names_in_)]:
        raise WorkbenchError("the list's '{first}' has the name of a column of the answer: rename it.").of(twice[0])
    return loaded, partial(scored_batch, path.read_bytes(), path.name, member)


def _features(model: Any, warehouse: Warehouse, day: date) -> str:
    """Write the query of the features that a model takes."""
    from workbench.warehouse.features import features_sql, require_coverage, tables_stored

    subjects = _subjects(model)
    require_coverage(warehouse, day, subjects)
    return features_sql(subjects, stored=tables_stored(warehouse))


def _subjects(model: Any) -> list[str]:
    """Give the files of features that have what a model takes."""
    from workbench.warehouse import sqlfiles
    from workbench.warehouse.features import SUBJECTS

    having = {column: subject for subject in SUBJECTS for column, _, _ in sqlfiles.described(subject)}
    if lacking := [name for name in model.feature_names_in_ if name not in having]:
        raise WorkbenchError("the model takes {names}, which no feature is. Give a query that has them.").of(
            Listed(tuple(lacking), "")
        )
    return [s for s in SUBJECTS if s in {having[name] for name in model.feature_names_in_}]


def _empty(model: Any, warehouse: Any) -> list[str]:
    """Name the tables that a model's features read and that hold no row."""
    from workbench.warehouse import schema, sqlfiles

    read = {table for file in sqlfiles.with_what_they_read(_subjects(model)) for table in sqlfiles.read_by(file)}
    tables = [name for name in schema.tables() if name in read]
    return [name for name in tables if warehouse.query(f"SELECT 1 AS one FROM {name} LIMIT 1").empty]


def _write(
    model: Any, rows: Iterable[Any], write: Callable[[pa.Table], None], member: str, draw: tuple[str, Any, float]
) -> tuple[ScoredList | None, Message]:
    """Write what was scored, batch by batch, with the draw; refuse a member that comes again."""
    import numpy as np
    import pyarrow as pa

    from workbench.errors import CannotAnswer
    from workbench.methods.coding import text_hash
    from workbench.studies.campaign_planning import hold_out
    from workbench.studies.churn import ChurnFormula
    from workbench.studies.uplift import ListCounter

    seen, (campaign, key, holdout) = [], draw
    counter = None if isinstance(model, ChurnFormula) else ListCounter(model)
    for found in rows:
        ids = found.column(member).cast(pa.string())
        table = {member: ids}
        seen.append(text_hash(members := ids.to_pandas()))
        if counter is None:
            table["churn"] = found.column("churn")
        else:
            strange = {n: found.column(_STRANGE + n).to_numpy(zero_copy_only=False) for n in model.feature_names_in_}
            score, chosen, unlike = counter.add(found.column("uplift").to_numpy(), strange)
            out = chosen & hold_out(members, share=holdout, campaign=campaign, key=key)
            counter.count(int((chosen & ~out).sum()), int(out.sum()))
            arm = np.where(out, "control", np.where(chosen, "contact", ""))
            table |= {"uplift": score, "chosen": chosen, "arm": arm, "unlike": unlike}
        write(pa.table(table))
    once = np.sort(np.concatenate(seen)) if seen else np.zeros(0)
    if (repeated := int((once[1:] == once[:-1]).sum())) > 0:
        raise WorkbenchError("the list has {n} rows of '{id}' again: keep one row a member.").of(repeated, member)
    if counter is not None:
        return (result := counter.result()), result.headline()
    if not len(once):
        raise CannotAnswer("the list holds nobody, so there is nobody to score.")
    within = Number(model.months, "g")
    return None, say("{n} customers scored: the probability of leaving within {m} (months).", n=len(once), m=within)


def _batches(path: Path, columns: list[str], batch: int) -> Iterator[pa.RecordBatch]:
    """Rows of a Parquet or CSV file, at most `batch` at a time."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            with pq.ParquetFile(path) as file:
                require_columns(pd.DataFrame(columns=file.schema_arrow.names), columns, "the list")
                yield from (records.select(columns) for records in file.iter_batches(batch, columns=columns))
        elif path.suffix.lower() == ".csv":
            reading = pa.csv.ReadOptions(block_size=1 << 22)
            nothing = pa.csv.ConvertOptions(strings_can_be_null=True)
            with pa.csv.open_csv(path, read_options=reading, convert_options=nothing) as file:
                require_columns(pd.DataFrame(columns=file.schema.names), columns, "the list")
                yield from (records.select(columns) for records in file)
        else:
            raise WorkbenchError("'{path}' is neither .parquet nor .csv: save the list as one of them.").of(path.name)
    except FileNotFoundError:
        raise WorkbenchError("no list at {path}.").of(path) from None
    except pa.ArrowInvalid as error:
        raise WorkbenchError("'{path}' cannot be read: {error}.").of(path.name, error) from None
