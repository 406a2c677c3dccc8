"""What does a model say of every customer? Scores for any number of them, a batch at a time, into one file.

Rows are scored where they are: on the executors of Spark, in worker processes, or in this one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.locks import whole
from workbench.warehouse.sql import why_refused

BATCH = 100_000


@dataclass(frozen=True)
class Scored:
    """What was written: the file, its rows (one a row of the query), its columns, and the seconds it took."""

    path: Path
    rows: int
    columns: tuple[str, ...]
    seconds: float

    def headline(self) -> str:
        """Say how many were scored, and how fast."""
        return f"{self.rows:,} rows scored in {self.seconds:,.0f} s ({', '.join(self.columns)}): {self.path.name}."


def score(
    warehouse: Any,
    query: str,
    model: Any,
    *,
    into: Path | str,
    parameters: Sequence | Mapping = (),
    key: str = "customer_id",
    batch: int = BATCH,
    workers: int = 1,
) -> Scored:
    """Score each row of a query and write key and score to a Parquet or CSV file, in the query's order.

    One batch at a time is in memory, whatever the number of rows. The file gets its name when it is whole: an error or
    an interruption leaves what stood there before, and nothing beside it.

    Parameters
    ----------
    warehouse : object
        Our own, or one of PostgreSQL or Spark, whose rows come out by batches; anything with ``connect()``.
    query : str
        One row a customer: the key and what the model takes, for instance ``features_sql(["activity", "bills"])``
        with ``parameters={"as_of": "2026-07-01"}``.
    model : object
        A fitted segmentation (``assign``), a classifier of two classes (``predict_proba``, of the second), a
        predictor (``predict``), or a function of a DataFrame that gives one value, or a row of named values, for each
        of its rows. It sees the columns it was fitted on (``feature_names_in_``), else all but the key. What it says of
        a row must not depend on the other rows.
    into : Path or str
        The file, CSV where it ends so; its folder exists.
    key : str
        Column that tells rows apart. A score that has no names of its own is `score`.
    batch : int
        Rows at a time.
    workers : int
        Processes that score; the file is the same with any number of them.

    Raises
    ------
    WorkbenchError
        If the query is wrong, lacks the key or a column of the model, or the model gives another number of
        rows.
    CannotAnswer
        If the query gives no row.
    """
    predict, begun, rows = _predictor(model), time.monotonic(), 0
    work = partial(_scores, predict, model, key=key)
    with appended(Path(into)) as write:
        for found in spread(work, records_of(warehouse, query, parameters, batch=batch), workers):
            write(found)
            rows += found.num_rows
        if not rows:
            raise CannotAnswer("the query gives no row, so there is nobody to score.")
    return Scored(Path(into), rows, tuple(found.schema.names), time.monotonic() - begun)


@contextmanager
def appended(into: Path) -> Iterator[Callable[[pa.Table], None]]:
    """Give what appends to a Parquet or CSV file, which appears when all of it is written, or not at all."""
    if into.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise WorkbenchError("'{path}' is neither .parquet nor .csv: name a file of one of them.").of(into.name)
    writer: Any = None
    with whole(into) as part:

        def write(rows: pa.Table) -> None:
            nonlocal writer
            if writer is None:
                as_csv = into.suffix.lower() == ".csv"
                options = {} if as_csv else {"compression": "zstd"}
                writer = (pa.csv.CSVWriter if as_csv else pq.ParquetWriter)(part, rows.schema, **options)
            try:
                writer.write_table(rows.cast(writer.schema if hasattr(writer, "schema") else rows.schema))
            except pa.ArrowInvalid as error:
                raise WorkbenchError("the scores of later rows have another type than those of the first: {error}.").of(
                    error
                ) from None

        try:
            yield write
        finally:
            if writer:
                writer.close()
        if writer:
            with part.open("rb+") as stream:
                os.fsync(stream.fileno())


def spread(
    work: Callable[[pa.RecordBatch], pa.Table], batches: Iterable[pa.RecordBatch], workers: int = 1
) -> Iterator[pa.Table]:
    """Do a work on each batch, in order; with several workers in processes of their own, a few batches at a time."""
    if workers == 1:
        yield from map(work, batches)
        return
    from joblib import Parallel, delayed

    left = iter(batches)
    with Parallel(n_jobs=workers, batch_size=1) as run:
        while some := list(islice(left, 4 * workers)):
            yield from run(delayed(work)(batch) for batch in some)


def records_of(
    warehouse: Any, query: str, parameters: Sequence | Mapping = (), *, batch: int = BATCH
) -> Iterator[pa.RecordBatch]:
    """Give the rows of a query batch by batch, from a warehouse of our own or of another engine."""
    if hasattr(warehouse, "stream"):
        yield from warehouse.stream(query, parameters, batch=batch)
        return
    with warehouse.connect() as con:
        try:
            yield from con.sql(query, params=parameters or None).to_arrow_reader(batch)
        except duckdb.Error as error:
            raise WorkbenchError(why_refused(error, con)) from None


def _predictor(model: Any) -> Callable[[pd.DataFrame], Any]:
    if hasattr(model, "assign") and not isinstance(model, pd.DataFrame):
        return model.assign
    if hasattr(model, "predict_proba") and len(model.classes_) == 2:
        return lambda frame: model.predict_proba(frame)[:, 1]
    if hasattr(model, "predict"):
        return model.predict
    if callable(model):
        return model
    raise WorkbenchError("a model has assign, predict_proba or predict, or is a function; not {kind}.").of(
        type(model).__name__
    )


def _scores(predict: Callable, model: Any, records: pa.RecordBatch, *, key: str) -> pa.Table:
    """Key and scores of one batch."""
    if key not in records.schema.names:
        raise WorkbenchError("the query lacks the key '{key}'. It gives: {names}.").of(
            key, ", ".join(records.schema.names)
        )
    taken = list(getattr(model, "feature_names_in_", [c for c in records.schema.names if c != key]))
    if missing := [c for c in taken if c not in records.schema.names]:
        raise WorkbenchError("the query lacks {names}, which the model was fitted on.").of(
            ", ".join(map(repr, missing))
        )
    found = predict(records.select(taken).to_pandas())
    columns = {c: found[c] for c in found} if isinstance(found, pd.DataFrame) else {"score": found}
    columns = {str(c): np.asarray(values) for c, values in columns.items()}
    if key in columns or any(values.shape != (records.num_rows,) for values in columns.values()):
        shapes = ", ".join(f"'{c}' {values.shape}" for c, values in columns.items())
        raise WorkbenchError("a batch of {n} rows got {shapes}: the model gives one score a row.").of(
            records.num_rows, shapes
        )
    return pa.table({key: records.column(key), **{c: pa.array(v, from_pandas=True) for c, v in columns.items()}})
