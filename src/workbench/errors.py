"""How the workbench refuses: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from workbench.messages import Message, Word, as_message, join, quoted, refusal, say, suggestion
from workbench.places import in_order
from workbench.recognised import sentence

if TYPE_CHECKING:
    import pandas as pd


class WorkbenchError(Exception):
    """The caller can mend it. The command line prints the message alone and exits with 2.

    The message is a text, or a template whose places `of` fills.
    """

    def of(self, *values: object, at: object = "") -> Self:
        """Fill the places of the template in their order; `at` says where it went wrong, before all else.

        Values are those of `workbench.messages.say`; several are quoted, and any other is said as it is.

        >>> print(WorkbenchError("{file} lacks {names}.").of("bill.csv", ["fee", "month"], at="crm.toml"))
        crm.toml: bill.csv lacks 'fee', 'month'.
        """
        self.args = (refusal(self.args[0], values, at),)
        return self

    def said(self, language: str = "en") -> str:
        """Say the message in a language, if it was made by `workbench.messages.say`, wherever; else in English."""
        return sentence(self.args[0] if self.args and isinstance(self.args[0], str) else str(self), language)


def by_system(error: OSError, file: object = "") -> Message:
    """Say what the system refused: the file, if it names one, and why, in words with an entry of their own."""
    why, name = as_message(error.strerror or str(error)), str(error.filename or file)
    return say("'{name}': {why}", name=name, why=why) if name else why


class CannotAnswer(WorkbenchError):
    """The data cannot support the answer that was asked for; the message says why."""


def nearest(name: str, known: Iterable[str]) -> Message:
    """Suggest the known name that a mistyped one most likely meant, as a sentence with a space before it.

    >>> nearest("satisfacton", ["satisfaction", "uplift"])
    " Did you mean 'satisfaction'?"
    >>> nearest("北亰", ["湖北", "北京"])
    " Did you mean '北京'?"
    >>> nearest("xyz", ["satisfaction"])
    ''
    """
    close = suggestion(name, known)
    return say(" {text}", text=close) if close else Message()


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> WorkbenchError:
    """Build the refusal of a name that does not exist.

    >>> print(unknown("study", "uplit", ["satisfaction", "uplift"]))
    no study 'uplit'. Did you mean 'uplift'? There are: 'satisfaction', 'uplift'.
    """
    known, kind, name = in_order(known), Word(what), str(name)
    there = say("no {what} '{name}'.", what=kind, name=name)
    if where:
        there = say("no {what} '{name}' in {where}.", what=kind, name=name, where=as_message(where))
    return WorkbenchError(join(there, suggestion(name, known), say("There are: {names}.", names=quoted(known))))


def require_name(what: str, name: object) -> None:
    """Refuse what is no text in place of a name."""
    if not isinstance(name, str):
        raise WorkbenchError("the {what} is named by a text, not by a {given}.").of(Word(what), type(name).__name__)


def require_known(what: str, name: str, known: Iterable[str], where: str = "") -> None:
    """Refuse a name that does not exist, as `unknown` says it, and what is no text in its place."""
    require_name(what, name)
    if name not in (known := list(known)):
        raise unknown(what, name, known, where)


def one_or_many(names: object, what: str) -> list[Any]:
    """Give a list of names, of which one may stand alone; refuse what is neither.

    >>> one_or_many("bills", "tables"), one_or_many(("bills", "life"), "tables")
    (['bills'], ['bills', 'life'])
    """
    if isinstance(names, str):
        return [names]
    if not isinstance(names, Iterable) or isinstance(names, bytes):
        raise WorkbenchError("{what} is a name or a list of names, not {given}.").of(what, repr(names))
    return list(names)


# What a file that is no whole one of its kind raises while it is read: also one that is nested a thousand deep.
NOT_WHOLE = (KeyError, ValueError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


def require_kind(value: object, kind: type, name: str, how: str) -> None:
    """Refuse what is of another kind, and say how one is made."""
    if not isinstance(value, kind):
        what = (name, type(value).__name__, kind.__name__, how)
        raise WorkbenchError("{name} is a {given}, not a {kind}. Make one: {how}.").of(*what)


def require_columns(table: pd.DataFrame, columns: Iterable[str], name: str, *, hint: str = "") -> None:
    """Refuse what is no DataFrame, or lacks a column, naming what it has, or has it twice, or holds lists in it.

    Raises
    ------
    WorkbenchError
        If a column is missing (the nearest existing one is suggested), stands twice, or holds lists.
    """
    if not hasattr(table, "columns"):
        raise WorkbenchError("{name} is a {kind}: give a DataFrame, one row a unit.").of(name, type(table).__name__)
    columns = list(columns)
    if (odd := next(filter(_is_several, columns), None)) is not None:
        raise WorkbenchError("a column of {name} is one name, not {given}.").of(name, repr(odd))
    missing = [c for c in columns if c not in table.columns]
    if missing:
        has = [str(c) for c in table.columns]
        shown = quoted(has[:30])
        raise WorkbenchError("{name} lacks {missing}.{near} It has: {names}.{hint}").of(
            name,
            missing,
            nearest(missing[0], has),
            say("{names} …", names=shown) if len(has) > 30 else shown,
            say(" {text}", text=as_message(hint)) if hint else "",
        )
    for column in dict.fromkeys(columns):
        if table.columns.tolist().count(column) > 1:
            raise WorkbenchError("{name} has the column '{column}' more than once: keep one, or rename the others.").of(
                name, column
            )
        if table[column].dtype == object and (odd := next(filter(_is_several, table[column]), None)) is not None:
            raise WorkbenchError(
                "'{column}' of {name} holds values of type {kind}: give one value a row, not several."
            ).of(column, name, type(odd).__name__)


def _is_several(value: object) -> bool:
    return type(value).__hash__ is None
