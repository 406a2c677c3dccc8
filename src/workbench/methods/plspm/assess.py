"""How good are measurement and structure? Tables that an examiner asks for, from a fit or its resamples.

References
----------
Fornell & Larcker (1981), JMR 18. Cohen (1988), Statistical Power Analysis (f2). Henseler, Ringle & Sarstedt
(2015), JAMS 43 (HTMT). Ringle, Sarstedt, Sinkovics & Sinkovics (2023), Data in Brief 48 (HTMT+). Hair, Risher, Sarstedt
& Ringle (2019), European Business Review 31 (VIF of items). Henseler et al. (2014), Organizational Research Methods 17
(SRMR).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.figures import Axes, dot_and_interval
from workbench.messages import Count, Message, Number, join, say
from workbench.methods.plspm.batch import Layout
from workbench.methods.plspm.bootstrap import PlsBootstrap
from workbench.methods.plspm.fitted import DISTINCT, RELIABLE, VARIANCE, PlsFit, doubts_said, inflation, item_inflation
from workbench.result import Result, Table, Tile

GOOD = 0.08


@dataclass(frozen=True, eq=False)
class ModelQuality(Result):
    """Whether the constructs are measured well and told apart, and how well the model fits."""

    bootstrap: PlsBootstrap

    NAME, PICTURE = "measurement", "distinct"
    CHART = say("Dots with intervals, a row a pair of constructs")
    FORMATS = dict.fromkeys(
        [f"{w}{end}" for w in ("alpha", "rho_a", "rho_c", "ave") for end in ("", "_low", "_high")], "{:.2f}"
    )
    CAPTION = "How well each construct is measured; the last column says what to make of it."

    def headline(self) -> Message:
        """Say whether the model can be relied on, then doubts, pairs that are told apart, and how well it fits."""
        doubts, (distinct, n), error = self.bootstrap.verdicts, self.distinct, self.error
        fits = {"srmr": Number(error, ".3f"), "good": Number(GOOD, "g")}
        return join(
            self._lead(),
            say(
                "{doubts}; {distinct} of {n} pairs of constructs are distinct (HTMT+ below {limit}).",
                doubts=doubts_said(doubts),
                distinct=distinct,
                n=n,
                limit=Number(DISTINCT, "g"),
            ),
            say("The model reproduces the items' correlations well: SRMR {srmr}, good below {good}.", **fits)
            if error < GOOD
            else say("The model reproduces the items' correlations badly: SRMR {srmr}, good below {good}.", **fits),
            say("The first: {doubt}", doubt=doubts[0]) if doubts else say(""),
        )

    @property
    def distinct(self) -> tuple[int, int]:
        """Pairs of constructs that are distinct, and all pairs."""
        pairs = htmt_table(self.bootstrap)
        return int((pairs["distinct"] == "yes").sum()), len(pairs)

    @property
    def error(self) -> float:
        """SRMR of the estimated model."""
        return float(srmr(self.bootstrap.fit)["estimated"])

    @property
    def sound(self) -> bool:
        """Whether there is no doubt, every pair is distinct, and the model fits well."""
        apart, pairs = self.distinct
        return not self.bootstrap.verdicts and apart == pairs and self.error < GOOD

    def _lead(self) -> Message:
        apart, pairs = self.distinct
        doubts = len(self.bootstrap.verdicts)
        if not self.bootstrap.fit.converged:
            return say("The model cannot be used: its estimation did not converge.")
        if self.sound:
            verdicts = reliability_table(self.bootstrap.fit)["verdict"]
            n, known = len(verdicts), int((verdicts == "good").sum())
            if known < n:  # one item, or formed by its items
                return say(
                    "Rely on the model: {n} of {all} measures are reliable, {rest} cannot be tested, no two measure "
                    "the same.",
                    n=known,
                    all=n,
                    rest=n - known,
                )
            return say("Rely on the model: its {n} measures are reliable, and no two measure the same.", n=n)
        if doubts or apart < pairs:
            return say(
                "Rely on the model with care: {doubts} doubts about its measures, and {unsure} of {pairs} pairs of "
                "them may measure the same.",
                doubts=doubts,
                unsure=pairs - apart,
                pairs=pairs,
            )
        return say("Rely on the model with care: its measures are sound, but it reproduces the answers badly.")

    def tiles(self) -> tuple[Tile, ...]:
        """How many pairs of measures are told apart."""
        apart, pairs = self.distinct
        return (Tile(say("pairs of measures told apart, of {pairs}", pairs=pairs), Count(apart)),)

    def summary(self) -> pd.DataFrame:
        """Tabulate reliability and validity by construct."""
        return reliability_table(self.bootstrap)

    def picture_caption(self) -> Message:
        """Say what to see in the picture."""
        return say(
            "HTMT+ of every pair of constructs: intervals that reach {limit} leave open whether they are two.",
            limit=Number(DISTINCT, "g"),
        )

    def tables(self) -> tuple[Table, ...]:
        """Give what else an examiner asks for: HTMT+, Fornell-Larcker, cross-loadings, structure, formative weights."""
        fit = self.bootstrap.fit
        found = {
            "htmt": (htmt_table(self.bootstrap), say("HTMT+ of every pair of constructs, with intervals.")),
            "fornell_larcker": (
                fornell_larcker(fit),
                say("Correlations of the scores; diagonal (root of AVE) largest: distinct."),
            ),
            "cross_loadings": (
                cross_loadings(fit),
                say("Correlations of items with constructs; its own should be largest."),
            ),
            "structure": (
                structural_table(fit),
                say("Every path with the VIF of its source (good below 5) and effect size f²."),
            ),
            "formative": (
                formative_table(self.bootstrap),
                say("Weights of items that form constructs; VIF is good below 3."),
            ),
        }
        return tuple(
            Table(name, frame, said, dict.fromkeys(frame.select_dtypes("float"), "{:.3f}"))
            for name, (frame, said) in found.items()
            if len(frame)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw HTMT+ with its intervals, and the limit."""
        rows = htmt_table(self.bootstrap).sort_values("htmt", ascending=False, kind="stable")
        ax = dot_and_interval(
            rows["first"] + " – " + rows["second"],
            rows.assign(estimate=rows["htmt"]),
            ax,
            label="likeness of two measures (HTMT+)",
        )
        ax.axvline(DISTINCT, color="tab:red", linewidth=0.8)
        return ax


