"""Were the arms alike before the campaign? If they were not, no difference afterwards is its effect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from scipy import stats

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes
from workbench.messages import Label, Message, Number, Share, say
from workbench.methods.experiment.members import arms, indicator_columns, is_text, require_members, trait
from workbench.result import Quantity, Result
from workbench.words import label

R = TypeVar("R")
ALARM = 0.001
NOTABLE = 0.1


@dataclass(frozen=True)
class CampaignChecks(Result):
    """Whether the arms are comparable, with the evidence.

    Attributes
    ----------
    comparable : bool
        False where a causal claim from the difference of the arms must be refused.
    reasons : tuple of str
        Why, each a sentence.
    balance : DataFrame
        One row a covariate (or category): treated, control (means or shares), standardised difference, missing share.
    balance_p : float
        Of the test that all covariates together say nothing about the arm; NaN without covariates.
    """

    comparable: bool
    reasons: tuple[Message, ...]
    n_treated: int
    n_control: int
    balance: pd.DataFrame
    balance_p: float
    campaign: str = ""

    NAME, CHART = "balance", say("Dots, a row a trait")
    PICTURE_CAPTION = "Standardised differences between the arms before the campaign."

    def allow(self, found: R) -> R:
        """Give what rests on the difference of the arms.

        Raises
        ------
        CannotAnswer
            If they are not comparable.
        """
        if not self.comparable:
            raise CannotAnswer(self.headline())
        return found

    @property
    def largest_difference(self) -> float:
        """Largest standardised difference, without sign; 0 without covariates."""
        return float(self.balance["difference"].abs().max()) if len(self.balance) else 0.0

    def headline(self) -> Message:
        """Say whether the arms are comparable."""
        sizes = say("{treated} treated, {control} control", treated=self.n_treated, control=self.n_control)
        if not self.comparable:
            return say("No causal claim: {reason} ({sizes}).", reason=self.reasons[0], sizes=sizes)
        if not len(self.balance):
            return say("Nothing speaks against the arms, but no covariate was compared ({sizes}).", sizes=sizes)
        return say(
            "The arms are comparable: largest standardised difference {largest}, joint test p = {p} ({sizes}).",
            largest=Number(self.largest_difference, ".3f"),
            p=Number(self.balance_p, ".2g"),
            sizes=sizes,
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the covariates, the largest difference first."""
        order = self.balance["difference"].abs().sort_values(ascending=False, kind="stable").index
        return self.balance.loc[order].reset_index(drop=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name the largest difference and the sizes of the arms."""
        where = label(self.campaign)
        yield Quantity(f"largest_difference{where}", self.largest_difference, "1")
        yield Quantity(f"members_treated{where}", self.n_treated, "members")
        yield Quantity(f"members_control{where}", self.n_control, "members")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the standardised differences, the largest on top (a love plot)."""
        ax = axes(ax)
        table = self.summary().head(30).iloc[::-1]
        position = np.arange(len(table))
        ax.axvspan(-NOTABLE, NOTABLE, color="0.92", zorder=0)
        ax.axvline(0, color="0.6", linewidth=1)
        ax.plot(table["difference"], position, "o", markersize=4)
        ax.set_yticks(position, [Label(str(name)).said() for name in table["covariate"]])
        widest = max(1.5 * NOTABLE, 1.1 * self.largest_difference)
        ax.set_xlim(-widest, widest)
        ax.set_xlabel("treated − control before the campaign (standard deviations)")
        return ax


def sample_ratio(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Give the p value of the chi-squared test that arms of these sizes were drawn with these shares.

    Raises
    ------
    WorkbenchError
        If the shares are not positive or do not sum to 1.

    Examples
    --------
    >>> round(sample_ratio([21387, 21307, 21306], [1 / 3, 1 / 3, 1 / 3]), 3)
    0.904
    """
    planned = np.asarray(shares, dtype=float)
    if (planned <= 0).any() or abs(planned.sum() - 1) > 1e-9 or len(planned) != len(counts):
        raise WorkbenchError("planned shares must be positive, one an arm, and sum to 1.")
    return float(stats.chisquare(counts, np.sum(counts) * planned).pvalue)


def check_campaign(
    members: pd.DataFrame,
    *,
    treatment: str,
    covariates: Sequence[str],
    expected_share: float | None = None,
    outcomes: Sequence[str] = (),
    member: str | None = None,
    campaign: str = "",
) -> CampaignChecks:
    """Compare the arms in what was known before the campaign, and refuse the causal claim where they differ.

    The arms count as different where the joint test of balance, the sample ratio or the missing
    outcomes give p < 0.001: a randomised campaign fails one of them about once in a thousand times.

    Parameters
    ----------
    members : DataFrame
        One row a member.
    treatment : str
        Column of 0/1, booleans, or names of two arms of which one is "control".
    covariates : sequence of str
        Columns known on the day of assignment, numeric or text. Nothing measured later.
    expected_share : float, optional
        Planned share of treated members, 0-1; without it the sample ratio is not tested.
    outcomes : sequence of str
        Columns whose missing values are compared between the arms.
    member : str, optional
        Column that identifies a member; members listed twice are refused.
    campaign : str
        Name in the quantities.

    Raises
    ------
    WorkbenchError
        If a column is missing, there are not two arms, the treatment is missing, or members repeat.

    References
    ----------
    Hansen and Bowers (2008), Covariate balance in simple, stratified and clustered comparative studies,
    Statistical Science 23. Fabijan et al. (2019), Diagnosing sample ratio mismatch, KDD.
    """
    require_members(members, [treatment, *covariates, *outcomes, *([member] if member else [])])
    if member is not None and members[member].duplicated().any():
        repeated = members.loc[members[member].duplicated(), member]
        raise WorkbenchError(
            "members lists {n} of '{member}' more than once, for instance {names}: keep one row a member."
        ).of(repeated.nunique(), member, [min(repeated.astype(str))])
    for name in covariates:
        if columns.kind(members[name], name) == "number":
            columns.number(members[name], name, what="covariate", missing="keep")
    treated = arms(members, treatment)
    counts = int(treated.sum()), int((~treated).sum())
    ratio_p = np.nan
    if expected_share is not None:
        if not 0 < expected_share < 1:
            raise WorkbenchError(
                "expected_share is {expected_share}: give the planned share of treated, between 0 and 1."
            ).of(expected_share)
        ratio_p = sample_ratio(counts, [expected_share, 1 - expected_share])
    balance = _balance(members, covariates, treated)
    balance_p = balance_test(indicator_columns(members, covariates), treated)
    missing = _missing(members, outcomes, treated)
    reasons = _reasons(counts, expected_share, ratio_p, balance, balance_p, missing)
    return CampaignChecks(not reasons, tuple(reasons), *counts, balance, balance_p, campaign)


def _reasons(
    counts: tuple[int, int],
    expected: float | None,
    ratio_p: float,
    balance: pd.DataFrame,
    balance_p: float,
    missing: pd.DataFrame,
) -> list[Message]:
    reasons = []
    if balance_p < ALARM:
        worst = balance.loc[balance["difference"].abs().idxmax()]
        reasons.append(
            say(
                "the arms differ before the campaign, largest standardised difference {largest} in '{covariate}', "
                "joint test p = {p}",
                largest=Number(abs(worst["difference"]), ".2f"),
                covariate=worst["covariate"],
                p=Number(balance_p, ".1g"),
            )
        )
    if expected is not None and ratio_p < ALARM:
        reasons.append(
            say(
                "{share} of the members were treated where {planned} were planned, p = {p}",
                share=Share(counts[0] / sum(counts), 2),
                planned=Share(expected, 2),
                p=Number(ratio_p, ".1g"),
            )
        )
    for row in missing[missing["p"] < ALARM].itertuples():
        reasons.append(
            say(
                "'{outcome}' is missing for {treated} of the treated and {control} of the control",
                outcome=row.outcome,
                treated=Share(row.treated),
                control=Share(row.control),
            )
        )
    return reasons


def _balance(members: pd.DataFrame, covariates: Sequence[str], treated: np.ndarray) -> pd.DataFrame:
    """Means and standardised differences; a category's share counts, the first category's included."""
    rows = []
    for name in covariates:
        column = members[name]
        missing = column.isna().to_numpy()
        traits: Mapping[str, np.ndarray]
        if is_text(column):
            text = column.astype(str).where(~missing, None)
            frequent = text.value_counts().head(50).index
            traits = {trait(name, value): (text == value).to_numpy(dtype=float) for value in sorted(frequent)}
        else:
            traits = {name: column.to_numpy(dtype=float, na_value=np.nan)}
        if missing.any():
            traits = {**traits, trait(name): missing.astype(float)}
        rows += [(what, *_difference(values[treated], values[~treated])) for what, values in traits.items()]
    return pd.DataFrame(rows, columns=["covariate", "treated", "control", "difference", "missing"])


def _difference(treated: np.ndarray, control: np.ndarray) -> tuple[float, float, float, float]:
    missing = float(np.isnan(np.concatenate([treated, control])).mean())
    treated, control = treated[~np.isnan(treated)], control[~np.isnan(control)]
    if not len(treated) or not len(control):
        return np.nan, np.nan, np.nan, missing
    gap, spread = treated.mean() - control.mean(), np.sqrt((treated.var() + control.var()) / 2)
    scaled = 0.0 if gap == 0 else (np.copysign(np.inf, gap) if spread == 0 else gap / spread)
    return float(treated.mean()), float(control.mean()), float(scaled), missing


def balance_test(known: dict[str, np.ndarray], treated: np.ndarray) -> float:
    """Give p of the F test of the arm on all covariates: does anything known before tell the arm?

    NaN where no covariate varies.

    Raises
    ------
    WorkbenchError
        If too few members are left to judge (fewer than 5 more than covariates).
    """
    varying = [v for v in known.values() if v.std() > 1e-9 * np.abs(v).max()]
    n = len(treated)
    if not varying:
        return np.nan
    matrix = np.column_stack([(v - v.mean()) / v.std() for v in varying])
    basis, size, _ = np.linalg.svd(matrix, full_matrices=False)
    basis = basis[:, size > 1e-8 * size[0]]
    k = basis.shape[1]
    if n - k - 1 < 5:
        raise WorkbenchError("{n} members cannot be compared in {k} covariates: give fewer covariates.").of(n, k)
    arm = treated - treated.mean()
    explained = float(((basis.T @ arm) ** 2).sum() / (arm**2).sum())
    if explained > 1 - 1e-12:
        return 0.0
    return float(stats.f.sf(explained / k / ((1 - explained) / (n - k - 1)), k, n - k - 1))


def _missing(members: pd.DataFrame, outcomes: Sequence[str], treated: np.ndarray) -> pd.DataFrame:
    rows = []
    for name in outcomes:
        gone = members[name].isna().to_numpy()
        table = [[gone[arm].sum(), (~gone[arm]).sum()] for arm in (treated, ~treated)]
        p = float(stats.fisher_exact(table).pvalue) if gone.any() else 1.0
        rows.append((name, float(gone[treated].mean()), float(gone[~treated].mean()), p))
    return pd.DataFrame(rows, columns=["outcome", "treated", "control", "p"])
