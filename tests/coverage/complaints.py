"""What follows a complaint, the effect of an arm, what becomes of overdue bills and arrears, of few events to many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.studies.arrears import cure, expected_loss
from workbench.studies.departures import recovery

RUNS = 600
SINCE, AS_OF = pd.Timestamp("2024-01-01"), pd.Timestamp("2025-01-01")
RATIOS, SHARES = {"recovered": 0.8, "late": 1.4, "failed": 2.2}, (0.5, 0.2, 0.3)
OFFERED, LONGEST, WINDOW = 0.7, 11, 90
CASES = {
    "customer": "id",
    "started": "on",
    "left": "off",
    "opened": "opened",
    "due": "due",
    "closed": "closed",
    "outcome": "outcome",
    "lot": "arm",
}


@dataclass(frozen=True)
class Complaints:
    """One complaint a customer, closed after 1 to 11 days; then the hazard changes by outcome, and by an arm."""

    count: int
    hazard: float

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} complaints, hazard {365 * self.hazard:.2f} a year"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Hazard ratios among complainers from opening on, and more who leave within 90 days by arm."""
        rng, n = np.random.default_rng([seed, self.count]), self.count
        opened, length = rng.integers(0, 270, n), rng.integers(1, LONGEST + 1, n)
        state, offered = rng.choice([*RATIOS], n, p=SHARES), rng.random(n) < 0.5
        factor = pd.Series(state).map(RATIOS).to_numpy() * np.where(offered, OFFERED, 1.0)
        before, within, later = (rng.geometric(h, n) for h in (self.hazard, factor * self.hazard, self.hazard))
        stayed = np.where(before <= length, before, length + np.where(within <= WINDOW, within, WINDOW + later)) - 1
        on = pd.Series(SINCE + pd.to_timedelta(opened, unit="D"))
        off = on + pd.to_timedelta(stayed, unit="D")
        closed = on + pd.to_timedelta(length, unit="D")
        shut = (closed <= off) & (closed < AS_OF)
        people = pd.DataFrame({"id": range(n), "on": SINCE - pd.Timedelta(days=9), "off": off.where(off < AS_OF)})
        cases = pd.DataFrame(
            {
                "id": range(n),
                "opened": on,
                "closed": closed.where(shut),
                "arm": np.where(offered, "offered", "control"),
                "due": closed - pd.to_timedelta(np.where(state == "late", 1, 0), unit="D"),
                "outcome": pd.Series(np.where(state == "failed", "rejected", "solved")).where(shut),
            }
        )
        try:
            found = recovery(people, cases, since=SINCE, as_of=AS_OF, window=WINDOW, **CASES)
        except CannotAnswer:
            return
        for name in ("late", "failed"):
            row = found.ratio(name)
            ends = (np.nan, np.nan) if row is None else (row["low"], row["high"])
            yield f"hazard ratio after a complaint, {name}", RATIOS[name] / RATIOS["recovered"], *ends
        gap = 100 * (self._gone(OFFERED) - self._gone(1.0))
        for row in found.arms.itertuples():
            yield "effect of an arm on leaving, points", gap, row.low, row.high

    def _gone(self, arm: float) -> float:
        """Share of an arm that leaves within the window of opening."""
        length = np.arange(1, LONGEST + 1)
        stay = [
            share * (1 - self.hazard) ** length * (1 - arm * ratio * self.hazard) ** (WINDOW - length)
            for share, ratio in zip(SHARES, RATIOS.values(), strict=True)
        ]
        return float(1 - np.mean(sum(stay)))


@dataclass(frozen=True)
class Bills:
    """Two overdue bills a customer, seen for 1 to 120 days; half of the customers pay fast, half slowly."""

    count: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.count:,} customers with two overdue bills, paid at 0.05 or 0.01 a day"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """Share of the bills paid within 30 and 90 days."""
        rng, n = np.random.default_rng([seed, self.count]), 2 * self.count
        pays = np.repeat(np.where(rng.random(self.count) < 0.5, 0.05, 0.01), 2)
        due = pd.Series(AS_OF - pd.to_timedelta(rng.integers(2, 122, n), unit="D"))
        paid_on, left_on = (due + pd.to_timedelta(rng.geometric(h, n), unit="D") for h in (pays, 0.004))
        known = (paid_on < AS_OF) & (paid_on <= left_on)
        bills = pd.DataFrame(
            {
                "bill_id": range(n),
                "customer_id": np.repeat(np.arange(self.count), 2),
                "due_on": due,
                "amount": 10.0,
                "paid": np.where(known, 10.0, 0.0),
                "paid_on": paid_on.where(known),
                "left_on": left_on.where((left_on < AS_OF) & ~known),
                "written_off": False,
            }
        )
        found = cure(bills, as_of=AS_OF, days=[30, 90], rng=seed).table.set_index("days")
        for days in (30, 90):
            each = [h / (h + 0.004 * (1 - h)) * (1 - ((1 - h) * 0.996) ** days) for h in (0.05, 0.01)]
            ends = found.loc[days, ["low", "high"]] if days in found.index else (np.nan, np.nan)
            yield f"bills paid within {days} days", float(np.mean(each)), *ends


@dataclass(frozen=True)
class Debts:
    """Accounts in two states of arrears, seven months of which six are over; what is lost is lost whole."""

    count: int
    shares: tuple[float, float] = (0.5, 0.9)
    uneven: bool = False

    def __str__(self) -> str:
        """Say it as the table does."""
        lost = " and ".join(f"{100 * share:.0f}%" for share in self.shares)
        return f"{self.count:,} accounts a month that owe {'un' * self.uneven}evenly, {lost} lost"

    def measured(self, seed: int) -> Iterator[tuple[str, float, float, float]]:
        """What was seen of what was expected, and the share of a state's arrears that is open still."""
        rng, months = np.random.default_rng([seed, self.count]), pd.date_range("2024-01-01", periods=9, freq="MS")
        n = self.count * len(months)
        worse, owed = rng.random(n) < 0.3, np.exp(rng.normal(3, 1.5, n)) if self.uneven else rng.gamma(2, 40, n)
        when = np.repeat(months, self.count)
        open_ = owed * (rng.random(n) < np.where(worse, self.shares[1], self.shares[0]))
        accounts = pd.DataFrame(
            {
                "id": np.tile(np.arange(self.count), len(months)),
                "month": when,
                "owed": owed,
                "state": np.where(worse, "90+", "21-30"),
                "open": np.where(when > months[5], np.nan, open_),
            }
        )
        found = expected_loss(
            accounts, customer="id", month="month", state="state", owed="owed", unpaid="open", as_of=months[-1]
        )
        yield "arrears seen of what was expected, ratio", 1.0, found.low, found.high
        for share, state in zip(self.shares, ("21-30", "90+"), strict=True):
            row = found.table[found.table["state"] == state]
            ends = (np.nan, np.nan) if row.empty else (row["low"].iloc[0], row["high"].iloc[0])
            if found.factor == 1:
                yield "share of a state's arrears open still", share, *ends


WORLDS = [
    *(Complaints(count, hazard) for count, hazard in ((1_000, 0.001), (4_000, 0.001), (1_000, 0.004))),
    *(Bills(count) for count in (50, 400)),
    *(Debts(*given) for given in ((15,), (150,), (40, (0.05, 0.2)), (40, (0.9, 0.98)), (40, (0.5, 0.9), True))),
]


def measured(world: Complaints | Bills | Debts, seed: int) -> Iterator[tuple[str, float, float, float]]:
    """Draw one sample of a world."""
    return world.measured(seed)
