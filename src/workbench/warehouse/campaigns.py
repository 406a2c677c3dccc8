"""Who was in a campaign, in which arm, and what was known of them on the day they were assigned?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_known, unknown
from workbench.messages import Message, Term, join, say
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, customer_features, require_warehouse
from workbench.warehouse.views import view

CONTROL = "control"


@dataclass(frozen=True, eq=False)
class CampaignArms:
    """The members of one arm and of the control arm, with outcomes and what was known before.

    Attributes
    ----------
    members : DataFrame
        One row a member: customer_id, treatment (1 in the arm, 0 in control; the arms' names where all were asked
        for), contacted, the outcomes, the covariates.
    outcomes, covariates : tuple of str
        Columns of `members`.
    facts : Series
        The row of the canonical table `campaign`.
    others : int
        Members of further arms, left out here.
    unknown_before : int
        Members of whom nothing was known on the day of assignment; their covariates are missing.
    """

    members: pd.DataFrame
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    facts: pd.Series
    others: int
    unknown_before: int

    def headline(self) -> Message:
        """Say when the members were contacted, and who and what is among them."""
        first, last = self.facts["starts_on"], self.facts["ends_on"]
        return join(
            say("Contact from {first}, outcomes until {last}.", first=first, last=last),
            say("Members of other arms, left out: {n}.", n=self.others),
            say("Members of whom nothing was known before: {n}.", n=self.unknown_before),
            say("What was known before assignment: {n} columns.", n=len(self.covariates)),
        )

    def caption(self) -> Message:
        """Say what `means` shows."""
        return say(
            "Members and mean outcomes by arm ({name}, assignment: {assignment}).",
            name=str(self.facts["name"]),
            assignment=Term(str(self.facts["assignment"])),
        )

    def means(self) -> pd.DataFrame:
        """Give members and mean outcomes by arm."""
        by_arm = self.members.groupby("treatment")
        names = {0: CONTROL, 1: "contact"}
        return by_arm[list(self.outcomes)].mean().assign(members=by_arm.size()).rename(index=names).rename_axis("arm")

    def cost(self, name: str, given: float, outcome: str = "") -> float:
        """Give a cost or margin: the given one, or, where that is -1, the campaign's own.

        Raises
        ------
        WorkbenchError
            If neither is there, or the given one is another negative number.
        CannotAnswer
            If the campaign's own margin, which is on revenue, is asked for on an outcome of 0 and 1.
        """
        if given >= 0:
            return given
        if given != -1:
            raise WorkbenchError("{name} is {given}. Give 0 or more, or -1 for what the campaign declares.").of(
                name, f"{given:g}"
            )
        if name == "margin" and outcome and len(self.members[outcome].unique()) <= 2:
            raise CannotAnswer(
                "not answerable in money: the margin of campaign '{campaign}' is on revenue, and '{outcome}' is none. "
                "Pass -p margin=1 and the costs as shares of what a success earns."
            ).of(self.facts["campaign_id"], outcome)
        if pd.isna(self.facts[name]):
            raise WorkbenchError(
                "campaign '{campaign}' declares no {name}. Pass it: -p {name}=NUMBER, or add it to the mapping."
            ).of(self.facts["campaign_id"], name)
        return float(self.facts[name])


def campaign_arms(
    warehouse: Warehouse,
    campaign: str,
    *,
    arm: str,
    as_of: date | str,
    outcome: str | None = None,
    randomised: bool | None = None,
) -> CampaignArms:
    """Give an arm of a campaign beside its control arm, with covariates as of the day of assignment.

    A source that carries covariates with its members keeps them; else they are the customer features of that day,
    without those that say nothing (constant or empty among the members).

    Parameters
    ----------
    warehouse : Warehouse
    campaign : str
        Its campaign_id.
    arm : str
        The arm that is compared with control; "" for all arms, by name.
    as_of : date or str
        The outcome window must have closed before it.
    outcome : str, optional
        Refused here already if the campaign has no such outcome.
    randomised : bool, optional
        Refuse a campaign whose members were not randomised; if false, one whose members were.

    Raises
    ------
    WorkbenchError
        If campaign, arm or outcome are unknown; the nearest is suggested.
    CannotAnswer
        If the outcome window is still open on `as_of`, members were assigned on different days or, where that is asked
        for, not at random (or at random), or the campaign went to whole provinces.
    """
    require_warehouse(warehouse)
    campaigns = warehouse.table("campaign").set_index("campaign_id", drop=False)
    where = say("the warehouse of '{source}'", source=warehouse.source)
    require_known("campaign", campaign, campaigns.index, where)
    facts = campaigns.loc[campaign]
    if pd.notna(facts["provinces"]):
        raise CannotAnswer(
            "campaign '{campaign}' went to whole provinces, not to members: the study 'rollout' says what it changed."
        ).of(campaign)
    if randomised and facts["assignment"] != "randomised":
        raise CannotAnswer(
            "the members of campaign '{campaign}' were not randomised: the study 'observational' says what it changed."
        ).of(campaign)
    if randomised is False and facts["assignment"] == "randomised":
        raise CannotAnswer(
            "the members of campaign '{campaign}' were randomised: the study 'uplift' says what it changed, and need "
            "not assume that they are alike."
        ).of(campaign)
    day = as_date(as_of)
    if facts["ends_on"].date() >= day:
        raise CannotAnswer(
            "the outcome window of campaign '{campaign}' runs until {end}, and only what happened before {day} "
            "counts. Ask again with as_of after that day."
        ).of(campaign, facts["ends_on"], day)
    wide = warehouse.campaign(campaign)
    known_arms = sorted(wide["arm"].unique())
    if CONTROL not in known_arms:
        raise CannotAnswer("campaign '{campaign}' has no control arm. It has: {names}.").of(campaign, known_arms)
    if arm and (arm not in known_arms or arm == CONTROL):
        raise unknown("arm", arm, [a for a in known_arms if a != CONTROL], say("campaign '{name}'", name=campaign))
    values = view(warehouse, "campaign_value", campaign=campaign)
    outcomes, own = (values.loc[values["kind"] == kind, "name"].tolist() for kind in ("outcomes", "covariates"))
    if outcome is not None and outcome not in outcomes:
        raise unknown("outcome", outcome, outcomes, say("campaign '{name}'", name=campaign))
    kept = wide[wide["arm"].isin([arm, CONTROL])].reset_index(drop=True) if arm else wide
    members = kept.assign(treatment=(kept["arm"] == arm).astype(int) if arm else kept["arm"])
    covariates: Sequence[str] = list(own)
    missing = 0
    if not own:
        members, covariates, missing = _with_features(warehouse, members, facts)
    columns = ["customer_id", "treatment", "contacted", *outcomes, *covariates]
    return CampaignArms(members[columns], tuple(outcomes), tuple(covariates), facts, len(wide) - len(kept), missing)


def _with_features(
    warehouse: Warehouse, members: pd.DataFrame, facts: pd.Series
) -> tuple[pd.DataFrame, Sequence[str], int]:
    assigned = members["assigned_on"].fillna(facts["starts_on"])
    if assigned.min() < assigned.max():
        raise CannotAnswer(
            "members of campaign '{campaign}' were assigned from {assigned} to {last}. What was known before is "
            "taken as of one day: split the campaign by day."
        ).of(facts["campaign_id"], assigned.min(), assigned.max())
    features = customer_features(warehouse, assigned.iloc[0].date())
    joined = members.merge(features, on="customer_id", how="left", validate="one_to_one")
    distinct = joined[features.columns.drop("customer_id")].nunique()
    covariates = distinct.index[distinct > 1].tolist()
    return joined, covariates, int(joined[features.columns[1]].isna().sum())
