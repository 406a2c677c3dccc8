"""What is known of a line, and from whom? Verdicts of the cases, apart by what sent them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pandas as pd

from workbench.columns import by_id, category, kind, number, take
from workbench.errors import CannotAnswer, WorkbenchError, nearest, require_columns
from workbench.messages import say

LINE, WINDOW, DAYS, EXPOSED = "subscription_id", "window_to", "window_days", "exposed"
SOURCES = ("rule", "audit", "tip")
VERDICTS = ("honest", "fraud")
FEWEST = 3
"""Fewer decided cases say nothing of a rule."""


@dataclass(frozen=True)
class Verdicts:
    """What the cases say of n lines.

    Attributes
    ----------
    ids : Series, n lines
        In the order of their numbers.
    row, ends, days, exposed : ndarray, shape (rows,)
        Of each row of the windows: to which line it belongs, its end, its days, and the money at stake.
    by : dict of str to ndarray, shape (n,)
        By what sent it ("rule", "audit", "tip"): 1 fraud, 0 honest, NaN not looked at or not decided.
    loss : ndarray, shape (n,)
        Largest recorded loss of a line's frauds, NaN if none is 0 or more; 0 for others.
    set_aside : dict of str to int
        Cases that say nothing here.
    """

    ids: pd.Series
    row: np.ndarray
    ends: np.ndarray
    days: np.ndarray
    exposed: np.ndarray
    by: dict[str, np.ndarray]
    loss: np.ndarray
    set_aside: dict[str, int]

    @property
    def sent(self) -> np.ndarray:
        """Verdicts of what rules or the audit sent, which no knowledge of fraud chose; fraud where one says so."""
        return np.fmax(self.by["rule"], self.by["audit"])

    @property
    def any(self) -> np.ndarray:
        """Verdicts from wherever."""
        return np.fmax(self.sent, self.by["tip"])


def verdicts(lines: pd.DataFrame, cases: pd.DataFrame) -> Verdicts:
    """Give the verdicts of lines that stand in one row a window.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, or a window of a line stands twice.
    """
    read = take(lines, "lines", key=[LINE, WINDOW, DAYS], numbers=[DAYS, EXPOSED], dates=[WINDOW]).table
    ids = read[LINE].drop_duplicates()
    ids = ids.iloc[by_id(ids)].reset_index(drop=True)
    place = pd.Series(np.arange(len(ids)), index=category(ids, LINE).to_numpy())
    told = take(
        cases, "cases", key=["case_id", LINE], numbers=["loss"], categories=["verdict", "source"], missing="keep"
    ).table
    for column, known in (("verdict", VERDICTS), ("source", SOURCES)):
        if strange := sorted(set(told[column].dropna()) - set(known)):
            raise WorkbenchError("'{column}' of cases is one of {known}, not '{value}'.{near}").of(
                column, ", ".join(known), strange[0], nearest(strange[0], known)
            )
    told = told.assign(line=place.reindex(category(told[LINE], LINE).to_numpy()).to_numpy())
    reasons = {
        "not_decided": told["verdict"].isna(),
        "no_source": told["verdict"].notna() & told["source"].isna(),
        "other_lines": told["verdict"].notna() & told["source"].notna() & told["line"].isna(),
    }
    used = told[~np.logical_or.reduce(list(reasons.values()))]
    at, fraud = used["line"].to_numpy(dtype=int), (used["verdict"] == "fraud").to_numpy(dtype=float)
    lost = used["loss"].to_numpy(dtype=float)
    lost = np.where(lost < 0, np.nan, lost)  # a credit is no loss on record
    loss, by = np.full(len(ids), np.nan), {}
    np.fmax.at(loss, at[fraud == 1], lost[fraud == 1])
    loss[np.setdiff1d(np.arange(len(ids)), at[fraud == 1])] = 0.0
    for source in SOURCES:
        by[source] = np.full(len(ids), np.nan)
        from_it = (used["source"] == source).to_numpy()
        np.fmax.at(by[source], at[from_it], fraud[from_it])
    set_aside = {reason: int(rows.sum()) for reason, rows in reasons.items() if rows.any()}
    row = place.reindex(category(read[LINE], LINE).to_numpy()).to_numpy()
    ends, days, exposed = (read[column].to_numpy() for column in (WINDOW, DAYS, EXPOSED))
    return Verdicts(ids, row, ends, days, exposed, by, loss, set_aside)


def signals(lines: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Give the columns that may tell who cheats: numbers that vary, in an order by what they hold, not by their names.

    A missing value stands below all others of its column: -1, or a power of ten where numbers go that low; of columns
    with some it is given too.

    Raises
    ------
    CannotAnswer
        If there is none.
    """
    found, gone, places = {}, {}, {}
    by = np.lexsort([lines[WINDOW].astype(str).to_numpy(), lines[LINE].astype(str).to_numpy()])
    require_columns(lines, lines.columns, "lines")
    for column in sorted(set(lines.columns) - {LINE, WINDOW, DAYS, EXPOSED, "customer_id"}, key=str):
        if kind(lines[column], str(column)) == "number":
            values = number(lines[column], str(column), missing="keep")
            there = values[~np.isnan(values)]
            if len(np.unique(there)) > 1:
                if len(there) < len(values):
                    gone[str(column)] = _below(there.min())
                scaled = ((values - there.min()) / np.ptp(there)).round(9) + 0.0
                places[str(column)] = _digest(np.sort(scaled)), _digest(scaled[by]), str(column)
                found[str(column)] = np.where(np.isnan(values), gone.get(str(column), 0.0), values)
    if not found:
        raise CannotAnswer(say("not answerable: the lines have no column of numbers that vary."))
    return pd.DataFrame({column: found[column] for column in sorted(found, key=places.__getitem__)}), gone


def _digest(values: np.ndarray) -> bytes:
    return blake2b(values.tobytes()).digest()


def _below(least: float) -> float:
    """-1, or the nearest power of ten below a number that is no higher."""
    return -1.0 if least > -1 else -(10.0 ** (np.floor(np.log10(-least)) + 1))
