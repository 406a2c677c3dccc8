"""What did each customer look like as of a date? The feature files, run together into one table.

The features are SQL: `features/*.sql`, one file a subject, each a single SELECT that gives one row a customer with the
named parameter ``$as_of`` (how such files are made up: `sqlfiles`).
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import pandas as pd

from workbench.catalogue import prose
from workbench.columns import MOST_ASIDE
from workbench.days import month_after
from workbench.errors import CannotAnswer, WorkbenchError, one_or_many, require_known, require_name
from workbench.messages import Term, say
from workbench.warehouse import sqlfiles

SUBJECTS = (
    "life",
    "activity",
    "frequency_trend",
    "usage_mix",
    "bills",
    "arrears",
    "payments",
    "service",
    "holdings",
    "campaigns",
)
STORED = ("customer_day", "customer_month", "counterpart_month")
PARTIALS = (*STORED, "recent_use")
DETAIL_DAYS = 90

DATED = {
    "detail_record": "started_at",
    "usage_month": "month",
    "bill": "issued_on",
    "payment": "paid_on",
    "contact": "contacted_at",
    "ticket": "opened_at",
}


class Queryable(Protocol):
    """What the features need of a warehouse."""

    def query(self, sql: str, parameters: Any = ()) -> pd.DataFrame:
        """Run a query with bound parameters."""


def customer_features(
    warehouse: Queryable,
    as_of: date | str,
    *,
    tables: Sequence[str] | None = None,
    province: str = "",
    use: bool = True,
) -> pd.DataFrame:
    """Give what is known about each active customer as of a date, one row a customer.

    Active is who joined before `as_of` and is not gone: had lines before it, all of them ended before it. Nothing that
    happened on `as_of` or later enters. A table without rows knows nothing: its columns are NaN; a customer without
    rows in a table that has some counts 0.

    Parameters
    ----------
    warehouse : Queryable
        Opened by `open_warehouse`; anything with ``query(sql, parameters)`` over the canonical tables will do.
    as_of : date or str
        Exclusive; text as "YYYY-MM-DD".
    tables : sequence of str, optional
        Names of feature files, for instance ``["activity", "bills"]``; all if None. `life` is always among them.
    province : str
        Take only its customers; "" for all.
    use : bool
        False leaves missing what the detail records say, as if there were none: where they do not cover the days.

    Returns
    -------
    DataFrame
        Sorted by customer_id; columns in the order of `feature_dictionary`. Numbers are float64, missing is NaN.

    Raises
    ------
    WorkbenchError
        If `as_of` is no date, a name of `tables` no feature file, or `province` none of the customers'.
    CannotAnswer
        If `as_of` lies outside the data, if the detail records do not cover the 90 days before it, or if
        nobody is active on it.
    """
    day = as_date(as_of)
    names = _chosen(tables)
    require_name("province", province)
    require_coverage(warehouse, day, names if use else ["life"])
    where = {"province": province} if province else {}
    sql = features_sql(names, stored=tables_stored(warehouse), province=bool(province), use=use)
    frame = warehouse.query(sql, {"as_of": day, **where})
    if frame.empty:
        known = warehouse.query("SELECT DISTINCT province FROM customer WHERE province IS NOT NULL ORDER BY 1")[
            "province"
        ].tolist()
        if province:
            require_known("province", province, known, "the customers")
        place = say(" in {province}", province=province) if province else ""
        raise CannotAnswer("no customer is active{place} on {day}: nobody joined before it and still had a line.").of(
            place, day
        )
    return frame.astype({column: "str" for column in frame if frame[column].dtype == object})


def feature_dictionary() -> pd.DataFrame:
    """Describe every feature: one row a column of `customer_features`, with name, unit and meaning.

    >>> feature_dictionary().set_index("name").loc["frequency", "unit"]
    'days'
    """
    rows = [row for name in SUBJECTS for row in sqlfiles.described(name)]
    return pd.DataFrame(rows, columns=["name", "unit", "meaning"])


def feature_file(name: str) -> str:
    """Give the SQL of a feature file or partial by name, as it stands in the package.

    Raises
    ------
    WorkbenchError
        If there is none; the nearest is suggested.
    """
    require_known("feature file", name, SUBJECTS + PARTIALS)
    return sqlfiles.text(name)


def features_sql(
    tables: Iterable[str] | None = None, *, stored: Collection[str] = (), province: bool = False, use: bool = True
) -> str:
    """Compose the feature files into one query with the named parameter ``$as_of``, sorted by customer_id.

    Each file becomes a common table expression of its name, so that what several of them read is computed once; but
    for the partials `stored` as tables, which are read. With `province` the query is of the customers of ``$province``
    alone; what is known of the months stays that of all. Without `use` the detail records are as if there were none.
    """
    names = _chosen(tables)
    theirs = ["customer AS MATERIALIZED (\nSELECT * FROM customer WHERE province = $province\n)"] * province
    theirs += (
        [] if use else [f"{name} AS (\nSELECT * FROM {name} WHERE FALSE\n)" for name in ("detail_record", *stored)]
    )
    ctes = ",\n".join([*theirs, *sqlfiles.expressions(names, stored)])
    columns = ",\n    ".join(f"{name}.{column}" for name in names for column, _, _ in sqlfiles.described(name))
    joins = "".join(f"\nLEFT JOIN {name} ON {name}.customer_id = life.customer_id" for name in names if name != "life")
    return f"WITH {ctes}\nSELECT\n    {columns}\nFROM life{joins}\nORDER BY life.customer_id"


def tables_stored(warehouse: Queryable) -> frozenset[str]:
    """The partials that this warehouse stores as tables; on an engine without maps, also the long twins."""
    if (stored := getattr(warehouse, "stored", None)) is not None:
        return stored
    there = warehouse.query("SELECT table_name FROM information_schema.tables")["table_name"]
    return frozenset(STORED) & frozenset(there)


def dictionary_markdown(language: str = "en") -> str:
    """Write docs/features.md, or docs/zh/features.md: the rules that all features share, then each file's columns."""
    return "\n".join([prose(_PREFACE, language), *(sqlfiles.page(subject, language) for subject in SUBJECTS)])


