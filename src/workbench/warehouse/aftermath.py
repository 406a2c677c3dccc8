"""What happened to a campaign's members after their assignment? Windows of days, cut from bills, lines and cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.warehouse.connect import Warehouse

_LIFE = """
WITH member AS (
    SELECT customer_id, coalesce(assigned_on, starts_on) AS day
    FROM campaign_member JOIN campaign USING (campaign_id) WHERE campaign_id = $campaign
), life AS (
    SELECT customer_id, count(*) AS lines,
        CASE WHEN count(*) = count(ended_on) FILTER (ended_on < $as_of) THEN max(ended_on) END AS left_on
    FROM subscription GROUP BY customer_id
)
SELECT customer_id, day, CAST(date_diff('day', day, least(coalesce(left_on, $as_of), $as_of)) AS DOUBLE) AS days_known,
    CASE WHEN lines > 0 THEN CAST(left_on IS NOT NULL AS INTEGER) END AS left_us
FROM member LEFT JOIN life USING (customer_id) ORDER BY customer_id
"""
# By member, one column a window: bills of whole months, and what has a day. A member has one row in a campaign.
_MEMBER = """SELECT customer_id, {sums} FROM (
    SELECT customer_id, CAST(coalesce(assigned_on, starts_on) AS DATE) AS assigned
    FROM campaign_member JOIN campaign USING (campaign_id) WHERE campaign_id = $campaign
) JOIN {table} USING (customer_id) WHERE {which} GROUP BY customer_id"""
_DATED = {
    "complaints": ("ticket", "opened_at", "kind = 'complaint'"),
    "calls_to_us": ("contact", "contacted_at", "direction = 'in'"),
    "events": ("detail_record", "started_at", "TRUE"),
}
_EXPOSURES = """
WITH own AS (
    SELECT customer_id, coalesce(assigned_on, starts_on) AS day
    FROM campaign_member JOIN campaign USING (campaign_id) WHERE campaign_id = $campaign
), other AS (
    SELECT customer_id, coalesce(assigned_on, starts_on) AS other_day, contacted AND arm <> 'control' AS reached,
        assignment
    FROM campaign_member JOIN campaign USING (campaign_id) WHERE campaign_id <> $campaign
)
SELECT customer_id, count(other_day) FILTER (other_day < day) AS offers_before,
    count(other_day) FILTER (other_day < day AND reached) AS contacts_before,
    count(other_day) FILTER (other_day >= day) AS offers_during,
    count(other_day) FILTER (other_day >= day AND reached) AS contacts_during,
    coalesce(bool_and(assignment = 'randomised') FILTER (other_day < day), TRUE) AS by_lot
FROM own LEFT JOIN (SELECT o.* FROM other AS o JOIN own USING (customer_id)
    WHERE other_day BETWEEN day - CAST($days AS INTEGER) AND day + CAST($days AS INTEGER)) USING (customer_id)
GROUP BY customer_id ORDER BY customer_id
"""


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
    not_available : tuple of str
        What was asked for and cannot be given, each with its reason.
    """

    members: pd.DataFrame
    days: tuple[int, ...]
    not_available: tuple[str, ...]

    def outcomes(self, name: str = "revenue") -> dict[int, str]:
        """Give the columns of an outcome by window, as `effect_windows` takes them."""
        found = {n: f"{name}_{n}" for n in self.days if f"{name}_{n}" in self.members}
        if not found:
            kinds = sorted({c.rsplit("_", 1)[0] for c in self.members if c.rsplit("_", 1)[-1] in map(str, self.days)})
            raise unknown("outcome by window", name, kinds, "the campaign's windows")
        return found


