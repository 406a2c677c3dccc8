"""What is mended first, in which department, and what do the faults do to each study?"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from workbench import columns, refused
from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.messages import Count, Day, Label, Listed, Message, Share, Term, join, say
from workbench.result import Decision, Quantity, Result, Table, Tile, Totals
from workbench.studies.data_quality.contradictions import Contradictions, LostRecords
from workbench.studies.data_quality.coverage import Coverage
from workbench.studies.data_quality.known_faults import quality_rules

_DRAWN = 10  # faults in the picture
_WIDTH = 42  # letters of a line that names one


@dataclass(frozen=True)
class Fault:
    """A fault of the data.

    Attributes
    ----------
    department : str
        Which looks first.
    customers : float
        Whom it touches; of a month that lacks, those of a usual month.
    what, name : Message
        The fault with its numbers, and what it is called.
    lead, do : Message
        What the department should mend first and why, and what is to be done.
    why : Message
        More about the cause; empty where nothing is known of it.
    """

    department: str
    tables: tuple[str, ...]
    customers: float
    what: Message
    name: Message
    lead: Message
    do: Message
    why: Message

    @property
    def studies(self) -> int:
        """How many studies rest on its tables."""
        return sum(bool(set(self.tables) & set(tables)) for tables in quality_rules().studies.values())


@dataclass(frozen=True)
class MendFirst(Result):
    """The faults in the order in which they are mended: by the customers that they touch.

    Attributes
    ----------
    table : DataFrame
        One row a fault, most customers first: department, fault (in words), customers, share (of all), studies (how
        many rest on its tables).
    faults : tuple of Fault
        The same, to be said.
    customers : int
        All customers of the source; 0 where it has no table of them.
    minimum : int
        Faults that touch fewer customers are suppressed.
    """

    table: pd.DataFrame
    faults: tuple[Fault, ...]
    customers: int
    minimum: int = 10

    NAME: ClassVar[str] = "mend_first"
    COUNTS: ClassVar[str | None] = "customers"
    TOTALS: ClassVar[Totals] = None
    FORMATS = dict.fromkeys(["studies"], "{:,.0f}")
    CHART: ClassVar[str] = say("Bars of customers, a row a fault, the largest above")
    CAPTION: ClassVar[str] = (
        "Faults by the customers that they touch, the department that looks first, and how many studies rest on the "
        "tables. Of a month that lacks, the customers of a usual month."
    )
    PICTURE_CAPTION: ClassVar[str] = "Customers whom each fault touches, with the department that looks first."

    @property
    def told(self) -> tuple[Fault, ...]:
        """The faults that touch enough customers."""
        return tuple(fault for fault in self.faults if fault.customers >= self.minimum)

    def headline(self) -> Message:
        """Say what is mended first, where, and whom it touches; then why, and the next."""
        if not self.told:
            return say("Nothing was found that touches {n} customers or more.", n=self.minimum)
        first, *rest = self.told[:3]
        then = [
            say(
                "{fault} ({department}, {n} customers)",
                fault=fault.what,
                department=refused.department(fault.department),
                n=int(fault.customers),
            )
            for fault in rest
        ]
        return join(first.lead, first.why, say("Then: {faults}.", faults=Listed(then, ";")) if then else say(""))

    def tiles(self) -> tuple[Tile, ...]:
        """Customers whom the first fault touches."""
        if not self.told:
            return ()
        n = self.told[0].customers
        share = say("{share} of {n}", share=Share(n / self.customers), n=self.customers) if self.customers else None
        return (Tile(say("customers touched by the largest fault"), Count(n), share),)

    def decision(self) -> Decision:
        """Say what is mended first, by whom, and how studies are read until then."""
        change = say("a smaller fault on the largest bills.")
        if not self.told:
            return Decision((say("Mend nothing now: no fault touches {n} customers or more.", n=self.minimum),), change)
        first, *rest = self.told
        then = say("Until then, read the {n} studies on it with care.", n=first.studies)
        turn = say("Then mend the {n} other faults listed below.", n=len(rest))
        return Decision((first.do, then, turn) if len(rest) > 1 else (first.do, then), change)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the customers whom each fault touches, the largest above.

        Raises
        ------
        CannotAnswer
            If no fault touches enough customers.
        """
        if not self.told:
            raise CannotAnswer("nothing was found that touches {n} customers or more.").of(self.minimum)
        ax, shown = axes(ax), self.told[:_DRAWN]
        names = [
            textwrap.fill(
                say("{department} · {table}", department=refused.department(fault.department), table=fault.name), _WIDTH
            )
            for fault in shown
        ]
        bars = ax.barh(range(len(shown)), [fault.customers for fault in shown], height=0.7)
        ax.bar_label(bars, [f"{fault.customers:,.0f}" for fault in shown], padding=3)
        ax.set_yticks(range(len(shown)), names)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.15 * shown[0].customers)
        ax.set_xlabel("customers")
        figure = ax.get_figure(root=True)
        if figure is not None and len(figure.axes) == 1:
            figure.set_figheight(0.4 * len(shown) + 0.8)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Customers whom the largest fault touches."""
        if len(self.table):
            yield Quantity("customers_touched", float(self.table["customers"].iloc[0]), "customers")


def mend_first(seen: Coverage, found: Contradictions, lost: LostRecords, *, minimum: int = 10) -> MendFirst:
    """Put the faults in order: most customers first, then those on which more studies rest.

    A fault of which nobody knows whom it touches (records that name no customer) is in the table of lost records only.
    """
    faults = [*_contradicting(found), *_losing(lost, found.customers), *_lacking(seen, found.customers)]
    faults = sorted(
        (fault for fault in faults if fault.customers > 0), key=lambda f: (-f.customers, -f.studies, str(f.what))
    )
    rows = [
        (f.department, str(f.what), f.customers, f.customers / (found.customers or np.nan), f.studies) for f in faults
    ]
    table = pd.DataFrame(rows, columns=["department", "fault", "customers", "share", "studies"])
    return MendFirst(table.astype({"customers": float, "share": float}), tuple(faults), found.customers, minimum)


def _contradicting(found: Contradictions) -> Iterable[Fault]:
    for row in found.table.itertuples():
        what, cases = Term(row.what), int(row.cases)
        who, touched = _who(row.department), _touched(row.customers, found.customers)
        yield Fault(
            row.department,
            row.tables,
            float(row.customers),
            say("{what} ({n} cases)", what=what, n=cases),
            say("{what}", what=what),
            say("First, {who} should look again: {customers} have {what}.", who=who, customers=touched, what=what),
            say("Have {who} look at the {n} customers with {what}.", who=who, n=int(row.customers), what=what),
            say("These are {n} cases; the last is of {month}.", n=cases, month=Day(row.latest)),
        )


def _losing(lost: LostRecords, customers: int) -> Iterable[Fault]:
    for row in lost.table[lost.table["customers"] > 0].itertuples():
        why, table = refused.because(row.why), refused.table(row.table)
        known: dict[str, Any] = {"who": _who(row.department), "table": table, "n": int(row.lost)}
        yield Fault(
            row.department,
            (row.table,),
            float(row.customers),
            say(
                "{n} of {all} records of {table} lost, most often because {why}",
                n=int(row.lost),
                all=int(row.records),
                table=table,
                why=why,
            ),
            say("{table}: lost records", table=table),
            say(
                "First, {who} should mend its {table}: {n} of {all} were lost on arrival, touching {customers}.",
                all=int(row.records),
                customers=_touched(row.customers, customers),
                **known,
            ),
            say("Have {who} mend the {n} refused records, and take them back.", who=known["who"], n=known["n"]),
            say("Most often they were refused because {why}.", why=why),
        )


def _lacking(seen: Coverage, customers: int) -> Iterable[Fault]:
    usual = seen.months[seen.months["gap"] == ""].groupby("table")["customers"].median()
    for row in seen.holed.itertuples():
        table, gaps, n = refused.table(row.table), seen.gaps_of(row.table), float(np.floor(usual.get(row.table, 0.0)))
        known: dict[str, Any] = {"who": _who(row.department), "table": table, "gaps": gaps}
        yield Fault(
            row.department,
            (row.table,),
            n,
            say("gaps in the {table}: {gaps}", table=table, gaps=gaps),
            say("{table}: months that lack", table=table),
            say(
                "First, {who} should complete its {table}: {gaps}; a usual month has {customers}.",
                customers=_touched(n, customers),
                **known,
            ),
            say("Have {who} deliver its {table} again: {gaps}.", **known),
            say(""),
        )


def _who(department: str) -> Message:
    return say("the {name} department", name=refused.department(department)) if department else say("the operator")


def _touched(customers: float, base: int) -> Message:
    if not base:
        return say("{n} customers", n=int(customers))
    return say("{n} customers ({share} of {all})", n=int(customers), all=base, share=Share(customers / base))


@dataclass(frozen=True)
class StudiesTouched(Result):
    """What the faults do to each study, in a sentence.

    Attributes
    ----------
    table : DataFrame
        One row a study: study, rests_on (tables), verdict (whole, touched, or lacks a table), what_follows.
    """

    table: pd.DataFrame

    NAME: ClassVar[str] = "studies"
    CAPTION: ClassVar[str] = "What each study rests on, and what the faults found here do to it."

    def headline(self) -> Message:
        """Count the studies that are whole, touched, and without their tables."""
        touched, whole, lacks = ((self.table["verdict"] == v).sum() for v in ("touched", "whole", "lacks"))
        said = [say("{n} rest on data with faults", n=touched)] if touched else []
        said += [say("{n} rest on data without", n=whole)] if whole else []
        said += [say("{n} lack a table that they rest on", n=lacks)] if lacks else []
        return say("Of {n} studies: {said}.", n=len(self.table), said=Listed(said, ";"))

    def tiles(self) -> tuple[Tile, ...]:
        """Studies that rest on data with faults."""
        touched = say("{n} of {all}", n=(self.table["verdict"] == "touched").sum(), all=len(self.table))
        return (Tile(say("studies on data with faults"), touched),)

    def as_table(self) -> Table:
        """Give the studies and what they rest on in words."""
        rests = [
            say("{text}", text=Listed(map(refused.table, names.split(", ")), "")) for names in self.table["rests_on"]
        ]
        words = {"study": self.table["study"].map(lambda study: Label(study).said()), "rests_on": rests}
        return replace(super().as_table(), frame=self.table.assign(**words))


def studies_touched(
    seen: Coverage, found: Contradictions, lost: LostRecords, *, tables: Collection[str], minimum: int = 10
) -> StudiesTouched:
    """Say for each study what it rests on, what of that has faults, and what follows.

    Parameters
    ----------
    tables : collection of str
        Tables that hold rows.
    minimum : int
        Numbers of fewer customers are not said.
    """
    rules, rows = quality_rules(), []
    for study, rests in rules.studies.items():
        lacks = [refused.table(t) for t in rests if t not in tables]
        said = [say("not delivered: {tables}", tables=Listed(lacks, ""))] if lacks else []
        broken = [r for r in found.table.itertuples() if set(r.tables) & set(rests)]
        for r in broken[:2]:
            words = {"what": Term(r.what), "means": Term(rules.rules[r.rule].means)}
            if r.customers >= minimum:
                said.append(say("{n} customers with {what}: {means}", n=r.customers, **words))
            else:
                said.append(say("fewer than {n} customers with {what}: {means}", n=minimum, **words))
        gaps = [t for t in seen.holed["table"] if t in rests]
        said += [say("{table}: {gaps}", table=refused.table(t), gaps=seen.gaps_of(t)) for t in gaps]
        gone = lost.table[lost.table["table"].isin(rests) & (lost.table["lost"] > 0)]
        if len(gone):
            worst = gone.loc[gone["share"].idxmax()]
            said.append(
                say(
                    "lost records, which count as if they had never been: {n}, at most {share} of a table ({table})",
                    n=int(gone["lost"].sum()),
                    share=Share(worst["share"], 2),
                    table=refused.table(worst["table"]),
                )
            )
        verdict = "lacks" if lacks else "touched" if said else "whole"
        follows = say("{said}.", said=Listed(said, ";")).sentence() if said else say("Nothing found.")
        rows.append((study, ", ".join(rests), verdict, str(follows)))
    return StudiesTouched(pd.DataFrame(rows, columns=["study", "rests_on", "verdict", "what_follows"]))


def completeness(filled: pd.DataFrame) -> Table:
    """Give the share of rows that have a value, of the columns that lack one somewhere, emptiest first.

    Parameters
    ----------
    filled : DataFrame
        One row a column that may lack a value: table, department, column, rows, filled, mapped.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or a column stands twice.
    """
    read = columns.take(
        filled,
        "filled",
        key=["table", "column"],
        numbers=["rows", "filled"],
        flags=["mapped"],
        categories=["department"],
    ).table
    read = read.assign(share=(read["filled"] / read["rows"].clip(lower=1)).where(read["mapped"] > 0))
    some = read[~(read["share"] >= 1)].sort_values(["share", "table", "column"], na_position="last", ignore_index=True)
    caption = say(
        "Share of rows that have a value, emptiest first; {n} of {all} columns that may lack one never do. Some lack "
        "it rightly: a line that runs has no last day.",
        n=len(read) - len(some),
        all=len(read),
    )
    if none := int(some["share"].isna().sum()):
        said = say("{n} of these columns are not mapped: no file fills them, so they have no share.", n=none)
        caption = join(caption, said)
    shown = refused.with_words(some[["department", "table", "column", "rows", "share"]])
    shown["column"] = [Label(name).said() for name in shown["column"]]
    return Table("completeness", shown, caption, {"rows": "{:,.0f}"})
