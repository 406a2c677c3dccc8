"""How are the keys of a mapping read? Each is of its type, or refused with what it should be."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from workbench.errors import WorkbenchError, nearest
from workbench.messages import Term, say


def check_keys(raw: dict, known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            raise WorkbenchError("{where} has an unknown key '{key}'.{near} There are: {names}.").of(
                where, key, nearest(key, known), known
            )


def plain(cell: Any, where: str) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str | int | float):
        return str(cell)
    if isinstance(cell, date):
        return cell.isoformat(" ") if isinstance(cell, datetime) else cell.isoformat()
    raise WorkbenchError("{cell} is neither text, number, true/false nor date.").of(repr(cell), at=where)


_REQUIRED: Any = object()


def text_of(raw: dict, key: str, where: str, default: Any = _REQUIRED) -> Any:
    value = raw.get(key, default)
    if value is _REQUIRED:
        raise WorkbenchError("{where} lacks '{key}'. Add {key} = \"…\"; docs/mappings.md says what it means.").of(
            where, key
        )
    if key in raw and not isinstance(value, str):
        raise WorkbenchError("{key} must be a text in quotes, not {value}.").of(key, repr(value), at=where)
    return value


def flag_of(raw: dict, key: str, where: str) -> bool | None:
    if key in raw and not isinstance(raw[key], bool):
        raise WorkbenchError("{key} must be true or false, not {raw}.").of(key, repr(raw[key]), at=where)
    return raw.get(key)


def texts_of(raw: dict, key: str, where: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(list_of(raw, key, str, where)) if key in raw else default


def missing_of(raw: dict, where: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *texts_of(raw, "missing", where, default))))


def list_of(raw: dict, key: str, kind: type, where: str) -> list:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise WorkbenchError("{key} must be a list of {what}.").of(
            key, Term("texts") if kind is str else say("[[{key}]] blocks", key=key), at=where
        )
    return value
