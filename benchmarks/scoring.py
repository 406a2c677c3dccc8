"""What does scoring everyone cost beside the raw prediction of the same model? Same run, as a ratio.

    OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/scoring.py [--rows 5000000] [--columns 20]

Raw is the prediction of an array in memory; ours reads Parquet, predicts by batches and writes Parquet. CPU seconds of
the process, all of its threads; peak memory is that of scoring, measured before the array is made.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from workbench.warehouse.scoring import score

BATCH = 100_000


class Customers:
    """Customers in a Parquet file."""

    def __init__(self, path: Path):
        self.path = path

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as con:
            con.execute(f"CREATE VIEW customers AS FROM '{self.path}'")
            yield con


def numbers(batch: int, columns: int) -> np.ndarray:
    """Features of a batch of customers."""
    return np.random.Generator(np.random.SFC64([0, batch])).random((BATCH, columns))


def write(path: Path, rows: int, columns: int) -> None:
    """Customers with their features, a batch at a time."""

    writer = None
    for batch in range(rows // BATCH):
        x = numbers(batch, columns)
        ids = pd.Series(np.arange(batch * BATCH, (batch + 1) * BATCH)).map("C{:08}".format)
        table = pa.table({"customer_id": ids, **{f"x{i}": x[:, i] for i in range(columns)}})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def main() -> None:
    """Print one line a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--columns", type=int, default=20)
    asked = parser.parse_args()
    rows = asked.rows // BATCH * BATCH
    sample = pd.DataFrame(numbers(0, asked.columns), columns=[f"x{i}" for i in range(asked.columns)])
    wanted = sample["x0"] + sample["x1"] * sample["x2"] > np.random.default_rng(1).random(BATCH)
    models = {
        "boosted trees": HistGradientBoostingClassifier(random_state=0).fit(sample, wanted),
        "logistic": LogisticRegression().fit(sample, wanted),
    }
    ours = {}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "customers.parquet", rows, asked.columns)
        customers = Customers(Path(folder) / "customers.parquet")
        for name, model in models.items():
            begin = time.process_time()
            done = score(customers, "FROM customers", model, into=Path(folder) / "scores.parquet")
            assert done.rows == rows
            ours[name] = time.process_time() - begin
    print(
        f"{rows:,} x {asked.columns}, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB"
    )
    x = pd.DataFrame(np.concatenate([numbers(b, asked.columns) for b in range(rows // BATCH)]), columns=sample.columns)
    for name, model in models.items():
        begin = time.process_time()
        model.predict_proba(x)
        raw = time.process_time() - begin
        print(f"{name}: {ours[name]:.1f} CPU s, raw prediction {raw:.1f} s: {ours[name] / raw:.2f} times")


if __name__ == "__main__":
    main()
