"""Other campaigns reached the same members meanwhile: one arm more than the other?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench import columns
from workbench.errors import WorkbenchError, require_columns
from workbench.messages import Message, Number, Share, Span, Term, say
from workbench.methods.experiment.checks import ALARM
from workbench.methods.experiment.effect import AverageEffect, average_effect
from workbench.methods.experiment.members import arms, require_members
from workbench.result import Quantity, Result
from workbench.words import label

EXPOSED = "contacted by others"


@dataclass(frozen=True)
class Contamination(Result):
    """How many members other campaigns contacted in the window, by arm, and what that may do to the effect.

    Attributes
    ----------
    exposed : AverageEffect or None
        Share contacted by others: difference of the arms; None where nobody was, or everybody.
    effects : dict of str to AverageEffect
        "all members", and "not contacted by others": the second compares only such members. It is a sensitivity, not an
        effect of randomisation, where contact itself changed who else was contacted.
    contacts : int
        Contacts by other campaigns in the window, of members or not.
    """

    exposed: AverageEffect | None
    share_treated: float
    share_control: float
    effects: dict[str, AverageEffect]
    contacts: int
    campaign: str = ""

    @property
    def comparable(self) -> bool:
        """False where other campaigns reached one arm more than the other (p < 0.001)."""
        return self.exposed is None or self.exposed.p_value >= ALARM

    @property
    def reasons(self) -> tuple[Message, ...]:
        """Why the difference is not this campaign's alone."""
        if self.exposed is None or self.comparable:
            return ()
        return (
            say(
                "other campaigns contacted {treated} of the treated and {control} of the control in the window, "
                "p = {p}",
                treated=Share(self.share_treated),
                control=Share(self.share_control),
                p=Number(self.exposed.p_value, ".1g"),
            ),
        )

    def headline(self) -> Message:
        """Say whether other campaigns reached the arms alike."""
        if not self.comparable:
            return say(
                "Contaminated: {reason}. The difference of the arms is that of all campaigns together.",
                reason=self.reasons[0],
            )
        shares = say(
            "{treated} of the treated, {control} of the control",
            treated=Share(self.share_treated),
            control=Share(self.share_control),
        )
        if self.exposed is None:
            if not self.share_treated:
                return say(
                    "Other campaigns contacted no member in the window ({n} contacts of others).", n=self.contacts
                )
            return say("Other campaigns contacted all members in the window ({shares}).", shares=shares)
        gap = Span(100 * self.exposed.low, 100 * self.exposed.high)
        if self.exposed.low <= 0 <= self.exposed.high:
            return say(
                "Other campaigns show no difference between the arms: {shares}, difference in points {gap}.",
                shares=shares,
                gap=gap,
            )
        return say(
            "Other campaigns may differ between the arms: {shares}, difference in points {gap}.", shares=shares, gap=gap
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the share contacted by others and the effect with and without them."""
        rows = {EXPOSED: self.exposed} if self.exposed else {}
        rows |= {say("effect, {group}", group=Term(name)): found for name, found in self.effects.items()}
        columns = ["estimate", "se", "low", "high", "n_treated", "n_control"]
        return pd.DataFrame([[n, *(getattr(e, c) for c in columns)] for n, e in rows.items()], columns=["of", *columns])

    def quantities(self) -> Iterable[Quantity]:
        """Name the difference of the shares contacted by others."""
        if self.exposed:
            found = self.exposed
            yield Quantity(f"contamination{label(self.campaign)}", found.estimate, "share", found.low, found.high)


def contamination(
    members: pd.DataFrame,
    exposures: pd.DataFrame,
    *,
    member: str,
    treatment: str,
    on: str,
    window: tuple[object, object],
    outcome: str | None = None,
    covariates: Sequence[str] = (),
    clusters: str | None = None,
    level: float = 0.95,
    unit: str = "",
    campaign: str = "",
) -> Contamination:
    """Compare how often other campaigns contacted the arms within the outcome window.

    Parameters
    ----------
    members : DataFrame
        One row a member; both arms.
    exposures : DataFrame
        One row a contact by another campaign; this campaign's own contacts left out.
    member : str
        Column that identifies a member, in both tables.
    treatment, outcome, covariates, clusters, level, unit, campaign
        As in `average_effect`; without outcome only the contacts are compared.
    on : str
        Column of `exposures` with the date of the contact.
    window : two dates
        First day, and the day after the last.

    Raises
    ------
    WorkbenchError
        If a column is missing, members repeat, a date is missing, or the window is empty.
    """
    require_members(members, [member, treatment])
    require_columns(exposures, [member, on], "exposures")
    since, until = columns.day(window[0], "window[0]"), columns.day(window[1], "window[1]")
    if not since < until:
        raise WorkbenchError("the window from {since} to before {until} is empty.").of(since, until)
    dates, placeholder = columns.days(exposures[on], on)
    if members[member].duplicated().any() or members[member].isna().any():
        raise WorkbenchError("members repeat or lack '{member}': keep one row a member, each with an identifier.").of(
            member
        )
    if dates.isna().any():
        raise WorkbenchError(
            "'{on}' is missing for {n} exposures ({placeholders} of them a placeholder): a contact of an unknown day "
            "may lie in the window, so mend them first."
        ).of(on, dates.isna().sum(), placeholder.sum())
    treated = arms(members, treatment)
    inside = ((dates >= since) & (dates < until)).to_numpy()
    listed, others = (columns.category(table[member], member) for table in (members, exposures))
    reached = listed.isin(others[inside]).to_numpy()
    how: dict[str, Any] = {"treatment": treatment, "clusters": clusters, "level": level, "campaign": campaign}
    shares = float(reached[treated].mean()), float(reached[~treated].mean())
    mixed = 0 < reached.sum() < len(reached)
    marked = members.assign(**{EXPOSED: reached.astype(float)})
    exposed = average_effect(marked, outcome=EXPOSED, **how) if mixed else None
    effects = {}
    if outcome is not None:
        how |= {"outcome": outcome, "covariates": covariates, "unit": unit}
        effects["all members"] = average_effect(members, **how)
        if mixed:
            effects["not contacted by others"] = average_effect(members[~reached], **how)
    return Contamination(exposed, *shares, effects, int(inside.sum()), campaign)
