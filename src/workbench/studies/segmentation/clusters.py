"""Which customers behave alike? Clusters on the right scale, with the stability that tells whether they are real."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_columns, require_known
from workbench.figures import Axes, heat_map
from workbench.messages import Listed, Message, Number, Share, Span, join, quoted, say, spelt
from workbench.methods.resampling import Rng, one_thread, seeds
from workbench.result import Picture, Quantity, Result, Table
from workbench.studies.segmentation.choice import SPLITS, Trial, choose, criteria, in_words
from workbench.studies.segmentation.partition import Method, Partition
from workbench.studies.segmentation.pictures import plot_profiles
from workbench.studies.segmentation.scaling import FeatureScale, Group, Missing, Scale, fit_scale
from workbench.studies.segmentation.stability import verdict

_FIT_ROWS = 50_000
_LEAST = 10
_APART = 0.5


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
    choice : Message
        How the number of clusters was chosen, in a sentence.
    undecided : tuple of int
        Numbers of clusters between which the data do not decide; empty where they do, or where k was given.
    left_out : tuple of str
        Features that are the same for everybody.
    deviations : DataFrame
        Index cluster; mean of each scaled feature, in standard deviations from the mean of all customers.
    typical : DataFrame
        Index cluster; median of logged features, mean of the others, in their units.
    rule : Partition
        On the scaled features.
    replicates : ndarray, shape (resamples, k)
        Jaccard similarity of each cluster in each resample.
    below : dict of str to int
        Customers below 0 in a logged feature (credit notes), by feature; one without any does not appear.
    """

    labels: pd.Series
    centres: pd.DataFrame
    criteria: pd.DataFrame
    choice: Message
    undecided: tuple[int, ...]
    left_out: tuple[str, ...]
    deviations: pd.DataFrame
    typical: pd.DataFrame
    scale: FeatureScale
    rule: Partition
    replicates: np.ndarray
    below: dict[str, int] = field(default_factory=dict)

    NAME, COUNTS = "clusters", "customers"
    CHART = say("Heat map of a row a cluster and a column a feature")
    FORMATS = dict.fromkeys(["jaccard", "low", "high"], "{:.2f}")
    CAPTION = "Clusters, and the Jaccard similarity of each with its nearest in resamples."
    PICTURE_CAPTION = "Clusters: deviation of each feature from all customers, in standard deviations."

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """Give the cluster of each customer of a table with the same columns; the fit stays as it is."""
        return pd.Series(self.rule.label(self.scale.transform(features)) + 1, index=features.index, name="cluster")

    def names(self) -> pd.Series:
        """Propose a name for each cluster from what sets it apart, index cluster."""
        return pd.Series(self._names(), index=self.deviations.index, name="name")

    def _names(self) -> list[Message]:
        taken: dict[Message, int] = {}
        for cluster, row in self.deviations.iterrows():
            for count in range(2, max(len(row), 2) + 1):
                name = _describe(row, count)
                if name not in taken:
                    break
            else:
                name = say("{name} ({cluster})", name=name, cluster=str(cluster))
            taken[name] = cluster
        return list(taken)

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

    def headline(self) -> Message:
        """Say how many clusters there are, the largest, and how stable the least stable is."""
        table, profile = self.stability(), self.profile()
        least = table.loc[table.jaccard.idxmin()]
        undecided, left_out = say(""), say("")
        if self.undecided:
            undecided = say("The data do not decide between {numbers} clusters.", numbers=Listed(self.undecided))
        if self.left_out:
            left_out = say("Left out, the same for everybody: {features}.", features=quoted(self.left_out))
        below = (
            say(
                "Below 0 in {feature}: {n} customers, as far down on the log scale as others up.",
                feature=words(feature),
                n=count,
            )
            for feature, count in self.below.items()
        )
        found = say(
            "{n} customers fall into {k} clusters; the largest ({share}): {name}; the least stable, cluster {cluster}, "
            "is found again in resamples with a Jaccard similarity of {jaccard} {span}: {verdict}.",
            n=len(self.labels),
            k=self.k,
            share=Share(profile.share[0]),
            name=self._names()[0],
            cluster=str(least.cluster),
            jaccard=Number(least.jaccard, ".2f"),
            span=Span(least.low, least.high, ".2f"),
            verdict=verdict(least.jaccard),
        )
        return join(found, undecided, left_out, *below)

    def summary(self) -> pd.DataFrame:
        """Tabulate size, stability and verdict of each cluster."""
        return self.profile()[["cluster", "customers", "share"]].merge(self.stability(), on="cluster")

    def panels(self) -> Picture:
        """Give the deviations, a panel a cluster, as a page shows them."""
        said = say("The same, a cluster a panel: what sets each apart.")
        alt = join(say("A panel of bars a cluster."), self.headline())
        return Picture("profiles", partial(plot_profiles, self.deviations, self.names()), said, alt)

    def tried(self) -> Table:
        """Give the criteria of each number of clusters as a page shows them."""
        said = say("Number of clusters: what each criterion says. Stability decides; the others stand beside it.")
        formats = dict.fromkeys(self.criteria.select_dtypes("float").columns, "{:,.3f}")
        return Table("criteria", self.criteria.reset_index(drop=True), said, formats)

    def typical_values(self) -> Table:
        """Give the `profile` as a page shows it."""
        formats = dict.fromkeys(self.typical.columns, "{:,.2f}")
        return Table("profile", self.profile(), say("Clusters with typical values."), formats, "customers")

    def found_again(self) -> Table:
        """Give the `stability` as a page shows it."""
        said = say("Jaccard similarity of each cluster with its nearest in resamples.")
        return Table("stability", self.stability(), said, self.FORMATS)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the heat map of deviations: what each cluster has more and less of, in standard deviations."""
        limit = max(1.0, np.abs(self.deviations.to_numpy()).max())
        shares = [f"{c}  ({share:.0%})" for c, share in self.profile()[["cluster", "share"]].itertuples(index=False)]
        table = self.deviations.set_axis(shares).rename(columns=words)
        ax = heat_map(table, "+.1f", ax, cmap="RdBu_r", vmin=-limit, vmax=limit)
        if len(table.columns) > 3:
            ax.set_xticks(ax.get_xticks(), table.columns, rotation=30, ha="right")
        ax.set_ylabel("cluster (share of customers)")
        ax.set_xlabel("deviation from all customers (standard deviations)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Number of clusters, share and stability of each."""
        yield Quantity("clusters", float(self.k), "clusters")
        for place, row in enumerate(self.summary().itertuples()):
            yield Quantity(f"cluster_share[{row.cluster}]", float(row.share), "share", rtol=1e-3, row=place)
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
        0.85), all hold at least 2% of the customers (and 10 on average), whose prediction strength is at least
        0.8, and whose silhouette is within 0.15 of the best of those (of mixtures: whose BIC beats that of fewer);
        where there is none, the one with the best least stable cluster. What lies near a limit gets more resamples, up
        to 40. What is open even then is named in the headline ("do not decide between 4, 5 and 6"), and of the numbers
        that pass by their means the one with the best BIC (of mixtures) or Calinski-Harabasz index is taken. The
        criteria often disagree: look at usefulness too.
    method : {"kmeans", "gmm"}
        Round clusters of like spread, or the parts of a Gaussian mixture, which may be oblong and unlike.
    log : sequence of str
        Features taken as log(1 + x): amounts and counts with a long tail. An amount below 0 is taken as -log(1 - x);
        how many there are is told.
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
    candidates
        For k="auto".
    starts, resamples : int
        Seeded runs of which the best counts, of the fit (which goes on, up to five times as many, until its best has
        come up three times) and of each refit; resamples, at least, for the stability of the clusters taken.

    Notes
    -----
    Above 50,000 customers the fit uses that many, drawn at random; each resample at most 10,000 of them (5,000 for
    mixtures). Everyone gets the nearest centre, or the likeliest part. Clusters are numbered by size, then by centre;
    nothing depends on the order of rows or columns, nor on the unit of a feature that is scaled and not logged. A
    feature that is the same for everybody is left out, by name.

    Raises
    ------
    WorkbenchError
        If an argument, column or value is not as described (missing values by name), or all features are constant.
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
    require_known("method", method, get_args(Method))
    tried = _tried(k, candidates)
    if resamples < 2:
        raise WorkbenchError("resamples={resamples}: the stability of clusters needs at least 2.").of(str(resamples))
    require_columns(features, (), "features")
    if names := [name for name in map(str, features.columns) if name.endswith("_id")]:
        raise WorkbenchError(
            "{names} in features tells who a customer is. Make it the index (set_index), or leave it out."
        ).of(names)
    most = len(features) // _LEAST
    if most < tried[0]:
        few = say(
            "{k} clusters of {n} customers would hold fewer than {least} on average.",
            k=tried[0],
            n=len(features),
            least=_LEAST,
        )
        take = say("Take k={k} or fewer.", k=most) if most > 1 else say("There are too few to segment.")
        raise CannotAnswer(join(few, take))
    tried = [size for size in tried if size <= most]
    how = fit_scale(features, log=log, shares=shares, scale=scale, clip=clip, missing=missing)
    raw = how.read(features)
    x = how.scaled(raw)
    with one_thread():
        draw, sift, judge, *of_k = seeds(rng, 4 + max(tried))
        tried, fitted = _drawn(x, tried, draw, sift)
        trials = {size: Trial(fitted, size, method, starts, of_k[size]) for size in tried}
        for trial in trials.values():
            trial.begin() if k == "auto" else trial.grow(resamples, SPLITS)
        table, silhouettes = criteria(trials, judge)
        best, doubt = choose(trials, table, silhouettes) if k == "auto" else (k, ())
        choice = say("{k} clusters, as was asked.", k=best)
        if k == "auto":
            choice = in_words(best, doubt, trials, table)
        table["chosen"] = table["k"] == best
        rule = trials[best].rule
        label = rule.label(x)
        order = _numbering(label, rule)
        if np.bincount(label, minlength=best).min() == 0:
            raise CannotAnswer("{k} clusters: one of them is nobody's likeliest. Take a smaller k.").of(best)
        replicates = trials[best].grow(resamples, 0).jaccard
    label = np.argsort(order)[label]
    return _segments(features, raw, x, label, how, rule.ordered(order), table, choice, doubt, replicates[:, order])