def require_warehouse(warehouse: object) -> None:
    """Refuse the name of a source, or another thing, in place of its warehouse."""
    if isinstance(warehouse, str):
        raise WorkbenchError("'{name}' is a name, not a warehouse. Open it: workbench.open('{name}').").of(warehouse)
    if not hasattr(warehouse, "query") or hasattr(warehouse, "iloc"):  # a DataFrame has one, too
        kind = type(warehouse).__name__
        raise WorkbenchError("a {kind} is no warehouse. Open one: workbench.open('sample').").of(kind)


def as_date(as_of: date | str) -> date:
    """Give the day of a date, its ISO text or a midnight.

    Raises
    ------
    WorkbenchError
        If it is none.
    """
    try:
        moment = datetime.fromisoformat(as_of) if isinstance(as_of, str) else as_of
        day = moment.date() if isinstance(moment, datetime) else moment
        if isinstance(day, date) and (not isinstance(moment, datetime) or moment == datetime(*day.timetuple()[:3])):
            return day
    except ValueError:
        pass
    raise WorkbenchError("as_of = {as_of} is not a day. Give a date, or text as '2026-07-01'.").of(repr(as_of))


def _chosen(tables: Iterable[str] | None) -> list[str]:
    asked = SUBJECTS if tables is None else one_or_many(tables, "tables")
    for name in asked:
        require_known("feature file", name, SUBJECTS)
    return [name for name in SUBJECTS if name == "life" or name in asked]


def require_coverage(warehouse: Queryable, day: date, names: Iterable[str]) -> None:
    """Refuse features as of a day that lies outside the data, or of use that the detail records do not cover."""
    found = spans(warehouse)
    if not found:
        return
    last = max(b for _, b in found.values()) + timedelta(days=1)
    declared = getattr(warehouse, "as_of", None)
    first, last = min(a for a, _ in found.values()) + timedelta(days=1), max(last, declared or last)
    if not first <= day <= last:
        raise CannotAnswer("as_of = {day} lies outside the data. Choose a day from {first} to {last}.").of(
            day, first, last
        )
    if "detail_record" in found and "detail_record" in _tables_read(names):
        _require_detail(day, *found["detail_record"])


def _require_detail(day: date, first: date, last: date) -> None:
    earliest, latest = first + timedelta(days=DETAIL_DAYS), last + timedelta(days=1)
    if earliest <= day <= latest:
        return
    others = [name for name in SUBJECTS if "detail_record" not in _tables_read([name])]
    choose = say("Choose an as_of from {earliest} to {latest}, or leave", earliest=earliest, latest=latest)
    choice = choose if earliest <= latest else Term("Leave")
    raise CannotAnswer(
        "the features of use need the detail records of the {detail_days} days before as_of = {day}; those on "
        "record run from {first} to {last}. {choice} those features out with tables={others}."
    ).of(DETAIL_DAYS, day, first, last, choice, str(others))


def require_use(warehouse: Queryable, as_of: date | str) -> None:
    """Refuse what rests on detail records where there are some, but not of all days that count on a day.

    Raises
    ------
    CannotAnswer
        If they begin too late or end too early; `customer_features` gives the rest with ``use=False``.
    """
    day, (first, last) = as_date(as_of), spans(warehouse).get("detail_record", (None, None))
    if first and last and not first + timedelta(days=DETAIL_DAYS) <= day <= last + timedelta(days=1):
        raise CannotAnswer(
            "what rests on detail records is left out as of {day}: it needs those of the {detail_days} days before, "
            "and those on record run from {first} to {last}."
        ).of(day, DETAIL_DAYS, first, last)


