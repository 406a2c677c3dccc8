"""What drives satisfaction, and where is a point easiest to gain? Paths, reliability, importance-performance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.messages import Label, Listed, Message, Number, Share, Span, join, say
from workbench.methods.cells import listed, plain, refuse_mixed_waves
from workbench.methods.plspm import PathModel, PlsBootstrap, PlsFit, bootstrap_pls, reliability_table
from workbench.methods.plspm.answers import Answers, read_answers
from workbench.methods.plspm.fitted import doubts_said
from workbench.methods.resampling import IntervalMethod, Rng, fixed
from workbench.result import Quantity, Result, Table
from workbench.studies.satisfaction.draws import Draws, draw, refuse_undefined, standing, with_ends


@dataclass(frozen=True, eq=False)
class PathEffects(Result):
    """What drives what, how well it is explained, and how well it is measured.

    Attributes
    ----------
    bootstrap : PlsBootstrap
        The pooled fit with its resamples.
    answers : Answers
        The survey as it was read, in the cells of `by`.
    seed : int or SeedSequence
        Of the resamples.
    """

    bootstrap: PlsBootstrap
    answers: Answers
    seed: int | np.random.SeedSequence

    NAME = "model"
    CHART = say("Path diagram")
    PICTURE_CAPTION = "The path model: coefficients on the arrows, R² in the boxes; dashed: the interval includes zero."

    @property
    def fit(self) -> PlsFit:
        """The pooled fit."""
        return self.bootstrap.fit

    @cached_property
    def draws(self) -> Draws:
        """What items and cells need of each resample, drawn when first asked for."""
        if self.fit.first is not None:
            raise CannotAnswer("items of a model in two stages have no one weight. Take a model without higher order.")
        return draw(self.answers, self.fit, resamples=len(self.bootstrap.replicates), rng=self.seed)

    def headline(self) -> Message:
        """Say what drives the construct that is explained best, strongest first."""
        target = self.fit.r2.idxmax()
        table = self.bootstrap.table
        paths = table[(table["quantity"] == "path") & table["name"].str.endswith(f"->{target}")]
        top = paths.loc[paths["estimate"].abs().idxmax()]
        r2 = table[(table["quantity"] == "r2") & (table["name"] == target)].iloc[0]
        source = str(top["name"]).split("->")[0]
        return join(
            say(
                "{target} is explained best: {r2} of its variance {r2_span}, most directly by {source}: path {path} "
                "{span}.",
                target=Label(target),
                r2=Share(r2["estimate"], 0),
                r2_span=Span(r2["low"], r2["high"], ".0%"),
                source=Label(source),
                path=Number(top["estimate"], ".2f"),
                span=Span(top["low"], top["high"], ".2f", self.bootstrap.level),
            ),
            say("{doubts}.", doubts=doubts_said(self.verdicts)),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate paths, total effects and R2: quantity, name, estimate, se, low, high."""
        table = self.bootstrap.table
        return table[table["quantity"].isin(["path", "total_effect", "r2"])].reset_index(drop=True)

    def measurement(self) -> Table:
        """Give the reliability as a page shows it."""
        said = say("How well each construct is measured; the last column says what to make of it.")
        formats = dict.fromkeys(["alpha", "rho_a", "rho_c", "ave", "htmt_highest"], "{:.2f}")
        return Table("measurement", reliability_table(self.fit), said, formats)

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        return say(
            "Paths, total effects and R² of the model, with {level} intervals.", level=Share(self.bootstrap.level, 0)
        )

    @property
    def verdicts(self) -> tuple[Message, ...]:
        """Doubts about the measurement, one sentence each."""
        return self.bootstrap.verdicts

    def doubts(self) -> Message:
        """List them, one a line."""
        if not self.verdicts:
            return say("No doubts about the measurement.")
        return say("{doubts}", doubts=Listed((say("- {doubt}", doubt=doubt) for doubt in self.verdicts), "\n"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the model; dashed paths have intervals that include zero."""
        table = self.bootstrap.table
        paths = table[table["quantity"] == "path"]
        unsure = paths[(paths["low"] <= 0) & (paths["high"] >= 0)]["name"]
        return self.fit.plot(ax, faint=[tuple(name.split("->")) for name in unsure])

    def quantities(self) -> Iterable[Quantity]:
        """Name paths and R2."""
        return (q for q in self.bootstrap.quantities() if not q.name.startswith("index["))


@dataclass(frozen=True, eq=False)
class ImportancePerformance(Result):
    """Where a point of the target is easiest to gain.

    Attributes
    ----------
    table : DataFrame
        One row a driver, first priority first: construct, importance (points of the target's index per point
        of the driver's), performance (the driver's index, points), potential (importance x (100 -
        performance): points of the target if the driver rose to 100), each with `_low` and `_high`;
        probability_first and probability_here (shares of resamples in which it ranks first, and here).
    """

    table: pd.DataFrame
    target: str
    level: float

    NAME = "drivers"
    CHART = say("A map: importance across, performance up, a dot a driver")
    PICTURE_CAPTION = "Importance (points of {target} for one point more) and performance (index) of each driver."

    def headline(self) -> Message:
        """Say what comes first and how sure that is."""
        top = self.table.iloc[0]
        return join(
            self.say(
                "To raise {target}, start with {construct}: one point more brings {importance} points {span} and it "
                "stands at {performance}; it comes first in {often} of the resamples.",
                construct=Label(top["construct"]),
                importance=Number(top["importance"], ".2f"),
                span=Span(top["importance_low"], top["importance_high"], ".2f", self.level),
                performance=Number(top["performance"], ".1f"),
                often=Share(top["probability_first"], 0),
            ),
            say("Order: {order}.", order=Listed(map(Label, self.table["construct"]), "")),
            say("") if top["probability_first"] >= self.level else say("The order is not certain."),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the map: importance across, performance up, intervals as crosses; priority is bottom right."""
        ax = axes(ax)
        rows = self.table
        across = (rows["importance"] - rows["importance_low"], rows["importance_high"] - rows["importance"])
        up = (rows["performance"] - rows["performance_low"], rows["performance_high"] - rows["performance"])
        errors = {"xerr": np.clip(across, 0, None), "yerr": np.clip(up, 0, None)}
        ax.errorbar(rows["importance"], rows["performance"], **errors, fmt="o", color="C0", ecolor="0.7")
        for row in rows.itertuples():
            ax.annotate(
                Label(row.construct).said(), (row.importance, row.performance), (6, 5), textcoords="offset points"
            )
        ax.axhline(rows["performance"].mean(), color="0.8", linewidth=0.8, zorder=0)
        ax.axvline(rows["importance"].mean(), color="0.8", linewidth=0.8, zorder=0)
        ax.set_xlabel(self.say("importance (points of {target} per point)"))
        ax.set_ylabel("performance (index, points)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name importance and performance of every driver."""
        for row in self.table.to_dict("records"):
            for what, unit in (("importance", "points/point"), ("performance", "points")):
                name = f"{what}[construct={row['construct']},target={self.target}]"
                yield Quantity(name, row[what], unit, row[f"{what}_low"], row[f"{what}_high"])


def path_effects(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    by: Sequence[str] = ("operator", "service"),
    weight: str | None = "weight",
    resamples: int = 1000,
    interval: IntervalMethod = "percentile",
    level: float = 0.95,
    rng: Rng = 0,
) -> PathEffects:
    """Fit the path model to all respondents, with intervals from resamples within cells.

    Parameters
    ----------
    survey, model, weight, resamples, level, rng
        As for `satisfaction_index`.
    by : sequence of str
        Columns whose combinations are the strata of the resampling; none to draw from all alike.
    interval : {"percentile", "bc", "bca", "normal"}
    """
    by = listed(by)
    survey = plain(survey, by)
    refuse_mixed_waves(survey, by)
    rng = fixed(rng)
    bootstrap = bootstrap_pls(
        survey, model, resamples=resamples, interval=interval, level=level, strata=by or None, weights=weight, rng=rng
    )
    return PathEffects(bootstrap, read_answers(survey, model, weights=weight, by=by), rng)


def drivers_of(fit: PlsFit, target: str) -> list[str]:
    """Constructs with a chain of paths to the target, refused if there are none or an index is not defined."""
    fit.model.construct(target)
    drivers = [name for name in fit.model.names if (name, target) in fit.importance.index]
    if not drivers:
        raise CannotAnswer("no path leads to '{target}', so nothing drives it in this model.").of(target)
    refuse_undefined(fit, [*drivers, target])
    return drivers


def importance_performance(effects: PathEffects, *, target: str = "Satisfaction") -> ImportancePerformance:
    """Rank the drivers of a construct by what raising them would bring.

    Parameters
    ----------
    effects : PathEffects
        For one operator: those of its respondents alone.

    Raises
    ------
    CannotAnswer
        If no path leads to the target, or an index is not defined.

    Warning
    -------
    Importance is a regression effect: what would follow if the driver rose and nothing outside the model moved.
    """
    boot, drivers = effects.bootstrap, drivers_of(effects.fit, target)
    rows = {
        "importance": np.column_stack([boot.replicate("importance", f"{n}->{target}") for n in drivers]),
        "performance": np.column_stack([boot.replicate("index", n) for n in drivers]),
    }
    rows["importance"] = np.vstack([effects.fit.importance.loc[[(n, target) for n in drivers]], rows["importance"]])
    rows["performance"] = np.vstack([effects.fit.index[drivers], rows["performance"]])
    rows["potential"] = rows["importance"] * (100 - rows["performance"])
    table = with_ends(pd.DataFrame({"construct": drivers}), boot.level, **rows)
    place = standing(rows["potential"])
    table = table.assign(
        probability_first=(place[1:] == 0).mean(axis=0), probability_here=(place[1:] == place[0]).mean(axis=0)
    )
    return ImportancePerformance(table.iloc[np.argsort(place[0])].reset_index(drop=True), target, boot.level)
