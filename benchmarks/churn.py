"""What does the churn formula cost beside scikit-learn's newton-cholesky, and its SQL beside the scan? CPU, as ratios.

    OMP_NUM_THREADS=1 PYTHONPATH=src python benchmarks/churn.py [--customers 20000] [--source sample]

The formula is that of lines: reading the panel, looking for leaks, fitting with errors by customer, calibrating and
testing are in it; of the coefficients alone a line of its own. With --source the panel is measured too, in queries of
the features of its last month.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from workbench.methods.regression import logistic
from workbench.studies.churn import churn_formula

FACTS = [f"x{k}" for k in range(12)]


def made(customers: int, months: int = 12) -> pd.DataFrame:
    """A panel of twelve facts."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(customers * months, len(FACTS)))
    left = rng.random(len(x)) < 1 / (1 + np.exp(4 - x @ rng.normal(0, 0.4, len(FACTS))))
    month = np.repeat(pd.date_range("2025-01-01", periods=months, freq="MS"), customers)
    who = np.tile(np.arange(customers), months)
    return pd.DataFrame(x, columns=FACTS).assign(left=left, customer_id=who, month=month)


def cpu(work: Callable[[], Any], times: int = 7) -> float:
    """Least CPU seconds of a few runs."""
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--customers", type=int, default=20_000)
    asked.add_argument("--source", default="")
    given = asked.parse_args()
    panel = made(given.customers)
    x, y, who = panel[FACTS].to_numpy(), panel["left"].to_numpy(), panel["customer_id"].to_numpy()
    how = {"features": FACTS, "form": "straight", "segments": 0, "rival": "none"}
    peer = cpu(lambda: LogisticRegression(C=np.inf, solver="newton-cholesky").fit(x, y))
    print(
        f"coefficients, errors by customer: {cpu(lambda: logistic(x, y, clusters=who)) / peer:.2f} of newton-cholesky"
    )
    print(f"churn_formula, all steps: {cpu(lambda: churn_formula(panel, **how)) / peer:.2f}")
    forms = {
        "lines": how,
        "bins": {**how, "form": "bins"},
        "bins and 16 segments": {"features": FACTS, "rival": "none"},
    }
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder) / "panel.parquet"
        panel.to_parquet(path)
        con.execute("SET threads = 1")
        scan = cpu(lambda: con.sql(f"SELECT customer_id, {', '.join(FACTS)} FROM '{path}'").to_arrow_table())
        for name, form in forms.items():
            text = f"SELECT customer_id, {churn_formula(panel, **form).sql()} AS p FROM '{path}'"
            print(f"SQL, {name}: {cpu(lambda text=text: con.sql(text).to_arrow_table()) / scan:.2f} of the scan")
    if given.source:
        from workbench.warehouse import churn_panel, customer_features, open_warehouse

        warehouse = open_warehouse(given.source)
        tables = ["life", "bills", "arrears", "payments", "service", "holdings"]
        once = cpu(lambda: customer_features(warehouse, warehouse.as_of, tables=tables), 3)
        whole = cpu(lambda: churn_panel(warehouse, 22, tables=tables), 1)
        print(f"panel of 22 months: {whole / once:.1f} feature queries")


if __name__ == "__main__":
    main()
