"""How many customers does each department know?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from workbench import columns, refused
from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, axes
from workbench.messages import Count, Message, Share, say
from workbench.result import MINIMUM_CELL, Decision, Quantity, Refusal, Result, Table, Tile, Totals

_FEW = MINIMUM_CELL


@dataclass(frozen=True)
class Reach(Result):
    """Customers whom each department knows. Counts of the whole base, hence without an interval.

    Attributes
    ----------
    table : DataFrame
        One row a table: department, table, customers (with anything on record), share (of all).
    departments : DataFrame
        One row a department, most customers first: department, customers (in any of its tables), share.
    together : DataFrame
        One row a number of departments: departments (that know a customer), customers, share.
    customers : int
        All customers.
    """

    table: pd.DataFrame
    departments: pd.DataFrame
    together: pd.DataFrame
    customers: int

    NAME: ClassVar[str] = "known"
    COUNTS: ClassVar[str | None] = "customers"
    TOTALS: ClassVar[Totals] = None
    CHART: ClassVar[str] = say("Bars of shares, a row a table, by department")
    CAPTION: ClassVar[str] = "Customers with anything on record, by department and table."
    PICTURE_CAPTION: ClassVar[str] = (
        "Share of the customers with anything on record in each table: a short bar is a table that most of the base "
        "is not in."
    )

    @property
    def known_to_all(self) -> int:
        """Customers whom every department knows."""
        return int(self.together.loc[self.together["departments"] == len(self.departments), "customers"].sum())

    def headline(self) -> Message:
        """Say how many customers all departments know, and which department knows most and fewest."""
        most, least, n = self.departments.iloc[0], self.departments.iloc[-1], len(self.departments)
        of: dict[str, Any] = {
            "all": self.customers,
            "most": refused.department(most["department"]),
            "share": Share(most["share"]),
        }
        if n == 1:
            return say("One department, {most}, knows {share} of {all} active customers.", **of)
        every = Share(self.known_to_all / self.customers)
        if most["customers"] == least["customers"]:
            return say(
                "{every} of {all} active customers are known to all {n} departments; each knows {share}.",
                every=every,
                n=n,
                all=self.customers,
                share=of["share"],
            )
        return say(
            "{every} of {all} active customers are known to all {n} departments; {most} knows most ({share}), {least} "
            "fewest ({fewest}).",
            every=every,
            n=n,
            least=refused.department(least["department"]),
            fewest=Share(least["share"]),
            **of,
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Active customers, and how many of them all departments, and the one that knows fewest, know."""
        least, n = self.departments.iloc[-1], len(self.departments)
        told: list[tuple[Message, Count | Share, int]] = [
            (say("active customers"), Count(self.customers), self.customers)
        ]
        if n > 1:
            every, fewest = self.known_to_all, int(least["customers"])
            told += [
                (say("known to all {n} departments", n=n), Share(every / self.customers), every),
                (
                    say("known to {name}, the fewest", name=refused.department(least["department"])),
                    Share(least["share"]),
                    fewest,
                ),
            ]
        return tuple(Tile(label, value) for label, value, count in told if count >= _FEW)

    def decision(self) -> Decision:
        """Say which department is asked first, and who gets the list."""
        least = self.departments.iloc[-1]
        name, unknown = refused.department(least["department"]), self.customers - int(least["customers"])
        given = say("Give the list of active customers to those who serve them, and to nobody else.")
        if len(self.departments) == 1:
            do: tuple[Message, ...] = (
                say("Have a second department deliver its data: only {name} names customers here.", name=name),
            )
        elif not unknown:
            do = (say("Ask no department: each knows every active customer."),)
        else:
            do = (
                say(
                    "Ask the {name} department first: it has nothing on {n} of {all} active customers ({share}).",
                    name=name,
                    n=unknown,
                    all=self.customers,
                    share=Share(unknown / self.customers),
                ),
                say("Learn whether it never dealt with them, or knows them by other numbers than ours."),
            )
        return Decision((*do, given), say("a department whose customers are not joined to our numbers."))

    def as_table(self) -> Table:
        """Give the tables by what they hold."""
        return replace(super().as_table(), frame=refused.with_words(self.table))

    def by_number(self) -> Table:
        """Give the customers by the number of departments that know them."""
        caption = say("Customers by how many departments know them.")
        return Table("departments", self.together, caption, counts="customers")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a bar a table, the departments one below the other."""
        ax = axes(ax)
        names = list(dict.fromkeys(self.table["department"]))
        place = np.arange(len(self.table))[::-1]
        colours = [f"C{names.index(name) % 7}" for name in self.table["department"]]
        bars = ax.barh(place, 100 * self.table["share"], color=colours, height=0.7)
        ax.bar_label(bars, [f"{share:.1%}" for share in self.table["share"]], padding=3)
        pairs = [(refused.department(row.department), refused.table(row.table)) for row in self.table.itertuples()]
        ax.set_yticks(place, [say("{department} · {table}", department=one, table=table) for one, table in pairs])
        ax.set_xlim(0, 115)
        ax.set_xlabel("share of customers (%)")
        figure = ax.get_figure(root=True)
        if figure is not None and len(figure.axes) == 1:
            figure.set_figheight(0.3 * len(self.table) + 0.8)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share of the customers whom each department knows."""
        for row in self.departments.itertuples():
            yield Quantity(f"known_share[department={row.department}]", float(row.share), "share")


