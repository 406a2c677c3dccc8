"""Who asked to be forgotten? Their records are left out of every version that is built from then on.

`data/private/forgotten/SOURCE` holds a keyed digest of each such customer's number and the fingerprint of the key, and
nothing clear: the extracts may name them until their own systems have deleted them.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import WorkbenchError
from workbench.refused import NO_LOSS
from workbench.warehouse import schema
from workbench.warehouse.pseudonyms import read_key

FORGOTTEN = NO_LOSS[-1]


class Forgotten:
    """The customers of a source that are left out."""

    def __init__(self, source: str, root: Path) -> None:
        self.path, self._root = root / "data" / "private" / "forgotten" / source, root
        lines = sorted(set(self.path.read_text("utf-8").splitlines())) if self.path.is_file() else []
        key = read_key(root) if lines else None
        if key and any(not line.startswith(f"{key.fingerprint} ") for line in lines):
            raise WorkbenchError("{path} was written under another key: whom it names can't be told. Use that key.").of(
                self.path
            )
        self._key = key.key if key else b""
        self._known = pa.array([line.split()[-1] for line in lines], pa.string())
        self._numbers: set[str] = set()
        self.digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest() if lines else ""

    def add(self, customer_id: str) -> None:
        """Write a customer into the list, which only its owner may read."""
        key = read_key(self._root)
        line = f"{key.fingerprint} {_hidden(customer_id, key.key)}\n"
        if self.path.is_file() and line in self.path.read_text("utf-8"):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as stream:
            stream.write(line.encode())

    def rows(self, rows: pa.Table) -> pa.ChunkedArray | None:
        """Which rows of a table are those of such customers; None where there are none."""
        if not self._key or "customer_id" not in rows.column_names:
            return None
        gone = self._among(rows.column("customer_id"))
        if not pc.any(gone).as_py():
            return None
        if "number_key" in rows.column_names:
            self._numbers |= set(rows.column("number_key").filter(gone).to_pylist()) - {None}
        return gone

    def of(self, table: schema.TableSchema) -> str:
        """Tell apart what is left out of a table's rows: whose they are, and the other ends of calls known by now."""
        if not self._key:
            return ""
        ends = sorted(self._numbers) if any(column.name == "counterpart_key" for column in table.columns) else []
        return _hidden("\n".join([self.digest, *ends]), self._key)

    def has_numbers(self, gone: pa.Table) -> bool:
        """Whether rows of such customers hold the numbers of their lines, which are to be left out of others' rows."""
        return "number_key" in gone.column_names and gone.column("number_key").null_count < gone.num_rows

    def without_numbers(self, rows: pa.Table) -> pa.Table:
        """Rows in which no other end of a call, and no household or group, is such a customer: it is missing instead.

        Where rows come with the `record` as it stood in the file, that is missing, too.
        """
        for name in {"counterpart_key", "household_id", "group_id"} & {*rows.column_names} if self._key else ():
            at, keys = rows.schema.get_field_index(name), rows.column(name)
            ends = name == "counterpart_key"
            theirs = pc.is_in(keys, pa.array(sorted(self._numbers), pa.string())) if ends else self._among(keys)
            rows = rows.set_column(at, name, pc.if_else(theirs, None, keys))
            if "record" in rows.column_names:
                at = rows.schema.get_field_index("record")
                rows = rows.set_column(at, "record", pc.if_else(theirs, "null", rows.column("record")))
        return rows

    def named(self, texts: Iterable[str | None]) -> list[bool]:
        """Whether lines that could not be cut into fields name such a customer."""
        known = set(self._known.to_pylist())
        if not known:
            return [False for _ in texts]
        words = ([_hidden(word, self._key) for word in _WORDS.findall(text or "")] for text in texts)
        return [not known.isdisjoint(found) for found in words]

    def _among(self, numbers: pa.ChunkedArray) -> pa.ChunkedArray:
        encoded = pc.dictionary_encode(numbers.combine_chunks())
        hidden = pa.array([_hidden(n, self._key) for n in encoded.dictionary.to_pylist()], pa.string())
        return pa.chunked_array([pc.fill_null(pc.is_in(hidden, self._known).take(encoded.indices), False)])


_WORDS = re.compile(r"[\w-]+")


def _hidden(number: str, key: bytes) -> str:
    return hashlib.blake2b(number.encode(), key=key, digest_size=10, person=b"forgotten").hexdigest()
