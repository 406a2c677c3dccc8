"""How do CRM and network deliver customers, lines and their use?"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, SHORT_LINE, Extracts, Layout, words
from workbench.sample.money import SERVICE_WORDS
from workbench.sample.people import TARIFF_IDS, Customers, Lines
from workbench.sample.places import CITIES, OPERATORS, PROVINCES
from workbench.sample.timeline import MONTH, MONTH_START, date_texts, dates
from workbench.sample.usage import MonthUse

KIND_WORDS = ("个人", "家庭", "企业", "政府", "代理商", "分销商")
REASON_WORDS = ("携号转网", "销户", "欠费拆机")
CUSTOMER_FILE = Layout(
    "crm/客户资料.csv",
    encoding="gb18030",
    breaks=(
        ("unknown code", "客户类型", "外星人"),
        ("impossible date", "入网日期", "20250230"),
        ("missing mandatory", "省份", ""),
        ("unparsable number", "出生年份", "一九八〇"),
        (DUPLICATE, "", ""),
    ),
)
LINE_FILE = Layout(
    "crm/用户资料.txt",
    encoding="gb18030",
    delimiter="|",
    breaks=(
        ("unknown code", "业务类型", "电报"),
        ("orphan reference", "客户编号", "9999999999"),
        ("impossible date", "开户日期", "2025-13-01"),
        (SHORT_LINE, "", ""),
        (DUPLICATE, "", ""),
    ),
)
USAGE_FILE = Layout(
    "billing/用量月报.txt",
    delimiter="\t",
    breaks=(
        ("unparsable number", "流量MB", "--"),
        ("out of range", "活跃天数", "45"),
        ("orphan reference", "用户编号", "99999999999"),
        (DUPLICATE, "", ""),
    ),
)
_RECORD_BREAKS = (
    ("unknown code", "cdr_type", "99"),
    ("out of range", "duration", "-1"),
    ("orphan reference", "serv_id", "99999999999"),
    ("missing mandatory", "start_time", ""),
)


def write_customers(extracts: Extracts, customers: Customers) -> None:
    """Write the customers of a batch."""
    every = [city for cities in CITIES for city in cities]
    offset = np.cumsum([0, *map(len, CITIES)])[:-1]
    extracts.csv(
        CUSTOMER_FILE,
        {
            "客户编号": customers.id,
            "客户类型": words(customers.kind, KIND_WORDS),
            "姓名": pa.array(customers.name.tolist()),
            "省份": words(customers.province, PROVINCES),
            "城市": words(offset[customers.province] + customers.city, every),
            "出生年份": pa.array(customers.birth_year, mask=customers.birth_year == 0),
            "性别": words(customers.gender, ("女", "男")),
            "入网日期": date_texts(customers.joined, "%Y%m%d"),
            "内部": words(customers.staff.astype(np.int64), ("否", "是")),
        },
    )


def write_lines(extracts: Extracts, customers: Customers, lines: Lines) -> None:
    """Write the lines of a batch."""
    holder = lines.customer
    prepaid = customers.prepaid[holder] & (lines.service == 0)
    extracts.csv(
        LINE_FILE,
        {
            "用户编号": lines.id,
            "客户编号": customers.id[holder],
            "业务类型": words(lines.service, SERVICE_WORDS),
            "号码": lines.number,
            "付费方式": words(prepaid.astype(np.int64), ("后付费", "预付费")),
            "套餐编码": words(lines.tariff, TARIFF_IDS),
            "开户日期": dates(lines.activated),
            "离网日期": dates(customers.ended[holder]),
            "离网原因": words(customers.reason[holder], REASON_WORDS),
            "转入运营商": words(np.where(customers.destination > 0, customers.destination, -1)[holder], OPERATORS),
        },
    )


def write_usage(extracts: Extracts, customers: Customers, lines: Lines, month: int, use: MonthUse) -> None:
    """Write the totals of a month by line."""
    at = np.flatnonzero(use.alive > 0)
    extracts.csv(
        USAGE_FILE,
        {
            "客户编号": customers.id[lines.customer[at]],
            "用户编号": lines.id[at],
            "月份": date_texts(np.full(len(at), MONTH_START[month]), "%Y%m"),
            "活跃天数": use.active_days[at],
            "主叫次数": use.calls[at],
            "主叫分钟": use.minutes[at],
            "短信条数": use.messages[at],
            "流量MB": use.megabytes[at],
        },
    )


def write_records(extracts: Extracts, month: int, tables: list[pa.Table]) -> int:
    """Write the detail records of a month, a row group a batch; gives their number."""
    layout = Layout(f"cdr/cdr_{str(MONTH[month]).replace('-', '')}.parquet", encoding="", breaks=_RECORD_BREAKS)
    whole = pa.concat_tables(tables)
    extracts.parquet(layout, whole)
    return whole.num_rows
