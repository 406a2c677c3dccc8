"""Does the same customer get the same cluster next month? A fitted segmentation as one file that people can read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError, named
from workbench.studies.segmentation.clusters import Segments
from workbench.studies.segmentation.rules import Rule
from workbench.studies.segmentation.scaling import FeatureScale

FORMAT = 1
_BINS = 10
_FREE = ("names", "made_on", "software")


@dataclass(frozen=True, eq=False)
class SavedSegments:
    """A fitted segmentation as it is kept: enough to give anyone a cluster, and to see whether it still fits.

    Attributes
    ----------
    as_of, made_on : str
        ISO dates: of the features it was fitted on, and when it was saved.
    software : str
    definitions : dict of str to str
        Meaning of each feature, with its unit.
    names : tuple of str
        Of cluster 1 to k. They may be edited in the file; the rest may not.
    customers : tuple of int
        Of cluster 1 to k, at the fit.
    scale : FeatureScale
    rule : Rule
    edges : dict of str to tuple of float
        Of each feature, the inner borders of its bins: the tenths at the fit, equal ones once.
    counts : dict of str to tuple of int
        Customers in each bin at the fit, the missing last.
    """

    as_of: str
    made_on: str
    software: str
    definitions: dict[str, str]
    names: tuple[str, ...]
    customers: tuple[int, ...]
    scale: FeatureScale
    rule: Rule
    edges: dict[str, tuple[float, ...]]
    counts: dict[str, tuple[int, ...]]

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits: the hash of all that decides, so the same for other names."""
        text = json.dumps({k: v for k, v in self._content().items() if k not in _FREE}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """Give the cluster of each customer of a table (or of a batch of it); a feature it lacks is refused by name."""
        return pd.Series(self.rule.label(self.scale.transform(features)) + 1, index=features.index, name="cluster")

    def to_json(self) -> str:
        """Write it as the text of a file, each list of numbers on a line."""
        text = json.dumps({"format": FORMAT, "version": self.version, **self._content()}, indent=2, ensure_ascii=False)
        return re.sub(r"\[[^\[\]{}\"]+\]", lambda found: " ".join(found[0].split()), text) + "\n"

    def _content(self) -> dict[str, Any]:
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        content |= {"scale": vars(self.scale), "rule": vars(self.rule)}
        return json.loads(json.dumps(content, default=lambda part: part.tolist(), allow_nan=False))


def save_segments(
    fitted: Segments,
    features: pd.DataFrame,
    *,
    as_of: date | str,
    definitions: Mapping[str, str],
    names: Mapping[int, str] | None = None,
) -> SavedSegments:
    """Make of a fit what is kept for next month.

    Parameters
    ----------
    fitted : Segments
    features : DataFrame
        Those it was fitted on.
    as_of : date or str
        Date of the features.
    definitions : mapping of str to str
        Meaning of each feature, with its unit: a centre of 300 means nothing without.
    names : mapping of int to str, optional
        Your own names of clusters in place of the proposed ones.

    Raises
    ------
    WorkbenchError
        If the features are not those of the fit, a definition is missing, or a name is for no cluster.

    Examples
    --------
    >>> from workbench.studies.segmentation import fit_segments
    >>> table = pd.DataFrame({"mb": [float(n) for n in (*range(10), *range(90, 100))]})
    >>> fitted = fit_segments(table, k=2, resamples=2)
    >>> kept = save_segments(fitted, table, as_of="2026-07-01", definitions={"mb": "MB a month"}, names={1: "light"})
    >>> kept.names, kept.assign(table.iloc[[0, 19]]).tolist()
    (('light', 'high mb'), [1, 2])
    """
    columns = fitted.scale.columns
    if lacking := [column for column in columns if not definitions.get(column)]:
        raise WorkbenchError(f"definitions lacks {named(lacking)}. Say what each feature means, and its unit.")
    if foreign := sorted(set(names or {}) - set(fitted.centres.index)):
        raise WorkbenchError(f"names holds {named(foreign)}, but the clusters are 1 to {fitted.k}.")
    if not fitted.assign(features).equals(fitted.labels):
        raise WorkbenchError("features are not those of the fit: they give other clusters. Pass the same table.")
    edges = {column: tuple(np.unique(features[column].quantile(np.arange(1, _BINS) / _BINS))) for column in columns}
    return SavedSegments(
        as_of=date.fromisoformat(str(as_of)).isoformat(),
        made_on=date.today().isoformat(),
        software=", ".join(f"{package} {version(package)}" for package in ("numpy", "scikit-learn")),
        definitions={column: definitions[column] for column in columns},
        names=tuple((fitted.names().to_dict() | dict(names or {})).values()),
        customers=tuple(np.bincount(fitted.labels)[1:].tolist()),
        scale=fitted.scale,
        rule=fitted.rule,
        edges=edges,
        counts={column: tuple(in_bins(features[column], edges[column]).tolist()) for column in columns},
    )


def read_segments(path: str | Path) -> SavedSegments:
    """Read a segmentation that was kept.

    Raises
    ------
    WorkbenchError
        If there is no such file, it is not one, of a format unknown here, or changed in more than its names.
    """
    path = Path(path)
    try:
        content = dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise WorkbenchError(f"no saved segmentation at {path}. Fit one and keep its to_json() there.") from None
    except (ValueError, TypeError):
        raise WorkbenchError(f"{path.name} is not a saved segmentation: it is no JSON object in UTF-8.") from None
    if content.pop("format", None) != FORMAT:
        raise WorkbenchError(f"{path.name} has a format other than {FORMAT}, which this program reads. Fit it anew.")
    stated = content.pop("version", None)
    try:
        saved = _restored(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise WorkbenchError(f"{path.name} lacks parts of a saved segmentation or holds others. Fit it anew.") from None
    if saved.version != stated or len(saved.names) != len(saved.customers):
        raise WorkbenchError(
            f"{path.name} calls itself version '{stated}', but its content is '{saved.version}' with "
            f"{len(saved.names)} names: more than their words was edited. Restore it, or fit it anew."
        )
    return saved


def in_bins(values: pd.Series, edges: tuple[float, ...]) -> np.ndarray:
    """Customers at or under each border, above the last, and missing."""
    x = values.to_numpy(dtype=float)
    place = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="left"))
    return np.bincount(place, minlength=len(edges) + 2)


def _restored(content: dict[str, Any]) -> SavedSegments:
    scale, rule = content["scale"], content["rule"]
    arrays = {name: _array(scale[name]) for name in ("fill", "centre", "spread")}
    groups = tuple(tuple(group) for group in scale["shares"])
    scale |= {"columns": tuple(scale["columns"]), "log": tuple(scale["log"]), "shares": groups, **arrays}
    content |= {
        "scale": FeatureScale(**scale),
        "rule": Rule(**{name: _array(part) for name, part in rule.items()}),
        **{name: tuple(content[name]) for name in ("names", "customers")},
        **{name: {f: tuple(v) for f, v in content[name].items()} for name in ("edges", "counts")},
    }
    return SavedSegments(**content)


def _array(part: list | None) -> np.ndarray | None:
    return None if part is None else np.array(part)
