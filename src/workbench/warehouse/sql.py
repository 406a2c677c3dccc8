"""Text and names as SQL writes them, and a connection that prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import duckdb


def require_text(statement: object) -> None:
    """Refuse what is no text, or an empty one, in place of a statement."""
    if not isinstance(statement, str) or not statement.strip():
        raise WorkbenchError("a statement is a text, such as 'SELECT * FROM customer', not {given}.").of(
            repr(statement)
        )


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def without_bar(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Keep DuckDB's progress bars out of logs and reports; in Jupyter it has none, and may refuse to be told so."""
    row = con.execute("SELECT current_setting('enable_progress_bar')").fetchone()
    return con.execute("SET enable_progress_bar = false") if row and row[0] else con
