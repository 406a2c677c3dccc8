"""How good are measurement and structure? Tables that an examiner asks for, from a fit or its resamples.

References
----------
Fornell & Larcker (1981), JMR 18. Cohen (1988), Statistical Power Analysis (f2). Henseler, Ringle & Sarstedt
(2015), JAMS 43 (HTMT). Ringle, Sarstedt, Sinkovics & Sinkovics (2023), Data in Brief 48 (HTMT+). Hair, Risher, Sarstedt
& Ringle (2019), European Business Review 31 (VIF of items). Henseler et al. (2014), Organizational Research Methods 17
(SRMR).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from workbench.methods.plspm.batch import Plan
from workbench.methods.plspm.bootstrap import PlsBootstrap
from workbench.methods.plspm.fit import PlsFit
from workbench.methods.plspm.verdicts import DISTINCT, RELIABLE, VARIANCE, inflation, item_inflation


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
    return pd.DataFrame(
        {"first": pairs[0], "second": pairs[1], "htmt": rows["estimate"], "low": rows["low"], "high": rows["high"]}
    ).assign(distinct=distinct).reset_index(drop=True)  # fmt: skip


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
    spread = np.equal.outer(Plan(fit.model).owner, np.arange(len(fit.model.names))) * fit.weights.to_numpy()[:, None]
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
    plan = Plan(fit.model)
    observed, loading = fit.item_correlations.to_numpy(), fit.loadings.to_numpy()
    formed = np.isin(plan.owner, plan.formative)
    as_observed = (plan.owner[:, None] == plan.owner) & formed[:, None]
    pairs = np.triu_indices(len(loading), 1)
    found = {}
    for name, between in {"saturated": fit.correlations.to_numpy(), "estimated": _implied(fit, plan)}.items():
        implied = np.outer(loading, loading) * between[np.ix_(plan.owner, plan.owner)]
        residual = np.where(as_observed, 0.0, observed - implied)[pairs]
        found[name] = float(np.sqrt((residual**2).mean()))
    return pd.Series(found, name="srmr")


def _implied(fit: PlsFit, plan: Plan) -> np.ndarray:
    """Correlations of the constructs that the paths imply; those without sources correlate as observed."""
    implied: np.ndarray = fit.correlations.to_numpy().copy()
    done = [c for c in range(len(implied)) if c not in plan.sources]
    for target, sources in plan.sources.items():
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
