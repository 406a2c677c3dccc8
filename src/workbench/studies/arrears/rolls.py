"""From which state of arrears to which do accounts roll in a month, and does a chain of months foretell anything?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from workbench.columns import MOST_ASIDE, category, number, periods, require_table
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, flows
from workbench.messages import Listed, Message, Share, Span, Word, join, say
from workbench.methods import chains
from workbench.methods.intervals import share as wilson
from workbench.result import COUNT, SHARE, Quantity, Result, Table, Tile

AGEING = ("paid up", "0-10", "11-20", "21-30", "31-60", "61-90", "90+")
OUT = ("left", "written off")
VANISHED = "(vanished)"
FEW, FEWEST = 10, 30
_SIGNIFICANT = 0.05


@dataclass(frozen=True, eq=False)
class RollRates(Result):
    """Moves of accounts between states of arrears, a month on.

    Attributes
    ----------
    table : DataFrame
        One row a move that happened: origin, destination, customers (account-months), rate (of the origin), low, high;
        with amounts also owed, owed_rate, owed_low, owed_high: the same of what was owed in the origin.
    counts : ndarray, shape (months - 1, states, states and ways out)
        The last way out is VANISHED: accounts without a row in the next month.
    tests : DataFrame
        Of equal months, and of the next month given this one being independent of the last: chi2, df, p, thin_cells
        (cells in which fewer than 5 were to be expected).
    backtest : DataFrame
        One row a state of arrears: customers in it `horizon` months before the last, the share seen in the first state
        at the end with low and high, and what the plain chain and the chain with months in arrears say (by_chain,
        by_age), each with its p; NaN where months in arrears are not known.
    held_out : bool
        Whether the back-test uses months before it alone; else all months, as there are too few.
    now, fitted, third : arrays
        Accounts of the last month, and all moves, by cell of `chains.aged`; moves by the month before.
    """

    table: pd.DataFrame
    counts: np.ndarray
    tests: pd.DataFrame
    backtest: pd.DataFrame
    states: tuple[str, ...]
    out: tuple[str, ...]
    horizon: int
    held_out: bool
    now: np.ndarray
    fitted: np.ndarray
    third: np.ndarray
    set_aside: dict[str, int] = field(default_factory=dict)
    level: float = 0.95
    currency: str = "currency"

    NAME, COUNTS, TOTALS = "rolls", "customers", ("origin",)
    CHART = say("Bands from each state of arrears, left, to where its accounts stand a month later, right")
    FORMATS = {"owed": COUNT} | dict.fromkeys(["low", "high", "owed_rate", "owed_low", "owed_high"], SHARE)
    CAPTION = "From state to state in a month, in accounts and in what they owed ({currency})."

    def headline(self) -> Message:
        """Say how many in arrears paid and got worse, who vanished, and whether the plain chain may be used."""
        parts = [self._moved()]
        if lost := int(self.counts[..., -1].sum()):
            parts.append(say("{n} vanished without a word", n=lost))
        parts.append(self._verdict())
        return say("{clauses}.", clauses=Listed(parts, ";"))

    def _moved(self) -> Message:
        """The first state of arrears that has accounts."""
        counts = self.counts.sum(axis=0)
        state = next((s for s in range(1, len(counts)) if counts[s].sum() >= FEWEST), None)
        if state is None:
            return say("hardly anybody is in arrears")
        row, n = counts[state], int(counts[state].sum())
        found = self._row(state, 0)
        return say(
            "of accounts {state}, {share} {span} were {paid} a month later and {worse} were worse",
            state=called(self.states[state]),
            share=Share(row[0] / n),
            span=Span(*found, ".1%"),
            paid=called(self.states[0]),
            worse=Share(row[state + 1 : len(counts)].sum() / n),
        ).sentence()

    def _row(self, origin: int, destination: int) -> tuple[float, float]:
        row = self.table.query("origin == @self.states[@origin] and destination == @self.states[@destination]")
        if len(row):
            return float(row["low"].iloc[0]), float(row["high"].iloc[0])
        accounts = self.counts[:, origin].sum(axis=1).max()  # of the fullest month: all are different customers
        return 0.0, float(wilson(0, accounts, level=self.level)[1])

    def _verdict(self) -> Message:
        told = {by: self._failed(by) for by in ("by_chain", "by_age")}
        if told["by_chain"] is None:
            return say("too few accounts to test a forecast")
        if len(told["by_chain"]):
            worst = told["by_chain"].iloc[0]
            return say(
                "the plain chain is refused: of those {state} it says {said} {paid} {months} months on, seen were "
                "{seen} {span}",
                state=called(worst["state"]),
                said=Share(worst["by_chain"]),
                paid=called(self.states[0]),
                months=self.horizon,
                seen=Share(worst["seen"]),
                span=Span(worst["low"], worst["high"], ".1%"),
            )
        return say("over {months} months the plain chain foretells what was seen", months=self.horizon)

    def _failed(self, by: Literal["by_chain", "by_age"]) -> pd.DataFrame | None:
        """States that a forecast misses, the worst first; None where nothing was tested."""
        tested = self.backtest[(self.backtest["customers"] >= FEWEST) & self.backtest[by].notna()]
        bad = tested[tested[f"{by}_p"] < _SIGNIFICANT / max(len(tested), 1)]
        return bad.sort_values([f"{by}_p", "state"]) if len(tested) else None

    def forecast(self) -> Table:
        """Say where the accounts of the last month will be `horizon` months on, by the chain with months in arrears.

        Raises
        ------
        CannotAnswer
            If the back-test found the forecast wrong, or could not test it.
        """
        failed = self._failed("by_age")
        if failed is None:
            raise CannotAnswer(say("not answerable: too few accounts, or months, to test the forecast."))
        if len(failed):
            raise CannotAnswer(
                say(
                    "not answerable: {months} months ago this forecast said {said} for those {state}, and {seen} "
                    "{span} were seen.",
                    months=self.horizon,
                    said=Share(failed.iloc[0]["by_age"]),
                    state=called(failed.iloc[0]["state"]),
                    seen=Share(failed.iloc[0]["seen"]),
                    span=Span(failed.iloc[0]["low"], failed.iloc[0]["high"], ".1%"),
                )
            )
        n = len(self.states)
        moved = np.linalg.matrix_power(chains.rates(self.fitted), self.horizon)
        state = np.r_[0, np.repeat(np.arange(1, n), chains.AGE)]
        shares = chains.merged(moved, n)[: len(state)]
        ways = (*self.states, *self.out, VANISHED)
        rows = [
            {"state": name, "customers": int(now.sum())}
            | dict(zip(ways, now @ shares[state == s] / now.sum(), strict=True))
            for s, name in enumerate(self.states)
            if (now := self.now[state == s]).any()
        ]
        found = pd.DataFrame(rows)
        found = found.loc[:, (found != 0).any()]
        said = say("Where the accounts of the last month are expected to be in {n} months.", n=self.horizon)
        return Table("forecast", found, said, dict.fromkeys(found.columns[2:], SHARE), "customers")

    def summary(self) -> pd.DataFrame:
        """Tabulate the moves from states with at least ten accounts."""
        of = self.table.groupby("origin")["customers"].transform("sum")
        return self.table[of >= FEW].reset_index(drop=True)

    def tiles(self) -> tuple[Tile, ...]:
        """What the first state of arrears pays."""
        counts = self.counts.sum(axis=0)
        for state in [s for s in range(1, len(counts)) if counts[s].sum() >= FEWEST][:1]:
            label = say("paid within a month, {state}", state=called(self.states[state]))
            ends = Span(*self._row(state, 0), ".1%")
            return (Tile(label, Share(counts[state, 0] / counts[state].sum()), ends),)
        return ()

    def as_tests(self) -> Table:
        """Give the tests as a page shows them."""
        return Table(
            "roll_tests",
            self.tests,
            say("Do months differ, and does the month before this one matter?"),
            {"chi2": "{:,.2f}", "df": COUNT, "thin_cells": COUNT},
        )

    def by_month_before(self) -> Table:
        """Give the share paid within the next month by the state of this month and of the one before."""
        last, this = np.nonzero(self.third.sum(axis=2) * (np.arange(len(self.states)) > 0))
        order = np.lexsort((last, this))
        last, this = last[order], this[order]
        n, paid = self.third.sum(axis=2)[last, this], self.third[last, this, 0]
        low, high = wilson(paid, n, level=self.level)
        names = np.array(self.states)
        found = {"state": names[this], "month_before": names[last], "customers": n, "rate": paid / n}
        found |= {"low": low, "high": high}
        said = say("Share paid a month later, by where the account stood the month before.")
        return Table(
            "before", pd.DataFrame(found), said, dict.fromkeys(["low", "high"], SHARE), "customers", totals=["state"]
        )

    def as_backtest(self) -> Table:
        """Give the back-test as a page shows it."""
        said = say(
            "Share paid {n} months on: seen, by the plain chain, and by the chain with months in arrears.",
            n=self.horizon,
        )
        rates = say("Rates are those of the months before alone.")
        said = join(said, rates if self.held_out else say("Too few months came before: rates are those of all months."))
        shares = dict.fromkeys(["seen", "low", "high", "by_chain", "by_age"], SHARE)
        return Table("backtest", self.backtest, said, shares, "customers")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw where the accounts of each state of arrears stand a month later; none of states with fewer than ten."""
        counts, names = self.counts.sum(axis=0), (*self.states, *self.out, VANISHED)
        rows = [s for s in range(1, len(counts)) if counts[s].sum() >= FEW] or [0]
        columns = [c for c in range(counts.shape[1]) if counts[rows, c].any()] or [0]
        moved = pd.DataFrame(counts[np.ix_(rows, columns)], [names[r] for r in rows], [names[c] for c in columns])
        words = [f"{called(name)}: {n:,}" for name, n in moved.sum(axis=1).items()]
        return flows(moved, words, [*map(called, moved)], ax, shares=True, ends=("this month", "a month later"))

    def quantities(self) -> Iterable[Quantity]:
        """Rate of each move."""
        for place, r in enumerate(self.summary().itertuples()):
            name = f"roll[from={r.origin},to={r.destination}]"
            yield Quantity(name, r.rate, "share", r.low, r.high, row=place)


