"""How a study answers: in a sentence, in a table and in a picture."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from workbench.catalogue import places
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.messages import OF_DATA, Count, Label, Message, Share, Span, Term, Value, as_message, say

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

P = ParamSpec("P")
R = TypeVar("R")
SHOWN_ROWS = 10
MINIMUM_CELL = 10
"""A number that stands on fewer customers is not shown."""
Totals = Sequence[str | tuple[str, ...]] | None
"""Columns for whose values totals are known; None where rows overlap."""

OWN: Mapping[str, Callable[[Any], Value]] = {
    "level": lambda of: Share(of.level, 0),
    "construct": lambda of: Label(of.construct),
    "currency": lambda of: Term(of.currency),
    "outcome": lambda of: Label(of.outcome),
    "target": lambda of: Label(of.target),
    "horizon": lambda of: Count(of.horizon),
    "unit": lambda of: Term(of.unit or "units of the outcome") if hasattr(of, "unit") else Term(of.currency),
}
"""What a result says of itself without being told, and how: `unit` is that of its outcome, or of its money."""
COUNT, SHARE, PROBABILITY = "{:,.0f}", "{:.1%}", "{:.3f}"
POINTS = "{:+.1%} points"
"""Of a difference of two shares: the unit stands in the head of its column, wherever the table is shown."""
_FORMATS = (
    (
        r"accounts|answered|arms|asked|contacts|contracts|control|customers|invited|lines|members|months|n|n_effective|"
        r"near_\w+|pending|provinces|recency_days|respondents|running|silent|take_ups|targets|total|treated|unjudged",
        COUNT,
    ),
    (r"p|q|p_\w+|\w+_p", PROBABILITY),
    (r"share|\w+_share|rate|reached", SHARE),
)


def default_format(column: str) -> str | None:
    """Give the format in which a column of this name is shown unless its table says otherwise; None: by its values.

    Counts are whole, shares are per cent, probabilities have three digits.

    >>> default_format("members"), default_format("p_holm"), default_format("estimate")
    ('{:,.0f}', '{:.3f}', None)
    """
    return next((form for names, form in _FORMATS if re.fullmatch(names, column)), None)


@dataclass(frozen=True)
class Table:
    """A table as a reader sees it.

    Attributes
    ----------
    name : str
        Name of the sheet, unique in a notebook.
    frame : DataFrame
        One row a line.
    caption : str
        What the table shows, in a sentence, with units.
    formats : mapping of str to str
        Formats of columns that are not shown by `default_format`: ``"{:.1f}"``; `POINTS` of differences of shares.
    counts : str or None
        Column with the number of customers that a row stands on: small ones are suppressed.
    minimum : int or None
        Smallest count that is shown, at least the run's; the run's own if None.
    totals : sequence of str or tuples of str, or None
        Columns for whose values totals of `counts` are known, beside that of all rows: no hidden row follows from the
        others. None where rows overlap.
    """

    name: str
    frame: pd.DataFrame
    caption: str
    formats: Mapping[str, str] = field(default_factory=dict)
    counts: str | None = None
    minimum: int | None = None
    totals: Totals = ()


@dataclass(frozen=True)
class Picture:
    """A picture as a reader sees it, drawn when it is shown.

    Attributes
    ----------
    name : str
        Unique among the figures of a notebook.
    draw : callable
        Draws it into the current axes and gives them back.
    caption, alt : str
        What to see in it; what a reader who cannot see it would see.
    """

    name: str
    draw: Callable[[], Axes]
    caption: str
    alt: str


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
    row : int or None
        Row of its result's `as_table` that it stands on: where that is suppressed, it is not recorded.
    """

    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    rtol: float = 1e-6
    row: int | None = None


