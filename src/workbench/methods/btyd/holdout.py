"""What did a model expect after its last day, beside what happened?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from workbench.messages import Message, Number, Span, Term, say
from workbench.methods.btyd.purchases import Unit
from workbench.result import Result

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, eq=False)
class Holdout(Result):
    """What a model expected after its last day beside what happened.

    Attributes
    ----------
    table : DataFrame
        One row for all and for each number of repeats before: customers, actual and expected purchases, low and high
        between which the purchases fall with probability `level` if the model holds.
    periods : float
        Length of the holdout in `unit`.
    """

    label: str
    table: pd.DataFrame
    periods: float
    unit: Unit

    def headline(self) -> Message:
        """Say whether what happened is what the model leads to expect."""
        row = self.table.iloc[0]
        holds = row["low"] <= row["actual"] <= row["high"]
        off = (
            say("{off}, more than chance explains", off=Number(row["expected"] / row["actual"] - 1, "+.1%"))
            if not holds
            else say("within what it allows")
        )
        return say(
            "In the {periods} {units} held out, customers bought {actual} times; {model} expected {expected} {span}: "
            "{verdict}.",
            periods=Number(self.periods, ".4g"),
            units=Term(f"{self.unit}s"),
            actual=Number(row["actual"], ",.0f"),
            model=self.label,
            expected=Number(row["expected"], ",.0f"),
            span=Span(row["low"], row["high"], ",.0f"),
            verdict=off,
        )