def known_by_department(base: pd.DataFrame, behind: pd.DataFrame) -> Reach:
    """Count the customers whom each department knows.

    Parameters
    ----------
    base : DataFrame
        One row a customer: customer_id, state where it is known (only the active are counted), and for each table a
        column that is missing where the table has nothing on the customer.
    behind : DataFrame
        One row a table: table, department, column (of `base`).

    Raises
    ------
    WorkbenchError
        If a column is missing, or a customer or table stands twice.
    CannotAnswer
        If no table holds a row.

    Examples
    --------
    >>> base = pd.DataFrame({"customer_id": ["a", "b"], "billed": ["2026-06", None], "called": [None, None]})
    >>> behind = pd.DataFrame({"table": ["bill"], "department": ["billing"], "column": ["billed"]})
    >>> known_by_department(base, behind).departments["share"].tolist()
    [0.5]
    """
    require_columns(behind, ["table", "department", "column"], "behind")
    if behind.empty:
        raise CannotAnswer("not answerable: no table holds a row that names a customer. Map one, and ingest again.")
    columns.take(behind, "behind", key="table", by=["department", "column"])
    columns.take(base, "base", key="customer_id")
    require_columns(base, behind["column"], "base")
    base = base[base["state"] == "active"] if "state" in base else base
    if base.empty:
        raise CannotAnswer("not answerable: no customer is active on the day. Choose another.")
    there = {row.table: base[row.column].notna().to_numpy() for row in behind.itertuples()}
    of = behind.groupby("department")["table"].agg(list)
    any_of = {name: np.logical_or.reduce([there[table] for table in tables]) for name, tables in of.items()}
    table = behind[["department", "table"]].assign(customers=[int(there[t].sum()) for t in behind["table"]])
    by_department = pd.DataFrame({"department": list(any_of), "customers": [int(k.sum()) for k in any_of.values()]})
    number = np.sum(list(any_of.values()), axis=0)
    together = pd.DataFrame({"departments": range(len(any_of) + 1)})
    together["customers"] = [int((number == n).sum()) for n in together["departments"]]
    for one in (table, by_department, together):
        one["share"] = one["customers"] / len(base)
    together = together[together["customers"] > 0].sort_values("departments", ascending=False, ignore_index=True)
    by_department = by_department.sort_values(["customers", "department"], ascending=[False, True], ignore_index=True)
    rank = {name: place for place, name in enumerate(by_department["department"])}
    table = table.assign(rank=table["department"].map(rank)).sort_values(
        ["rank", "customers", "table"], ascending=[True, False, True], ignore_index=True
    )
    return Reach(table.drop(columns="rank"), by_department, together, len(base))


def with_found(base: pd.DataFrame, found: Any, columns: Iterable[str]) -> pd.DataFrame:
    """Add what a study found of each customer, such as a tier: `columns` of its `customers`; nothing of a refusal."""
    if isinstance(found, Refusal):
        return base
    return base.merge(found.customers[["customer_id", *columns]], on="customer_id", how="left")
