"""Where do those who leave go, why, and where do new customers come from?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import xlogy

from workbench.columns import days, require_table
from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes, flows, legend
from workbench.messages import Day, Label, Message, Name, Number, Share, Span, join, say
from workbench.methods.btyd.purchases import day_of
from workbench.methods.cells import distinct, listed
from workbench.methods.counts import difference, ratio
from workbench.methods.intervals import require_level, share
from workbench.methods.multiple import holm
from workbench.methods.resampling import Rng, seeds
from workbench.methods.survival import FEWEST_DEPARTURES, unlikely
from workbench.result import COUNT, SHARE, Picture, Quantity, Result, Table, Tile
from workbench.studies.departures.codes import codes
from workbench.suppression import suppressed

TURN, PERMUTATIONS = 30, 999
"""Ports out on either side of a month that may be a turn; permutations behind its p value."""
FEWEST = 10
"""Fewer ports in and out together tell no direction, and cells of fewer departures are not shown."""
WHOLE = 31
"""Days of a month: ports told by month may all stand on its first or its last day."""
FEW_ORIGINS = 0.1
"""Where a smaller share of those who came has an origin, it is said with the net flow."""
UNKNOWN = "unknown"
_FLOW = ["ported_in", "ported_out", "net_flow", "net_flow_low", "net_flow_high", "ratio", "low", "high"]


@dataclass(frozen=True, eq=False)
class Directions(Result):
    """Customers ported in from and out to each competitor.

    Attributes
    ----------
    table : DataFrame
        One row a competitor, the largest net loss first: operator, ported (both ways), ported_in, ported_out, net_flow,
        net_flow_low, net_flow_high, ratio (in / out), low, high; no ratio where nobody was ported out. Where no arrival
        within the time has an origin: operator, ported (out), share, low, high.
    months : DataFrame
        By month (text, in time) and operator, without the ratio; no ends for fewer than 10 ports.
    turns : DataFrame
        Competitors who take a larger part of those ported out from a month on, beyond chance: operator, month, before,
        after (shares), p (permutation of months, the month looked for, adjusted for the number of competitors).
    cells : DataFrame
        One row a reason, destination and combination of `by`: departures, share (of all ported out), low, high, for
        cells of 10 or more.
    hidden : tuple of int
        Cells with fewer, and departures in them.
    set_aside : dict of str to int
    origins : tuple of int
        Of those who came within the time: how many have an origin, and all.
    """

    table: pd.DataFrame
    months: pd.DataFrame
    turns: pd.DataFrame
    cells: pd.DataFrame
    hidden: tuple[int, int]
    set_aside: dict[str, int]
    level: float
    origins: tuple[int, int] = (0, 0)

    NAME, COUNTS, CHART = "directions", "ported", say("Net flow by month, a line a competitor")
    FORMATS = (
        dict.fromkeys(["ported", "ported_in", "ported_out"], COUNT)
        | dict.fromkeys(["net_flow", "net_flow_low", "net_flow_high"], "{:+,.0f}")
        | dict.fromkeys(["ratio", "low", "high"], "{:.2f}")
    )
    CAPTION = "Customers ported in and out by competitor, net flow, and ports in per port out."
    PICTURE_CAPTION = "Customers ported in less ported out, by month and competitor; dots differ from 0."

    @property
    def both(self) -> bool:
        """Whether it is on record where customers come from."""
        return "net_flow" in self.table

    @property
    def losing(self) -> pd.DataFrame:
        """Competitors to whom more go than come, beyond chance."""
        return self.table[self.table["net_flow_high"] < 0] if self.both else self.table[:0]

    def headline(self) -> Message:
        """Say where most is lost, and whether that is beyond chance."""
        row = self.table.iloc[0]
        if not self.both:
            return join(
                say(
                    "{operator} takes most: {share} of {n} customers ported out {span}; where customers come from is "
                    "not on record, so net flow is not answerable.",
                    operator=Name(str(row["operator"])),
                    share=Share(row["share"]),
                    n=int(self.table["ported"].sum()),
                    span=Span(row["low"], row["high"], ".1%"),
                ),
                *self._turned(),
                self._hidden(),
            )
        said: dict[str, object] = {
            "operator": Name(str(row["operator"])),
            "net": Number(row["net_flow"], "+,.0f"),
            "span": Span(row["net_flow_low"], row["net_flow_high"], "+,.0f"),
            "n_in": int(row["ported_in"]),
            "n_out": int(row["ported_out"]),
        }
        if row["net_flow_high"] < 0:
            text = say("{operator} takes most: net {net} customers {span}, {n_in} in and {n_out} out.", **said)  # type: ignore[arg-type]
        else:
            text = say(
                "No competitor takes more than it gives beyond chance; {operator}: net {net} customers {span}, {n_in} "
                "in and {n_out} out.",
                **said,  # type: ignore[arg-type]
            )
        return join(text, self._origins(), *self._turned(), self._hidden())

    def _origins(self) -> Message:
        known, n = self.origins
        if known >= FEW_ORIGINS * n:
            return say("")
        return say(
            "Only {known} of {n} who came have an origin on record: if those of others are missing, net losses are "
            "smaller than said.",
            known=known,
            n=n,
        )

    def _turned(self) -> Iterator[Message]:
        for r in self.turns.itertuples():
            yield say(
                "From {month} on {after} of those ported out go to {operator}, {before} before (p {p}).",
                month=Day(r.month),
                after=Share(r.after),
                operator=Name(r.operator),
                before=Share(r.before),
                p=Number(r.p, ".3f"),
            )

    def _hidden(self) -> Message:
        cells, people = self.hidden
        if not cells:
            return say("")
        return say("{cells} thin cells with {n} departures together are not shown.", cells=cells, n=people)

    def tiles(self) -> tuple[Tile, ...]:
        """Give net flow and ratio of the competitor who takes most."""
        row = self.table.iloc[0]
        operator = Name(str(row["operator"]))
        if not self.both:
            label = say("share of ports out to {operator}", operator=operator)
            return (Tile(label, Share(row["share"]), Span(row["low"], row["high"], ".1%")),)
        net = Tile(
            say("customers won less lost, {operator}", operator=operator),
            Number(row["net_flow"], "+,.0f"),
            Span(row["net_flow_low"], row["net_flow_high"], "+,.0f"),
        )
        if not np.isfinite(row["high"]):
            return (net,)
        label = say("ports in per port out, {operator}", operator=operator)
        return net, Tile(label, Number(row["ratio"], ".2f"), Span(row["low"], row["high"], ".2f"))

    def reasons(self) -> Table:
        """Give reasons by destination and group, thin cells and what would tell them left out."""
        caption = say(
            "Of customers ported out: reason as recorded, destination and group; cells of {n} or more.", n=FEWEST
        )
        return Table("reasons", self.cells, caption, dict.fromkeys(["low", "high"], SHARE), "departures", totals=None)

    def reasons_drawn(self) -> Picture:
        """Draw where those went who gave each reason, thin cells left out."""
        caption = say(
            "Customers ported out: the reason on record, left, and where they went, right; cells of {n} or more.",
            n=FEWEST,
        )
        return Picture("reasons_drawn", self._plot_reasons, caption, caption)

    def _plot_reasons(self, ax: Axes | None = None) -> Axes:
        moved = self.cells.pivot_table("departures", "reason", "destination", "sum", fill_value=0, observed=True)
        moved = moved.loc[moved.sum(axis=1).sort_values(ascending=False, kind="stable").index]
        moved = moved[moved.sum().sort_values(ascending=False, kind="stable").index]
        words = [f"{Label(str(name)).said()}: {n:,}" for name, n in moved.sum(axis=1).items()]
        return flows(moved, words, [f"{name}: {n:,}" for name, n in moved.sum().items()], ax, label="customers")

    def by_month(self) -> Table:
        """Give flows by month."""
        caption = say("Customers ported in and out by month and competitor; no ends for fewer than {n}.", n=FEWEST)
        formats = {column: form for column, form in self.FORMATS.items() if column in self.months}
        return Table("flows", self.months, caption, formats, "ported", totals=["operator"])

    def quantities(self) -> Iterable[Quantity]:
        """Name net flow and ratio of each competitor."""
        for place, r in enumerate(self.table.itertuples() if self.both else ()):
            ends = r.net_flow_low, r.net_flow_high
            yield Quantity(f"net_flow[operator={r.operator}]", r.net_flow, "customers", *ends, row=place)
            if np.isfinite(r.high):
                yield Quantity(f"port_ratio[operator={r.operator}]", r.ratio, "1", r.low, r.high, row=place)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the net flow of each competitor by month."""
        ax = axes(ax)
        order = sorted(self.months["month"].unique())
        for i, name in enumerate(self.table["operator"]):
            rows = self.months[self.months["operator"] == name].set_index("month").reindex(order)
            at, shown = np.arange(len(order)), "net_flow" if self.both else "ported"
            ax.plot(at, rows[shown].fillna(0), color=f"C{i % 7}", label=str(name))
            if self.both:
                sure = ((rows["net_flow_low"] > 0) | (rows["net_flow_high"] < 0)).to_numpy()
                ax.plot(at[sure], rows["net_flow"][sure], "o", color=f"C{i % 7}")
        ax.axhline(0, color="0.6", linewidth=0.8)
        every = max(1, len(order) // 8)
        ax.set_xticks(np.arange(len(order))[::every], order[::every])
        legend(ax)
        ax.set_ylabel("ported in less ported out (customers)" if self.both else "ported out (customers)")
        return ax


def directions(
    departures: pd.DataFrame,
    arrivals: pd.DataFrame,
    *,
    left: str,
    destination: str,
    arrived: str,
    origin: str,
    since: object,
    as_of: object,
    reason: str | None = None,
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
    rng: Rng = 0,
) -> Directions:
    """Count who was ported in from and out to each competitor, and the reasons on record.

    Ports of a competitor are taken as Poisson counts: a number's holder decides alone. Recorded reasons are what the
    clerk chose; "unknown" is a row.

    Parameters
    ----------
    departures, arrivals : DataFrame
        One row a customer who left, who came.
    left, destination : str
        Columns of departures: last day; operator the number was ported to (missing for others, who are set aside).
    arrived, origin : str
        Columns of arrivals: first day; operator it was ported from (missing for new numbers, who are set aside).
    since, as_of : date
        Days from `since` to before `as_of` count.
    reason : str, optional
        Column of departures: reason as recorded.
    by : str or sequence of str, optional
        Columns of departures, such as tier and tenure, for the cells.

    Raises
    ------
    WorkbenchError
        If a column is missing or no day.
    CannotAnswer
        If fewer than 10 were ported in and out together, or one way is on record for a longer time than the other.

    References
    ----------
    Przyborowski and Wilenski (1940), Biometrika 31 (ratio). Zou and Donner (2008), Statistics in Medicine 27 (net).

    Examples
    --------
    >>> out = pd.DataFrame({"off": "2026-01-05", "to": ["B"] * 30 + ["C"] * 5})
    >>> came = pd.DataFrame({"on": "2026-01-09", "from": ["B"] * 10 + ["C"] * 5})
    >>> found = directions(out, came, left="off", destination="to", arrived="on", origin="from",
    ...     since="2026-01-01", as_of="2026-02-01")
    >>> found.table[["operator", "net_flow", "ratio"]].round(2).values.tolist()
    [['B', -20, 0.33], ['C', 0, 1.0]]
    """
    require_level(level)
    groups = listed(by)
    distinct(["reason", "destination", "departures", "share", "low", "high", *groups], say("column of by"))
    require_table(departures, [left, destination, *([reason] if reason else []), *groups], "departures")
    require_table(arrivals, [arrived, origin], "arrivals")
    departures, arrivals = departures.reset_index(drop=True), arrivals.reset_index(drop=True)
    first, end = day_of(since, "since"), day_of(as_of, "as_of")
    aside: dict[str, int] = {}
    out = _ports(departures, left, destination, first, end, "departures", aside)
    came = _ports(arrivals, arrived, origin, first, end, "arrivals", aside)
    if (n := len(out) + len(came)) < FEWEST:
        raise CannotAnswer(say("not answerable: {n} customers ported in or out, {few} are needed.", n=n, few=FEWEST))
    _require_both(out["when"], came["when"])
    flows, months = (_flows(out, came, keys, level) for keys in (["operator"], ["month", "operator"]))
    flows = flows.sort_values(["net_flow", "operator"], kind="stable").reset_index(drop=True)
    months = months.drop(columns=["ratio", "low", "high"])
    months.loc[months["ported"] < FEWEST, ["net_flow_low", "net_flow_high"]] = np.nan
    if came.empty:  # the source does not say where customers come from
        flows, months = flows[["operator", "ported"]], months[["month", "operator", "ported"]]
        low, high = share(flows["ported"], len(out), level=level)
        flows = flows.assign(share=flows["ported"] / len(out), low=low, high=high)
    cells, hidden = _cells(departures.loc[out.index], out["operator"], reason, groups, level)
    origins = len(came), len(came) + aside.get("arrivals not ported", 0)
    return Directions(flows, months, _turns(out, level, rng), cells, hidden, aside, level, origins)


def _cells(
    departures: pd.DataFrame, to: pd.Series, reason: str | None, groups: list[str], level: float
) -> tuple[pd.DataFrame, tuple[int, int]]:
    """Count departures by reason, destination and groups; how many cells are too thin to show, and who is in them."""
    keys = pd.DataFrame({"reason": UNKNOWN, "destination": to})
    for name, column in [*([("reason", reason)] if reason else []), *((group, group) for group in groups)]:
        keys[name] = codes(departures[column], column).fillna(UNKNOWN)
    cells = keys.groupby(list(keys), sort=True).size().rename("departures").reset_index()
    thin = np.isin(cells.index, np.concatenate(suppressed(cells, "departures", FEWEST)))
    hidden = int(thin.sum()), int(cells.loc[thin, "departures"].sum())
    cells = cells[~thin].sort_values(["departures", *keys], ascending=[False] + [True] * keys.shape[1])
    low, high = share(cells["departures"], max(len(to), 1), level=level)
    cells = cells.assign(share=cells["departures"] / max(len(to), 1), low=low, high=high).reset_index(drop=True)
    return cells, hidden


def _ports(table, on: str, operator: str, first, end, name: str, aside: dict[str, int]) -> pd.DataFrame:
    """Give month and operator of the ports within the time; rows set aside are counted."""
    when, placeholder = days(table[on], on)
    found = pd.DataFrame({"when": when, "operator": codes(table[operator], operator)})
    unknown = when.isna().to_numpy()
    outside = ~unknown & ~((when >= first) & (when < end)).to_numpy()
    other = ~unknown & ~outside & found["operator"].isna().to_numpy()
    for reason, rows in (
        ("a placeholder, not a day", placeholder),
        ("without a day", unknown & ~placeholder),
        ("outside the time", outside),
        ("not ported", other),
    ):
        if rows.any():
            aside[f"{name} {reason}"] = int(rows.sum())
    found["month"] = found["when"].dt.strftime("%Y-%m")
    return found.loc[~(unknown | outside | other), ["when", "month", "operator"]]


def _require_both(out: pd.Series, came: pd.Series) -> None:
    """Refuse a net flow of ports of which one way is on record for a longer time than the other, in whole months."""
    if min(len(out), len(came)) < FEWEST_DEPARTURES:
        return
    for way, one, other in ((say("ported out"), out, came), (say("ported in"), came, out)):
        first, last = one.min(), one.max()
        if (time := (last - first).days + 1) < WHOLE:
            continue  # too short to tell how many there are to be in a month
        before, after = (max(gap.days // WHOLE, 0) * WHOLE for gap in (first - other.min(), other.max() - last))
        begins, ends = (unlikely(gap * len(one) / time, len(one)) for gap in (before, after))
        if begins or ends:
            own, rest = (Day(f"{day:%Y-%m-%d}") for day in ((first, other.min()) if begins else (last, other.max())))
            do = say("Give since='{day}', or the day from which both are.", day=f"{first:%Y-%m-%d}")
            said = (say("from {day} on", day=day) if begins else say("until {day}", day=day) for day in (own, rest))
            raise CannotAnswer(
                say(
                    "not answerable: customers {way} are on record {own}, those of the other way {rest}; net flow "
                    "takes both. {do}",
                    way=way,
                    own=next(said),
                    rest=next(said),
                    do=do if begins else say("Choose an earlier as_of."),
                )
            )


def _turns(out: pd.DataFrame, level: float, rng: Rng) -> pd.DataFrame:
    """Look for the month from which a competitor takes more: largest likelihood ratio, months permuted."""
    counts = pd.crosstab(out["month"], out["operator"])
    n = counts.sum(axis=1).to_numpy()
    rows: list[list[object]] = []
    before = np.cumsum(n)[:-1]
    cuts = (before >= TURN) & (n.sum() - before >= TURN)
    if not cuts.any() or counts.shape[1] < 2:
        return pd.DataFrame(rows, columns=["operator", "month", "before", "after", "p"])

    def gain(taken: np.ndarray) -> np.ndarray:
        early, whole = np.cumsum(taken, axis=-1)[..., :-1], taken.sum(axis=-1, keepdims=True)
        parts = ((early, before), (whole - early, n.sum() - before))
        found = sum(xlogy(k, k / m) + xlogy(m - k, 1 - k / m) for k, m in parts)
        return np.where(cuts & (early / before < (whole - early) / (n.sum() - before)), found, -np.inf)

    for name, seed in zip(counts, seeds(rng, counts.shape[1]), strict=True):
        seen = counts[name].to_numpy()
        drawn = np.random.default_rng(seed).multivariate_hypergeometric(n, int(seen.sum()), size=PERMUTATIONS)
        found, at = gain(seen).max(), int(gain(seen).argmax())
        p = (1 + int((gain(drawn).max(axis=-1) >= found).sum())) / (1 + PERMUTATIONS)
        shares = seen[: at + 1].sum() / before[at], seen[at + 1 :].sum() / (n.sum() - before[at])
        rows.append([name, counts.index[at + 1], *shares, p if np.isfinite(found) else 1.0])
    table = pd.DataFrame(rows, columns=["operator", "month", "before", "after", "p"])
    table["p"] = holm(table["p"].to_numpy())
    return table[table["p"] < 1 - level].sort_values(["p", "operator"]).reset_index(drop=True)


def _flows(out: pd.DataFrame, came: pd.DataFrame, keys: list[str], level: float) -> pd.DataFrame:
    """Count both ways by the keys, with net flow, ratio and their ends."""
    counts = pd.DataFrame({"ported_in": came.groupby(keys).size(), "ported_out": out.groupby(keys).size()})
    counts = counts.fillna(0).astype(int).sort_index()
    x, y = counts["ported_in"].to_numpy(), counts["ported_out"].to_numpy()
    (net_low, net_high), (low, high) = difference(x, y, level=level), ratio(x, y, level=level)
    rate = np.divide(x, y, out=np.full(len(x), np.nan), where=y > 0)
    found = counts.assign(
        ported=x + y,
        net_flow=x - y,
        net_flow_low=net_low,
        net_flow_high=net_high,
        ratio=rate,
        low=np.where(y > 0, low, np.nan),
        high=np.where(y > 0, high, np.nan),
    ).reset_index()
    return found[[*keys, "ported", *_FLOW]]
