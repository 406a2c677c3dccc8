"""What does the default learner cost beside one boosted fit, and a thousand resamples beside the peers'?

    PYTHONPATH=src python benchmarks/uplift.py [MEMBERS]

Every task runs in a process of its own, on one thread: CPU seconds of the same run, and the peak of memory above the
data. The peers (econml, causalml, scikit-uplift) have an environment of their own, which `make peers-uplift` builds;
where it is absent their tasks are skipped, and that is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers-uplift" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ABSENT = "the peers are not installed: `make peers-uplift` puts them into .venv-peers-uplift"
FEATURES = [f"x{k}" for k in range(20)]
HOW = {"outcome": "y", "treatment": "t"}
FEW, RESAMPLES, DRAWN = 100_000, 1_000, 10
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
Data = dict[str, np.ndarray]
Work = Callable[[], object]


def draw(members: int) -> Data:
    """Draw a randomised campaign: 20 features, a money outcome, and the true effect."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(members, len(FEATURES)))
    t = rng.permutation(np.arange(members) % 2)
    effect = np.maximum(x[:, 0], 0) + 0.5 * (x[:, 1] > 1)
    return {"x": x, "t": t, "effect": effect, "y": x[:, 2] + t * effect + rng.gamma(1, 2, members)}


def boosted():
    """Give the base model of the floor and of econml's learner."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=100, max_leaf_nodes=31, early_stopping=False, random_state=0)


def table(data: Data):
    """Give the campaign as a table."""
    import pandas as pd

    return pd.DataFrame(data["x"], columns=FEATURES, copy=False).assign(y=data["y"], t=data["t"])


def one_fit(data: Data) -> Work:
    """One boosted fit of 100 rounds and 31 leaves: the floor."""
    model = boosted()
    return lambda: model.fit(data["x"], data["y"]) and None


def learner(data: Data) -> Work:
    """The default learner, cross-fitted: a prediction for every member."""
    from workbench.studies.uplift import predict_uplift

    members = table(data)
    data.clear()
    return lambda: predict_uplift(members, features=FEATURES, **HOW).to_numpy()


def learner_few(data: Data) -> Work:
    """The default learner on the first members."""
    few = min(FEW, len(data["y"]) // 2)
    return learner({name: values[:few].copy() for name, values in data.items()})


def resampled(data: Data) -> Work:
    """The Qini excess with its interval from 1,000 resamples."""
    from workbench.studies.uplift import uplift_curve

    members = _scored(data)
    return lambda: uplift_curve(members, score="score", resamples=RESAMPLES, **HOW).se


def _scored(data: Data):
    import pandas as pd

    return pd.DataFrame({name: data[name] for name in ("score", "y", "t")})


def econml(folds: int) -> Callable[[Data], Work]:
    """Give the task of econml's doubly robust learner on the base of the floor; the propensity is the share."""

    def task(data: Data) -> Work:
        from econml.dr import DRLearner
        from sklearn.dummy import DummyClassifier

        model = DRLearner(
            model_propensity=DummyClassifier(),
            model_regression=boosted(),
            model_final=boosted(),
            cv=folds,
            random_state=0,
        )
        return lambda: model.fit(data["y"], data["t"], X=data["x"]).effect(data["x"])

    return task


def forest(data: Data) -> Work:
    """econml's causal forest, fitted to as many other members, so that it is judged on members it has not seen."""
    from econml.dml import CausalForestDML
    from sklearn.dummy import DummyClassifier

    few = min(FEW, len(data["y"]) // 2)
    y, t, x = (data[name][few : 2 * few] for name in ("y", "t", "x"))
    model = CausalForestDML(
        model_y=boosted(), model_t=DummyClassifier(), discrete_treatment=True, n_jobs=1, random_state=0
    )
    return lambda: model.fit(y, t, X=x).effect(data["x"][:few])


def causalml(resamples: int) -> Callable[[Data], Work]:
    """Give the task of causalml's Qini score with its interval; without resamples the score alone."""

    def task(data: Data) -> Work:
        from causalml.metrics import qini_score

        members, how = _scored(data), {"outcome_col": "y", "treatment_col": "t", "treatment_effect_col": "none"}
        if resamples:
            how |= {"return_ci": True, "n_bootstrap": resamples, "random_state": 0}
        return lambda: np.asarray(qini_score(members, **how), dtype=float)

    return task


def sklift(data: Data) -> Work:
    """A bootstrap of scikit-uplift's Qini score, in a loop over drawn rows; it takes outcomes of 0/1 only."""
    from sklift.metrics import qini_auc_score

    y, score, t, rng = (data["y"] > 3).astype(int), data["score"], data["t"], np.random.default_rng(0)

    def loop() -> float:
        drawn = (rng.integers(0, len(y), len(y)) for _ in range(DRAWN))
        return float(np.std([qini_auc_score(y[rows], score[rows], t[rows]) for rows in drawn], ddof=1))

    return loop


OURS = {"one fit": one_fit, "learner": learner, "learner few": learner_few, "resampled": resampled}
THEIRS = {
    "econml 5": econml(5),
    "econml 2": econml(2),
    "forest": forest,
    "causalml 0": causalml(0),
    "causalml": causalml(DRAWN),
    "sklift": sklift,
}


class Run(NamedTuple):
    """What a task took and found: CPU seconds, MB above the data (NaN where the system does not tell), answer."""

    cpu: float
    memory: float
    answer: np.ndarray


def perform(name: str, folder: Path) -> None:
    """Run a task on the arrays in the folder and leave there what it took and found."""
    work = (OURS | THEIRS)[name]({file.stem: np.load(file) for file in folder.glob("[!_]*.npy")})
    before, start = _memory("VmRSS"), time.process_time()
    answer = work()
    took = {"cpu": time.process_time() - start, "memory": _memory("VmHWM") - before}
    np.save(folder / "_answer.npy", np.nan if answer is None else answer)
    (folder / "took.json").write_text(json.dumps(took), encoding="utf-8")


def _memory(what: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), np.nan)


