"""How do CRM and network deliver customers, lines and their use?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, SHORT_LINE, Extracts, words
from workbench.sample.leaving import STATED, Ways
from workbench.sample.operator import SERVICES
from workbench.sample.people import KINDS, REASONS, Customers, Lines
from workbench.sample.timeline import MONTH, MONTH_START, dates
from workbench.sample.usage import MonthUse

_CUSTOMER_BREAKS = (
    ("unknown code", "kind", "外星人"),
    ("impossible date", "joined_on", "20250230"),
    ("missing mandatory", "province", ""),
    ("unparsable number", "birth_year", "一九八〇"),
    (DUPLICATE, "", ""),
)
_LINE_BREAKS = (
    ("unknown code", "service", "电报"),
    ("orphan reference", "customer_id", "9999999999"),
    ("impossible date", "activated_on", "2025-13-01"),
    (SHORT_LINE, "", ""),
    (DUPLICATE, "", ""),
)
_USAGE_BREAKS = (
    ("unparsable number", "data_mb", "--"),
    ("out of range", "active_days", "45"),
    ("orphan reference", "subscription_id", "99999999999"),
    (DUPLICATE, "", ""),
)
_RECORD_BREAKS = (
    ("unknown code", "kind", "99"),
    ("out of range", "duration_s", "-1"),
    ("orphan reference", "subscription_id", "99999999999"),
    ("missing mandatory", "started_at", ""),
)


def write_customers(extracts: Extracts, customers: Customers) -> None:
    """Write the customers of a batch."""
    operator = customers.operator
    every = [city for cities in operator.cities for city in cities]
    offset = np.cumsum([0, *map(len, operator.cities)])[:-1]
    extracts.write(
        "customer",
        {
            "customer_id": customers.id,
            "kind": words(customers.kind, KINDS),
            "name_key": pa.array(customers.name.tolist()),
            "province": words(customers.province, operator.provinces),
            "city": words(offset[customers.province] + customers.city, every),
            "birth_year": pa.array(customers.birth_year, mask=customers.birth_year == 0),
            "gender": words(customers.gender, ("female", "male")),
            "joined_on": dates(customers.joined),
            "is_staff": customers.staff,
        },
        breaks=_CUSTOMER_BREAKS,
    )


def write_lines(extracts: Extracts, customers: Customers, lines: Lines, ways: Ways) -> None:
    """Write the lines of a batch; the number that a customer brought is that of the first."""
    holder = lines.customer
    prepaid = customers.prepaid[holder] & (lines.service == 0)
    first = np.append(True, holder[1:] != holder[:-1])
    names = customers.operator.names
    extracts.write(
        "subscription",
        {
            "subscription_id": lines.id,
            "customer_id": customers.id[holder],
            "service": words(lines.service, SERVICES),
            "number_key": lines.number,
            "contract": words(prepaid.astype(np.int64), ("postpaid", "prepaid")),
            "tariff_id": words(lines.tariff, customers.operator.tariff_ids),
            "activated_on": dates(lines.activated),
            "ended_on": dates(customers.ended[holder]),
            "end_reason": words(customers.reason[holder], REASONS),
            "destination_operator": words(ways.destination[holder], names),
            "origin_operator": words(np.where(first, ways.origin[holder], -1), names),
            "stated_reason": words(ways.stated[holder], STATED),
        },
        breaks=_LINE_BREAKS,
    )


def write_usage(extracts: Extracts, customers: Customers, lines: Lines, month: int, use: MonthUse) -> None:
    """Write the totals of a month by line."""
    at = np.flatnonzero(use.alive > 0)
    extracts.write(
        "usage_month",
        {
            "customer_id": customers.id[lines.customer[at]],
            "subscription_id": lines.id[at],
            "month": dates(np.full(len(at), MONTH_START[month])),
            "active_days": use.active_days[at],
            "calls": use.calls[at],
            "call_min": use.minutes[at],
            "messages": use.messages[at],
            "data_mb": use.megabytes[at],
        },
        breaks=_USAGE_BREAKS,
    )


def write_records(extracts: Extracts, month: int, tables: list[pa.Table]) -> int:
    """Write the detail records of a month, a row group a batch; gives their number."""
    whole = pa.concat_tables(tables)
    columns = dict(zip(whole.column_names, whole.columns, strict=True))
    extracts.write("detail_record", columns, breaks=_RECORD_BREAKS, part=str(MONTH[month]).replace("-", ""))
    return whole.num_rows
