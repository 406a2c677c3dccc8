"""What do two systems say of a customer that can't both be true, and what was lost when the data came in?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from workbench import columns, refused
from workbench.errors import require_columns, unknown
from workbench.messages import Count, Listed, Message, Share, Term, say
from workbench.result import Quantity, Result, Table, Tile
from workbench.studies.data_quality.known_faults import quality_rules


@dataclass(frozen=True)
class Contradictions(Result):
    """Customers about whom two systems, or two rows of one, contradict each other.

    Attributes
    ----------
    table : DataFrame
        One row a rule that is broken, most customers first: rule, department (which looks first), tables, what,
        customers, share (of all), cases, latest (month).
    tried : tuple of str
        Rules that could be tried.
    untried : dict of str to Message
        Those that could not, with what they lack.
    touched : int
        Customers whom any rule touches.
    customers : int
        All customers; 0 where the source has no table of them.
    """

    table: pd.DataFrame
    tried: tuple[str, ...]
    untried: dict[str, Message]
    touched: int
    customers: int

    NAME: ClassVar[str] = "contradictions"
    CAPTION = "What was looked for between systems. A month of which no bill was delivered is not judged."

    def headline(self) -> Message:
        """Say how many rules are broken and whom that touches, and what could not be tried."""
        n, lacking = len(self.tried), len(self.untried)
        if not n:
            return say("None of {n} rules between systems can be tried: their tables were not delivered.", n=lacking)
        found = say("No contradiction between systems: {n} rules were tried and none is broken", n=n)
        if len(self.table):
            found = say(
                "{n} of {all} rules between systems are broken, for {customers} customers",
                n=len(self.table),
                all=n,
                customers=self.touched,
            )
            if self.customers:
                share = Share(self.touched / self.customers)
                found = say("{found} ({share} of {base})", found=found, share=share, base=self.customers)
        return _ended(found, say("{n} could not be tried", n=lacking) if lacking else None)

    def tiles(self) -> tuple[Tile, ...]:
        """Rules that are broken."""
        broken = say("{n} of {all}", n=len(self.table), all=len(self.tried))
        return (Tile(say("broken rules between systems"), broken),) if self.tried else ()

    def as_table(self) -> Table:
        """Give all rules with their verdict, as words."""
        rules = quality_rules().rules
        verdicts: dict[str, str] = dict.fromkeys(self.table["rule"], "found")
        verdicts |= {n: "none" for n in self.tried if n not in verdicts} | self.untried
        rows = [
            (say("customers with {what}", what=Term(rules[n].what)), say("{text}", text=_tables(rules[n].tables)), v)
            for n, v in verdicts.items()
        ]
        return Table("rules", pd.DataFrame(rows, columns=["looked for", "tables", "verdict"]), self.caption())

    def broken(self) -> Table | None:
        """Give the rules that are broken with their customers; None where all hold."""
        if self.table.empty:
            return None
        shown = self.table.drop(columns=["rule", "tables"])
        return Table(
            self.NAME,
            shown,
            say("Customers by what contradicts, and the last month in which it did."),
            {"share": "{:.1%}", "cases": "{:,.0f}"},
            "customers",
        )

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
        {
            name: say("not tried: no rows of {tables}", tables=Listed(map(refused.table, gaps)))
            for name, gaps in lacks.items()
            if gaps
        },
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
    CAPTION = (
        "Refused records by table: lost for good, or a copy of an accepted one. Customers are those of the source "
        "whom a lost record names; a record that can't be read names nobody."
    )
    FORMATS = dict.fromkeys(["lost", "copies"], "{:,.0f}") | {"share": "{:.2%}"}

    def headline(self) -> Message:
        """Say how many records are lost, how many refused ones were copies, and where most are lost."""
        lost, copies = int(self.table["lost"].sum()), int(self.table["copies"].sum())
        if not lost + copies:
            return say("All {n} records were accepted.", n=self.records)
        copied = say("{n} refused ones repeat an accepted record and are no loss", n=copies) if copies else None
        if not lost:
            return say("No record of {n} is lost: {copied}.", n=self.records, copied=copied or say(""))
        most = self.table.iloc[0]
        found = say(
            "{lost} of {n} records are lost ({share}), most of the {table} ({most}, from {department})",
            lost=lost,
            n=self.records,
            share=refused.part(lost / self.records),
            table=refused.table(most["table"]),
            most=int(most["lost"]),
            department=refused.department(most["department"]),
        )
        return _ended(found, copied)

    def tiles(self) -> tuple[Tile, ...]:
        """Records that are lost."""
        lost = int(self.table["lost"].sum())
        if not lost:
            return ()
        share = say("{share} of {n}", share=refused.part(lost / self.records), n=self.records)
        return (Tile(say("records lost on arrival"), Count(lost), share),)

    def as_table(self) -> Table:
        """Give the tables with refused records; how many customers they name as words where they are few."""
        named = [
            "" if not row.lost else "not known" if not row.customers else _few(row.customers)
            for row in self.table.itertuples()
        ]
        shown = self.table.drop(columns="records").assign(
            customers=named, why=[refused.because(why) if why else "" for why in self.table["why"]]
        )
        shown = refused.with_words(shown).rename(columns={"customers": "customers named"})
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
        refusals,
        "refusals",
        key="table",
        numbers=["records", "lost", "copies", "customers"],
        categories=["department", "why"],
    ).table
    counts = ["records", "lost", "copies", "customers"]
    read[counts] = read[counts].astype("int64")
    read["share"] = read["lost"] / read["records"].clip(lower=1)
    order = ["department", "table", "records", "lost", "share", "copies", "customers", "why"]
    some = read.loc[read["lost"] + read["copies"] > 0, order].fillna({"why": "", "department": ""})
    some = some.sort_values(["lost", "copies", "table"], ascending=[False, False, True], ignore_index=True)
    return LostRecords(some, int(read["records"].sum()), customers)


def _few(count: int) -> str:
    return f"{count:,}" if count >= 10 else say("fewer than {n}", n=10)


def _tables(names: Iterable[str]) -> Listed:
    return Listed(map(refused.table, names), "")


def _ended(found: Message, tail: Message | None) -> Message:
    return say("{found}; {tail}.", found=found, tail=tail) if tail else say("{found}.", found=found)
