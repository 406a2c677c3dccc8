"""Do groups mean the same by a construct, and do their paths differ? Permutation tests for any number of groups.

If groups do not differ, their labels are arbitrary: permuting them shows how far apart groups lie by chance. A group is
a row of weights, 1 for its members, so that all permutations are one batch.

References
----------
Henseler, Ringle & Sarstedt (2016), Testing measurement invariance of composites using PLS, International Marketing
Review 33(3) (MICOM). Chin & Dibbern (2010), Handbook of Partial Least Squares (permutation test of paths).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Count, Label, Message, Number, join, say
from workbench.methods.multiple import holm
from workbench.methods.plspm.answers import Answers, Weights, moments
from workbench.methods.plspm.fit import fit_answers
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.model import PathModel
from workbench.methods.plspm.permutations import (
    GroupStudy,
    Permuted,
    against_chance,
    no_power,
    share_of,
    too_few_permutations,
)
from workbench.methods.resampling import Rng, one_thread, seeds
from workbench.result import Result, Table, Tile

WEAK = 0.5


@dataclass(frozen=True, eq=False)
class MeasurementInvariance(Result):
    """Whether two groups mean the same by each construct (MICOM), pair by pair.

    Step 1, configural invariance, holds by construction: same items, coding, model and algorithm.

    Attributes
    ----------
    table : DataFrame
        One row a pair and construct: first, second, construct. Step 2: c (correlation of the scores that the two
        groups' weights make of the same answers), c_lowest (exceeded by `level` of the permutations), c_p, c_p_holm
        (over all rows). Step 3:
        mean_difference (first - second, in standard deviations of the pair) with mean_null_low and _high (where
        `level` of the permutations lie) and mean_p; log_variance_ratio, likewise. invariance: "none" where c_p_holm
        refuses step 2, "partial" where only step 2 holds (paths can be compared), "full".
    permutations, failed : int
        Permutations a pair; those in which a group did not converge (they count nowhere).
    """

    table: pd.DataFrame
    level: float
    permutations: int
    failed: int

    NAME = "invariance"
    CHART = say("Dots with the range that chance allows, a row a construct and pair")
    FORMATS = dict.fromkeys(["c", "c_lowest"], "{:.5f}") | {"c_p_holm": "{:.3f}"}
    CAPTION = (
        "c: correlation of the scores by both groups' weights, with the lowest that chance allows; then "
        "differences of means (standard deviations) and of variances (log ratio)."
    )
    PICTURE_CAPTION = "Differences of means: a dot off its line is a difference that permutation does not explain."

    @property
    def tellable(self) -> bool:
        """Whether permutations and groups are enough for a construct that means something else to be found."""
        few = too_few_permutations(self.permutations, len(self.table), self.level)
        return not few and not (self.table["c_lowest"] < WEAK).any()

    def headline(self) -> Message:
        """Say whether the groups may be compared."""
        broken = self.table[self.table["invariance"] == "none"]
        if broken.empty and too_few_permutations(self.permutations, len(self.table), self.level):
            return no_power(self.permutations, len(self.table), self.level)
        weak = self.table[self.table["c_lowest"] < WEAK]
        if broken.empty and len(weak):
            row = weak.loc[weak["c_lowest"].idxmin()]
            return join(
                say("Not answerable: whether groups mean the same."),
                say(
                    "No difference is significant, but between {first} and {second} chance alone would let the two "
                    "scores of {construct} correlate as little as {lowest}: the groups are too small, or the construct "
                    "too unreliable, to tell.",
                    first=str(row["first"]),
                    second=str(row["second"]),
                    construct=Label(row["construct"]),
                    lowest=Number(row["c_lowest"], ".2f"),
                ),
            )
        if broken.empty:
            same = int((self.table["invariance"] == "full").sum())
            return say(
                "The groups mean the same by every construct (MICOM), so paths and indices can be compared; in {same} "
                "of {n} comparisons means and variances are also equal ({permutations} permutations).",
                same=same,
                n=len(self.table),
                permutations=self.permutations,
            )
        worst = broken.loc[broken["c"].idxmin()]
        return say(
            "Groups do not mean the same in {broken} of {n} comparisons (not invariant, MICOM), first of all by "
            "{construct} between {first} and {second} (c = {c}, by chance above {lowest} for one test of {n}): do not "
            "compare their paths.",
            broken=len(broken),
            n=len(self.table),
            construct=Label(worst["construct"]),
            first=str(worst["first"]),
            second=str(worst["second"]),
            c=Number(worst["c"], ".4f"),
            lowest=Number(worst["c_lowest"], ".4f"),
        )

    def as_table(self) -> Table:
        """Give the table as a page shows it: without the ranges that permutations give, which are drawn."""
        shown = super().as_table()
        return replace(shown, frame=shown.frame.loc[:, ~shown.frame.columns.str.contains("null")])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean differences against where chance puts them."""
        rows = self.table.rename(columns={"mean_null_low": "low", "mean_null_high": "high"})
        rows = rows.sort_values("mean_difference", key=np.abs, ascending=False, kind="stable")
        names = rows["construct"] + ": " + _sides(rows)
        label = self.say("difference of means (sd); lines: {level} of the permutations")
        return dot_and_interval(names, rows.assign(estimate=rows["mean_difference"]), ax, label=label, zero=True)


@dataclass(frozen=True, eq=False)
class GroupDifferences(Result):
    """Differences of paths and R2 between groups, against chance.

    Attributes
    ----------
    table : DataFrame
        One row a pair and quantity: quantity, name, first, second, difference, null_low, null_high (where `level` of
        the permutations lie), p (two-sided), p_holm (over all rows of pairs). With three groups or more also rows with
        first = "all": difference is the range over all groups.
    groups : DataFrame
        Paths and R2 of each group: quantity, name, one column a group.
    left_out : int
        Differences that are not in the table, because a construct does not mean the same to the groups.
    """

    table: pd.DataFrame
    groups: pd.DataFrame
    level: float
    permutations: int
    failed: int
    left_out: int = 0

    NAME = "groups"
    CHART = say("Dots with the range that chance allows, a row a path and pair")
    FORMATS = dict.fromkeys(["difference", "null_low", "null_high"], "{:+.3f}")
    PICTURE_CAPTION = "Differences of paths: a dot off its line is a difference that permutation does not explain."
    CAPTION = (
        "Differences of paths and R² between groups, where {level} of the permutations lie, and p with Holm's "
        "correction; all: the range over all groups."
    )

    @property
    def pairs(self) -> pd.DataFrame:
        """The differences of paths between two groups."""
        return self.table[(self.table["first"] != "all") & (self.table["quantity"] == "path")]

    @property
    def clear(self) -> pd.DataFrame:
        """Those of them that are significant after Holm's correction."""
        return self.pairs[self.pairs["p_holm"] < 1 - self.level]

    @property
    def _tests(self) -> int:
        return int((self.table["first"] != "all").sum())

    @property
    def tellable(self) -> bool:
        """Whether there are permutations enough for any difference to be significant."""
        return not too_few_permutations(self.permutations, self._tests, self.level)

    def tiles(self) -> tuple[Tile, ...]:
        """How many paths differ between groups."""
        label = say("paths that differ significantly between groups, of {n}", n=len(self.pairs))
        return (Tile(label, Count(len(self.clear))),) if self.tellable else ()

    def headline(self) -> Message:
        """Say how many differences are significant, and the largest."""
        if not self.tellable:
            return no_power(self.permutations, self._tests, self.level)
        pairs, clear = self.pairs, self.clear
        out = say("")
        if self.left_out:
            out = say("{n} are left out: a construct does not mean the same there.", n=self.left_out)
        if clear.empty:
            none = say(
                "None of {n} differences of paths between groups is significant (Holm's correction, {permutations} "
                "permutations).",
                n=len(pairs),
                permutations=self.permutations,
            )
            return join(none, out)
        top = clear.loc[clear["difference"].abs().idxmax()]
        largest = say(
            "{n} of {all} differences of paths between groups are significant; the largest: {largest} (p = {p}, {holm} "
            "after Holm).",
            n=len(clear),
            all=len(pairs),
            largest=self.largest(),
            p=Number(top["p"], ".3f"),
            holm=Number(top["p_holm"], ".3f"),
        )
        return join(largest, out)

    def largest(self) -> Message:
        """Say the largest significant difference."""
        top = self.clear.loc[self.clear["difference"].abs().idxmax()]
        names: dict[str, Any] = {
            "path": _path(top["name"]),
            "by": Number(abs(top["difference"]), ".2f"),
            "first": str(top["first"]),
            "second": str(top["second"]),
        }
        if top["difference"] > 0:
            return say("{path} is {by} higher in {first} than in {second}", **names)
        return say("{path} is {by} lower in {first} than in {second}", **names)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences of paths against where chance puts them."""
        rows = self.pairs.rename(columns={"difference": "estimate", "null_low": "low", "null_high": "high"})
        rows = rows.sort_values("estimate", key=np.abs, ascending=False, kind="stable")
        names = rows["name"].str.replace("->", " → ") + ": " + _sides(rows)
        label = self.say("difference of paths; lines: {level} of the permutations")
        return dot_and_interval(names, rows, ax, label=label, zero=True)


def _path(name: str) -> Message:
    """Say the path `source->target` in words."""
    source, target = map(Label, name.split("->"))
    return say("the effect of {source} on {target}", source=source, target=target)


def _sides(rows: pd.DataFrame) -> pd.Series:
    return rows["first"].astype(str) + " − " + rows["second"].astype(str)


def measurement_invariance(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    group: str,
    permutations: int = 1000,
    level: float = 0.95,
    weights: Weights = None,
    rng: Rng = 0,
) -> MeasurementInvariance:
    """Test in three steps whether groups mean the same by the constructs (MICOM).

    Convention of step 2: each group's weights are fitted to items standardised in the group, and both are applied
    to the answers of the pair, standardised over the pair. Step 3 uses the weights of the pooled pair.

    Parameters
    ----------
    survey, model, weights
        As for `fit_pls`.
    group : str
        Column with the groups' names; every pair is tested.
    permutations : int
        Permutations of the labels within each pair.

    Raises
    ------
    CannotAnswer
        If there are fewer than two groups, one has fewer than 20 respondents, or PLS does not converge in a group.
    """
    study = GroupStudy.of(survey, model, group, weights, permutations, level)
    frames, failed = [], 0
    for (a, b), seed in zip(study.pairs, seeds(rng, len(study.pairs)), strict=True):
        part, code = study.part([a, b])
        pooled = fit_answers(part, model, along=study.along)
        found = study.permute(part, code, permutations, seed)
        failed += found.failed
        frames.append(_micom(study, pooled, part, found, level).assign(first=study.names[a], second=study.names[b]))
    table = pd.concat(frames, ignore_index=True)
    table.insert(table.columns.get_loc("c_p") + 1, "c_p_holm", holm(table["c_p"].to_numpy()))
    table.loc[table["c_p_holm"] < 1 - level, "invariance"] = "none"
    ends = ["first", "second", "construct"]
    return MeasurementInvariance(
        table[[*ends, *table.columns.difference(ends, sort=False)]], level, permutations, failed
    )


def compare_groups(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    group: str,
    invariance: MeasurementInvariance | None = None,
    permutations: int = 1000,
    level: float = 0.95,
    weights: Weights = None,
    rng: Rng = 0,
) -> GroupDifferences:
    """Test paths and R2 for differences between groups, by permuting the labels.

    Parameters
    ----------
    survey, model, group, permutations, level, weights, rng
        As for `measurement_invariance`, which should be asked first.
    invariance : MeasurementInvariance, optional
        What it said of the same groups: paths from, to and R2 of constructs that do not mean the same to two groups are
        left out.

    Raises
    ------
    WorkbenchError, CannotAnswer
        As `measurement_invariance`; or if nothing is left to compare, or a pair was not tested for invariance.
    """
    study = GroupStudy.of(survey, model, group, weights, permutations, level)
    everyone = list(range(len(study.names)))
    tests = [*study.pairs, *([everyone] if len(everyone) > 2 else [])]
    kept = [i for i, (quantity, _) in enumerate(study.layout.labels) if quantity in ("path", "r2")]
    labels = pd.DataFrame([study.layout.labels[i] for i in kept], columns=["quantity", "name"])
    frames, failed, groups = [], 0, labels
    for members, seed in zip(tests, seeds(rng, len(tests)), strict=True):
        found = study.permute(*study.part(members), permutations, seed)
        values = found.values[:, :, kept]
        failed += found.failed
        two = len(members) == 2
        apart = values[:, 0] - values[:, 1] if two else values.max(axis=1) - values.min(axis=1)
        first, second = (study.names[m] for m in members) if two else ("all", "all")
        frames.append(labels.assign(first=first, second=second, **against_chance(apart, "difference", "null_", level)))
        for place, member in enumerate(members):
            groups = groups.assign(**{str(study.names[member]): values[0, place]})
    table = pd.concat(frames, ignore_index=True).rename(columns={"difference_p": "p"})
    same = np.array([_same(row, invariance, model) for row in table.to_dict("records")])
    if not same.any():
        raise CannotAnswer(
            "not answerable: no path lies between constructs that mean the same to two groups. Compare answers item "
            "by item instead."
        )
    table, out = table[same].reset_index(drop=True), int((~same).sum())
    pairs = (table["first"] != "all").to_numpy()
    table.loc[pairs, "p_holm"] = holm(table.loc[pairs, "p"].to_numpy())
    return GroupDifferences(table, groups, level, permutations, failed, out)


def _same(row: dict[str, object], invariance: MeasurementInvariance | None, model: PathModel) -> bool:
    """Whether all constructs of a path or R2 mean the same to both groups (to all of them, for their range)."""
    if invariance is None:
        return True
    rows = invariance.table
    if row["first"] != "all":
        rows = rows[(rows["first"] == row["first"]) & (rows["second"] == row["second"])]
        if rows.empty:
            raise WorkbenchError(
                "invariance= says nothing of {first} and {second}. Test the same survey with "
                "measurement_invariance(survey, model, group=…), by the same column."
            ).of(row["first"], row["second"])
    name = str(row["name"])
    constructs = name.split("->") if row["quantity"] == "path" else [name, *model.paths[name]]
    return not ((rows["invariance"] == "none") & rows["construct"].isin(constructs)).any()


def _micom(study: GroupStudy, pooled: PlsFit, part: Answers, found: Permuted, level: float) -> pd.DataFrame:
    """Steps 2 and 3 for one pair."""
    layout = study.layout

    def by_construct(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, layout.start, axis=-1)

    own = np.equal.outer(layout.owner, layout.owner) * pooled.item_correlations.to_numpy()
    first, second = found.weight[:, 0], found.weight[:, 1]
    c = by_construct(first * (second @ own))
    c /= np.sqrt(by_construct(first * (first @ own)) * by_construct(second * (second @ own)))
    with one_thread():
        raw = pooled.estimates["weight"].to_numpy() / moments(part, np.ones((1, len(part.x)))).sd[0]
    means = by_construct(raw * found.mean)
    block = np.equal.outer(layout.owner, layout.owner) * np.outer(raw, raw)
    variances = by_construct((found.covariance * block).sum(axis=-1))
    table = pd.DataFrame({"construct": layout.model.names})
    table = table.assign(c=c[0], c_lowest=np.nanquantile(c, 1 - level, axis=0), c_p=share_of(c <= c[0] + 1e-12, c))
    table = table.assign(
        **against_chance(means[:, 0] - means[:, 1], "mean_difference", "mean_null_", level),
        **against_chance(np.log(variances[:, 0] / variances[:, 1]), "log_variance_ratio", "variance_null_", level),
    ).rename(columns={"mean_difference_p": "mean_p", "log_variance_ratio_p": "variance_p"})
    alike = (table["mean_p"] >= 1 - level) & (table["variance_p"] >= 1 - level)
    return table.assign(invariance=np.where(alike, "full", "partial"))
