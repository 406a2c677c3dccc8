"""What do the features of use cost beside a plain scan of the columns they read, and beside peers' summaries?

    PYTHONPATH=src python benchmarks/features.py [--rows 10000000] [--customers 500000] [--memory 1500MB]
                                                   [--peer PYTHON] [--polars FOLDER]

Makes synthetic detail records in Parquet by month in a temporary folder (90 days, events spread evenly, 12 counterparts
a customer: more customer-days per event than an operator has, so the ratios are on the high side), stores their
partials as the build does, and prints CPU seconds of the process and their ratio to the scan, the least of two runs
each. The peers (`make peers`; pymc-marketing where it is installed there too) get the same records, in memory. polars
(`pip install --target FOLDER polars`) makes the same numbers of the same files by its lazy engine.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
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
from workbench.warehouse.features import STORED, customer_features, feature_file

AS_OF = date(2026, 7, 1)
DAYS = 90
BATCH = 1_000_000
SCANS = {
    "activity": "SELECT SUM(LENGTH(customer_id)), MAX(EXTRACT(HOUR FROM started_at)) FROM detail_record",
    "activity + usage_mix": """SELECT SUM(LENGTH(customer_id)), MAX(EXTRACT(HOUR FROM started_at)), MAX(LENGTH(zone)),
        COUNT(*) FILTER (WHERE on_net), SUM(LENGTH(counterpart_key)) FROM detail_record""",
}
SUBJECTS = {"activity": ["activity"], "activity + usage_mix": ["activity", "usage_mix"]}
PEER = """
import sys, time, warnings
import numpy as np, pandas as pd
warnings.simplefilter("ignore")
table = pd.DataFrame({"who": pd.Series(np.load(sys.argv[1])).astype("str"), "on": np.load(sys.argv[2])})
for module, name in (("lifetimes.utils", "summary_data_from_transaction_data"),
                     ("pymc_marketing.clv.utils", "rfm_summary")):
    try:
        work = getattr(__import__(module, fromlist=[name]), name)
    except ImportError:
        continue
    begin = time.process_time()
    work(table, "who", "on")
    print(module.split(".")[0], time.process_time() - begin)
