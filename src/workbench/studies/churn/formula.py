"""How likely is each customer to leave? A logistic formula that stands on a page and runs in a billing system."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
from scipy.special import expit

from workbench.errors import NOT_WHOLE, CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, dot_and_interval
from workbench.locks import whole
from workbench.messages import Label, Listed, Message, Number, Share, Span, as_message, join, say, spelt
from workbench.methods.scorecard import Scale
from workbench.result import COUNT, Decision, Quantity, Result, Table, Tile
from workbench.studies.churn.terms import SEGMENT, Facts, FormulaTerm, as_questions, literal, plain, read_facts, told_in

R = TypeVar("R")
FORMAT = 1
CARD = Scale()
SHOWN, PAGE = 20, 40
LOSS = 0.02
"""AUC from which what being explicit costs is much."""
_KEPT = (
    "intercept",
    "horizon",
    "months",
    "rows",
    "left",
    "customers",
    "level",
    "level_se",
    "slope",
    "slope_se",
    "rounding",
)


@dataclass(frozen=True, eq=False)
class ChurnFormula(Result):
    """Log odds of leaving as a sum of terms, with what it reached on customers it had not seen.

    Attributes
    ----------
    parts : tuple of FormulaTerm
        All terms, the references among them.
    intercept : float
    numbers, categories : tuple of str
        The facts it takes.
    horizon, months : int, float
        Months within which the departures of the fit were counted; months that its probabilities are for.
    rows, left, customers : int
        Of the fit: rows, those who left, different customers.
    level, slope : float
        What the calibration month changed: added to the log odds, and their factor; with `level_se`, `slope_se`.
    rounding : float
        Largest change of a probability by whole points.
    tenths : dict of str to tuple
        Inner ends of the tenths of the score and of each number, and their shares, at the calibration.
    fitted : tuple of str
        First month of the fit and that of the calibration ("2026-01"); empty where there were no months.
    information : dict of str to float
        Information value of each fact in bins or levels: sum of the difference of shares x weight of evidence.
    judged : DataFrame
        Rows formula, boosting and price (boosting less formula): auc with low and high, brier; empty where not asked.
    """

    parts: tuple[FormulaTerm, ...]
    intercept: float
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    horizon: int
    months: float
    rows: int
    left: int
    customers: int
    judged: pd.DataFrame
    level: float = 0.0
    level_se: float = 0.0
    slope: float = 1.0
    slope_se: float = 0.0
    rounding: float = 0.0
    tenths: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(default_factory=dict)
    information: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, Message] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    fitted: tuple[str, ...] = ()
    currency: str = "currency"

    SUFFIX = "toml"
    NAME, COUNTS, TOTALS, CHART = "terms", "rows", ("fact",), say("Dots with intervals, a row a term")
    PICTURE_CAPTION = "What raises and what lowers the odds of leaving: the terms that move customers furthest."
    FORMATS = dict.fromkeys(["coefficient", "odds_ratio", "low", "high"], "{:.3f}") | {"rows": COUNT}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a term, references with odds ratio 1; `low` and `high` are ends of the odds ratio."""
        shown = [t for t in self.parts if t.reference or (t.coefficient and t.mean)]
        b, se = (np.array([getattr(t, name) for t in shown], dtype=float) for name in ("coefficient", "se"))
        frame = pd.DataFrame({"fact": _named(shown)})
        frame["term"] = pd.Series([t.said(self.told) for t in shown], dtype=object)
        units = {fact: unit.replace("currency", self.currency) for fact, unit in self.units.items()}
        frame["unit"] = ["" if t.knot is None else units.get(t.fact, "") for t in shown]
        frame["rows"] = [t.mean * self.rows if t.knot is None else float(self.rows) for t in shown]
        ends = {"low": np.exp(b - 1.959964 * se), "high": np.exp(b + 1.959964 * se)}
        return frame.assign(coefficient=b, odds_ratio=np.exp(b), **ends)

    @property
    def told(self) -> dict[str, str]:
        """In which unit the ends of each fact are said."""
        return told_in(self.units, self.currency)

    def headline(self) -> Message:
        """Say what it foresees, how well it orders, and what being explicit costs."""
        first = say(
            "{left} of {rows} customer-months ended in leaving within {months}; the formula says of each customer how "
            "likely that is.",
            left=self.left,
            rows=self.rows,
            months=self._months(),
        )
        if self.judged.empty:
            return first
        own = self.judged.loc["formula"]
        second = say(
            "Among customers it had not seen it puts a leaver before a stayer with probability {auc} {span}.",
            auc=Number(own.auc, ".3f"),
            span=Span(own.low, own.high, ".3f"),
        )
        if "price" not in self.judged.index:
            return join(first, second)
        rival, price = self.judged.loc["boosting"], self.judged.loc["price"]
        third = say(
            "Boosting, which nobody can read, reaches {rival}: being explicit costs {price} {ends}.",
            rival=Number(rival.auc, ".3f"),
            price=Number(price.auc, ".3f"),
            ends=Span(price.low, price.high, ".3f"),
        )
        return join(first, second, third)

    def caption(self) -> Message:
        """Say how a term is read."""
        said = say(
            "The formula: odds of leaving within {months} of each term against the reference of its fact (odds ratio "
            "1), all else equal; 95% intervals with customers as clusters.",
            months=self._months(),
        )
        notes = tuple(self.left_out.values())
        return join(said, say("Of the fit: {notes}.", notes=Listed(notes, ";"))) if notes else said

    def tiles(self) -> tuple[Tile, ...]:
        """How well it orders, and what being explicit costs."""
        said = {"formula": say("a leaver is put before a stayer"), "price": say("what being explicit costs (AUC)")}
        rows = [(said[row.Index], row) for row in self.judged.itertuples() if row.Index in said]
        return tuple(Tile(text, Number(row.auc, ".3f"), Span(row.low, row.high, ".3f")) for text, row in rows)

    @property
    def orders(self) -> bool:
        """Whether it is not known to order customers no better than chance."""
        return self.judged.empty or bool(self.judged.loc["formula", "low"] > 0.5)

    def allow(self, answer: R) -> R:
        """Give an answer that rests on the order of customers back; refuse it where chance orders them as well."""
        if not self.orders:
            row = self.judged.loc["formula"]
            raise CannotAnswer(
                say(
                    "not answerable: the formula is not shown to order customers better than chance, AUC {auc} {span}.",
                    auc=Number(row.auc, ".3f"),
                    span=Span(row.low, row.high, ".3f"),
                )
            )
        return answer

    def decision(self) -> Decision:
        """Advise whether the formula will do."""
        if not self.orders:
            do = say(
                "Keep the formula out of the billing system: it is not shown to order customers better than chance."
            )
        elif "price" not in self.judged.index:
            do = say("Hold the formula against boosting before it is used.")
        elif self.judged.loc["price", "low"] > LOSS:
            do = say("Use the formula where it must be read; where only the order counts, boosting is worth its price.")
        else:
            do = say("Put the formula into the billing system: machine learning is not shown to rank much better.")
        return Decision((do,), say("a month in which those who leave are not those expected."))

    def quantities(self) -> Iterable[Quantity]:
        """AUC of formula and boosting, and the price of being explicit."""
        for row in self.judged.itertuples():
            yield Quantity(f"churn_auc[{row.Index}]", row.auc, "1", row.low, row.high, rtol=1e-3)

    def logit(self, facts: Facts) -> np.ndarray:
        """Sum the terms of facts that are read, shape (n,)."""
        found = np.full(len(next(iter(facts.values()))), self.intercept)
        for term in self.parts:
            if term.coefficient:
                found += term.coefficient * term(facts)
        return found

    def read(self, customers: pd.DataFrame) -> Facts:
        """Read the facts it takes; refuse one that is missing or of another kind than at the fit."""
        return read_facts(customers, self.numbers, self.categories, "the customers")

    @property
    def feature_names_in_(self) -> list[str]:
        return [*self.numbers, *self.categories]

    def probability(self, customers: pd.DataFrame) -> np.ndarray:
        """Give each customer's probability of leaving within `months`, shape (n,)."""
        return self._within(self.logit(self.read(customers)))

    def contributions(self, customers: pd.DataFrame) -> pd.DataFrame:
        """Give what each fact adds to each customer's log odds, against the mean customer of the fit; a row adds up."""
        facts = self.read(customers)
        base = self.intercept + sum(t.coefficient * t.mean for t in self.parts)
        found = pd.DataFrame({"base": np.full(len(customers), base)}, index=customers.index)
        for name in dict.fromkeys(t.fact for t in self.parts):
            parts = [t for t in self.parts if t.fact == name]
            found[name] = sum(t.coefficient * (t(facts) - t.mean) for t in parts)
        return found

    def reasons(self, customers: pd.DataFrame, most: int = 3) -> list[tuple[Message, ...]]:
        """Say for each customer which facts raise their odds most, the strongest first."""
        facts, added = self.read(customers), self.contributions(customers).drop(columns="base")
        words = np.full(added.shape, None, dtype=object)
        for k, name in enumerate(added):
            words[:, k] = say("{fact} as it is", fact=Label(name))
            for term in (t for t in self.parts if t.fact == name):
                if term.knot is None:
                    words[term(facts) > 0, k] = term.said(self.told)
                elif term.knot == 0:
                    above = term(facts) > term.mean
                    words[above, k], words[~above, k] = (
                        say("{fact} above the mean", fact=Label(name)),
                        say("{fact} below the mean", fact=Label(name)),
                    )
        first = np.argsort(-added.to_numpy(), axis=1, kind="stable")[:, :most]
        values = added.to_numpy()
        return [tuple(words[i, k] for k in row if values[i, k] > 0) for i, row in enumerate(first)]

    def card(self, scale: Scale = CARD) -> pd.DataFrame:
        """Give the points card: `exact` and whole `points` of each term, more for those who stay.

        The first row is everybody's. A term of a number has points a unit.
        """
        shown = [t for t in self.parts if t.coefficient or t.reference]
        frame = pd.DataFrame({"fact": ["", *_named(shown)]})
        frame["term"] = pd.Series([say("everybody"), *(t.said(self.told) for t in shown)], dtype=object)
        exact = [float(scale.points(np.array(self.intercept))), *(0.0 - scale.factor * t.coefficient for t in shown)]
        whole = [True, *(t.knot is None for t in shown)]
        return frame.assign(exact=exact, points=np.where(whole, np.round(exact), np.round(exact, 2)) + 0.0)

    def points(self, customers: pd.DataFrame, scale: Scale = CARD, *, whole: bool = True) -> np.ndarray:
        """Give each customer's points, shape (n,): exact, or with what each term adds rounded to whole ones."""
        return self.points_of(self.read(customers), scale, whole=whole)

    def points_of(self, facts: Facts, scale: Scale, *, whole: bool) -> np.ndarray:
        """Sum the points of facts that are read, shape (n,)."""
        rounded = np.round if whole else np.asarray
        found = np.full(len(next(iter(facts.values()))), rounded(scale.points(np.array(self.intercept))))
        for term in self.parts:
            if term.coefficient:
                found += rounded(-scale.factor * term.coefficient * term(facts))
        return found

    def sql(self, of: Literal["probability", "logit"] = "probability") -> str:
        """Write it as an expression over columns named as the facts: the same text on DuckDB, PostgreSQL and Spark.

        The log odds need arithmetic and CASE alone, the probability EXP (and POWER for another horizon) too. Flags
        stand as 0 and 1, what is missing as NULL.
        """
        lines = [literal(self.intercept)]
        for name in dict.fromkeys(t.fact for t in self.parts):
            parts = [t for t in self.parts if t.fact == name]
            if name == SEGMENT:
                lines.append(as_questions(parts, _quoted))
                continue
            rest = next((t.adds(_quoted) for t in parts if t.knot == 0), "0e0")
            flags = [t for t in parts if t.knot is None and (t.coefficient or (t.gap and rest != "0e0"))]
            if name in self.numbers and rest == "0e0" and flags:  # bins, the lowest first; what is missing is in none
                told = [t for t in parts if t.knot is None and not t.gap]
                *flags, last = sorted(told, key=lambda t: t.conditions[0].low)
                flags = [*(t.without("low") for t in flags), last.without("high")]
                rest = next((t.adds(_quoted) for t in parts if t.gap), rest)
            cases = [([t.when(_quoted) for t in flags], rest)]
            cases += [([t.when(_quoted)], "0e0") for t in parts if t.knot]
            lines += [f"CASE {' '.join(case)} ELSE {rest} END" for case, rest in cases if case]
        logit = "\n  + ".join(lines)
        if of == "logit":
            return logit
        if self.months == self.horizon:
            return f"1e0 / (1e0 + EXP(-(\n    {logit}\n)))"
        return f"1e0 - POWER(1e0 + EXP(\n    {logit}\n), {literal(-self.months / self.horizon)})"

    def at_horizon(self, months: float) -> ChurnFormula:
        """Give the formula for another number of months: 1 - (1 - p) to the power months / horizon.

        It takes the rate of leaving to be the same in each month of the horizon.
        """
        if not months > 0:
            raise WorkbenchError("months={months}: give a number above 0.").of(months)
        return replace(self, months=float(months))

    def save(self, path: str | Path) -> Path:
        """Write it as TOML, whole or not at all."""
        lines = [f"format = {FORMAT}", *(f"{name} = {plain(getattr(self, name))}" for name in _KEPT)]
        lines += [f"{name} = {plain(getattr(self, name))}" for name in ("numbers", "categories", "fitted", "currency")]
        for title in ("units", "left_out", "information"):
            items = getattr(self, title).items()
            lines += [f"\n[{title}]", *(f"{plain(k)} = {plain(v)}" for k, v in items)]
        lines += ["\n[tenths]", *(f"{plain(k)} = [{_row(e)}, {_row(s)}]" for k, (e, s) in self.tenths.items())]
        lines += ["\n[judged]"] * (not self.judged.empty)
        lines += [f"{row.Index} = {_row(row[1:])}" for row in self.judged.itertuples()]
        with whole(Path(path)) as part:
            part.write_text("\n".join([*lines, "", *(t.toml() for t in self.parts)]), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> ChurnFormula:
        """Read a formula that was saved; refuse what is no whole formula."""
        path = Path(path)
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise WorkbenchError("{file} has another format than {format}. Fit the formula anew.").of(
                    path.name, FORMAT
                )
            judged = pd.DataFrame.from_dict(content.pop("judged", {}), orient="index", columns=list(JUDGED))
            parts = tuple(map(FormulaTerm.read, content.pop("term")))
            tenths = {k: (tuple(e), tuple(s)) for k, (e, s) in content.pop("tenths").items()}
            said = {k: say("{it}", it=v) for k, v in content.pop("left_out").items()}
            content["fitted"] = tuple(content.get("fitted", ()))
            content |= {"numbers": tuple(content["numbers"]), "categories": tuple(content["categories"])}
            found = cls(parts=parts, tenths=tenths, judged=judged, left_out=said, **content)
            times = [found.months, found.horizon]
            amounts = [found.intercept, *times, *(x for t in parts for x in (t.coefficient, t.mean))]
            asked = {condition.fact for term in parts for condition in term.conditions}
            sure = not any(isinstance(x, str) for x in amounts) and np.isfinite(np.array(amounts, dtype=float)).all()
            if not sure or not min(times) > 0 or not asked <= {*found.numbers, *found.categories}:
                raise ValueError("a number or fact is missing")
        except FileNotFoundError:
            raise WorkbenchError("no formula at {path}. Fit one and keep it there with save().").of(path) from None
        except NOT_WHOLE as error:
            raise WorkbenchError("{file} is not a whole formula ({error}). Restore it, or fit it anew.").of(
                path.name, error
            ) from None
        return found

    def price(self) -> Table:
        """Give the price of being explicit."""
        frame = self.judged.rename_axis("model").reset_index()
        frame["model"] = pd.Series(
            [say("the formula"), say("boosting"), say("price of being explicit")][: len(frame)], dtype=object
        )
        said = say(
            "What boosting would have reached on the same customers, unseen by both; Brier is a mean squared error."
        )
        return Table("price", frame, said, dict.fromkeys(["auc", "low", "high", "brier"], "{:.4f}"))

    def points_card(self) -> Table:
        """Give the card as a page shows it."""
        said = say(
            "The points card: {base} points stand for 50 stayers to 1 leaver, 20 points double the odds of staying; "
            "whole points move a probability by up to {rounding}.",
            base=600,
            rounding=Share(self.rounding),
        )
        return self._card("card", said, slice(0, self._turn))

    def segments_card(self) -> Table:
        """Give the rest of the card: the facts for which the first part had no room, and the segments."""
        said = say(
            "The points card, second part: each customer is in one segment. Where a condition says (or unknown), it "
            "holds for customers of whom that fact is not known."
        )
        return self._card("card_segments", said, slice(self._turn, None))

    def _card(self, name: str, caption: Message, rows: slice) -> Table:
        return Table(name, self.card().iloc[rows], caption, {"exact": "{:.2f}", "points": "{:g}"})

    @property
    def _turn(self) -> int:
        """The row of the card on which the second part begins: a fact is not parted."""
        facts = ["", *(t.fact for t in self.parts if t.coefficient or t.reference)]
        return next((facts.index(f) for k, f in enumerate(facts) if k >= PAGE or f == SEGMENT), len(facts))

    def expression(self) -> Table:
        """Give the SQL as a page shows it, a row a line."""
        said = say("The formula as one SQL expression: the same text on DuckDB, PostgreSQL and Spark.")
        return Table("sql", pd.DataFrame({"sql": [line.strip() for line in self.sql().splitlines()]}), said)

    def picture_caption(self) -> Message:
        """Say what the picture shows, and who is in the segment with the highest odds."""
        caption, segments = (
            as_message(self.PICTURE_CAPTION),
            ~self.table["fact"].isin([*self.numbers, *self.categories]),
        )
        if not segments.any():
            return caption
        segment, term = map(spelt, self.table.loc[self.table["odds_ratio"].where(segments).idxmax(), ["fact", "term"]])
        said = say("{segment}, with the highest odds of them: {term}.", segment=segment, term=term)
        return join(caption, say("A segment is customers alike in several facts."), said)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the odds ratios of the terms that move most."""
        rows = self.table[self.table["coefficient"] != 0]
        weight = rows["coefficient"].abs() * np.sqrt(rows["rows"] * (self.rows - rows["rows"]).clip(lower=1))
        rows = rows.loc[weight.nlargest(SHOWN).index].sort_values("odds_ratio", ascending=False)
        names = rows["term"].where(rows["fact"].isin([*self.numbers, *self.categories]), rows["fact"])
        ax = dot_and_interval(names.tolist(), rows.assign(estimate=rows["odds_ratio"]), axes(ax))
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.axvline(1, color="0.6", linewidth=0.8)
        ax.set_xlabel(say("odds ratio of leaving"))
        return ax

    def _within(self, logit: np.ndarray) -> np.ndarray:
        if self.months == self.horizon:
            return expit(logit)
        return -np.expm1(-np.logaddexp(0, logit) * (self.months / self.horizon))

    def _months(self) -> Message:
        if self.months == 1:
            return say("a month")
        return say("{n} months", n=Number(self.months, "g"))


JUDGED = ("auc", "low", "high", "brier")


def _named(terms: Sequence[FormulaTerm]) -> pd.Series:
    """Whose part each term is; segments are numbered."""
    segments = [t for t in terms if t.fact == SEGMENT]
    names = [say("segment {n}", n=segments.index(t) + 1) if t.fact == SEGMENT else t.fact for t in terms]
    return pd.Series(names, dtype=object)


def _quoted(name: str) -> str:
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _row(values: Sequence[Any]) -> str:
    return "[" + ", ".join(plain(float(v)) for v in values) + "]"
