"""Who goes into which arm? At random, stratified, and the same again for whoever has the key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from workbench import columns
from workbench.errors import WorkbenchError
from workbench.messages import Listed, Message, Share, say, spelt
from workbench.methods.experiment.members import CONTROL, require_members
from workbench.result import Result

SHORTEST = 16
ALL = "all"
ONE = 5_040_000_000  # whole numbers stand for shares: six decimals, thirds and sevenths are exact


@dataclass(frozen=True)
class Assignment(Result):
    """Members drawn into arms.

    Attributes
    ----------
    members : DataFrame
        The list to hand out, in the order given: the member's column, arm, stratum.
    counts : DataFrame
        Units drawn (members, or clusters), one row a stratum, one column an arm.
    shares : dict of str to float
        As planned.
    fingerprint : str
        Tells two keys apart without giving the key away.
    """

    members: pd.DataFrame
    counts: pd.DataFrame
    shares: dict[str, float]
    campaign: str
    fingerprint: str
    clusters: str = ""

    def headline(self) -> Message:
        """Say how many members went into each arm."""
        sizes = tuple(
            say(
                "{arm} {members} ({share})",
                arm=spelt(str(row.arm)),
                members=int(row.members),
                share=Share(row.share, 2),
            )
            for row in self.summary().itertuples()
        )
        return say(
            "{drawn} for '{campaign}': {sizes}; key {key}.",
            drawn=self._drawn(),
            campaign=self.campaign,
            sizes=Listed(sizes, ""),
            key=self.fingerprint,
        )

    def _drawn(self) -> Message:
        unit, strata = self.clusters, len(self.counts)
        if unit and strata > 1:
            return say("Randomised by '{unit}' in {strata} strata", unit=unit, strata=strata)
        if unit:
            return say("Randomised by '{unit}'", unit=unit)
        return say("Randomised in {strata} strata", strata=strata) if strata > 1 else say("Randomised")

    def summary(self) -> pd.DataFrame:
        """Tabulate the arms: members, share, planned share, units drawn."""
        members = self.members["arm"].value_counts().reindex(self.counts.columns, fill_value=0)
        table = pd.DataFrame({"members": members, "share": members / len(self.members), "planned": self.shares})
        table["drawn"] = self.counts.sum()
        return table.loc[self.counts.columns].rename_axis("arm").reset_index()


def assign_arms(
    members: pd.DataFrame,
    *,
    member: str,
    shares: Mapping[str, float],
    campaign: str,
    key: bytes | str,
    strata: Sequence[str] = (),
    clusters: str | None = None,
) -> Assignment:
    """Draw members into arms by a keyed hash, so that nobody can choose and anybody with the key can check.

    Each member has the same chance, its share, of every arm. In every stratum and in all, the arms have their shares to
    less than one unit. The draw depends on key, campaign and who is in the list, not on the order of the rows;
    another campaign's draw is independent of it.

    Parameters
    ----------
    members : DataFrame
        One row a member.
    member : str
        Column that identifies a member (its pseudonym).
    shares : mapping of str to float
        Share of each arm, 0-1; their sum is 1. The arm without contact is called "control".
    campaign : str
        Its name; a new name is a new draw.
    key : bytes or str
        At least 16 characters (`read_key(root).key` of the warehouse). It appears in no output.
    strata : sequence of str
        Columns of few values, such as province and tier; within each combination the shares hold.
    clusters : str, optional
        Column of the unit that is drawn whole (household, shop); the shares are then of clusters.

    Raises
    ------
    WorkbenchError
        If members repeat or lack an identifier or stratum, shares do not sum to 1, the key is short, a cluster lies in
        two strata, or strata have nearly as many values as there are units.

    References
    ----------
    Cox (1987), A constructive procedure for unbiased controlled rounding, JASA 82.

    Examples
    --------
    >>> table = pd.DataFrame({"id": ["a", "b", "c", "d"]})
    >>> drawn = assign_arms(table, member="id", shares={"control": 0.5, "sms": 0.5}, campaign="may", key="k" * 16)
    >>> drawn.members["arm"].value_counts().to_dict()
    {'control': 2, 'sms': 2}
    """
    unit = clusters or member
    require_members(members, [member, unit, *strata])
    _require(members, member, unit, shares, strata)
    secret = _secret(key)
    listed = pd.DataFrame({"unit": columns.category(members[unit], unit), "stratum": _stratum(members, strata)})
    units = listed.drop_duplicates(ignore_index=True)
    _require_strata(units, unit)
    units["order"] = [_digest(secret, campaign, text) for text in units["unit"]]
    units = units.sort_values(["stratum", "order", "unit"], ignore_index=True)
    names = list(shares)
    sizes = units.groupby("stratum", sort=True).size()
    start = int.from_bytes(_digest(secret, campaign, "", "rounding"), "big")
    counts = rounded(sizes.to_numpy(), list(shares.values()), np.random.default_rng(start))
    units["arm"] = np.tile(names, len(sizes)).repeat(counts.ravel())
    drawn = units.set_index("unit")["arm"]
    given = pd.DataFrame({member: members[member], "arm": listed["unit"].map(drawn), "stratum": listed["stratum"]})
    table = pd.DataFrame(counts, index=sizes.index, columns=names)
    fingerprint = hashlib.blake2b(b"fingerprint of the key", key=secret, digest_size=4).hexdigest()
    return Assignment(given, table, dict(shares), campaign, fingerprint, clusters or "")


def hold_out(ids: pd.Series, *, share: float, campaign: str, key: bytes | str) -> np.ndarray:
    """Tell for each member, alone, whether it is held out: by the same keyed hash, for lists that pass in batches.

    Each is held out with the chance `share`, whatever else is on the list; the count varies as that of coins does.
    `assign_arms` draws exact shares where the list is at hand.

    Raises
    ------
    WorkbenchError
        If an identifier is missing, share is not in 0-1 (1 left out), or the key is short.

    Examples
    --------
    >>> drawn = hold_out(pd.Series(range(1000)), share=0.1, campaign="may", key="k" * 16)
    >>> int(drawn.sum())
    100
    """
    if not 0 <= share < 1:
        raise WorkbenchError("the share held out is {share}: give 0 or more, and less than 1.").of(share)
    secret, limit = _secret(key), int(share * 2**64)
    texts = columns.category(ids, str(ids.name or "member"), missing="refuse")
    lots = (_digest(secret, campaign, text, "held out")[:8] for text in texts)
    return np.array([int.from_bytes(lot, "big") < limit for lot in lots], dtype=bool)


def rounded(sizes: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Whole numbers near size times share, shape (strata, arms), whose rows sum to the sizes, at random.

    Each is its quota rounded up or down, each column sum too, and each expectation equals its quota: round a cycle of
    fractions the same amount is added and taken in turn, more or less by chances that leave the mean alone, until one
    fraction is gone. In whole numbers, so exact.
    """
    weights = np.rint(np.asarray(shares) * ONE).astype(np.int64)
    weights[weights.argmax()] += ONE - weights.sum()
    whole, part = np.divmod(np.outer(np.asarray(sizes, dtype=np.int64), weights), ONE)
    part = np.vstack([part, -part.sum(axis=0) % ONE])  # the last row makes the columns whole
    whole = np.vstack([whole, np.zeros_like(weights)])
    for row in range(len(part)):
        while part[row].any():
            cells = tuple(np.transpose(_cycle(part, row)))
            value = part[cells]
            gain = np.arange(len(value)) % 2 == 0
            up, down = np.where(gain, ONE - value, value).min(), np.where(gain, value, ONE - value).min()
            step = up if rng.integers(up + down) < down else -down
            value = value + np.where(gain, step, -step)
            whole[cells] += value // ONE
            part[cells] = value % ONE
    return whole[:-1]


