"""Boosted trees as plain arrays: what a fitted model says of codes, without the program that fitted it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

from workbench.errors import WorkbenchError

CODES = 257  # 0 = missing, then the codes from 0


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; arrays of one entry a node, the root first; children come after their parent.

    Attributes
    ----------
    feature : array of int
        Column asked; -1 in a leaf.
    left, right : arrays of int
    value : array of float
        What a leaf adds.
    goes_left : array of bool, shape (nodes, 257)
        By slot (0 = missing, then the codes).
    """

    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    goes_left: np.ndarray

    def add_to(self, found: np.ndarray, slots: np.ndarray) -> None:
        """Add each row's leaf; slots of shape (n, p)."""
        node, going = np.zeros(len(slots), dtype=np.int64), np.arange(len(slots))
        while len(going):
            going = going[self.feature[node[going]] >= 0]
            here = node[going]
            left = self.goes_left[here, slots[going, self.feature[here]]]
            node[going] = np.where(left, self.left[here], self.right[here])
        found += self.value[node]


@dataclass(frozen=True, eq=False)
class Boosted:
    """A sum of trees on codes.

    baseline : float; trees : tuple of Tree; features : number of columns.
    """

    baseline: float
    trees: tuple[Tree, ...]
    features: int

    def __call__(self, slots: np.ndarray) -> np.ndarray:
        """Predict, slots of whole numbers, shape (n, p): 0 = missing, then the codes."""
        found = np.full(len(slots), self.baseline)
        for tree in self.trees:
            tree.add_to(found, slots)
        return found

    def content(self) -> dict[str, Any]:
        """Give plain numbers and lists, for JSON."""
        trees = [
            {
                "feature": tree.feature.tolist(),
                "left": tree.left.tolist(),
                "right": tree.right.tolist(),
                "value": tree.value.tolist(),
                "goes_left": [np.packbits(row).tobytes().hex() if f >= 0 else "" for f, row in _nodes(tree)],
            }
            for tree in self.trees
        ]
        return {"baseline": self.baseline, "features": self.features, "trees": trees}


def _nodes(tree: Tree) -> Iterator[tuple[int, np.ndarray]]:
    return zip(tree.feature, tree.goes_left, strict=True)


def plain(model: HistGradientBoostingRegressor) -> Boosted:
    """Take the trees out of a model that was fitted to codes (whole numbers from 0 to 255, NaN for missing)."""
    count = model.n_features_in_
    codes = np.concatenate([[np.nan], np.arange(CODES - 1.0)])
    nominal = (
        np.flatnonzero(model.is_categorical_) if model.is_categorical_ is not None else np.zeros(0, dtype=np.int64)
    )
    inner = [*nominal, *np.setdiff1d(np.arange(count), nominal)]  # the order that the model gives its columns
    seen = np.tile(codes[:, None], (1, count))
    if len(nominal):
        seen = model._preprocess_X(seen, reset=False)
    trees = []
    for (one,) in model._predictors:
        nodes, feature = one.nodes, np.full(len(one.nodes), -1)
        table = np.zeros((len(nodes), CODES), dtype=bool)
        for k, node in enumerate(nodes):
            if node["is_leaf"]:
                continue
            feature[k] = inner[node["feature_idx"]]
            values = seen[:, node["feature_idx"]]
            missing = np.isnan(values)
            if node["is_categorical"]:
                bits = one.raw_left_cat_bitsets[node["bitset_idx"]]
                at = np.where(missing, 0, values).astype(np.int64)
                table[k] = (bits[at // 32] >> (at % 32).astype(np.uint32)) & 1
            else:
                table[k] = np.where(missing, False, np.nan_to_num(values) <= node["num_threshold"])
            table[k, missing] = bool(node["missing_go_to_left"])
        leaf = nodes["is_leaf"].astype(bool)
        left, right = (np.where(leaf, 0, nodes[side].astype(np.int64)) for side in ("left", "right"))
        trees.append(Tree(feature, left, right, np.where(leaf, nodes["value"], 0.0), table))
    return Boosted(float(np.ravel(model._baseline_prediction)[0]), tuple(trees), count)


def restored(content: dict[str, Any]) -> Boosted:
    """Make of plain numbers what predicts, after they are proved to be trees.

    Raises
    ------
    WorkbenchError
        If a node's child does not come after it (a circle would never end), a column does not exist, or a number is
        missing or infinite.
    """
    count = int(content["features"])
    trees = []
    for part in content["trees"]:
        feature, left, right = (np.array(part[name], dtype=np.int64) for name in ("feature", "left", "right"))
        value, rows = np.array(part["value"], dtype=float), part["goes_left"]
        nodes = len(feature)
        if not nodes or {len(left), len(right), len(value), len(rows)} != {nodes}:
            raise WorkbenchError("a tree of the model lacks nodes.")
        inside, own = feature >= 0, np.arange(nodes)
        after = (left > own) & (right > own) & (left < nodes) & (right < nodes)
        if not after[inside].all() or (feature >= count).any() or not np.isfinite(value).all():
            raise WorkbenchError("a tree of the model is none: a node leads back, asks no column, or adds no number.")
        table = np.zeros((nodes, CODES), dtype=bool)
        for k in np.flatnonzero(inside):
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(rows[k]), dtype=np.uint8))
            table[k] = bits[:CODES]
        trees.append(Tree(feature, left, right, value, table))
    baseline = float(content["baseline"])
    if not np.isfinite(baseline):
        raise WorkbenchError("the model's baseline is no number.")
    return Boosted(baseline, tuple(trees), count)