def campaign_windows(
    warehouse: Warehouse,
    campaign: str,
    *,
    days: Sequence[int] = (30, 60, 90, 180),
    as_of: date | str | None = None,
) -> CampaignWindows:
    """Give all members of a campaign with outcomes within n days of their assignment, from bills, lines, cases and use.

    Bills are monthly: a window of n days takes n // 30 whole months, from the month of assignment where that was its
    first day, else from the next one.

    Raises
    ------
    WorkbenchError
        If there is no such campaign, or a window is shorter than a month.
    CannotAnswer
        If no window closed before `as_of`, or members were assigned on different days.
    """
    day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of or warehouse.as_of
    if not days or min(days) < 30:
        raise WorkbenchError(f"days={tuple(days)}: a window takes whole months of bills. Give 30 days or more.")
    members = warehouse.campaign(campaign)
    life = warehouse.query(_LIFE, {"campaign": campaign, "as_of": day})
    start = life["day"].min().date()
    if life["day"].max().date() != start:
        raise CannotAnswer(f"members of campaign '{campaign}' were assigned on different days: split it by day.")
    first = start if start.day == 1 else (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    closed = tuple(n for n in sorted(set(days)) if max(start + timedelta(n), _later(first, n // 30)) <= day)
    missing = [f"{n} days: the window is open on {day}" for n in sorted(set(days)) if n not in closed]
    if not closed:
        raise CannotAnswer(f"no window of campaign '{campaign}', assigned on {start}, closed before {day}.")
    cut = _Cut(warehouse, campaign, members["customer_id"])
    billed = set(warehouse.query("SELECT DISTINCT month FROM bill")["month"].dt.date)
    unbilled = {n: [m for m in (_later(first, k) for k in range(n // 30)) if m not in billed] for n in closed}
    columns = cut.revenue("revenue", {n: (first, _later(first, n // 30)) for n in closed if not unbilled[n]})
    missing += [f"revenue of {n} days: no bill of {gaps[0]:%Y-%m} is on record" for n, gaps in unbilled.items() if gaps]
    for name, (table, when, which) in _DATED.items():
        begin = cut.begins(table, when)
        if begin is None or begin > start:
            missing.append(f"{name}: {table} has {'no rows' if begin is None else f'rows from {begin} only'}")
        else:
            columns |= cut.counts(name, table, when, which, closed)
    for n in closed:
        gone = (life["left_us"] == 1) & (life["days_known"] < n)
        columns[f"churned_{n}"] = gone.astype(float).where(life["left_us"].notna())
    month = start.replace(day=1)
    if known := sum(_later(month, -k) in billed for k in (1, 2, 3)):
        columns["revenue_before"] = cut.revenue("before", {3: (_later(month, -3), month)})["before_3"] / known
    else:
        missing.append("revenue_before: no bill of the three months before is on record")
    wide = members.assign(**columns, days_known=life["days_known"], left_us=life["left_us"])
    return CampaignWindows(wide, closed, tuple(missing))


def exposures(warehouse: Warehouse, campaign: str, *, days: int = 90) -> pd.DataFrame:
    """Give what else reached a campaign's members, `days` before and after their assignment.

    Returns
    -------
    DataFrame
        customer_id; offers_before, offers_during (other campaigns whose lists held the member, in either arm);
        contacts_before, contacts_during (those that reached him); by_lot (whether chance alone decided which of the
        offers before did). Given offers_before, contacts_before is random where by_lot is true.
    """
    warehouse._check("campaign", "campaign_id", campaign)
    return warehouse.query(_EXPOSURES, {"campaign": campaign, "days": days})


def other_contacts(warehouse: Warehouse, campaign: str) -> pd.DataFrame:
    """Give whom other campaigns than this one contacted, and when: customer_id, day; one row a contact."""
    warehouse._check("campaign", "campaign_id", campaign)
    return warehouse.query(
        "SELECT customer_id, assigned_on AS day FROM campaign_member WHERE contacted AND campaign_id <> ? "
        "ORDER BY customer_id, day",
        [campaign],
    )


def closed_campaigns(
    warehouse: Warehouse, *, outcome: str, covariate: str = "", as_of: date | str | None = None
) -> pd.DataFrame:
    """Give the members of all campaigns drawn by lot whose window closed before `as_of`, for a ledger.

    Returns
    -------
    DataFrame
        One row a member and campaign: campaign_id, customer_id, arm, treatment (1 in any arm but control), the
        outcome, the covariate (a number known before), starts_on, contact_cost, incentive_cost, margin.

    Raises
    ------
    CannotAnswer
        If no such campaign has the outcome.
    """
    day = date.fromisoformat(as_of) if isinstance(as_of, str) else as_of or warehouse.as_of
    known = ", TRY_CAST(covariates[$covariate] AS DOUBLE) AS known" if covariate else ""
    found = warehouse.query(
        "SELECT campaign_id, customer_id, arm, CAST(arm <> 'control' AS INTEGER) AS treatment, outcomes[$outcome] AS "
        f"outcome{known}, starts_on, contact_cost, incentive_cost, margin FROM campaign_member JOIN campaign "
        "USING (campaign_id) WHERE assignment = 'randomised' AND ends_on < $day AND outcomes[$outcome] IS NOT NULL "
        "ORDER BY campaign_id, customer_id",
        {"outcome": outcome, "day": day} | ({"covariate": covariate} if covariate else {}),
    )
    if found.empty:
        raise CannotAnswer(f"no campaign drawn by lot that closed before {day} has the outcome '{outcome}'.")
    return found.rename(columns={"outcome": outcome, "known": covariate})


def province_panel(warehouse: Warehouse, campaign: str, *, kind: str = "person") -> pd.DataFrame:
    """Give monthly revenue by province around a roll-out to whole provinces, for difference in differences.

    Returns
    -------
    DataFrame
        One row a province and month up to the roll-out's end: province, month, customers (billed), revenue (per
        customer billed), treated (1 in the provinces of the roll-out), after (1 from its first month on).

    Raises
    ------
    WorkbenchError
        If there is no such campaign or kind of customer.
    CannotAnswer
        If the campaign names no provinces.
    """
    warehouse._check("campaign", "campaign_id", campaign)
    warehouse._check("customer", "kind", kind)
    facts = warehouse.query("SELECT * FROM campaign WHERE campaign_id = ?", [campaign]).iloc[0]
    if pd.isna(facts["provinces"]):
        raise CannotAnswer(
            f"campaign '{campaign}' names no provinces but members: the study 'uplift' says what it changed, or "
            "'observational' where they were not randomised."
        )
    panel = warehouse.query(
        "SELECT province, month, count(DISTINCT customer_id) AS customers, sum(amount) / count(DISTINCT customer_id) "
        "AS revenue FROM bill JOIN customer USING (customer_id) WHERE kind = ? AND month <= ? AND issued_on < ? "
        "GROUP BY ALL ORDER BY province, month",
        [kind, facts["ends_on"].date(), warehouse.as_of],
    )
    covered = [name.strip() for name in facts["provinces"].split(";")]
    return panel.assign(
        treated=panel["province"].isin(covered).astype(int), after=(panel["month"] >= facts["starts_on"]).astype(int)
    )


@dataclass(frozen=True)
class _Cut:
    """One campaign's members, for whom sums are taken; a member without rows has 0."""

    warehouse: Warehouse
    campaign: str
    customers: pd.Series

    def _sums(self, name: str, table: str, which: str, sums: dict[int, str]) -> dict[str, pd.Series]:
        if not sums:
            return {}
        columns = ", ".join(f'{value} AS "{n}"' for n, value in sums.items())
        found = self.warehouse.query(
            _MEMBER.format(table=table, which=which, sums=columns), {"campaign": self.campaign}
        ).set_index("customer_id")
        found = found.reindex(self.customers).astype(float).fillna(0).reset_index(drop=True)
        return {f"{name}_{n}": found[str(n)] for n in sums}

    def revenue(self, name: str, months: dict[int, tuple[date, date]]) -> dict[str, pd.Series]:
        parts = {n: f"month >= DATE '{a}' AND month < DATE '{b}'" for n, (a, b) in months.items()}
        return self._sums(name, "bill", "TRUE", {n: f"sum(amount) FILTER ({part})" for n, part in parts.items()})

    def counts(self, name: str, table: str, when: str, which: str, days: Sequence[int]) -> dict[str, pd.Series]:
        which = f"{which} AND {when} >= assigned AND {when} < assigned + {int(max(days))}"
        sums = {n: f"count(*) FILTER ({when} < assigned + {int(n)})" for n in days}
        return self._sums(name, table, which, sums)

    def begins(self, table: str, when: str) -> date | None:
        first = self.warehouse.query(f"SELECT CAST(min({when}) AS DATE) AS day FROM {table}")["day"].iloc[0]
        return None if pd.isna(first) else first.date()


def _later(first: date, months: int) -> date:
    """First day of the month so many months after.

    >>> _later(date(2025, 11, 1), 3), _later(date(2025, 2, 1), -3)
    (datetime.date(2026, 2, 1), datetime.date(2024, 11, 1))
    """
    at = first.year * 12 + first.month - 1 + months
    return date(at // 12, at % 12 + 1, 1)
