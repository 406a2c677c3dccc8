"""How a study answers: in a sentence, in a table and in a picture."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Quantity:
    """A number that others rely on, by name, as `results.json` carries it.

    Attributes
    ----------
    name : str
        A name of docs/results.md, for instance ``path[Image->Expectation]``.
    value : float
        The estimate.
    unit : str
        Its unit, for instance ``points``, ``yuan``, ``share``, ``1``.
    low, high : float or None
        Ends of its interval; None where the number is a count or was given.
    rtol : float
        Relative difference below which another run counts as the same.
    """

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    rtol: float = 1e-6


class Result(ABC):
    """What every study gives back: three voices, and the numbers others rely on.

    Subclasses are frozen dataclasses.
    """

    @abstractmethod
    def headline(self) -> str:
        """Say the result in one sentence, its numbers computed."""

    @abstractmethod
    def summary(self) -> pd.DataFrame:
        """Tabulate the estimates, one a row, with `low` and `high`."""

    @abstractmethod
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result into `ax` (the current one if None) and give it back."""

    def quantities(self) -> Iterable[Quantity]:
        """Name the numbers that others rely on."""
        return ()

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.headline())}</p>{self.summary().to_html(escape=True, border=0)}"
