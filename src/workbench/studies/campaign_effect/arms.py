"""Several arms: which did something, and is one better than another?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import WorkbenchError, unknown
from workbench.figures import Axes, axis_unit, dot_and_interval
from workbench.messages import Amount, Label, Listed, Message, Number, Span, Term, estimated, join, say
from workbench.methods.experiment.effect import Estimate, estimate_effect
from workbench.methods.experiment.members import CONTROL, require_members
from workbench.methods.intervals import require_level
from workbench.methods.multiple import holm
from workbench.result import Decision, Quantity, Result, Tile
from workbench.studies.campaign_effect.windows import EffectWindows, t_draws
from workbench.words import direction, label


@dataclass(frozen=True)
class ArmEffects(Result):
    """Effect of each arm against control, and of each arm against each other.

    Attributes
    ----------
    effects : DataFrame
        One row a comparison: arm, against, estimate, se, low, high (each by itself), low_joint, high_joint (all of the
        family hold at once, by max-t), p, p_holm (within the family: arms against control, arms against each
        other), members of both.
    alone : float
        Level of an interval against control by itself at which all of them hold together at `level`.
    """

    effects: pd.DataFrame
    control: str
    level: float
    outcome: str
    binary: bool
    unit: str = ""
    campaign: str = ""
    doubts: tuple[Message, ...] = ()
    alone: float = 0.95

    NAME, COUNTS, TOTALS, TABLE = "arm_effects", "members", None, "effects"
    CHART = say("Dots with intervals, a row a comparison")
    EFFECTS = "estimate", "se", "low", "high", "low_joint", "high_joint"
    FORMATS = dict.fromkeys(EFFECTS, "{:.2f}")

    def against_control(self, arm: str | None = None) -> pd.Series:
        """Give the row of an arm against control; of the one with the largest effect if None."""
        rows = self.effects[self.effects["against"] == self.control].set_index("arm", drop=False)
        if arm is not None and arm not in rows.index:
            raise unknown("arm", arm, rows.index)
        return rows.loc[rows["estimate"].idxmax() if arm is None else arm]

    def level_of(self, arm: str) -> float:
        """Give the level at which an interval of this arm alone says no more than all arms together do."""
        row, arms = self.against_control(arm), int(self.effects["against"].eq(self.control).sum())
        held_back_by_holm = self._shown(row) != 0 and row["p_holm"] >= 1 - self.level
        return 1 - (1 - self.level) / arms if held_back_by_holm else self.alone

    def _said(self, row) -> Message:
        gain = Amount(row.estimate, self.binary, self.unit, signed=True)
        return say("{arm} {effect}", arm=Label(row.arm), effect=estimated(gain, row.low_joint, row.high_joint))

    def _shown(self, row, least: float = 0.0) -> int:
        """Say on which side of `least` the joint interval lies, as it is printed: 1 above, -1 below, 0 neither."""
        scale = 100 if self.binary else 1
        return direction(scale * (row.low_joint - least), scale * (row.high_joint - least))

    def headline(self) -> Message:
        """Say which arms changed the outcome after Holm, and whether the highest of them beats the others."""
        if self.doubts:
            return say("Not answerable: {reason}.", reason=self.doubts[0])
        against = self.effects[self.effects["against"] == self.control].sort_values("estimate", ascending=False)
        shown = np.array([self._shown(row) != 0 for row in against.itertuples()])
        clear = against[shown & (against["p_holm"] < 1 - self.level)]
        found: dict[str, Any] = {"arms": len(against), "outcome": Label(self.outcome)}
        if clear.empty:
            said = self._said(next(against.itertuples()))
            nothing = say(
                "No evidence that any of the {arms} offers changed {outcome}; the highest: {highest} a member.",
                highest=said,
                **found,
            )
            return join(nothing, say("Tested with Holm's correction; the intervals are simultaneous."))
        first, last = clear.iloc[0], clear.iloc[-1]
        found |= {"clear": len(clear)}
        if first["estimate"] > 0:
            said = self._said(first)
            lead = say(
                "{clear} of {arms} offers changed {outcome}; the best: {highest} a member.", highest=said, **found
            )
        else:
            lead = say(
                "No offer raised {outcome}, and {clear} of {arms} lowered it; the worst: {lowest} a member.",
                lowest=self._said(last),
                **found,
            )
        effects = Listed(tuple(map(self._said, clear.itertuples())), ";")
        return join(
            lead,
            say("Significant after Holm's correction, with simultaneous intervals: {effects}.", effects=effects),
            self._rivals(first),
        )

    def _rivals(self, best: pd.Series) -> Message:
        """Say whether an arm that raised the outcome beats every other."""
        if best["estimate"] <= 0:
            return say("")
        arm = best["arm"]
        rivals = self.effects[(self.effects["against"] != self.control) & (self.effects["p_holm"] >= 1 - self.level)]
        tied = sorted({*rivals.loc[rivals["arm"] == arm, "against"], *rivals.loc[rivals["against"] == arm, "arm"]})
        if not tied:
            return say("'{arm}' beats every other offer.", arm=Label(arm))
        others = Listed(tuple(say("'{name}'", name=Label(str(name))) for name in tied), "")
        return say("'{arm}' does not differ significantly from {others}.", arm=Label(arm), others=others)

    def tiles(self) -> tuple[Tile, ...]:
        """Give the effect of the arm with the largest; none where the checks forbid the claim."""
        if self.doubts:
            return ()
        best, scale = self.against_control(), 100 if self.binary else 1
        label = say("'{arm}' against control, {unit} a member", arm=Label(best["arm"]), unit=self._unit)
        ends = Span(scale * best["low_joint"], scale * best["high_joint"])
        return (Tile(label, Number(scale * best["estimate"], signed=True), ends),)

    def decision(self, over_time: EffectWindows, arm: str | None = None, *, break_even: float = 0.0) -> Decision:
        """Say whether to keep an arm (the one with the largest effect if None), given what else it did.

        Parameters
        ----------
        over_time : EffectWindows
            Of this arm against control, with the guards.
        break_even : float
            Effect a member that pays the costs of contacting one.
        """
        if doubts := self.doubts or over_time.doubts:
            nothing = say("Decide nothing on this campaign, for it cannot be answered: {reason}.", reason=doubts[0])
            again = say("Repeat it with arms drawn at random and enough members.")
            return Decision((nothing, again), say("a repeat drawn at random."))
        row, guards = self.against_control(arm), over_time.guards
        name, least = Label(row["arm"]), Amount(break_even, self.binary, self.unit)
        gain = Amount(row["estimate"], self.binary, self.unit, signed=True)
        brings = say(
            "It brings {effect} a member; a contact pays from {least} on.",
            effect=estimated(gain, row["low_joint"], row["high_joint"]),
            least=least,
        )
        if over_time.broken:
            raised = Listed(tuple(map(Label, over_time.broken)))
            stop = say("Do not repeat '{arm}': it raised {guards}.", arm=name, guards=raised)
            mend = say("Test a milder contact: it pays from {least} a member on.", least=least)
            return Decision((stop, mend), say("a test that rules out such harm."))
        if not (self._shown(row, break_even) > 0 and row["p_holm"] < 1 - self.level):
            stop = say("Do not keep '{arm}' on this evidence: it is not shown to pay its cost.", arm=name)
            return Decision(
                (stop, brings), say("a repeat whose whole interval lies above {least} a member.", least=least)
            )
        keep = say("Keep '{arm}': it is shown to pay its cost.", arm=name)
        if untold := guards.loc[guards["verdict"].isin(["not shown", "cannot be told"]), "guard"].tolist():
            keep = say(
                "Repeat '{arm}' with a control group only: it is shown to pay, but more {guards} are not ruled out.",
                arm=name,
                guards=Listed(tuple(map(Label, untold))),
            )
        change = say(
            "a repeat whose interval reaches {least} a member, or that does more harm than its margin.", least=least
        )
        return Decision((keep, brings), change)

    def caption(self) -> Message:
        """Say what the table shows."""
        return say("Arms against control and each other, {unit} per member.", unit=self._unit)

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return self.say(
            "Effect of each arm on {outcome}, {unit} per member, with simultaneous intervals.", unit=self._unit
        )

    @property
    def _unit(self) -> Term:
        return Term("percentage points") if self.binary else Term(self.unit or "units of the outcome")

    def quantities(self) -> Iterable[Quantity]:
        """Name each effect against control; none where the checks forbid the claim."""
        if self.doubts:
            return
        unit = "share" if self.binary else self.unit or "1"
        for place, row in enumerate(self.effects.itertuples()):
            if row.against == self.control:
                where = label(self.campaign, outcome=self.outcome, arm=row.arm)
                yield Quantity(f"effect{where}", row.estimate, unit, row.low, row.high, row=place)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the comparisons with their joint intervals."""
        table = self.effects[["estimate", "low_joint", "high_joint"]].set_axis(["estimate", "low", "high"], axis=1)
        names = [
            say("{arm} − {against}", arm=Label(r.arm), against=Label(r.against)) for r in self.effects.itertuples()
        ]
        scaled = table * (100 if self.binary else 1)
        what = self.say("effect on {outcome} per member ({unit})", unit=axis_unit(self.unit, self.binary))
        return dot_and_interval(names, scaled, ax, label=what, zero=True)


