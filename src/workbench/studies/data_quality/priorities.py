"""What is mended first, in which department, and what do the faults do to each study?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import listed
from workbench.result import Quantity, Result, Table
from workbench.studies.data_quality.contradictions import Contradictions, LostRecords
from workbench.studies.data_quality.coverage import Coverage
from workbench.studies.data_quality.rules import quality_rules


@dataclass(frozen=True)
class MendFirst(Result):
    """The faults in the order in which they are mended: by the customers that they touch.

    Attributes
    ----------
    table : DataFrame
        One row a fault, most customers first: department, fault (in words), customers, share (of all), studies (how
        many rest on its tables), tables.
    customers : int
        All customers of the source; 0 where it has no table of them.
    minimum : int
        Faults that touch fewer customers are suppressed.
    """

    table: pd.DataFrame
    customers: int
    minimum: int = 10

    NAME: ClassVar[str] = "mend_first"
    COUNTS: ClassVar[str | None] = "customers"
    FORMATS = dict.fromkeys(["studies"], "{:,.0f}")
    CAPTION: ClassVar[str] = (
        "Faults by the customers that they touch, the department that looks first, and how many studies rest on the "
        "tables. Of a month that lacks, the customers of a usual month."
    )

    def headline(self) -> str:
        """Say what is mended first, where, and whom it touches; then the next."""
        told = self.table[self.table["customers"] >= self.minimum]
        if told.empty:
            return f"Nothing was found that touches {self.minimum} customers or more."
        first, *rest = told.head(3).itertuples()
        share = f" of {self.customers:,} ({first.share:.1%})" if self.customers else ""
        text = f"Mend first, in {first.department}: {first.fault}; it touches {first.customers:,.0f} customers{share}"
        more = "; ".join(f"{r.fault} ({r.department}, {r.customers:,.0f} customers)" for r in rest)
        return f"{text}. Then: {more}." if more else f"{text}."

    def summary(self) -> pd.DataFrame:
        """Tabulate the faults."""
        return self.table.drop(columns="tables")

    def quantities(self) -> Iterable[Quantity]:
        """Customers whom the largest fault touches."""
        if len(self.table):
            yield Quantity("customers_touched", float(self.table["customers"].iloc[0]), "customers")


def mend_first(seen: Coverage, found: Contradictions, lost: LostRecords, *, minimum: int = 10) -> MendFirst:
    """Put the faults in order: most customers first, then those on which more studies rest.

    A fault of which nobody knows whom it touches (records that name no customer) is in the table of lost records only.
    """
    rows = [
        (r.department, f"{r.what} ({r.cases:,} cases)", float(r.customers), r.tables) for r in found.table.itertuples()
    ]
    rows += [
        (r.department, f"{r.lost:,} of {r.records:,} records of {r.table} lost, most often because {r.why}",
         float(r.customers), (r.table,))
        for r in lost.table[lost.table["customers"] > 0].itertuples()
    ]  # fmt: skip
    gaps = seen.table[seen.table["missing"].fillna(0) + seen.table["thin"].fillna(0) > 0]
    usual = seen.months[seen.months["gap"] == ""].groupby("table")["customers"].median()
    rows += [
        (r.department, f"{r.table} has gaps: {r.gaps}", float(np.floor(usual.get(r.table, 0.0))), (r.table,))
        for r in gaps.itertuples()
    ]
    table = pd.DataFrame(rows, columns=["department", "fault", "customers", "tables"]).astype({"customers": float})
    studies = quality_rules().studies
    table.insert(3, "share", table["customers"] / (found.customers or np.nan))
    table.insert(
        4, "studies", [sum(bool(set(tables) & set(t)) for t in studies.values()) for tables in table["tables"]]
    )
    table = table[table["customers"] > 0].sort_values(
        ["customers", "studies", "fault"], ascending=[False, False, True], ignore_index=True
    )
    return MendFirst(table, found.customers, minimum)


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

    def headline(self) -> str:
        """Count the studies that are whole, touched, and without their tables."""
        counts = self.table["verdict"].value_counts()
        said = [f"{counts[v]} {words}" for v, words in _VERDICTS.items() if counts.get(v, 0)]
        return f"Of {len(self.table)} studies {listed(said)}."


_VERDICTS = {
    "touched": "rest on data with faults",
    "whole": "rest on data without",
    "lacks": "lack a table that they rest on",
}


def studies_touched(
    seen: Coverage, found: Contradictions, lost: LostRecords, *, tables: Collection[str], minimum: int = 10
) -> StudiesTouched:
    """Say for each study what it rests on, what of that has faults, and what follows.

    Parameters
    ----------
    seen, found, lost : Coverage, Contradictions, LostRecords
    tables : collection of str
        Tables that hold rows.
    minimum : int
        Numbers of fewer customers are not said.
    """
    rules, rows = quality_rules(), []
    for study, rests in rules.studies.items():
        lacks = [t for t in rests if t not in tables]
        said = [f"not delivered: {', '.join(lacks[:3])}{f' and {len(lacks) - 3} more' if len(lacks) > 3 else ''}"]
        said = said if lacks else []
        broken = [r for r in found.table.itertuples() if set(r.tables) & set(rests)]
        for r in broken[:2]:
            n = f"{r.customers:,}" if r.customers >= minimum else f"fewer than {minimum}"
            said.append(f"{n} customers with {r.what}: {rules.rules[r.rule].means}")
        gaps = seen.table[seen.table["table"].isin(rests) & (seen.table["missing"] + seen.table["thin"] > 0)]
        said += [f"{r.table}: {r.gaps}" for r in gaps.itertuples()]
        gone = lost.table[lost.table["table"].isin(rests) & (lost.table["lost"] > 0)]
        if len(gone):
            worst = gone.loc[gone["share"].idxmax()]
            said.append(
                f"{gone['lost'].sum():,} records are lost and count as if they had never been, at most "
                f"{worst['share']:.2%} of a table ({worst['table']})"
            )
        verdict = "lacks" if lacks else "touched" if said else "whole"
        text = "; ".join(said)
        rows.append((study, ", ".join(rests), verdict, f"{text[:1].upper()}{text[1:]}." if text else "Nothing found."))
    return StudiesTouched(pd.DataFrame(rows, columns=["study", "rests_on", "verdict", "what_follows"]))


def completeness(filled: pd.DataFrame) -> Table:
    """Give the share of rows that have a value, of the columns that lack one somewhere, emptiest first.

    Parameters
    ----------
    filled : DataFrame
        One row a column that may lack a value: table, department, column, rows, filled.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or a column stands twice.
    """
    read = columns.take(
        filled, "filled", key=["table", "column"], numbers=["rows", "filled"], categories=["department"]
    ).table
    read = read.assign(share=read["filled"] / read["rows"].clip(lower=1))
    some = read[read["share"] < 1].sort_values(["share", "table", "column"], ignore_index=True)
    caption = (
        f"Share of rows that have a value, emptiest first; {len(read) - len(some)} of {len(read)} columns that may "
        "lack one never do. Some lack it rightly: a line that runs has no last day."
    )
    return Table("completeness", some[["department", "table", "column", "rows", "share"]], caption, {"rows": "{:,.0f}"})