def model_quality(boot: PlsBootstrap) -> ModelQuality:
    """Judge whether a path model can be relied on: measurement, distinctness and fit.

    Parameters
    ----------
    boot : PlsBootstrap
        Its intervals (method and level) are used.
    """
    return ModelQuality(boot)


def reliability_table(fitted: PlsFit | PlsBootstrap) -> pd.DataFrame:
    """Tabulate reliability and validity by construct, with a verdict in words.

    Parameters
    ----------
    fitted : PlsFit or PlsBootstrap
        With resamples, alpha, rho_a, rho_c and ave have columns `_low` and `_high` too.

    Returns
    -------
    DataFrame
        construct, items, alpha, rho_a, rho_c, ave, htmt_highest (HTMT+), htmt_with, verdict.
    """
    fit = fitted if isinstance(fitted, PlsFit) else fitted.fit
    closest = {name: fit.htmt[name].drop(name) for name in fit.model.names}
    table = pd.DataFrame({"construct": fit.model.names, "items": [len(c.items) for c in fit.model.constructs]})
    for what in ("alpha", "rho_a", "rho_c", "ave"):
        table[what] = getattr(fit, what)[list(fit.model.names)].to_numpy()
        if isinstance(fitted, PlsBootstrap):
            rows = fitted.table[fitted.table["quantity"] == what]
            table[[f"{what}_low", f"{what}_high"]] = rows[["low", "high"]].to_numpy()
    return table.assign(
        htmt_highest=[closest[name].max() for name in fit.model.names],
        htmt_with=[closest[n].idxmax() if closest[n].notna().any() else "" for n in fit.model.names],
        verdict=[_in_words(fit, name, closest[name].max()) for name in fit.model.names],
    )


def htmt_table(boot: PlsBootstrap) -> pd.DataFrame:
    """Tabulate HTMT+ of every pair of constructs: first, second, htmt, low, high, and whether they are distinct.

    HTMT+ takes absolute correlations, so an item scored the other way round cannot cancel others; where all
    correlations are positive it is the original HTMT.
    `distinct` is "yes" where the whole interval lies below 0.9, "no" where all of it lies above, else "unsure".
    """
    rows = boot.table[boot.table["quantity"] == "htmt"].dropna(subset=["estimate"])
    pairs = rows["name"].str.split("~", expand=True)
    distinct = np.select([rows["high"] < DISTINCT, rows["low"] > DISTINCT], ["yes", "no"], "unsure")
    return (
        pd.DataFrame(
            {"first": pairs[0], "second": pairs[1], "htmt": rows["estimate"], "low": rows["low"], "high": rows["high"]}
        )
        .assign(distinct=distinct)
        .reset_index(drop=True)
    )


