"""How much of one boosted fit does the default learner cost, and what do a thousand resamples cost?

    PYTHONPATH=src python benchmarks/uplift.py [MEMBERS]

CPU seconds of the same run, as ratios to one fit of 100 rounds and 31 leaves.
"""

import sys
import time

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from workbench.resampling import one_thread
from workbench.studies.uplift import average_effect, predict_uplift, targeting, uplift_curve


def draw(members: int) -> pd.DataFrame:
    """A randomised campaign with 20 features and a money outcome."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(members, 20)), columns=[f"x{k}" for k in range(20)])
    table["t"] = rng.permutation(np.arange(members) % 2)
    effect = np.maximum(table["x0"], 0) + 0.5 * (table["x1"] > 1)
    table["y"] = table["x2"] + table["t"] * effect + rng.gamma(1, 2, members)
    return table


def main(members: int = 1_000_000) -> None:
    """Print the seconds and the ratios."""
    table = draw(members)
    features = [f"x{k}" for k in range(20)]
    how = {"outcome": "y", "treatment": "t"}
    seconds, answers = {}, {}

    def clock(name, work):
        start = time.process_time()
        answers[name] = work()
        seconds[name] = time.process_time() - start

    base = HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=31, early_stopping=False)
    with one_thread():
        clock("one fit", lambda: base.fit(table[features].to_numpy(), table["y"].to_numpy()))
    clock("average effect", lambda: average_effect(table, **how))
    clock("predicted effects", lambda: predict_uplift(table, features=features, **how))
    score = answers["predicted effects"]
    clock("uplift curve, 1,000 resamples", lambda: uplift_curve(table, score=score, **how))
    clock("targeting", lambda: targeting(table, score=score, margin=0.5, contact_cost=0.3, **how))
    for name, spent in seconds.items():
        print(f"{name:32} {spent:8.2f} s {spent / seconds['one fit']:8.2f} x one fit")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
