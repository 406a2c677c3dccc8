"""What of today's arrears is expected to be lost?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import t

from workbench.columns import day, days, number, take
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Day, Message, Number, Share, Span, join, say
from workbench.methods import clusters
from workbench.methods.intervals import crossing, require_level
from workbench.result import COUNT, SHARE, Quantity, Result, Tile
from workbench.studies.arrears.rolls import OUT, called, in_turn

FEWEST = 30
CALIBRATED = 0.99
"""A forecast is multiplied only by what is this sure: at 95% luck alone would do so once in twenty times."""
PRIOR = 100
"""So many rows does it count how much sums varied in all months, beside those of the month in question."""
_CENT = 0.005


@dataclass(frozen=True, eq=False)
class ExpectedLoss(Result):
    """What of the arrears of the last month will still be open 90 days on.

    Attributes
    ----------
    table : DataFrame
        One row a state: customers and owed on `day`, loss (share of what was owed then still open 90 days later) with
        low and high, expected (currency).
    customers : DataFrame
        One row a customer in arrears on `day`: state, owed, expected.
    expected, seen, ratio, low, high : float
        Of the last month whose 90 days are over, which the rates did not see: seen over expected with its interval.
    factor : float
        By which rates were multiplied: seen over expected in the month before that, where its interval leaves 1 out.
    day : str
        On which the accounts of the last month were looked at: what fell due since is not in it.
    unpriced : float
        Owed in states with fewer than 30 accounts to learn from, of `unpriced_customers`; not in what is expected.
    """

    table: pd.DataFrame
    customers: pd.DataFrame
    expected: float
    seen: float
    ratio: float
    low: float
    high: float
    factor: float
    unpriced: float
    level: float
    currency: str
    day: str
    unpriced_customers: int = 0
    set_aside: dict[str, int] = field(default_factory=dict)

    NAME, COUNTS = "loss", "customers"
    FORMATS = dict.fromkeys(["owed", "expected"], COUNT) | dict.fromkeys(["loss", "low", "high"], SHARE)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share that was still open 90 days on, by state."""
        rows = self.table.dropna(subset="low")
        shares = 100 * rows[["low", "high"]].assign(estimate=rows["loss"])
        said = say("still open 90 days on (% of what was owed)")
        return dot_and_interval([*map(called, rows["state"])], shares, ax, label=said, digits=".1f")

    def headline(self) -> Message:
        """Say how much of the arrears will still be open in 90 days, and whether the last forecast held."""
        owed, lost = (Number(self.table[name].sum(), ",.0f") for name in ("owed", "expected"))
        verdict = say("which holds") if self.held else say("which tells nothing")
        if self.high < 1 or self.low > 1:
            verdict = say("too much was expected") if self.high < 1 else say("too little was expected")
        seen = say("nothing was expected, so it tells nothing")
        if not np.isnan(self.ratio):
            seen = say(
                "{ratio} {span} of what was expected was seen, {verdict}",
                ratio=Share(self.ratio),
                span=Span(self.low, self.high, ".1%"),
                verdict=verdict,
            )
        said = self.say(
            "{lost} {currency} of the arrears of {owed} on {day} are expected to be open still 90 days later; the "
            "last time {seen}.",
            lost=lost,
            owed=owed,
            day=Day(self.day),
            seen=seen,
        )
        return join(said, self._left_out()) if self.unpriced else said

    def caption(self) -> Message:
        """Say what the table shows, with its units, and what is not in it."""
        said = self.say(
            "Arrears on {day} by state ({currency}): the share of such arrears that was still open 90 days on, and "
            "what is expected.",
            day=Day(self.day),
        )
        return join(said, self._left_out()) if self.unpriced else said

    def _left_out(self) -> Message:
        return self.say(
            "{sum} {currency} of {n} customers in states too rare are not in it.",
            sum=Number(self.unpriced, ",.0f"),
            n=self.unpriced_customers,
        )

    @property
    def held(self) -> bool:
        """Whether the back-test was made and did not fail."""
        return self.low <= 1 <= self.high

    def tiles(self) -> tuple[Tile, ...]:
        """What is expected to be open still."""
        low, high = ((self.table["owed"] * self.table[end]).sum() for end in ("low", "high"))
        label = self.say("of the arrears on {day} still open 90 days later ({currency})", day=Day(self.day))
        return (Tile(label, Number(self.table["expected"].sum(), ",.0f"), Span(low, high, ",.0f")),)

    def quantities(self) -> Iterable[Quantity]:
        """Expected loss, and the last one's calibration."""
        yield Quantity("expected_loss", float(self.table["expected"].sum()), self.currency)
        if not np.isnan(self.ratio):
            yield Quantity("loss_calibration", self.ratio, "1", self.low, self.high)


