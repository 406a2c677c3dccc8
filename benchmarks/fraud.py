"""What do the features of fraud rules cost beside a plain scan of the columns they read, and thirty rules on them?

    PYTHONPATH=src python benchmarks/fraud.py [--rows 4000000] [--lines 60000]

Makes synthetic detail records in Parquet by month in a temporary folder (90 days, three windows of 30), and prints CPU
seconds of the process and their ratio to the scan, the least of two runs each.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.rules import condition, judge
from workbench.warehouse import schema
from workbench.warehouse.views import view_sql

AS_OF, DAYS, WINDOWS, PREMIUM = date(2026, 7, 1), 30, 3, 3.0
BATCH = 1_000_000
SCAN = """SELECT SUM(LENGTH(subscription_id)), MAX(started_at), SUM(LENGTH(kind)), SUM(LENGTH(direction)),
    SUM(LENGTH(zone)), SUM(LENGTH(counterpart_key)), SUM(duration_s), SUM(charge) FROM detail_record"""
RULES = 30


def batch(number: int, lines: int) -> pa.Table:
    """A million detail records of their own seed, as a warehouse stores them."""
    rng = np.random.Generator(np.random.SFC64([0, number]))
    who = rng.integers(0, lines, BATCH)
    form = np.searchsorted([0.4, 0.5], rng.random(BATCH))
    calls = form == 0
    other = pa.array((who * 7919 + rng.integers(0, 12, BATCH) * 104_729) % (6 * lines)).cast(pa.string())
    start = np.datetime64(AS_OF, "us") - np.timedelta64(DAYS * WINDOWS, "D")
    return pa.table(
        {
            "customer_id": pc.binary_join_element_wise("C", pa.array(who // 2).cast(pa.string()), ""),
            "subscription_id": pc.binary_join_element_wise("2", pa.array(who + 10_000_000_000).cast(pa.string()), ""),
            "started_at": start + rng.integers(0, DAYS * WINDOWS * 86_400, BATCH).astype("timedelta64[s]"),
            "kind": pa.array(["call", "message", "data"]).take(pa.array(form)),
            "direction": pc.if_else(
                pa.array(form == 2), None, pa.array(["out", "in"]).take(pa.array(rng.integers(0, 2, BATCH)))
            ),
            "zone": pa.array(["local", "national", "roaming", "international"]).take(
                pa.array(np.searchsorted([0.7, 0.95, 0.98], rng.random(BATCH)))
            ),
            "counterpart_key": pc.if_else(pa.array(form == 2), None, pc.utf8_lpad(other, 16, "0")),
            "duration_s": np.where(calls, np.ceil(rng.exponential(120, BATCH)), 0.0),
            "charge": np.round(rng.exponential(0.1, BATCH), 4),
        }
    )


def write(folder: Path, rows: int, lines: int) -> None:
    """Detail records by month."""
    folder.mkdir()
    writers: dict[str, pq.ParquetWriter] = {}
    for number in range(rows // BATCH):
        part = batch(number, lines)
        at = part.column("started_at").to_numpy().astype("datetime64[M]")
        for month in map(str, np.unique(at)):
            if month not in writers:
                writers[month] = pq.ParquetWriter(folder / f"{month}.parquet", part.schema, compression="zstd")
            writers[month].write_table(part.filter(at == np.datetime64(month)))
    for writer in writers.values():
        writer.close()


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
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--lines", type=int, default=60_000)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "detail_record", asked.rows, asked.lines)
        con = duckdb.connect(config={"threads": asked.threads, "memory_limit": "1500MB", "temp_directory": name})
        for table in schema.tables().values():
            if table.name != "detail_record":
                con.execute(table.ddl())
        con.execute(f"CREATE VIEW detail_record AS FROM '{folder}/detail_record/*.parquet'")
        con.execute(
            f"""INSERT INTO customer (customer_id, kind, joined_on)
            SELECT 'C' || range, 'person', DATE '2020-01-01' FROM range({asked.lines // 2 + 1})"""
        )
        con.execute(
            f"""INSERT INTO subscription (subscription_id, customer_id, service, activated_on)
            SELECT '2' || (range + 10000000000), 'C' || (range // 2), 'mobile', DATE '2020-01-01'
            FROM range({asked.lines})"""
        )
        given = {"as_of": AS_OF, "days": DAYS, "windows": WINDOWS, "premium": PREMIUM}
        sql = view_sql("line_fraud")
        scan = cpu_seconds(lambda: con.execute(SCAN).fetchall())
        made = cpu_seconds(lambda: con.sql(sql, params=given).to_arrow_table())
        print(f"{asked.rows:,} detail records, {asked.lines:,} lines, {asked.threads} threads")
        print(f"features {made:.2f} CPU s, {made / scan:.1f} times the scan of their columns ({scan:.2f})")
        lines = con.sql(sql, params=given).df()
        text = "numbers >= threshold AND calls_per_number < 1.2 AND kind = 'person'"
        rules = {f"r{k}": (condition(text, f"r{k}"), {"threshold": float(k)}) for k in range(RULES)}
        spent = cpu_seconds(lambda: judge(rules, lines, "lines"))
        print(f"{RULES} rules on {len(lines):,} lines and windows {spent:.2f} CPU s")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


if __name__ == "__main__":
    main()
