"""Does the same customer get the same cluster next month, and do the clusters still fit?

A saved segmentation is plain data (`to_dict`, `from_dict`): scaling constants, centres or mixture, names and what the
customers looked like when it was fitted. Its version is the hash of that content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2, norm
from statsmodels.stats.proportion import proportion_confint

from workbench.errors import WorkbenchError, named
from workbench.result import Quantity, Result
from workbench.studies.segmentation.clusters import Segments
from workbench.studies.segmentation.rules import Rule
from workbench.studies.segmentation.scaling import FeatureScale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMAT = 1
MODERATE, LARGE = 0.10, 0.25
_BINS = 10


class Batch(Protocol):
    """What Arrow tables and record batches have."""

    def to_pandas(self) -> pd.DataFrame: ...


@dataclass(frozen=True, eq=False)
class SavedSegments:
    """A fitted segmentation as it is kept: enough to give anyone a cluster, and to see whether it still fits.

    Attributes
    ----------
    as_of : str
        ISO date of the features it was fitted on.
    units : dict of str to str
        Unit of each feature.
    scale : FeatureScale
    rule : Rule
    names : tuple of str
        Of cluster 1 to k.
    customers : tuple of int
        Of cluster 1 to k, at the fit.
    edges : dict of str to tuple of float
        Of each feature, the inner borders of its bins: the tenths at the fit, equal ones once.
    counts : dict of str to tuple of int
        Customers in each bin at the fit, the missing last.
    """

    as_of: str
    units: dict[str, str]
    scale: FeatureScale
    rule: Rule
    names: tuple[str, ...]
    customers: tuple[int, ...]
    edges: dict[str, tuple[float, ...]]
    counts: dict[str, tuple[int, ...]]

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.names)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of the hash of the content."""
        return _hash(self._content())

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """Give the cluster of each customer of a table; a feature it lacks is refused by name."""
        return pd.Series(self.rule.label(self.scale.transform(features)) + 1, index=features.index, name="cluster")

    def to_dict(self) -> dict[str, Any]:
        """Give the content as JSON can hold it, with its version."""
        return {"format": FORMAT, "version": self.version, **self._content()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SavedSegments:
        """Read what `to_dict` gave.

        Raises
        ------
        WorkbenchError
            If the format is unknown, a part is missing, or the content is not what its version says.
        """
        if content.get("format") != FORMAT:
            raise WorkbenchError(
                f"saved segments have the format {content.get('format')!r}; this program reads {FORMAT}. Fit them anew."
            )
        lacking = [f.name for f in fields(cls) if f.name not in content]
        if lacking:
            raise WorkbenchError(f"saved segments lack {named(lacking)}. Fit and save them anew.")
        inner = {name: part for name, part in content.items() if name not in ("format", "version")}
        if _hash(inner) != content.get("version"):
            raise WorkbenchError(
                f"saved segments call themselves version '{content.get('version')}', but their content is "
                f"'{_hash(inner)}': it was changed by hand or cut short. Fit and save them anew."
            )
        scale = {name: np.array(part) if name in _ARRAYS else part for name, part in inner["scale"].items()}
        scale |= {"columns": tuple(scale["columns"]), "log": tuple(scale["log"])}
        scale["fill"] = None if scale["fill"].ndim == 0 else scale["fill"]
        rule = {name: None if part is None else np.array(part) for name, part in inner["rule"].items()}
        return cls(
            as_of=inner["as_of"],
            units=dict(inner["units"]),
            scale=FeatureScale(**scale | {"shares": tuple(tuple(group) for group in scale["shares"])}),
            rule=Rule(**rule),
            **{name: tuple(inner[name]) for name in ("names", "customers")},
            **{name: {f: tuple(v) for f, v in inner[name].items()} for name in ("edges", "counts")},
        )

    def _content(self) -> dict[str, Any]:
        plain = {f.name: getattr(self, f.name) for f in fields(self)} | {
            "scale": vars(self.scale),
            "rule": vars(self.rule),
        }
        return json.loads(json.dumps(plain, default=lambda part: part.tolist(), allow_nan=False))


_ARRAYS = ("fill", "centre", "spread")


def save_segments(
    fitted: Segments, features: pd.DataFrame, *, as_of: date | str, units: Mapping[str, str]
) -> SavedSegments:
    """Make of a fit what is kept for next month.

    Parameters
    ----------
    fitted : Segments
    features : DataFrame
        Those it was fitted on.
    as_of : date or str
        Date of the features.
    units : mapping of str to str
        Unit of each feature: a centre of 300 means nothing without.

    Raises
    ------
    WorkbenchError
        If the features are not those of the fit, or a unit is missing.

    Examples
    --------
    >>> from workbench.studies.segmentation import fit_segments
    >>> table = pd.DataFrame({"mb": [1.0, 2, 3, 91, 92, 93]})
    >>> kept = save_segments(fit_segments(table, k=2, resamples=2), table, as_of="2026-07-01", units={"mb": "MB"})
    >>> SavedSegments.from_dict(kept.to_dict()).assign(table).tolist()
    [1, 1, 1, 2, 2, 2]
    """
    lacking = [column for column in fitted.scale.columns if column not in units]
    if lacking:
        raise WorkbenchError(f"units lacks {named(lacking)}. Give each feature its unit.")
    if not fitted.assign(features).equals(fitted.labels):
        raise WorkbenchError("features are not those of the fit: they give other clusters. Pass the same table.")
    edges = {column: _edges(features[column]) for column in fitted.scale.columns}
    return SavedSegments(
        as_of=date.fromisoformat(str(as_of)).isoformat(),
        units={column: units[column] for column in fitted.scale.columns},
        scale=fitted.scale,
        rule=fitted.rule,
        names=tuple(fitted.names()),
        customers=tuple(int(n) for n in fitted.labels.value_counts().reindex(fitted.centres.index, fill_value=0)),
        edges=edges,
        counts={column: tuple(_counts(features[column], edges[column]).tolist()) for column in edges},
    )


def assign_batches(fitted: Segments | SavedSegments, batches: Iterable[pd.DataFrame | Batch]) -> Iterator[pd.Series]:
    """Yield the clusters of one batch of customers after another, in the memory of one batch.

    Parameters
    ----------
    fitted : Segments or SavedSegments
    batches : iterable of DataFrames, or of Arrow tables or record batches
        Each with the features as columns; labels keep the index of their batch.
    """
    for batch in batches:
        yield fitted.assign(batch if isinstance(batch, pd.DataFrame) else batch.to_pandas())


@dataclass(frozen=True, eq=False)
class Drift(Result):
    """How far customers have moved from those a saved segmentation was fitted on.

    Attributes
    ----------
    features : DataFrame
        One row a feature: feature, psi (population stability index), low, high, chance (what 95 % of samples of
        unchanged customers stay under), verdict.
    clusters : DataFrame
        One row a cluster: cluster, name, share_then, share_now, change, low, high (of the change).
    saved : SavedSegments
    """

    features: pd.DataFrame
    clusters: pd.DataFrame
    saved: SavedSegments

    def headline(self) -> str:
        """Say whether to refit, and what moved most."""
        worst = self.features.loc[self.features["psi"].idxmax()]
        moved = self.clusters.loc[self.clusters["change"].abs().idxmax()]
        advice = {
            "large": "refit: the borders were drawn for other customers",
            "moderate": "keep it and look again next month: refit once an interval lies above "
            f"{LARGE:.2f} or a cluster is no longer what its name says",
            "small": f"no need to refit; do so once an interval lies above {LARGE:.2f}",
        }[worst.verdict]
        return (
            f"Since {self.saved.as_of} '{worst.feature}' has moved most: stability index {worst.psi:.3f} "
            f"({worst.low:.3f} to {worst.high:.3f}), {worst.verdict}; cluster {moved.cluster} ({moved['name']}) went "
            f"from {moved.share_then:.1%} to {moved.share_now:.1%} of the customers ({100 * moved.low:+.1f} to "
            f"{100 * moved.high:+.1f} points). Advice: {advice}."
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the index of each feature and the change of each cluster's share."""
        features = self.features.rename(columns={"feature": "of", "psi": "estimate"}).assign(measure="stability index")
        clusters = self.clusters.rename(columns={"cluster": "of", "change": "estimate"}).assign(
            measure="change of share"
        )
        table = pd.concat([features, clusters])[["measure", "of", "estimate", "low", "high"]]
        return table.reset_index(drop=True)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the index of each feature with its interval, and the two conventional thresholds."""
        import matplotlib.pyplot as plt

        ax = plt.gca() if ax is None else ax
        table = self.features.sort_values(["psi", "feature"])
        ax.hlines(range(len(table)), table["low"], table["high"], color="0.4")
        ax.plot(table["psi"], range(len(table)), "o", color="black")
        for at, word in ((MODERATE, "moderate"), (LARGE, "large")):
            ax.axvline(at, color="0.6", linestyle="--")
            ax.annotate(word, (at, 1), xycoords=("data", "axes fraction"), xytext=(2, 2), textcoords="offset points")
        ax.set_yticks(range(len(table)), [f"{name.replace('_', ' ')}" for name in table["feature"]])
        ax.set_xlim(left=0, right=max(1.2 * LARGE, 1.05 * table["high"].max()))
        ax.set_xlabel(f"population stability index since {self.saved.as_of}")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Index of each feature, change of each cluster's share."""
        for row in self.features.itertuples():
            yield Quantity(f"stability_index[{row.feature}]", row.psi, "1", row.low, row.high, rtol=1e-3)
        for row in self.clusters.itertuples():
            yield Quantity(f"cluster_share_change[{row.cluster}]", row.change, "share", row.low, row.high, rtol=1e-3)


def drift(saved: SavedSegments, features: pd.DataFrame, *, level: float = 0.95) -> Drift:
    """Measure how far today's customers are from those of the fit.

    The population stability index of a feature is the sum over its bins of (now - then) log(now / then) of the shares;
    half a customer is added to each bin, so that an empty one has a logarithm. By convention under 0.1 is small, over
    0.25 large. The verdict goes by the lower end of the interval: what chance can explain is no drift.

    Notes
    -----
    Intervals are those of two independent samples. Where mostly the same customers stand in both, they are too wide.

    References
    ----------
    Yurdakul & Naranjo (2020), Statistical properties of the population stability index, J. Risk Model Validation 14.
    Newcombe (1998), Interval estimation for the difference between proportions, Statistics in Medicine 17.
    """
    label = saved.assign(features)
    rows = []
    for column in saved.scale.columns:
        then, now = np.array(saved.counts[column]), _counts(features[column], saved.edges[column])
        filled = (then + now) > 0
        psi, low, high, chance = _stability_index(then[filled], now[filled], level)
        verdict = "large" if low > LARGE else "moderate" if low > MODERATE else "small"
        rows.append((column, psi, low, high, chance, verdict))
    then = np.array(saved.customers)
    now = np.bincount(label - 1, minlength=saved.k)
    clusters = pd.DataFrame({"cluster": range(1, saved.k + 1), "name": saved.names})
    clusters["share_then"], clusters["share_now"] = then / then.sum(), now / now.sum()
    clusters["change"] = clusters["share_now"] - clusters["share_then"]
    clusters["low"], clusters["high"] = _newcombe(now, now.sum(), then, then.sum(), level)
    table = pd.DataFrame(rows, columns=["feature", "psi", "low", "high", "chance", "verdict"])
    return Drift(features=table, clusters=clusters, saved=saved)


def _hash(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _edges(values: pd.Series) -> tuple[float, ...]:
    inner = np.quantile(values.dropna().to_numpy(dtype=float), np.arange(1, _BINS) / _BINS)
    return tuple(np.unique(inner).tolist())


def _counts(values: pd.Series, edges: tuple[float, ...]) -> np.ndarray:
    """Customers at or under each border, above the last, and missing."""
    x = values.to_numpy(dtype=float)
    place = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="left"))
    return np.bincount(place, minlength=len(edges) + 2)


def _stability_index(then: np.ndarray, now: np.ndarray, level: float) -> tuple[float, float, float, float]:
    """The index, its interval, and what 95 % of unchanged samples stay under.

    Over its step the index is about noncentral chi-square with bins - 1 degrees of freedom: 1/then + 1/now customers
    without drift; with it, the step that gives the variance of the delta method.
    """
    n, m = then.sum(), now.sum()
    a, b = (then + 0.5) / (n + len(then) / 2), (now + 0.5) / (m + len(now) / 2)
    psi, free = float(((b - a) * np.log(b / a)).sum()), max(len(then) - 1, 1)
    step = 1 / n + 1 / m
    variance = _variance(b, 1 + np.log(b / a) - a / b) / m + _variance(a, 1 + np.log(a / b) - b / a) / n
    chance = float(step * chi2.ppf(0.95, free))
    if psi > chance:
        step = variance / (4 * psi)
    tail = (1 - level) / 2
    return psi, step * _noncentrality(psi / step, free, 1 - tail), step * _noncentrality(psi / step, free, tail), chance


def _variance(share: np.ndarray, gradient: np.ndarray) -> float:
    return float((share * gradient**2).sum() - (share * gradient).sum() ** 2)


def _noncentrality(statistic: float, free: int, below: float) -> float:
    """The noncentrality under which the statistic is exceeded with probability 1 - below; 0 where there is none."""
    if chi2.cdf(statistic, free) <= below:
        return 0.0
    top = statistic + 10 * norm.isf(1e-6) * np.sqrt(statistic + free)
    return float(brentq(lambda shift: ncx2.cdf(statistic, free, shift) - below, 1e-9, top))


def _newcombe(hit, of, hit_then, of_then, level):
    p, q = hit / of, hit_then / of_then
    low, high = proportion_confint(hit, of, alpha=1 - level, method="wilson")
    low_then, high_then = proportion_confint(hit_then, of_then, alpha=1 - level, method="wilson")
    down, up = np.hypot(p - low, high_then - q), np.hypot(high - p, q - low_then)
    return p - q - down, p - q + up
