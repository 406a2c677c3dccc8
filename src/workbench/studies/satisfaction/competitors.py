"""Where does it matter that we are behind? Importance and performance, ours and the competitors', on one map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, axes, legend
from workbench.messages import Label, Message, Name, Number, Share, Span, Value, Word, say
from workbench.methods.cells import cell_name, distinct, listed
from workbench.methods.multiple import holm
from workbench.methods.resampling import standard_error
from workbench.result import Quantity, Result
from workbench.studies.satisfaction.draws import with_ends
from workbench.studies.satisfaction.drivers import PathEffects, drivers_of

ADVICE = {
    ("important", "behind"): "catch up",
    ("important", "level"): "pull ahead",
    ("important", "ahead"): "defend",
    ("minor", "behind"): "watch",
    ("minor", "level"): "leave",
    ("minor", "ahead"): "leave",
}


@dataclass(frozen=True, eq=False)
class CompetitorMap(Result):
    """Importance and performance of the drivers, own and of competitors.

    Attributes
    ----------
    table : DataFrame
        One row a competitor and driver, most important first: against, construct, importance (points of the target's
        index per point of the driver's), performance (own index), competitor (its index), gap (own less
        competitor's, points), each with `_low` and `_high`; se and p of the gap, p_holm (over all rows),
        probability_important (share of resamples in which importance is above the drivers' mean), place
        ("important, behind: catch up"; *level* where the gap is not significant).
    of : str
        The part of the market; empty for all.
    """

    table: pd.DataFrame
    own: str
    of: str
    target: str
    level: float

    NAME = "competitors"
    CHART = say("A map: importance across, performance up, a mark an operator and driver")

    def headline(self) -> Message:
        """Say where the operator is behind and it matters, else where it leads."""
        table = self.table
        behind, ahead = (table[table["place"].str.startswith(f"important, {w}")] for w in ("behind", "ahead"))
        rows = behind if len(behind) else ahead
        rule = say("(Holm over {n}, {alpha})", n=len(table), alpha=Share(1 - self.level, 0))
        if not len(rows):
            return say(
                "Where it matters for {target}, no gap of {own} is significant {rule}.",
                target=self._here(Label(self.target)),
                own=self.own,
                rule=rule,
            )
        top = rows.loc[(rows["importance"] * rows["gap"]).abs().idxmax()]
        low, high = sorted(np.sign(top["gap"]) * top[["gap_low", "gap_high"]].to_numpy(float))
        gap = say(
            "{points} points {span}", points=Number(abs(top["gap"]), ".1f"), span=Span(low, high, ".1f", self.level)
        )
        if len(rows) > 1:
            gap = say("{gap}, the largest of {n} such gaps", gap=gap, n=len(rows))
        names = {
            "own": self.own,
            "other": self._here(Name(top["against"])),
            "construct": Label(top["construct"]),
            "gap": gap,
        }
        return self.say(
            "{place}: a point there is worth {importance} points of {target} {rule}.",
            place=say("{own} is behind {other} on {construct} by {gap}", **names)
            if top["gap"] < 0
            else say("{own} is ahead of {other} on {construct} by {gap}", **names),
            importance=Number(top["importance"], ".2f"),
            rule=rule,
        )

    def _here(self, name: Value) -> Message | Value:
        return say("{name} in {place}", name=name, place=Word(self.of)) if self.of else name

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map: dots are the operator's own, squares competitors', joined by driver."""
        ax = axes(ax)
        for k, (name, rows) in enumerate(self.table.groupby("against", sort=True), 1):
            if k == 1:
                _crosses(ax, rows, "performance", "o", "C0", self.own)
                for row in rows.to_dict("records"):
                    at = (row["importance"], row["performance"])
                    ax.annotate(row["construct"], at, (7, 5), textcoords="offset points")
            _crosses(ax, rows, "competitor", "s", f"C{k}", name)
            ax.vlines(rows["importance"], rows["performance"], rows["competitor"], color="0.6", linestyle=":", zorder=1)
        ax.axvline(rows["importance"].mean(), color="0.8", linewidth=0.8, zorder=0)
        ax.set_xlabel(self.say("importance (points of {target} per point)"))
        ax.set_ylabel("performance (index, points)")
        legend(ax)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name every gap on the map."""
        where = f"of={self.of}," if self.of else ""
        for row in self.table.to_dict("records"):
            name = f"gap_driver[{where}operator={self.own},against={row['against']},construct={row['construct']}]"
            yield Quantity(name, row["gap"], "points", row["gap_low"], row["gap_high"])


def competitor_map(
    effects: PathEffects,
    *,
    own: str,
    against: Sequence[str] | None = None,
    of: Mapping[str, object] | None = None,
    operator: str = "operator",
    target: str = "Satisfaction",
) -> CompetitorMap:
    """Put an operator and its competitors on one importance-performance map.

    Performance is each operator's own, with the common outer weights: the index of the reports. Importance is
    that of all respondents of `effects`, so that one axis serves all operators, and the gaps are not mixed with
    differences of paths; whether paths differ is a question for `compare_groups`.

    Parameters
    ----------
    effects : PathEffects
        With the operator among the columns of `by`.
    against : sequence of str, optional
        All others if not given.
    of : mapping of str to object, optional
        The part of the market, like ``{"service": "mobile"}``.

    Raises
    ------
    WorkbenchError
        If an operator, column or construct is unknown.
    CannotAnswer
        If there is no competitor, an operator has fewer than 30 respondents, or an index is not defined.
    """
    draws, level, drivers = effects.draws, effects.bootstrap.level, drivers_of(effects.fit, target)
    cells = draws.answers.cells
    require_columns(cells, [operator], "the cells", hint="Name it in by= of path_effects.")
    part = cells[(cells[list(of)] == pd.Series(dict(of))).all(axis=1)] if of and draws.chosen(of).any() else cells
    rivals = listed(against) if against is not None else sorted(set(part[operator]) - {own})
    distinct(rivals, "the competitor")
    rivals = [name for name in rivals if name != own]
    if not rivals:
        raise CannotAnswer("'{own}' stands alone: no other operator to put on the map.").of(own)
    at = [effects.fit.model.names.index(name) for name in drivers]
    chosen = {name: draws.chosen({**(of or {}), operator: name}) for name in [own, *rivals]}
    mean = {name: draws.index(draws.level_of(mask))[:, at] for name, mask in chosen.items()}
    width = {name: draws.width(mask) | {"hidden": draws.index_reach(mask)[at]} for name, mask in chosen.items()}
    importance = np.column_stack([draws.effect(name, target) for name in drivers])
    rows = {
        "importance": np.tile(importance, len(rivals)),
        "performance": np.tile(mean[own], len(rivals)),
        "competitor": np.hstack([mean[name] for name in rivals]),
    }
    rows["gap"] = rows["performance"] - rows["competitor"]
    table = pd.DataFrame({"against": np.repeat(rivals, len(drivers)), "construct": drivers * len(rivals)})
    mine, theirs = (
        {
            key: np.hstack([np.broadcast_to(width[name][key], len(drivers)) for name in names])
            for key in ("df", "resampled", "hidden")
        }
        for names in ([own] * len(rivals), rivals)
    )
    spread = [
        standard_error(rows[which][1:]) * side["resampled"]
        for which, side in (("performance", mine), ("competitor", theirs))
    ]
    shown = (
        standard_error(rows["gap"][1:])
        * np.hypot(*spread)
        / np.hypot(spread[0] / mine["resampled"], spread[1] / theirs["resampled"]).clip(min=1e-300)
    )
    error = np.sqrt(shown**2 + mine["hidden"] ** 2 + theirs["hidden"] ** 2)
    df = np.minimum(mine["df"], theirs["df"])
    p = 2 * student.sf(np.abs(rows["gap"][0]) / error, df)
    half = student.isf((1 - level) / 2, df) * error
    settled = importance[1:][~np.isnan(importance[1:]).any(axis=1)]
    often = (settled >= settled.mean(axis=1, keepdims=True)).mean(axis=0)
    table = with_ends(table, level, importance=rows["importance"])
    table = with_ends(table, level, performance=rows["performance"], **mine)
    table = with_ends(table, level, competitor=rows["competitor"], **theirs)
    gap = rows["gap"][0]
    table = table.assign(gap=gap, gap_low=gap - half, gap_high=gap + half, se=error, p=p, p_holm=holm(p))
    table["probability_important"] = np.tile(often, len(rivals))
    weight = np.where(rows["importance"][0] >= importance[0].mean(), "important", "minor")
    side = np.where(table["p_holm"] >= 1 - level, "level", np.where(table["gap"] < 0, "behind", "ahead"))
    table["place"] = [f"{w}, {s}: {ADVICE[w, s]}" for w, s in zip(weight, side, strict=True)]
    order = np.lexsort([-rows["importance"][0], np.repeat(np.arange(len(rivals)), len(drivers))])
    return CompetitorMap(table.iloc[order].reset_index(drop=True), own, cell_name((of or {}).values()), target, level)


def _crosses(ax: Axes, rows: pd.DataFrame, what: str, marker: str, color: str, label: str) -> None:
    across, up = (
        np.clip([rows[n] - rows[f"{n}_low"], rows[f"{n}_high"] - rows[n]], 0, None) for n in ("importance", what)
    )
    look: dict[str, Any] = {"fmt": marker, "color": color, "ecolor": "0.8", "markersize": 5, "label": label}
    ax.errorbar(rows["importance"], rows[what], xerr=across, yerr=up, **look)