def arm_effects(
    members: pd.DataFrame,
    *,
    outcome: str,
    arm: str,
    control: str = CONTROL,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    level: float = 0.95,
    checks: Sequence = (),
    unit: str = "",
    campaign: str = "",
) -> ArmEffects:
    """Estimate the effect of each arm against control and against each other, with Holm's correction.

    Each comparison is `average_effect` on the members of its two arms, so that a third arm cannot touch it.

    Parameters
    ----------
    members : DataFrame
        One row a member; all arms.
    outcome, covariates, clusters, level, unit, campaign
        As in `average_effect`.
    arm : str
        Column of the arms' names.
    control : str
        The arm without contact.
    checks : sequence of CampaignChecks
        Of the arms against control; where one finds them not comparable, the headline refuses.

    Raises
    ------
    WorkbenchError
        If the column has a gap, one contact arm or none, or no control.
    CannotAnswer
        As `average_effect`.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> table = pd.DataFrame({"arm": ["control", "sms", "call"] * 3, "y": [1.0, 2, 3, 2, 3, 4, 3, 4, 5]})
    >>> arm_effects(table, outcome="y", arm="arm").effects[["arm", "against", "estimate"]].to_numpy().tolist()
    [['call', 'control', 2.0], ['sms', 'control', 1.0], ['call', 'sms', 1.0]]
    """
    require_level(level)
    require_members(members, [arm])
    if members[arm].isna().any():
        raise WorkbenchError("'{arm}' is missing for {n} of {all} members.").of(
            arm, int(members[arm].isna().sum()), len(members)
        )
    names = sorted(members[arm].unique().tolist(), key=str)
    if control not in names or len(names) < 3:
        raise WorkbenchError(
            "'{arm}' has the values {names}: '{control}' and two further arms or more are needed. For one arm use "
            "average_effect; give another name of the control as control=."
        ).of(arm, names[:8], control)
    contacted = [name for name in names if name != control]
    pairs = [(name, control) for name in contacted], list(combinations(contacted, 2))
    tables, found, alone = [], [], []
    for family in pairs:
        for one, other in family:
            pair = members[members[arm].isin([one, other])]
            pair = pair.assign(**{arm: (pair[arm] == one).astype(int)})
            found.append(
                estimate_effect(pair, outcome=outcome, treatment=arm, covariates=covariates, clusters=clusters)
            )
        table, wrong = _family(family, found[-len(family) :], level, _correlated(members, outcome, arm, family))
        tables.append(table)
        alone.append(1 - wrong)
    doubts = [reason for check in checks if not check.comparable for reason in check.reasons]
    doubts += [reason for effect in found for reason in effect.doubts]
    binary = all(effect.binary for effect in found)
    table = pd.concat(tables, ignore_index=True)
    return ArmEffects(table, control, level, outcome, binary, unit, campaign, tuple(dict.fromkeys(doubts)), alone[0])


