"""Which customers of low value are worth raising, why, and does a contact pay?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, in_lines
from workbench.messages import Count, Message, Named, Number, Share, Span, Term, join, say, spelt, word
from workbench.methods.resampling import interval
from workbench.result import MINIMUM_CELL, SHARE, Decision, Quantity, Result, Table, Tile
from workbench.studies.potential.ninecells import cut_points
from workbench.studies.potential.potential import Potential

GAP = "gap to peers"
FEW = MINIMUM_CELL


@dataclass(frozen=True, eq=False)
class WorthRaising(Result):
    """Customers of low current value whose like went on to bring more, with the reason, and how many to contact.

    Attributes
    ----------
    customers : DataFrame
        Best first: the customer's column, current, gain (of a year, as of like customers), low, high, lever (the
        service, or "gap to peers", that makes most of it), reason, contact (whether it pays).
    levers : DataFrame
        One row a lever, and one for all: lever, customers, gain, low, high; `name` stands second where it was given.
    contacts : DataFrame
        One row a cost of contact, the one asked for first: cost, contacts, net, low, high, break_even (what contact
        must add, as a share, for these contacts to pay together).
    lift, below : float
        What contact adds, as a share; current value of a year under which a customer is low.
    currency : str
        Of all amounts.
    """

    customers: pd.DataFrame
    levers: pd.DataFrame
    contacts: pd.DataFrame
    lift: float
    below: float
    currency: str

    NAME = TABLE = "levers"
    PICTURE, COUNTS, CHART = "raising", "customers", say("Bars with intervals, a row a lever")
    CAPTION = "What would raise them, and what it would bring ({unit} a year)."

    def headline(self) -> Message:
        """Say how many to contact, what is to be expected, and on which assumption."""
        plan, n = self.contacts.iloc[0], int(self.contacts["contacts"].iloc[0])
        ends = Span(plan["low"], plan["high"], ",.0f")
        net = self.say("net {net} {unit} {span}", net=Number(plan["net"], ",.0f"), span=ends)
        lead = self.say(
            "Of {all} customers below {below} {unit} a year, {n} are worth a contact at {cost} {unit} if contact adds "
            "{lift} to what like customers brought without it: {net}.",
            all=len(self.customers),
            below=Number(self.below, ",.0f"),
            n=n,
            cost=Number(plan["cost"], "g"),
            lift=Share(self.lift, 0),
            net=net if n else say("contact nobody"),
        )
        if not n:
            return lead
        bar = Share(plan["break_even"], 0)
        said = say(
            "Below {break_even} they cost more than they bring; only a control group tells what contact adds.",
            break_even=bar,
        )
        return join(lead, said)

    def tiles(self) -> tuple[Tile, ...]:
        """Contacts that pay, and what they net."""
        plan, unit = self.contacts.iloc[0], Term(self.currency)
        if not plan["contacts"]:
            return (Tile(say("customers worth a contact"), Count(0)),)
        ends = Span(plan["low"], plan["high"], ",.0f")
        return (
            Tile(say("customers worth a contact"), Count(int(plan["contacts"]))),
            Tile(say("net of contacting them, {unit} a year", unit=unit), Number(plan["net"], ",.0f"), ends),
        )

    def decision(self) -> Decision:
        """Say whether to contact, and how to learn what contact adds."""
        plan = self.contacts.iloc[0]
        n, change = int(plan["contacts"]), say("a pilot that shows otherwise.")
        if not n:
            return Decision((say("Contact nobody on this list: no expected gain covers its cost."),), change)
        pilot = say(
            "Begin with a randomised pilot among the {n} listed; go on if it brings over {break_even} of their "
            "potential.",
            n=n,
            break_even=Share(plan["break_even"], 0),
        )
        if not plan["low"] > 0:
            return Decision((say("Do not contact the whole list yet: its net may be below 0."), pilot), change)
        return Decision((pilot, say("Follow the strategy table where a customer's cell is certain.")), change)

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return join(say("Expected gain."), self.headline())

    def by_cost(self) -> Table:
        """Give how many to contact at which cost."""
        caption = say("How many to contact at which cost of a contact ({unit}).", unit=Term(self.currency))
        formats = {"cost": "{:.2f}", "break_even": SHARE}
        return Table("contacts", self.contacts.sort_values("cost"), caption, formats)

    def to_contact(self) -> pd.DataFrame:
        """List those for whom a contact pays, best first, with what to offer in words.

        Raises
        ------
        CannotAnswer
            If it pays for nobody.
        """
        chosen = self.customers.query("contact").drop(columns="contact")
        if chosen.empty:
            raise CannotAnswer("nobody is worth a contact at this cost, so there is no list.")
        names = self.levers.set_index("lever").get("name", pd.Series(dtype=object))
        offers = {code: spelt(names.get(code, code)) for code in chosen["lever"].unique()}
        at = chosen.columns.get_loc("lever")
        chosen.insert(at, "offer", chosen.pop("lever").map(offers))
        return chosen

    def quantities(self) -> Iterable[Quantity]:
        """Contacts that pay, and their net."""
        plan = self.contacts.iloc[0]
        yield Quantity("raise_contacts", float(plan["contacts"]), "customers")
        yield Quantity("raise_net", float(plan["net"]), self.currency, float(plan["low"]), float(plan["high"]))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the gain by lever, with its interval and the customers behind it."""
        rows = self.levers[(self.levers["lever"] != "all") & (self.levers["customers"] >= FEW)].iloc[::-1]
        if rows.empty:
            raise CannotAnswer("no lever has {n} customers or more, so there is no picture of them.").of(FEW)
        ax = axes(ax)
        places = np.arange(len(rows))
        ax.barh(places, rows["gain"], height=0.6, alpha=0.7)
        ax.hlines(places, rows["low"], rows["high"], color="0.2")
        ax.set_yticks(places, [*map(in_lines, rows["name" if "name" in rows else "lever"])])
        for place, row in zip(places, rows.itertuples(), strict=True):
            each = Number(row.gain / row.customers, ",.1f")
            text = say("{n} customers, {each} each", n=row.customers, each=each)
            ax.annotate(text, (row.high, place), (5, 0), textcoords="offset points", va="center", fontsize=9)
        ax.set_xlim(0, 1.5 * rows["high"].max())
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.set_xlabel(self.say("expected gain ({currency} a year); levers of fewer than {n} customers left out", n=FEW))
        return ax


