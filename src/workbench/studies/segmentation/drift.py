"""Do the clusters still fit? How far customers have moved from those a saved segmentation was fitted on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import confint_proportions_2indep

from workbench.columns import number
from workbench.errors import CannotAnswer
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Day, Message, Number, Share, Span, join, say, spelt
from workbench.methods.ranking import stability_index
from workbench.result import MINIMUM_CELL, Quantity, Result
from workbench.studies.segmentation.saved import SavedSegments, in_bins
from workbench.suppression import visible

MODERATE, LARGE = 0.10, 0.25
CLUSTERS = "(clusters)"
_ADVICE = {
    "refit": say("refit (its borders were drawn for other customers)"),
    "watch": say("watch (look again next month)"),
    "stable": say("stable (keep the segmentation)"),
    "too few": say("too few (more customers are needed to tell)"),
}


@dataclass(frozen=True, eq=False)
class Drift(Result):
    """How far customers have moved from those of the fit.

    Attributes
    ----------
    index : DataFrame
        One row a feature, and one for the shares of the clusters ("(clusters)"): of, psi (population stability index),
        low, high, noise (what 95 % of samples of unchanged customers stay under), verdict.
    clusters : DataFrame
        One row a cluster: cluster, name, share_then, share_now, change, low, high (of the change), shown: not where
        fewer than ten customers, at the fit or now, could be told from it.
    """

    index: pd.DataFrame
    clusters: pd.DataFrame
    since: str

    NAME, TABLE = "drift", "index"
    CHART = say("Dots with intervals, a row a feature")
    FORMATS = dict.fromkeys(["psi", "low", "high", "noise"], "{:.3f}")

    @property
    def verdict(self) -> str:
        """The gravest of the verdicts: refit, watch, too few, stable."""
        return next(v for v in ("refit", "watch", "too few", "stable") if (self.index["verdict"] == v).any())

    def headline(self) -> Message:
        """Say whether to refit, and what moved most."""
        worst = self.index.loc[self.index["psi"].idxmax()]
        shown = self.clusters[self.clusters["shown"]]
        most = shown.loc[shown["change"].abs().nlargest(1).index]
        return join(
            say("Since {day}: {verdict}.", day=Day(self.since), verdict=_ADVICE[self.verdict]),
            say(
                "Moved most: {feature}, stability index {psi} {span}; by chance alone it stays under {noise}.",
                feature=say("(clusters)") if worst.of == CLUSTERS else spelt(worst.of.replace("_", " ")),
                psi=Number(worst.psi, ".3f"),
                span=Span(worst.low, worst.high, ".3f"),
                noise=Number(worst.noise, ".3f"),
            ),
            *(_moved(row) for _, row in most.iterrows()),
        )

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        return join(say("Population stability index against {day}.", day=Day(self.since)), self.headline())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw each index with its interval, what chance alone gives, and the two conventional thresholds."""
        table = self.index.rename(columns={"psi": "estimate"})
        label = say("population stability index since {day} (bar: chance alone)", day=Day(self.since))
        ax = dot_and_interval(table["of"].str.replace("_", " "), table, ax, label=label, digits=".3f")
        ax.plot(table["noise"], range(len(table))[::-1], "|", color="0.4", markersize=12)
        for at, name in ((MODERATE, "watch"), (LARGE, "refit")):
            ax.axvline(at, color="0.6", linestyle="--")
            ax.text(at, 1, f" {name}", transform=ax.get_xaxis_transform(), va="bottom")
        ax.set_xlim(right=max(1.2 * LARGE, 1.05 * table["high"].max()))
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Index of each feature and of the shares, change of each cluster's share."""
        for row in self.index.itertuples():
            yield Quantity(f"stability_index[{row.of}]", row.psi, "1", row.low, row.high, rtol=1e-3)
        for row in self.clusters[self.clusters["shown"]].itertuples():
            yield Quantity(f"cluster_share_change[{row.cluster}]", row.change, "share", row.low, row.high, rtol=1e-3)


def drift(saved: SavedSegments, features: pd.DataFrame) -> Drift:
    """Measure how far today's customers are from those of the fit.

    The population stability index is the sum over bins of (now - then) log(now / then) of the shares; half a customer
    is added to each bin, so that an empty one has a logarithm. The bins of a feature are its tenths at the fit. By
    convention under 0.1 is small and over 0.25 large. The verdict goes by the interval: "refit" and "watch" where its
    lower end exceeds 0.25 and 0.1, "too few" where it holds both, else "stable".

    Intervals are those of two independent samples: too wide where mostly the same customers stand in both.

    References
    ----------
    Yurdakul & Naranjo (2020), J. Risk Model Validation 14. Newcombe (1998), Statistics in Medicine 17.
    """
    if features.empty:
        raise CannotAnswer("drift needs customers; the table of features is empty.")
    features = features.assign(**{c: number(features[c], c, missing="keep") for c in saved.edges if c in features})
    now = np.bincount(saved.assign(features) - 1, minlength=len(saved.names))
    pairs = {column: (saved.counts[column], in_bins(features[column], saved.edges[column])) for column in saved.edges}
    pairs[CLUSTERS] = saved.customers, now
    rows = [{"of": name, **_judged(np.array(then), now)} for name, (then, now) in pairs.items()]
    then, of, of_then = np.array(saved.customers), now.sum(), sum(saved.customers)
    low, high = confint_proportions_2indep(now, of, then, of_then, method="newcomb", compare="diff")
    clusters = pd.DataFrame(
        {
            "cluster": range(1, len(now) + 1),
            "name": saved.names,
            "share_then": then / of_then,
            "share_now": now / of,
            "change": now / of - then / of_then,
            "low": low,
            "high": high,
        }
    )
    sizes = (visible(clusters.assign(n=n), "n", MINIMUM_CELL) for n in (then, now))
    return Drift(pd.DataFrame(rows), clusters.assign(shown=np.logical_and(*sizes)), saved.as_of)


def _moved(row: pd.Series) -> Message:
    """Say how the share of a cluster moved."""
    return say(
        "Cluster {cluster} ({name}) went from {then} to {now} of the customers: {change} points {span}.",
        cluster=str(row.cluster),
        name=spelt(row["name"]),
        then=Share(row.share_then),
        now=Share(row.share_now),
        change=Number(100 * row.change, "+.1f"),
        span=Span(100 * row.low, 100 * row.high, "+.1f"),
    )


def _judged(then: np.ndarray, now: np.ndarray) -> dict[str, float | str]:
    """The index, its interval, and the verdict by that."""
    index = stability_index(then, now)
    low, high = index["low"], index["high"]
    few = low <= MODERATE and high > LARGE
    return {
        **index,
        "verdict": "refit" if low > LARGE else "watch" if low > MODERATE else "too few" if few else "stable",
    }
