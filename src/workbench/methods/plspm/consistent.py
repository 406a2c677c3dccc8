"""What would the paths be without the items' error? Consistent PLS.

PLS scores hold the error of their items, so their correlations are too small. Dividing by the root of the
reliabilities rho_A gives those between the notions themselves, if a common factor stands behind each block.

Scores of dimensions hold error too, so the "items" of a higher-order construct correlate too little. They are corrected
first, by the rho_A of the first stage, and PLS runs anew on the corrected correlations.

References
----------
Dijkstra & Henseler (2015), Consistent partial least squares path modeling, MIS Quarterly 39(2). Van Riel, Henseler,
Kemény & Sasovova (2017), Estimating hierarchical constructs using consistent partial least squares, Industrial
Management & Data Systems 117(3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Label, Listed, Message, Number, Span, join, say
from workbench.methods.plspm.batch import Layout, correlations, rho_a, score_correlation, solve, structure
from workbench.methods.plspm.bootstrap import PlsBootstrap
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.stages import Stages
from workbench.methods.resampling import one_thread
from workbench.result import Quantity, Result, Tile

TOO_UNRELIABLE = 0.5
Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # weights, loadings, rho_A, correlations of the scores
TIGHT = 1e-10


@dataclass(frozen=True, eq=False)
class ConsistentPls(Result):
    """Paths, R2, correlations and loadings corrected for the items' error.

    Attributes
    ----------
    table : DataFrame
        quantity ("path", "r2", "correlation", "loading", and "weight" of what forms a construct of mode B), name,
        estimate, se, low, high (NaN if there were no resamples), uncorrected.
    paths : Series by (source, target)
    r2 : Series by construct
    loadings : Series by (construct, item)
    weights : Series by (construct, item)
        Of constructs of mode B; those of higher order weigh their dimensions as if these held no error.
    verdicts : tuple of Message
        What makes the correction doubtful, one sentence each; empty if nothing.
    """

    table: pd.DataFrame
    paths: pd.Series
    r2: pd.Series
    loadings: pd.Series
    weights: pd.Series
    verdicts: tuple[Message, ...]
    level: float

    NAME = "consistent"
    CHART = say("Dots with intervals, a row a path; rings: uncorrected")
    FORMATS = dict.fromkeys(["estimate", "se", "low", "high", "uncorrected"], "{:.3f}")
    PICTURE_CAPTION = (
        "Corrected paths with intervals; rings: uncorrected. The farther apart, the more the items' error hides."
    )
    CAPTION = "Paths and R² without the items' measurement error, with {level} intervals, and uncorrected."

    def headline(self) -> Message:
        """Say the strongest corrected path, and whether the correction can be trusted."""
        if self.paths.isna().all():
            return join(say("No path can be corrected for the items' error."), *self.verdicts)
        source, target, row = self._strongest()
        estimate: Number | Message = Number(row["estimate"], ".2f")
        if np.isfinite(row["low"]):
            estimate = say("{estimate} {span}", estimate=estimate, span=Span(row["low"], row["high"], ".2f"))
        strongest = say(
            "Corrected for the items' measurement error, the strongest path is {source} → {target}: {estimate}, "
            "{uncorrected} uncorrected.",
            source=Label(source),
            target=Label(target),
            estimate=estimate,
            uncorrected=Number(row["uncorrected"], ".2f"),
        )
        return join(strongest, *self.verdicts)

    def _strongest(self) -> tuple[str, str, pd.Series]:
        source, target = self.paths.abs().idxmax()
        return source, target, self.table.set_index(["quantity", "name"]).loc[("path", f"{source}->{target}")]

    def tiles(self) -> tuple[Tile, ...]:
        """The strongest corrected path."""
        if self.paths.isna().all():
            return ()
        source, target, row = self._strongest()
        label = say(
            "strongest effect (standard deviations): {source} on {target}", source=Label(source), target=Label(target)
        )
        ends = Span(row["low"], row["high"], ".2f", self.level) if np.isfinite(row["low"]) else None
        return (Tile(label, Number(row["estimate"], ".2f"), ends),)

    def summary(self) -> pd.DataFrame:
        """Tabulate corrected paths and R2, the uncorrected beside."""
        return self.table[self.table["quantity"].isin(["path", "r2"])].reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the corrected paths with their intervals, the uncorrected as rings."""
        rows = self.table[self.table["quantity"] == "path"]
        ax = dot_and_interval(
            rows["name"].str.replace("->", " → "), rows, ax, label="path coefficient, corrected", zero=True
        )
        ax.plot(rows["uncorrected"], np.arange(len(rows))[::-1], "o", mfc="none", color="0.4", markersize=6)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name the corrected paths."""
        for row in self.table[self.table["quantity"] == "path"].dropna(subset=["estimate"]).itertuples():
            yield Quantity(f"path_consistent[{row.name}]", row.estimate, "1", row.low, row.high)


def consistent_pls(fitted: PlsFit | PlsBootstrap) -> ConsistentPls:
    """Correct paths, R2 and loadings for the items' error by rho_A.

    Single items and blocks of mode B are left as they are. Dimensions of higher-order constructs are corrected by the
    rho_A of the first stage before the second is estimated again.

    Parameters
    ----------
    fitted : PlsFit or PlsBootstrap
        With resamples, everything has an interval, rho_A (of both stages) estimated again in each.

    Raises
    ------
    CannotAnswer
        If the model has interactions, or the corrected correlations of a second stage have no solution.

    Warning
    -------
    Where rho_A is below 0.5 the correction more than doubles variances and the result is wild (the verdicts
    say where). It presumes a common factor behind each block of mode A; the index does not.
    """
    boot = fitted if isinstance(fitted, PlsBootstrap) else None
    fit = fitted.fit if isinstance(fitted, PlsBootstrap) else fitted
    layout = Layout(fit.model)
    if layout.products:
        raise CannotAnswer("the error of a product of scores is not that of its items. Leave the interactions out.")

    staged = fit.first is not None

    def parts(rows: np.ndarray) -> Parts:
        return _second_stage(fit, layout, rows) if staged else _one(layout, rows)

    def corrected(rows: np.ndarray) -> np.ndarray:
        return _corrected(layout, *parts(rows))

    names, model = corrected_labels(layout), fit.model
    table = pd.DataFrame(names, columns=["quantity", "name"])
    whole = parts(_freed(fit) if staged else fit.estimates.to_numpy()[None])
    estimate, reliability = _corrected(layout, *whole)[0], pd.Series(whole[2][0], index=list(model.names))
    if np.isnan(estimate).all():
        raise CannotAnswer(
            "the correlations of the second stage, corrected for the dimensions' error, have no solution: "
            "dimensions are too unreliable (rho_A {values}), or hardly distinct. Read the uncorrected paths."
        ).of(_listed(fit))
    if boot:
        resampled, left_out = (boot.freed, boot.freed_left_out) if staged else (boot.replicates, boot.left_out)
        assert resampled is not None, "a bootstrap of two stages holds the corrected correlations"
        drawn = corrected(resampled)
        table = table.join(boot.tabulated(estimate, drawn, None if left_out is None else corrected(left_out)))
        if boot.widening > 1:
            table.loc[table["quantity"] == "r2", ["low", "high"]] = np.nan
        lost = int(np.isnan(drawn).any(axis=1).sum()) - boot.failed
    else:
        lost = 0
        table = table.assign(estimate=estimate, **dict.fromkeys(["se", "low", "high"], np.nan))
    table["uncorrected"] = fit.estimates.loc[names].to_numpy()
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
        weights=pd.Series(of.get("weight", []), index=fit.loadings.index[_formed(layout)], dtype=float),
        verdicts=_verdicts(pd.concat([_dimensions(fit), reliability]), r2, loadings, largest, lost),
        level=boot.level if boot else 0.95,
    )


def corrected_labels(layout: Layout) -> list[tuple[str, str]]:
    """(quantity, name) of what is corrected, as in `Layout.labels`."""
    labels = [label for what in ("path", "r2", "correlation", "loading") for label in layout.labels if label[0] == what]
    weights = [label for label in layout.labels if label[0] == "weight"]
    return labels + [label for label, formed in zip(weights, _formed(layout), strict=True) if formed]


def _formed(layout: Layout) -> np.ndarray:
    """Whether each item forms a construct of mode B."""
    return np.isin(layout.owner, layout.formative)


def _one(layout: Layout, values: np.ndarray) -> Parts:
    """Weights, loadings, rho_A and correlations of the scores from rows of quantities, shape (B, quantities)."""
    kind = np.array([quantity for quantity, _ in layout.labels])
    weight, loading, reliability = (values[:, kind == what] for what in ("weight", "loading", "rho_a"))
    return weight, loading, reliability, correlations(layout, values)


def _second_stage(fit: PlsFit, layout: Layout, pairs: np.ndarray) -> Parts:
    """The same from rows of corrected correlations of the second stage's items, shape (B, pairs)."""
    items = len(layout.owner)
    correlation = np.tile(np.eye(items), (len(pairs), 1, 1))
    upper = np.triu_indices(items, 1)
    correlation[:, *upper] = correlation.transpose(0, 2, 1)[:, *upper] = pairs
    with one_thread():
        found = solve(layout, correlation, scheme=fit.scheme, tolerance=TIGHT, start=fit.weights.to_numpy())
    weight = np.where(found.converged[:, None], found.weight, np.nan)
    loading = found.crossed[:, np.arange(items), layout.owner]
    return weight, loading, rho_a(layout, weight), score_correlation(layout, weight, found.crossed)