def roll_rates(
    history: pd.DataFrame,
    *,
    customer: str,
    month: str,
    state: str,
    owed: str | None = None,
    states: Sequence[str] = AGEING,
    out: Sequence[str] = OUT,
    horizon: int = 3,
    level: float = 0.95,
    currency: str = "currency",
) -> RollRates:
    """Count how accounts roll from state to state, and hold the chain of such months against what was seen.

    Parameters
    ----------
    history : DataFrame
        One row an account and month in which it is on the books; months follow each other without a gap.
    customer, month, state, owed : str
        Columns; `owed` is the open amount.
    states, out : sequence of str
        States, the best first, which is being paid up; and ways out. Rates have Wilson intervals at the effective
        number of account-months, customers being clusters.
    horizon : int
        Months of the back-test.

    Raises
    ------
    WorkbenchError
        If a state is unknown or below 0, an account stands twice in a month, or a month is left out.
    CannotAnswer
        If there are fewer than two months, or `horizon` + 1.

    References
    ----------
    Anderson and Goodman (1957), Statistical inference about Markov chains, Annals of Mathematical Statistics 28.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [1, 2, 3, 1, 2], "at": [1, 1, 1, 2, 2], "is": ["late", "late", "ok", "ok", "late"]})
    >>> rolls = roll_rates(table, customer="id", month="at", state="is", states=["ok", "late"], out=[], horizon=1)
    >>> rolls.table.iloc[:, :4]
      origin destination  customers  rate
    0     ok  (vanished)          1   1.0
    1   late          ok          1   0.5
    2   late        late          1   0.5
    """
    states, out = ([*map(str, names)] for names in (states, out))
    names = [*states, *out]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WorkbenchError("states and out hold {names} twice: name each once.").of(twice)
    if horizon < 1:
        raise WorkbenchError("horizon={n}: give one month or more.").of(str(horizon))
    place, amount, set_aside = _read(history, customer, month, state, owed, (*states, *out))
    n, months, ways = len(states), place.shape[1], len(states) + len(out) + 1
    if months <= horizon:
        raise CannotAnswer(
            say("not answerable: history has {n} months; {k} months on take one more.", n=months, k=horizon)
        )
    pair, at = chains.pairs(place, n, ways)
    counts = np.array([np.bincount(p[p >= 0], minlength=n * ways).reshape(n, ways) for p in pair.T])
    who = np.repeat(np.arange(len(place)), months - 1).reshape(pair.shape)[at]
    frames = {"": np.ones(at.sum())} | ({} if amount is None else {"owed": amount[:, :-1][at]})
    origin, destination = np.nonzero(counts.sum(axis=0))
    ways_named = np.array([*states, *out, VANISHED])
    table = pd.DataFrame({"origin": ways_named[origin], "destination": ways_named[destination]})
    for prefix, weight in frames.items():
        total, rate, low, high = chains.clustered(pair[at], who, weight, (n, ways), level)
        first, told = ("customers", "") if not prefix else (prefix, f"{prefix}_")
        for name, values in ((first, total), (f"{told}rate", rate), (f"{told}low", low), (f"{told}high", high)):
            table[name] = values[origin, destination]
    table = table.astype({"customers": int})
    cells, third = chains.aged(place, n), chains.thirds(place, n, ways)
    tested, held_out = chains.backtest(place, cells, states, ways, horizon, level)
    size = chains.size(n, ways)
    here = cells[:, -1][cells[:, -1] >= 0]
    return RollRates(
        table,
        counts,
        chains.order_tests(counts, third),
        tested,
        tuple(states),
        tuple(out),
        horizon,
        held_out,
        np.bincount(here, minlength=size)[: 1 + (n - 1) * chains.AGE],
        chains.moves(cells, size, place, n),
        third,
        set_aside,
        level,
        currency,
    )