def worth_raising(
    potential: Potential, *, contact_cost: float, lift: float, below: float | None = None, currency: str = "yuan"
) -> WorthRaising:
    """List customers of low current value by what similar customers went on to bring, with the reason in words.

    Parameters
    ----------
    lift : float
        What contact adds to what like customers brought without it, as a share of that: from a campaign with a control
        group, or an assumption. It has no default, as no list can tell it.
    below : float, optional
        Current value of a year under which a customer is low; the lowest third where not given.

    Raises
    ------
    WorkbenchError, CannotAnswer
        If cost or lift is not above 0, nobody is low, or no potential is known.
    """
    if not (contact_cost > 0 and lift > 0):
        raise WorkbenchError("contact_cost and lift are above 0; not {contact_cost} and {lift}.").of(contact_cost, lift)
    if potential.unknown:
        raise CannotAnswer("not answerable: too few took up any service, so nobody knows what a contact would bring.")
    known = potential.customers
    below = float(cut_points(known["current"].to_numpy(), None, "current")[0] if below is None else below)
    low = np.flatnonzero(known["current"] < below)
    if not len(low):
        raise CannotAnswer("no customer is below {below} a year: nobody is low. Give another below=.").of(
            Number(below, ",.2f")
        )
    table, draws = known.iloc[low].reset_index(drop=True), potential.draws[:, 1, low].astype(float)
    parts = np.column_stack([potential.chance * potential.gain, known["potential"] - known["cross_sell"]])[low]
    lever = np.array([*potential.services["service"], GAP], dtype=object)[parts.argmax(axis=1)]
    gain = table["potential"].to_numpy()
    ends = interval(gain, draws, level=potential.level) if len(draws) else np.full((2, len(gain)), np.nan)
    services = potential.services.set_index("service")
    names = {code: name for code, name in services.get("name", pd.Series(dtype=object)).items() if pd.notna(name)}
    called = [spelt(names.get(code, code)) for code in services.index]
    best, pays = parts[:, :-1].argmax(axis=1).tolist(), lift * gain > contact_cost
    peers = {group: Named(group, word(group, "zh")) for group in table["peers"].unique()}
    reasons = [
        _reason(row, peers, called[k], potential.chance[i, k], potential.gain[i, k], potential.window, currency)
        for i, k, row in zip(low.tolist(), best, table.itertuples(), strict=True)
    ]

    def together(rows: np.ndarray) -> list[float]:
        whole, drawn = gain[rows].sum(), draws[:, rows].sum(axis=1)
        ends = interval(whole, drawn, level=potential.level) if len(draws) else [[np.nan]] * 2
        return [int(rows.sum()), float(whole), float(ends[0][0]), float(ends[1][0])]

    levers = pd.DataFrame([[k, *together((lever == k) | (k == "all"))] for k in ["all", *sorted(set(lever))]])
    levers = levers.set_axis(["lever", "customers", "gain", "low", "high"], axis=1).sort_values(
        "gain", ascending=False, kind="stable", ignore_index=True
    )
    if names:
        levers.insert(1, "name", levers["lever"].map(lambda code: names.get(code, code)))
    contacts = []
    for cost in contact_cost * np.array([1, 0.5, 2, 4]):
        n, *sums = together(lift * gain > cost)
        contacts.append([cost, n, *(lift * value - n * cost for value in sums), n * cost / sums[0] if n else np.nan])
    table = table.iloc[:, :2].assign(
        gain=gain,
        low=ends[0],
        high=ends[1],
        lever=pd.array(lever, dtype="str"),
        reason=pd.Series([why if on else str(why) for why, on in zip(reasons, pays, strict=True)], table.index, object),
        contact=pays,
    )
    table = table.sort_values(["gain", table.columns[0]], ascending=[False, True], ignore_index=True)
    heads = ["cost", "contacts", "net", "low", "high", "break_even"]
    return WorthRaising(table, levers, pd.DataFrame(contacts, columns=heads), float(lift), below, currency)


def _reason(row, peers, service: Message, chance: float, gain: float, window: int, currency: str) -> Message:
    """What is known of a customer and of customers like them, in words; no promise."""
    unit = Term(currency)
    text = say("pays {bill} {currency} a month", bill=Number(row.bill, ",.0f"), currency=unit)
    if row.peers_bill > row.bill:
        text = say(
            "{text}, a quarter of its peers ({peers}) {bill} or more",
            text=text,
            peers=peers[row.peers],
            bill=Number(row.peers_bill, ",.0f"),
        )
    if chance:
        text = say(
            "{text}; {service}: {share} of like customers took it up within {window} months, {gain} {currency} "
            "margin in its first year",
            text=text,
            service=service,
            share=Share(chance),
            window=str(window),
            gain=Number(gain, "+,.0f"),
            currency=unit,
        )
    return text
