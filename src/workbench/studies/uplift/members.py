"""What a campaign's table must be before it is studied, and how its columns become numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.linalg import qr

from workbench.errors import WorkbenchError, named, require_columns

CONTROL = "control"
RARE = 10
MOST_CATEGORIES = 250


def require_members(members: pd.DataFrame, columns: Iterable[str]) -> None:
    """Refuse a table that is empty, lacks a column or repeats a row label."""
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
            f"'{treatment}' is missing for {int(column.isna().sum())} of {len(column)} members: "
            "who was assigned to which arm must be known for each."
        )
    values = sorted(column.unique().tolist(), key=str)
    if len(values) == 1:
        raise WorkbenchError(
            f"'{treatment}' has one arm only ({named(values)}): without members held out no effect can be seen."
        )
    if len(values) == 2 and set(values) == {0, 1}:
        return column.to_numpy(dtype=bool)
    if len(values) == 2 and CONTROL in values:
        return (column != CONTROL).to_numpy(dtype=bool)
    raise WorkbenchError(
        f"'{treatment}' has the values {named(values[:8])}. Keep two arms, and give them as 0/1, or call the arm "
        f"without contact '{CONTROL}'."
    )


def numbers(members: pd.DataFrame, column: str, *, role: str = "outcome") -> np.ndarray:
    """Give an outcome as floats; missing values and texts are refused with their count."""
    require_columns(members, [column], "members")
    values = members[column]
    if not (pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values)):
        raise WorkbenchError(f"the {role} '{column}' is not numeric ({values.dtype}): convert it to numbers first.")
    values = values.to_numpy(dtype=float, na_value=np.nan)
    bad = ~np.isfinite(values)
    if bad.any():
        raise WorkbenchError(
            f"the {role} '{column}' is missing or infinite for {int(bad.sum())} of {len(values)} members. Say what a "
            "missing value means (nothing bought = 0?) and fill it; where nobody knows, attrition_bounds says between "
            "which values the effect lies."
        )
    return values


def scores(members: pd.DataFrame, score: str | pd.Series) -> np.ndarray:
    """Give the score of each member, from a column or from a Series with the labels of `members`."""
    if isinstance(score, str):
        return numbers(members, score, role="score")
    alike = score.index.is_unique and members.index.is_unique and len(score) == len(members)
    if not (alike and score.index.isin(members.index).all()):
        raise WorkbenchError("score must hold one value for each row label of members, and no other label.")
    return numbers(pd.DataFrame({"score": score.reindex(members.index)}), "score", role="score")


def is_text(column: pd.Series) -> bool:
    """Whether a column holds categories; dates are refused."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return False
    if pd.api.types.is_datetime64_any_dtype(column):
        raise WorkbenchError(f"'{column.name}' holds dates: turn it into days before the assignment.")
    return True


def categories(column: pd.Series, *, most: int = MOST_CATEGORIES) -> tuple[np.ndarray, list[str]]:
    """Give codes and the sorted names of a column's categories; missing is -1, the rarest share one name."""
    text = column.astype("object").where(column.notna(), None)
    text = text.map(lambda value: None if value is None else str(value))
    counts = text.value_counts()
    names = sorted(counts.index)
    if len(names) > most:
        ranked = sorted(names, key=lambda name: (-counts[name], name))
        kept = set(ranked[:most])
        text = text.map(lambda name: name if name is None or name in kept else "(other)")
        names = sorted({*kept, "(other)"})
    return pd.Categorical(text, categories=names).codes.astype(float), names


def feature_matrix(members: pd.DataFrame, features: Sequence[str]) -> tuple[np.ndarray, list[int]]:
    """Give features for the trees, shape (n, p): numbers as they are, codes of categories, NaN for missing.

    Returns
    -------
    matrix, positions of the categorical columns
    """
    require_members(members, features)
    if not features:
        raise WorkbenchError("features is empty: name the columns known before the campaign that may tell who reacts.")
    matrix, categorical = np.empty((len(members), len(features))), []
    for k, name in enumerate(features):
        if is_text(members[name]):
            codes, _ = categories(members[name])
            matrix[:, k] = np.where(codes < 0, np.nan, codes)
            categorical.append(k)
        else:
            matrix[:, k] = members[name].to_numpy(dtype=float, na_value=np.nan)
    return matrix, categorical


def indicator_columns(members: pd.DataFrame, covariates: Sequence[str]) -> dict[str, np.ndarray]:
    """Give numeric columns by name: numbers with the mean for missing, indicators of categories and of missing.

    Every category but the first gets an indicator; those of fewer than 10 members share "(rare)".
    """
    require_members(members, covariates)
    columns: dict[str, np.ndarray] = {}
    for name in covariates:
        column = members[name]
        missing = column.isna().to_numpy()
        if is_text(column):
            codes, names = categories(column)
            counts = np.bincount(codes[codes >= 0].astype(int), minlength=len(names))
            rare = np.isin(codes, np.flatnonzero(counts < RARE)) & ~missing
            common = [k for k in range(len(names)) if counts[k] >= RARE]
            for k in common[1:]:
                columns[f"{name}={names[k]}"] = (codes == k).astype(float)
            if rare.any():
                columns[f"{name}=(rare)"] = rare.astype(float)
        else:
            values = column.to_numpy(dtype=float, na_value=np.nan)
            if np.isinf(values).any():
                raise WorkbenchError(f"'{name}' holds infinite values: mend them or leave the covariate out.")
            if missing.all():
                continue
            columns[name] = np.where(missing, np.nanmean(values), values)
        if missing.any():
            columns[f"{name} missing"] = missing.astype(float)
    return columns


def independent(columns: dict[str, np.ndarray], treated: np.ndarray) -> np.ndarray:
    """Give centred, scaled covariates without those that repeat others or are constant in an arm, shape (n, k)."""
    kept = [v for v in columns.values() if v[treated].std() > 1e-9 and v[~treated].std() > 1e-9]
    kept = [v for v in kept if set(np.unique(v)) - {0.0, 1.0} or _frequent(v, treated)]
    if not kept:
        return np.empty((len(treated), 0))
    matrix = np.column_stack(kept)
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    corner, pivots = qr(matrix, mode="r", pivoting=True)
    size = np.abs(np.diag(corner))
    return matrix[:, np.sort(pivots[: int((size > 1e-8 * size[0]).sum())])]


def _frequent(indicator: np.ndarray, treated: np.ndarray) -> bool:
    """Whether at least 5 members of each arm have the trait, and 5 have not."""
    counts = [indicator[treated].sum(), indicator[~treated].sum()]
    return min(counts) >= 5 and treated.sum() - counts[0] >= 5 and (~treated).sum() - counts[1] >= 5
