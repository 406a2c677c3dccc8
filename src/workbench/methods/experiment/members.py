"""What a campaign's table must be before it is studied, and how its columns become numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.linalg import qr

from workbench import columns
from workbench.errors import WorkbenchError, require_columns
from workbench.messages import Message, Word, as_message, say, spelt
from workbench.methods.coding import OTHER, Coding, arrange, as_codes, make_codings, require_features

CONTROL = "control"
RARE = 10
MOST_CATEGORIES = 250


def require_members(members: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table that is empty, lacks a column or repeats a row label."""
    require_columns(members, (), "members")
    if len(members) == 0:
        raise WorkbenchError("members is empty: one row a member of the campaign is needed.")
    require_columns(members, columns, "members")
    if not members.index.is_unique:
        raise WorkbenchError(
            "members repeats row labels, so a score cannot be given back by member: reset its index, "
            "and look whether members were listed twice."
        )


def arms(members: pd.DataFrame, treatment: str) -> np.ndarray:
    """Give True where a member was assigned to be contacted, from 0/1, booleans or "control" and another name.

    >>> arms(pd.DataFrame({"arm": ["control", "e-mail", "control"]}), "arm").tolist()
    [False, True, False]
    """
    require_members(members, [treatment])
    column = members[treatment]
    if column.isna().any():
        raise WorkbenchError(
            "'{treatment}' is missing for {n} of {all} members: who was assigned to which arm must be known for each."
        ).of(treatment, int(column.isna().sum()), len(column))
    values = sorted(column.unique().tolist(), key=str)
    if len(values) == 1:
        raise WorkbenchError(
            "'{treatment}' has one arm only ({names}): without members held out no effect can be seen."
        ).of(treatment, values)
    treated: np.ndarray
    if len(values) == 2 and set(values) == {0, 1}:
        treated = column.to_numpy(dtype=bool)
        return treated
    if len(values) == 2 and CONTROL in values:
        treated = (column != CONTROL).to_numpy(dtype=bool)
        return treated
    raise WorkbenchError(
        "'{treatment}' has the values {names}. Keep two arms, and give them as 0/1, or call the arm without contact "
        "'{control}'."
    ).of(treatment, values[:8], CONTROL)


def numbers(members: pd.DataFrame, column: str, *, role: str = "outcome") -> np.ndarray:
    """Give an outcome as floats; missing values and texts are refused with their count."""
    require_columns(members, [column], "members")
    values = columns.number(members[column], column, what=role, missing="keep")
    gaps = int(np.isnan(values).sum())
    if gaps:
        raise WorkbenchError(
            "the {role} '{column}' is missing or infinite for {gaps} of {n} members. Say what a missing value means "
            "(nothing bought = 0?) and fill it; where nobody knows, attrition_bounds says between which values the "
            "effect lies."
        ).of(as_message(role), column, gaps, len(values))
    return values


CROSSED = say(
    "the score comes from crossed folds, whose errors are not independent, so differences are found too often; "
    'judge by predictions with validation="sequential"'
)


def scores(members: pd.DataFrame, score: str | pd.Series) -> np.ndarray:
    """Give the score of each member, from a column or from a Series with the labels of `members`."""
    if isinstance(score, str):
        return numbers(members, score, role="score")
    alike = score.index.is_unique and members.index.is_unique and len(score) == len(members)
    if not (alike and score.index.isin(members.index).all()):
        raise WorkbenchError("score must hold one value for each row label of members, and no other label.")
    return numbers(pd.DataFrame({"score": score.reindex(members.index)}), "score", role="score")


def crossed(score: str | pd.Series | pd.DataFrame) -> bool:
    """Whether predictions say of themselves (`attrs`) that they come from crossed folds; a column cannot say it."""
    return not isinstance(score, str) and score.attrs.get("validation") == "cross"


def is_text(column: pd.Series) -> bool:
    """Whether a column holds categories; dates, and text that holds numbers, are refused."""
    return columns.kind(column, str(column.name)) == "category"


def categories(column: pd.Series, *, most: int = MOST_CATEGORIES) -> tuple[np.ndarray, list[str]]:
    """Give codes and the sorted names of a column's categories; missing is -1, the rarest share one name."""
    text = columns.category(column, str(column.name))
    counts = text.value_counts()
    names = sorted(counts.index)
    if len(names) > most:
        ranked = sorted(names, key=lambda name: (-counts[name], name))
        kept = set(ranked[:most])
        text = text.where(text.isin(kept) | text.isna(), OTHER)
        names = sorted({*kept, OTHER})
    return pd.Categorical(text, categories=names).codes.astype(float), names