"""

POLARS = """
import resource, sys, time
import polars as pl
day, at, hour = pl.col("started_at").dt.date(), pl.col("started_at"), pl.col("started_at").dt.hour()
begin = time.process_time()
found = pl.scan_parquet(sys.argv[1] + "/*.parquet").group_by("customer_id").agg(
    day.max().alias("last_on"), day.n_unique().alias("frequency"),
    ((hour >= 22) | (hour < 6)).mean().alias("night_share"), (at.dt.weekday() >= 6).mean().alias("weekend_share"),
    pl.col("on_net").mean().alias("on_net_share"), (pl.col("zone") == "roaming").mean().alias("roaming_share"),
    (pl.col("zone") == "international").mean().alias("international_share"),
    pl.col("counterpart_key").drop_nulls().n_unique().alias("counterparts"),
).collect(engine="streaming").sort("customer_id")
spent, memory = time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
found.write_parquet(sys.argv[2])
print(spent, memory)
"""


class Tables:
    """Canonical tables in memory, detail records and their partials in Parquet."""

    def __init__(self, folder: Path, customers: int, threads: int, memory: str):
        settings = {"threads": threads, "preserve_insertion_order": False, "memory_limit": memory}
        self.folder, self.connection = (
            folder,
            duckdb.connect(config=settings | {"temp_directory": str(folder / "spill")}),
        )
        for table in schema.tables().values():
            if table.name != "detail_record":
                self.connection.execute(table.ddl())
        self.view("detail_record")
        self.connection.execute(
            f"""INSERT INTO customer (customer_id, kind, province, joined_on)
            SELECT printf('C%07d', range), 'person', 'x', DATE '2020-01-01' FROM range({customers})"""
        )

    def view(self, name: str, month: str = "*") -> None:
        self.connection.execute(f"CREATE OR REPLACE VIEW {name} AS FROM '{self.folder}/{name}/{month}.parquet'")

    def store(self) -> None:
        """Make the partials, as the build of a warehouse does."""
        for month in sorted(file.stem for file in (self.folder / "detail_record").iterdir()):
            self.view("detail_record", month)
            for name in STORED:
                (self.folder / name).mkdir(exist_ok=True)
                self.connection.execute(
                    f"COPY ({feature_file(name)}) TO '{self.folder}/{name}/{month}.parquet' (COMPRESSION zstd)"
                )
                self.view(name, month)
        for name in ("detail_record", *STORED):
            self.view(name)

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
    parser.add_argument("--memory", default="1500MB")
    parser.add_argument("--polars", type=Path)
    parser.add_argument("--peer", type=Path, default=Path(__file__).parents[1] / ".venv-peers/bin/python")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "detail_record", asked.rows, asked.customers)
        tables = Tables(folder, asked.customers, asked.threads, asked.memory)
        print(f"{asked.rows:,} records, {asked.customers:,} customers, {asked.threads} threads, limit {asked.memory}")
        scans = {name: cpu_seconds(lambda sql=sql: tables.query(sql)) for name, sql in SCANS.items()}
        made = cpu_seconds(tables.store, runs=1)
        whole = scans["activity + usage_mix"]
        print(f"{'partials, once':24}{made:8.2f} CPU s, {made / whole:5.1f} times the scan of five columns")
        spent = {}
        for name, chosen in SUBJECTS.items():
            spent[name] = cpu_seconds(lambda chosen=chosen: customer_features(tables, AS_OF, tables=chosen))
            ratio = spent[name] / scans[name]
            print(f"{name:24}{spent[name]:8.2f} CPU s, {ratio:5.1f} times the scan of its columns ({scans[name]:.2f})")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory {peak:.2f} GB", flush=True)
        if asked.polars:
            seconds, memory = polars(asked.polars, tables, folder, asked.threads)
            both = made + spent["activity + usage_mix"]
            print(f"polars {seconds:.2f} CPU s, {seconds / both:.2f} times ours with its partials; {memory:.2f} GB")
        for line in (
            peers(asked.peer, tables, folder) if asked.peer.exists() else ["peers: skipped, `make peers` first"]
        ):
            peer, _, seconds = line.partition(" ")
            both = (
                ""
                if not seconds[:1].isdigit()
                else (
                    f", {float(seconds) / spent['activity']:.0f} times ours "
                    f"({float(seconds) / (spent['activity'] + made):.1f} with the partials made for it)"
                )
            )
            print(f"{peer} {seconds}{both}")


def write(folder: Path, rows: int, customers: int) -> None:
    """Detail records by month, as a warehouse has them."""
    folder.mkdir()
    writers: dict[str, pq.ParquetWriter] = {}
    for part in batches(rows, customers):
        at = part.column("started_at").to_numpy().astype("datetime64[M]")
        for month in map(str, np.unique(at)):
            if month not in writers:
                writers[month] = pq.ParquetWriter(folder / f"{month}.parquet", part.schema, compression="zstd")
            writers[month].write_table(part.filter(at == np.datetime64(month)))
    for writer in writers.values():
        writer.close()


def polars(place: Path, tables: Tables, folder: Path, threads: int) -> tuple[float, float]:
    """CPU seconds and GB of the same numbers by polars, in a process of its own; they must be equal."""
    env = os.environ | {"PYTHONPATH": str(place), "POLARS_MAX_THREADS": str(threads)}
    files = [str(folder / "detail_record"), str(folder / "polars.parquet")]
    said = subprocess.run([sys.executable, "-c", POLARS, *files], env=env, check=True, capture_output=True, text=True)
    theirs = pd.read_parquet(files[1]).set_index("customer_id")
    ours = customer_features(tables, AS_OF, tables=["activity", "usage_mix"]).set_index("customer_id")
    for name in theirs.columns.drop("last_on"):
        np.testing.assert_allclose(theirs[name], ours.loc[theirs.index, name], rtol=1e-9, err_msg=name)
    return tuple(map(float, said.stdout.split()))


def peers(python: Path, tables: Tables, folder: Path) -> list[str]:
    """CPU seconds of the peers' summaries of the same records, in a process of their own."""
    frame = tables.query("SELECT customer_id, started_at FROM detail_record")
    files = [str(folder / f"{name}.npy") for name in frame]
    for file, values in zip(files, (frame["customer_id"].to_numpy().astype("U8"), frame["started_at"]), strict=True):
        np.save(file, values)
    return subprocess.run([python, "-c", PEER, *files], check=True, capture_output=True, text=True).stdout.splitlines()


if __name__ == "__main__":
    main()
