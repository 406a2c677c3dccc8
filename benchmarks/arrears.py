"""Roll matrix of two million accounts: counted, beside pandas; and all that the study says of them.

python benchmarks/arrears.py
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from workbench.methods.chains import roll_counts
from workbench.studies.arrears import AGEING, roll_rates

ACCOUNTS = 2_000_000


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """CPU seconds of the quickest of a few runs."""
    found = []
    for _ in range(times):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Print seconds and ratios."""
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, len(AGEING), (2, ACCOUNTS))
    names = np.array(AGEING)
    pair = pd.DataFrame({"before": before, "after": after})
    ids = np.arange(ACCOUNTS)
    months = [
        pd.DataFrame({"id": ids, "month": k, "state": names[s], "owed": 1.0}) for k, s in enumerate([before, after])
    ]
    history = pd.concat(months, ignore_index=True)
    asked = {"customer": "id", "month": "month", "state": "state", "owed": "owed"}

    def plain() -> pd.DataFrame:
        wide = history.pivot(index="id", columns="month", values="state")  # noqa: PD010
        return pd.crosstab(wide[0], wide[1])

    counted = seconds(lambda: roll_counts(before, after, len(AGEING)), 7)
    rows = {
        "counts from codes": counted,
        "the same by pandas groupby": seconds(lambda: pair.groupby(["before", "after"]).size()),
        "the same by pandas crosstab": seconds(lambda: pd.crosstab(pair["before"], pair["after"])),
        "roll_rates (intervals, tests, back-test) from a table": seconds(
            lambda: roll_rates(history, horizon=1, **asked)
        ),
        "counts alone by pandas pivot and crosstab, same table": seconds(plain),
    }
    for name, spent in rows.items():
        print(f"{name:55} {spent:8.4f} s   {spent / counted:6.1f}x")


if __name__ == "__main__":
    main()