@dataclass(frozen=True)
class Features:
    """Features as the trees take them, in an order of rows and columns that only their content decides.

    Attributes
    ----------
    codes : array, shape (n, p)
        Classes of numbers (by quantiles) and of categories, NaN for missing; rows as given.
    categorical : list of int
        Columns of `codes` that are categories.
    order : array of int, shape (n,)
        Positions of the rows, sorted by arm, outcome and content.
    content : array of uint64, shape (n,)
        A number that only rows alike in features, outcome and arm share.
    codings : tuple of Coding
        How each column of `codes` was made.
    """

    codes: np.ndarray
    categorical: list[int]
    order: np.ndarray
    content: np.ndarray
    codings: tuple[Coding, ...]


def features_of(members: pd.DataFrame, features: Sequence[str], y: np.ndarray, arm: np.ndarray) -> Features:
    """Read features for the trees; columns without any variation are left out.

    Rows alike in features, outcome and arm are ordered by the other columns of `members`, then by its index.
    """
    require_members(members, features)
    require_features(members, features, "members")
    codings, slots = make_codings(members, features)
    kinds = [k for k, coding in enumerate(codings) if coding.category]
    found = arrange(slots, kinds, y, arm, members)
    codes, made = np.zeros((len(members), max(1, len(codings))), order="F"), []
    for k, old in enumerate(found.columns):
        values, coding = slots[old], codings[old]
        if coding.category:
            new = found.relabelled[int(old)]
            values = np.append(0, new + 1)[values]
            coding = replace(coding, names=tuple(coding.names[at] for at in np.argsort(new)))
        codes[:, k] = as_codes(values)
        made.append(coding)
    return Features(codes, [k for k, c in enumerate(made) if c.category], found.rows, found.content, tuple(made))


def indicator_columns(members: pd.DataFrame, covariates: Sequence[str]) -> dict[str, np.ndarray]:
    """Give numeric columns by name: numbers with the mean for missing, indicators of categories and of missing.

    Every category but the first gets an indicator; those of fewer than 10 members share "(rare)".
    """
    require_members(members, covariates)
    found: dict[str, np.ndarray] = {}
    for name in covariates:
        column = members[name]
        missing = column.isna().to_numpy()
        if is_text(column):
            codes, names = categories(column)
            counts = np.bincount(codes[codes >= 0].astype(int), minlength=len(names))
            rare = np.isin(codes, np.flatnonzero(counts < RARE)) & ~missing
            common = [k for k in range(len(names)) if counts[k] >= RARE]
            for k in common[1:]:
                found[trait(name, names[k])] = (codes == k).astype(float)
            if rare.any():
                found[trait(name, "(rare)")] = rare.astype(float)
        else:
            values = columns.number(column, name, what="covariate", missing="keep")
            if missing.all():
                continue
            found[name] = np.where(missing, np.nanmean(values), values)
        if missing.any():
            found[trait(name)] = missing.astype(float)
    return found


def trait(column: str, value: object = None) -> Message:
    """Name what of a column is a covariate: one of its categories, or that it is missing.

    >>> trait("tariff", "basic"), trait("tariff").said("zh")
    ('tariff=basic', '资费缺失')
    """
    if value is None:
        return say("{column} missing", column=spelt(column))
    return say("{column}={value}", column=spelt(column), value=Word(str(value)))


def independent(traits: dict[str, np.ndarray], treated: np.ndarray) -> np.ndarray:
    """Give centred, scaled covariates without those that repeat others or are constant in an arm, shape (n, k)."""
    kept = [v for v in traits.values() if v[treated].std() > 1e-9 and v[~treated].std() > 1e-9]
    kept = [v for v in kept if set(np.unique(v)) - {0.0, 1.0} or _frequent(v, treated)]
    if not kept:
        return np.empty((len(treated), 0))
    matrix = np.column_stack(kept)
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    corner, pivots = qr(matrix, mode="r", pivoting=True)
    size = np.abs(np.diag(corner))
    kept_apart: np.ndarray = matrix[:, np.sort(pivots[: int((size > 1e-8 * size[0]).sum())])]
    return kept_apart


def _frequent(indicator: np.ndarray, treated: np.ndarray) -> bool:
    """Whether at least 5 members of each arm have the trait, and 5 have not."""
    counts = [indicator[treated].sum(), indicator[~treated].sum()]
    return bool(min(counts) >= 5 and treated.sum() - counts[0] >= 5 and (~treated).sum() - counts[1] >= 5)
