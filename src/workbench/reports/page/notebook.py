"""What a notebook says: its answer, its tables, its figures and the numbers others rely on.

Each function displays something a reader of the notebook sees, together with what the report needs to
set the page, the sheets and `results.json`.
"""

from __future__ import annotations

import html
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import WorkbenchError
from workbench.figures import Axes, character_names, use_theme
from workbench.glossary import term_of
from workbench.messages import Day, Message, as_message, join, known, say
from workbench.reports.page import lists, tables
from workbench.reports.page.escape import as_entities, as_markdown
from workbench.reports.page.html import QUANTITIES
from workbench.reports.page.languages import in_lab, languages, said_list
from workbench.reports.page.pictures import pictures_of
from workbench.reports.page.said import PICTURES, TILES
from workbench.result import (
    MINIMUM_CELL,
    Decision,
    Picture,
    Quantity,
    Refusal,
    Result,
    Table,
    Totals,
    ask,
    default_format,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from workbench.warehouse import Warehouse


class Saved(Protocol):
    """A model that writes itself to a file."""

    def save(self, path: Path) -> Path: ...


MINIMUM = "WORKBENCH_MINIMUM_CELL"


def begin(source: str) -> Warehouse:
    """Begin a study: set the theme and open the warehouse of a source.

    Raises
    ------
    WorkbenchError
        If there is no such warehouse.
    """
    from workbench.warehouse import open_warehouse

    use_theme()
    return open_warehouse(source)


_LEAD: list[Message] = []  # the first sentence of the answer, which the decision must fit


def answer(*results: Result | Refusal | str) -> None:
    """Display the answer: the headline of each result, a sentence a line; a refusal of several of them once.

    The first sentence and the first three tiles of the results stand on the first screen of the page, which says each
    level of intervals once.
    """
    sentences = list(dict.fromkeys(as_message(r if isinstance(r, str) else r.headline()) for r in results))
    if not sentences:
        raise WorkbenchError("answer() was given no result. Pass the results whose headlines are the answer.")
    _LEAD[:] = sentences[:1]
    shown = [(t, term_of(type(r).__name__)) for r in results if isinstance(r, Result) for t in r.tiles()]
    said = [tile.as_json() for tile, _ in shown]
    shown = [one for place, one in enumerate(shown) if said[place] not in said[:place]][:TILES]
    levels = [getattr(t.interval, "level", None) for t, _ in shown]
    _display(
        {"text/plain": "\n".join(sentences), "text/markdown": "\n\n".join(map(as_entities, sentences))},
        {
            "kind": "answer",
            "sentences": [sentence.as_json() for sentence in sentences],
            "tiles": [tile.as_json(levels[:place]) for place, (tile, _) in enumerate(shown)],
            "terms": [term for _, term in shown],
        },
    )


def decide(*decisions: Decision | Refusal) -> None:
    """Display what is advised, which the page shows beside the answer and the index below it.

    Of several decisions first what to do, then what would change each; a refusal among them stands for its part. Where
    all are refused nothing is decided; where the answer leads with another part, why is said with it. The page shows
    the first two things to do and what would change the first, and folds the others.
    """
    if not any(isinstance(d, Decision) for d in decisions):
        why = [as_message(d.headline()) for d in decisions if isinstance(d, Refusal)]
        if _LEAD and _LEAD[0] not in why:
            nothing = say("Decide nothing on the part that has no answer.")
            decisions = (Decision((nothing, *why), say("more data, or what that reason names.")),)
        else:
            nothing = say("Decide nothing on these data: they do not answer the question.")
            decisions = (Decision((nothing,), say("more data, or what the refusal above names.")),)
    do = [said for d in decisions for said in ((d.headline(),) if isinstance(d, Refusal) else d.do)]
    change = [d.said()[-1] for d in decisions if isinstance(d, Decision)]
    sentences = [as_message(sentence) for sentence in dict.fromkeys([*do, *change])]
    _display(
        {
            "text/plain": "\n".join(sentences),
            "text/markdown": "\n".join(f"- {as_entities(sentence)}" for sentence in sentences),
        },
        {"kind": "decision", "do": len({*do}), "sentences": [sentence.as_json() for sentence in sentences]},
    )


class Markdown:
    """Sentences of a notebook, with what they quote from data: bold (``**``) and lists are set, all else is literal.

    The last value of a cell, in place of IPython's own `Markdown`, which sets whatever a name in the data holds, a
    script too.

    Parameters
    ----------
    text : str or Refusal

    Examples
    --------
    >>> print(Markdown("- **Keep** <b>A</b>")._repr_markdown_())
    - **Keep** \\<b\\>A\\</b\\>
    >>> Markdown(Refusal("one operator").check())
    One operator
    """

    def __init__(self, text: str | Refusal) -> None:
        self.text = text.headline() if isinstance(text, Refusal) else text

    def __repr__(self) -> str:
        return str(self.text)

    def _repr_markdown_(self) -> str:
        return as_markdown(self.text)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        said = {"kind": "said", "said": {"text": as_message(self.text).as_json()}}
        return in_lab({"text/plain": repr(self), "text/markdown": self._repr_markdown_()}, said), {"workbench": said}


def show(*things: Result | Table | Picture | Refusal | None) -> None:
    """Display results, one below the other: of each its picture, if it has one, and its table.

    Parameters
    ----------
    *things : Result, Table, Picture, Refusal or None
        A table or picture alone is shown as such, a refusal (also to draw) as its sentence (once), None not at all.
        Of a table without rows that is said.

    Raises
    ------
    WorkbenchError
        If something else is given, or a text is missing.
    """
    for place, one in enumerate(things):
        if isinstance(one, Result):
            show(one.as_picture(), one.as_table())
        elif isinstance(one, Table) and one.frame.empty:
            show(Refusal(say("The table is empty: {caption}", caption=as_message(one.caption))))
        elif isinstance(one, Table):
            known = {c: form for c in map(str, one.frame.columns) if (form := default_format(c))}
            show_table(**{**vars(one), "formats": known | dict(one.formats)})
        elif isinstance(one, Picture):
            if isinstance(drawn := ask(one.draw), Refusal):
                show(drawn)
            else:
                show_figure(drawn, name=one.name, caption=one.caption, alt=one.alt)
        elif isinstance(one, Refusal):
            if one in things[:place]:
                continue
            data, metadata = Markdown(one.headline())._repr_mimebundle_()
            _display(data, metadata["workbench"])
        elif one is not None:
            raise WorkbenchError(
                "show() was given a {kind}. Pass results, or a Table or Picture with name and caption."
            ).of(type(one).__name__)


def show_table(
    frame: pd.DataFrame,
    *,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    counts: str | None = None,
    minimum: int | None = None,
    totals: Totals = (),
) -> None:
    """Display a table with its caption, and hand it to the report as a sheet.

    Parameters
    ----------
    frame : DataFrame
        One row a line; units stand in the column names. An index with labels is shown as the first column.
    name : str
        Name of the sheet, unique in the notebook.
    caption : str
        What the table shows, in a sentence.
    formats : mapping of str to str, optional
        Format of a column's numbers: ``"{:.1f}"``, ``"{:,.0f}"``, ``"{:.1%}"``. The sheet keeps full precision.
    counts : str, optional
        Column with the number of customers a row stands on. Rows below `minimum` are suppressed, in the sheet too.
    minimum : int, optional
        Smallest count that is shown, at least the run's; the run's own (10, or what its plan says) if None.
    totals : sequence of str or tuples of str, or None
        Which totals are known: see `suppression.suppressed`.

    Raises
    ------
    WorkbenchError
        If name or caption is empty, or a format or `counts` does not fit the table.
    """
    _require_words("table", name=name, caption=caption)
    about: dict[str, Any] = {"counts": counts, "minimum": _least(minimum), "totals": totals}
    table = tables.payload(frame, name=name, caption=caption, formats=formats, **about)
    _display(
        {"text/plain": tables.as_text(table), "text/html": tables.as_html(table), tables.MIME: table},
        {"kind": "table", "name": name, "said": _said_cells(table) | {"caption": as_message(caption).as_json()}},
    )


def _least(minimum: int | None) -> int:
    """Give the smallest count that is shown: the run's, or a larger one of the table."""
    return max(int(os.environ.get(MINIMUM, MINIMUM_CELL)), minimum or 1)


def _said_cells(table: Mapping[str, Any]) -> dict[str, Any]:
    """Give the messages among the texts of a table, stored, by their English."""
    texts = {cell for row in table["rows"] for cell in row if isinstance(cell, str)} | {
        c["name"] for c in table["columns"]
    }
    made = {text: known(text) for text in sorted(texts)}
    return {"cells": {text: message.as_json() for text, message in made.items() if message}}


def show_list(
    frame: pd.DataFrame, *, name: str, definition: str, as_of: str, warehouse: Warehouse | None = None
) -> None:
    """Write a list of customers to act on beside the report, and display what it is; the rows are in the files alone.

    Of an empty list that is said, and nothing is written.

    Parameters
    ----------
    frame, name, definition, as_of
        As for `workbench.reports.page.lists.write_list`.
    warehouse : Warehouse, optional
        Which adds province, kind and tariff of each customer (see `workbench.warehouse.addressed`).

    Raises
    ------
    WorkbenchError
        If the list cannot be written: see there.
    """
    if frame.empty:
        return show(Refusal(say("List '{name}' is empty: there is nobody to act on, and no file.", name=name)))
    if warehouse is not None:
        from workbench.warehouse import addressed

        frame = addressed(warehouse, frame, as_of)
    spoken = languages()[0], said_list(frame, name, as_message(definition), languages()[0])
    about = {"name": name, "definition": definition, "as_of": str(as_of)}
    files = lists.write_list(frame, lists.output_folder(), **about, spoken=spoken)
    rows = say("{n} row", n=1) if len(frame) == 1 else say("{n} rows", n=len(frame))
    said = say(
        "List '{name}' as of {day}: {rows}. {definition}",
        name=name,
        day=Day(str(as_of)),
        rows=rows,
        definition=as_message(definition),
    )
    _display_files(said, name, files)


def show_model(model: Saved, *, name: str, definition: str) -> None:
    """Write a fitted model as `NAME.model.json` (or its own `SUFFIX`) beside the report, and display what it is.

    Parameters
    ----------
    model : UpliftModel or other with `save(path)`
    name : str
        Letters, digits, hyphen and underscore, of any script.
    definition : str
        What it was fitted to and what for, in a sentence.

    Raises
    ------
    WorkbenchError
        If the definition is missing or the name cannot name a file.
    """
    _require_words("model", name=name, definition=definition)
    if not re.fullmatch(r"[\w-]{1,60}", name):
        raise WorkbenchError("model '{name}' cannot name a file. Use letters, digits, hyphens and underscores.").of(
            name
        )
    path = model.save(lists.output_folder() / f"{name}.model.{getattr(model, 'SUFFIX', 'json')}")
    _display_files(say("Model '{name}'. {definition}", name=name, definition=as_message(definition)), name, [path])


def _display_files(said: Message, name: str, files: Iterable[Path]) -> None:
    ours = {"kind": "list", "name": name, "files": [file.name for file in files], "said": {"text": said.as_json()}}
    _display({"text/plain": said}, ours)


def show_figure(ax_or_figure: Axes | Figure, *, name: str, caption: str, alt: str) -> None:
    """Display a figure with its caption and, for those who cannot see it, its description.

    Parameters
    ----------
    ax_or_figure : Axes or Figure
        What was drawn; it is closed afterwards.
    name : str
        Name of the figure, unique in the notebook.
    caption : str
        What the figure shows and what to see in it.
    alt : str
        What a reader would see: the kind of chart, its axes and its message.

    Raises
    ------
    WorkbenchError
        If a text is empty.
    """
    _require_words("figure", name=name, caption=caption, alt=alt)
    english, pictures, lacking = pictures_of(ax_or_figure, languages())
    if lacking:
        boxes = say("Drawn as boxes, for the font lacks them: {characters}.", characters=character_names(lacking))
        caption = join(as_message(caption.rstrip()), boxes)
    png, size = english
    said = {"caption": as_message(caption).as_json(), "alt": as_message(alt).as_json()}
    _display(
        {"image/png": png, "text/plain": f"[{alt}]", **({PICTURES: pictures} if pictures else {})},
        {"kind": "figure", "name": name, "caption": caption, "alt": alt, **size, "said": said},
        {"image/png": {**size, "alt": alt}},
    )
    _display(
        {"text/plain": caption, "text/html": f"<p><em>{html.escape(caption)}</em></p>"},
        {"kind": "caption", "said": {"text": said["caption"]}},
    )


def record(*results_or_quantities: Result | Quantity | Iterable[Quantity]) -> None:
    """Record numbers that others rely on, by name: they end in `results.json`.

    Parameters
    ----------
    *results_or_quantities : Result, Quantity or iterable of Quantity
        A result stands for its `quantities()`, but for those on rows that its table suppresses: how many these are is
        said.

    Raises
    ------
    WorkbenchError
        If a value is not a finite number, or one name is recorded twice. The end of an interval that is not
        finite is recorded as missing (null).
    """
    rows: dict[str, dict[str, Any]] = {}
    hidden = 0
    for quantity, few in _quantities(results_or_quantities):
        if quantity.name in rows:
            raise WorkbenchError("quantity '{quantity}' is recorded twice. Give each number a name of its own.").of(
                quantity.name
            )
        hidden += few
        if not few:
            rows[quantity.name] = _row(quantity)
    noun = "number" if len(rows) == 1 else "numbers"
    said = f"{len(rows)} {noun} recorded" + (f", {hidden} on few customers left out" if hidden else "")
    about = {"kind": "quantities", "hidden": hidden}
    _display({"text/plain": said, QUANTITIES: list(rows.values())}, about)


def _quantities(given: Iterable[Any]) -> Iterator[tuple[Quantity, bool]]:
    """Give each quantity, and whether it stands on a row that its result's table suppresses."""
    for one in given:
        if isinstance(one, Quantity):
            yield one, False
        elif isinstance(one, Result):
            found, low = list(one.quantities()), set[int | None]()
            if one.COUNTS and any(q.row is not None for q in found):
                table = one.as_table()
                low |= tables.withheld(table.frame, one.COUNTS, _least(table.minimum), table.totals)
            yield from ((q, q.row in low) for q in found)
        elif isinstance(one, Iterable) and not isinstance(one, str):
            yield from _quantities(one)
        elif isinstance(one, Refusal):
            continue
        else:
            raise WorkbenchError("record() was given a {kind}. Pass results or quantities.").of(type(one).__name__)


def _row(quantity: Quantity) -> dict[str, Any]:
    value = float(quantity.value)
    if not math.isfinite(value):
        raise WorkbenchError("quantity '{quantity}' is {value}. Only a finite number can be recorded.").of(
            quantity.name, value
        )
    ends = [None if e is None or not math.isfinite(e) else float(e) for e in (quantity.low, quantity.high)]
    return {
        "name": str(quantity.name),
        "value": value,
        "unit": str(quantity.unit),
        "low": ends[0],
        "high": ends[1],
        "rtol": float(quantity.rtol),
    }


def _display(data: dict[str, Any], ours: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
    from IPython.display import display

    display(in_lab(data, ours), raw=True, metadata={"workbench": ours, **(metadata or {})})


def _require_words(what: str, **texts: str) -> None:
    for field, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise WorkbenchError("a {what} lacks its {field}. Say it in {field}=: every reader needs it.").of(
                as_message(what), field
            )
