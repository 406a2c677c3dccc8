"""What do the features of use cost beside a plain scan of the columns they read?

    PYTHONPATH=src python benchmarks/features.py [--rows 10000000] [--customers 500000]

Makes a synthetic detail_record in Parquet in a temporary folder (90 days, events spread evenly, 12 counterparts a
customer: more customer-days per event than an operator has, so the ratio is on the high side) and prints CPU seconds
of the process and their ratio to the scan, the least of two runs each.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.warehouse import schema
from workbench.warehouse.features import customer_features

AS_OF = date(2026, 7, 1)
DAYS = 90
BATCH = 1_000_000
SCAN = """SELECT COUNT(customer_id), MAX(customer_id), MAX(started_at), MAX(zone), COUNT(on_net), MAX(counterpart_key)
FROM detail_record"""
SUBJECTS = {
    "activity": ["activity"],
    "activity + usage_mix": ["activity", "usage_mix"],
    "all files": None,
}


class Tables:
    """Canonical tables in memory, detail records in Parquet."""

    def __init__(self, path: Path, customers: int, threads: int):
        self.connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})
        for table in schema.tables().values():
            if table.name != "detail_record":
                self.connection.execute(table.ddl())
        self.connection.execute(f"CREATE VIEW detail_record AS SELECT * FROM '{path}'")
        self.connection.execute(
            f"""INSERT INTO customer (customer_id, kind, province, joined_on)
            SELECT printf('C%07d', range), 'person', 'x', DATE '2020-01-01' FROM range({customers})"""
        )

    def query(self, sql, parameters=()) -> pd.DataFrame:
        return self.connection.cursor().execute(sql, parameters).df()


def batches(rows: int, customers: int) -> Iterator[pa.Table]:
    """Detail records, a million a batch, each from its own seed."""
    ids = pa.array([f"C{n:07}" for n in range(customers)])
    zones = pa.array(["local", "national", "roaming", "international"])
    start = np.datetime64(AS_OF, "us") - np.timedelta64(DAYS, "D")
    for batch, first in enumerate(range(0, rows, BATCH)):
        n = min(BATCH, rows - first)
        rng = np.random.Generator(np.random.SFC64([0, batch]))
        who = rng.integers(0, customers, n)
        other = pa.array((who * 7919 + rng.integers(0, 12, n) * 104_729) % (6 * customers)).cast(pa.string())
        is_data = rng.random(n) < 1 / 3
        yield pa.table(
            {
                "customer_id": ids.take(pa.array(who)),
                "started_at": start + rng.integers(0, DAYS * 86_400, n).astype("timedelta64[s]"),
                "zone": zones.take(pa.array(np.searchsorted([0.7, 0.95, 0.98], rng.random(n)))),
                "on_net": pa.array(rng.random(n) < 0.5, mask=is_data),
                "counterpart_key": pc.if_else(pa.array(is_data), None, pc.utf8_lpad(other, 16, "0")),
            }
        )


def cpu_seconds(work: Callable[[], object], runs: int = 2) -> float:
    """Least CPU time of the process over the runs."""
    times = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=500_000)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detail_record.parquet"
        parts = batches(asked.rows, asked.customers)
        head = next(parts)
        with pq.ParquetWriter(path, head.schema, compression="zstd") as writer:
            for part in itertools.chain([head], parts):
                writer.write_table(part)
        tables = Tables(path, asked.customers, asked.threads)
        scan = cpu_seconds(lambda: tables.query(SCAN))
        print(f"{asked.rows:,} detail records, {asked.customers:,} customers, {asked.threads} threads")
        print(f"{'scan of the columns':24}{scan:8.2f} CPU s   1.0")
        for name, chosen in SUBJECTS.items():
            spent = cpu_seconds(lambda chosen=chosen: customer_features(tables, AS_OF, tables=chosen))
            print(f"{name:24}{spent:8.2f} CPU s {spent / scan:5.1f}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


if __name__ == "__main__":
    main()
