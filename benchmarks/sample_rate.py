"""How fast is the sample written? Detail records (and all rows) per CPU second, and the peak of memory.

python benchmarks/sample_rate.py [CUSTOMERS]
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from workbench.sample import crm, people, timeline, usage, write_sample
from workbench.sample.extracts import Extracts
from workbench.sample.operator import read_operator
from workbench.warehouse.ingest.mapping import read_mapping

MAPPING = Path(__file__).resolve().parents[1] / "data/mappings/sample.toml"


def records_alone(customers: int) -> float:
    """Draw and write the six months of detail records; gives records per CPU second."""
    pa.set_cpu_count(1)
    operator, mapping = read_operator(), read_mapping(MAPPING)
    count, started = 0, time.process_time()
    with tempfile.TemporaryDirectory() as folder, Extracts(Path(folder), mapping) as extracts:
        for first in range(0, customers, 10_000):
            rng = np.random.Generator(np.random.SFC64(first))
            batch = people.draw_customers(operator, first, min(10_000, customers - first), rng)
            lines = people.draw_lines(batch, 0, rng)
            for month in range(timeline.FIRST_DETAIL_MONTH, timeline.MONTHS):
                count += crm.write_records(extracts, month, usage.draw_records(batch, lines, month, rng)[1])
    return count / (time.process_time() - started)


def main() -> None:
    """Print the rates of the records alone and of the whole sample."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"detail records alone: {records_alone(customers) / 1e6:.2f} million per CPU second")
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        report = write_sample(Path(folder) / "raw", customers=customers)
        spent = time.process_time() - started
        records = json.loads((Path(folder) / "raw/truth/declared.json").read_text(encoding="utf-8"))["detail_records"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"whole sample of {customers:,} customers: {spent:.1f} CPU s, {records:,} detail records,")
    print(f"  {report.files['rows'].sum():,} rows in {len(report.files)} files, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
