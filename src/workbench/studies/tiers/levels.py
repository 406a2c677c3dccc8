"""Which service does each customer get? Tiers by value, entered at once and lost slowly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import category, written_periods
from workbench.errors import CannotAnswer, require_columns, require_kind
from workbench.figures import Axes, axes, flows
from workbench.messages import Day, Label, Listed, Message, Named, Number, Share, Span, Term, join, quoted, say, spelt
from workbench.methods.intervals import share as share_interval
from workbench.methods.rows import checked
from workbench.result import MINIMUM_CELL, Picture, Quantity, Result, Table, Tile
from workbench.rules import prove, read_rules

FEW = MINIMUM_CELL
"""Fewer customers are not put on the first screen."""

EXCLUDED, LEFT, NEW = "excluded", "left", "new"
"""Instead of a tier: who is kept out by a rule, who has no value in the last period, and who had none in the first."""


@dataclass(frozen=True, kw_only=True)
class TierRules:
    """How tiers are entered, kept and lost, best first: the keys of `tier_rules.toml`, proved consistent when made."""

    names: tuple[str, ...]
    names_zh: tuple[str, ...]
    keep: tuple[float, ...]
    share: tuple[float, ...] = ()
    enter: tuple[float, ...] = ()
    months: int = 3
    enter_after: int = 1
    demote_after: int = 2
    grace: int = 3
    near: float = 0.1
    exclude: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        k = len(self.names)
        keep, share, enter = (np.asarray(v, dtype=float) for v in (self.keep, self.share, self.enter))
        counts = (self.months, self.enter_after, self.demote_after, self.grace + 1)
        prove(
            "tier rules",
            {
                "two or more unique names, each with its names_zh, none of them 'excluded' or 'left'": k > 1
                and len(set(self.names) - {EXCLUDED, LEFT}) == k == len(self.names_zh),
                "give share or enter, and not both": (len(share) == 0) != (len(enter) == 0),
                say(
                    "{k} tiers need {k} shares above 0 that add up to 1, not {given}", k=k, given=str(share.tolist())
                ): len(share) == 0 or (len(share) == k and (share > 0).all() and abs(share.sum() - 1) < 1e-9),
                say(
                    "{k} tiers need {n} thresholds above 0, falling, not {given}",
                    k=k,
                    n=k - 1,
                    given=str(enter.tolist()),
                ): len(enter) == 0 or (len(enter) == k - 1 and (np.diff(np.append(enter, 0)) < 0).all()),
                say(
                    "keep takes {n} shares between 0 and 1: a stay threshold lies below the entry threshold", n=k - 1
                ): len(keep) == k - 1 and ((keep > 0) & (keep < 1)).all(),
                "a tier is kept below the entry of the next one; raise its keep or enter": len(enter) != len(keep)
                or (enter[:-1] * keep[:-1] >= enter[1:] * (1 - 1e-8)).all(),
                "months, enter_after, demote_after are whole numbers from 1, grace from 0, near is a share": all(
                    type(c) is int and c > 0 for c in counts
                )
                and 0 <= self.near < 1,
                "an exclusion has reason, column, and perhaps above": all(
                    {"reason", "column"} <= set(r) <= {"reason", "column", "above"} for r in self.exclude
                ),
            },
        )


def tier_rules(path: str | Path | None = None) -> TierRules:
    """Read tier rules from a TOML file; without one, those that ship.

    >>> tier_rules().share
    (0.01, 0.04, 0.15, 0.8)
    """
    return read_rules(path, __package__, "tier_rules.toml", TierRules)


@dataclass(frozen=True, eq=False)
class Tiers(Result):
    """The tier of each customer, since when and why, and what the tiers bring.

    `customers`, one row each, sorted: value (of the last period), tier, since (period), why (entered or demoted in the
    last period; grace or hysteresis: kept although the value alone says less; waiting: it says more; value: it agrees;
    excluded; left), near (next tier, demotion), held (tier without the exclusion), excluded_for. `table`, one row a
    tier, then excluded and left. `changes` by period: customers, moves with_rules, and without (by the value alone);
    `avoided`, the share of those that the rules avoid, low, high (95 %); `flip_flops`, the shares undone within three
    periods, by the rules and by the value alone. `exclusions` counts; `unchecked` names those for which the data have
    no column. `moved`, customers by tier in the first period (index) and the last (columns), the days as names of the
    axes. `rules` has the thresholds as `enter`: write them down to hold them.
    """

    customers: pd.DataFrame
    table: pd.DataFrame
    changes: pd.DataFrame
    avoided: tuple[float, float, float]
    flip_flops: tuple[float, float]
    exclusions: dict[str, int]
    unchecked: tuple[str, ...]
    rules: TierRules
    value: str
    currency: str = "yuan"
    moved: pd.DataFrame = field(default_factory=pd.DataFrame)

    NAME, COUNTS = "tiers", "customers"
    CHART = say("Two bars a tier: its share of the customers and of the value")
    FORMATS = dict.fromkeys(["from_value", "stay_value"], "{:,.2f}") | {"value_mean": "{:,.1f}"}
    PICTURE_CAPTION = "Share of the customers and of the value in each tier."
    CAPTION = "Tiers: where they begin and end ({currency} a month), and who is near an edge."

    @property
    def ranked(self) -> pd.DataFrame:
        """The rows of `table` that are tiers."""
        return self.table.iloc[: len(self.rules.names)]

    def headline(self) -> Message:
        """Say size, threshold and value of the tiers above the last, what the rules avoid, and who is out."""
        upper, (share, low, high) = self.ranked.iloc[:-1], self.avoided
        tiers = (
            self.say(
                "{tier} from {value} {currency} ({n})",
                tier=self.called(t.tier),
                value=Number(t.from_value, ",.2f"),
                n=t.customers,
            )
            for t in upper.itertuples()
        )
        lead = say(
            "{n} of {all} customers are in a tier above {last} and bring {share} of {value}.",
            n=upper.customers.sum(),
            all=self.ranked.customers.sum(),
            last=self.called(self.rules.names[-1]),
            share=Share(upper.value_share.sum()),
            value=Label(self.value),
        )
        clauses: list[Message | Listed] = [Listed(tiers, "")]
        if share == share:
            span = Span(low, high, ".0%")
            avoided = say(
                "the stay rules avoid {share} {span} of the moves between tiers", share=Share(share, 0), span=span
            )
            clauses.append(avoided)
        if below := int(((self.customers["value"] < 0) & ~self.customers["tier"].isin([EXCLUDED, LEFT])).sum()):
            clauses.append(say("{n} of those in tiers have a value below 0 (credit notes)", n=below))
        if out := [say("{reason} {n}", reason=Term(reason), n=n) for reason, n in self.exclusions.items()]:
            clauses.append(say("excluded: {reasons}", reasons=Listed(out, "")))
        if self.unchecked:
            clauses.append(say("no data on: {reasons}", reasons=Listed(map(Term, self.unchecked), "")))
        return join(lead, say("{clauses}.", clauses=Listed(clauses, ";")).sentence())

    def called(self, tier: str) -> Named:
        """Name a tier."""
        return Named(tier, dict(zip(self.rules.names, self.rules.names_zh, strict=True)).get(tier, ""))

    def tiles(self) -> tuple[Tile, ...]:
        """How many stand above the last tier, and what they bring."""
        upper = self.ranked.iloc[:-1]
        if upper.customers.sum() < FEW:
            return ()
        label = self.say(
            "{value} from customers above {last}", value=Label(self.value), last=self.called(self.rules.names[-1])
        )
        return (Tile(label, Share(upper.value_share.sum())),)

    def summary(self) -> pd.DataFrame:
        """Tabulate the tiers. Their shares are counts of the whole base, hence without an interval."""
        names = zip(self.table["tier"], self.table["name_zh"], strict=True)
        return self.table.drop(columns=["name_zh", "value"]).assign(tier=[spelt(*both) for both in names])

    def reasons(self) -> Table:
        """Count why customers are where they are, tier by tier."""
        why = self.customers.groupby(["tier", "why"], as_index=False).size().rename(columns={"size": "customers"})
        places = {name: place for place, name in enumerate(self.rules.names)}
        why["place"] = why["tier"].map(places).fillna(len(places))
        why = why.sort_values(["place", "customers"], ascending=[True, False], kind="stable").drop(columns="place")
        return Table("why", why, say("Why customers are where they are."), counts="customers", totals=["tier"])

    def moves(self) -> Picture | None:
        """Draw where the customers of each tier in the first period stand in the last; nothing for one period."""
        if self.moved.empty:
            return None
        caption = say(
            "Where the customers of each tier in {before} were in {after}; all tiers are drawn equally high, moves of "
            "fewer than {n} are left out.",
            before=Day(self.moved.index.name),
            after=Day(self.moved.columns.name),
            n=FEW,
        )
        return Picture("moves", self._plot_moves, caption, caption)

    def _plot_moves(self, ax: Axes | None = None) -> Axes:
        called = dict(zip(self.rules.names, map(spelt, self.rules.names, self.rules.names_zh), strict=True))
        before, after = ([str(called.get(name, name)) for name in names] for names in self.moved.axes)
        sizes = (f"{n:,}" if n >= FEW else f"<{FEW}" for n in self.moved.sum(axis=1))
        before = [f"{name}: {n}" for name, n in zip(before, sizes, strict=True)]
        ends = self.moved.index.name, self.moved.columns.name
        return flows(self.moved, before, after, ax, least=FEW, shares=True, ends=ends)

    def near_demotion(self) -> pd.DataFrame:
        """Give the customers of the upper tiers who may lose them: all but the last two tiers, the first at least."""
        upper = self.rules.names[: max(len(self.rules.names) - 2, 1)]
        return self.customers[(self.customers["near"] == "demotion") & self.customers["tier"].isin(upper)]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw, for each tier, its share of the customers beside its share of the value."""
        ax = axes(ax)
        place = np.arange(len(self.ranked))
        for offset, column, label in ((-0.2, "share", "customers"), (0.2, "value_share", self.value)):
            bars = ax.barh(place + offset, 100 * self.ranked[column], height=0.38)
            ax.bar_label(
                bars,
                [say("{share} of {whole}", share=Share(v), whole=Label(label)) for v in self.ranked[column]],
                padding=3,
            )
        ax.set_yticks(place, self.ranked["tier"])
        ax.invert_yaxis()
        ax.set_xlim(0, 145 * self.ranked[["share", "value_share"]].max().max())
        ax.set_xlabel("share (%)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share of customers and of value in each tier (counts of the base), and of the moves avoided."""
        for row in self.ranked.itertuples():
            place = self.table.index.get_loc(row.Index)
            yield Quantity(f"tier_share[{row.tier}]", float(row.share), "share", row=place)
            yield Quantity(f"tier_value_share[{row.tier}]", float(row.value_share), "share", row=place)
        if self.avoided[0] == self.avoided[0]:
            yield Quantity("tier_moves_avoided", self.avoided[0], "share", *self.avoided[1:])


def tiers(
    values: pd.DataFrame,
    *,
    customer: str,
    value: str,
    period: str | None = None,
    rules: TierRules | None = None,
    flags: pd.DataFrame | None = None,
    currency: str = "yuan",
) -> Tiers:
    """Put customers into tiers by value, through their history of periods where there is one.

    `values` has one row a customer and `period` (sortable, none without a row), or a customer if no period is named;
    `value` is in `currency` a month. Who has no row is no customer then; who comes back is new. `rules`: `tier_rules()`
    if None; customers of equal value share a tier, so the sizes can differ from the shares. `flags` has one row a
    customer with the columns that the exclusions name, as of today (`values` where there are no periods); who has left
    is not excluded.

    Raises
    ------
    WorkbenchError
        If a column is missing or of the wrong type, has missing values, or a customer stands twice in a period.
    CannotAnswer
        If there are fewer periods than a value takes, nobody is left to rank, ties leave no tier by share, or the
        values of the last period add up to nothing.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [1, 2, 3, 4], "arpu": [300.0, 80.0, 40.0, 10.0]})
    >>> rules = TierRules(names=("vip", "rest"), names_zh=("贵宾", "其他"), enter=(50,), keep=(0.8,))
    >>> tiers(table, customer="id", value="arpu", rules=rules).customers["tier"].tolist()
    ['vip', 'vip', 'rest', 'rest']
    """
    rules = tier_rules() if rules is None else rules
    require_kind(rules, TierRules, "rules", "tier_rules(FILE)")
    table = checked(values, [customer, *([period] if period else [])], [value], "values")
    row, ids = pd.factorize(table[customer], sort=True)
    when = written_periods(table[period], period) if period else pd.Series(0, table.index)
    column, periods = pd.factorize(when, sort=True)
    first, monthly = rules.months - 1 if period else 0, np.full((len(ids), len(periods)), np.nan)
    monthly[row, column] = table[value]
    excluded_for, unchecked = _excluded(ids, customer, table if flags is None and not period else flags, rules)
    excluded_for[np.isnan(monthly[:, -1])] = ""  # who left is left, whatever the flags still say of them
    stays, age = excluded_for == "", _ages(monthly)
    if len(periods) <= first or not stays.any():
        raise CannotAnswer(
            "nobody is left to rank: of {n} customers {out} are excluded, and there are {periods} periods, of which "
            "the first value takes {first}."
        ).of(len(ids), (~stays).sum(), len(periods), first + 1)
    worth = _window_means(monthly, age, rules.months)[:, first:]
    young = ((age <= rules.grace) & (age <= np.arange(len(periods))))[:, first:]
    enter = _cuts(worth[stays, 0], rules)
    stay = np.maximum(enter * rules.keep, np.append(enter[1:], -np.inf))
    history, alone = _run(worth, young, enter, stay, rules), _alone(worth, enter)
    found = _customers(worth, young, history, alone[:, -1], enter, stay, rules.near, excluded_for)
    found["tier"], found["held"] = (np.array([*rules.names, LEFT, EXCLUDED])[found[c]] for c in ("tier", "held"))
    found["since"] = periods[first:][found["since"]]
    both = (history[:, 1:] >= 0) & (history[:, :-1] >= 0) & stays[:, None]
    moves = [(np.diff(path, axis=1) != 0) & both for path in (history, alone)]
    counts = {"customers": both.sum(0), "with_rules": moves[0].sum(0), "without": moves[1].sum(0)}
    reasons = [rule["reason"] for rule in rules.exclude if rule["reason"] not in unchecked]
    return Tiers(
        pd.concat([pd.Series(ids, name=customer), found], axis=1),
        _table(found, enter, stay, rules),
        pd.DataFrame({"period": periods[first + 1 :], **counts}),
        _avoided(*(m.sum(1) for m in moves)),
        (_undone(history, moves[0]), _undone(alone, moves[1])),
        {reason: sum(reason in r.split("; ") for r in excluded_for) for reason in reasons},
        unchecked,
        replace(rules, share=(), enter=tuple(enter.tolist()), keep=tuple((stay / enter).round(9).tolist())),
        value,
        currency,
        _moved(history[stays], rules, periods[first:]),
    )


def _excluded(ids, customer: str, flags: pd.DataFrame | None, rules: TierRules) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reasons why each customer is in no tier, joined, and the reasons of which no column tells."""
    flags = pd.DataFrame({customer: ids}) if flags is None else flags
    require_columns(flags, [customer], "flags")
    who, named = (category(pd.Series(v), customer) for v in (ids, flags[customer].to_numpy()))
    prove("flags", {say("one row for each '{customer}'", customer=customer): not named.duplicated().any()})
    prove("flags", {say("some of its '{customer}' are those of values", customer=customer): named.isin(who).any()})
    reasons, told = (
        np.full(len(ids), "", dtype=object),
        [r for r in rules.exclude if r["column"] in flags and flags[r["column"]].notna().any()],
    )
    for rule in told:
        column = flags[rule["column"]]
        is_bool = pd.api.types.is_bool_dtype(column)
        where = say("exclusion '{column}' ({dtype})", column=str(rule["column"]), dtype=str(column.dtype))
        prove(where, {"it takes true or false": is_bool or "above" in rule})
        out = who.isin(named[(column > rule["above"] if "above" in rule else column).to_numpy(bool, na_value=False)])
        reasons[out] = [f"{r}; {rule['reason']}" if r else rule["reason"] for r in reasons[out]]
    return reasons, tuple(r["reason"] for r in rules.exclude if r not in told)


def _cuts(amounts: np.ndarray, rules: TierRules) -> np.ndarray:
    """Least value that enters each tier but the last, best first, shape (tiers - 1,)."""
    if rules.enter:
        return np.asarray(rules.enter, dtype=float)
    distinct, size = np.unique(amounts[~np.isnan(amounts)], return_counts=True)
    reached, goals = np.cumsum(size[::-1])[:-1] / size.sum(), np.cumsum(rules.share)[:-1]
    best = [len(reached) - 1 - int(np.argmin(np.abs(reached - g)[::-1].round(12))) for g in goals if len(reached)]
    cuts = distinct[::-1][best]
    if len(set(best)) < len(goals) or cuts[-1] <= 0:
        raise CannotAnswer(
            "no tiers by share: {n} customers to rank have {distinct} distinct values, and {shares} fall on {cuts}. "
            "Take thresholds (enter) or fewer tiers."
        ).of(size.sum(), len(distinct), quoted(f"{g:.0%}" for g in goals), cuts)
    return cuts


def _ages(monthly: np.ndarray) -> np.ndarray:
    """Periods in a row with a value up to each, shape as given."""
    age = np.zeros(monthly.shape, dtype=np.int32)
    for t, here in enumerate(~np.isnan(monthly.T)):
        age[:, t] = np.where(here, (age[:, t - 1] if t else 0) + 1, 0)
    return age


def _window_means(monthly: np.ndarray, age: np.ndarray, months: int) -> np.ndarray:
    """Mean of the last `months` values in a row, or of as many as there are; NaN without a value."""
    total = monthly.copy()
    for lag in range(1, min(months, monthly.shape[1])):
        total[:, lag:] += np.where(age[:, lag:] > lag, monthly[:, :-lag], 0)
    return total / np.clip(age, 1, months)


def _run(worth: np.ndarray, young: np.ndarray, enter: np.ndarray, stay: np.ndarray, rules: TierRules) -> np.ndarray:
    """Tier by the rules, from 0, in each period, -1 without a value: shape as `worth`."""
    history, alone = np.empty(worth.shape, dtype=np.int8), _alone(worth, enter)
    held, above, below = np.full(len(worth), -1), np.zeros(len(worth), int), np.zeros(len(worth), int)
    ceilings, floors = np.append(np.inf, enter), np.append(stay, -np.inf)
    for t, x in enumerate(worth.T):
        old = (held >= 0) & ~np.isnan(x)
        above = np.where(old & (x >= ceilings[held]), above + 1, 0)
        below = np.where(old & (x < floors[held]) & ~young[:, t], below + 1, 0)
        rise, fall = above >= rules.enter_after, below >= rules.demote_after
        held = np.where(old, held + fall - rise.astype(int), alone[:, t])
        above[rise] = below[fall] = 0
        history[:, t] = held
    return history


def _alone(worth: np.ndarray, enter: np.ndarray) -> np.ndarray:
    """Tier that the value alone gives; -1 without a value."""
    return np.where(np.isnan(worth), -1, len(enter) - np.searchsorted(enter[::-1], worth, side="right"))


def _customers(worth, young, history, alone, enter, stay, near: float, excluded_for) -> pd.DataFrame:
    """Today's tier of each customer, since when, why, what is near; tiers and periods by their positions."""
    held, x, out = history[:, -1], worth[:, -1], excluded_for != ""
    moves = np.diff(history, axis=1, prepend=history[:, :1]) != 0
    last = moves.shape[1] - 1 - np.argmax(moves[:, ::-1], axis=1)
    before, kept = history[:, -2:][:, 0], alone > held
    tests = [held < 0, out, (before < 0) | (held < before), held > before, kept & young[:, -1], kept, alone < held]
    why = np.select(tests, [LEFT, EXCLUDED, "entered", "demoted", "grace", "hysteresis", "waiting"], "value")
    falls, rises = x < (1 + near) * np.append(stay, -np.inf)[held], x >= (1 - near) * np.append(np.inf, enter)[held]
    close = np.select([out | (held < 0), falls, rises], ["", "demotion", "next tier"], "")
    tier = np.where(held < 0, len(enter) + 1, np.where(out, len(enter) + 2, held))
    found = {"value": x, "tier": tier, "since": np.where(moves.any(axis=1), last, 0), "why": why, "near": close}
    texts = {"why": "str", "near": "str", "excluded_for": "str"}
    return pd.DataFrame({**found, "held": held % (len(enter) + 2), "excluded_for": excluded_for}).astype(texts)


def _moved(history: np.ndarray, rules: TierRules, periods) -> pd.DataFrame:
    """Count customers by tier in the first and in the last period; nothing where there is one."""
    k, days = len(rules.names), [str(day).removesuffix(" 00:00:00") for day in periods]
    if len(days) < 2:
        return pd.DataFrame()
    start, end = (np.where(history[:, t] < 0, k, history[:, t]).astype(int) for t in (0, -1))
    counts = np.bincount(start * (k + 1) + end, minlength=(k + 1) ** 2).reshape(k + 1, k + 1)
    counts[-1, -1] = 0
    found = pd.DataFrame(counts, [*rules.names, NEW], [*rules.names, LEFT]).rename_axis(index=days[0], columns=days[-1])
    return found.loc[found.any(axis=1), found.any()]


def _table(found: pd.DataFrame, enter: np.ndarray, stay: np.ndarray, rules: TierRules) -> pd.DataFrame:
    table = pd.DataFrame({"tier": [*rules.names, EXCLUDED, LEFT], "name_zh": [*rules.names_zh, "不参与分级", "已离网"]})
    table["from_value"], table["stay_value"] = (np.append(v, [-np.inf, np.nan, np.nan]) for v in (enter, stay))
    groups = [found[found["tier"] == name] for name in table["tier"]]
    inside = np.arange(len(table)) < len(rules.names)
    table["customers"], amount = [len(g) for g in groups], np.array([g["value"].sum() for g in groups])
    table["share"] = np.where(inside, table["customers"] / table["customers"][inside].sum(), np.nan)
    if not amount[inside].sum() > 0:
        raise CannotAnswer(
            "not answerable: the customers in tiers bring {amount} in the last period, of which no tier has a "
            "share. Look at the credit notes, or rank by another value."
        ).of(Number(amount[inside].sum(), ",.2f"))
    table["value"], table["value_share"] = amount, np.where(inside, amount / amount[inside].sum(), np.nan)
    table["value_mean"] = amount / table["customers"].where(table["customers"] > 0)
    table["near_next"] = [(g["near"] == "next tier").sum() for g in groups]
    table["near_demotion"] = [(g["near"] == "demotion").sum() for g in groups]
    return table[inside | (table["customers"] > 0).to_numpy()].reset_index(drop=True)


def _avoided(with_rules: np.ndarray, without: np.ndarray) -> tuple[float, float, float]:
    """Share of moves avoided with its interval: a ratio of sums over customers, linearised; Wilson's if none differ."""
    if not without.sum():
        return (np.nan, np.nan, np.nan)
    ratio = with_rules.sum() / without.sum()
    half = 1.96 * np.sqrt(np.sum((with_rules - ratio * without) ** 2.0)) / without.sum()
    if half < 1e-9:  # who all moved alike do not tell how others move
        n = without.sum() ** 2 / (without**2).sum() if ratio <= 1 else np.nan
        low, high = map(float, share_interval((1 - ratio) * n, n))
        return float(1 - ratio), low, high
    return float(1 - ratio), float(1 - ratio - half), float(min(1 - ratio + half, 1))


def _undone(path: np.ndarray, moved: np.ndarray) -> float:
    """Share of moves after which the earlier tier comes back within three periods, of those seen so long."""
    within = 3
    seen = moved[:, : max(moved.shape[1] - within, 0)]
    width = seen.shape[1]
    back = [path[:, 1 + lag : 1 + lag + width] == path[:, :width] for lag in range(1, within + 1)]
    return float((np.logical_or.reduce(back) & seen).sum() / seen.sum()) if seen.any() else np.nan
