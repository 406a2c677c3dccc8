"""Incidence of departures beside scikit-survival, and a roll matrix beside roll-rate-analysis: CPU seconds, as ratios.

    OMP_NUM_THREADS=1 python benchmarks/retention.py [CUSTOMERS] [ACCOUNTS]

The peers run in `.venv-peers` (`make peers`), on the same arrays, each work in a process of its own, timed
after its imports. scikit-survival knows no late entry: it is given the lives without, ours with it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".venv-peers" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
DAYS, CAUSES, STATES, MOST = 730, 3, 7, 400
AT = [365, 730]


def lives(customers: int) -> dict[str, np.ndarray]:
    """Days of entry and exit and cause (-1: still there), three causes with hazards that fall with the day."""
    rng = np.random.default_rng(0)
    entry = np.where(rng.random(customers) < 0.5, 0, rng.integers(0, 365, customers))
    left = np.ceil(entry + 900 * rng.weibull(0.8, customers)).astype(int)
    exit = np.minimum(left, DAYS)
    cause = np.where(left <= DAYS, rng.choice(CAUSES, customers, p=[0.5, 0.3, 0.2]), -1)
    return {"entry": entry, "exit": exit, "cause": cause}


def accounts(count: int) -> dict[str, np.ndarray]:
    """States of two months."""
    before, after = np.random.default_rng(0).integers(0, STATES, (2, count))
    return {"before": before, "after": after}


def incidence(entry: np.ndarray, exit: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """Ours, with late entry."""
    from workbench.methods.survival import life_table

    return life_table(entry, exit, cause).incidence(1)


def incidence_alike(entry: np.ndarray, exit: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """Ours, of what the peer is given."""
    return incidence(np.zeros_like(entry), exit - entry, cause)


def errors(entry: np.ndarray, exit: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """Ours, with intervals at two days."""
    from workbench.methods.survival import life_table

    return np.array(life_table(entry, exit, cause).ends(AT, start=1))


def resampled(entry: np.ndarray, exit: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """Ours, with customers drawn anew 400 times."""
    from workbench.methods.survival import customer_draws

    return customer_draws(entry, exit, cause, AT, MOST, start=1).std(axis=0)


def peer_incidence(entry: np.ndarray, exit: np.ndarray, cause: np.ndarray) -> np.ndarray:
    """scikit-survival: total, then each cause."""
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    return cumulative_incidence_competing_risks(cause + 1, (exit - entry).astype(float))[1][1:, -1]


def counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Ours, of states by account."""
    from workbench.methods.chains import pairs

    moves = pairs(np.column_stack([before, after]), STATES, STATES + 1)[0]
    return np.bincount(moves.ravel(), minlength=STATES * (STATES + 1)).reshape(STATES, -1)[:, :STATES]


def peer_counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """roll-rate-analysis: the two months joined by the account's number."""
    import polars as pl
    from roll_rate_analysis import MOMRollRateTable

    ids = np.arange(len(before))
    one, two = (pl.DataFrame({"id": ids, "state": s}) for s in (before, after))
    table = MOMRollRateTable(one, two, unique_key_col="id", delinquency_col="state", max_delq=STATES - 1)
    return table.compute().to_numpy()[:, 1:].astype(int)


def rolls(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Ours, whole: from a long table, with intervals, tests and back-test."""
    import pandas as pd

    from workbench.studies.arrears import AGEING, roll_rates

    ids, names = np.arange(len(before)), np.array(AGEING)
    months = [
        pd.DataFrame({"id": ids, "month": k, "state": names[s], "owed": 1.0}) for k, s in enumerate((before, after))
    ]
    history = pd.concat(months, ignore_index=True)
    return roll_rates(history, customer="id", month="month", state="state", owed="owed", horizon=1).counts[0]


OURS = [incidence, incidence_alike, errors, resampled, counts, rolls]
THEIRS = [peer_incidence, peer_counts]


def perform(name: str, folder: Path) -> None:
    """Do the work a few times on the arrays in the folder; leave there the least CPU seconds and what was found."""
    work: Callable[..., np.ndarray] = {w.__name__: w for w in OURS + THEIRS}[name]
    given = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    arrays = {key: np.load(folder / f"{key}.npy") for key in given}
    work(**{key: values[:1000] for key, values in arrays.items()})  # what is loaded late is loaded
    spent = []
    while len(spent) < 5 and sum(spent) < 30:
        start = time.process_time()
        found = work(**arrays)
        spent.append(time.process_time() - start)
    np.save(folder / "found.npy", found)
    (folder / "took.json").write_text(json.dumps(min(spent)), encoding="utf-8")


def ask(work: Callable[..., np.ndarray], arrays: dict[str, np.ndarray]) -> tuple[float, np.ndarray]:
    """CPU seconds of a work in a process of its own, and what it found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key, values in arrays.items():
            np.save(folder / f"{key}.npy", values)
        (folder / f"{work.__name__}.json").write_text(json.dumps(list(arrays)), encoding="utf-8")
        python = PEERS if work in THEIRS else Path(sys.executable)
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
        command = [python, __file__, "--task", work.__name__, folder]
        done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{work.__name__} failed:\n{done.stderr}")
        return json.loads((folder / "took.json").read_text(encoding="utf-8")), np.load(folder / "found.npy")


def main(customers: int = 100_000, count: int = 2_000_000) -> None:
    """Print seconds and ratios."""
    lived, stood = lives(customers), accounts(count)
    ours = {work: ask(work, stood if work in (counts, rolls) else lived) for work in OURS}
    print(f"{customers:,} customers, {DAYS} days, {CAUSES} causes; {count:,} accounts, {STATES} states")
    for work, (spent, _) in ours.items():
        print(f"{(work.__doc__ or '').splitlines()[0]:62} {spent:9.4f} s")
    if not PEERS.exists():
        print("peers skipped: `make peers` puts them into .venv-peers")
        return
    spent, found = ask(peer_incidence, lived)
    apart = np.abs(found - ours[incidence_alike][1][:, -1]).max()
    print(f"scikit-survival / ours with late entry: {spent / ours[incidence][0]:.0f} (20 wanted)  {spent:.4f} s")
    print(f"  the same lives without late entry: apart by {apart:.1e}")
    spent, found = ask(peer_counts, stood)
    assert (found == ours[counts][1]).all()
    print(f"roll-rate-analysis / counts: {spent / ours[counts][0]:.0f} (20 wanted)  {spent:.4f} s; every cell equal")
    print(f"roll-rate-analysis / all that the study says: {spent / ours[rolls][0]:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        if importlib.util.find_spec("workbench") is None:
            sys.path.insert(0, str(ROOT / "src"))
        perform(sys.argv[2], Path(sys.argv[3]))
    else:
        main(*map(int, sys.argv[1:3]))
