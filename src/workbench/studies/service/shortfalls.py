"""Which standards do we miss, and are those who met a miss less satisfied? Service standards against records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.columns import category, day, days, number
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Listed, Message, Number, Share, Span, Term, join, say
from workbench.methods.cases import judge
from workbench.methods.cells import cells_of, listed, plain, said, weights_of
from workbench.methods.survey import Design
from workbench.result import Quantity, Result, Tile
from workbench.rules import made, read_rules


@dataclass(frozen=True)
class ServiceStandard:
    """A promise: of which rows of which table, and when it is kept (see `service_standards.toml`)."""

    name: str
    table: str
    when: str
    column: str
    where: Mapping[str, str] = field(default_factory=dict)
    at_most: float | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if self.table not in ("contact", "ticket") or (self.at_most is None) == (self.by is None):
            raise WorkbenchError(
                'standard \'{name}\' needs table = "contact" or "ticket", and either at_most or by.'
            ).of(self.name)


def service_standards(file: str | Path | None = None) -> tuple[ServiceStandard, ...]:
    """Read service standards from a TOML file; those beside this module if none is given.

    >>> service_standards()[0].name
    'hotline answers within 20 s'
    """

    def standards(standard: tuple[Mapping[str, Any], ...]) -> tuple[ServiceStandard, ...]:
        where = say("a standard of {file}", file=str(file or "service_standards.toml"))
        return tuple(made(ServiceStandard, entry, where) for entry in standard)

    return read_rules(file, __package__, "service_standards.toml", standards)


@dataclass(frozen=True, eq=False)
class ServiceShortfalls(Result):
    """How often each standard was missed, and how satisfied those are who met it.

    Attributes
    ----------
    table : DataFrame
        One row a standard and cell: standard, the columns of `by`, missed (%), low, high (customers are the units;
        none where all cases are of one customer), n (cases judged), customers, pending (not yet due, closed or open),
        unjudged (without a time or promise).
    satisfaction : DataFrame
        One row a standard, of the respondents who had such a case in the days before their interview: standard,
        difference (mean score of those with a miss minus that of those with none), se, low, high (none where all
        scores of a side are the same), n_missed, n_kept.
    hidden : int
        Cells with fewer than `minimum` cases.
    """

    table: pd.DataFrame
    satisfaction: pd.DataFrame
    hidden: int
    by: tuple[str, ...]
    level: float
    minimum: int

    NAME, COUNTS, TOTALS = "shortfalls", "customers", None
    FORMATS = dict.fromkeys(["missed", "low", "high"], "{:.1f}")
    CAPTION = "Share of cases that missed the standard (%), with cases, customers and open cases."

    def headline(self) -> Message:
        """Say where the standard is missed most often, and whether it shows in satisfaction."""
        *said, last = self._clauses()
        return join(*(say("{said}.", said=s) for s in said), self.say("{said} ({level} intervals).", said=last))

    def _clauses(self) -> Iterator[Message]:
        worst = self.worst
        missed = say(
            "Missed most often: {cell}, {share} {span} % of cases",
            cell=self.called(worst),
            share=Number(worst["missed"], ".1f"),
            span=Span(worst["low"], worst["high"], ".1f"),
        )
        yield say("{missed}, all of one customer", missed=missed) if worst["customers"] == 1 else missed
        told = self.satisfaction.dropna(subset=["low", "high"])
        clear = told[(told["high"] < 0) | (told["low"] > 0)]
        if len(told):
            differs = say(
                "Satisfaction of those with a missed case differs significantly from that of the others for {n} of "
                "{all} standards",
                n=len(clear),
                all=len(told),
            )
            rows = (
                say("{standard}: {difference} points", standard=Term(r["standard"]), difference=said(r, "difference"))
                for _, r in clear.iterrows()
            )
            yield say("{differs}: {standards}", differs=differs, standards=Listed(rows, ";")) if len(clear) else differs
        if more := len(self.satisfaction) - len(told):
            yield say("For {n} it cannot be told: on one side all scores are the same", n=more)

    @property
    def worst(self) -> pd.Series:
        """The standard, and its cell, that is missed most often."""
        return self.table.loc[self.table["missed"].idxmax()]

    def called(self, row: pd.Series) -> Listed:
        """Name a standard and its cell."""
        return Listed([Term(row["standard"]), *(str(row[c]) for c in self.by)], "·")

    def tiles(self) -> tuple[Tile, ...]:
        """The standard that is missed most often."""
        worst = self.worst
        if worst["customers"] < self.minimum:
            return ()
        ends = Span(worst["low"] / 100, worst["high"] / 100, ".1%", self.level)
        return (Tile(say("cases that missed: {cell}", cell=self.called(worst)), Share(worst["missed"] / 100), ends),)

    def quantities(self) -> Iterable[Quantity]:
        """Name every share, and every difference in satisfaction."""
        for place, row in enumerate(self.table.to_dict("records")):
            cell = "".join(f",{column}={row[column]}" for column in self.by)
            name = f"missed_share[standard={row['standard']}{cell}]"
            if np.isfinite(row["low"]):
                yield Quantity(name, row["missed"], "%", row["low"], row["high"], row=place)
        for row in self.satisfaction.dropna(subset=["low", "high"]).to_dict("records"):
            name = f"missed_difference[standard={row['standard']}]"
            yield Quantity(name, row["difference"], "points", row["low"], row["high"])


def service_shortfalls(
    contacts: pd.DataFrame,
    tickets: pd.DataFrame,
    *,
    as_of: object,
    standards: Sequence[ServiceStandard] | None = None,
    by: Sequence[str] = (),
    respondents: pd.DataFrame | None = None,
    score: str = "score",
    weight: str | None = "weight",
    before_days: int = 180,
    level: float = 0.95,
    minimum: int = 30,
) -> ServiceShortfalls:
    """Count how often promises were not kept, and compare the satisfaction of those who met it.

    A case is judged if, and only if, its promised time has passed (`methods.cases`): one that closed early does not
    count before, as one that is open does not. A customer's cases are taken together for the error.

    Parameters
    ----------
    contacts, tickets : DataFrame
        One row a contact, a ticket, with customer_id and the columns that the standards name.
    as_of : date
        The day before which all is known.
    standards : sequence of ServiceStandard, optional
        `service_standards()` if not given.
    by : sequence of str
        Columns of both tables whose combinations are the cells.
    respondents : DataFrame, optional
        One row an interview: customer_id, answered_on, `score`, and the weight; those without customer are left out.
    before_days : int
        How long before the interview a case counts, by the day on which it was kept or missed.
    minimum : int
        Fewest cases, and fewest respondents on each side, shown.

    Raises
    ------
    WorkbenchError
        If a column is missing.
    CannotAnswer
        If no standard has `minimum` cases.

    Warning
    -------
    The difference in satisfaction is not the effect of the miss: who has many cases is more likely to meet one, and
    may have been less satisfied before.
    """
    by, found, met, hidden = listed(by), [], [], 0
    as_of = day(as_of, "as_of")
    for standard in service_standards() if standards is None else standards:
        source = contacts if standard.table == "contact" else tickets
        cases = plain(_judged(source, standard, by, as_of), by)
        for cell, rows in cells_of(cases, by):
            part = cases.iloc[rows]
            known = part[part["missed"].notna()]
            if len(known) < max(minimum, 2):
                hidden += 1
                continue
            cluster = pd.factorize(known["customer_id"])[0]
            mean = Design.of(np.ones(len(known)), cluster=cluster).mean(100 * known["missed"].to_numpy(float))
            low, high = mean.interval("top", level)
            row = {"standard": standard.name} | dict(zip(by, cell, strict=True))
            row |= {"missed": mean.estimate, "low": low, "high": high, "n": len(known), "customers": cluster.max() + 1}
            pending = int(part["pending"].sum())
            found.append(row | {"pending": pending, "unjudged": len(part) - len(known) - pending})
        if respondents is not None:
            met += _difference(standard.name, cases, respondents, score, weight, before_days, level, minimum)
    if not found:
        raise CannotAnswer(
            "no standard has {minimum} cases. Take a longer time, fewer columns in by=, or another file."
        ).of(minimum)
    names = ["standard", "difference", "se", "low", "high", "n_missed", "n_kept"]
    satisfaction = pd.DataFrame(met, columns=names)
    return ServiceShortfalls(pd.DataFrame(found), satisfaction, hidden, tuple(by), level, minimum)


def _judged(source: pd.DataFrame, standard: ServiceStandard, by: list[str], as_of: pd.Timestamp) -> pd.DataFrame:
    """Cases of a standard: customer_id, judged (when it was kept or missed), missed, pending, and `by`."""
    needed = ["customer_id", standard.when, standard.column, *standard.where, *([standard.by] if standard.by else [])]
    require_columns(
        source, [*needed, *by], f"{standard.table}s", hint=say("Standard '{name}' needs it.", name=standard.name)
    )
    picked = (source[list(standard.where)] == pd.Series(dict(standard.where), dtype=object)).all(axis=1)
    began = days(source[standard.when], standard.when)[0]
    picked = (picked & (began < as_of)).to_numpy()
    rows, began = source[picked].reset_index(drop=True), began[picked].reset_index(drop=True)
    value = rows[standard.column]
    if standard.by is None:
        judged, value = began, pd.Series(number(value, standard.column, missing="keep"), value.index)
        missed, pending = (
            (value > standard.at_most).astype(float).where(value.notna()),
            pd.Series(data=False, index=rows.index),
        )
    else:
        judged = days(rows[standard.by], standard.by)[0]
        found = judge(judged, days(value, standard.column)[0], as_of)
        pending = pd.Series(found.pending, index=rows.index)
        missed = pd.Series(1.0 - found.kept, index=rows.index).where(found.judged)
    head = {"customer_id": rows["customer_id"], "judged": judged, "missed": missed, "pending": pending}
    return rows[by].assign(**head)


def _difference(name, cases, respondents, score, weight, before_days, level, minimum) -> list[dict]:
    """Weighted mean score of respondents who met a miss before the interview, minus that of those who met none."""
    used = ["customer_id", "answered_on", score, *([weight] if weight else [])]
    require_columns(respondents, used, "respondents", hint="respondent_scores() gives a score.")
    people = respondents.loc[respondents[["customer_id", "answered_on", score]].notna().all(axis=1), used]
    people = people.reset_index(drop=True).assign(
        answered_on=lambda p: days(p["answered_on"], "answered_on")[0], _row=np.arange(len(people))
    )
    people = people[people["answered_on"].notna() & (weights_of(people, weight) > 0)]
    people["customer_id"] = category(people["customer_id"], "customer_id")
    cases = cases.assign(customer_id=category(cases["customer_id"], "customer_id"))
    both = people.merge(cases.loc[cases["missed"].notna(), ["customer_id", "judged", "missed"]], on="customer_id")
    age = (both["answered_on"] - both["judged"].dt.normalize()).dt.days
    worst = both[(age > 0) & (age <= before_days)].groupby("_row")["missed"].max()
    people = people.set_index("_row").loc[worst.index].sort_values(["customer_id", "answered_on", score])
    miss = worst.loc[people.index].to_numpy() == 1
    if min(miss.sum(), (~miss).sum()) < max(minimum, 2):
        return []
    y, w = number(people[score], score, what="score"), weights_of(people, weight)
    one, two = (Design.of(w[side]).mean(y[side]) for side in (miss, ~miss))
    gap, error = one.estimate - two.estimate, float(np.hypot(one.se, two.se))
    if not min(one.se, two.se) > 0:  # one side all scored alike: its mean has no interval
        error = np.nan
    half = error
    if error > 0:
        half = stats.t.isf((1 - level) / 2, error**4 / (one.se**4 / one.df + two.se**4 / two.df)) * error
    ends = {"low": gap - half, "high": gap + half}
    return [{"standard": name, "difference": gap, "se": error} | ends | {"n_missed": one.n, "n_kept": two.n}]
