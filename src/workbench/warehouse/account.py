"""Where did every record go? The account of an ingest: raw = accepted + quarantined, file by file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench import refused
from workbench.messages import Listed, Message, Share, Word, as_message, exact, join, say, word
from workbench.recognised import recognised
from workbench.words import width

COUNTS = ["raw", "accepted", "quarantined"]


@dataclass(frozen=True)
class Account:
    """What an ingest did with every record.

    Attributes
    ----------
    source, version : str
    frame : DataFrame
        One row a file and table: file, table, raw, accepted, quarantined (records); of the quarantined set_aside
        (totals, rows that a later one replaces, customers united with another or who asked to be forgotten) and
        followed (a parent was refused); lines (on which the records stand), most_refused (the share
        that the mapping allows).
    reasons : DataFrame
        table, reason, records, and how many of these are lost; a record with several reasons counts under each.
    warnings : DataFrame
        table, rule, rows (that break it), of (rows that stand), said; of rules that refuse no row.
    notes : tuple of str
        What else is to be known: files not read, relationships not checked, another key.
    changed : bool
        False where the version in force already came from the same files, mapping and program.
    """

    source: str
    version: str
    frame: pd.DataFrame
    reasons: pd.DataFrame
    warnings: pd.DataFrame
    notes: tuple[str, ...] = ()
    changed: bool = True

    @property
    def balanced(self) -> bool:
        """Whether each file's records are all accepted or quarantined."""
        return bool((self.frame["raw"] == self.frame["accepted"] + self.frame["quarantined"]).all())

    def excess(self) -> list[Message]:
        """Name each file of which more records were refused than its mapping allows; one record always may be."""
        frame = self.frame.assign(refused=_refused(self.frame))
        over = frame[frame["refused"] > (frame["most_refused"] * frame["raw"]).clip(lower=1)]
        return [
            say(
                "{file}: {n} of {all} records are refused for {table}, where the mapping allows {most} (most_refused)",
                file=row.file,
                n=exact(row.refused),
                all=exact(row.raw),
                table=row.table,
                most=Share(row.most_refused, 0),
            )
            for row in over.itertuples()
        ]

    def refusals(self, tables: Iterable[str]) -> list[Message]:
        """Say which share of what was delivered for some tables was refused; then, table by table, why most often.

        Totals and replaced rows are no loss and do not count; what only follows a refused parent is counted apart.
        Nothing is said where nothing was refused.
        """
        chosen = self.frame["table"].isin(set(tables))  # and what steps took to prepare them
        frame = self.frame[chosen | self.frame["table"].isin(self.frame.loc[chosen, "file"])]
        of = frame.assign(refused=_refused(frame)).groupby("table")[["raw", "refused", "followed"]].sum()
        raw, of = int(of["raw"].sum()), of[of["refused"] + of["followed"] > 0]
        if of.empty:
            return []
        shares = (of["refused"] + of["followed"]) / of["raw"]
        worst = str(shares.idxmax())
        said = [
            say(
                "{share} of the {n} records behind this report were refused when the data came in; of the records of "
                "{table} {most}.",
                share=refused.part((of["refused"] + of["followed"]).sum() / raw),
                n=raw,
                table=refused.table(worst),
                most=refused.part(shares[worst]),
            )
        ]
        for table, row in of.iterrows():
            here = self.reasons[self.reasons["table"] == table].set_index("reason")
            own = here["lost"] - here.index.str.contains(" does not stand in ") * row["followed"]
            known: dict[str, Any] = {"table": refused.table(str(table)), "n": int(row["refused"])}
            known["all"] = int(row["raw"])
            if row["refused"] and (own > 0).any():
                text = say(
                    "{table}: {n} of {all} records, most often because {why}.",
                    why=refused.because(str(own.idxmax())),
                    **known,
                )
            else:
                text = say("{table}: {n} of {all} records.", **known)
            more = say("{n} more because what they belong to was refused.", n=int(row["followed"]))
            said.append(join(text, more) if row["followed"] else text)
        return said

    def warned(self, tables: Iterable[str]) -> list[Message]:
        """Say what to be warned of in some tables: how much, then each warning; nothing where there is none."""
        found = self.warnings[self.warnings["table"].isin(set(tables))]
        if found.empty:
            return []
        of: dict[str, Any] = {"n": len(found), "tables": Listed(map(Word, found["table"].unique()))}
        if len(found) == 1:
            head = say("{n} warning on the data behind this report, in {tables}: it stands, and may be wrong.", **of)
        else:
            head = say("{n} warnings on the data behind this report, in {tables}: it stands, and may be wrong.", **of)
        return [head, *map(_warning, found.itertuples())]

    def lines(self, language: str = "en") -> list[str]:
        """Print the account: one line a file, the total, the ten most frequent reasons, and the notes."""
        total = self.frame[COUNTS].sum()
        files = [*self.frame[["file", "table", *COUNTS]].itertuples(index=False)]
        head = [word(text, language) for text in ("file", "table", "records", "accepted", "quarantined")]
        rows = [(*row[:2], *(f"{n:,}" for n in row[2:])) for row in (*files, (word("total", language), "", *total))]
        wide = [max(width(row[i]) for row in (head, *rows)) for i in range(5)]
        which: dict[str, str] = {"source": self.source, "version": self.version}
        anew = say("{source}: version {version} published", **which)
        same = say("{source}: version {version} is in force already: files, mapping and program are the same", **which)
        lines: list[str] = [anew if self.changed else same]
        for row in (head, *rows):
            gaps = [" " * (most - width(cell)) for cell, most in zip(row, wide, strict=True)]
            cells = [cell + gap if i < 2 else gap + cell for i, (cell, gap) in enumerate(zip(row, gaps, strict=True))]
            lines.append(f"  {'  '.join(cells)}")
        shown = self.reasons.head(10)[["table", "reason", "records"]]
        if len(shown):
            lines.append(say("  why in quarantine ({n} of {all} reasons)", n=len(shown), all=len(self.reasons)))
            lines += [
                f"    {n:>10,}  {table}: {refused.in_words(reason, language)}"
                for table, reason, n in shown.itertuples(index=False)
            ]
        for column, what in (
            (
                "set_aside",
                say(
                    "of these are totals, replaced by a later row, one with another customer, or of customers who "
                    "asked to be forgotten: no loss"
                ),
            ),
            ("followed", say("of these belong to a record that was refused itself")),
        ):
            if number := int(self.frame[column].sum()):
                lines.append(f"    {number:>10,}  {what.said(language)}")
        for r in self.frame[self.frame["lines"] != self.frame["raw"]].itertuples():
            counts = {"n": exact(r.raw), "lines": exact(r.lines)}
            lines.append(say("  note: {file} has {n} records on {lines} lines", file=str(r.file), **counts))
        lines += [say("  warning: {what}", what=_warning(row)) for row in self.warnings.itertuples()]
        lines += [say("  note: {what}", what=recognised(note) or as_message(note)) for note in self.notes]
        return [word(line, language) for line in lines]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _refused(frame: pd.DataFrame) -> pd.Series:
    """Records that were refused for a reason of their own."""
    return frame["quarantined"] - frame["set_aside"] - frame["followed"]


def _warning(row: Any) -> Message:
    counts = {"n": exact(row.rows), "all": exact(row.of)}
    return say(
        "{table}: {what}: {n} of {all} rows ({rule})",
        table=Word(row.table),
        what=recognised(row.said) or Word(row.said),
        rule=row.rule,
        **counts,
    )