def _tried(k: object, candidates: Sequence[int]) -> list[int]:
    tried: list[Any] = sorted(set(candidates)) if k == "auto" else [k]
    if not tried or not all(isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in tried):
        raise WorkbenchError(
            "k is 'auto' or a whole number, candidates are whole numbers; not k={k}, {candidates}."
        ).of(repr(k), repr(candidates))
    if tried[0] < 2:
        raise WorkbenchError("k={first}: a segmentation has at least 2 clusters.").of(str(tried[0]))
    return [int(size) for size in tried]


def _drawn(x, tried, draw, sift):
    """Numbers of clusters that the distinct rows allow, and rows to fit on, whatever the file's order."""
    key = (x * np.random.default_rng(draw).standard_normal(x.shape[1])).sum(axis=1)
    order = np.argsort(key)
    distinct = 1 + int((np.diff(key[order]) > 0).sum())
    if distinct < tried[0]:
        raise CannotAnswer(
            "{k} clusters need at least as many distinct customers; {n} rows hold {distinct}. Take a smaller k."
        ).of(tried[0], len(x), distinct)
    if len(x) > _FIT_ROWS:
        order = order[np.sort(np.random.default_rng(sift).choice(len(x), _FIT_ROWS, replace=False))]
    return [size for size in tried if size <= distinct], np.ascontiguousarray(x[order])


