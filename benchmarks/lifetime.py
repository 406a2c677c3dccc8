"""How fast are the buy-till-you-die fits beside `lifetimes`? Same purchases, same run, as ratios.

Run: python benchmarks/lifetime.py [CUSTOMERS]; the peer, where absent, is skipped.
"""

from __future__ import annotations

import sys
import warnings
from time import process_time

import numpy as np
import pandas as pd

from workbench.studies.lifetime_value import fit_btyd, fit_gamma_gamma

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
    return pd.DataFrame(
        {"who": who, "on": start + pd.to_timedelta(day, unit="D"), "yuan": rng.gamma(6, 5, len(who)).round(2)}
    )


def main(count: int) -> None:
    """Print one line a comparison: summary of the purchases and fit, ours beside the peer's."""
    table = purchases(count)
    choices = {"customer": "who", "when": "on", "until": UNTIL}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import lifetimes
    except ImportError:
        lifetimes = None
        print("peer: skipped, lifetimes is not installed in this environment (pip install lifetimes)")
    rest = {}
    if lifetimes:
        warnings.simplefilter("ignore")
        summary = lifetimes.utils.summary_data_from_transaction_data
        seconds, rest = timed(
            lambda: summary(table, "who", "on", observation_period_end=UNTIL, monetary_value_col="yuan")
        )
        print(f"summary of {len(table):,} purchases by the peer: {seconds:.2f} s")
    for model, peer in PEERS.items():
        ours, fit = timed(lambda model=model: fit_btyd(table, model=model, unit="day", **choices))
        text = f"{model}, {count:,} customers, purchases to parameters and intervals: {ours:.2f} s"
        if lifetimes:
            fitter = getattr(lifetimes, peer)()
            theirs, _ = timed(lambda f=fitter: f.fit(rest["frequency"], rest["recency"], rest["T"]))
            apart = np.abs(fitter.params_.to_numpy() / fit.params["estimate"].to_numpy() - 1).max()
            text += f"; peer, fit alone {theirs:.2f} s: {theirs / ours:.1f} times (parameters apart by {apart:.1e})"
        print(text)
    ours, _ = timed(lambda: fit_gamma_gamma(table, amount="yuan", **choices))
    print(f"gamma_gamma: {ours:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