@dataclass(frozen=True)
class Tile:
    """A key figure of the first screen.

    Attributes
    ----------
    label : Message
        What it is, in a few words with its unit.
    value, interval : Value or Message
        The figure, and between which values it lies where it is an estimate.
    """

    label: Message
    value: Value | Message
    interval: Value | Message | None = None

    def as_json(self, told: Collection[float | None] = ()) -> dict[str, Any]:
        """Give the parts as messages that are stored; the interval without its level where that is told already."""
        known = isinstance(self.interval, Span) and self.interval.level in told
        interval = replace(self.interval, level=None) if known else self.interval  # type: ignore[type-var]
        parts = {"label": self.label, "value": self.value, "interval": interval}
        return {name: say("{it}", it=part).as_json() for name, part in parts.items() if part is not None}


@dataclass(frozen=True)
class Decision:
    """What a study advises, in the words of whoever acts on it.

    Attributes
    ----------
    do : tuple of Message
        What to do, for whom, and what it is expected to bring; the first stands alone in the index of reports.
    change : Message
        What would change it.
    """

    do: tuple[Message, ...]
    change: Message

    def said(self) -> tuple[Message, ...]:
        """Give its sentences, the most important first."""
        return *self.do, say("What would change this: {change}", change=self.change)


class Result(ABC):
    """What every study gives back: a sentence, a table and a picture, and the numbers others rely on.

    Subclasses are frozen dataclasses, and declare how a page shows them.

    Attributes
    ----------
    NAME : str
        Of the table and the picture.
    PICTURE : str
        Of the picture, where it is another.
    COUNTS : str or None
        Column of the table with the number of customers that a row stands on.
    TOTALS : sequence of str or tuples of str, or None
        `totals` of the table.
    TABLE : str
        The field that is tabulated, where it is not `table`.
    FORMATS : mapping of str to str
        Formats of its columns that `default_format` does not give.
    EFFECTS : sequence of str
        Columns in units of the outcome: of one that is `binary` they are differences of shares, in points.
    CHART : str
        What kind of picture it is, for those who cannot see it.
    CAPTION, PICTURE_CAPTION : str
        Templates of what table and picture show, with their units, where nothing is said but what is in `OWN`; else
        `caption` and `picture_caption`.
    table : DataFrame
        The estimates, one a row, with `low` and `high`; a result that holds others says which in `summary`.
    """

    NAME: ClassVar[str] = ""
    PICTURE: ClassVar[str] = ""
    COUNTS: ClassVar[str | None] = None
    TOTALS: ClassVar[Totals] = ()
    TABLE: ClassVar[str] = "table"
    FORMATS: ClassVar[Mapping[str, str]] = {}
    EFFECTS: ClassVar[Sequence[str]] = ()
    CHART: ClassVar[str] = ""
    CAPTION: ClassVar[str] = ""
    PICTURE_CAPTION: ClassVar[str] = ""
    table: pd.DataFrame

    def say(self, template: str, **values: Any) -> Message:
        """Say a sentence as `messages.say` does; names of `OWN` that are given no value are the result's own fields."""
        own = (places(template) & OWN.keys()) - values.keys()
        return say(template, **{name: OWN[name](self) for name in own}, **values)

    @abstractmethod
    def headline(self) -> str:
        """Say the result in one sentence, its numbers computed."""

    def summary(self) -> pd.DataFrame:
        """Tabulate the estimates, one a row, with `low` and `high`."""
        table: pd.DataFrame = getattr(self, self.TABLE)
        return table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the result into `ax` (the current one if None) and give it back.

        Each row's estimate, the number before `low`, as a dot with its interval; results that a report draws have a
        picture of their own.

        Raises
        ------
        CannotAnswer
            If the table has no interval.
        """
        from workbench.figures import NAMES, dot_and_interval

        rows = self.summary()
        numbers = [c for c in rows.select_dtypes("number").loc[:, :"low"].columns if c != "se"] if "low" in rows else []
        if len(numbers) < 2:
            raise CannotAnswer("this result has no picture: its table has no intervals. Read .summary().")
        names = rows[rows.columns.difference(rows.select_dtypes("number").columns, sort=False)].astype(str)
        table = rows[["low", "high"]].assign(estimate=rows[numbers[-2]])
        ax = dot_and_interval(names.agg(" · ".join, axis=1), table, ax, label=numbers[-2].replace("_", " "))
        ax.yaxis.set_gid(NAMES if {*names} <= {*OF_DATA} else None)
        return ax

    def caption(self) -> str:
        """Say what the table shows, with its units."""
        return self.say(self.CAPTION) if self.CAPTION else self.headline()

    def picture_caption(self) -> str:
        """Say what to see in the picture, with its units."""
        return self.say(self.PICTURE_CAPTION) if self.PICTURE_CAPTION else self.headline()

    def as_table(self) -> Table:
        """Give the table as a page shows it; no row on fewer than the result's own `minimum`, if it has one."""
        frame = self.summary()
        points = dict.fromkeys(self.EFFECTS if getattr(self, "binary", False) else (), "{:.2%} points")
        formats = {column: form for column, form in {**self.FORMATS, **points}.items() if column in frame}
        least = getattr(self, "minimum", None)
        return Table(self.NAME, frame, self.caption(), formats, self.COUNTS, least, self.TOTALS)

    def as_picture(self) -> Picture:
        """Give the picture as a page shows it."""
        headline = self.headline()
        alt = say("{chart}. {said}", chart=self.CHART, said=headline) if self.CHART else headline
        return Picture(self.PICTURE or self.NAME, self.plot, self.picture_caption(), alt)

    def tiles(self) -> tuple[Tile, ...]:
        """Give the key figures of the first screen, the most important first."""
        return ()

    def quantities(self) -> Iterable[Quantity]:
        """Name the numbers that others rely on."""
        return ()

    def __init_subclass__(cls) -> None:
        """Show every result alike: its sentence and the first rows of its table, not all of its fields."""
        super().__init_subclass__()
        cls.__repr__ = Result.__repr__  # type: ignore[method-assign]  # or the dataclass would write its own

    def __repr__(self) -> str:
        rows = self.summary()
        more = f"\n… {len(rows):,} rows" if len(rows) > SHOWN_ROWS else ""
        return f"{self.headline()}\n{rows.head(SHOWN_ROWS).to_string(float_format='{:,.4g}'.format)}{more}"

    def _repr_html_(self) -> str:
        rows = self.summary()
        more = f"<p>… {len(rows):,} rows</p>" if len(rows) > SHOWN_ROWS else ""
        table = rows.head(SHOWN_ROWS).to_html(escape=True, border=0, float_format="{:,.4g}".format)
        return f"<p>{html.escape(self.headline())}</p>{table}{more}"


