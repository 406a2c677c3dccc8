"""Which files does a block of a mapping read, and how? A path or a database, the format, the rows that have names."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from workbench.errors import WorkbenchError, require_known
from workbench.messages import as_message, say
from workbench.warehouse.credentials import REFERENCE, require_references
from workbench.warehouse.keys import text_of, texts_of

FORMATS = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "csv",
    ".xlsx": "excel",
    ".xls": "excel",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".db": "sqlite",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".duckdb": "duckdb",
}
ENCODINGS = ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "auto")
CSV_KEYS = ("encoding", "delimiter", "quote", "escape", "header", "names")
READ_KEYS = (
    "path",
    "database",
    "relation",
    "format",
    *CSV_KEYS,
    "sheet",
    "skip_rows",
    "header_rows",
    "optional",
    "most_refused",
)
DATABASES = ("sqlite", "duckdb", "server")
MOST_REFUSED = 0.05


def how_read(raw: dict, where: str) -> dict[str, Any]:
    """Which files a block or an input reads, and how."""
    if "database" in raw:
        raw = _database(raw, where)
    path = text_of(raw, "path", where)
    where = f"{where} ({path})"
    if "url" in raw:
        pass
    elif PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts or "\\" in path:
        raise WorkbenchError("path must stay inside the raw folder and use '/'. Give it relative to it.").of(at=where)
    format = raw.get("format", format_of(path))
    if path.lower().endswith(".zip"):
        raise WorkbenchError('path names an archive. Say which files in it: path = "{path}/**/*.csv".').of(
            path, at=where
        )
    known = sorted(set(FORMATS.values()))
    if format not in known and "url" not in raw:
        raise WorkbenchError("format is '{format}'. Say which it is, of {names}: format = \"csv\".").of(
            format, known, at=where
        )
    relation = text_of(raw, "relation", where, "")
    if (format in DATABASES) != bool(relation) or not re.fullmatch(r"[\w$]*(\.[\w$]+){0,2}", relation):
        raise WorkbenchError('relation is the table or view of a database, as in "crm.customers"; give it there.').of(
            at=where
        )
    if foreign := [k for k in CSV_KEYS if k in raw and format != "csv" and (format, k) != ("jsonl", "encoding")]:
        raise WorkbenchError("{names} has no meaning for {format}. Remove it.").of(foreign, format, at=where)
    rows = {"skip_rows": raw.get("skip_rows", 0), "header_rows": raw.get("header_rows", 1)}
    for key, least, what in (("skip_rows", 0, "rows above the names"), ("header_rows", 1, "rows with names")):
        if type(rows[key]) is not int or rows[key] < least or (key in raw and format not in ("csv", "excel")):
            raise WorkbenchError("{key} is the number of {what} (CSV, Excel), not {rows}.").of(
                key, as_message(what), repr(rows[key]), at=where
            )
    if rows["header_rows"] > 1 and "names" in raw:
        raise WorkbenchError("a file has header_rows, or names are given. Remove one.").of(at=where)
    return {
        "path": path,
        "format": format,
        "relation": relation,
        "url": raw.get("url", ""),
        "sheet": raw.get("sheet", 0),
        **rows,
        "optional": texts_of(raw, "optional", where, ()),
        "most_refused": most_refused(raw, where),
        **_dialect(raw, where),
    }


def _database(raw: dict, where: str) -> dict:
    """The keys of a block whose `database` is a URL: that of a file below the raw folder, or of a server."""
    url = text_of(raw, "database", where)
    start, _, rest = url.partition("://")
    rest = rest.rpartition("@")[2]
    require_references(url, say("{where}: database", where=where))
    if foreign := [key for key in ("path", "format") if key in raw]:
        raise WorkbenchError("{names} has no meaning beside database. Remove it.").of(foreign, at=where)
    kind, _, file = url.partition(":///")
    if kind in ("sqlite", "duckdb") and file:
        return raw | {"path": file, "format": kind}
    if not (rest and start and not start.startswith(("sqlite", "duckdb"))) and not REFERENCE.fullmatch(url):
        raise WorkbenchError(
            'database is a URL: "sqlite:///crm.db", "duckdb:///crm.duckdb", or of a server, as in '
            '"postgresql+psycopg://${{CRM_USER}}:${{CRM_PASSWORD}}@host/crm".'
        ).of(at=where)
    shown = url if REFERENCE.fullmatch(url) else f"{start}://{rest.partition('?')[0]}"
    return raw | {"path": f"{shown}: {raw.get('relation', '')}", "format": "server", "url": url}


def most_refused(raw: dict, where: str) -> float:
    """The share of a file's records that may be refused."""
    most = raw.get("most_refused", MOST_REFUSED)
    if isinstance(most, bool) or not isinstance(most, int | float) or not 0 <= most <= 1:
        raise WorkbenchError("most_refused is a share of the file's records, from 0 to 1, not {most}.").of(
            repr(most), at=where
        )
    return float(most)


def format_of(path: str) -> str:
    """The format of a file by its ending; "unknown" if that says nothing."""
    suffixes = PurePosixPath(path.removesuffix(".gz")).suffixes
    return FORMATS.get(suffixes[-1].lower() if suffixes else "", "unknown")


def _dialect(raw: dict, where: str) -> dict[str, Any]:
    encoding = text_of(raw, "encoding", where, "utf-8").lower()
    require_known("encoding", encoding, ENCODINGS, where)
    delimiter, quote = text_of(raw, "delimiter", where, ","), text_of(raw, "quote", where, '"')
    escape = text_of(raw, "escape", where, "")
    forbidden = ("\n", "\r", "\0")
    several = len(delimiter) > 1 and (len(delimiter) > 4 or any(sign in delimiter for sign in ('"', quote, *forbidden)))
    if not delimiter or not delimiter.isascii() or delimiter in (*forbidden, quote) or several:
        raise WorkbenchError(
            "delimiter must be one to four ASCII characters other than the quote, not {delimiter}."
        ).of(repr(delimiter), at=where)
    if quote and (len(quote) != 1 or not quote.isascii() or quote in forbidden):
        raise WorkbenchError('quote must be one ASCII character, or "" for none, not {quote}.').of(
            repr(quote), at=where
        )
    if escape and (len(escape) != 1 or not escape.isascii() or escape in (*forbidden, quote) or escape in delimiter):
        raise WorkbenchError("escape must be one ASCII character other than quote and delimiter, not {escape}.").of(
            repr(escape), at=where
        )
    header, names = raw.get("header", "names" not in raw), texts_of(raw, "names", where, ())
    if (header is not True and header is not False) or header == bool(names):
        raise WorkbenchError('a file without header needs header = false and names = ["…"]; one with, neither.').of(
            at=where
        )
    if len(set(names)) < len(names):
        raise WorkbenchError("names holds a name twice. Make them unique.").of(at=where)
    return {"encoding": encoding, "delimiter": delimiter, "quote": quote, "escape": escape, "names": names or None}
