"""Did every department deliver every month and day, and how old is the last row?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

import numpy as np
import pandas as pd

from workbench import columns, refused
from workbench.figures import Axes, axes
from workbench.messages import Count, Day, Listed, Message, say
from workbench.result import Quantity, Result, Table
from workbench.studies.data_quality.known_faults import quality_rules

THIN = 0.5  # of a usual month
USUAL = 30  # records: below that a thin month may be chance (14 or fewer where 30 are usual: one month in 1,000)
DENSE = 0.8  # of its months: a table that has rows in so many is drawn against the months near
EXPECTED = 20  # records of a usual month's pace: of days without any, chance leaves no more than so many
RESTS = 5  # times the usual rest between two days with rows (a weekend): a longer one is no rest
_NEAR = 3  # months before and after that say what is usual
_SHOWN = 24  # months in the picture
_GAPS = ["missing", "thin", "days_missing"]
_TABLE = ["department", "table", "records", "first", "last", "months", *_GAPS, "days_old", "gaps"]
_DARK = ["days_missing", "dark_from", "dark_to"]
_MONTHS = ["department", "table", "month", "records", "customers", "share", "gap", *_DARK]


@dataclass(frozen=True)
class Coverage(Result):
    """What came in by department, table and month.

    Attributes
    ----------
    table : DataFrame
        One row a table of dated facts: department, table, records, first and last (days; of what is known by month the
        first of one), months (with rows), missing and thin (months; missing value where the table is not judged: it may
        come in waves, or one month is all there is),
        days_missing (in other months), days_old (days from the last row to the day of the study; 1 is the day before),
        gaps (which months and days, in words).
    months : DataFrame
        One row a table and month from its first to the last that is due: department, table, month, records, customers,
        share (of a usual month: the median of those near), gap ("", "missing", "thin" or "days"), days_missing,
        dark_from and dark_to (first and last of these).
    """

    table: pd.DataFrame
    months: pd.DataFrame
    as_of: pd.Timestamp

    NAME: ClassVar[str] = "coverage"
    CHART: ClassVar[str] = say("Heat map, a row a table, a column a month; darker is less than usual, red is missing")
    CAPTION: ClassVar[str] = (
        "Tables of dated facts by department: months with rows, months that lack, months with less than half of the "
        "usual rows, days that lack in other months, and days since the last row. Tables that may come in waves are "
        "not judged."
    )
    FORMATS = dict.fromkeys(["records", *_GAPS, "days_old"], "{:,.0f}")

    @property
    def gaps(self) -> pd.DataFrame:
        """The months that lack, are thin or lack days, one a row."""
        return self.months[self.months["gap"] != ""]

    @property
    def holed(self) -> pd.DataFrame:
        """The tables with gaps."""
        return self.table[self.table["table"].isin(self.gaps["table"])]

    def headline(self) -> Message:
        """Say which tables lack months, or that none does."""
        judged, holes = self.table[self.table["missing"].notna()], self.holed
        if self.table.empty:
            return say("No table of dated facts holds a row: what came in when is not known.")
        if judged.empty:
            if self.table["table"].isin(quality_rules().monthly).any():
                return say("Only one month is on record, so whether other months are missing is not known.")
            return say("No table comes in every month, so no month can be missing.")
        until = (self.as_of - pd.Timedelta(days=1)).date()
        if len(holes):
            return say(
                "{n} of {all} tables that come in every month have gaps until {until}: {gaps}.",
                n=len(holes),
                all=len(judged),
                until=until,
                gaps=Listed(map(self._with_gaps, holes["table"]), ";"),
            )
        if len(judged) == 1:
            return say(
                "The one table that comes in every month is whole until {until}: no month is missing or thin.",
                until=until,
            )
        return say(
            "Each of the {n} tables that come in every month is whole until {until}: no month is missing or thin.",
            n=len(judged),
            until=until,
        )

    def gaps_of(self, table: str) -> Message:
        """Say which months and days of a table are missing, and which months are thin."""
        return _gaps(self.months[self.months["table"] == table])

    def _with_gaps(self, table: str) -> Message:
        department = self.table.loc[self.table["table"] == table, "department"].iloc[0]
        return say(
            "{table} ({department}): {gaps}",
            table=refused.table(table),
            department=refused.department(department),
            gaps=self.gaps_of(table),
        )

    def as_table(self) -> Table:
        """Give the tables by what they hold."""
        return Table(self.NAME, refused.with_words(self.table), self.caption(), self.FORMATS)

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        return say(
            "Rows of each month as a share of a usual one, the last {n} months at most: light is usual, dark is "
            "little, red is a month that lacks, white one in which nothing is due. Tables in waves show their waves, "
            "as shares of the largest month.",
            n=_SHOWN,
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a row a table and a column a month, coloured by the share of a usual month."""
        import matplotlib as mpl

        ax = axes(ax)
        if self.months.empty:
            ax.set_axis_off()
            return ax
        last = self.months["month"].max()
        shown = self.months[self.months["month"] > last - pd.DateOffset(months=_SHOWN)]
        grid = shown.pivot_table(
            index=["department", "table"], columns="month", values="share", sort=True, dropna=False, observed=True
        ).dropna(how="all")
        missing = shown[shown["gap"] == "missing"].set_index(["department", "table", "month"]).index
        figure = ax.get_figure(root=True)
        if figure is not None and len(figure.axes) == 1:
            figure.set_figheight(0.32 * len(grid) + 1.1)
        drawn = np.clip(grid.where(grid > 0).to_numpy(float), 0, 1)
        image = ax.imshow(drawn, aspect="auto", vmin=0, vmax=1)
        for y, (department, name) in enumerate(grid.index):
            for x, month in enumerate(grid.columns):
                if (department, name, month) in missing:
                    ax.add_patch(mpl.patches.Rectangle((x - 0.5, y - 0.5), 1, 1, color="C5"))
        step = max(1, len(grid.columns) // 6)
        ax.set_xticks(range(0, len(grid.columns), step), [f"{m:%Y-%m}" for m in grid.columns[::step]])
        ax.set_yticks(
            range(len(grid)),
            [
                say("{department} · {table}", department=refused.department(d), table=refused.table(name))
                for d, name in grid.index
            ],
        )
        ax.grid(False)
        if figure is not None:
            figure.colorbar(image, ax=ax, label="share of a usual month", pad=0.01)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Days since the last row, and months that lack, by table."""
        for row in self.table.itertuples():
            yield Quantity(f"days_old[table={row.table}]", float(row.days_old), "days")
            if row.missing == row.missing:
                yield Quantity(f"months_missing[table={row.table}]", float(row.missing), "months")


def coverage(deliveries: pd.DataFrame, *, as_of: date | str) -> Coverage:
    """Find months that lack or are thin, and how old each table is.

    A month is due once the table's usual delay has passed (bills are issued some days after their month). It is thin
    where 30 rows or more are usual and it has fewer than half of that; usual is the median of the months near it, three
    before and three after. The first month of a table, which may begin within it, is not called thin. Of a table that
    has rows on every day, or every working day, days lack where 20 rows or more are usual in so many days, and they are
    more than five times a rest between two days with rows that a tenth of its rests exceed; also at its end.

    Parameters
    ----------
    deliveries : DataFrame
        One row a table and month with rows: table, department, month, records, customers, last_on, day_bits (days with
        rows); none where no table of dated facts was delivered.
    as_of : date or str
        Exclusive.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else.
    """
    day = columns.day(as_of, "as_of")
    if deliveries.empty:
        return Coverage(pd.DataFrame(columns=_TABLE), pd.DataFrame(columns=_MONTHS), day)
    known = columns.take(
        deliveries,
        "deliveries",
        key=["table", "month"],
        numbers=["records", "customers", "day_bits"],
        categories=["table", "department"],
        dates=["month", "last_on"],
    ).table
    parts = [_of_one(rows, day) for _, rows in known.groupby("table", sort=True)]
    table = pd.DataFrame([row for row, _ in parts], columns=_TABLE).sort_values(
        ["department", "table"], ignore_index=True
    )
    return Coverage(table, pd.concat([months for _, months in parts], ignore_index=True), day)


def _of_one(rows: pd.DataFrame, day: pd.Timestamp) -> tuple[dict[str, object], pd.DataFrame]:
    """One table: its row, and its months from the first to the last that is due."""
    name, department = rows["table"].iloc[0], rows["department"].iloc[0]
    rows = rows.set_index("month").sort_index()
    ends = rows.index + pd.offsets.MonthEnd(1)
    delay = max(float(np.median((rows["last_on"] - ends).dt.days)), 0.0)
    due = (day - pd.Timedelta(days=delay)).to_period("M").to_timestamp() - pd.DateOffset(months=1)
    monthly, daily = (name in known for known in (quality_rules().monthly, quality_rules().daily))
    now = [(day - pd.Timedelta(days=1)).to_period("M").to_timestamp()] if daily else []
    expected = pd.date_range(rows.index[0], max(due, rows.index[-1], *now), freq="MS")
    months = rows[["records", "customers"]].reindex(expected, fill_value=0.0).rename_axis("month").reset_index()
    months.insert(0, "table", name)
    months.insert(0, "department", department)
    dense = len(rows) >= DENSE * len(months)
    usual = _usual(months["records"].to_numpy(), dense or monthly)
    months["share"] = months["records"] / usual
    months["gap"] = ""
    if monthly:
        late = months["month"] <= due
        thin = (months["share"] < THIN) & (usual >= USUAL) & (months.index > 0) & late
        months.loc[thin, "gap"] = "thin"
        months.loc[(months["records"] == 0) & late, "gap"] = "missing"
    bits = rows["day_bits"].astype(int)
    days = [month + pd.Timedelta(days=k) for month, sum_ in bits.items() for k in range(31) if sum_ >> k & 1]
    there = pd.DatetimeIndex(days)
    months = months.join(_dark(there, months, usual, day) if daily else pd.DataFrame(columns=_DARK))
    months["days_missing"] = months["days_missing"].astype(float).fillna(0.0)
    months.loc[months["days_missing"] > 0, "gap"] = "days"
    monthly = monthly and (len(months) > 1 or months["gap"].ne("").any())  # one month does not tell how often it comes
    return {
        "department": department,
        "table": name,
        "records": float(rows["records"].sum()),
        "first": there[0],
        "last": rows["last_on"].max(),
        "months": len(rows),
        "missing": float((months["gap"] == "missing").sum()) if monthly else np.nan,
        "thin": float((months["gap"] == "thin").sum()) if monthly else np.nan,
        "days_missing": float(months["days_missing"].sum()) if monthly else np.nan,
        "days_old": float((day - rows["last_on"].max()).days),
        "gaps": _gaps(months) if monthly else "not judged",
    }, months


def _dark(there: pd.DatetimeIndex, months: pd.DataFrame, usual: np.ndarray, day: pd.Timestamp) -> pd.DataFrame:
    """Days without rows that are neither chance nor a rest, by month; months that lack as a whole have none."""
    rests = np.diff(there).astype("timedelta64[D]").astype(int) - 1
    longest = RESTS * np.quantile(rests, 0.9, method="higher") if len(rests) else 0
    pace = pd.Series(usual / (365.25 / 12), months["month"])
    dark: list[pd.Timestamp] = []
    for last, then in zip(there, [*there[1:], max(day, there[-1] + pd.Timedelta(days=1))], strict=True):
        lacking = pd.date_range(last + pd.Timedelta(days=1), then - pd.Timedelta(days=1))
        if len(lacking) > longest and len(lacking) * pace[last.to_period("M").to_timestamp()] >= EXPECTED:
            dark.extend(lacking)
    days = pd.DataFrame({"day": dark, "month": pd.PeriodIndex(dark, freq="M").to_timestamp()})
    days = days[~days["month"].isin(months.loc[months["gap"] == "missing", "month"])]
    found = days.groupby("month")["day"].agg(days_missing="size", dark_from="min", dark_to="max")
    return found.reindex(months["month"]).reset_index(drop=True)


def _usual(records: np.ndarray, dense: bool) -> np.ndarray:
    """The median of the months near each that have rows; of a table in waves, its largest month."""
    if not dense:
        return np.full(len(records), records.max())
    near = [np.r_[records[max(at - _NEAR, 0) : at], records[at + 1 : at + 1 + _NEAR]] for at in range(len(records))]
    filled = [part[part > 0] for part in near]
    return np.array([np.median(part) if len(part) else max(own, 1) for part, own in zip(filled, records, strict=True)])


def _gaps(months: pd.DataFrame) -> Message:
    """Say which of the months are missing or thin, and which days lack in others; nothing where none is."""
    lacking, few = (months.loc[months["gap"] == gap, "month"] for gap in ("missing", "thin"))
    said = [say("{months} missing", months=_months(lacking))] if len(lacking) else []
    said += [say("{months} thin", months=_months(few))] if len(few) else []
    dark = months[months["gap"] == "days"]
    if len(dark) == 1 and dark["days_missing"].iloc[0] == 1:
        said.append(say("{months} missing", months=Day(dark["dark_from"].iloc[0])))
    elif len(dark):
        ends = {"first": Day(dark["dark_from"].min()), "last": Day(dark["dark_to"].max())}
        said.append(say("{n} days from {first} to {last} missing", n=Count(dark["days_missing"].sum()), **ends))
    return say("{gaps}", gaps=Listed(said, "")) if said else say("")


def _months(which: pd.Series) -> Listed | Message:
    months = [Day(f"{month:%Y-%m}") for month in which]
    if len(months) <= 3:
        return Listed(months)
    return say("{n} months from {first} to {last}", n=Count(len(months)), first=months[0], last=months[-1])
