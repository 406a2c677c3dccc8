"""How fast is the path engine? CPU time against the Python peer `seminr`, same survey, same run, as ratios.

Run: python benchmarks/plspm.py [SURVEY.csv]   (a survey with the ECSI items; a simulated one if not given)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from workbench.methods.plspm import PathModel, bootstrap_pls
from workbench.methods.resampling import one_thread
from workbench.studies.satisfaction import satisfaction_index

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "data" / "models"
sys.path.insert(0, str(ROOT / "tests" / "reference"))
from seminr_peer import PeerAbsent, ask  # noqa: E402


def simulated(model: PathModel, n: int, seed: int = 0) -> pd.DataFrame:
    """Answers 1-10 that share one factor."""
    rng = np.random.default_rng(seed)
    values = 7 + 1.2 * rng.normal(size=(n, 1)) + rng.normal(size=(n, len(model.items)))
    return pd.DataFrame(np.clip(np.round(values), 1, 10), columns=list(model.items))


def cpu(task: Callable[[], object]) -> float:
    """CPU seconds of a task, on one thread."""
    with one_thread():
        start = time.process_time()
        task()
        return time.process_time() - start


def peer(survey: pd.DataFrame, model: PathModel, resamples: int) -> float:
    """CPU seconds of a resample by `seminr`, in its own process."""
    items, paths = {c.name: c.items for c in model.constructs}, model.paths
    given = (list(model.items), survey[list(model.items)].to_numpy())
    return ask(data=given, items=items, paths=paths, resamples=resamples)["cpu"] / resamples


def main() -> None:
    """Print one line a case."""
    ecsi, tcsi = PathModel.from_toml(MODELS / "ecsi.toml"), PathModel.from_toml(MODELS / "tcsi.toml")
    small = pd.read_csv(sys.argv[1]) if len(sys.argv) > 1 else simulated(ecsi, 250)
    bootstrap_pls(small, ecsi, resamples=100)
    cases = {"250 respondents": (small, 5000, 100), "50,000 respondents": (simulated(ecsi, 50_000), 5000, 5)}
    for name, (survey, resamples, few) in cases.items():
        ours = cpu(lambda s=survey, r=resamples: bootstrap_pls(s, ecsi, resamples=r, interval="percentile"))
        said = f"{name}, {resamples:,} resamples: {ours:.2f} CPU s"
        try:
            times = peer(survey, ecsi, few) * resamples / ours
            print(f"{said}, seminr takes {times:.0f} times as long (measured on {few} resamples, scaled in proportion)")
        except PeerAbsent as reason:
            print(f"{said}; no ratio, {reason}")
    rng = np.random.default_rng(1)
    panel = simulated(tcsi, 93_000).assign(
        operator=rng.integers(0, 3, 93_000),
        service=rng.integers(0, 4, 93_000),
        province=rng.integers(0, 31, 93_000),
        weight=rng.uniform(0.5, 2, 93_000),
        age=rng.integers(0, 6, 93_000),
        sex=rng.integers(0, 2, 93_000),
    )
    cells = ("operator", "service", "province")
    national = cpu(lambda: satisfaction_index(panel, tcsi, by=cells, resamples=1000))
    print(f"93,000 respondents, 372 cells, 1,000 stratified replicates, 8 indices a cell: {national:.1f} CPU s")
    margins = {c: pd.Series(np.linspace(0.5, 1.5, k) / k) for c, k in (("age", 6), ("sex", 2), ("province", 31))}
    raked = cpu(lambda: satisfaction_index(panel, tcsi, by=cells, resamples=1000, margins=margins))
    print(f"the same, each replicate raked to 3 margins: {raked:.1f} CPU s ({raked / national:.1f} times)")


if __name__ == "__main__":
    main()
