"""What do the features of use cost on Spark beside PySpark written by hand for the same numbers?

    PYTHONPATH=src:FOLDER python benchmarks/spark.py [--rows 3000000] [--customers 150000] [--threads 2]

FOLDER holds pyspark (`pip install --target FOLDER pyspark`). Both read the same Parquet files (those of features.py,
and a row a customer and month of use) in one session after a warm-up, by turns. Printed are CPU seconds of the Java
machine and the process together, the least of the runs, and their ratio. Every number must be equal.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from features import AS_OF, DAYS, write

from workbench.warehouse.features import customer_features
from workbench.warehouse.live import open_live

MONTHS = (date(2026, 4, 1), date(2026, 5, 1), date(2026, 6, 1))


def by_hand(session, folder: Path) -> pd.DataFrame:
    """The features of activity and usage_mix as one would write them for this day in PySpark."""
    from pyspark.sql import functions as f

    read = {
        name: session.read.parquet(f"{folder}/{name}.parquet") for name in ("customer", "detail_record", "usage_month")
    }
    people = read["customer"].where(f.col("joined_on") < f.lit(AS_OF))
    events = read["detail_record"].where(f.col("started_at") < f.lit(AS_OF)).withColumn("on", f.to_date("started_at"))
    begin, hour = f.lit(AS_OF - timedelta(days=DAYS)), f.hour("started_at")
    flags = {
        "night": (hour >= 22) | (hour < 6),
        "weekend": f.weekday("on") >= 5,
        "on_net": f.col("on_net"),
        "net_known": f.col("on_net").isNotNull(),
        "roaming": f.col("zone") == "roaming",
        "international": f.col("zone") == "international",
    }
    days = events.groupBy("customer_id", "on").agg(
        f.count("*").alias("events"), *(f.count_if(flag).alias(name) for name, flag in flags.items())
    )
    recent = f.col("on") >= begin
    use = days.groupBy("customer_id").agg(
        f.max("on").alias("last_on"),
        f.count_if(recent).alias("frequency"),
        *(f.sum(f.when(recent, f.col(name))).alias(name) for name in ("events", *flags)),
    )
    others = events.where(recent & f.col("counterpart_key").isNotNull()).select("customer_id", "counterpart_key")
    others = others.distinct().groupBy("customer_id").agg(f.count("*").alias("counterparts"))
    known = read["usage_month"].where(f.col("month").isin(*MONTHS))
    months = known.select("month").distinct()
    alive = people.join(months, months["month"] >= people["joined_on"]).groupBy("customer_id")
    alive = alive.agg(f.count("*").alias("months"))
    sums = known.join(people.select("customer_id", "joined_on"), "customer_id").where(
        f.col("month") >= f.col("joined_on")
    )
    sums = sums.groupBy("customer_id").agg(
        f.sum(f.col("call_min").cast("decimal(18,6)")).cast("double").alias("call_min"),
        f.sum(f.col("data_mb").cast("decimal(18,6)")).cast("double").alias("data_mb"),
        f.sum("messages").alias("messages"),
    )
    whole = people.select("customer_id")
    for part in (use, others, alive, sums):
        whole = whole.join(part, "customer_id", "left")
    share = {
        f"{name}_share": f.col(name) / f.nullif("events", f.lit(0))
        for name in ("night", "weekend", "roaming", "international")
    }
    columns = {
        "recency_days": f.datediff(f.lit(AS_OF), "last_on"),
        "frequency": f.coalesce("frequency", f.lit(0)),
        **{f"{n}_month": f.coalesce(n, f.lit(0)) / f.col("months") for n in ("call_min", "data_mb", "messages")},
        **share,
        "on_net_share": f.col("on_net") / f.nullif("net_known", f.lit(0)),
        "counterparts": f.coalesce("counterparts", f.lit(0)),
    }
    chosen = whole.select("customer_id", *(value.cast("double").alias(name) for name, value in columns.items()))
    return chosen.orderBy("customer_id").toPandas()


def tables(folder: Path, rows: int, customers: int) -> None:
    """Write the canonical tables that the features read, a Parquet file or folder each."""
    write(folder / "use", rows, customers)
    (folder / "detail_record.parquet").mkdir()
    con = duckdb.connect()
    for file in sorted((folder / "use").iterdir()):
        con.execute(f"""COPY (SELECT *, customer_id AS subscription_id, 'call' AS kind, 0.0::DOUBLE AS charge
            FROM '{file}') TO '{folder}/detail_record.parquet/{file.name}' (COMPRESSION zstd)""")
    con.execute(f"""COPY (SELECT printf('C%07d', range) AS customer_id, 'person' AS kind, 'x' AS province,
        DATE '2020-01-01' AS joined_on FROM range({customers})) TO '{folder}/customer.parquet'""")
    con.execute(f"""COPY (SELECT customer_id, customer_id AS subscription_id, month,
        round(random() * 100, 3) AS call_min,
        round(random() * 1000, 3) AS data_mb, CAST(floor(random() * 30) AS BIGINT) AS messages
        FROM '{folder}/customer.parquet', (VALUES {", ".join(f"(DATE '{m}')" for m in MONTHS)}) AS given(month)
        ) TO '{folder}/usage_month.parquet'""")


def main() -> None:
    """Print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--customers", type=int, default=150_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    if find_spec("pyspark") is None:
        return print("pyspark: skipped, it is not installed here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables(folder, asked.rows, asked.customers)
        said = {
            "title": "t",
            "operator": "o",
            "currency": "yuan",
            "as_of": AS_OF,
            "engine": f"local[{asked.threads}]",
            "schema": str(folder),
        }
        warehouse = open_live("lake", said, folder)
        session = warehouse.engine._connected()
        java = Path(f"/proc/{session.sparkContext._gateway.proc.pid}/stat")

        def clock() -> float:
            ticks = java.read_text().rpartition(")")[2].split()[11:13]
            return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") + time.process_time()

        ways = {
            "ours": lambda: customer_features(warehouse, AS_OF, tables=["activity", "usage_mix"], use=True),
            "by hand": lambda: by_hand(session, folder),
        }
        answers = {way: work() for way, work in ways.items()}  # a warm-up
        ours, theirs = (answers[way].set_index("customer_id").sort_index() for way in ways)
        for column in theirs:
            np.testing.assert_allclose(ours[column], theirs[column], rtol=1e-9, err_msg=column)
        times = {way: [] for way in ways}
        for _ in range(asked.runs):
            for way, work in ways.items():
                begin = clock()
                work()
                times[way].append(clock() - begin)
        least = {way: min(values) for way, values in times.items()}
        where = f"{asked.customers:,} customers, local[{asked.threads}]"
        print(f"{asked.rows:,} records, {where}, {len(theirs.columns)} features")
        for way, values in times.items():
            print(f"{way:8}{least[way]:8.2f} CPU s ({', '.join(f'{v:.2f}' for v in values)})")
        print(f"ratio {least['ours'] / least['by hand']:.2f}")


if __name__ == "__main__":
    main()
