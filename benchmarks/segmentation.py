"""How fast is the segmentation study beside what an analyst would write? Same work, same run, as ratios.

Run: python benchmarks/segmentation.py [EVENTS]
"""

from __future__ import annotations

import sys
from time import process_time

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from workbench.methods.resampling import one_thread
from workbench.studies.segmentation import concentration, fit_segments, rfm


def timed(work) -> tuple[float, object]:
    """CPU seconds of a piece of work, and what it gave."""
    start = process_time()
    result = work()
    return process_time() - start, result


def events(count: int) -> pd.DataFrame:
    """Events of a twentieth as many customers over 180 days."""
    rng = np.random.default_rng(0)
    start = pd.Timestamp("2026-01-01")
    return pd.DataFrame(
        {
            "customer": rng.integers(0, max(count // 20, 10), count),
            "on": start + pd.to_timedelta(rng.integers(0, 180 * 24 * 60, count), unit="min"),
            "yuan": rng.integers(0, 500, count) / 100,
        }
    )


def plain_rfm(table: pd.DataFrame) -> pd.DataFrame:
    """RFM by groupby and qcut, as in most tutorials."""
    grouped = table.assign(day=table["on"].dt.normalize()).groupby("customer")
    found = grouped.agg(last=("day", "max"), frequency=("day", "nunique"), monetary=("yuan", "sum"))
    found["recency"] = (pd.Timestamp("2026-07-01") - found["last"]).dt.days
    for column in ("recency", "frequency", "monetary"):
        found[column[0]] = pd.qcut(found[column].rank(method="first"), 5, labels=False) + 1
    return found


def main(count: int) -> None:
    """Print one line a comparison."""
    table = events(count)
    choices = {"customer": "customer", "when": "on", "amount": "yuan", "as_of": "2026-07-01"}
    ours, _ = timed(lambda: rfm(table, **choices))
    plain, _ = timed(lambda: plain_rfm(table))
    print(f"rfm, {count:,} events: {ours:.2f} s, groupby and qcut {plain:.2f} s: {plain / ours:.1f} times")

    revenue = np.random.default_rng(0).lognormal(3, 1, 20_000)
    for resamples in (0, 1_000):
        seconds, _ = timed(lambda n=resamples: concentration(revenue, resamples=n))
        print(f"concentration, 20,000 customers, {resamples:,} resamples: {seconds:.2f} s")

    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(1_000_000, 12)) + 2 * rng.integers(0, 4, (1_000_000, 1))).rename(
        columns="f{}".format
    )
    ours, _ = timed(lambda: fit_segments(x, k=4))
    with one_thread():
        full, _ = timed(lambda: KMeans(4, n_init=10, random_state=0).fit(x))
    print(f"clusters, 1,000,000 x 12, with stability: {ours:.2f} s; one full fit {full:.2f} s: {full / ours:.1f} times")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