def expected_loss(
    accounts: pd.DataFrame,
    *,
    customer: str,
    month: str,
    state: str,
    owed: str,
    unpaid: str,
    as_of: object,
    level: float = 0.95,
    currency: str = "currency",
) -> ExpectedLoss:
    """Say what of each customer's arrears on the last day of `month` will be open still 90 days on.

    `accounts` has one row an account and month (the view `account_month`): `owed` is overdue, `unpaid` what of it was
    open 90 days later, missing where these are not over by `as_of` (exclusive). A state's rate is the sum of one over
    that of the other in the months before the last two that are over; the first of these calibrates, the second tests,
    with the error of the rates and of the calibration in the interval.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If columns are not what they should be, a day lies after `as_of` or the last over a month before it, an account
        stands twice in a month, a month is left out, or fewer than four months are over.
    """
    require_level(level)
    table, aside = _overdue(accounts, customer, month, state, owed, unpaid, as_of)
    last = table["when"].max()
    table = table[(table["owed"] > 0) & ~table[state].isin(OUT)].sort_values(["when", customer])
    over = np.sort(table.loc[table[unpaid].notna(), "when"].unique())
    now = table[table["when"] == last]
    if len(over) < 4 or not len(now):
        raise CannotAnswer(
            say(
                "not answerable: of {n} months it is known what was open 90 days later, and it takes {k}.",
                n=len(over),
                k=4,
            )
        )
    past = table[table["when"] < over[-2]].dropna(subset=unpaid)
    rows = [
        (name, *clusters.ratio(part[unpaid], part["owed"], part[customer], level))
        for name, part in past.groupby(state)
        if len(part) >= FEWEST
    ]
    rates = pd.DataFrame(rows, columns=["state", "loss", "low", "high"])
    by = rates.set_index("state")
    known = table.assign(seen=table[unpaid], name=table[customer], rate=table[state].map(by["loss"]))
    known = known.dropna(subset=["seen", "rate"])
    past = known[known["when"] < over[-2]]
    first, test = (_held_against(known[known["when"] == when], past, state) for when in over[-2:])
    spread = _spread(known, past, state)
    factor, low, high = _ratio(first, spread, first.moved, 1.0, CALIBRATED)
    others = test.moved
    if factor > 0 and (low > 1 or high < 1):
        others = others.add((first.apart / first.seen).sub(first.moved, fill_value=0.0), fill_value=0.0)
    else:
        factor = 1.0
    ratio, low, high = _ratio(test, spread, others, factor, level)
    rates[["loss", "low", "high"]] = (rates[["loss", "low", "high"]] * factor).clip(upper=1)
    each = now.assign(loss=now[state].map(rates.set_index("state")["loss"]))
    each = each.assign(expected=each["owed"] * each["loss"])
    told = each.dropna(subset="expected")
    by_state = told.groupby(state).agg(customers=("owed", "size"), owed=("owed", "sum"), expected=("expected", "sum"))
    shown = rates.merge(by_state.reset_index(names="state"), on="state")
    people = told[[customer, state, "owed", "expected"]].sort_values(["expected", customer], ascending=[False, True])
    apart = each["expected"].isna()
    return ExpectedLoss(
        shown[["state", "customers", "owed", "loss", "low", "high", "expected"]],
        people.reset_index(drop=True),
        test.told * factor,
        test.seen,
        ratio,
        low,
        high,
        factor,
        float(each.loc[apart, "owed"].sum()),
        level,
        currency,
        f"{last:%Y-%m-%d}",
        int(each.loc[apart, customer].nunique()),
        aside,
    )