def _read(history, customer, month, state, owed, known) -> tuple[np.ndarray, np.ndarray | None, dict[str, int]]:
    """Position of each account's state by month, -1 where it has no row, and what it owed; both (accounts, months)."""
    require_table(history, [customer, month, state, *([owed] if owed else [])], "history")
    if history[customer].isna().any():
        raise WorkbenchError("'{customer}' of history is missing in {n} rows.").of(
            customer, history[customer].isna().sum()
        )
    name, when = category(history[state], state, missing="refuse"), periods(history[month], month)
    if when.isna().any():
        raise WorkbenchError("'{month}' of history has no month in {n} rows: give it.").of(month, when.isna().sum())
    codes = pd.Index([*known]).get_indexer(name)
    if (codes < 0).any():
        odd = name[codes < 0].value_counts().sort_index()
        below = say(" A state below 0 is no state of arrears: paid duly, or not used, is current.")
        below = below if any(str(value).startswith("-") for value in odd.index) else Message()
        raise WorkbenchError(
            "'{state}' holds {names} in {n} of {all} rows, which stand neither in states nor in out.{below} Turn them "
            "into states, or name them."
        ).of(state, odd.index, odd.sum(), len(history), below)
    kept, aside = in_turn(when.to_numpy(), month, "history")
    history, codes, when = history[kept], codes[kept], when[kept]
    accounts, rows = np.unique(pd.factorize(category(history[customer], customer))[0], return_inverse=True)
    moments, column = np.unique(when.to_numpy(), return_inverse=True)
    place = np.full((len(accounts), len(moments)), -1, dtype=np.int64)
    place[rows, column] = codes
    if (twice := len(history) - int((place >= 0).sum())) > 0:
        raise WorkbenchError("history has {n} rows of one '{customer}' and '{month}' too many: keep one each.").of(
            twice, customer, month
        )
    if owed is None:
        return place, None, aside
    amount, given = np.zeros(place.shape), number(history[owed], owed)
    amount[rows, column] = given.clip(min=0)
    credits = int((given < 0).sum())
    return place, amount, aside | ({f"'{owed}' below 0, counted as nothing owed": credits} if credits else {})


def in_turn(when: np.ndarray, month: str, name: str) -> tuple[np.ndarray, dict[str, int]]:
    """Which rows lie in months that follow each other; a few of long ago, before a month without a row, are counted."""
    moments = np.unique(when)
    steps = np.diff(moments.astype("datetime64[M]").astype(int) if moments.dtype.kind == "M" else moments)
    gaps = np.flatnonzero(steps != steps[-1:])
    kept = when >= moments[gaps[-1] + 1 if len(gaps) else 0]
    if (stray := int((~kept).sum())) > MOST_ASIDE * len(when) or (steps <= 0).any():
        raise WorkbenchError(
            "'{month}' of {name} leaves a month out, or has two days of one: give each month once."
        ).of(month, name)
    return kept, {"in months of long ago, that no other follows": stray} if stray else {}


def called(state: str) -> Message:
    """Call a state so that it stands in a sentence."""
    low, _, high = state.partition("-") if state in AGEING else ("", "", "")
    if high:
        return say("{low}-{high} days past due", low=low, high=high)
    return say("{days}+ days past due", days=state[:-1]) if state in AGEING[1:] else say("{state}", state=Word(state))
