"""Text and names as SQL writes them, and a connection that prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


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
