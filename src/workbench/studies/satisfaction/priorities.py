"""Which item to improve, and what would follow? Items ranked by what they would bring, and a simulation of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_known
from workbench.messages import Label, Listed, Message, Number, Share, Span, Value, join, say
from workbench.methods.cells import cell_name
from workbench.methods.plspm.batch import Layout
from workbench.methods.resampling import standard_error
from workbench.result import Quantity, Result, Tile
from workbench.studies.satisfaction.draws import called, refuse_undefined, standing, with_ends
from workbench.studies.satisfaction.drivers import PathEffects, drivers_of

_COLUMNS = ("importance", "performance", "potential")


@dataclass(frozen=True, eq=False)
class ItemPriorities(Result):
    """Which item of the questionnaire is worth improving first.

    Attributes
    ----------
    table : DataFrame
        One row an item, first priority first: construct, item, label, importance (points of the target's index per
        point of the item's scale), performance (mean on the scale, 0-100), potential (points of the target if every
        answer rose to the end of the scale), each with `_low` and `_high`; probability_top (share of resamples in which
        it is among the first `top`).
    of : str
        Whose answers; empty for all.
    labels : mapping of item to Value
        What each item is called.
    """

    table: pd.DataFrame
    target: str
    of: str
    top: int
    level: float
    labels: Mapping[str, Value] = field(default_factory=dict)

    NAME = "items"
    FORMATS = {f"{what}{end}": "{:.2f}" for what in _COLUMNS for end in ("", "_low", "_high")} | {
        "probability_top": "{:.0%}"
    }

    def headline(self) -> Message:
        """Say which item comes first, and which are surely among the first."""
        row = self.table.iloc[0]
        sure = self.table.loc[self.table["probability_top"] >= self.level, "item"]
        group = say("first {n}", n=self.top) if self.top > 1 else say("first")
        target: Label | Message = Label(self.target)
        said: dict[str, Any] = {
            "target": say("{target} of {whose}", target=target, whose=self.of) if self.of else target,
            "item": self.called(row["item"]),
            "importance": Number(row["importance"], ".2f"),
            "span": Span(row["importance_low"], row["importance_high"], ".2f", self.level),
        }
        lead = say(
            "No question is shown to raise {target}: even for {item}, which could bring most, one point more goes with "
            "{importance} points {span}.",
            **said,
        )
        if self.shown:
            lead = say(
                "To raise {target}, improve {item} first: one point more on its scale goes with {importance} points "
                "{span}.",
                **said,
            )
        return join(
            lead,
            say(
                "It could bring {gain} and is among the {group} in {often} of the resamples.",
                gain=say("{gain} points up to the end of the scale", gain=Number(row["potential"], ".3g")),
                group=group,
                often=Share(row["probability_top"], 0),
            ),
            say("Surely among the {group}: {items}.", group=group, items=Listed(map(self.called, sure), ""))
            if len(sure)
            else say("None is surely among the {group}.", group=group),
        )

    @property
    def shown(self) -> bool:
        """Whether the first item's importance is above 0, at the printed digits."""
        return round(float(self.table["importance_low"].iloc[0]), 2) > 0

    def called(self, item: str) -> Message:
        """Name an item as sentences do."""
        return called(item, self.labels)

    def tiles(self) -> tuple[Tile, ...]:
        """What the first item could bring."""
        if not self.shown:
            return ()
        row = self.table.iloc[0]
        label = self.say("points of {target} that {item} could bring", item=self.called(row["item"]))
        ends = Span(row["potential_low"], row["potential_high"], ".1f", self.level)
        return (Tile(label, Number(row["potential"], ".1f"), ends),)

    def summary(self) -> pd.DataFrame:
        """Tabulate the items in order of priority."""
        return self.table.drop(columns="label") if (self.table["label"] == self.table["item"]).all() else self.table

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        return self.say(
            "{items} in order of priority: points of {target} for one point more, mean answer (0-100), points up to "
            "the end of the scale, and how often the item is among the first {n}.",
            items=say("Items of {whose}", whose=self.of) if self.of else say("Items"),
            n=self.top,
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name importance and potential of every item."""
        for row in self.table.to_dict("records"):
            for what, unit in (("importance", "points/point"), ("potential", "points")):
                name = f"item_{what}[item={row['item']},target={self.target}]"
                yield Quantity(name, row[what], unit, row[f"{what}_low"], row[f"{what}_high"])


@dataclass(frozen=True, eq=False)
class Improvement(Result):
    """What would follow if answers to some items rose.

    Attributes
    ----------
    table : DataFrame
        One row a construct's index, or an item of a construct that drives nothing: quantity ("index", "item"), name,
        change (points of the index; points of the item's scale), se, low, high.
    changes : DataFrame
        One row a changed item: item, asked, realised (mean, points of the scale), capped (share of respondents
        whom the end of the scale allows less than asked).
    labels : mapping of item to Value
        What each item is called.
    """

    table: pd.DataFrame
    changes: pd.DataFrame
    target: str
    of: str
    level: float
    labels: Mapping[str, Value] = field(default_factory=dict)

    def headline(self) -> Message:
        """Say what was changed, what the end of the scale allowed, and what follows."""
        asked = [
            say(
                "{item} by {asked} (on average {realised}, as {capped} are too near the end of the scale)",
                item=called(row["item"], self.labels),
                asked=Number(row["asked"], "+g"),
                realised=Number(row["realised"], "+.2f"),
                capped=Share(row["capped"], 0),
            )
            for row in self.changes.to_dict("records")
        ]
        index = self.table[(self.table["quantity"] == "index") & (self.table["name"] == self.target)].iloc[0]
        items = self.table[self.table["quantity"] == "item"].to_dict("records")
        change = self.say(
            "Changing {answers} to {asked} goes with {change} points of {target} {span}",
            answers=say("the answers of {whose}", whose=self.of) if self.of else say("the answers"),
            asked=Listed(asked),
            change=Number(index["change"], "+.2f"),
            span=Span(index["low"], index["high"], "+.2f", self.level),
        )
        if items:
            then = (
                say("{item} by {change}", item=called(r["name"], self.labels), change=Number(r["change"], "+.2f"))
                for r in items
            )
            change = say("{change} and, on their scales, {items}", change=change, items=Listed(then, ""))
        return say("{change}. This is a regression effect: it follows only if the paths are causes.", change=change)

    def quantities(self) -> Iterable[Quantity]:
        """Name every change."""
        key = "+".join(f"{row['item']}:{row['asked']:+g}" for row in self.changes.to_dict("records"))
        for row in self.table.to_dict("records"):
            kind = "construct" if row["quantity"] == "index" else "item"
            name = f"improvement[changes={key},{kind}={row['name']}]"
            yield Quantity(name, row["change"], "points", row["low"], row["high"])


def item_priorities(
    effects: PathEffects,
    *,
    target: str = "Satisfaction",
    of: Mapping[str, object] | None = None,
    levers: Sequence[str] = (),
    top: int = 3,
) -> ItemPriorities:
    """Rank the items of the drivers by the points of the target that they could still bring.

    Parameters
    ----------
    effects : PathEffects
        Importance is that of its respondents: for importance of one operator's own, those of its respondents alone.
    of : mapping of str to object, optional
        Whose performance, by columns of the cells, like ``{"operator": "A"}``; everyone's if not given.
    levers : sequence of str
        Drivers that somebody can act on; only their items are ranked. All if empty.
    top : int
        How many first places `probability_top` is about.

    Raises
    ------
    WorkbenchError
        If a cell or construct is unknown.
    CannotAnswer
        If no path leads to the target, an index is not defined, or `of` holds too few respondents.

    Warning
    -------
    Importance is a regression effect: what would follow if the item moved its construct as it did among respondents.
    """
    draws, model, level = effects.draws, effects.fit.model, effects.bootstrap.level
    drivers = drivers_of(effects.fit, target)
    for name in levers:
        require_known("driver", name, drivers, say("the model of {target}", target=target))
    drivers = list(levers) or drivers
    owner = dict(zip(model.items, (model.names[c] for c in Layout(model).owner), strict=True))
    items = [item for item in model.items if owner[item] in drivers]
    if top < 1:
        raise WorkbenchError("top={top} of {n} items of drivers. Give 1 or more.").of(str(top), len(items))
    top = min(top, len(items))
    at, span = [model.items.index(item) for item in items], (draws.answers.high - draws.answers.low)
    effect = np.column_stack([draws.effect(owner[item], target) for item in items])
    mask = draws.chosen(of)
    width, reach = draws.width(mask), draws.reach(mask)[at]
    rows = {"importance": effect * draws.share[:, at] * 100 / span[at], "performance": draws.level_of(mask)[:, at]}
    rows["potential"] = effect * draws.share[:, at] * (100 - rows["performance"])
    table = pd.DataFrame({"construct": [owner[i] for i in items], "item": items})
    table = table.assign(label=[say("{text}", text=model.labels[i]) for i in items])
    hidden = {"performance": reach, "potential": np.abs(effect[0] * draws.share[0, at]) * reach}
    for name, values in rows.items():
        table = with_ends(
            table, level, **{name: values}, **(width | {"hidden": hidden[name]} if name in hidden else {})
        )
    place = standing(rows["potential"])
    table = table.assign(probability_top=(place[1:] < top).mean(axis=0)).iloc[np.argsort(place[0])]
    whose = cell_name((of or {}).values())
    return ItemPriorities(table.reset_index(drop=True), target, whose, top, level, model.labels)


def simulate_improvement(
    effects: PathEffects,
    changes: Mapping[str, float],
    *,
    target: str = "Satisfaction",
    of: Mapping[str, object] | None = None,
) -> Improvement:
    """Compute what follows in the model if each respondent's answers moved, as far as the scale allows.

    An answer of 9.6 on a scale to 10 can rise by 0.4 only. The mean change of the items moves their construct by their
    share in its index, and from there every construct it leads to by the total effect; items of constructs that drive
    nothing (the actions, like a recommendation) follow with their slope on their construct.

    Parameters
    ----------
    changes : mapping of item to points
        On the item's scale; of reversed items, towards the better end.
    target : str
        The construct of the headline.
    of : mapping of str to object, optional
        Whose answers change, by columns of the cells; everyone's if not given.

    Raises
    ------
    WorkbenchError
        If there is no change, or an item, cell or construct is unknown.
    CannotAnswer
        If an index is not defined, or `of` holds too few respondents.

    Warning
    -------
    A regression effect, not proof of a cause: it holds if the paths are causes and nothing else moves.
    """
    draws, model, level = effects.draws, effects.fit.model, effects.bootstrap.level
    model.construct(target)
    for name in changes:
        require_known("item", name, model.items, "the model")
    asked = np.array(list(changes.values()), float)
    if not len(asked) or not np.isfinite(asked).all() or not asked.all():
        raise WorkbenchError("changes={changes} changes nothing. Give points other than 0, like {{'QU3': 1.0}}.").of(
            str(dict(changes))
        )
    layout, answers, mask = Layout(model), draws.answers, draws.chosen(of)
    at = [model.items.index(item) for item in changes]
    given = answers.center[at] + answers.scale[at] * answers.x[:, at]
    gain = np.clip(given + asked, answers.low[at], answers.high[at]) - given
    capped = np.abs(gain) < np.abs(asked) - 1e-9
    if not gain[mask[answers.cell]].any():
        raise CannotAnswer("all answers to {items} stand at the end of the scale: none can move that way.").of(changes)
    weight = (~answers.missing[:, at]) * answers.weights[:, None]
    totals = draws.total(np.hstack([gain * weight, capped * weight]))[:, mask].sum(axis=1)
    moved, stopped = np.split(totals / np.tile(draws.weight[:, mask][:, :, at].sum(axis=1), 2), 2, axis=1)
    shift = np.zeros_like(draws.share)
    shift[:, at] = 100 * moved / (answers.high - answers.low)[at]
    direct = draws.index(shift)
    changed = {layout.owner[i] for i in at}
    index = {
        name: sum(direct[:, c] * draws.effect(model.names[c], name) for c in changed)
        for k, name in enumerate(model.names)
        if k in changed or any((c, k) in layout.effects for c in changed)
    }
    refuse_undefined(effects.fit, index)
    if target not in index:
        raise WorkbenchError("{names} lead to {others}, not to '{target}'. Change items of its drivers.").of(
            changes, index, target
        )
    driving = {source for source, _ in model.edges}
    item: dict[str, Any] = {}
    for k, construct in enumerate(model.constructs):
        if construct.name in index and construct.name not in driving:
            led = index[construct.name] - direct[:, k]
            item |= {name: _followed(draws, construct.name, name, led) for name in construct.items}
    for name in set(item) & set(changes):
        item[name] = item[name] + moved[:, list(changes).index(name)]
    values = np.column_stack([*index.values(), *item.values()])
    table = pd.DataFrame({"quantity": ["index"] * len(index) + ["item"] * len(item), "name": [*index, *item]})
    table = with_ends(table, level, change=values).rename(columns={"change_low": "low", "change_high": "high"})
    table.insert(3, "se", standard_error(values[1:]))
    done = pd.DataFrame({"item": list(changes), "asked": asked, "realised": moved[0], "capped": stopped[0]})
    return Improvement(table, done, target, cell_name((of or {}).values()), level, model.labels)


def improve_first(
    effects: PathEffects, items: ItemPriorities, *, of: Mapping[str, object] | None = None
) -> Improvement:
    """Compute what follows if the first of the items rose by a point: `simulate_improvement`."""
    return simulate_improvement(effects, {items.table["item"].iloc[0]: 1.0}, target=items.target, of=of)


def _followed(draws, construct: str, item: str, change: np.ndarray) -> np.ndarray:
    """Change of an item on its scale when its construct's index changes: the slope of item on score.

    The score is sum(w x / sd), so the slope, loading x sd of the item, is loading x w over its share in the index.
    """
    place, label = draws.fit.model.items.index(item), f"{construct}:{item}"
    loading, weight = (draws.values[:, draws.column[what, label]] for what in ("loading", "weight"))
    span = draws.answers.high[place] - draws.answers.low[place]
    return loading * weight / draws.share[:, place] * change * span / 100