def _overdue(
    accounts: pd.DataFrame, customer: str, month: str, state: str, owed: str, unpaid: str, as_of: object
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Read what each account owed on a day of each month (`when`), and count what is set aside or taken otherwise."""
    table = take(
        accounts, "accounts", numbers=[owed, unpaid], dates=[month], by=[customer, state], missing="keep"
    ).table
    table = table.assign(when=days(accounts[month], month, missing="refuse")[0], owed=number(accounts[owed], owed))
    table, stray = _one_a_month(table, customer, month)
    end = day(as_of, "as_of")
    if late := int((table["when"] > end).sum()):
        raise WorkbenchError("'{month}' of accounts lies after as_of, {day}, in {n} rows: leave them out.").of(
            month, as_of, late
        )
    below = int((table["owed"] < 0).sum())
    most, given = table["owed"].clip(lower=0), table[unpaid]
    early = given.notna() & (table["when"] + pd.Timedelta(days=90) > end)
    aside = {
        f"'{owed}' below 0, counted as nothing owed": below,
        f"'{unpaid}' given before 90 days were over, not used": int(early.sum()),
        f"'{unpaid}' above '{owed}', counted as all of it": int(((given > most + _CENT) & (most > 0)).sum()),
        f"'{unpaid}' below 0, counted as paid": int((given < 0).sum()),
    }
    aside = stray | {reason: n for reason, n in aside.items() if n}
    table[unpaid] = given.mask(early).clip(0, most)
    last = table["when"].max()
    if end - last > pd.Timedelta(days=31):
        raise CannotAnswer(
            say(
                "not answerable: accounts ends on {day}, more than a month before as_of, {as_of}: it tells no arrears "
                "of today.",
                day=f"{last:%Y-%m-%d}",
                as_of=f"{end:%Y-%m-%d}",
            )
        )
    return table, aside


@dataclass(frozen=True)
class _Held:
    """A month held against its forecast: rows, and sums expected and seen; by state the squares of what was owed; by
    customer what was seen apart from the forecast at the ratio of both, and by which part of it the past moved it."""

    rows: int
    told: float
    seen: float
    squares: pd.Series
    apart: pd.Series
    moved: pd.Series


def _held_against(part: pd.DataFrame, past: pd.DataFrame, state: str) -> _Held:
    """Hold a month against its forecast; rates are sums of the past over others: whoever was in it moves them."""
    expected = part["owed"] * part["rate"]
    told, seen = float(expected.sum()), float(part["seen"].sum())
    apart = part["seen"] - expected * (seen / told if told > 0 else 0.0)
    weight = part.groupby(state)["owed"].sum() / past.groupby(state)["owed"].sum()
    moved = (past["seen"] - past["owed"] * past["rate"]) * past[state].map(weight) / (told or 1.0)
    apart, moved = apart.groupby(part["name"]).sum(), moved.groupby(past["name"]).sum()
    return _Held(len(part), told, seen, (part["owed"] ** 2).groupby(part[state]).sum(), apart, moved)


def _spread(known: pd.DataFrame, past: pd.DataFrame, state: str) -> pd.DataFrame:
    """Give by state its rate, half an account added; how much sums vary, 1 if each were lost whole or not at all; and
    how many rows tell so, as large sums tell most of it."""
    one, two, four = (known["owed"].pow(k).groupby(known[state]).sum() for k in (0, 2, 4))
    worth = past.groupby(state)["owed"].sum() ** 2 / past["owed"].pow(2).groupby(past[state]).sum()
    rate = (worth * past.groupby(state)["rate"].first() + 0.5) / (worth + 1)
    apart = (known["seen"] - known["owed"] * known["rate"]).pow(2).groupby(known[state]).sum()
    more = two / one * rate * (1 - rate)
    return pd.DataFrame({"rate": rate, "varies": (apart + more) / (more * (one + 1)), "rows": two**2 / four})


def _ratio(
    month: _Held, spread: pd.DataFrame, others: pd.Series, factor: float, level: float
) -> tuple[float, float, float]:
    """Ratio of what was seen to what was expected, and the ratios that it does not contradict (a score interval).

    What is seen varies at another ratio as the shares of its states do there, and as much as this month did and, for
    `PRIOR` rows, all months together; `others`, by customer, is by which part of it the expectation errs. Without ends
    where no ratio however high is contradicted.
    """
    told = month.told * factor
    if not told > 0:
        return np.nan, np.nan, np.nan
    ratio, by = month.seen / told, spread.loc[month.squares.index]
    each, rate = (month.squares * by["varies"]).to_numpy() / told**2, by["rate"].to_numpy() * factor

    def toss(r: np.ndarray) -> np.ndarray:
        chance = np.multiply.outer(r, rate).clip(0, 1)
        varies: np.ndarray = (chance * (1 - chance)) @ each
        return varies

    own, error = float((month.apart**2).sum()) / told**2, float((others**2).sum())
    prior = float(toss(np.array(1.0))) * PRIOR / month.rows
    scale = (own + prior) / (float(toss(np.array(ratio))) + prior) if prior > 0 else 0.0
    both = float((month.apart * others).sum()) / told / np.sqrt(own * error) if own * error > 0 else 0.0
    parts = each * rate * (1 - rate.clip(0, 1))
    df = max(parts.sum() ** 2 / max((parts**2 / by["rows"].to_numpy()).sum(), 1e-300), 1.0)

    def score(r: np.ndarray) -> np.ndarray:
        varies = toss(r) * scale
        z: np.ndarray = (ratio - r) / np.sqrt((varies + r * r * error - 2 * r * both * np.sqrt(varies * error)) + 1e-30)
        return z

    z, most = t.isf((1 - level) / 2, df), 10 * max(1 / rate.min(), ratio)
    low = crossing(score, np.zeros(1), np.array([ratio]), z)[0] if ratio > 0 else 0.0
    high = crossing(score, np.array([ratio]), np.array([most]), -z)[0]
    return (ratio, float(low), float(high)) if high < 0.99 * most else (ratio, np.nan, np.nan)


def _one_a_month(table: pd.DataFrame, customer: str, month: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Refuse an account twice in a month, and a gap: a stray later month would be today; stray early ones go."""
    nth = table["when"].to_numpy().astype("datetime64[M]")
    if twice := int(pd.DataFrame({"who": table[customer], "nth": nth}).duplicated().sum()):
        raise WorkbenchError("accounts has {n} rows of one '{customer}' and '{month}' too many: keep one each.").of(
            twice, customer, month
        )
    kept, aside = in_turn(nth, month, "accounts")
    return table[kept], aside