def spans(warehouse: Queryable, tables: Iterable[str] = tuple(DATED)) -> dict[str, tuple[date, date]]:
    """First and last day on record, by table of dated facts; tables without rows are left out.

    Both are in months beside which another has rows, unless over a twentieth of the rows stand outside: no stray begins
    or ends them.
    """
    require_warehouse(warehouse)
    parts = [
        f"SELECT '{table}' AS fact, CAST(MIN({day}) AS DATE) AS first_on, CAST(MAX({day}) AS DATE) AS last_on "
        f"FROM {table}"
        for table, day in DATED.items()
        if table in tables
    ]
    frame = warehouse.query(" UNION ALL ".join(parts)).dropna() if parts else pd.DataFrame()
    found = {fact: [pd.Timestamp(a).date(), pd.Timestamp(b).date()] for fact, a, b in frame.itertuples(index=False)}
    ends = [(fact, end) for fact in found for end in (0, 1)]
    while ends := [(fact, end) for fact, end in ends if month_after(found[fact][0]) <= found[fact][1]]:
        parts = [  # one query asks of all whether the month beside that of their end holds a row
            f"SELECT '{fact}' AS fact, {end} AS side, COUNT(*) AS rows_there FROM (SELECT 1 AS one FROM {fact} WHERE "
            f"{_within(DATED[fact], month_after(found[fact][end], -1 if end else 1))} LIMIT 1) AS month"
            for fact, end in ends
        ]
        there = warehouse.query(" UNION ALL ".join(parts)).itertuples(index=False)
        alone = {(fact, end) for fact, end, rows in there if not rows}
        ends = [one for one in ends if one in alone and _moved_in(warehouse, *one, found)]
    for fact in {"usage_month"} & found.keys():
        found[fact][1] = month_after(found[fact][1]) - timedelta(days=1)
    return {fact: (first, last) for fact, (first, last) in found.items()}


def _within(column: str, month: date) -> str:
    return f"{column} >= CAST('{month}' AS DATE) AND {column} < CAST('{month_after(month)}' AS DATE)"


def _moved_in(warehouse: Queryable, table: str, end: int, found: dict[str, list[date]]) -> bool:
    """Move an end to the next month that has rows, if what stands outside is few; whether that may be alone too."""
    column, day = DATED[table], found[table][end]
    inner = (
        f"{column} < CAST('{day.replace(day=1)}' AS DATE)" if end else f"{column} >= CAST('{month_after(day)}' AS DATE)"
    )
    moved, outside, rows = warehouse.query(
        f"SELECT CAST({'MAX' if end else 'MIN'}(CASE WHEN {inner} THEN {column} END) AS DATE) AS day, "
        f"SUM(CASE WHEN {inner} THEN 0 ELSE 1 END) AS outside, COUNT(*) AS rows_there FROM {table}"
    ).iloc[0]
    if outside <= MOST_ASIDE * rows:
        found[table][end] = pd.Timestamp(moved).date()
    return outside <= MOST_ASIDE * rows


def begins(warehouse: Queryable, table: str) -> date | None:
    """First day on record of a table of dated facts, as in `spans`; None of another, or without rows."""
    return spans(warehouse, [table]).get(table, (None,))[0]


def _tables_read(names: Iterable[str]) -> set[str]:
    return {table for name in sqlfiles.with_what_they_read(names) for table in sqlfiles.read_by(name)}


_PREFACE = """# Features

[中文](zh/features.md)

One row a customer who is active on a day, `as_of`: the columns of `customer_features(warehouse, as_of)`. This page is
generated from the SQL files (`python -m workbench.warehouse.features > docs/features.md`; in Chinese
`python -m workbench.warehouse.features zh > docs/zh/features.md`), and a test holds it to them.

Rules that all features share:

- `as_of` is exclusive: nothing that happened on that day or later enters. A window of 90 days is the 90 days that end
  with the day before `as_of`; "12 months" reaches back to the same day of the month.
- Days since something are counted to `as_of`: what happened on the day before is 1 day ago.
- A table without any row knows nothing: the columns it feeds are missing (NaN). A customer without a row in a table
  that has rows counts 0. Shares and means of nothing are missing.
- Numbers are DOUBLE. Amounts are added as exact decimals, so that no sum depends on the order of rows.
- Money is in the currency of the source, as its mapping declares. Times are local and naive.
- A day before or after the data is refused, and so are features of use where the detail records on hand do not cover
  the 90 days before `as_of` entirely.

Running the files elsewhere: they use the part of SQL that means the same on DuckDB, Spark and PostgreSQL (a test lists
it and renders them with sqlglot). Make each partial and file a view of its name, in the order of this page, as some
read others; store the partials `customer_day`, `customer_month` and `counterpart_month` as our own warehouse does when
it is built, month by month: else they are made anew from every detail record. `$as_of` is a named parameter: bind it as
`{"as_of": date}` on DuckDB; as `spark.sql(text, args={"as_of": date})`, rendered with the marker `:as_of`, on Spark; as
`%(as_of)s` by psycopg on PostgreSQL; where a view can't take a parameter, write the day as a literal. The query that
`features_sql()` composes is for DuckDB alone: Spark can't parse it, PostgreSQL compiles it for longer than it runs. An
engine as a source does all this by itself ([scale](scale.md)). Set the session's time zone; `customer_id` sorts by code
point (`COLLATE "C"` on PostgreSQL).
"""

if __name__ == "__main__":
    print(dictionary_markdown(*sys.argv[1:]), end="")
