"""What would the paths be without the items' error? Consistent PLS.

PLS scores hold the error of their items, so their correlations are too small. Dividing by the root of the
reliabilities rho_A gives those between the notions themselves, if a common factor stands behind each block.

References
----------
Dijkstra & Henseler (2015), Consistent partial least squares path modeling, MIS Quarterly 39(2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.result import Quantity, Result
from workbench.studies.plspm.batch import Plan, correlations, structure
from workbench.studies.plspm.bootstrap import PlsBootstrap
from workbench.studies.plspm.diagram import dot_and_interval
from workbench.studies.plspm.fit import PlsFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TOO_UNRELIABLE = 0.5


@dataclass(frozen=True, eq=False)
class ConsistentPls(Result):
    """Paths, R2, correlations and loadings corrected for the items' error.

    Attributes
    ----------
    table : DataFrame
        quantity ("path", "r2", "correlation", "loading"), name, estimate, se, low, high; the last three are NaN if
        there were no resamples.
    paths : Series by (source, target)
    r2 : Series by construct
    loadings : Series by (construct, item)
    verdicts : tuple of str
        What makes the correction doubtful, one sentence each; empty if nothing.
    level : float
    """

    table: pd.DataFrame
    paths: pd.Series
    r2: pd.Series
    loadings: pd.Series
    verdicts: tuple[str, ...]
    level: float

    def headline(self) -> str:
        """Say the strongest corrected path, and whether the correction can be trusted."""
        source, target = self.paths.abs().idxmax()
        doubt = " " + " ".join(self.verdicts) if self.verdicts else ""
        return (
            f"Corrected for the items' error, {source}→{target} is strongest: {self.paths[source, target]:.2f}.{doubt}"
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate every corrected quantity."""
        return self.table

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the corrected paths with their intervals."""
        rows = self.table[self.table["quantity"] == "path"]
        return dot_and_interval(rows["name"], rows, ax, label="path coefficient, corrected", zero=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name the corrected paths."""
        for row in self.table[self.table["quantity"] == "path"].itertuples():
            yield Quantity(f"path_consistent[{row.name}]", row.estimate, "1", row.low, row.high)


def consistent_pls(fitted: PlsFit | PlsBootstrap) -> ConsistentPls:
    """Correct paths, R2 and loadings for the items' error by rho_A.

    Single items and blocks of mode B are left as they are.

    Parameters
    ----------
    fitted : PlsFit or PlsBootstrap
        With resamples, everything has an interval, rho_A estimated again in each.

    Warning
    -------
    Where rho_A is below 0.5 the correction more than doubles variances and the result is wild (the verdicts
    say where). It presumes a common factor behind each block of mode A; the index does not.
    """
    boot = fitted if isinstance(fitted, PlsBootstrap) else None
    fit = fitted.fit if boot else fitted
    plan = Plan(fit.model)
    if plan.products:
        raise CannotAnswer("the error of a product of scores is not that of its items. Leave the interactions out.")

    def corrected(values: np.ndarray) -> np.ndarray:
        return _corrected(plan, values)

    names, model = corrected_labels(plan), fit.model
    table = pd.DataFrame(names, columns=["quantity", "name"])
    if boot:
        table = table.join(boot.derived(corrected))
    else:
        nothing = dict.fromkeys(["se", "low", "high"], np.nan)
        table = table.assign(estimate=corrected(fit.estimates.to_numpy()[None])[0], **nothing)
    of = {what: rows["estimate"].to_numpy() for what, rows in table.groupby("quantity")}
    targets = [name for name in model.names if name in model.paths]
    r2 = pd.Series(of["r2"], index=pd.Index(targets, name="construct"))
    loadings = pd.Series(of["loading"], index=fit.loadings.index)
    largest = table[table["quantity"] == "correlation"].set_index("name")["estimate"]
    return ConsistentPls(
        table=table,
        paths=pd.Series(of["path"], index=fit.paths.index),
        r2=r2,
        loadings=loadings,
        verdicts=_verdicts(fit, r2, loadings, largest),
        level=boot.level if boot else 0.95,
    )


def corrected_labels(plan: Plan) -> list[tuple[str, str]]:
    """(quantity, name) of what is corrected, as in `Plan.labels`."""
    return [label for what in ("path", "r2", "correlation", "loading") for label in plan.labels if label[0] == what]


def _corrected(plan: Plan, values: np.ndarray) -> np.ndarray:
    """Corrected quantities in the order of `corrected_labels`, from rows of quantities, shape (B, quantities)."""
    kind = np.array([quantity for quantity, _ in plan.labels])
    weight, loading = values[:, kind == "weight"], values[:, kind == "loading"]
    reliability = values[:, kind == "rho_a"].copy()
    reliability[:, plan.formative] = 1.0
    place, k = plan.at, len(plan.size)
    diagonal = np.arange(k)
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(reliability)
        between = correlations(plan, values) / (root[:, :, None] * root[:, None, :])
        between[:, diagonal, diagonal] = 1.0
        path, r2 = structure(plan, between)
        own = weight * (root / np.add.reduceat(weight**2, plan.start, axis=1))[:, plan.owner]
    factor = (plan.size > 1) & ~np.isin(np.arange(k), plan.formative)
    return np.column_stack(
        [
            *(path[place[s], place[t]] for s, t in plan.model.edges),
            *(r2[c] for c in sorted(r2)),
            between[:, *plan.pairs],
            np.where(factor[plan.owner], own, loading),
        ]
    )


def _verdicts(fit: PlsFit, r2: pd.Series, loadings: pd.Series, correlations: pd.Series) -> tuple[str, ...]:
    said = [
        f"{name} is measured too unreliably to be corrected: rho_A is {value:.3f}, below {TOO_UNRELIABLE:g}. "
        "Do not read the corrected paths to and from it."
        for name, value in fit.rho_a[list(fit.model.names)].items()
        if not value >= TOO_UNRELIABLE and not np.isnan(value)
    ]
    said += [f"The corrected R² of {n} is {v:.2f}, which cannot be." for n, v in r2.items() if not 0 <= v <= 1]
    said += [
        f"The corrected loading of {item} on {name} is {v:.2f}, above 1 (a Heywood case): no common factor fits {name}."
        for (name, item), v in loadings.items()
        if abs(v) > 1 + 1e-9
    ]
    said += [f"The corrected correlation {n} is {v:.2f}: above 1." for n, v in correlations.items() if abs(v) > 1]
    return tuple(said)
