"""By which way does one construct act on another? Indirect effects, chain by chain, and mediation.

References
----------
Zhao, Lynch & Chen (2010), Reconsidering Baron and Kenny, Journal of Consumer Research 37 (kinds of mediation).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Label, Message, Number, Span, say
from workbench.methods.plspm.bootstrap import PlsBootstrap
from workbench.methods.plspm.model import PathModel
from workbench.result import Result


@dataclass(frozen=True, eq=False)
class Mediation(Result):
    """Indirect effects with intervals, and what kind of mediation they make.

    Attributes
    ----------
    table : DataFrame
        One row a chain of two paths or more (standardised), and where several chains join the same two
        constructs, one with their sum (via "all"): source, target, via, indirect, se, low, high; direct,
        direct_low, direct_high (NaN where the model draws no direct path); share (indirect over total, NaN where
        the two have opposite signs); kind ("full", "partial", "competing", "indirect", "none"); said (a sentence).
    """

    table: pd.DataFrame
    level: float

    NAME = "mediation"
    CHART = say("Dots with intervals, a row a pair of constructs")
    FORMATS = dict.fromkeys(["indirect", "se", "low", "high", "direct", "direct_low", "direct_high"], "{:.3f}")
    PICTURE_CAPTION = "How much of a construct reaches another through those between them; off zero: significant."
    CAPTION = "Indirect effects (standardised), chain by chain, with {level} intervals; beside, the direct."

    def headline(self) -> Message:
        """Say how many of the indirect effects are surely there, and which is largest."""
        chains = self.table[self.table["via"] != "all"]
        sure = (chains["low"] > 0) | (chains["high"] < 0)
        top = chains.loc[chains["indirect"].abs().idxmax()]
        return say(
            "{n} of {all} indirect effects are significant. The largest: {top}",
            n=int(sure.sum()),
            all=len(chains),
            top=_said(top.to_dict()),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the indirect effects with the direct ones beside them."""
        return self.table.drop(columns="said")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what all chains between two constructs carry together, with intervals."""
        ends = self.table.groupby(["source", "target"])["via"]
        rows = self.table[(ends.transform("size") == 1) | (self.table["via"] == "all")]
        labels = [
            say("{source}→{target} via {via}", source=Label(row.source), target=Label(row.target), via=Label(row.via))
            for row in rows.itertuples()
        ]
        rows = rows.rename(columns={"indirect": "estimate"})
        return dot_and_interval(labels, rows, ax, label="indirect effect", zero=True)


def chains_of(model: PathModel) -> list[tuple[str, ...]]:
    """All chains of two paths or more.

    >>> from workbench.methods.plspm import Construct
    >>> chains_of(PathModel([Construct(c, [c.lower()]) for c in "ABC"], {"B": "A".split(), "C": ["A", "B"]}))
    [('A', 'B', 'C')]
    """
    to: dict[str, list[tuple[str, ...]]] = {name: [] for name in model.names}
    for target in model.order:
        for source in model.paths.get(target, ()):
            to[target] += [(source, target), *((*chain, target) for chain in to[source])]
    place = {name: i for i, name in enumerate(model.names)}
    found = [chain for chains in to.values() for chain in chains if len(chain) > 2]
    return sorted(found, key=lambda chain: (place[chain[0]], place[chain[-1]], len(chain), [place[c] for c in chain]))


def mediation(boot: PlsBootstrap, *, target: str | None = None) -> Mediation:
    """Judge every indirect effect of the model, chain by chain and in sum.

    Parameters
    ----------
    boot : PlsBootstrap
        Its intervals (method and level) are used; an effect is there where its interval excludes zero.
    target : str, optional
        The construct that is acted on; every one by default.

    Raises
    ------
    WorkbenchError
        If the model has no such construct.
    CannotAnswer
        If the model has no chain of two paths (to the target).

    Warning
    -------
    Chains are products of regression coefficients: they are causal only if every path is.
    """
    chains = [chain for chain in chains_of(boot.fit.model) if target in (None, chain[-1])]
    if not chains:
        if target is None:
            raise CannotAnswer("the model has no chain of two paths, so nothing can be mediated.")
        raise CannotAnswer("the model has no chain of two paths to '{target}', so nothing can be mediated.").of(
            boot.fit.model.construct(target).name
        )
    at = {name: i for i, (quantity, name) in enumerate(boot.labels) if quantity == "path"}
    edges = [[at[f"{a}->{b}"] for a, b in pairwise(chain)] for chain in chains]
    ends = [(chain[0], chain[-1]) for chain in chains]
    several = [pair for pair in dict.fromkeys(ends) if ends.count(pair) > 1]
    sums = np.array([[float(pair == end) for pair in several] for end in ends]).reshape(len(ends), -1)

    def effects(values: np.ndarray) -> np.ndarray:
        single = np.column_stack([values[:, edge].prod(axis=1) for edge in edges])
        return np.hstack([single, single @ sums])

    table = boot.derived(effects)
    table.insert(0, "source", [pair[0] for pair in [*ends, *several]])
    table.insert(1, "target", [pair[1] for pair in [*ends, *several]])
    table.insert(2, "via", [", ".join(chain[1:-1]) for chain in chains] + ["all"] * len(several))
    table = table.rename(columns={"estimate": "indirect"})
    direct = boot.table[boot.table["quantity"] == "path"].set_index("name")
    beside = direct.reindex(table["source"] + "->" + table["target"])[["estimate", "low", "high"]].to_numpy()
    table[["direct", "direct_low", "direct_high"]] = beside
    total = table["indirect"] + table["direct"].fillna(0)
    table["share"] = (table["indirect"] / total).where(~(table["indirect"] * table["direct"] < 0))
    table["kind"] = [_kind(row) for row in table.to_dict("records")]
    table["said"] = [_said(row) for row in table.to_dict("records")]
    place = {pair: i for i, pair in enumerate(dict.fromkeys(ends))}
    order = [place[pair] for pair in zip(table["source"], table["target"], strict=True)]
    return Mediation(table.iloc[np.argsort(order, kind="stable")].reset_index(drop=True), boot.level)


def _sure(low: float, high: float) -> bool:
    return low > 0 or high < 0


def _kind(row: dict[str, Any]) -> str:
    if not _sure(row["low"], row["high"]):
        return "none"
    if np.isnan(row["direct"]):
        return "indirect"
    if not _sure(row["direct_low"], row["direct_high"]):
        return "full"
    return "partial" if row["indirect"] * row["direct"] > 0 else "competing"


def _said(row: dict[Any, Any]) -> Message:
    way = say(
        "{source} → {target} through {via}: {indirect} {span}",
        source=Label(row["source"]),
        target=Label(row["target"]),
        via=say("all chains") if row["via"] == "all" else Label(row["via"]),
        indirect=Number(row["indirect"], ".2f"),
        span=Span(row["low"], row["high"], ".2f"),
    )
    direct = Number(row["direct"], ".2f")
    return {
        "none": say("{way}; no mediation is seen, the interval includes zero.", way=way),
        "indirect": say("{way}; the model draws no direct path beside it.", way=way),
        "full": say("{way}; full mediation, the direct path's interval includes zero.", way=way),
        "partial": say("{way}; partial mediation, beside a direct path of {direct}.", way=way, direct=direct),
        "competing": say(
            "{way}; partial mediation against a direct path of the other sign, {direct}.", way=way, direct=direct
        ),
    }[row["kind"]]
