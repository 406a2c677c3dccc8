"""How fast are the buy-till-you-die fits beside `lifetimes`? Same purchases, same run, as ratios.

Run: python benchmarks/lifetime.py [CUSTOMERS]; the peer runs in `.venv-peers` (`make peers`), and is skipped without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd

PEER = Path(__file__).resolve().parents[1] / ".venv-peers"
PYTHON = PEER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UNTIL = pd.Timestamp("2025-09-30")
PEERS = {"bg_nbd": "BetaGeoFitter", "mbg_nbd": "ModifiedBetaGeoFitter", "pareto_nbd": "ParetoNBDFitter"}


def timed(work) -> tuple[float, object]:
    """CPU seconds of a piece of work, and what it gave."""
    start = process_time()
    result = work()
    return process_time() - start, result


def purchases(count: int) -> pd.DataFrame:
    """Purchases of customers who begin in the first quarter and stay for a lifetime that differs between them."""
    rng = np.random.default_rng(0)
    first = rng.integers(0, 90, count)
    stay = np.minimum(rng.exponential(1 / rng.gamma(0.6, 1 / 80, count)), 272 - first)
    repeats = rng.poisson(rng.gamma(0.6, 1 / 70, count) * stay)
    who = np.concatenate([np.arange(count), np.repeat(np.arange(count), repeats)])
    day = np.concatenate([first, (first[who[count:]] + rng.random(len(who) - count) * stay[who[count:]]).astype(int)])
    start = pd.Timestamp("2025-01-01")
    yuan = rng.gamma(6, (60 / rng.gamma(4, 3, count))[who])
    return pd.DataFrame(
        {
            "who": who,
            "on": start + pd.to_timedelta(day, unit="D"),
            "yuan": yuan.round(2),
        }
    )


def peer(purchases: str, answer: str) -> None:
    """Fit by `lifetimes`, in its own environment: seconds and parameters of each model, and of the summary."""
    warnings.simplefilter("ignore")
    import lifetimes

    table = pd.read_csv(purchases, parse_dates=["on"])
    seconds, rest = timed(
        lambda: lifetimes.utils.summary_data_from_transaction_data(
            table, "who", "on", observation_period_end=UNTIL, monetary_value_col="yuan"
        )
    )
    found: dict[str, list] = {"summary": [seconds]}
    for model, name in PEERS.items():
        fitter = getattr(lifetimes, name)()
        seconds, _ = timed(lambda f=fitter: f.fit(rest["frequency"], rest["recency"], rest["T"]))
        found[model] = [seconds, fitter.params_.tolist()]
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


def ask(table: pd.DataFrame) -> dict[str, list]:
    """What the peer took and found; empty where it is not installed."""
    if not PYTHON.exists():
        print("peer skipped: `make peers` puts it into .venv-peers")
        return {}
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "purchases.csv", Path(folder) / "answer.json"
        table.to_csv(given, index=False)
        subprocess.run([PYTHON, __file__, "--peer", given, answer], check=True)
        return json.loads(answer.read_text(encoding="utf-8"))


def main(count: int) -> None:
    """Print one line a comparison: summary of the purchases and fit, ours beside the peer's."""
    from workbench.studies.lifetime_value import fit_btyd, fit_gamma_gamma

    table = purchases(count)
    choices = {"customer": "who", "when": "on", "until": UNTIL}
    theirs = ask(table)
    if theirs:
        print(f"summary of {len(table):,} purchases by the peer: {theirs['summary'][0]:.2f} s")
    for model in PEERS:
        ours, fit = timed(lambda model=model: fit_btyd(table, model=model, unit="day", **choices))
        text = f"{model}, {count:,} customers, purchases to parameters and intervals: {ours:.2f} s"
        if theirs:
            seconds, params = theirs[model]
            apart = np.abs(np.array(params) / fit.params["estimate"].to_numpy() - 1).max()
            text += f"; peer, fit alone {seconds:.2f} s: {seconds / ours:.1f} times (parameters apart by {apart:.1e})"
        print(text)
    ours, _ = timed(lambda: fit_gamma_gamma(table, amount="yuan", **choices))
    print(f"gamma_gamma: {ours:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:4])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
