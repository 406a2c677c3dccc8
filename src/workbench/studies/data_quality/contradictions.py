"""What do two systems say of a customer that can't both be true, and what was lost when the data came in?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench import columns
from workbench.errors import listed, require_columns, unknown
from workbench.result import Quantity, Result, Table
from workbench.studies.data_quality.rules import quality_rules


@dataclass(frozen=True)
class Contradictions(Result):
    """Customers about whom two systems, or two rows of one, contradict each other.

    Attributes
    ----------
    table : DataFrame
        One row a rule that is broken, most customers first: rule, department (which looks first), tables, what,
        customers, share (of all), cases, latest (month).
    tried, untried : dict of str to str
        Rules that could be tried, and those that could not, with what they lack.
    touched : int
        Customers whom any rule touches.
    customers : int
        All customers; 0 where the source has no table of them.
    """

    table: pd.DataFrame
    tried: tuple[str, ...]
    untried: dict[str, str]
    touched: int
    customers: int

    NAME: ClassVar[str] = "contradictions"

    def headline(self) -> str:
        """Say how many rules are broken and whom that touches, and what could not be tried."""
        lacks = f"; {len(self.untried)} could not be tried" if self.untried else ""
        if not self.tried:
            return f"None of {len(self.untried)} rules between systems can be tried: their tables were not delivered."
        if self.table.empty:
            return f"No contradiction between systems: {len(self.tried)} rules were tried and none is broken{lacks}."
        share = f" ({self.touched / self.customers:.1%} of {self.customers:,})" if self.customers else ""
        return (
            f"{len(self.table)} of {len(self.tried)} rules between systems are broken, for {self.touched:,} customers"
            f"{share}{lacks}."
        )

    def caption(self) -> str:
        """Say what the table shows."""
        return "What was looked for between systems. A month of which no bill was delivered is not judged."

    def as_table(self) -> Table:
        """Give all rules with their verdict, as words."""
        rules = quality_rules().rules
        verdicts = dict.fromkeys(self.table["rule"], "found")
        verdicts |= {n: "none" for n in self.tried if n not in verdicts} | self.untried
        rows = [(f"customers with {rules[n].what}", ", ".join(rules[n].tables), v) for n, v in verdicts.items()]
        return Table("rules", pd.DataFrame(rows, columns=["looked for", "tables", "verdict"]), self.caption())

    def broken(self) -> Table | None:
        """Give the rules that are broken with their customers; None where all hold."""
        if self.table.empty:
            return None
        shown = self.table.drop(columns=["rule", "tables"])
        return Table(
            self.NAME, shown, "Customers by what contradicts, and the last month in which it did.",
            {"share": "{:.1%}", "cases": "{:,.0f}"}, "customers",
        )  # fmt: skip

    def quantities(self) -> Iterable[Quantity]:
        """Customers whom each rule touches."""
        for row in self.table.itertuples():
            yield Quantity(f"contradictions[rule={row.rule}]", float(row.customers), "customers")


def contradictions(
    found: pd.DataFrame, *, tables: Collection[str], departments: Mapping[str, str], customers: int = 0
) -> Contradictions:
    """Count the customers about whom the rules of `rules.toml` are broken.

    Parameters
    ----------
    found : DataFrame
        One row a rule and customer that breaks it: rule, customer_id, cases, latest_on; no row where all rules hold.
    tables : collection of str
        Tables that hold rows: a rule that needs another could not be tried.
    departments : mapping of str to str
        Who delivers each table.
    customers : int
        All customers of the source.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, a row stands twice, or a rule is not known.
    """
    rules = quality_rules().rules
    require_columns(found, ["rule", "customer_id", "cases", "latest_on"], "found")
    if strange := sorted(set(found["rule"]) - set(rules)):
        raise unknown("rule", str(strange[0]), rules, "rules.toml")
    lacks = {name: [t for t in rule.tables if t not in tables] for name, rule in rules.items()}
    counts = pd.DataFrame(columns=["customers", "cases", "latest"])
    if len(found):
        known = columns.take(found, "found", key=["rule", "customer_id"], numbers=["cases"], dates=["latest_on"]).table
        counts = known.groupby("rule").agg(
            customers=("customer_id", "size"), cases=("cases", "sum"), latest=("latest_on", "max")
        )
    rows = [
        {
            "rule": name,
            "department": departments.get(rules[name].mend, ""),
            "tables": rules[name].tables,
            "what": rules[name].what,
            "customers": int(row.customers),
            "share": row.customers / customers if customers else float("nan"),
            "cases": int(row.cases),
            "latest": f"{row.latest:%Y-%m}",
        }
        for name, row in counts.iterrows()
    ]
    names = ["rule", "department", "tables", "what", "customers", "share", "cases", "latest"]
    table = pd.DataFrame(rows, columns=names).sort_values(
        ["customers", "rule"], ascending=[False, True], ignore_index=True
    )
    return Contradictions(
        table,
        tuple(name for name, gaps in lacks.items() if not gaps),
        {name: f"not tried: no rows of {listed(gaps)}" for name, gaps in lacks.items() if gaps},
        int(found["customer_id"].nunique()),
        customers,
    )


@dataclass(frozen=True)
class LostRecords(Result):
    """Records that were refused when the data came in and are lost, and those of which a copy was accepted.

    Attributes
    ----------
    table : DataFrame
        One row a table with a refused record, most lost first: department, table, records, lost, share (lost, of the
        records), copies (refused, but an accepted record has the same key: no loss), customers (of the source, whom the
        lost records name), why (most often).
    records, customers : int
        Delivered in all; all customers of the source.
    """

    table: pd.DataFrame
    records: int
    customers: int

    NAME: ClassVar[str] = "lost"
    FORMATS = dict.fromkeys(["lost", "copies"], "{:,.0f}") | {"share": "{:.2%}"}

    def headline(self) -> str:
        """Say how many records are lost, how many refused ones were copies, and where most are lost."""
        lost, copies = int(self.table["lost"].sum()), int(self.table["copies"].sum())
        if not lost + copies:
            return f"All {self.records:,} records were accepted."
        copied = f"{copies:,} refused ones repeat an accepted record and are no loss" if copies else ""
        if not lost:
            return f"No record of {self.records:,} is lost: {copied}."
        most = self.table.iloc[0]
        return (
            f"{lost:,} of {self.records:,} records are lost ({_share(lost / self.records)}), most of {most['table']} "
            f"({most['lost']:,}, from {most['department']}){'; ' + copied if copied else ''}."
        )

    def caption(self) -> str:
        """Say what the table shows."""
        return (
            "Refused records by table: lost for good, or a copy of an accepted one. Customers are those of the source "
            "whom a lost record names; a record that can't be read names nobody."
        )

    def as_table(self) -> Table:
        """Give the tables with refused records; how many customers they name as words where they are few."""
        named = [
            "" if not row.lost else "not known" if not row.customers else _few(row.customers)
            for row in self.table.itertuples()
        ]
        shown = (
            self.table.drop(columns="records").assign(customers=named).rename(columns={"customers": "customers named"})
        )
        return Table(self.NAME, shown, self.caption(), self.FORMATS)

    def quantities(self) -> Iterable[Quantity]:
        """Lost records by table."""
        for row in self.table[self.table["lost"] > 0].itertuples():
            yield Quantity(f"records_lost[table={row.table}]", float(row.lost), "records")


def lost_records(refusals: pd.DataFrame, *, customers: int = 0) -> LostRecords:
    """Tell lost records from copies, by table.

    Parameters
    ----------
    refusals : DataFrame
        One row a table: table, department, records, lost, copies, customers, why.
    customers : int
        All customers of the source.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or a table stands twice.
    """
    read = columns.take(
        refusals, "refusals", key="table", numbers=["records", "lost", "copies", "customers"],
        categories=["department", "why"],
    ).table  # fmt: skip
    counts = ["records", "lost", "copies", "customers"]
    read[counts] = read[counts].astype("int64")
    read["share"] = read["lost"] / read["records"].clip(lower=1)
    order = ["department", "table", "records", "lost", "share", "copies", "customers", "why"]
    some = read.loc[read["lost"] + read["copies"] > 0, order].fillna({"why": "", "department": ""})
    some = some.sort_values(["lost", "copies", "table"], ascending=[False, False, True], ignore_index=True)
    return LostRecords(some, int(read["records"].sum()), customers)


def _few(count: int) -> str:
    return f"{count:,}" if count >= 10 else "fewer than 10"


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.001 else "under 0.1%"
