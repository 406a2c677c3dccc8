"""What do people ask to improve? Requests counted, and how satisfied those are who ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Listed, Message, Number, Share, Span, join, say
from workbench.methods.cells import cell_name, one_cell, refuse_mixed_waves, weights_of
from workbench.methods.resampling import canonical_order
from workbench.methods.survey import Design
from workbench.result import Quantity, Result, Tile

TOP = 10
"""Requests shown in each cell."""


@dataclass(frozen=True, eq=False)
class ImprovementRequests(Result):
    """What respondents ask to improve, counted.

    Attributes
    ----------
    table : DataFrame
        One row a request, commonest first: request, share (% of all respondents), low, high, n (who ask), and, where a
        score was given, score (their mean) with score_low and score_high.
    asking : float
        Per cent of all respondents who ask for anything.
    hidden : int
        Requests of fewer than `minimum` respondents, not shown even by name (words of a few can name a person).
    """

    table: pd.DataFrame
    asking: float
    hidden: int
    level: float
    minimum: int

    NAME, COUNTS, TOTALS = "requests", "n", None
    CHART = say("Dots with intervals, a row a request")
    FORMATS = dict.fromkeys(["share", "low", "high", "score", "score_low", "score_high"], "{:.1f}")
    PICTURE_CAPTION = "Share of respondents that ask for an improvement, with {level} intervals."

    def headline(self) -> Message:
        """Say how many ask, and the commonest requests."""
        first = self.table.sort_values("share", ascending=False, kind="stable").head(3)
        requests = (
            say(
                "{request} {share} {span} %",
                request=self.called(r),
                share=Number(r["share"], ".1f"),
                span=Span(r["low"], r["high"], ".1f"),
            )
            for _, r in first.iterrows()
        )
        hidden = say("")
        if self.hidden:
            hidden = say(
                "{n} requests of fewer than {minimum} respondents are not shown.", n=self.hidden, minimum=self.minimum
            )
        asked = self.say(
            "{asking} % of respondents ask for an improvement; the commonest: {requests} ({level} intervals, shares of "
            "all respondents).",
            asking=Number(self.asking, ".0f"),
            requests=Listed(requests, ""),
        )
        return join(asked, hidden)

    def tiles(self) -> tuple[Tile, ...]:
        """The commonest request."""
        first = self.table.sort_values("share", ascending=False, kind="stable").iloc[0]
        label = say("respondents asking for {request}", request=self.called(first))
        return (
            Tile(label, Share(first["share"] / 100), Span(first["low"] / 100, first["high"] / 100, ".1%", self.level)),
        )

    def called(self, row: pd.Series) -> Listed:
        """Name a request."""
        return one_cell(row[["request"]])

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        if "score" not in self.table:
            return self.say("Improvements asked for: share of respondents (%), with {level} intervals.")
        return self.say(
            "Improvements asked for: share of respondents (%) and their mean score, with {level} intervals."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share of each request with its interval."""
        labels = [cell_name(values) for values in self.table[["request"]].to_numpy()]
        table = self.table.rename(columns={"share": "estimate"})
        return dot_and_interval(labels, table, ax, label=self.say("% of respondents ({level} interval)"), digits=".1f")

    def quantities(self) -> Iterable[Quantity]:
        """Name every share shown."""
        for place, row in enumerate(self.table.to_dict("records")):
            name = f"request_share[request={row['request']}]"
            yield Quantity(name, row["share"], "%", row["low"], row["high"], row=place)


def improvement_requests(
    survey: pd.DataFrame,
    *,
    request: str = "request",
    score: str | None = None,
    weight: str | None = "weight",
    level: float = 0.95,
    minimum: int = 10,
) -> ImprovementRequests:
    """Count what respondents ask to improve: weighted shares, and how satisfied those are who ask.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent of one wave.
    request : str
        Column of the category (or the words) of the request; missing or blank where nothing is asked.
    score : str, optional
        Column of a number, for instance from `respondent_scores`.
    minimum : int
        Requests of fewer respondents are not shown.

    Raises
    ------
    WorkbenchError
        If a column is missing, or waves are mixed.
    CannotAnswer
        If no request has `minimum` respondents.
    """
    used = [request, *([weight] if weight else []), *([score] if score else [])]
    require_columns(survey, used, "survey")
    refuse_mixed_waves(survey, [])
    kept = survey[weights_of(survey, weight) > 0]
    kept = kept.iloc[canonical_order(kept[used])]
    w = weights_of(kept, weight)
    points = columns.number(kept[score], score, what="score", missing="keep") if score else None
    asked = columns.category(kept[request], request).astype("string").str.strip().replace("", pd.NA)
    found, sizes = [], asked.value_counts()
    shown = sizes[sizes >= max(minimum, 2)]
    for name, n in shown.items():
        who = (asked == name).fillna(False).to_numpy(bool)
        share = Design.of(w).mean(100.0 * who)
        low, high = share.interval("top", level)
        line = {"request": name, "share": share.estimate, "low": low, "high": high, "n": n}
        found.append(line | ({} if points is None else _score_of(points[who], w[who], level)))
    if not found:
        raise CannotAnswer(
            "no request was made by {minimum} respondents. Lower minimum=, or group the requests first."
        ).of(minimum)
    asking = 100 * float(w @ asked.notna().to_numpy()) / w.sum()
    table = pd.DataFrame(sorted(found, key=lambda line: (-line["share"], line["request"]))[:TOP])
    return ImprovementRequests(table, asking, len(sizes) - len(shown), level, minimum)


def _score_of(y: np.ndarray, w: np.ndarray, level: float) -> dict[str, float]:
    given = ~np.isnan(y)
    if given.sum() < 2:
        return dict.fromkeys(("score", "score_low", "score_high"), np.nan)
    mean = Design.of(w[given]).mean(y[given])
    return dict(zip(("score", "score_low", "score_high"), (mean.estimate, *mean.interval("mean", level)), strict=True))
