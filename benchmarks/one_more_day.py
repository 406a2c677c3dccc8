"""What does one more day of detail records cost a warehouse that holds six months? As a share of all at once.

    PYTHONPATH=src python benchmarks/one_more_day.py [--records 10000] [--customers 20000] [--days 181]

Makes a source of CSV files, one a day, ingests all but the last, then the last.
CPU seconds of the process, and with --profile the parts of the day that cost most (which makes it dearer).
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.warehouse.ingest import ingest

MAPPING = """title = "days"
operator = "none"
as_of = 2026-07-01
[[file]]
path = "customer.csv"
table = "customer"
[file.columns]
customer_id = "id"
joined_on = "since"
kind = { constant = "person" }
province = { constant = "北京" }
[[file]]
path = "cdr/*.csv"
table = "detail_record"
[file.columns]
customer_id = "id"
started_at = "at"
subscription_id = "id"
kind = "kind"
direction = "direction"
zone = "zone"
counterpart_key = { from = "other", pseudonym = true }
duration_s = "duration"
charge = "fee"
"""


def day(number: int, records: int, customers: int) -> pd.DataFrame:
    """Detail records of a day, from its own seed."""
    rng = np.random.default_rng([7, number])
    at = np.datetime64("2026-01-01") + np.timedelta64(number, "D") + rng.integers(0, 86_400, records).astype("m8[s]")
    return pd.DataFrame(
        {
            "id": np.char.mod("C%07d", rng.integers(0, customers, records)),
            "at": np.char.replace(np.datetime_as_string(np.sort(at)), "T", " "),
            "kind": "call",
            "direction": rng.choice(["in", "out"], records),
            "zone": rng.choice(["local", "national"], records),
            "other": np.char.mod("139%08d", rng.integers(0, 10**6, records)),
            "duration": rng.integers(1, 3_600, records),
            "fee": np.char.mod("%.2f", rng.integers(0, 200, records) / 100),
        }
    )


def project(root: Path, customers: int) -> Path:
    """A project with its customers; gives the folder of the detail records."""
    (root / "data/mappings").mkdir(parents=True)
    (root / "data/mappings/days.toml").write_text(MAPPING, "utf-8")
    folder = root / "data/raw/days/cdr"
    folder.mkdir(parents=True)
    who = np.char.mod("C%07d", np.arange(customers))
    pd.DataFrame({"id": who, "since": "2020-01-01"}).to_csv(folder.parent / "customer.csv", index=False)
    return folder


def cpu_seconds(root: Path) -> float:
    """Ingest, and give the CPU time of the process."""
    begin = time.process_time()
    ingest("days", root=root)
    return time.process_time() - begin


def main() -> None:
    """Print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("records", 10_000), ("customers", 20_000), ("days", 181)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--profile", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), asked.customers)
        for number in range(asked.days - 1):
            day(number, asked.records, asked.customers).to_csv(folder / f"{number:03}.csv", index=False)
        most = cpu_seconds(Path(name))
        day(asked.days - 1, asked.records, asked.customers).to_csv(folder / f"{asked.days - 1:03}.csv", index=False)
        seen = cProfile.Profile(time.process_time)
        one = seen.runcall(cpu_seconds, Path(name)) if asked.profile else cpu_seconds(Path(name))
        print(f"{asked.days - 1} days of {asked.records:,} records: {most:.1f} CPU s")
        print(f"one more day: {one:.2f} CPU s, {one / most:.1%}")
        if asked.profile:
            pstats.Stats(seen).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
