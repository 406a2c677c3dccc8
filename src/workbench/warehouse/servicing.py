"""What was each customer worth each month, what service did it get, and what do business customers bring?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from workbench.errors import CannotAnswer, unknown
from workbench.methods import cases
from workbench.warehouse import schema
from workbench.warehouse.features import Queryable

_MONTHLY = """
WITH known AS (SELECT * FROM bill WHERE issued_on < $as_of),
life AS (
    SELECT customer_id, CASE WHEN bool_and(coalesce(ended_on < $as_of, FALSE)) THEN max(ended_on) END AS last_on
    FROM subscription WHERE activated_on < $as_of GROUP BY ALL
),
month AS (SELECT DISTINCT month FROM known)
SELECT c.customer_id, m.month, coalesce(sum(b.amount::DECIMAL(18, 4)), 0)::DOUBLE AS value
FROM customer AS c JOIN month AS m ON m.month >= c.joined_on
LEFT JOIN life USING (customer_id) LEFT JOIN known AS b ON b.customer_id = c.customer_id AND b.month = m.month
WHERE last_on IS NULL OR last_on > last_day(m.month)
GROUP BY ALL ORDER BY ALL
"""
# A month without any bill is not delivered: unknown, not 0. Growth is of the months that both years have.
_ACCOUNTS = """
WITH known AS (SELECT * FROM bill WHERE issued_on < $as_of),
span AS (SELECT max(month) + INTERVAL 1 MONTH AS until, min(month) AS since FROM known),
delivered AS (SELECT DISTINCT month FROM known), year AS (
    SELECT month, month - INTERVAL 12 MONTH IN (SELECT month FROM delivered) AS paired
    FROM delivered, span WHERE month >= until - INTERVAL 12 MONTH
), size AS (SELECT 12.0::DOUBLE / count(*) AS whole, count(*) FILTER (paired) AS pairs FROM year),
money AS (
    SELECT customer_id, sum(amount::DECIMAL(18, 4)) FILTER (this.month IS NOT NULL) AS revenue,
        sum(discount::DECIMAL(18, 4)) FILTER (this.month IS NOT NULL) AS discount,
        sum(amount::DECIMAL(18, 4)) FILTER (this.paired) AS after,
        sum(amount::DECIMAL(18, 4)) FILTER (later.paired) AS before
    FROM known LEFT JOIN year AS this USING (month)
    LEFT JOIN year AS later ON later.month = known.month + INTERVAL 12 MONTH GROUP BY ALL
), line AS (
    SELECT customer_id, count(*) FILTER (ended_on IS NULL OR ended_on >= $as_of) AS lines
    FROM subscription WHERE activated_on < $as_of GROUP BY ALL
)
SELECT customer_id, kind, province, whole * coalesce(revenue, 0)::DOUBLE AS revenue_12m,
    CASE WHEN greatest(joined_on, since) <= until - INTERVAL 24 MONTH AND before > 0 AND pairs >= 6
        THEN coalesce(after, 0)::DOUBLE / before - 1 END AS growth,
    lines::DOUBLE AS lines, whole * ($margin::DOUBLE * coalesce(revenue + discount, 0)::DOUBLE
    - coalesce(discount, 0)::DOUBLE) AS margin_12m,
    date_diff('day', joined_on, $as_of::DATE) / 30.4375 AS tenure_months
FROM customer JOIN line USING (customer_id) LEFT JOIN money USING (customer_id) CROSS JOIN span CROSS JOIN size
WHERE joined_on < $as_of AND lines > 0 AND list_contains($kinds, kind) ORDER BY customer_id
"""
_SERVICING = """
WITH seen AS (
    SELECT customer_id, channel AS event, contacted_at AS opened, wait_s::DECIMAL(18, 3) AS seconds,
        NULL::TIMESTAMP AS closed, FALSE AS overdue
    FROM contact WHERE contacted_at >= $as_of::DATE - $days::INTEGER AND contacted_at < $as_of::DATE
    UNION ALL
    SELECT customer_id, kind, opened_at,
        CASE WHEN closed_at < $as_of::DATE THEN date_diff('second', opened_at, closed_at) END, closed_at, {overdue}
    FROM ticket WHERE opened_at >= $as_of::DATE - $days::INTEGER AND opened_at < $as_of::DATE
), recorded AS (SELECT min(contacted_at)::DATE AS since FROM contact)
SELECT c.customer_id, least($days::INTEGER, date_diff('day', greatest(c.joined_on, since), $as_of::DATE))::DOUBLE
    AS days_known, {columns}, count(*) FILTER (overdue) AS overdue
