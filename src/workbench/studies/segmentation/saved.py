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

from workbench.columns import category, day, number
from workbench.errors import NOT_WHOLE, WorkbenchError
from workbench.locks import whole
from workbench.messages import say, spelt
from workbench.studies.segmentation.clusters import Segments
from workbench.studies.segmentation.partition import Partition
from workbench.studies.segmentation.scaling import FeatureScale

FORMAT = 1
_BINS = 10
_FREE = ("names", "made_on", "software")


@dataclass(frozen=True, eq=False)
class SavedSegments:
    """A fitted segmentation as it is kept: enough to give anyone a cluster, and to see whether it still fits.

    Attributes
    ----------
    as_of, made_on, software : str
        Date of the features it was fitted on; when and with what it was saved.
    definitions : dict of str to str
        Meaning of each feature, with its unit.
    names, customers : list
        Of cluster 1 to k: name (may be edited in the file; the rest may not), and size at the fit.
    edges, counts : dict of str to list
        Of each feature: inner borders of its bins (the tenths at the fit, equal ones once), and how many customers were
        in each bin, the missing last.
    """

    as_of: str
    made_on: str
    software: str
    definitions: dict[str, str]
    names: list[str]
    customers: list[int]
    scale: FeatureScale
    rule: Partition
    edges: dict[str, list[float]]
    counts: dict[str, list[int]]

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits: the hash of all that decides, so the same for other names."""
        text = json.dumps({k: v for k, v in self._content().items() if k not in _FREE}, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def assign(self, features: pd.DataFrame) -> pd.Series:
        """Give the cluster of each customer of a table (or of a batch of it); a feature it lacks is refused by name."""
        return pd.Series(self.rule.label(self.scale.transform(features)) + 1, index=features.index, name="cluster")

    @property
    def titles(self) -> list[str]:
        """Number and name of each cluster, "2 low night share"."""
        names = enumerate(map(spelt, self.names), 1)
        return [say("{number} {name}", number=str(number), name=name) for number, name in names]

    def members(self, features: pd.DataFrame, *, on: date | str, revenue: pd.Series) -> pd.DataFrame:
        """Tabulate who is in which cluster on a day, with revenue (0 where missing) by customer: for `migration`."""
        cluster = self.assign(features)
        held = {"customer": cluster.index, "on": str(on), "segment": cluster.map(dict(enumerate(self.titles, 1))).array}
        whose, who = (category(pd.Series(ids), "customer") for ids in (revenue.index, cluster.index))
        return pd.DataFrame(held | {"revenue": revenue.set_axis(whose).reindex(who).fillna(0).to_numpy()})

    def save(self, path: str | Path) -> Path:
        """Write it as JSON, to be read by `read_segments`; the file is whole or absent."""
        path = Path(path)
        with whole(path) as part:
            part.write_text(self.to_json(), encoding="utf-8")
        return path

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

    `features` are those it was fitted on, of the date `as_of`; `definitions` gives each feature's meaning with its
    unit; `names` your own names of clusters in place of the proposed ones.

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
    (['light', 'high mb'], [1, 2])
    """
    columns = list(fitted.centres.columns)
    if lacking := [column for column in columns if not definitions.get(column)]:
        raise WorkbenchError("definitions lacks {names}. Say what each feature means, and its unit.").of(lacking)
    if foreign := sorted(set(names or {}) - set(fitted.centres.index)):
        raise WorkbenchError("names holds {names}, but the clusters are 1 to {k}.").of(foreign, fitted.k)
    if not fitted.assign(features).equals(fitted.labels):
        raise WorkbenchError("features are not those of the fit: they give other clusters. Pass the same table.")
    features = features.assign(**{c: number(features[c], c, missing="keep") for c in columns})
    edges = {column: np.unique(features[column].quantile(np.arange(1, _BINS) / _BINS)).tolist() for column in columns}
    return SavedSegments(
        as_of=f"{day(as_of, 'as_of'):%Y-%m-%d}",
        made_on=date.today().isoformat(),
        software=", ".join(f"{package} {version(package)}" for package in ("numpy", "scikit-learn")),
        definitions={column: definitions[column] for column in columns},
        names=list((fitted.names().to_dict() | dict(names or {})).values()),
        customers=np.bincount(fitted.labels)[1:].tolist(),
        scale=fitted.scale,
        rule=fitted.rule,
        edges=edges,
        counts={column: in_bins(features[column], edges[column]).tolist() for column in columns},
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
        form, stated = content.pop("format", None), content.pop("version", None)
        saved = _restored(content) if form == FORMAT else None
    except FileNotFoundError:
        raise WorkbenchError("no saved segmentation at {path}. Fit one and save it there.").of(path) from None
    except NOT_WHOLE:
        raise WorkbenchError("{path} is not a whole saved segmentation. Restore it, or fit it anew.").of(
            path.name
        ) from None
    if saved is None:
        raise WorkbenchError("{path} has the format {form}; this program reads {format}. Fit it anew.").of(
            path.name, repr(form), FORMAT
        )
    if saved.version != stated or len(saved.names) != len(saved.customers):
        raise WorkbenchError(
            "{path} calls itself version '{stated}', but its content is '{version}' with {n} names: more than their "
            "words was edited. Restore it, or fit it anew."
        ).of(path.name, stated, saved.version, len(saved.names))
    return saved


def in_bins(values: pd.Series, edges: list[float]) -> np.ndarray:
    """Customers at or under each border, above the last, and missing."""
    x = values.to_numpy(dtype=float)
    place = np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="left"))
    return np.bincount(place, minlength=len(edges) + 2)


def _restored(content: dict[str, Any]) -> SavedSegments:
    scale = content["scale"] | {name: _array(content["scale"][name]) for name in ("fill", "centre", "spread")}
    rule = Partition(**{name: _array(part) for name, part in content["rule"].items()})
    return SavedSegments(**content | {"scale": FeatureScale(**scale), "rule": rule})


def _array(part: list[Any] | None) -> Any:
    return None if part is None else np.array(part)