def _numbering(label: np.ndarray, rule: Partition) -> np.ndarray:
    """Order of the clusters by size, the largest first; equal ones by the coordinates of their centres."""
    size = np.bincount(label, minlength=len(rule.centres))
    return np.lexsort([*rule.centres.T[::-1], -size])


def _segments(features, raw, x, label, how, rule, criteria, choice, undecided, replicates):
    k = len(rule.centres)
    index = pd.RangeIndex(1, k + 1, name="cluster")
    spread = x.std(axis=0)
    size = np.bincount(label, minlength=k)
    mean = np.column_stack([np.bincount(label, column, k) / size for column in x.T])
    deviations = (mean - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    groups = raw.groupby(label)
    typical = groups.mean()
    typical[list(how.log)] = groups[list(how.log)].median() if how.log else typical[[]]
    shown = [str(c) for c in features.columns if str(c) in how.columns]
    below = {c: int((raw[c] < 0).sum()) for c in shown if c in how.log}
    return Segments(
        labels=pd.Series(label + 1, index=features.index, name="cluster"),
        centres=how.inverse(rule.centres).set_axis(index, axis=0)[shown],
        criteria=criteria,
        choice=choice,
        undecided=undecided,
        left_out=tuple(str(c) for c in features.columns if str(c) not in how.columns),
        deviations=pd.DataFrame(deviations, index=index, columns=list(how.columns))[shown],
        typical=typical.set_axis(index, axis=0)[shown],
        scale=how,
        rule=rule,
        replicates=replicates,
        below={c: count for c, count in below.items() if count},
    )


def _describe(deviation: pd.Series, count: int) -> Message:
    order = np.lexsort([deviation.index.astype(str), -deviation.abs().round(9)])
    strongest = deviation.iloc[order[:count]]
    parts = [
        say("high {feature}", feature=words(name)) if z > 0 else say("low {feature}", feature=words(name))
        for name, z in strongest.items()
        if abs(z) >= _APART
    ]
    return say("{text}", text=Listed(parts, "")) if parts else say("near the mean in all")


def words(name: object) -> Message:
    """Name a feature."""
    return spelt(str(name).replace("_", " "))
