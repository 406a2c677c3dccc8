"""What is each customer worth today, and what more could he bring? Current by potential value, and whom to raise."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, named, require_columns
from workbench.resampling import Rng, interval, seeds
from workbench.result import Quantity, Result
from workbench.studies.value.propensity import design, offered, peer_groups, take_up

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = ("low", "middle", "high")
FEWEST_MONTHS = 4
"""A customer with fewer months on record is too new to be valued."""


@dataclass(frozen=True, eq=False)
class Potential(Result):
    """Current and potential margin of a year, of each customer.

    Attributes
    ----------
    customers : DataFrame
        One row a customer: the customer's column, current (12 times the mean month), current_se, peers (group), gap
        (to the 75th percentile of the peers, a year), cross_sell, potential (cross_sell + closing x gap).
    services : DataFrame
        One row a service: asked (did not hold it before the window), take_ups, rate, learner, why, calibration on
        unseen customers (slope, intercept with ends; Brier score beside that of the rate), open_now, expected
        (take-ups of today's customers within a window), value (their margin), low, high.
    closing : dict
        estimate, low, high: share of the gap that customers closed within the window.
    chance, gain : arrays, shape (n, services)
        Probability of take-up, and margin if taken up.
    set_aside : dict of str to int
    """

    customers: pd.DataFrame
    services: pd.DataFrame
    closing: dict[str, float]
    total: dict[str, float]
    chance: np.ndarray
    gain: np.ndarray
    unseen: pd.DataFrame
    set_aside: dict[str, int]
    level: float
    window: int
    resample: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]] = field(repr=False)

    def headline(self) -> str:
        """Say the potential, where it comes from, and how many propensities rest on a model."""
        t, c, learned = self.total, self.closing, (~self.services["learner"].str.startswith("rate")).sum()
        return (
            f"{len(self.customers):,} customers bring {self.customers['current'].sum():,.0f} a year; their potential is "
            f"{t['estimate']:,.0f} ({t['low']:,.0f} to {t['high']:,.0f}) more, {self.customers['cross_sell'].sum() / max(t['estimate'], 1e-9):.0%} of it from services "
            f"they lack. Customers below their peers closed {c['estimate']:.1%} ({c['low']:.1%} to {c['high']:.1%}) of the "
            f"gap in {self.window} months. {learned} of {len(self.services)} propensities are a model's, the others rates."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the services: take-up, calibration, and what is to be expected."""
        return self.services

    def quantities(self) -> Iterable[Quantity]:
        """Potential of all, the gap's closing, and the take-up to expect by service."""
        yield Quantity("potential", *(self.total["estimate"], "currency", self.total["low"], self.total["high"]))
        yield Quantity("gap_closed", *(self.closing["estimate"], "share", self.closing["low"], self.closing["high"]))
        for row in self.services.itertuples():
            yield Quantity(f"cross_sell[service={row.service}]", row.value, "currency", row.low, row.high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw take-up as it was against as it was foreseen, for tenths of unseen customers of each modelled service."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        for name, part in self.unseen.groupby("service"):
            tenth = np.minimum((part["foreseen"].rank(pct=True) * 10).astype(int), 9)
            means = 100 * part.groupby(tenth)[["foreseen", "took"]].mean()
            ax.plot(means["foreseen"], means["took"], "o", markersize=4, label=name)
        top = 1.05 * max(ax.get_xlim()[1], ax.get_ylim()[1])
        ax.plot([0, top], [0, top], color="0.6", linewidth=1, zorder=0)
        ax.set_xlim(0, top), ax.set_ylim(0, top)
        ax.set_xlabel(f"foreseen to take it up within {self.window} months (%)")
        ax.set_ylabel("took it up (%)")
        if len(self.unseen):
            ax.legend(frameon=False, fontsize=8)
        return ax


@dataclass(frozen=True, eq=False)
class ValueGrid(Result):
    """Customers in nine cells of current by potential value, each with a strategy, and how sure that is.

    Attributes
    ----------
    customers : DataFrame
        One row a customer: the customer's column, current_level, potential_level, strategy, certainty (share of
        resamples in which the customer stays in the cell).
    table : DataFrame
        One row a cell: current, potential (levels), strategy, name_zh, action, customers, share, customers_low,
        customers_high, current_value, potential_value (sums, each with _low and _high), uncertain (share of the cell).
    cuts : dict
        Lower ends of middle and high, for each of the two values.
    """

    customers: pd.DataFrame
    table: pd.DataFrame
    cuts: dict[str, tuple[float, float]]
    sure: float

    def headline(self) -> str:
        """Say how many sit firmly in their cell, and what the cells to invest in bring."""
        certain = self.customers["certainty"]
        best = self.table.iloc[0]
        return (
            f"{(certain > self.sure).mean():.0%} of {len(certain):,} customers sit in their cell with probability above "
            f"{self.sure:g} (on average {certain.mean():.2f}); {best['customers']:,} are high in both values: "
            f"{best['share']:.1%} of the customers, {best['current_value'] / self.table['current_value'].sum():.0%} of the "
            f"current and {best['potential_value'] / max(self.table['potential_value'].sum(), 1e-9):.0%} of the potential."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the nine cells."""
        return self.table

    def quantities(self) -> Iterable[Quantity]:
        """Customers by cell, and the share that sits firmly."""
        yield Quantity("cell_certain", float((self.customers["certainty"] > self.sure).mean()), "share")
        for r in self.table.itertuples():
            ends = (float(r.customers_low), float(r.customers_high))
            yield Quantity(f"cell[current={r.current},potential={r.potential}]", float(r.customers), "customers", *ends)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw nine tiles: strategy, customers, and shares of current and potential value; darker is more potential."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        shares = self.table[["current_value", "potential_value"]] / self.table[["current_value", "potential_value"]].sum()
        image = np.zeros((3, 3))
        for row, (now, later) in zip(self.table.itertuples(), shares.to_numpy(), strict=True):
            x, y = LEVELS.index(row.potential), LEVELS.index(row.current)
            image[y, x] = later
            dark = {"color": "white" if later > 0.65 * shares["potential_value"].max() else "black", "ha": "center"}
            ax.text(x, y + 0.22, f"{row.strategy} {row.name_zh}", weight="bold", va="center", **dark)
            words = f"{row.customers:,} customers\n{now:.0%} of current\n{later:.0%} of potential\n{row.uncertain:.0%} uncertain"
            ax.text(x, y - 0.12, words, va="center", fontsize=8, **dark)
        ax.imshow(image, cmap="Blues", vmin=0, origin="lower", aspect="auto")
        for axis, name in ((ax.xaxis, "potential"), (ax.yaxis, "current")):
            low, high = self.cuts[name]
            axis.set_ticks(range(3), [f"low\n< {low:,.0f}", f"middle", f"high\n≥ {high:,.0f}"])
            axis.set_label_text(f"{name} value (currency a year)")
        ax.tick_params(length=0)
        ax.grid(False)
        return ax


@dataclass(frozen=True, eq=False)
class WorthRaising(Result):
    """Customers of low current value whose like bring more, with the reason, and how many to contact.

    Attributes
    ----------
    customers : DataFrame
        Best first: the customer's column, current, gain (a year, expected of like customers), low, high, lever (the
        service, or "gap to peers", that makes most of it), reason, contact (worth its cost).
    levers : DataFrame
        One row a lever: customers, gain, low, high.
    contacts : DataFrame
        One row a contact cost: cost, contacts, net, low, high, break_even (least lift at which these contacts pay).
    """

    customers: pd.DataFrame
    levers: pd.DataFrame
    contacts: pd.DataFrame
    lift: float
    below: float

    def headline(self) -> str:
        """Say how many to contact, what is to be expected, and on which assumption."""
        plan = self.contacts.iloc[0]
        text = (
            f"Of {len(self.customers):,} customers below {self.below:,.0f} a year, {plan['contacts']:,.0f} are worth a "
            f"contact at {plan['cost']:g}, if contact adds {self.lift:.0%} to what like customers took up without it"
        )
        if not plan["contacts"]:
            return text + ": contact nobody."
        return text + (
            f": net {plan['net']:,.0f} ({plan['low']:,.0f} to {plan['high']:,.0f}). Below {plan['break_even']:.1%} added "
            "they do not pay for themselves; only a campaign with a control group shows what contact adds."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the levers."""
        return self.levers

    def quantities(self) -> Iterable[Quantity]:
        """Contacts that pay, and their net."""
        plan = self.contacts.iloc[0]
        yield Quantity("raise_contacts", float(plan["contacts"]), "customers")
        yield Quantity("raise_net", *(float(plan["net"]), "currency", float(plan["low"]), float(plan["high"])))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the expected gain by lever, with its interval and the customers behind it."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        rows = self.levers.iloc[::-1]
        at = np.arange(len(rows))
        ax.barh(at, rows["gain"], height=0.6, color="C0", alpha=0.75)
        ax.hlines(at, rows["low"], rows["high"], color="0.2")
        for y, row in zip(at, rows.itertuples(), strict=True):
            ax.annotate(f"{row.customers:,} customers", (row.high, y), (5, 0), textcoords="offset points", va="center")
        ax.set_yticks(at, rows["lever"])
        ax.set_xlim(0, 1.3 * max(rows["high"].max(), 1e-9))
        ax.set_xlabel("expected gain of a year (currency)")
        return ax


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
    rng: Rng = 0,
) -> Potential:
    """Value customers by what they bring, and by what customers like them went on to bring.

    Parameters
    ----------
    customers, past : DataFrame
        One row a customer, today and a window ago: `months`, `features`, `peers`, held_X (true or false) a service X.
        `past` says with took_X who took X up within the window; all else in it was known before.
    services : DataFrame
        service, margin (currency a month), months (expected of a first year), months_se (optional), and where the
        first of `peers` stands there too, one row a service and value of it.
    months : sequence of str
        Columns with the margin of each of the last months, oldest first; missing before a customer joined.
    features : sequence of str
        What propensities may rest on.
    peers : sequence of str
        Traits that make customers comparable, the most important first: use, tenure, region. The first is the segment:
        a service that nobody in it holds is not offered to it. The last are dropped where fewer than 30 share all.
    addons : sequence of str
        Part of `months` that comes from added services; left out of the gap, as cross-selling counts it.
    pays : str, optional
        Column with the monthly bill, for the words.
    closing : float, optional
        Share of the gap to count, 0-1; measured where it is not given.
    window : int
        Months between `past` and `customers`.

    Raises
    ------
    WorkbenchError, CannotAnswer

    Warnings
    --------
    Potential is what like customers did without being asked: neither a promise nor the effect of a campaign.
    """
    if closing is not None and not 0 <= closing <= 1:
        raise WorkbenchError(f"closing is the share of the gap that counts, 0 to 1; not {closing}.")
    require_columns(services, ["service", "margin", "months"], "services")
    now, past = (_ready(t, n, customer, [*months, *addons, *features, *peers], months) for t, n in
                 ((customers, "customers"), (past, "past")))  # fmt: skip
    aside = {"fewer than 4 months on record": len(customers) - len(now)}
    names = list(dict.fromkeys(services["service"]))
    status = offered(now, past, names, peers[0] if peers else None)
    groups, labels = peer_groups([past, now], peers)
    x = design(past, now, features)
    fits = [take_up(name, *status[name], x, groups, len(labels), rng) for name in names]
    gain, gain_se = _gains(now, services, names, peers)
    current, error = _current(now, months)
    apart = 12 * np.nanmean(now[list(addons)], axis=1) if addons else 0.0
    chance = np.column_stack([f.now for f in fits])
    shut = _closing(past, now, groups[0], customer, months, addons, window)
    inside = [np.sort((current - apart)[groups[1] == k]) for k in range(len(labels))]
    share = closing if closing is not None else shut(np.ones(len(past)))

    third = np.array([np.quantile(v, 0.75) if len(v) else 0.0 for v in inside])
    gap = np.maximum(third[groups[1]] - (current - apart), 0)
    cross = chance * gain
    potential = cross.sum(axis=1) + share * gap

    def resample() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
        for seed in seeds(rng, resamples):
            draw = np.random.default_rng(seed)
            weight, noise = draw.poisson(1, len(past)).astype(float), error * draw.standard_normal(len(now))
            at = [np.quantile(v, draw.beta(0.75 * (len(v) + 1), 0.25 * (len(v) + 1))) if len(v) else 0 for v in inside]
            bought = np.column_stack([f.draw(weight, draw) for f in fits])
            bought *= gain + gain_se * draw.standard_normal(len(names))
            part = closing if closing is not None else shut(weight)
            away = np.maximum(np.array(at)[groups[1]] - (current - apart + noise), 0)
            yield current + noise, bought.sum(axis=1) + part * away, bought.sum(axis=0), part

    sums = np.array([[*by, more.sum(), part] for _, more, by, part in resample()])
    sums = sums.reshape(-1, len(names) + 2)
    point = np.array([*cross.sum(axis=0), potential.sum(), share])
    low, high = interval(point, sums, level=level) if resamples else np.full((2, len(point)), np.nan)
    table = pd.DataFrame([f.facts for f in fits]).assign(
        expected=chance.sum(axis=0), value=point[:-2], low=low[:-2], high=high[:-2]
    )
    found = now[[customer]].assign(
        current=current, current_se=error, peers=pd.array(np.array(labels)[groups[1]], dtype="str"), gap=gap,
        cross_sell=cross.sum(axis=1), potential=potential,
        bill=now[pays] if pays else current / 12,
    )  # fmt: skip
    found["peers_bill"] = found.groupby("peers")["bill"].transform(lambda v: v.quantile(0.75))
    aside |= {"current value below 0": int((current < 0).sum())}
    ends = [dict(zip(("estimate", "low", "high"), row, strict=True)) for row in np.transpose([point, low, high])[-2:]]
    seen = pd.concat([f.seen for f in fits if not f.facts["learner"].startswith("rate")] or [fits[0].seen[:0]])
    return Potential(found, table, ends[1], ends[0], chance, gain, seen, aside, level, window, resample)


def value_grid(
    potential: Potential,
    *,
    current_cuts: tuple[float, float] | None = None,
    potential_cuts: tuple[float, float] | None = None,
    strategies: str | Path | None = None,
    sure: float = 0.8,
) -> ValueGrid:
    """Put customers into nine cells of current by potential value, and tell how many may belong elsewhere.

    Parameters
    ----------
    current_cuts, potential_cuts : pair of float, optional
        Least value of a year that is middle, and high; thirds of the customers where not given.
    strategies : path, optional
        TOML in the format of `value_strategies.toml` beside this module.
    sure : float
        Probability above which a customer counts as firmly in the cell.
    """
    plan = _strategies(strategies)
    values = potential.customers[["current", "potential"]].to_numpy().T
    given = (current_cuts, potential_cuts)
    cuts = [_cuts(v, c, name) for v, c, name in zip(values, given, ("current", "potential"), strict=True)]
    cell = 3 * _level(values[0], cuts[0]) + _level(values[1], cuts[1])
    stays, sums = np.zeros(len(cell)), []
    for now, more, *_ in potential.resample():
        ends = [c if g else np.quantile(v, (1 / 3, 2 / 3)) for v, c, g in zip((now, more), cuts, given, strict=True)]
        drawn = 3 * _level(now, ends[0]) + _level(more, ends[1])
        stays += drawn == cell
        sums.append([np.bincount(drawn, minlength=9), np.bincount(cell, now, 9), np.bincount(cell, more, 9)])
    sums = np.array(sums, dtype=float).reshape(len(sums), 27)
    point = np.concatenate([np.bincount(cell, minlength=9), *(np.bincount(cell, v, 9) for v in values)]).astype(float)
    ends = interval(point, sums, level=potential.level) if len(sums) else np.full((2, 27), np.nan)
    certainty = stays / max(len(sums), 1)
    rows = []
    for k in (8, 7, 6, 5, 4, 3, 2, 1, 0):
        mine, names = cell == k, (LEVELS[k // 3], LEVELS[k % 3])
        row = {"current": names[0], "potential": names[1], **plan[names], "customers": int(mine.sum())}
        row["share"] = mine.mean()
        for j, name in enumerate(("customers", "current_value", "potential_value")):
            row |= {name: row.get(name, point[9 * j + k]), f"{name}_low": ends[0][9 * j + k], f"{name}_high": ends[1][9 * j + k]}
        rows.append(row | {"uncertain": (certainty[mine] <= sure).mean() if mine.any() else np.nan})
    table, levels = pd.DataFrame(rows), np.array(LEVELS, dtype=object)
    strategy = np.array([plan[(LEVELS[k // 3], LEVELS[k % 3])]["strategy"] for k in range(9)], dtype=object)
    found = potential.customers.iloc[:, :1].assign(
        current_level=pd.array(levels[cell // 3], dtype="str"), potential_level=pd.array(levels[cell % 3], dtype="str"),
        strategy=pd.array(strategy[cell], dtype="str"), certainty=certainty,
    )  # fmt: skip
    return ValueGrid(found, table, {"current": tuple(cuts[0]), "potential": tuple(cuts[1])}, sure)


def worth_raising(
    potential: Potential, *, contact_cost: float, lift: float, below: float | None = None, currency: str = "yuan"
) -> WorthRaising:
    """List customers of low current value by what their like went on to bring, with the reason in words.

    Parameters
    ----------
    contact_cost : float
    lift : float
        What contact adds to what like customers did without it, as a share of that: from a campaign with a control
        group, or an assumption; it has no default because the list cannot tell it.
    below : float, optional
        Current value of a year under which a customer is low; the lower third where it is not given.
    """
    if contact_cost <= 0 or lift <= 0:
        raise WorkbenchError(f"contact_cost and lift are above 0; not {contact_cost}, {lift}.")
    known = potential.customers
    below = _cuts(known["current"].to_numpy(), None, "current")[0] if below is None else below
    low = np.flatnonzero(known["current"] < below)
    if not len(low):
        raise CannotAnswer(f"no customer is below {below:,.2f} a year: nobody is low. Give another below=.")
    parts = np.column_stack([potential.chance * potential.gain, (known["potential"] - known["cross_sell"]).to_numpy()])[low]
    best, names = parts.argmax(axis=1), [*potential.services["service"], "gap to peers"]
    table = known.iloc[low].reset_index(drop=True).rename(columns={"potential": "gain"})
    draws = np.array([more[low] for _, more, *_ in potential.resample()]).reshape(-1, len(low))
    table["low"], table["high"] = interval(table["gain"], draws, level=potential.level) if len(draws) else (np.nan, np.nan)
    table["lever"] = pd.array(np.array(names, dtype=object)[best], dtype="str")
    table["reason"] = pd.array(_reasons(table, best, low, potential, currency), dtype="str")
    table["contact"] = lift * table["gain"] > contact_cost

    def added(rows):
        ends = interval(table["gain"][rows].sum(), draws[:, rows].sum(axis=1), level=potential.level)
        return [int(rows.sum()), table["gain"][rows].sum(), float(ends[0][0]), float(ends[1][0])]

    levers = pd.DataFrame(
        [[name, *added((table["lever"] == name).to_numpy())] for name in sorted(set(table["lever"]))],
        columns=["lever", "customers", "gain", "low", "high"],
    ).sort_values(["gain", "lever"], ascending=[False, True], ignore_index=True)
    contacts = []
    for cost in contact_cost * np.array([1, 0.5, 2, 4]):
        n, *sums = added((lift * table["gain"] > cost).to_numpy())
        contacts.append([cost, n, *(lift * v - n * cost for v in sums), n * cost / sums[0] if sums[0] else np.nan])
    contacts = pd.DataFrame(contacts, columns=["cost", "contacts", "net", "low", "high", "break_even"])
    kept = [known.columns[0], "current", "gain", "low", "high", "lever", "reason", "contact"]
    table = table.sort_values(["gain", known.columns[0]], ascending=[False, True], ignore_index=True)[kept]
    return WorthRaising(table, levers, contacts, lift, float(below))


def _reasons(table, best, low, potential: Potential, currency: str) -> list[str]:
    names, chance, gain = potential.services["service"].tolist(), potential.chance[low], potential.gain[low]
    texts = []
    for i, row in enumerate(table.itertuples()):
        text = f"pays {row.bill:,.0f} {currency} a month"
        if row.peers_bill > row.bill:
            text += f", a quarter of its peers ({row.peers}) pay {row.peers_bill:,.0f} or more"
        k = int(best[i]) if best[i] < len(names) else int((chance[i] * gain[i]).argmax())
        if chance[i, k] > 0:
            text += f"; {names[k]}: {chance[i, k]:.1%} of like customers took it up within {potential.window} months"
            text += f", {gain[i, k]:+,.0f} {currency} margin in the first year"
        texts.append(text)
    return texts


def _ready(table: pd.DataFrame, name: str, customer: str, columns: list[str], months: Sequence[str]) -> pd.DataFrame:
    """The customers who can be valued, in the order of their number."""
    require_columns(table, [customer, *columns], name)
    if table[customer].isna().any() or table[customer].duplicated().any():
        raise WorkbenchError(f"{name}: '{customer}' is missing or repeated. Give one row a customer.")
    money = table[list(months)].to_numpy(dtype=float)
    if np.isinf(money).any():
        raise WorkbenchError(f"{name}: '{months[0]}' to '{months[-1]}' hold infinite amounts. Mend those rows.")
    enough = (~np.isnan(money)).sum(axis=1) >= FEWEST_MONTHS
    if not enough.any():
        raise CannotAnswer(f"{name}: none of {len(table):,} customers has {FEWEST_MONTHS} months on record to be valued by.")
    return table[enough].sort_values(customer, ignore_index=True)


def _current(table: pd.DataFrame, months: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Margin of a year at the mean of the months, and its error, which months that resemble the one before widen."""
    money = table[list(months)].to_numpy(dtype=float)
    count, mean = (~np.isnan(money)).sum(axis=1), np.nanmean(money, axis=1)
    off = money - mean[:, None]
    scale = np.sqrt(np.nansum(off**2, axis=1) / (count - 1))
    unit = np.divide(off, scale[:, None], out=np.zeros_like(off), where=scale[:, None] > 1e-12)
    like = np.nansum(unit[:, 1:] * unit[:, :-1]) / max(np.nansum(unit**2), 1e-12)
    alike = float(np.clip((like + 1 / len(months)) / (1 - 1 / len(months)), 0, 0.9))
    return 12 * mean, 12 * scale / np.sqrt(count) * np.sqrt((1 + alike) / (1 - alike))


def _gains(now, services, names, peers) -> tuple[np.ndarray, np.ndarray]:
    """Margin of a first year by customer and service, shape (n, services), and its error."""
    segment = peers[0] if peers and peers[0] in services else None
    error = services["months_se"] if "months_se" in services else 0.0
    rows = services.assign(value=services["margin"] * services["months"], error=services["margin"] * error)
    if rows[["value", "error"]].isna().any(axis=None) or rows.duplicated(["service", *([segment] if segment else [])]).any():
        raise WorkbenchError("services has a missing margin or months, or a service twice. Give one row a service.")
    if segment is None:
        found = rows.set_index("service").loc[names, ["value", "error"]].to_numpy().T
        return tuple(np.broadcast_to(v, (len(now), len(names))) for v in found)
    wide = rows.pivot(index=segment, columns="service", values=["value", "error"]).reindex(now[segment]).fillna(0.0)
    return tuple(wide[name][names].to_numpy() for name in ("value", "error"))


def _closing(past, now, group, customer, months, addons, window) -> Callable[[np.ndarray], float]:
    """How much of the gap of the months before last customers had closed by now, of all their gap, by weights.

    The gap is of older months, the beginning of the later ones: a bad month is no gap that closes by itself.
    """
    old = np.nan_to_num(past[list(addons)].to_numpy(float)) if addons else 0.0
    new = np.nan_to_num(now[list(addons)].to_numpy(float)) if addons else 0.0
    half, recent = len(months) // 2, max(1, min(window, len(months) // 2))
    before = past[list(months)].to_numpy(float) - old
    later = pd.Series((now[list(months)].to_numpy(float) - new)[:, -recent:].mean(axis=1), index=now[customer])
    whole = ~np.isnan(before).any(axis=1)
    first, second = before[:, :half].mean(axis=1), before[:, half:].mean(axis=1)
    third = pd.Series(first[whole]).groupby(group[whole]).quantile(0.75)
    gap = np.maximum(third.reindex(group).to_numpy() - first, 0)
    closed = later.reindex(past[customer]).to_numpy() - second
    rows = np.flatnonzero((gap > 0) & ~np.isnan(closed))
    gap, closed = gap[rows], closed[rows]

    def share(weight: np.ndarray) -> float:
        total = (weight[rows] * gap).sum()
        return float(np.clip((weight[rows] * closed).sum() / total, 0, 1)) if total > 0 else 0.0

    return share


def _cuts(values: np.ndarray, given: tuple[float, float] | None, name: str) -> np.ndarray:
    cuts = np.quantile(values, (1 / 3, 2 / 3)) if given is None else np.asarray(given, dtype=float)
    if given is not None and not (len(cuts) == 2 and cuts[0] < cuts[1]):
        raise WorkbenchError(f"{name}_cuts are two rising numbers, where middle and high begin; not {given}.")
    if given is None and len(np.unique(_level(values, cuts))) < 3:
        raise CannotAnswer(
            f"{len(values):,} customers have {len(np.unique(values)):,} {name} values, too alike for thirds. Give {name}_cuts."
        )
    return cuts


def _level(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    return (values >= cuts[0]).astype(int) + (values >= cuts[1])


def _strategies(path: str | Path | None) -> dict[tuple[str, str], dict[str, str]]:
    """Strategy by cell, proved to hold each of the nine once."""
    file = resources.files(__package__).joinpath("value_strategies.toml") if path is None else Path(path)
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("strategy", [])
    except FileNotFoundError:
        raise WorkbenchError(f"no strategies at {path}. Give the path of a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkbenchError(f"{file.name} is not TOML in UTF-8: {error}.") from None
    plan: dict[str, dict[str, str]] = {}
    for entry in entries:
        if set(entry) != {"name", "name_zh", "action", "cells"}:
            raise WorkbenchError(f"{file.name}: a strategy has name, name_zh, action and cells; not {named(entry)}.")
        for cell in entry["cells"]:
            if cell in plan:
                raise WorkbenchError(f"{file.name} has an overlap: '{cell}' stands in two strategies. Take it out of one.")
            plan[cell] = {"strategy": entry["name"], "name_zh": entry["name_zh"], "action": entry["action"]}
    wanted = {f"{now}/{later}": (now, later) for now in LEVELS for later in LEVELS}
    if gap := set(wanted) - set(plan):
        raise WorkbenchError(f"{file.name} has a gap: no strategy holds {named(sorted(gap))}. Add those cells to one.")
    if odd := set(plan) - set(wanted):
        raise WorkbenchError(f"{file.name}: {named(sorted(odd))} is no cell. Cells are current/potential, 'low/high' say.")
    return {wanted[cell]: found for cell, found in plan.items()}
