"""Which service does each customer get? Tiers by value, with their thresholds, revenue and promised standard."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, named, require_columns
from workbench.result import Quantity, Result
from workbench.studies.segmentation.checks import by_id, refuse_missing, require_numbers, require_once

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXCLUDED = "excluded"
"""The tier of customers whom a rule keeps out: staff, old debt, fraud."""

SHARES = (0.01, 0.04, 0.15, 0.80)


@dataclass(frozen=True, eq=False)
class Tiers(Result):
    """The tier of each customer, and what the tiers bring.

    Attributes
    ----------
    customers : DataFrame
        One row a customer, sorted by customer: the customer's column, the value's column, tier, excluded_for (the
        exclusions that apply, joined by "; "; "" where none does).
    table : DataFrame
        One row a tier, best first: tier, name_zh, from_value (least value that enters; -inf for the last), customers,
        share, value, value_share, value_mean.
    standard : DataFrame
        One row a tier: the service that is promised.
    value : str
    """

    customers: pd.DataFrame
    table: pd.DataFrame
    standard: pd.DataFrame
    value: str

    def headline(self) -> str:
        """Say the size, threshold and revenue of the tiers above the last."""
        ranked = self.table[self.table.tier != EXCLUDED]
        upper = ranked.iloc[:-1]
        parts = [f"{t.tier} from {t.from_value:,.2f} ({t.customers:,})" for t in upper.itertuples()]
        text = (
            f"{upper.customers.sum():,} of {ranked.customers.sum():,} customers stand above {ranked.tier.iloc[-1]} and "
            f"bring {upper.value_share.sum():.1%} of {self.value.replace('_', ' ')}: {', '.join(parts)}"
        )
        out = self.table.loc[self.table.tier == EXCLUDED, "customers"].sum()
        return text + (f"; {out:,} more are excluded." if out else ".")

    def summary(self) -> pd.DataFrame:
        """Tabulate the tiers. Their shares are counts of the whole base, hence without an interval."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw, for each tier, its share of the customers beside its share of the value."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        table = self.table[self.table.tier != EXCLUDED]
        place = np.arange(len(table))
        for offset, column, label in ((-0.2, "share", "customers"), (0.2, "value_share", self.value.replace("_", " "))):
            bars = ax.barh(place + offset, 100 * table[column], height=0.38, label=label)
            ax.bar_label(bars, [f"{v:.1%} of {label}" for v in table[column]], padding=3)
        ax.set_yticks(place, table.tier)
        ax.invert_yaxis()
        ax.set_xlim(0, 145 * max(table.share.max(), table.value_share.max()))
        ax.set_xlabel("share (%)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Share of customers and of value in each tier: counts of the base, without interval."""
        for row in self.table[self.table.tier != EXCLUDED].itertuples():
            yield Quantity(f"tier_share[{row.tier}]", float(row.share), "share")
            yield Quantity(f"tier_value_share[{row.tier}]", float(row.value_share), "share")


@cache
def default_standard() -> pd.DataFrame:
    """The service standard that ships with the study: diamond, gold, silver, basic."""
    return _standard(resources.files(__package__).joinpath("service_tiers.toml").read_text(encoding="utf-8"), "default")


def read_standard(path: str | Path) -> pd.DataFrame:
    """Read a service standard of your own, in the format of `service_tiers.toml` beside this module."""
    try:
        return _standard(Path(path).read_text(encoding="utf-8"), Path(path).name)
    except FileNotFoundError:
        raise WorkbenchError(f"no service standard at {path}. Give the path of a TOML file.") from None


def tiers(
    customers: pd.DataFrame,
    *,
    customer: str,
    value: str,
    shares: Sequence[float] | None = None,
    thresholds: Sequence[float] | None = None,
    exclusions: Sequence[str] = (),
    standard: pd.DataFrame | None = None,
) -> Tiers:
    """Put customers into tiers by value, by share or by threshold.

    Parameters
    ----------
    customers : DataFrame
        One row a customer.
    customer, value : str
        Columns: identifier; value in currency (mean monthly net amount of 3-6 months, say).
    shares : sequence of float, optional
        Share of the customers in each tier, best first, adding up to 1; 1/4/15/80 % where neither is given. Customers
        of equal value share a tier, so the sizes can differ: each threshold is the value whose cumulative share is
        closest to what was asked (of two equally close, the more generous).
    thresholds : sequence of float, optional
        Least value that enters each tier but the last, best first; instead of shares.
    exclusions : sequence of str
        Boolean columns; a customer for whom one is true is in no tier and in no share.
    standard : DataFrame, optional
        Service standard, one row a tier in order, with columns tier and name_zh; the four that ship if None.

    Raises
    ------
    WorkbenchError
        If a column is missing or of the wrong type, has missing values, a customer stands twice, or shares, thresholds
        and standard do not fit each other.
    CannotAnswer
        If nobody is left to rank, or the values are all alike where shares are asked for.

    Examples
    --------
    >>> table = pd.DataFrame({"id": [1, 2, 3, 4], "arpu": [300.0, 80.0, 40.0, 10.0]})
    >>> tiers(table, customer="id", value="arpu", thresholds=[200, 100, 30]).customers["tier"].tolist()
    ['diamond', 'silver', 'silver', 'basic']
    """
    standard = default_standard() if standard is None else standard
    require_columns(standard, ["tier", "name_zh"], "standard")
    require_columns(customers, [customer, value, *exclusions], "customers")
    require_once(customers, customer)
    refuse_missing(customers, [value, *exclusions], "customers")
    require_numbers(customers, [value], "customers")
    table = customers.iloc[by_id(customers[customer])].reset_index(drop=True)
    excluded_for = _reasons(table, exclusions)
    ranked = (excluded_for == "").to_numpy()
    if not ranked.any():
        raise CannotAnswer(f"nobody is left to rank: all {len(table):,} customers are excluded or there are none.")
    amounts = table[value].to_numpy(dtype=float)
    cuts = _cuts(amounts[ranked], shares, thresholds, len(standard))
    place = (amounts[:, None] < cuts).sum(axis=1)
    names = np.append(standard["tier"].to_numpy(dtype=object), EXCLUDED)
    found = table[[customer, value]].assign(
        tier=pd.array(names[np.where(ranked, place, len(standard))], dtype="str"), excluded_for=excluded_for
    )
    return Tiers(found, _table(found, value, standard, cuts), standard.copy(), value)


def _standard(text: str, where: str) -> pd.DataFrame:
    try:
        table = pd.DataFrame(tomllib.loads(text).get("tier", []))
    except tomllib.TOMLDecodeError as error:
        raise WorkbenchError(f"service standard {where} is not TOML: {error}.") from None
    require_columns(table, ["name", "name_zh"], f"service standard {where}")
    if (
        len(table) < 2
        or table["name"].duplicated().any()
        or EXCLUDED in set(table["name"])
        or table.isna().any(axis=None)
    ):
        raise WorkbenchError(
            f"service standard {where} needs two or more tiers with unique names (not '{EXCLUDED}') and the same keys."
        )
    return table.rename(columns={"name": "tier"})


def _reasons(table: pd.DataFrame, exclusions: Sequence[str]) -> pd.Series:
    reasons = pd.Series("", index=table.index, dtype="str")
    for column in exclusions:
        if not pd.api.types.is_bool_dtype(table[column]):
            raise WorkbenchError(f"exclusion '{column}' holds {table[column].dtype}; it takes true or false.")
        applies = table[column].to_numpy(dtype=bool)
        joined = reasons.where(reasons == "", reasons + "; ") + column
        reasons = joined.where(applies, reasons)
    return reasons


def _cuts(
    amounts: np.ndarray, shares: Sequence[float] | None, thresholds: Sequence[float] | None, count: int
) -> np.ndarray:
    """Least value of each tier but the last, best first, shape (count - 1,)."""
    if thresholds is not None:
        cuts = np.asarray(thresholds, dtype=float)
        if shares is not None:
            raise WorkbenchError("tiers go by shares or by thresholds; pass one of them.")
        if len(cuts) != count - 1 or not np.isfinite(cuts).all() or (np.diff(cuts) >= 0).any():
            raise WorkbenchError(
                f"{count} tiers need {count - 1} thresholds, falling, best tier first; not {list(thresholds)}."
            )
        return cuts
    asked = np.asarray(SHARES if shares is None else shares, dtype=float)
    if len(asked) != count or (asked <= 0).any() or abs(asked.sum() - 1) > 1e-9:
        raise WorkbenchError(
            f"{count} tiers need {count} shares above 0 that add up to 1, best first; not {asked.tolist()}."
        )
    distinct, size = np.unique(amounts, return_counts=True)
    if len(distinct) < count:
        raise CannotAnswer(
            f"{len(amounts):,} customers have {len(distinct)} distinct values, "
            f"too few for {count} tiers by share; take thresholds."
        )
    reached = np.cumsum(size[::-1])[:-1] / len(amounts)
    goals = np.cumsum(asked)[:-1]
    best = [len(reached) - 1 - int(np.argmin(np.abs(reached - goal)[::-1].round(12))) for goal in goals]
    if len(set(best)) < len(best):
        raise CannotAnswer(
            f"ties leave no customers between two tiers: {named(f'{g:.0%}' for g in goals)} fall on the same values. "
            "Take thresholds, or fewer tiers."
        )
    return distinct[::-1][best]


def _table(found: pd.DataFrame, value: str, standard: pd.DataFrame, cuts: np.ndarray) -> pd.DataFrame:
    table = standard[["tier", "name_zh"]].assign(from_value=np.append(cuts, -np.inf))
    if (found["tier"] == EXCLUDED).any():
        table.loc[len(table)] = [EXCLUDED, "不参与分级", np.nan]
    facts = found.groupby("tier")[value].agg(["size", "sum"]).reindex(table["tier"])
    table["customers"] = facts["size"].fillna(0).astype(int).to_numpy()
    table["value"] = facts["sum"].fillna(0.0).to_numpy()
    inside = (table["tier"] != EXCLUDED).to_numpy()
    total = table["value"][inside].sum()
    table["share"] = np.where(inside, table["customers"] / table["customers"][inside].sum(), np.nan)
    table["value_share"] = np.where(inside, table["value"] / total, np.nan) if total > 0 else np.nan
    table["value_mean"] = table["value"] / table["customers"].where(table["customers"] > 0)
    return table[["tier", "name_zh", "from_value", "customers", "share", "value", "value_share", "value_mean"]]