def ask(name: str, folder: Path, times: int = 1) -> Run:
    """Run a task in a process of its own; of several times, the quickest."""
    runs = []
    for _ in range(times):
        command = [sys.executable if name in OURS else PEERS, __file__, "--task", name, folder]
        done = subprocess.run(
            command, env=os.environ | dict.fromkeys(THREADS, "1"), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr}")
        took = json.loads((folder / "took.json").read_text(encoding="utf-8"))
        runs.append(Run(**took, answer=np.squeeze(np.load(folder / "_answer.npy"))))
        print(f"  {name:12} {runs[-1].cpu:8.2f} CPU s {runs[-1].memory:8.0f} MB above the data", flush=True)
    return min(runs, key=lambda run: run.cpu)


def ratio(what: str, found: float, wanted: str) -> None:
    """Print a ratio beside the one wanted."""
    print(f"{what:78} {found:9.2f}   wanted: {wanted}", flush=True)


def main(members: int = 1_000_000) -> None:
    """Print the seconds, then the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder, data = Path(name), draw(members)
        for column, values in data.items():
            np.save(folder / f"{column}.npy", values)
        print(f"{members:,} members, 20 features; the causal forest on {min(FEW, members // 2):,}")
        floor, ours, few = ask("one fit", folder, 2), ask("learner", folder, 2), ask("learner few", folder)
        np.save(folder / "score.npy", ours.answer)
        curve = ask("resampled", folder)
        theirs = {name: ask(name, folder) for name in THEIRS} if PEERS.exists() else {}
    print()
    ratio("default learner / one boosted fit", ours.cpu / floor.cpu, "at most 1.7")
    ratio("peak of memory above the data, default learner (MB)", ours.memory, "under 300")
    ratio("peak of memory above the data, 1,000 resamples (MB)", curve.memory, "under 300")
    if theirs:
        _beside_peers(data, ours, few, curve, theirs)
    else:
        print(f"peers skipped: {ABSENT}")


def _beside_peers(data: Data, ours: Run, few: Run, curve: Run, theirs: dict[str, Run]) -> None:
    def errors(one: Run, other: Run) -> None:
        found = [np.sqrt(np.mean((r.answer - data["effect"][: len(r.answer)]) ** 2)) for r in (one, other)]
        ratio("  error of the effect, ours {:.4f} / theirs {:.4f}".format(*found), found[0] / found[1], "below 1")

    for name in ("econml 5", "econml 2"):
        run = theirs[name]
        ratio(f"econml's DR learner, {name[-1]} folds / default learner", run.cpu / ours.cpu, "at least 4")
        errors(ours, run)
    run = theirs["forest"]
    ratio(f"CausalForestDML / default learner, {len(few.answer):,} members", run.cpu / few.cpu, "at least 50")
    errors(few, run)
    one, other, se = _excesses(data, few.answer, run.answer)
    said = f"  Qini excess, ours {one:.4f} less theirs {other:.4f}, in standard errors of the difference"
    ratio(said, (one - other) / se, "above -2")
    replicates = (theirs["causalml"].cpu - theirs["causalml 0"].cpu) * RESAMPLES / DRAWN
    ratio(f"causalml's bootstrap (from {DRAWN} replicates) / ours", replicates / curve.cpu, "at least 300")
    loop = theirs["sklift"].cpu * RESAMPLES / DRAWN
    ratio(f"scikit-uplift in a loop (from {DRAWN} replicates) / ours", loop / curve.cpu, "at least 1,000")


def _excesses(data: Data, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float, float]:
    """Give both Qini excesses on the same members, and the standard error of their difference (100 half samples)."""
    from workbench.studies.uplift import uplift_curve

    members = _scored({name: data[name][: len(ours)] for name in ("y", "t")} | {"score": ours})
    members["forest"] = theirs

    def excess(rows, score: str) -> float:
        return uplift_curve(rows, score=score, resamples=100, **HOW).qini_excess

    rng, apart = np.random.default_rng(0), []
    for _ in range(100):
        half = members.iloc[np.sort(rng.choice(len(members), len(members) // 2, replace=False))]
        apart.append(excess(half, "score") - excess(half, "forest"))
    return excess(members, "score"), excess(members, "forest"), float(np.std(apart, ddof=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        perform(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:]))
