"""How the workbench refuses: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.messages import Term, join, quoted, say, suggestion, word
from workbench.words import MOST_NAMED, closest

if TYPE_CHECKING:
    import pandas as pd


class WorkbenchError(Exception):
    """The caller can mend it. The command line prints the message alone and exits with 2."""

    def said(self, language: str = "en") -> str:
        """Say the message in a language, if it was made by `workbench.messages.say`; else in English."""
        return word(self.args[0] if self.args and isinstance(self.args[0], str) else str(self), language)


class CannotAnswer(WorkbenchError):
    """The data cannot support the answer that was asked for; the message says why."""


def named(names: Iterable[object]) -> str:
    """Quote names for a message; of very many the first.

    >>> named(["arm", "revenue"])
    "'arm', 'revenue'"
    >>> named(range(3_000))[-26:]
    " '38', '39' and 2,960 more"
    """
    names = list(names)
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    return (", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + more) or "nothing"


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest the known name that a mistyped one most likely meant, as a sentence with a space before it.

    >>> nearest("satisfacton", ["satisfaction", "uplift"])
    " Did you mean 'satisfaction'?"
    >>> nearest("北亰", ["湖北", "北京"])
    " Did you mean '北京'?"
    >>> nearest("xyz", ["satisfaction"])
    ''
    """
    close = closest(name, known)
    return f" Did you mean '{close}'?" if close else ""


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> WorkbenchError:
    """Build the refusal of a name that does not exist.

    >>> print(unknown("study", "uplit", ["satisfaction", "uplift"]))
    no study 'uplit'. Did you mean 'uplift'? There are: 'satisfaction', 'uplift'.
    """
    known, kind, name = list(known), Term(what), str(name)
    there = say("no {what} '{name}'.", what=kind, name=name)
    if where:
        there = say("no {what} '{name}' in {where}.", what=kind, name=name, where=where)
    return WorkbenchError(join(there, suggestion(name, known), say("There are: {names}.", names=quoted(known))))


def require_columns(table: pd.DataFrame, columns: Iterable[str], name: str, *, hint: str = "") -> None:
    """Refuse a DataFrame that lacks a column, naming what it has, or has it twice, or holds lists in it.

    Raises
    ------
    WorkbenchError
        If a column is missing (the nearest existing one is suggested), stands twice, or holds lists.
    """
    columns = list(columns)
    missing = [c for c in columns if c not in table.columns]
    if missing:
        has = [str(c) for c in table.columns]
        shown = named(has[:30]) + (" …" if len(has) > 30 else "")
        advice = f" {hint}" if hint else ""
        raise WorkbenchError(f"{name} lacks {named(missing)}.{nearest(missing[0], has)} It has: {shown}.{advice}")
    for column in dict.fromkeys(columns):
        if table.columns.tolist().count(column) > 1:
            raise WorkbenchError(f"{name} has the column '{column}' more than once: keep one, or rename the others.")
        if table[column].dtype == object and (odd := next(filter(_is_several, table[column]), None)) is not None:
            raise WorkbenchError(
                f"'{column}' of {name} holds values of type {type(odd).__name__}: give one value a row, not several."
            )


def _is_several(value: object) -> bool:
    return type(value).__hash__ is None
