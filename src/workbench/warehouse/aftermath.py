"""What happened to a campaign's members after their assignment? Windows of days, cut from bills, lines and cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from workbench.catalogue import label
from workbench.columns import MOST_ASIDE
from workbench.days import month_after
from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.messages import Day, Listed, Message, Named, join, say
from workbench.warehouse.connect import Warehouse
from workbench.warehouse.features import as_date, spans
from workbench.warehouse.views import view

# Outcomes that are counted in a table of dated facts.
_COUNTED = {"complaints": "ticket", "calls_to_us": "contact", "events": "detail_record"}


@dataclass(frozen=True, eq=False)
class CampaignWindows:
    """A campaign's members with what followed their assignment.

    Attributes
    ----------
    members : DataFrame
        What `Warehouse.campaign` gives (all arms), then by window of n days: revenue_n (bills of the months that lie in
        it), complaints_n, calls_to_us_n (contacts that customers began), events_n (detail records), churned_n; then
        revenue_before (a month, mean of the three months before, of those of which bills were delivered), days_known
        (days from assignment to the end of the last line or to as_of), left_us (1 where the last line ended), follow-up
        for curves of survival.
    days : tuple of int
        Windows that closed before as_of.
    not_available : tuple of Message
        What was asked for and cannot be given, each with its reason.
    other_day : int
        Members left out, as they were assigned on another day than the others.
    """

    members: pd.DataFrame
    days: tuple[int, ...]
    not_available: tuple[Message, ...]
    other_day: int = 0

    def headline(self) -> Message:
        """Say what cannot be given, and who is left out."""
        said = say("All windows are closed.")
        if self.not_available:
            said = say("Not available: {reasons}.", reasons=Listed(self.not_available, ";"))
        odd = say("Left out, as they were assigned on another day than the others: {n} members.", n=self.other_day)
        return join(said, *[odd] * bool(self.other_day))

    def outcomes(self, name: str = "revenue") -> dict[int, str]:
        """Give the columns of an outcome by window, as `effect_windows` takes them."""
        found = {n: f"{name}_{n}" for n in self.days if f"{name}_{n}" in self.members}
        if not found:
            kinds = sorted({c.rsplit("_", 1)[0] for c in self.members if c.rsplit("_", 1)[-1] in map(str, self.days)})
            raise unknown("outcome by window", name, kinds, "the campaign's windows")
        return found


def campaign_windows(
    warehouse: Warehouse, campaign: str, *, days: Sequence[int] = (30, 60, 90, 180), as_of: date | str | None = None
) -> CampaignWindows:
    """Give all members of a campaign with outcomes within n days of their assignment, from bills, lines, cases and use.

    Bills are monthly: a window of n days takes n // 30 whole months, from the month of assignment where that was its
    first day, else from the next one.

    Raises
    ------
    WorkbenchError
        If there is no such campaign, or a window is shorter than a month.
    CannotAnswer
        If no window closed before `as_of`, or over a twentieth of the members were assigned on other days.
    """
    day = as_date(as_of or warehouse.as_of)
    if not days or min(days) < 30:
        raise WorkbenchError("days={days}: a window takes whole months of bills. Give 30 days or more.").of(
            str(tuple(days))
        )
    members = warehouse.campaign(campaign)
    life = view(warehouse, "campaign_member_life", campaign=campaign, as_of=day)
    on = life["assigned_on"].mode()[0]
    start, same = on.date(), life["assigned_on"] == on
    if (other_day := int((~same).sum())) > MOST_ASIDE * len(life):
        raise CannotAnswer("members of campaign '{campaign}' were assigned on different days: split it by day.").of(
            campaign
        )
    first = start if start.day == 1 else month_after(start)
    closed = tuple(n for n in sorted(set(days)) if max(start + timedelta(n), month_after(first, n // 30)) <= day)
    missing = [say("{n} days: the window is open on {day}", n=n, day=day) for n in sorted(set(days)) if n not in closed]
    if not closed:
        raise CannotAnswer("no window of campaign '{campaign}', assigned on {start}, closed before {day}.").of(
            campaign, start, day
        )
    found = {n: view(warehouse, "campaign_member_window", campaign=campaign, days=n) for n in closed}
    billed = set(view(warehouse, "billed_month")["month"].dt.date)
    unbilled = {n: [m for m in (month_after(first, k) for k in range(n // 30)) if m not in billed] for n in closed}
    columns = {f"revenue_{n}": found[n]["revenue"] for n in closed if not unbilled[n]}
    missing += [
        say("revenue of {n} days: no bill of {month} is on record", n=n, month=Day(f"{gaps[0]:%Y-%m}"))
        for n, gaps in unbilled.items()
        if gaps
    ]
    on_record = spans(warehouse)
    for name, table in _COUNTED.items():
        begin = on_record[table][0] if table in on_record else None
        if begin is None or begin > start:
            lacks = say("no rows") if begin is None else say("rows from {day} only", day=Day(begin))
            missing.append(say("{name}: {table} has {lacks}", name=_named(name), table=table, lacks=lacks))
        else:
            columns |= {f"{name}_{n}": found[n][name] for n in closed}
    for n in closed:
        gone = (life["left_us"] == 1) & (life["days_known"] < n)
        columns[f"churned_{n}"] = gone.astype(float).where(life["left_us"].notna())
    if life["revenue_before"].notna().any():
        columns["revenue_before"] = life["revenue_before"]
    else:
        missing.append(say("{name}: no bill of the three months before is on record", name=_named("revenue_before")))
    wide = members.assign(**columns, days_known=life["days_known"], left_us=life["left_us"])
    return CampaignWindows(wide[same.to_numpy()].reset_index(drop=True), closed, tuple(missing), other_day)


def exposures(warehouse: Warehouse, campaign: str) -> pd.DataFrame:
    """Give what else reached a campaign's members, 90 days around their assignment: the view `campaign_exposure`."""
    warehouse._check("campaign", "campaign_id", campaign)
    return view(warehouse, "campaign_exposure", campaign=campaign, days=90)


