"""Text and names as SQL writes them, and a connection that prints nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench import messages
from workbench.errors import WorkbenchError, nearest
from workbench.messages import Message, Term, say
from workbench.warehouse import schema, sqlfiles

if TYPE_CHECKING:
    import duckdb

ALL_FEATURES = "customer_features"
ONE_SELECT = Term("give one statement that reads: SELECT, WITH, DESCRIBE or SHOW")
NO_TABLE = re.compile(r"Table with name (.+?) does not exist")


def require_text(statement: object) -> None:
    """Refuse what is no text, or an empty one, in place of a statement."""
    if not isinstance(statement, str) or not statement.strip():
        raise WorkbenchError("a statement is a text, such as 'SELECT * FROM customer', not {given}.").of(
            repr(statement)
        )


def only_one(con: duckdb.DuckDBPyConnection, statement: str) -> duckdb.Statement:
    """Give the one statement of a text; refuse none, as where all is a comment, and several."""
    statements = con.extract_statements(statement)
    if len(statements) != 1:
        what = say("these are {n} statements", n=len(statements)) if statements else say("there is no statement")
        raise WorkbenchError("{what}: {one_select}.").of(what, ONE_SELECT)
    return statements[0]


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


def tables_named() -> list[str]:
    """Name what a statement may read: canonical tables, the account, features and views."""
    return [*schema.tables(), "account", "quarantine", "facts", ALL_FEATURES, *files_named()]


def files_named() -> list[str]:
    """Name the features and views, with the partials that they read."""
    return [name for folder in sqlfiles.FOLDERS for name in sqlfiles.names(folder)]


def why_refused(error: Exception, con: duckdb.DuckDBPyConnection, tables: Iterable[str] | None = None) -> Message:
    """Say in a sentence why DuckDB refused."""
    text = str(error)
    file = re.search(r"""Cannot access (?:file|directory) "(.+?)\"""", text)
    table = NO_TABLE.search(text)
    if file or (table and re.search(r"[/\\.:*]", table[1])):
        name = (file or table)[1]  # type: ignore[index]
        return say("a query reads no file and no network, so not '{name}'. Name a table instead.", name=name)
    if table or (table := re.search(r'Referenced table "(.+?)" not found', text)):
        if tables is not None:
            near, names = nearest(table[1], tables), messages.quoted(tables)
            return say("no input '{name}'.{near} There are: {names}.", name=table[1], near=near, names=names)
        if (ours := table[1].lower() in tables_named()) and text.startswith("Binder"):
            return say("the query reads no table '{name}', or reads it under another name.", name=table[1])
        if ours:
            return say("'{name}' is a view or feature, no table. Read it with wb.sql or workbench sql.", name=table[1])
        near = nearest(table[1].lower(), tables_named())
        return say("no table '{name}'.{near} See: workbench data describe.", name=table[1], near=near)
    column = re.search(r'[Cc]olumn "?(\w[^"\n]*?)"? not found', text) or re.search(r'have a column named "(.+?)"', text)
    if column:
        known = {name for (name,) in con.execute("SELECT column_name FROM information_schema.columns").fetchall()}
        close = re.findall(r'"(?:\w+\.)?([^".]+)"', text.partition("Candidate")[2]) or known
        near = nearest(column[1], close)
        return say("no column '{name}' in what the query reads.{near}", name=column[1], near=near)
    first = next(iter(text.splitlines()), type(error).__name__).partition(' Use "SET')[0]
    return say("the query failed: {why}.", why=re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", first).rstrip(".!"))
