"""Who are the members to contact, in words?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from workbench import columns as columns_of
from workbench.errors import WorkbenchError
from workbench.messages import Label, Message, Number, Share, say
from workbench.methods.coding import arrange, class_edges, cut
from workbench.methods.experiment.members import categories, is_text, require_members, scores
from workbench.result import MINIMUM_CELL, Result

EVERYBODY = say("everybody")


@dataclass(frozen=True)
class TargetGroup(Result):
    """The members to contact, in words: the branches of a shallow tree.

    Attributes
    ----------
    groups : DataFrame
        who (words), members, targets (of them to be contacted), target_share; those with most targets first.
    share : float
        Share of the list that is contacted.
    """

    groups: pd.DataFrame
    share: float
    campaign: str = ""

    NAME, COUNTS, TABLE = "targets", "targets", "groups"
    FORMATS = MappingProxyType({"target_share": "{:.0%}"})

    def headline(self) -> Message:
        """Say who most of the targets are."""
        if not self.share:
            return say("Nobody is to be contacted, so there are no targets to describe.")
        share = Share(self.share, 0)
        dense = self.groups[(self.groups["target_share"] > self.share) & (self.groups["targets"] >= MINIMUM_CELL)]
        if not len(dense):
            return say("The best {share} of the list have no trait in common among these.", share=share)
        first = dense.sort_values("targets", ascending=False, kind="stable").iloc[0]
        return say(
            "The best {share} of the list are above all: {who} ({of_targets} of the targets; {targets} of the "
            "{members} such members are targets).",
            share=share,
            who=first.who,
            of_targets=Share(first.targets / self.groups["targets"].sum(), 0),
            targets=Share(first.target_share, 0),
            members=first.members,
        )


def describe_targets(
    members: pd.DataFrame, *, score: str | pd.Series, features: Sequence[str], share: float, campaign: str = ""
) -> TargetGroup:
    """Say in words who the members with the best scores are, by a tree of at most three questions."""
    if not 0 <= share <= 1:
        raise WorkbenchError("share is {share}: give the share of the list to contact, from 0 to 1.").of(share)
    columns_of.require_table(members, features, "members")
    ranked = scores(members, score)
    if not share:
        return TargetGroup(_tabulated([(EVERYBODY, len(ranked), 0, 0.0)]), share, campaign)
    target = ranked >= np.quantile(ranked, 1 - share, method="higher")
    return TargetGroup(_branches(members, features, target), share, campaign)


def _branches(members: pd.DataFrame, features: Sequence[str], target: np.ndarray) -> pd.DataFrame:
    """Tabulate the leaves of a tree that tells targets from others, in words."""
    matrix, questions = _questions(members, features)
    slots = [cut(values, class_edges(values)) for values in matrix.T]
    gain = [values[target].mean() - values.mean() for values in matrix.T]
    pairs = [(k - 1, k) for k in range(1, len(gain)) if np.array_equal(matrix[:, k], 1 - matrix[:, k - 1])]
    other = {min(pair, key=lambda k: gain[k]) for pair in pairs}  # of two categories, the one that fewer targets have
    arranged = arrange(slots, [], np.zeros(len(target)), target.astype(int)).columns
    place = [k for k in arranged if np.ptp(matrix[:, k]) and k not in other]
    matrix, questions = matrix[:, place or [0]], [questions[k] for k in place or [0]]
    order = np.lexsort([*matrix.T, target])
    smallest = max(1, min(len(target) // 50, 1_000))
    tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=smallest, min_impurity_decrease=1e-4, random_state=0)
    tree.fit(matrix[order], target[order])
    leaf, words = tree.apply(matrix), _paths(tree.tree_, questions)
    rows = [
        (words[k], int((leaf == k).sum()), int(target[leaf == k].sum()), float(target[leaf == k].mean()))
        for k in np.unique(leaf)
    ]
    return _tabulated(rows).sort_values(["targets", "who"], ascending=[False, True], ignore_index=True)


def _tabulated(rows: list[tuple[Message, int, int, float]]) -> pd.DataFrame:
    """Groups as a table whose words stay messages."""
    table = pd.DataFrame([row[1:] for row in rows], columns=["members", "targets", "target_share"])
    table.insert(0, "who", pd.Series([row[0] for row in rows], dtype=object))
    return table


def _questions(members: pd.DataFrame, features: Sequence[str]) -> tuple[np.ndarray, list[tuple[str, str | None]]]:
    """Columns for the tree, and for each its feature and the category it stands for ("" = missing; None = a number)."""
    require_members(members, features)
    columns: list[np.ndarray] = []
    questions: list[tuple[str, str | None]] = []
    for name in features:
        if is_text(members[name]):
            codes, names = categories(members[name], most=40)
            columns += [(codes == k).astype(float) for k in range(len(names))]
            questions += [(name, value) for value in names]
        else:
            values = columns_of.number(members[name], name, what="feature", missing="keep")
            if np.isnan(values).all():
                continue
            columns.append(np.where(np.isnan(values), np.nanmedian(values), values))
            questions.append((name, None))
        if members[name].isna().any():
            columns.append(members[name].isna().to_numpy(dtype=float))
            questions.append((name, ""))
    if not columns:
        raise WorkbenchError("features holds no column with values: name the columns that may describe the targets.")
    return np.column_stack(columns), questions


def _paths(tree: Tree, questions: list[tuple[str, str | None]]) -> dict[int, Message]:
    """Say for each leaf which answers lead there, bounds of one feature joined."""
    words: dict[int, Message] = {}

    def walk(node: int, low: dict[str, float], high: dict[str, float], said: list[Message]) -> None:
        if tree.children_left[node] < 0:
            names = sorted({*low, *high})
            parts = [_bound(name, low.get(name, -np.inf), high.get(name, np.inf)) for name in names] + said
            words[node] = reduce(both, parts) if parts else EVERYBODY
            return
        name, value = questions[tree.feature[node]]
        left, right, cut = tree.children_left[node], tree.children_right[node], tree.threshold[node]
        if value is None:
            walk(left, low, {**high, name: cut}, said)
            walk(right, {**low, name: cut}, high, said)
        else:
            no, yes = say("{name} is known", name=Label(name)), say("{name} is missing", name=Label(name))
            if value:
                no = say("{name} is not {value}", name=Label(name), value=value)
                yes = say("{name} is {value}", name=Label(name), value=value)
            walk(left, low, high, [*said, no])
            walk(right, low, high, [*said, yes])

    walk(0, {}, {}, [])
    return words


def _bound(name: str, low: float, high: float) -> Message:
    if low == -np.inf:
        return say("{name} at most {high}", name=Label(name), high=Number(high))
    if high == np.inf:
        return say("{name} over {low}", name=Label(name), low=Number(low))
    return say("{name} over {low}, at most {high}", name=Label(name), low=Number(low), high=Number(high))


def both(one: Message, other: Message) -> Message:
    """Say that both hold."""
    return say("{one} and {other}", one=one, other=other)
