"""Where did every record go? The account of an ingest: raw = accepted + quarantined, file by file."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

COUNTS = ["raw", "accepted", "quarantined"]


@dataclass(frozen=True)
class Account:
    """What an ingest did with every record.

    Attributes
    ----------
    source, version : str
    frame : DataFrame
        One row a file and table: file, table, raw, accepted, quarantined (records).
    reasons : DataFrame
        table, reason, records; a record with several reasons counts under each.
    notes : tuple of str
        What else is to be known: files not read, relationships not checked, another key.
    changed : bool
        False where the version in force already came from the same files, mapping and program.
    """

    source: str
    version: str
    frame: pd.DataFrame
    reasons: pd.DataFrame
    notes: tuple[str, ...] = ()
    changed: bool = True

    @property
    def balanced(self) -> bool:
        """Whether each file's records are all accepted or quarantined."""
        return bool((self.frame["raw"] == self.frame["accepted"] + self.frame["quarantined"]).all())

    def lines(self) -> list[str]:
        """Print the account: one line a file, the total, the ten most frequent reasons, and the notes."""
        total = self.frame[COUNTS].sum()
        rows = [*self.frame[["file", "table", *COUNTS]].itertuples(index=False), ("total", "", *total)]
        width = max(_width(row[0]) for row in rows)
        said = "published" if self.changed else "is in force already: files, mapping and program are the same"
        lines = [f"{self.source}: version {self.version} {said}"]
        lines.append(f"  {_left('file', width)}  {'table':16}{'records':>12}{'accepted':>12}{'quarantined':>13}")
        lines += [f"  {_left(f, width)}  {t:16}{raw:>12,}{good:>12,}{bad:>13,}" for f, t, raw, good, bad in rows]
        shown = self.reasons.head(10)
        if len(shown):
            lines.append(f"  why in quarantine ({len(shown)} of {len(self.reasons)} reasons)")
            lines += [f"    {n:>10,}  {table}: {reason}" for table, reason, n in shown.itertuples(index=False)]
        return lines + [f"  note: {note}" for note in self.notes]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _width(text: str) -> int:
    """Columns of a terminal that a text takes; a Chinese character takes two."""
    return sum(2 if ord(sign) > 0x2E7F else 1 for sign in text)


def _left(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