def _cycle(part: np.ndarray, row: int) -> list[tuple[int, int]]:
    """Cells of a cycle of fractions in turn along rows and columns; no row or column has a single one."""
    path = [row]  # rows from 0 up, columns from -1 down
    while True:
        here = path[-1]
        near = -1 - np.flatnonzero(part[here]) if here >= 0 else np.flatnonzero(part[:, -1 - here])
        ahead = int(near[0] if len(path) == 1 or near[0] != path[-2] else near[1])
        if ahead in path:
            round_trip = [*path[path.index(ahead) :], ahead]
            return [(max(a, b), -1 - min(a, b)) for a, b in pairwise(round_trip)]
        path.append(ahead)


def _require(members: pd.DataFrame, member: str, unit: str, shares: Mapping[str, float], strata: Sequence[str]) -> None:
    for column in dict.fromkeys([member, unit, *strata]):
        if members[column].isna().any():
            raise WorkbenchError("'{column}' is missing for {n} members.").of(column, members[column].isna().sum())
    repeated = columns.category(members[member], member).duplicated()
    if repeated.any():
        raise WorkbenchError("members lists {n} rows of '{member}' again: keep one row a member.").of(
            repeated.sum(), member
        )
    if len(shares) < 2 or CONTROL not in shares:
        raise WorkbenchError("shares must name two arms or more, one of them '{control}'; got {names}.").of(
            CONTROL, shares
        )
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        raise WorkbenchError("shares must be above 0 and sum to 1; they sum to {n}.").of(f"{sum(shares.values()):g}")


def _stratum(members: pd.DataFrame, strata: Sequence[str]) -> pd.Series:
    if not strata:
        return pd.Series(ALL, index=members.index)
    first, *others = (columns.category(members[column], column) for column in strata)
    return first.str.cat(others, sep=" · ") if others else first


def _require_strata(units: pd.DataFrame, unit: str) -> None:
    torn = units["unit"].duplicated()
    if torn.any():
        raise WorkbenchError("{n} of '{unit}' lie in two strata: each is drawn whole, so it needs one.").of(
            torn.sum(), unit
        )
    strata = units["stratum"].nunique()
    if strata > max(1, len(units) / 2):
        raise WorkbenchError(
            "strata make {strata} groups of {n} units: cut numbers into classes first, or give fewer."
        ).of(strata, len(units))


def _secret(key: bytes | str) -> bytes:
    key = key.encode() if isinstance(key, str) else key
    if len(key.strip()) < SHORTEST:
        raise WorkbenchError(
            "the key has fewer than {shortest} characters: whoever guesses it can choose the arms."
        ).of(SHORTEST)
    return hashlib.blake2b(key, digest_size=32).digest()


def _digest(secret: bytes, *texts: str) -> bytes:
    """Hash texts under the key, each with its length before it, so that no two lists of texts are alike."""
    parts = (text.encode() for text in texts)
    return hashlib.blake2b(b"".join(len(p).to_bytes(8, "big") + p for p in parts), key=secret, digest_size=16).digest()