@dataclass(frozen=True)
class Refusal:
    """An answer that the data cannot support, in place of a result: it says why, wherever the result would be shown.

    >>> Refusal("one operator").as_table(operator="A").headline()
    'One operator'
    """

    reason: str

    def headline(self) -> str:
        """Say why there is no answer."""
        return as_message(self.reason).sentence()

    def __str__(self) -> str:
        return self.headline()

    def __getattr__(self, part: str) -> Refusal:
        """Stand for the table, the picture and whatever else is asked of the result."""
        if part.startswith("_"):
            raise AttributeError(part)
        return self

    def __call__(self, *_: object, **__: object) -> Refusal:
        return self

    def __getitem__(self, _: object) -> Refusal:
        return self

    __iter__ = None


def ask(question: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | Refusal:
    """Ask for a part of the answer that the data may not support: its result, or the refusal that stands for it.

    >>> def rank():
    ...     raise CannotAnswer("not answerable: one operator")
    >>> ask(rank)
    Refusal(reason='not answerable: one operator')
    """
    if refused := next((a for a in (*args, *kwargs.values()) if isinstance(a, Refusal)), None):
        return refused
    if not callable(question):
        raise WorkbenchError("ask takes a function and its arguments, as ask(rank, survey), not a {given}.").of(
            type(question).__name__
        )
    try:
        return question(*args, **kwargs)
    except CannotAnswer as error:
        return Refusal(error.args[0])
