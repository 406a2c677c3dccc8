"""On what does an effect depend? Interactions with their simple slopes.

References
----------
Henseler & Fassott (2010), Testing moderating effects in PLS path models, Handbook of Partial Least Squares. Aiken &
West (1991), Multiple Regression: Testing and Interpreting Interactions (simple slopes).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Label, Listed, Message, Number, Span, join, say
from workbench.methods.plspm.batch import Layout, correlations, regressed
from workbench.methods.plspm.bootstrap import PlsBootstrap
from workbench.result import Quantity, Result

LEVELS = (-1, 0, 1)


@dataclass(frozen=True, eq=False)
class Moderation(Result):
    """How the effect of one construct on another depends on a third, its moderator.

    Attributes
    ----------
    table : DataFrame
        Five rows an interaction and target: source, moderator, target, what ("interaction": change of the slope per
        standard deviation of the moderator; "f2": its effect size; "slope": of the target on the source, standardised),
        at (standard deviations of the moderator from its mean, for slopes), estimate, se, low, high.
    n, dropped : int
        Respondents that count, and those left out for a missing answer.
    """

    table: pd.DataFrame
    level: float
    n: int
    dropped: int

    NAME = "moderation"
    CHART = say("Dots with intervals, a row a level of the moderator")
    FORMATS = dict.fromkeys(["estimate", "se", "low", "high"], "{:.3f}") | {"at": "{:+.0f}"}
    PICTURE_CAPTION = "The effect where the moderator is low (−1 standard deviation), average and high (+1)."
    CAPTION = (
        "Change of the effect per standard deviation of the moderator, and the effect at −1, 0 and +1 of them, "
        "with {level} intervals."
    )

    def headline(self) -> Message:
        """Say for each interaction whether the effect depends on the moderator, and how."""
        tests = self.table.groupby(["source", "moderator", "target"], sort=False)
        out, everyone = self.dropped, self.n + self.dropped
        lacking = say("{n} of {all} respondents are left out here: an answer is missing.", n=out, all=everyone)
        return join(*(self._said(rows) for _, rows in tests), lacking if out else say(""))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the slopes where the moderator is low, average and high."""
        rows = self.table[self.table["what"] == "slope"]
        names = []
        for row in rows.itertuples():
            of = {"source": Label(row.source), "target": Label(row.target), "moderator": Label(row.moderator)}
            levels = {
                -1.0: say("{source}→{target}, {moderator} low", **of),
                0.0: say("{source}→{target}, {moderator} average", **of),
                1.0: say("{source}→{target}, {moderator} high", **of),
            }
            names.append(levels[row.at])
        return dot_and_interval(names, rows, ax, label="slope (standard deviations)", zero=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name interactions and slopes."""
        for row in self.table[self.table["what"] != "f2"].to_dict("records"):
            at = "" if np.isnan(row["at"]) else f",at={row['at']:+.0f}"
            name = f"{row['what']}[{row['source']}*{row['moderator']}->{row['target']}{at}]"
            yield Quantity(name, row["estimate"], "1", row["low"], row["high"])

    def _said(self, rows: pd.DataFrame) -> Message:
        change, size, low, _, high = (row for _, row in rows.iterrows())
        names: dict[str, Any] = {
            "effect": say(
                "The effect of {source} on {target}", source=Label(change["source"]), target=Label(change["target"])
            ),
            "moderator": Label(change["moderator"]),
            "change": say(
                "{estimate} per standard deviation {span}",
                estimate=Number(change["estimate"], "+.2f"),
                span=Span(change["low"], change["high"], "+.2f"),
            ),
        }
        if change["low"] <= 0 <= change["high"]:
            return say("{effect} does not significantly depend on {moderator}: {change}.", **names)
        return say(
            "{moderated}, f² {size}; one standard deviation below and above its mean it is {ends}.",
            moderated=say("{effect} grows with {moderator}: {change}", **names)
            if change["estimate"] > 0
            else say("{effect} falls with {moderator}: {change}", **names),
            size=Number(size["estimate"], ".3f"),
            ends=Listed(
                [
                    say(
                        "{estimate} {span}",
                        estimate=Number(r["estimate"], ".2f"),
                        span=Span(r["low"], r["high"], ".2f"),
                    )
                    for r in (low, high)
                ],
                "",
            ),
        )


def moderation(boot: PlsBootstrap) -> Moderation:
    """Judge every interaction of the model: its size, and the slopes where the moderator is low, average and high.

    The second factor of ``"Image*Value"`` is taken for the moderator; the numbers of the interaction are the same the
    other way round.

    Parameters
    ----------
    boot : PlsBootstrap
        Of a model with interactions; its intervals (method and level) are used.

    Raises
    ------
    CannotAnswer
        If the model has no interaction.
    """
    layout = Layout(boot.fit.model)
    tests = [(product, t) for product in layout.products for t, sources in layout.sources.items() if product in sources]
    if not tests:
        raise CannotAnswer("the model has no interaction. Add a source like 'Image*Value' to the paths.")
    names = layout.model.names
    frames = []
    for product, target in tests:
        source, moderator = layout.products[product]
        found = boot.derived(partial(_judged, layout, product=product, target=target))
        found.insert(0, "source", source)
        found.insert(1, "moderator", moderator)
        found.insert(2, "target", names[target])
        found.insert(3, "what", ["interaction", "f2", *["slope"] * len(LEVELS)])
        found.insert(4, "at", [np.nan, np.nan, *map(float, LEVELS)])
        frames.append(found)
    return Moderation(pd.concat(frames, ignore_index=True), boot.level, boot.fit.n, boot.fit.dropped)


def _judged(layout: Layout, values: np.ndarray, product: int, target: int) -> np.ndarray:
    """Interaction, f2 and slopes from rows of quantities, shape (B, 2 + levels)."""
    names, column = layout.model.names, {label: place for place, label in enumerate(layout.labels)}

    def path(source: str) -> np.ndarray:
        return values[:, column["path", f"{source}->{names[target]}"]]

    change = path(names[product]) / values[:, column["product_sd", names[product]]]
    others = [c for c in layout.sources[target] if c != product]
    between = np.ascontiguousarray(correlations(layout, values).transpose(1, 2, 0))
    without = (regressed(between, target, others) * between[others, target]).sum(axis=0)
    r2 = values[:, column["r2", names[target]]]
    main = path(layout.products[product][0])
    return np.column_stack([change, (r2 - without) / (1 - r2), *(main + level * change for level in LEVELS)])
