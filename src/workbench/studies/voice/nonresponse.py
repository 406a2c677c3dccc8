"""Who was invited and did not answer? Rates of response, and whether they differ between groups."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.messages import Listed, Message, Number, Share, Word, join, quoted, say
from workbench.methods import intervals
from workbench.methods.cells import distinct, listed, plain
from workbench.methods.multiple import holm
from workbench.methods.resampling import one_thread
from workbench.result import SHARE, Quantity, Result


@dataclass(frozen=True, eq=False)
class NonResponse(Result):
    """Who was invited and did not answer.

    Attributes
    ----------
    table : DataFrame
        One row a column and group: column, group, invited, answered, rate, low, high (Wilson).
    tests : DataFrame
        One row a column, and "all": column, df, chi2, p, p_holm. Likelihood ratio of a logistic model of answering
        with all columns against the one without this column (without any).
    invited, answered, left_out : int
        Left out are the ineligible.
    minimum : int
        Fewest invited of a group that a page shows.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    invited: int
    answered: int
    left_out: int
    level: float
    minimum: int = 10

    NAME, COUNTS, TOTALS = "response", "invited", ("column",)
    FORMATS = dict.fromkeys(["rate", "low", "high"], SHARE)
    CAPTION = "Invited, answered and rate of response, group by group, with {level} intervals."

    def headline(self) -> Message:
        """Say how many answered and whether some groups did less than others."""
        every, columns = self.tests.iloc[-1], quoted(self.tests["column"][:-1])
        said = say(
            "{answered} of {invited} invited answered ({rate})",
            answered=self.answered,
            invited=self.invited,
            rate=Share(self.answered / self.invited),
        )
        if self.left_out:
            said = say("{said}, {n} more who were not eligible left out", said=said, n=self.left_out)
        if every["df"] == 0:
            return say(
                "{said}; {columns} puts all of them into one group: nothing to compare.", said=said, columns=columns
            )
        if every["p"] >= 1 - self.level:
            return say(
                "{said}; who did so does not depend on {columns} (p = {p}).",
                said=said,
                columns=columns,
                p=Number(every["p"], ".2f"),
            )
        clear = self.tests.iloc[:-1].loc[lambda t: t["p_holm"] < 1 - self.level, "column"]
        rows = self.table[self.table["column"].isin(clear)] if len(clear) else self.table
        low, high = rows.loc[rows["rate"].idxmin()], rows.loc[rows["rate"].idxmax()]
        what = say("it depends on the groups together")
        if len(clear):
            what = say("it depends on {columns}", columns=Listed((say("'{name}'", name=Word(c)) for c in clear), ""))
        return join(
            say(
                "{said}; {what} (p {p}): from {least} for {last} to {most} for {first}.",
                said=said,
                what=what,
                p="< 0.001" if every["p"] < 0.001 else f"= {every['p']:.3f}",
                least=Share(low["rate"]),
                last=str(low["group"]),
                most=Share(high["rate"]),
                first=str(high["group"]),
            ),
            say("Raking to these columns repairs what they explain, nothing else."),
        )

    def quantities(self) -> Iterable[Quantity]:
        """Name every rate."""
        for place, row in enumerate(self.table.to_dict("records")):
            name = f"response_rate[{row['column']}={row['group']}]"
            yield Quantity(name, row["rate"], "share", row["low"], row["high"], row=place)


def nonresponse(
    invited: pd.DataFrame, *, by: Sequence[str], answered: str = "outcome", level: float = 0.95, minimum: int = 10
) -> NonResponse:
    """Tabulate who answered, group by group, and test whether it depends on the groups.

    Parameters
    ----------
    invited : DataFrame
        One row an invitation.
    by : sequence of str
        Columns known of everyone invited.
    answered : str
        Column that says who answered: True, or "answered"; rows with "ineligible" are left out and counted.
    minimum : int
        Fewest invited of a group that a page shows.

    Raises
    ------
    WorkbenchError
        If a column is missing or has gaps, or `answered` says it in other words.
    CannotAnswer
        If all or none answered.

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    """
    by = listed(by)
    distinct(by, "by=")
    require_columns(invited, [*by, answered], "invited", hint="answered= and by= name columns.")
    if invited.empty:
        raise CannotAnswer("not answerable: no invitation is on record, so nobody knows who stayed silent.")
    holes = [c for c in [*by, answered] if invited[c].isna().any()]
    if holes:
        raise WorkbenchError("invited has gaps in {names}. Fill them with a name for 'unknown'.").of(holes)
    invited = plain(invited, [*by, answered])
    said = invited[answered]
    if all(value in (0, 1) for value in said.unique()):
        yes, keep = columns.flag(said, answered), np.ones(len(invited), bool)
    else:
        yes, keep = (said == "answered").to_numpy(bool), (said != "ineligible").to_numpy(bool)
    left = invited.loc[keep, by].assign(_yes=yes[keep])
    if left["_yes"].nunique() < 2:
        says = say("column '{column}' says that none answered", column=answered)
        if len(left) and left["_yes"].all():
            says = say("column '{column}' says that all answered", column=answered)
        raise CannotAnswer(
            "{says}; it holds {values}. Pass everyone invited, with True or 'answered' for those who did."
        ).of(says, invited[answered].unique()[:5])
    frames = []
    for column in by:
        found = left.groupby(column, observed=True)["_yes"].agg(["size", "sum"]).reset_index()
        frames.append(found.set_axis(["group", "invited", "answered"], axis=1).assign(column=column))
    table = pd.concat(frames, ignore_index=True)
    low, high = intervals.share(table["answered"].to_numpy(), table["invited"].to_numpy(), level=level)
    table = table.assign(rate=table["answered"] / table["invited"], low=low, high=high)
    table = table[["column", "group", "invited", "answered", "rate", "low", "high"]]
    return NonResponse(table, _tests(left, by), len(left), int(left["_yes"].sum()), int((~keep).sum()), level, minimum)


def _tests(left: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Likelihood-ratio tests of each column given the others, and of all."""
    counts = left.groupby(by, observed=True)["_yes"].agg(["sum", "size"]).reset_index()
    rows = []
    with one_thread():
        full, df = _deviance(counts, by)
        for column, kept in [*((c, [k for k in by if k != c]) for c in by), ("all", [])]:
            less, rank = _deviance(counts, kept)
            rows.append({"column": column, "df": df - rank, "chi2": max(less - full, 0.0)})
    table = pd.DataFrame(rows)
    table["p"] = np.where(table["df"] > 0, chi2.sf(table["chi2"], table["df"].clip(lower=1)), np.nan)
    adjusted = np.append(holm(table["p"].fillna(1.0).to_numpy()[:-1]), table["p"].iloc[-1])
    return table.assign(p_holm=adjusted)


def _deviance(counts: pd.DataFrame, names: list[str]) -> tuple[float, int]:
    """Deviance and rank of a logistic model with the main effects of `names`."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import ModelWarning

    design = [np.ones((len(counts), 1))]
    design += [pd.get_dummies(counts[c], drop_first=True, dtype=float).to_numpy() for c in names]
    x = np.hstack(design)
    y = np.column_stack([counts["sum"], counts["size"] - counts["sum"]])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ModelWarning)  # a group in which all or none answered: its deviance is 0
        fitted = GLM(y, x, family=Binomial()).fit(maxiter=100)
    return float(fitted.deviance), int(np.linalg.matrix_rank(x))
