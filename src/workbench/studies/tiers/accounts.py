"""Which government and enterprise customers are key accounts, and would they be with slightly other weights?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.columns import number
from workbench.errors import CannotAnswer, require_columns
from workbench.figures import Axes, heat_map
from workbench.messages import Count, Label, Listed, Message, Number, Share, Span, say
from workbench.methods.resampling import Rng, seeds
from workbench.methods.rows import checked
from workbench.result import COUNT, Quantity, Result, Tile
from workbench.rules import prove, read_rules
from workbench.studies.tiers.levels import FEW
from workbench.suppression import visible


@dataclass(frozen=True)
class GradeScheme:
    """Parts of the score (column, weight, low, high, scale) and where each grade begins, proved when made."""

    part: tuple[Mapping[str, Any], ...]
    grades: Mapping[str, float]

    def __post_init__(self) -> None:
        starts = list(self.grades.values())
        keys = all(set(p) == {"column", "weight", "low", "high", "scale"} for p in self.part)
        prove(
            "grade scheme",
            {
                "a part has column, weight, low, high, and scale = linear or log": keys
                and all(p["scale"] in ("linear", "log") for p in self.part),
                "a part has low < high, above 0 on a log scale": keys
                and all(p["low"] < p["high"] and (p["low"] > 0 or p["scale"] == "linear") for p in self.part),
                "2 to 10 parts have weights above 0 that add up to 1": keys
                and 2 <= len(self.part) <= 10
                and min(p["weight"] for p in self.part) > 0
                and abs(sum(p["weight"] for p in self.part) - 1) < 1e-9,
                say("grades begin at falling scores, the last at 0, not {starts}", starts=str(starts)): len(starts) > 1
                and starts[-1] == 0
                and bool((np.diff(starts) < 0).all()),
                "a grade is a letter and a digit, for instance A1": all(
                    len(g) == 2 and g[0].isalpha() and g[1].isdigit() for g in self.grades
                ),
            },
        )


def grade_scheme(path: str | Path | None = None) -> GradeScheme:
    """Read a scheme from a TOML file; without one, that which ships."""
    return read_rules(path, __package__, "key_accounts.toml", GradeScheme)


@dataclass(frozen=True, eq=False)
class KeyAccounts(Result):
    """The grade of each account, and how much of it the choice of weights makes.

    `accounts`, one row each, best first: grade, score (0-100), probability (share of drawn weights that give this
    grade), best and worst (grades that weights within the change can give), missing (parts not known, left out of the
    mean), if_low and if_high (grades if those had 0 or 100 points), the value, points_PART. `table`, one row a grade:
    from_score, accounts, value, value_share, can_change. `can_change`: share of accounts that some weights within
    `change` grade otherwise (exact); `changed`: share that drawn weights do, mean and middle 95 %. `missing`: accounts
    without each part.
    """

    accounts: pd.DataFrame
    table: pd.DataFrame
    can_change: float
    changed: tuple[float, float, float]
    change: float
    missing: dict[str, int]
    value: str

    NAME, COUNTS = "accounts", "accounts"
    CHART = say("Letters down, digits across, the darker the more of the value")
    FORMATS = dict.fromkeys(["value", "can_change"], COUNT)
    CAPTION = "Grades of key accounts."

    def headline(self) -> Message:
        """Say how many accounts stand in the upper letter, what they bring, and how firm the grades are."""
        first = self._upper(self.table)
        mean, low, high = self.changed
        clauses = [
            say(
                "{n} of {all} accounts are graded {best} to {last} and bring {share} of {value}",
                n=first["accounts"].sum(),
                all=len(self.accounts),
                best=first["grade"].iloc[0],
                last=first["grade"].iloc[-1],
                share=Share(first["value_share"].sum(), 0),
                value=Label(self.value),
            ),
            say(
                "weights changed by up to {change} move {moved} {span} of the grades, and could move {most}",
                change=Share(self.change, 0),
                moved=Share(mean),
                span=Span(low, high, ".1%"),
                most=Share(self.can_change, 0),
            ),
        ]
        if gaps := [say("{n} without {part}", n=n, part=Label(part)) for part, n in self.missing.items() if n]:
            clauses.append(say("graded on the rest: {gaps}", gaps=Listed(gaps, "")))
        if below := int((self.accounts[self.value] < 0).sum()):
            clauses.append(say("{n} bring less than 0 (credit notes)", n=below))
        return say("{clauses}.", clauses=Listed(clauses, ";"))

    @property
    def firm(self) -> float:
        """Share of the accounts whose grade no weights within `change` alter."""
        return float((self.accounts["best"] == self.accounts["worst"]).mean())

    def tiles(self) -> tuple[Tile, ...]:
        """How many accounts stand in the upper letter."""
        first = self._upper(self.table)
        n, letter = int(first["accounts"].sum()), self.table["grade"].iloc[0][0]
        if n < FEW:
            return ()
        return (Tile(say("key accounts of grade {letter}, of {all}", letter=letter, all=len(self.accounts)), Count(n)),)

    def upper(self) -> pd.DataFrame:
        """Give the accounts of the upper letter, best first."""
        return self._upper(self.accounts)

    def _upper(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[rows["grade"].str[0] == self.table["grade"].iloc[0][0]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw letters by digits: accounts and their share of the value, the darker the more of it."""
        seen = visible(self.table, "accounts", FEW)
        each = zip(self.table.itertuples(), seen, strict=True)
        said = [f"{r.accounts:,}\n{r.value_share:.0%}" if shown else "–" for r, shown in each]
        rows = self.table.assign(letter=self.table["grade"].str[0], digit=self.table["grade"].str[1], said=said)
        grid = rows.set_index(["letter", "digit"])[["value_share", "said"]].unstack()  # noqa: PD010
        ax = heat_map(grid["value_share"].astype(float), grid["said"].to_numpy(str).tolist(), ax, vmin=0)
        ax.set_ylabel("grade: letter")
        ax.set_xlabel(say("grade: digit; in the cells accounts and their share of {value}", value=Label(self.value)))
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Accounts of each grade, and how many grades change with the weights."""
        for place, r in enumerate(self.table.itertuples()):
            yield Quantity(f"accounts[grade={r.grade}]", float(r.accounts), "customers", row=place)
        yield Quantity("account_grades_changed", self.changed[0], "share", *self.changed[1:])
        yield Quantity("account_grades_can_change", self.can_change, "share")


def grade_accounts(
    accounts: pd.DataFrame,
    *,
    customer: str,
    value: str,
    scheme: GradeScheme | None = None,
    change: float = 0.1,
    draws: int = 2_000,
    rng: Rng = 0,
) -> KeyAccounts:
    """Grade accounts by a weighted score, and say how firm each grade is.

    `accounts` has one row each with the columns of the scheme (`grade_scheme()` if None); a missing part is left out of
    that account's mean, and an account without any is refused. `value` is the column that the table sums. Each weight
    moves by up to `change` of itself, evenly drawn; then all are made to add up to 1 again.
    """
    scheme = grade_scheme() if scheme is None else scheme
    parts = [p["column"] for p in scheme.part]
    table = checked(accounts, [customer], [value], "accounts")
    require_columns(table, parts, "accounts")
    possible = len(table) and draws > 0 and 0 < change < 1
    prove("grade_accounts", {"takes an account or more, draws, and a change between 0 and 1": possible})
    points = np.column_stack([_points(number(table[p["column"]], p["column"], missing="keep"), p) for p in scheme.part])
    known = ~np.isnan(points)
    if bare := int((~known.any(axis=1)).sum()):
        raise CannotAnswer("{n} accounts have none of {parts}: leave them out, or map the columns.").of(bare, parts)
    weights, cuts = np.array([p["weight"] for p in scheme.part]), np.array(list(scheme.grades.values()))

    def graded(factor: np.ndarray | float, filled: np.ndarray = points) -> np.ndarray:
        return (_scores(filled, weights * factor)[:, None] < cuts[:-1]).sum(axis=1)

    grade = graded(1.0)
    corners = np.array([graded(np.array(c)) for c in product((1 - change, 1 + change), repeat=len(parts))])
    generator = np.random.default_rng(seeds(rng, 1)[0])
    same, moved = np.zeros(len(table)), np.empty(draws)
    for d in range(draws):
        again = graded(generator.uniform(1 - change, 1 + change, len(parts))) == grade
        same, moved[d] = same + again, 1 - again.mean()
    names = np.array(list(scheme.grades), dtype=object)
    best, worst = corners.min(axis=0), corners.max(axis=0)
    found = pd.DataFrame(
        {
            customer: table[customer],
            "grade": names[grade],
            "score": _scores(points, weights),
            "probability": same / draws,
            "best": names[best],
            "worst": names[worst],
            "missing": ["; ".join(p for p, there in zip(parts, row, strict=True) if not there) for row in known],
            "if_low": names[graded(1.0, np.where(known, points, 0.0))],
            "if_high": names[graded(1.0, np.where(known, points, 100.0))],
            value: table[value],
        }
        | {f"points_{p}": points[:, k] for k, p in enumerate(parts)}
    )
    amount = np.bincount(grade, table[value], len(names))
    if not amount.sum() > 0:
        raise CannotAnswer(
            "not answerable: the accounts bring {amount} in all, of which no grade has a share. Look at the credit "
            "notes in '{value}', or take a longer window."
        ).of(Number(amount.sum(), ",.2f"), value)
    facts = pd.DataFrame(
        {
            "grade": names,
            "from_score": cuts,
            "accounts": np.bincount(grade, minlength=len(names)),
            "value": amount,
            "value_share": amount / amount.sum(),
            "can_change": np.bincount(grade[best != worst], minlength=len(names)),
        }
    )
    low, high = np.quantile(moved, [0.025, 0.975])
    spread = float(moved.mean()), float(low), float(high)
    found = found.sort_values(["score", customer], ascending=[False, True], ignore_index=True)
    missing = dict(zip(parts, (~known).sum(axis=0).tolist(), strict=True))
    return KeyAccounts(found, facts, float((best != worst).mean()), spread, change, missing, value)


def _points(x: np.ndarray, part: Mapping[str, Any]) -> np.ndarray:
    ends = np.array([part["low"], part["high"]], dtype=float)
    if part["scale"] == "log":
        x, ends = np.log(np.maximum(x, part["low"])), np.log(ends)
    return 100 * np.clip((x - ends[0]) / (ends[1] - ends[0]), 0, 1)


def _scores(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the known points by weight, to a billionth so that rounding moves nobody across a threshold."""
    known = ~np.isnan(points)
    return ((np.where(known, points, 0) * weights).sum(axis=1) / (known * weights).sum(axis=1)).round(9)