FROM customer AS c CROSS JOIN recorded LEFT JOIN seen USING (customer_id) WHERE c.joined_on < $as_of::DATE
GROUP BY ALL ORDER BY c.customer_id
"""


def monthly_values(warehouse: Queryable, as_of: date | str) -> pd.DataFrame:
    """Give the net amount billed to each customer in each month: customer_id, month, value.

    Bills issued before `as_of`. A customer has a month if it had joined on its first day and had a line (or none on
    record) beyond its last; a month without a bill then counts 0.
    """
    return _some(warehouse.query(_MONTHLY, {"as_of": str(as_of)}), as_of)


def business_accounts(
    warehouse: Queryable, as_of: date | str, *, margin: float, kinds: Sequence[str] = ("company", "government")
) -> pd.DataFrame:
    """Give what grades an account, one row a customer of these kinds with a line on `as_of`.

    Columns customer_id, kind, province, revenue_12m (net, twelve months up to the last one billed, at the mean of those
    of which bills were delivered), growth (of the months that are on record a year before too, 6 at least; missing
    without a year before), lines, margin_12m (`margin` of the undiscounted price, less the discount), tenure_months.
    """
    return _some(warehouse.query(_ACCOUNTS, {"as_of": str(as_of), "kinds": list(kinds), "margin": margin}), as_of)


def servicing(
    warehouse: Queryable, as_of: date | str, *, days: int = 365, within: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:
    """Give the service that each customer got in the last `days` days, one row a customer who had joined.

    Columns customer_id, days_known (days of the window since joining, and since contacts are on record), a count for
    each channel and kind of ticket, wait_s (mean of hotline calls), complaint_h, fault_h, installation_h (mean of those
    closed), overdue (tickets past the promised time); missing where nobody has a contact (ticket) on record in the
    window. `within` names limits, seconds for "hotline", hours for a kind of ticket; each gives two more, for instance
    complaint_judged_24 (opened more than 24 hours before `as_of`: a case is judged if, and only if, its due time has
    passed) and complaint_within_24 (of these, closed in time). A call whose wait is known is judged at once.
    """
    channels, kinds = (
        schema.table(t).column(c).accepted_values for t, c in (("contact", "channel"), ("ticket", "kind"))
    )
    units = {"hotline": 1} | dict.fromkeys(kinds, 3600)
    columns = [f"count(*) FILTER (event = '{event}') AS {event}" for event in (*channels, *kinds)]
    for event, unit in units.items():
        of, name = f"FILTER (event = '{event}')", "wait_s" if unit == 1 else f"{event}_h"
        columns.append(f"sum(seconds) {of} / {unit}::DOUBLE / nullif(count(seconds) {of}, 0) AS {name}")
    as_of_sql = "$as_of::TIMESTAMP"
    for event, limits in (within or {}).items():
        if event not in units:
            raise unknown("kind of case", event, units, "within")
        for limit in sorted(set(map(float, limits))):
            if units[event] == 1:
                judged, kept = "seconds IS NOT NULL", f"seconds <= {limit!r}"
            else:
                due = {"due": f"opened + to_seconds({limit * units[event]!r})", "closed": "closed", "as_of": as_of_sql}
                judged, kept = cases.JUDGED.format(**due), cases.KEPT.format(**due)
            columns.append(f"count(*) FILTER (event = '{event}' AND {judged}) AS {event}_judged_{limit:g}")
            columns.append(f"count(*) FILTER (event = '{event}' AND {kept}) AS {event}_within_{limit:g}")
    values = {"as_of": str(as_of), "days": days}
    promised = {"due": "due_at", "closed": "closed_at", "as_of": as_of_sql}
    overdue = f"coalesce({cases.JUDGED.format(**promised)} AND NOT {cases.KEPT.format(**promised)}, FALSE)"
    found = _some(warehouse.query(_SERVICING.format(columns=", ".join(columns), overdue=overdue), values), as_of)
    for events in (channels, (*kinds, "overdue")):
        if not found[list(events)].to_numpy().any():
            found[[c for c in found if c.startswith(tuple(events))]] = float("nan")
    return found


def _some(found: pd.DataFrame, as_of: date | str) -> pd.DataFrame:
    if found.empty:
        raise CannotAnswer(f"nothing is known of such customers on {as_of}. Choose a later day.")
    return found
