"""Which words and numbers do all reports share? What each means, of how many customers a report speaks, break-even."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.catalogue import CATALOGUES
from workbench.errors import WorkbenchError
from workbench.messages import Day, Listed, Message, Name, Term, join, say
from workbench.result import Quantity, Result

if TYPE_CHECKING:
    import pandas as pd

SET_ASIDE: Mapping[str, Message] = {
    "unbilled": say("not billed for a full month yet"),
    "young": say("with too few months on record to be valued"),
    "excluded": say("excluded by the tier rules"),
    "unused": say("billed, but without use to describe"),
    "silent": say("prepaid and silent for 90 days"),
    "undue": say("without a bill that was due"),
    "lineless": say("without a running line on record"),
}
"""Why an active customer is not in a report, by the name that `results.json` has for it."""


@dataclass(frozen=True)
class Base(Result):
    """Of how many of the customers `active` on a day a report (or `part` of it) speaks, and whom it sets aside.

    `set_aside` counts those who are not in it by a key of `SET_ASIDE`, each once; `left` who is on record and had left,
    where the report speaks of them.

    >>> Base(100, {"unbilled": 3, "excluded": 5}, "2026-07-01").headline()[:62]
    'This report counts 92 customers: 100 active on 2026-07-01 less'
    >>> Base(3, {}, "2026-07-01", left=2).headline()
    'This report counts all 3 customers active on 2026-07-01. 5 on record = 3 active + 2 who left.'
    """

    active: int
    set_aside: Mapping[str, int]
    day: Any
    province: str = ""
    left: int | None = None
    part: str = "This report"

    def __post_init__(self) -> None:
        if unknown := [why for why in self.set_aside if why not in SET_ASIDE]:
            raise WorkbenchError("no reason '{why}' to set a customer aside. Add it to SET_ASIDE.").of(unknown[0])
        if self.counted < 0 or min(self.set_aside.values(), default=0) < 0:
            raise WorkbenchError("{n} active customers, and more set aside: count each once.").of(self.active)

    @classmethod
    def of(cls, known: pd.DataFrame, here: Iterable[Any], why: Mapping[str, Any], day: Any, **more: Any) -> Base:
        """Count a base by its active customers (`known`, one a row) and the numbers of those who are in the report.

        Who is not counts under the first reason that holds: one bool a row of `known`, None for all that are left.
        """
        import pandas as pd

        out, counts = ~known["customer_id"].isin(list(here)).to_numpy(), {}
        for reason, holds in why.items():
            found = out if holds is None else out & pd.Series(holds, dtype=bool).to_numpy()
            counts[reason], out = int(found.sum()), out & ~found
        if out.any():
            raise WorkbenchError("{n} active customers are set aside for no reason. Name one.").of(int(out.sum()))
        return cls(len(known), counts, day, **more)

    @property
    def counted(self) -> int:
        """Customers of whom the report speaks."""
        return self.active - sum(self.set_aside.values())

    def summary(self) -> pd.DataFrame:
        """Tabulate the sum."""
        import pandas as pd

        rows = {"active": self.active, **{why: -n for why, n in self.set_aside.items()}, "here": self.counted}
        return pd.DataFrame(rows.items(), columns=["what", "customers"])

    def headline(self) -> Message:
        """Say it as a sum, exactly: rounded to ten thousands, as Chinese does, it would not add up."""
        n, active = (Name(f"{n:,}") for n in (self.counted, self.active))
        who = {"part": Term(self.part), "day": Day(self.day)}
        aside = [say("{n} {why}", n=Name(f"{n:,}"), why=SET_ASIDE[why]) for why, n in self.set_aside.items() if n]
        said = say("{part} counts all {n} customers active on {day}.", n=n, **who)
        if aside:
            counts = {"n": n, "active": active, "aside": Listed(aside)}
            said = say("{part} counts {n} customers: {active} active on {day} less {aside}.", **counts, **who)
        if self.left is None:
            return said
        parts = {"all": Name(f"{self.active + self.left:,}"), "n": active, "left": Name(f"{self.left:,}")}
        return join(said, say("{all} on record = {n} active + {left} who left.", **parts))

    def quantities(self) -> Iterable[Quantity]:
        """Active customers, and those set aside by reason: names that mean the same in every report."""
        of = f"day={str(self.day)[:10]}" + (f",province={self.province}" if self.province else "")
        yield Quantity(f"customers[{of}]", float(self.active), "customers", rtol=0.0)
        for why, n in self.set_aside.items():
            yield Quantity(f"customers_set_aside[{of},why={why}]", float(n), "customers", rtol=0.0)


def break_even(margin: Any, contact_cost: Any, incentive_cost: Any = 0.0, responding: Any = 0.0) -> Any:
    """Give the effect a member that pays for the contact: cost of one contacted, of whom a share responds, by margin.

    >>> break_even(0.5, 4.0), break_even(0.5, 4.0, 10.0, 0.1)
    (8.0, 10.0)
    """
    return (contact_cost + incentive_cost * responding) / margin


@cache
def terms(language: str = "en") -> tuple[Mapping[str, Any], ...]:
    """Give the terms of the glossary in their order: id, name and meaning in a language, numbers, results."""
    at = int(language == "zh")
    found = tomllib.loads((CATALOGUES / "glossary.toml").read_text("utf-8"))["term"]
    return tuple({**term, "name": term["name"][at], "meaning": term["meaning"][at]} for term in found)


@cache
def term_of(what: str) -> str:
    """Give the id of the term that explains a recorded number, or the key figures of a class of results; else "".

    >>> term_of("customers[day=2026-07-01]"), term_of("Targeting"), term_of("seed")
    ('active', 'net', '')
    """
    stem = what.partition("[")[0]
    known = (t["id"] for t in terms() if stem in (*t.get("numbers", ()), *t.get("results", ())))
    return next(known, "")