def _correlated(members: pd.DataFrame, outcome: str, arm: str, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """Covariance of the plain mean differences: comparisons that share an arm share its error.

    An arm in which nothing varies is taken to vary like all members.
    """
    overall = members[outcome].var()
    spread = members.groupby(arm)[outcome].agg(lambda y: (y.var() or overall) / len(y))
    names = spread.index.to_numpy()
    contrast = np.array([(names == one) * 1.0 - (names == other) for one, other in pairs])
    return (contrast * spread.to_numpy()) @ contrast.T


def _family(
    pairs: Sequence[tuple[str, str]], found: Sequence[Estimate], level: float, covariance: np.ndarray
) -> tuple[pd.DataFrame, float]:
    fewest, wrong = min(estimate.errors.df for estimate in found), 1 - level
    if len(found) > 1 and (np.diag(covariance) > 0).all():
        furthest = np.abs(t_draws(covariance, fewest, np.random.default_rng(0))).max(axis=1)
        alone = 2 * stats.t.sf(np.quantile(furthest, level), fewest)
        wrong = float(np.clip(alone, wrong / len(found), wrong))
    rows = [estimate.result(level) for estimate in found]
    columns = ["estimate", "se", "low", "high", "p_value"]
    table = pd.DataFrame([[getattr(row, name) for name in columns] for row in rows], columns=columns)
    table.insert(0, "arm", [one for one, _ in pairs])
    table.insert(1, "against", [other for _, other in pairs])
    table = table.rename(columns={"p_value": "p"})
    table[["low_joint", "high_joint"]] = [estimate.interval(1 - wrong)[:2] for estimate in found]
    members = [row.n_treated + row.n_control for row in rows]
    return table.assign(p_holm=holm(table["p"].to_numpy()), members=members), wrong