def formative_table(fitted: PlsFit | PlsBootstrap) -> pd.DataFrame:
    """Tabulate what forms the constructs of mode B: weights, loadings, and how far items repeat each other.

    Parameters
    ----------
    fitted : PlsFit or PlsBootstrap
        With resamples, the weight has columns weight_low and weight_high too.

    Returns
    -------
    DataFrame
        construct, item, weight, loading, vif: 1 / (1 - R2 of the item on the construct's other items). Below 3 is
        good, above 5 weights of the block are hard to tell apart (Hair et al. 2019).
    """
    fit = fitted if isinstance(fitted, PlsFit) else fitted.fit
    vif = item_inflation(fit)
    table = vif.index.to_frame(index=False).assign(weight=fit.weights[vif.index].to_numpy())
    if isinstance(fitted, PlsBootstrap):
        ends = fitted.table[fitted.table["quantity"] == "weight"].set_axis(fit.weights.index)
        table[["weight_low", "weight_high"]] = ends.loc[vif.index, ["low", "high"]].to_numpy()
    return table.assign(loading=fit.loadings[vif.index].to_numpy(), vif=vif.to_numpy())


def fornell_larcker(fit: PlsFit) -> pd.DataFrame:
    """Tabulate correlations of the scores, with the root of AVE on the diagonal (NaN for mode B).

    A construct is distinct where its diagonal exceeds everything in its row and column.
    """
    names = list(fit.model.names)
    return fit.correlations.mask(np.eye(len(names), dtype=bool), np.diag(np.sqrt(fit.ave[names])))


def cross_loadings(fit: PlsFit) -> pd.DataFrame:
    """Tabulate correlations of every item with the score of every construct: one row (construct, item)."""
    spread = np.equal.outer(Layout(fit.model).owner, np.arange(len(fit.model.names))) * fit.weights.to_numpy()[:, None]
    crossed = fit.item_correlations.to_numpy() @ spread
    return pd.DataFrame(crossed, index=fit.weights.index, columns=list(fit.model.names))


def structural_table(fit: PlsFit) -> pd.DataFrame:
    """Tabulate every path with its source's VIF among the target's sources, and its effect size f2.

    f2 = (R2 with - R2 without the source) / (1 - R2 with), the scores held: 0.02 small, 0.15 medium, 0.35 large.
    Above a VIF of 5 (some say 3) coefficients of the same target are hard to tell apart.

    Returns
    -------
    DataFrame
        source, target, path, vif, f2, r2, r2_adjusted (both of the target; the latter for respondents that count).
    """
    rows = []
    for target, sources in fit.model.paths.items():
        r2 = fit.r2[target]
        vif = inflation(fit.correlations.loc[list(sources), list(sources)].to_numpy())
        for source, inflated in zip(sources, vif, strict=True):
            path = fit.paths[source, target]
            f2 = path**2 / inflated / (1 - r2) if r2 < 1 else np.inf
            rows.append((source, target, path, inflated, f2, r2, fit.r2_adjusted[target]))
    return pd.DataFrame(rows, columns=["source", "target", "path", "vif", "f2", "r2", "r2_adjusted"])


def srmr(fit: PlsFit) -> pd.Series:
    """Root mean square difference of observed and implied correlations, over all pairs of different items.

    Implied is loading x correlation of the constructs x loading (within a block of mode B: as observed).
    `saturated` takes the constructs' correlations as they are, `estimated` those that the paths imply, so that
    a high value of the second alone blames the paths. Below 0.08 is called good.
    """
    layout = Layout(fit.model)
    observed, loading = fit.item_correlations.to_numpy(), fit.loadings.to_numpy()
    formed = np.isin(layout.owner, layout.formative)
    as_observed = (layout.owner[:, None] == layout.owner) & formed[:, None]
    pairs = np.triu_indices(len(loading), 1)
    found = {}
    for name, between in {"saturated": fit.correlations.to_numpy(), "estimated": _implied(fit, layout)}.items():
        implied = np.outer(loading, loading) * between[np.ix_(layout.owner, layout.owner)]
        residual = np.where(as_observed, 0.0, observed - implied)[pairs]
        found[name] = float(np.sqrt((residual**2).mean()))
    return pd.Series(found, name="srmr")


def _implied(fit: PlsFit, layout: Layout) -> np.ndarray:
    """Correlations of the constructs that the paths imply; those without sources correlate as observed."""
    implied: np.ndarray = fit.correlations.to_numpy().copy()
    done = [c for c in range(len(implied)) if c not in layout.sources]
    for target, sources in layout.sources.items():
        path = np.array([fit.paths[fit.model.names[s], fit.model.names[target]] for s in sources])
        implied[target, done] = implied[done, target] = path @ implied[np.ix_(sources, done)]
        done.append(target)
    return implied


def _in_words(fit: PlsFit, name: str, htmt: float) -> str:
    if len(fit.model.construct(name).items) == 1:
        faults = ["one item: reliability unknown"]
    elif np.isnan(fit.rho_a[name]):
        faults = ["formed by its items: reliability does not apply"]
    else:
        faults = ["unreliable"] if fit.rho_a[name] < RELIABLE else []
        faults += ["explains less than half of its items"] if fit.ave[name] < VARIANCE else []
    if htmt > DISTINCT:
        faults.append("not distinct")
    return "; ".join(faults) or "good"
