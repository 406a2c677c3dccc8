"""Which customers behave alike? Clusters on the right scale, with the stability that tells whether they are real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, unknown
from workbench.resampling import Rng, one_thread, seeds
from workbench.result import Quantity, Result
from workbench.studies.segmentation.rules import Method, Rule, bic, fit_rule
from workbench.studies.segmentation.scaling import FeatureScale, Group, Missing, Scale, fit_scale
from workbench.studies.segmentation.stability import (
    HIGHLY_STABLE,
    STRONG,
    bootstrap_jaccard,
    prediction_strength,
    separation,
    verdict,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIT_ROWS = 50_000
_STABILITY_ROWS = {"kmeans": 10_000, "gmm": 5_000}
_LEAST = 10
_SCREEN_RESAMPLES = 20
_SPLITS = 5
_APART = 0.5
_NEARLY = 0.15


@dataclass(frozen=True, eq=False)
class Segments(Result):
    """Clusters of customers, numbered from the largest.

    Attributes
    ----------
    labels : Series of int
        Cluster of each customer, 1 to k; the index is that of the features.
    centres : DataFrame
        Index cluster; the centre in the units of the features (for logged ones the geometric centre, for shares that
        of the log-ratios).
    criteria : DataFrame
        One row a number of clusters that was tried: k, smallest_share, jaccard_least, prediction_strength, silhouette,
        calinski_harabasz, davies_bouldin, bic (of mixtures), chosen.
    choice : str
        How the number of clusters was chosen, in a sentence.
    deviations : DataFrame
        Index cluster; mean of each scaled feature, in standard deviations from the mean of all customers.
    typical : DataFrame
        Index cluster; median of logged features, mean of the others, in their units.
    scale : FeatureScale
    rule : Rule
        On the scaled features.
    replicates : ndarray, shape (resamples, k)
        Jaccard similarity of each cluster in each resample.
    """

    labels: pd.Series
    centres: pd.DataFrame
    criteria: pd.DataFrame
    choice: str
    deviations: pd.DataFrame
    typical: pd.DataFrame
    scale: FeatureScale
    rule: Rule
    replicates: np.ndarray

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """Give the cluster of each customer of a table with the same columns; the fit stays as it is."""
        return pd.Series(self.rule.label(self.scale.transform(features)) + 1, index=features.index, name="cluster")

    def names(self) -> pd.Series:
        """Propose a name for each cluster from what sets it apart, index cluster."""
        taken: dict[str, int] = {}
        for cluster, row in self.deviations.iterrows():
            for count in range(2, max(len(row), 2) + 1):
                name = _describe(row, count)
                if name not in taken:
                    break
            else:
                name = f"{name} ({cluster})"
            taken[name] = cluster
        return pd.Series(list(taken), index=self.deviations.index, name="name")

    def profile(self) -> pd.DataFrame:
        """Tabulate the clusters: size, proposed name and typical values of the features.

        The sizes are counts of all customers given, not estimates.
        """
        size = self.labels.value_counts().reindex(self.deviations.index)
        head = pd.DataFrame({"name": self.names(), "customers": size, "share": size / len(self.labels)})
        return head.join(self.typical).reset_index()

    def stability(self) -> pd.DataFrame:
        """Tabulate how well each cluster is found again: mean Jaccard, the middle 95 % over resamples, a verdict."""
        mean = self.replicates.mean(axis=0)
        low, high = np.quantile(self.replicates, [0.025, 0.975], axis=0)
        table = {"cluster": self.deviations.index, "name": self.names().to_numpy(), "jaccard": mean}
        return pd.DataFrame({**table, "low": low, "high": high, "verdict": [verdict(j) for j in mean]})

    def headline(self) -> str:
        """Say how many clusters there are, the largest, and how stable the least stable is."""
        table, profile = self.stability(), self.profile()
        least = table.loc[table.jaccard.idxmin()]
        return (
            f"{len(self.labels):,} customers fall into {self.k} clusters; the largest ({profile.share[0]:.1%}): "
            f"{profile.name[0]}; the least stable, cluster {least.cluster}, is found again in resamples with a Jaccard "
            f"similarity of {least.jaccard:.2f} ({least.low:.2f} to {least.high:.2f}): {least.verdict}."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate size, stability and verdict of each cluster."""
        return self.profile()[["cluster", "customers", "share"]].merge(self.stability(), on="cluster")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the heat map of deviations: what each cluster has more and less of, in standard deviations."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        z = self.deviations.to_numpy()
        limit = max(1.0, np.abs(z).max())
        ax.imshow(z, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        for row, column in np.ndindex(z.shape):
            colour = "white" if abs(z[row, column]) > 0.6 * limit else "black"
            ax.text(column, row, f"{z[row, column]:+.1f}", ha="center", va="center", color=colour)
        profile = self.profile()
        ax.grid(False)
        ax.set_yticks(range(self.k), [f"{c}  ({s:.0%})" for c, s in zip(profile.cluster, profile.share, strict=True)])
        words = [_words(c) for c in self.deviations.columns]
        ax.set_xticks(
            range(len(words)), words, rotation=30 if len(words) > 3 else 0, ha="right" if len(words) > 3 else "center"
        )
        ax.set_ylabel("cluster (share of customers)")
        ax.set_xlabel("deviation from all customers (standard deviations)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Number of clusters, share and stability of each."""
        yield Quantity("clusters", float(self.k), "clusters")
        for row in self.summary().itertuples():
            yield Quantity(f"cluster_share[{row.cluster}]", float(row.share), "share", rtol=1e-3)
            yield Quantity(f"cluster_jaccard[{row.cluster}]", row.jaccard, "1", row.low, row.high, rtol=1e-2)


def fit_segments(
    features: pd.DataFrame,
    *,
    k: Literal["auto"] | int = "auto",
    method: Method = "kmeans",
    log: Sequence[str] = (),
    shares: Sequence[Group] = (),
    scale: Scale = "standard",
    clip: float | None = None,
    missing: Missing = "refuse",
    candidates: Sequence[int] = range(2, 9),
    min_share: float = 0.02,
    starts: int = 10,
    resamples: int = 50,
    rng: Rng = 0,
) -> Segments:
    """Cluster customers by behaviour.

    Parameters
    ----------
    features : DataFrame
        One row a customer (the index identifies them), numeric features only.
    k : "auto" or int
        "auto" takes the largest of `candidates` whose clusters are all found again in resamples (mean Jaccard above
        0.85), all hold at least `min_share` of the customers (and 10 on average), whose prediction strength is at least
        0.8, and whose silhouette is within 0.15 of the best of those (of mixtures: whose BIC beats that of fewer);
        where there is none, the one with the best least stable cluster. The criteria often disagree: look at
        usefulness too.
    method : {"kmeans", "gmm"}
        Round clusters of like spread, or the parts of a Gaussian mixture, which may be oblong and unlike.
    log : sequence of str
        Features taken as log(1 + x): amounts and counts with a long tail.
    shares : sequence of str or of sequences of str
        Features taken as log-ratios: a name is a share with its complement, a group is a composition (its parts are
        divided by their sum). A tenth of an even part is added to each (0.05 to a single share): 0 has a logarithm
        then, and the share of a handful of events stays near the middle.
    scale : {"standard", "robust", "none"}
        Then mean 0 and standard deviation 1; or median 0 and interquartile range 1.349 (the standard deviation where
        that range is 0); or as they are.
    clip : float, optional
        Hold scaled values within +-clip, against single extreme customers.
    missing : {"refuse", "median"}
        Refuse missing values with their count a column, or put the median.
    candidates, min_share
        For k="auto".
    starts, resamples : int
        Seeded runs of which the best counts; for the stability of the clusters (at most 20 while k is sought).
    rng : int, SeedSequence or Generator

    Notes
    -----
    Above 50,000 customers the fit uses that many, drawn at random; stability uses at most 10,000 (5,000 for mixtures).
    Everyone gets the nearest centre, or the likeliest part. Clusters are numbered by size, then by centre; nothing
    depends on the order of the rows, nor a number of clusters on which others were tried.

    Raises
    ------
    WorkbenchError
        If an argument, column or value is not as described (missing values and constant features by name).
    CannotAnswer
        If there are fewer distinct customers than clusters, or fewer than 10 customers a cluster.

    Warnings
    --------
    k-means cuts any cloud into k pieces, also one without groups. Look at `.stability()` before naming anything, and
    do not read a cut through a continuum as a kind of customer.

    References
    ----------
    Hennig (2007), CSDA 52; Tibshirani & Walther (2005), JCGS 14; Aitchison (1986), compositional data.
    """
    if method not in get_args(Method):
        raise unknown("method", method, get_args(Method))
    tried = _tried(k, candidates)
    if resamples < 2:
        raise WorkbenchError(f"resamples={resamples}: the stability of clusters needs at least 2.")
    most = len(features) // _LEAST
    if most < tried[0]:
        raise CannotAnswer(
            f"{tried[0]} clusters of {len(features):,} customers would hold fewer than {_LEAST} on average. "
            + (f"Take k={most} or fewer." if most > 1 else "There are too few to segment.")
        )
    tried = [size for size in tried if size <= most]
    how = fit_scale(features, log=log, shares=shares, scale=scale, clip=clip, missing=missing)
    x = how.transform(features)
    with one_thread():
        draw, sift, *of_k = seeds(rng, 3 + max(tried))
        tried, fitted, judged = _drawn(x, tried, _STABILITY_ROWS[method], draw, sift)
        screen = min(resamples, _SCREEN_RESAMPLES) if k == "auto" else resamples
        fits = {
            size: _fit(fitted, judged, size, method, starts=starts, resamples=screen, seed=of_k[size]) for size in tried
        }
        criteria = pd.DataFrame([row for _, row, _ in fits.values()])
        best, choice = _chosen(criteria, min_share) if k == "auto" else (k, f"{k} clusters, as was asked.")
        criteria["chosen"] = criteria["k"] == best
        rule, _, replicates = fits[best]
        order = _numbering(x, rule)
        if np.bincount(rule.label(x), minlength=best).min() == 0:
            raise CannotAnswer(f"{best} clusters: one of them is nobody's likeliest. Take a smaller k.")
        if len(replicates) < resamples:
            again = seeds(of_k[best], 4)[1]
            label = rule.label(judged)
            replicates = bootstrap_jaccard(judged, label, best, resamples=resamples, rng=again, method=method)
    return _segments(features, x, how, rule.ordered(order), criteria, choice, replicates[:, order])


def _tried(k: object, candidates: Sequence[int]) -> list[int]:
    tried = sorted(set(candidates)) if k == "auto" else [k]
    if not tried or not all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in tried):
        raise WorkbenchError(
            f"k is 'auto' or a whole number, candidates are whole numbers; not k={k!r}, {candidates!r}."
        )
    if tried[0] < 2:
        raise WorkbenchError(f"k={tried[0]}: a segmentation has at least 2 clusters.")
    return [int(size) for size in tried]


def _drawn(x, tried, judged, draw, sift):
    """Numbers of clusters that the distinct rows allow; rows to fit on and to judge by, whatever the file's order."""
    key = (x * np.random.default_rng(draw).standard_normal(x.shape[1])).sum(axis=1)
    order = np.argsort(key, kind="stable")
    distinct = 1 + int((np.diff(key[order]) > 0).sum())
    if distinct < tried[0]:
        raise CannotAnswer(
            f"{tried[0]} clusters need at least as many distinct customers; "
            f"{len(x):,} rows hold {distinct:,}. Take a smaller k."
        )
    generator = np.random.default_rng(sift)
    parts = [[size for size in tried if size <= distinct]]
    for most in (_FIT_ROWS, judged):
        rows = order if len(x) <= most else order[np.sort(generator.choice(len(x), most, replace=False))]
        parts.append(x[rows])
    return parts


def _fit(fitted, judged, k, method, *, starts, resamples, seed):
    """The rule for k clusters, the row of criteria that judges it, and its Jaccard similarities."""
    start, boot, split, pick = seeds(seed, 4)
    rule = fit_rule(fitted, k, method, starts=starts, seed=start)
    label = rule.label(judged)
    jaccard = bootstrap_jaccard(judged, label, k, resamples=resamples, rng=boot, method=method)
    row = {
        "k": k,
        "smallest_share": np.bincount(label, minlength=k).min() / len(label),
        "jaccard_least": float(jaccard.mean(axis=0).min()),
        "prediction_strength": prediction_strength(judged, k, splits=_SPLITS, rng=split, method=method),
        **separation(judged, label, pick),
        "bic": bic(fitted, rule),
    }
    return rule, row, jaccard


def _chosen(criteria: pd.DataFrame, min_share: float) -> tuple[int, str]:
    """How many clusters to take, and a sentence why."""
    passed = criteria[
        (criteria["jaccard_least"] > HIGHLY_STABLE)
        & (criteria["prediction_strength"] >= STRONG)
        & (criteria["smallest_share"] >= min_share)
    ]
    range_ = f"of {criteria['k'].min()} to {criteria['k'].max()}"
    if len(passed):
        pays = passed["bic"] == passed["bic"].cummin()
        apart = passed["silhouette"] >= passed["silhouette"].max() - _NEARLY
        row = passed[pays if passed["bic"].notna().all() else apart].iloc[-1]
        parted = "the likelihood pays for it" if row.bic == row.bic else "lies nearly as far apart as any"
        why = (
            f"the most {range_} where every cluster is found again (least Jaccard {row.jaccard_least:.2f}, above "
            f"{HIGHLY_STABLE}), holds {min_share:.0%} of the customers (least {row.smallest_share:.1%}) and {parted}, "
            f"and one half of the customers predicts who is together in the other (strength "
            f"{row.prediction_strength:.2f}, at least {STRONG})"
        )
    else:
        row = criteria.loc[criteria["jaccard_least"].idxmax()]
        why = (
            f"no number {range_} gives clusters that are found again, large enough and predicted: this is the one "
            f"whose least stable cluster is the most stable (Jaccard {row.jaccard_least:.2f}), not a finding"
        )
    others = {"silhouette": "idxmax", "calinski_harabasz": "idxmax", "davies_bouldin": "idxmin", "bic": "idxmin"}
    given = [name for name in others if criteria[name].notna().any()]
    strong = criteria["k"][criteria["prediction_strength"] >= STRONG]
    votes = [f"prediction strength {strong.max() if len(strong) else 'none'}"]
    votes += [f"{_words(name)} {criteria['k'][getattr(criteria[name], others[name])()]}" for name in given]
    return int(row.k), f"{int(row.k)} clusters: {why}. Others would say: {', '.join(votes)}."


def _numbering(x: np.ndarray, rule: Rule) -> np.ndarray:
    """Order of the clusters by size, the largest first; equal ones by the coordinates of their centres."""
    size = np.bincount(rule.label(x), minlength=len(rule.centres))
    return np.lexsort([*rule.centres.T[::-1], -size])


def _segments(features, x, how, rule, criteria, choice, replicates):
    k = len(rule.centres)
    index = pd.RangeIndex(1, k + 1, name="cluster")
    label = rule.label(x)
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    mean = np.array([x[label == c].mean(axis=0) for c in range(k)])
    groups = features[list(how.columns)].groupby(label)
    typical = groups.mean()
    typical[list(how.log)] = groups[list(how.log)].median() if how.log else typical[[]]
    columns = list(how.columns)
    return Segments(
        labels=pd.Series(label + 1, index=features.index, name="cluster"),
        centres=how.inverse(rule.centres).set_axis(index, axis=0),
        criteria=criteria,
        choice=choice,
        deviations=pd.DataFrame((mean - x.mean(axis=0)) / spread, index=index, columns=columns),
        typical=typical.set_axis(index, axis=0),
        scale=how,
        rule=rule,
        replicates=replicates,
    )


def _describe(deviation: pd.Series, count: int) -> str:
    strongest = deviation.reindex(deviation.abs().sort_values(ascending=False, kind="stable").index)[:count]
    parts = [f"{'high' if z > 0 else 'low'} {_words(name)}" for name, z in strongest.items() if abs(z) >= _APART]
    return ", ".join(parts) or "near the mean in all"


def _words(name: object) -> str:
    return str(name).replace("_", " ")
