"""Who is about to leave us? Customers whose use falls or has stopped, before they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from workbench.columns import day
from workbench.errors import require_columns, require_known
from workbench.messages import Message, Number, Share, say
from workbench.result import Refusal
from workbench.studies.segmentation.checks import require_once, with_numbers
from workbench.studies.segmentation.rfm import Rfm

_STATES = ("falling", "silent", "lost", "rising", "stable")


def early_warnings(
    customers: pd.DataFrame,
    *,
    as_of: date | str,
    customer: str = "customer_id",
    value: str = "monetary",
    states: Sequence[str] = ("falling", "silent"),
    scores: Rfm | Refusal | None = None,
) -> pd.DataFrame:
    """List the customers whose use is falling or silent, the most valuable first.

    `customers` has one row a customer with what `customer` and `value` name, frequency_state, frequency_trend (change
    of active days a month, as a share of their mean) and recency_days as of `as_of`. The list adds the reason in words
    and last_active (a date; missing for never), and with `scores` the segment.

    Examples
    --------
    >>> table = pd.DataFrame({"customer_id": ["a", "b"], "frequency_state": ["falling", "silent"], "monetary": [9, 20],
    ...     "frequency_trend": [-0.14, 0.0], "recency_days": [2, 43]})
    >>> early_warnings(table, as_of="2026-07-01")["reason"].tolist()
    ['no use for 43 days', 'active days fall by 14% of their mean a month']
    """
    require_columns(customers, [customer, value, "frequency_state", "frequency_trend", "recency_days"], "customers")
    customers = with_numbers(customers, [value, "frequency_trend", "recency_days"], "customers")
    require_once(customers, customer)
    for state in states:
        require_known("state", state, _STATES, "frequency_state")
    listed = customers[customers["frequency_state"].isin(list(states))]
    listed = listed.sort_values([value, customer], ascending=[False, True]).reset_index(drop=True)
    last = (day(as_of, "as_of") - pd.to_timedelta(listed["recency_days"], unit="D")).dt.date
    why = listed[["frequency_state", "frequency_trend", "recency_days"]].itertuples(index=False)
    table = listed[[customer, value]].assign(last_active=last)
    table.insert(1, "state", listed["frequency_state"])
    table.insert(2, "reason", pd.Series([_reason(*row) for row in why], listed.index, object))
    if isinstance(scores, Rfm):
        table.insert(1, "segment", scores.segments_of(table[customer]))
    return table


def silent_services(used: pd.DataFrame, *, customer: str = "customer_id") -> pd.DataFrame:
    """Count by service who has stopped using it while another goes on: the first sign of a second line elsewhere.

    `used` has one row a service and customer: service, recency_days (missing: not used), as `service_use` gives. One
    row a service: customers (who used it), silent (no use for more than 30 days, but of another service since), share.

    Examples
    --------
    >>> table = pd.DataFrame({"service": ["call", "call", "data", "data"], "customer_id": ["a", "b", "a", "b"],
    ...     "recency_days": [40, 1, 2, None]})
    >>> silent_services(table)[["service", "customers", "silent"]].to_numpy().tolist()
    [['call', 2, 1], ['data', 1, 0]]
    """
    require_columns(used, [customer, "service", "recency_days"], "used")
    used = with_numbers(used, ["recency_days"], "used")
    days = 30
    last = used.groupby(customer)["recency_days"].transform("min")
    marked = used.assign(customers=used["recency_days"].notna(), silent=used["recency_days"].gt(days) & last.le(days))
    table = marked.groupby("service", as_index=False)[["customers", "silent"]].sum()
    return table.assign(share=table["silent"] / table["customers"].where(table["customers"] > 0))


def _reason(state: str, trend: float, days: float) -> Message:
    if state in ("silent", "lost"):
        return say("no use on record") if pd.isna(days) else say("no use for {n} days", n=Number(days, ".0f"))
    moved = Share(abs(trend), 0)
    if trend < 0:
        return say("active days fall by {share} of their mean a month", share=moved)
    return say("active days rise by {share} of their mean a month", share=moved)