def other_contacts(warehouse: Warehouse, campaign: str) -> pd.DataFrame:
    """Give the contacts that other campaigns delivered: the view `campaign_contact`."""
    warehouse._check("campaign", "campaign_id", campaign)
    return view(warehouse, "campaign_contact", campaign=campaign)


def closed_campaigns(
    warehouse: Warehouse, *, outcome: str, covariate: str = "", as_of: date | str | None = None
) -> pd.DataFrame:
    """Give the members of all randomised campaigns whose window closed before `as_of`, for a ledger.

    Returns
    -------
    DataFrame
        One row a member and campaign: the view `closed_campaign_member`, with outcome and covariate by their names.

    Raises
    ------
    CannotAnswer
        If no such campaign has the outcome.
    """
    day = as_date(as_of or warehouse.as_of)
    found = view(warehouse, "closed_campaign_member", outcome=outcome, covariate=covariate, as_of=day)
    if found.empty:
        raise CannotAnswer("no randomised campaign that closed before {day} has the outcome '{name}'.").of(day, outcome)
    twice = ["responded"] * ("responded" in (outcome, covariate))
    named = {"outcome": outcome, "known": covariate}
    return found.drop(columns=twice).rename(columns=named).drop(columns="", errors="ignore")


def campaign_series(warehouse: Warehouse, members: pd.DataFrame, *, channel: str) -> pd.DataFrame:
    """Give those members whose campaigns ran on one channel with windows of one length, as one running series.

    Parameters
    ----------
    warehouse : Warehouse
    members : DataFrame
        As `closed_campaigns` gives them.
    channel : str
        Channel of the campaigns.

    Returns
    -------
    DataFrame
        As `members`, of the channel's campaigns with the commonest length in months; with ends_on, the day on which
        their window closed.

    Raises
    ------
    CannotAnswer
        If no campaign of the members ran on that channel.
    """
    facts = warehouse.table("campaign")
    facts = facts[facts["campaign_id"].isin(members["campaign_id"])]
    if channel not in set(facts["channel"]):
        known = sorted(facts["channel"].dropna().unique())
        raise CannotAnswer("no campaign that closed ran on channel '{name}'. They ran on: {names}.").of(channel, known)
    facts = facts[facts["channel"] == channel]
    months = ((facts["ends_on"] - facts["starts_on"]).dt.days / 30.4).round()
    return members.merge(facts.loc[months == months.mode()[0], ["campaign_id", "ends_on"]], on="campaign_id")


def province_panel(warehouse: Warehouse, campaign: str, *, kind: str = "person") -> pd.DataFrame:
    """Give monthly revenue by province around a roll-out to whole provinces, for difference in differences.

    Returns
    -------
    DataFrame
        One row a province and month up to the roll-out's end: the view `province_month`.

    Raises
    ------
    WorkbenchError
        If there is no such campaign or kind of customer.
    CannotAnswer
        If the campaign names no provinces.
    """
    warehouse._check("campaign", "campaign_id", campaign)
    warehouse._check("customer", "kind", kind)
    facts = warehouse.table("campaign").set_index("campaign_id").loc[campaign]
    if pd.isna(facts["provinces"]):
        raise CannotAnswer(
            "campaign '{campaign}' names no provinces but members: the study 'uplift' says what it changed, or "
            "'observational' where they were not randomised."
        ).of(campaign)
    return view(warehouse, "province_month", campaign=campaign, kind=kind, as_of=warehouse.as_of)


def _named(column: str) -> Named:
    return Named(column, label(column, "zh"))