def _freed(fit: PlsFit) -> np.ndarray:
    """Corrected correlations of the second stage's items in the survey, shape (1, pairs)."""
    assert fit.first is not None, "only a fit of two stages has dimensions"
    stages, correlation = Stages(fit.first.model, fit.model), fit.item_correlations.to_numpy()
    return stages.freed(correlation[None], fit.first.weights.to_numpy()[None])[:, *np.triu_indices(len(correlation), 1)]


def _dimensions(fit: PlsFit) -> pd.Series:
    """rho_A of the dimensions of higher-order constructs; empty if there are none."""
    if fit.first is None:
        return pd.Series(dtype=float)
    return fit.first.rho_a[[name for name in fit.first.model.names if name not in fit.model.names]]


def _listed(fit: PlsFit) -> Listed:
    known = _dimensions(fit).dropna().items()
    return Listed((say("{item} {value}", item=name, value=Number(value, ".2f")) for name, value in known), "")


def _corrected(
    layout: Layout, weight: np.ndarray, loading: np.ndarray, reliability: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Corrected quantities in the order of `corrected_labels`, shape (B, quantities)."""
    reliability = reliability.copy()
    reliability[:, layout.formative] = 1.0
    place, k = layout.at, len(layout.size)
    diagonal = np.arange(k)
    with np.errstate(invalid="ignore", divide="ignore"):
        root = np.sqrt(reliability)
        between = score / (root[:, :, None] * root[:, None, :])
        between[:, diagonal, diagonal] = 1.0
        path, r2 = structure(layout, between)
        own = weight * (root / np.add.reduceat(weight**2, layout.start, axis=1))[:, layout.owner]
    factor = (layout.size > 1) & ~np.isin(np.arange(k), layout.formative)
    return np.column_stack(
        [
            *(path[place[s], place[t]] for s, t in layout.model.edges),
            *(r2[c] for c in sorted(r2)),
            between[:, *layout.pairs],
            np.where(factor[layout.owner], own, loading),
            weight[:, _formed(layout)],
        ]
    )


def _verdicts(
    reliability: pd.Series, r2: pd.Series, loadings: pd.Series, correlations: pd.Series, lost: int
) -> tuple[Message, ...]:
    said = [
        say(
            "{name} is measured too unreliably to be corrected: rho_A is {rho}, below {limit}. Do not read the "
            "corrected paths to and from it.",
            name=name,
            rho=Number(value, ".3f"),
            limit=Number(TOO_UNRELIABLE, "g"),
        )
        for name, value in reliability.items()
        if value < TOO_UNRELIABLE
    ]
    said += [
        say("The corrected R² of {name} is {r2}, which cannot be.", name=name, r2=Number(v, ".2f"))
        for name, v in r2.items()
        if v < 0 or v > 1
    ]
    said += [
        say(
            "The corrected loading of {item} on {name} is {loading}, above 1 (a Heywood case): no common factor fits "
            "{name}.",
            item=item,
            name=name,
            loading=Number(v, ".2f"),
        )
        for (name, item), v in loadings.items()
        if abs(v) > 1 + 1e-9
    ]
    said += [
        say("The corrected correlation {pair} is {value}: above 1.", pair=pair, value=Number(v, ".2f"))
        for pair, v in correlations.items()
        if abs(v) > 1
    ]
    if lost > 0:
        said.append(say("{n} resamples that converged cannot be corrected and are in no corrected interval.", n=lost))
    return tuple(said)
