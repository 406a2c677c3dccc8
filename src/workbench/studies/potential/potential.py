"""What is each customer worth today, and what more did customers like them go on to bring?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from workbench.columns import by_id, category, flag, kind, number, require_table
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Message, Number, Share, Span, Term, as_message, join, say
from workbench.methods.resampling import Rng, canonical_order, interval, require_resamples, seeds
from workbench.result import COUNT, Quantity, Result, Table, Tile
from workbench.studies.potential.propensity import NOT_ANSWERABLE, TakeUp, design, peer_groups, take_up

FEWEST_MONTHS = 4
"""A customer with fewer months on record is too new to be valued."""
BELOW = "current below 0"


@dataclass(frozen=True, eq=False)
class Potential(Result):
    """Current and potential margin of a year, of each customer.

    Attributes
    ----------
    customers : DataFrame
        One row a customer: the customer's column, current (12 times the mean month), peers (group), gap (to the 75th
        percentile of the peers, a year), cross_sell, potential (cross_sell + closing x gap), bill, peers_bill (75th
        percentile).
    services : DataFrame
        One row a service: asked (did not hold it a window ago), take_ups, rate, learner, why, calibration on unseen
        customers (slope and intercept with ends; Brier score beside that of the overall rate), open_now, expected
        (take-ups of today's customers within a window), value (their margin), low, high. Of a service that fewer than
        5 took up: low and high alone; learner "not answerable", and it is in nobody's potential. `name` stands second
        where it was given.
    closing, total : tuple of float
        Share of the gap that customers closed within the window, and the potential of all: estimate, low, high.
    chance, gain : arrays, shape (n, services)
        Probability of take-up, and margin of a first year if taken up.
    draws : array of float32, shape (resamples, 2, n)
        Current and potential from resamples of the past and of each customer's months.
    """

    customers: pd.DataFrame
    services: pd.DataFrame
    closing: tuple[float, float, float]
    total: tuple[float, float, float]
    chance: np.ndarray
    gain: np.ndarray
    draws: np.ndarray
    set_aside: dict[str, int]
    window: int
    level: float
    currency: str = "yuan"

    NAME = TABLE = "services"

    def headline(self) -> Message:
        """Say the potential, where it comes from, and how many propensities rest on a model."""
        total, low, high = self.total
        now, cross = self.customers[["current", "cross_sell"]].sum()
        closed, least, most = self.closing
        shut = say(
            "Those below their peers closed {closed} {span} of the gap in {window} months.",
            closed=Share(closed),
            span=Span(least, most, ".1%"),
            window=self.window,
        )
        if least == most:
            shut = say("Of the gap to their peers {closed} is counted, without an interval.", closed=Share(closed))
        few = self.services[self.services["learner"] == NOT_ANSWERABLE]
        below = say("{below} customers bring less than 0 today.", below=self.set_aside[BELOW])
        learned = int(self.services["learner"].isin(["logistic", "boosted trees"]).sum())
        n, today, unit = len(self.customers), Number(now, ",.0f"), Term(self.currency)
        lead = say(
            "{n} customers bring {now} {unit} a year, potential is {total} {span} more, {share} from services they "
            "lack.",
            n=n,
            now=today,
            unit=unit,
            total=Number(total, ",.0f"),
            span=Span(low, high, ",.0f"),
            share=Share(cross / max(total, 1e-9), 0),
        )
        if self.unknown:
            lead = say(
                "{n} customers bring {now} {unit} a year; what more they could bring is not known.",
                n=n,
                now=today,
                unit=unit,
            )
        return join(
            lead,
            shut,
            say(
                "{learned} of {all} propensities rest on a model, the others on rates.",
                learned=learned,
                all=len(self.services) - len(few),
            ),
            *(
                say(
                    "{why}; it would bring {low} to {high} and is in no potential.",
                    why=as_message(row.why).sentence(),
                    low=Number(row.low, ",.0f"),
                    high=Number(row.high, ",.0f"),
                )
                for row in few.itertuples()
            ),
            *[below] * bool(self.set_aside[BELOW]),
        )

    @property
    def unknown(self) -> bool:
        """Whether there is no potential only because too few took up any service on offer."""
        return not self.total[0] and bool((self.services["learner"] == NOT_ANSWERABLE).any())

    def tiles(self) -> tuple[Tile, ...]:
        """What customers bring today, and what more they could where that is known."""
        unit, total = Term(self.currency), self.total
        now = self.customers["current"].sum()
        said = Tile(say("current value a year, {unit}", unit=unit), Number(now, ",.0f"))
        more = say("potential value a year, {unit}", unit=unit), Number(total[0], ",.0f"), Span(*total[1:], ",.0f")
        return (said,) if self.unknown else (said, Tile(*more))

    def as_table(self) -> Table:
        """Give the services with their take-up, and what the chance of it rests on."""
        columns = [c for c in ("service", "name", "asked", "take_ups", "rate", "learner", "why") if c in self.services]
        caption = say("Take-up within {window} months, and what the chance of it rests on.", window=self.window)
        return Table(self.NAME, self.services[columns], caption)

    def calibration(self) -> Table:
        """Give the services with the calibration of their chances, and what is to be expected."""
        columns = ["slope", "slope_low", "slope_high", "intercept", "intercept_low", "intercept_high"]
        formats = dict.fromkeys(columns, "{:,.2f}") | dict.fromkeys(["brier", "brier_rate"], "{:,.3f}")
        formats |= dict.fromkeys(["open_now", "expected", "value", "low", "high"], COUNT)
        return Table(
            "calibration",
            self.services[[c for c in ("service", "name", *formats) if c in self.services]],
            say(
                "Calibration on unseen customers (slope 1 and intercept 0 are right on average), and what is to be "
                "expected: take-ups, and their value in {unit} of margin in a first year.",
                unit=Term(self.currency),
            ),
            formats,
        )

    def quantities(self) -> Iterable[Quantity]:
        """Potential of all where it is known, the gap's closing, and the margin to expect by service."""
        now, cross = self.customers[["current", "cross_sell"]].sum()
        if not self.unknown:
            yield Quantity("potential", self.total[0], self.currency, *self.total[1:])
        yield Quantity("gap_closed", self.closing[0], "share", *self.closing[1:])
        yield Quantity("current_value", float(now), self.currency)
        if not self.unknown:
            yield Quantity("cross_sell_share", float(cross / max(self.total[0], 1e-9)), "share", rtol=1e-4)
        for row in self.services.dropna(subset=["value"]).itertuples():
            yield Quantity(f"cross_sell[service={row.service}]", row.value, self.currency, row.low, row.high)


def potential_value(
    customers: pd.DataFrame,
    past: pd.DataFrame,
    services: pd.DataFrame,
    *,
    customer: str,
    months: Sequence[str],
    features: Sequence[str],
    peers: Sequence[str],
    addons: Sequence[str] = (),
    pays: str | None = None,
    closing: float | None = None,
    window: int = 6,
    resamples: int = 200,
    level: float = 0.95,
    currency: str = "yuan",
    rng: Rng = 0,
) -> Potential:
    """Value customers by what they bring, and by what customers like them went on to bring.

    Parameters
    ----------
    customers, past : DataFrame
        One row a customer, today and a window ago: `months`, `features`, `peers`, held_X (true or false) a service X.
        `past` tells by took_X who took X up within the window; all else in it was known before.
    services : DataFrame
        service, margin (`currency` a month), months (expected of a first year), months_se and name (optional); where
        the first of `peers` stands there too, one row a service and value of it.
    months : sequence of str
        Columns with the margin of each of the last months, oldest first; missing before a customer joined.
    features : sequence of str
        What propensities may rest on.
    peers : sequence of str
        What makes customers comparable, the most important first: segment, use, tenure, region. A service that nobody
        of the first holds or took is not offered to it.
    addons : sequence of str
        The part of `months` from added services: left out of the gap, as cross-selling counts it.
    pays : str, optional
        Column with the monthly bill, for the words; a month's margin where not given.
    closing : float, optional
        Share of the gap that counts, 0-1; measured where not given.
    window : int
        Months between `past` and `customers`.
    resamples : int
        They take 8 bytes a customer each.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If columns are missing or amounts infinite, a customer or service stands twice, or nobody has four months.

    Warnings
    --------
    Potential is what like customers did, mostly unasked: neither a promise nor the effect of a campaign.
    """
    _refuse_impossible(closing, window, resamples)
    require_table(services, ["service", "margin", "months"], "services")
    amounts = [c for c in ("margin", "months", "months_se") if c in services]
    services = services.assign(**{c: number(services[c], c, missing="keep") for c in amounts})
    names, given = list(dict.fromkeys(services["service"])), len(customers)
    needed = [customer, *months, *addons, *features, *peers, *(f"held_{name}" for name in names)]
    money = [*addons, *([pays] if pays else [])]
    customers = _ready(customers, "customers", [*needed, *([pays] if pays else [])], months, money, features)
    past = _ready(past, "past", [*needed, *(f"took_{name}" for name in names)], months, addons, features)
    x = design(past, customers, features)
    past, customers = (t.assign(**{c: category(t[c], c) for c in peers}) for t in (past, customers))
    (before, group), labels = peer_groups([past, customers], peers)
    own = group[:, 0]
    fits = [take_up(name, *_open(past, customers, name, peers), x, (before, group), level, rng) for name in names]
    offered = np.column_stack([f.now for f in fits])
    gain, gain_se = _gains(customers, services, names, peers, offered > 0)
    current, error = _current(customers, months)
    rest = current - (12 * np.nanmean(customers[list(addons)], axis=1) if addons else 0.0)
    few = np.array([f.facts["learner"] == NOT_ANSWERABLE for f in fits], bool)
    top, chance = _quartiles(rest, group)[own], offered * ~few
    shut = _closing(past, customers, before, months, addons, window) if closing is None else lambda weight: closing
    share, gap = shut(np.ones(len(past))), np.maximum(top - rest, 0)
    cross = chance * gain
    found = customers[[customer]].assign(
        current=current,
        peers=pd.array(np.array(labels, dtype=object)[own], dtype="str"),
        gap=gap,
        cross_sell=cross.sum(axis=1),
        potential=cross.sum(axis=1) + share * gap,
        bill=customers[pays] if pays else current / 12,
    )
    found["peers_bill"] = _quartiles(found["bill"].to_numpy(), group)[own]
    by_id = found[customer].argsort(kind="stable").to_numpy()
    draws, sums = np.empty((resamples, 2, len(found)), np.float32), np.empty((resamples, len(names) + 2))
    for i, seed in enumerate(seeds(rng, resamples)):
        draw = np.random.default_rng(seed)
        weight, noise = draw.poisson(1, len(past)).astype(float), error * draw.standard_normal(len(found))
        bought = np.column_stack([f.draw(weight, draw) for f in fits]) * (
            gain + gain_se * draw.standard_normal(len(names))
        )
        part = shut(weight)
        more = bought[:, ~few].sum(axis=1) + part * np.maximum(top - rest - noise, 0)
        draws[i], sums[i] = np.stack([current + noise, more])[:, by_id], [*bought.sum(axis=0), more.sum(), part]
    point = np.array([*cross.sum(axis=0), found["potential"].sum(), share])
    low, high = interval(point, sums, level=level) if resamples else np.full((2, len(point)), np.nan)
    # Noise of the months raises a gap that is cut off at 0; drawn anew it does so once more: the ends are turned over.
    low[-2], high[-2] = np.maximum(2 * point[-2] - np.array([high[-2], low[-2]]), 0)
    per = [*np.where(few, np.nan, [chance.sum(axis=0), point[:-2]]), low[:-2], high[:-2]]
    table = _by_service(fits, services, per)
    total, closed = ((float(point[k]), float(low[k]), float(high[k])) for k in (-2, -1))
    aside = {f"fewer than {FEWEST_MONTHS} months on record": given - len(found), BELOW: int((current < 0).sum())}
    found, chance, gain = found.iloc[by_id].reset_index(drop=True), chance[by_id], gain[by_id]
    return Potential(found, table, closed, total, chance, gain, draws, aside, window, level, currency)


def _by_service(fits: list[TakeUp], services: pd.DataFrame, sums: list[np.ndarray]) -> pd.DataFrame:
    """A row a service: its propensity, and the take-ups and money expected of all, with the money's ends."""
    table = pd.DataFrame([f.facts for f in fits])
    table["why"] = pd.Series([f.facts["why"] for f in fits], dtype=object)  # as text they would lose their Chinese
    table[["expected", "value", "low", "high"]] = np.column_stack(sums)
    if "name" in services:
        table.insert(1, "name", table["service"].map(services.drop_duplicates("service").set_index("service")["name"]))
    return table


def _refuse_impossible(closing: float | None, window: object, resamples: int) -> None:
    if closing is not None and not 0 <= closing <= 1:
        raise WorkbenchError("closing is the share of the gap that counts, 0 to 1; not {closing}.").of(closing)
    if not isinstance(window, Integral) or window < 1:
        raise WorkbenchError("window={window}: give whole months, from 1 on.").of(str(window))
    if resamples:
        require_resamples(resamples)


def _ready(table, name: str, columns: list[str], months, amounts, features) -> pd.DataFrame:
    """The customers who can be valued, in the order of what is known of them: ids decide only between equal rows."""
    require_columns(table, columns, name)
    customer = columns[0]
    require_table(table, columns, name)
    if table[customer].isna().any() or table[customer].duplicated().any():
        raise WorkbenchError("{name}: '{customer}' is missing or repeated. Give one row a customer.").of(name, customer)
    table = table.assign(**{c: number(table[c], c, what="amount", missing="keep") for c in {*months, *amounts}})
    table = table.assign(**{c: number(table[c], c, missing="keep") for c in features if kind(table[c], c) == "number"})
    money = table[list(months)].to_numpy(dtype=float)
    enough = (~np.isnan(money)).sum(axis=1) >= FEWEST_MONTHS
    if not enough.any():
        raise CannotAnswer("{name}: none of {n} customers has {fewest} months on record to value them by.").of(
            name, len(table), FEWEST_MONTHS
        )
    table = table[enough].iloc[by_id(table.loc[enough, customer])].reset_index(drop=True)
    known = {c: table[c] if kind(table[c], c) == "number" else table[c].astype(str) for c in columns[1:]}
    return table.iloc[canonical_order(pd.DataFrame(known))].reset_index(drop=True)


def _open(past, customers, name: str, peers: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who of the past took a service up; to whom it was and is on offer: not held, but by somebody of the segment."""
    held = [flag(table[f"held_{name}"], f"held_{name}") for table in (past, customers)]
    took = flag(past[f"took_{name}"], f"took_{name}") & ~held[0]
    if not peers:
        return took, ~held[0], ~held[1]
    buyers = {*past[peers[0]][held[0] | took], *customers[peers[0]][held[1]]}
    of_past, of_now = (~h & t[peers[0]].isin(buyers).to_numpy() for h, t in zip(held, (past, customers), strict=True))
    return took, of_past, of_now


def _gains(customers, services, names: list[str], peers: Sequence[str], offered) -> tuple[np.ndarray, np.ndarray]:
    """Margin of a first year by customer and service, shape (n, services), and its error."""
    by = peers[0] if peers and peers[0] in services else None
    margin, months, error = (
        number(services[c], c, what="amount", missing="keep") if c in services else np.zeros(len(services))
        for c in ("margin", "months", "months_se")
    )
    rows = services.assign(value=margin * months, error=margin * error)
    if rows[["value", "error"]].isna().any(axis=None) or rows.duplicated(["service", *([by] if by else [])]).any():
        raise WorkbenchError("services has a missing margin or months, or a service twice. Give each one row.")
    if by is None:
        of = rows.set_index("service").loc[names]
        return np.tile(of["value"], (len(customers), 1)), np.tile(of["error"], (len(customers), 1))
    wide = rows.assign(**{by: category(rows[by], by)}).pivot_table(["value", "error"], by, "service")
    value, spread = (wide[part][names].reindex(customers[by]).to_numpy() for part in ("value", "error"))
    if (lacks := np.argwhere(np.isnan(value) & offered)).size:
        raise WorkbenchError("services has no row of '{service}' for '{value}', to whom it is on offer: add it.").of(
            names[lacks[0, 1]], str(customers[by].iloc[lacks[0, 0]])
        )
    return np.nan_to_num(value), np.nan_to_num(spread)


def _current(table: pd.DataFrame, months: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Margin of a year at the mean of the months, and its error, which months alike the one before widen."""
    money = table[list(months)].to_numpy(dtype=float)
    count, mean = (~np.isnan(money)).sum(axis=1), np.nanmean(money, axis=1)
    off = money - mean[:, None]
    scale = np.sqrt(np.nansum(off**2, axis=1) / (count - 1))
    unit = off / np.where(scale > 1e-9, scale, np.inf)[:, None]
    alike = np.nansum(unit[:, 1:] * unit[:, :-1]) / max(np.nansum(unit**2), 1e-12)
    alike = float(np.clip((alike + 1 / len(months)) / (1 - 1 / len(months)), 0, 0.9))
    return 12 * mean, 12 * scale / np.sqrt(count) * np.sqrt((1 + alike) / (1 - alike))


def _quartiles(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """75th percentiles by code of group."""
    every, values = group[:, 1:].ravel(), np.repeat(values, group.shape[1] - 1)
    return _quartiles_of_sorted(values[np.lexsort([values, every])], np.bincount(every))


def _quartiles_of_sorted(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    """75th percentiles of groups of these sizes, one behind the other, each in ascending order."""
    place = 0.75 * np.maximum(size - 1, 0)
    low = np.minimum(np.cumsum(size) - size + place.astype(int), len(values) - 1)
    high = np.minimum(low + 1, len(values) - 1)
    return values[low] + (place % 1) * (values[high] - values[low])


def _closing(past, customers, group, months, addons, window: int) -> Callable[[np.ndarray], float]:
    """What customers below their peers closed of the gap by the months since, as a share of it, by weights of the past.

    The gap is that of the older half of the months, the beginning the later half: a bad month closes by itself.
    """
    paid = [
        t[list(months)].to_numpy(float) - (t[list(addons)].to_numpy(float) if addons else 0.0)
        for t in (past, customers)
    ]
    name, half = past.columns[0], len(months) // 2
    was, now = (category(t[name], name) for t in (past, customers))
    if not was.isin(now).any():
        raise WorkbenchError("nobody of past is one of customers: write '{id}' alike in both, or give closing=.").of(
            name
        )
    since = pd.Series(paid[1][:, -max(1, min(window, half)) :].mean(axis=1), index=now)
    older, later = paid[0][:, :half].mean(axis=1), paid[0][:, half:].mean(axis=1)
    closed = since.reindex(was).to_numpy() - later
    rows = np.flatnonzero(~np.isnan(older + closed))
    if not len(rows):
        return lambda weight: 0.0
    older, closed, group = older[rows], closed[rows], group[rows]
    every, place = group[:, 1:].ravel(), np.repeat(np.arange(len(rows)), group.shape[1] - 1)
    order = np.lexsort([older[place], every])  # once: a resample repeats values, and they stay in order
    every, place = every[order], place[order]
    sorted_older = older[place]

    def share(weight: np.ndarray) -> float:
        often = weight[rows].astype(int)
        drawn = np.repeat(np.arange(len(rows)), often)
        if not len(drawn):
            return 0.0
        size = np.bincount(every, often[place]).astype(int)
        top = _quartiles_of_sorted(np.repeat(sorted_older, often[place]), size)
        gap = np.maximum(top[group[drawn, 0]] - older[drawn], 0)
        total = gap.sum()
        return float(np.clip(closed[drawn] @ (gap > 0) / total, 0, 1)) if total > 0 else 0.0

    return share
