"""Which of our campaigns truly paid? All of them side by side, corrected for lucky winners (shrinkage)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import optimize, stats
from scipy.special import ndtr

from workbench.columns import days, require_table
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import NAMES, Axes, axes, axis_unit, fit, in_lines, legend
from workbench.messages import (
    Amount,
    Count,
    Listed,
    Message,
    Name,
    Number,
    Share,
    Span,
    Term,
    estimated,
    join,
    quoted,
    say,
)
from workbench.methods.experiment.design import CampaignPlan
from workbench.methods.experiment.effect import Interval, average_effect
from workbench.methods.experiment.events import FEWEST_EVENTS, Outcome, counts, too_few, unanswerable
from workbench.methods.experiment.members import arms, numbers
from workbench.methods.intervals import require_level
from workbench.methods.multiple import benjamini_hochberg
from workbench.result import Decision, Quantity, Result, Tile
from workbench.words import direction

FEWEST = 5
DISCOVERY = 0.05
_GRID = 400
_YEAR = 365.25


@dataclass(frozen=True)
class CampaignLedger(Result):
    """Effects of many campaigns, as measured and as they most likely are.

    Attributes
    ----------
    campaigns : DataFrame
        One row a campaign: campaign, date (where given), members, effect, se, break_even (effect a member that pays the
        costs), shrunken, low, high (its posterior mean and interval), paid (probability that the true effect is above
        break_even), p (one-sided, of no more than break_even), q (the same under Benjamini and Hochberg).
    mean : Interval
        Of the effects of campaigns such as these.
    tau : Interval
        Standard deviation of the true effects (Paule and Mandel; interval by the profile of Q).
    drift : Interval or None
        Change of the effect a year; None without dates.
    set_aside : dict of str to str
        Campaigns that enter nothing, by name, each with its reason: too few buyers, or an error of 0.
    undated : int
        Campaigns without a day, or with a placeholder for one, which do not enter the drift.
    """

    campaigns: pd.DataFrame
    mean: Interval
    tau: Interval
    drift: Interval | None
    level: float
    unit: str = ""
    set_aside: dict[str, str] = field(default_factory=dict)
    undated: int = 0

    NAME, COUNTS, TOTALS, CHART = "ledger", "members", None, say("Dots with intervals, a row a campaign")
    CAPTION = (
        "Campaigns by shrunken effect ({unit} per member); paid is the probability that it exceeds the break-even."
    )
    PICTURE_CAPTION = "Effect of each campaign, {unit} per member: measured and shrunken, with {level} intervals."
    FORMATS = dict.fromkeys(["effect", "se", "break_even", "shrunken", "low", "high"], "{:.2f}") | {"paid": "{:.0%}"}

    @property
    def discovered(self) -> pd.DataFrame:
        """Campaigns that paid, with at most 5% of them false on average."""
        return self.campaigns[self.campaigns["q"] <= DISCOVERY]

    @property
    def best(self) -> pd.Series | None:
        """Of the campaigns that paid, the one of which most can be expected; None if none did."""
        paid = self.discovered
        order = paid.sort_values(["shrunken", "campaign"], ascending=[False, True])
        return order.iloc[0] if len(order) else None

    def headline(self) -> Message:
        """Say how many paid, what the best one is worth after the winner's curse, and whether effects fade."""
        highest = self.campaigns.sort_values(["effect", "campaign"], ascending=[False, True]).iloc[0]
        lead = say("No evidence that any of {campaigns} campaigns paid.", campaigns=len(self.campaigns))
        if self.best is not None:
            lead = say(
                "{paid} of {campaigns} campaigns paid; of the best, {best}, a repeat can expect {effect} a member.",
                paid=len(self.discovered),
                campaigns=len(self.campaigns),
                best=Name(self.best["campaign"]),
                effect=self._expected(self.best),
            )
        how = say(
            "At a false discovery rate of {rate}; the highest measured effect is that of {best}, {effect} a member, of "
            "which {shrunken} is left after correction for having been picked as the highest.",
            rate=Share(DISCOVERY, 0),
            best=Name(highest["campaign"]),
            effect=Amount(highest["effect"], unit=self.unit, signed=True),
            shrunken=estimated(Amount(highest["shrunken"], signed=True), highest["low"], highest["high"]),
        )
        return join(lead, how, self._aside(), self._drift())

    def _expected(self, row: pd.Series) -> Message:
        return estimated(Amount(row["shrunken"], unit=self.unit, signed=True), row["low"], row["high"])

    def tiles(self) -> tuple[Tile, ...]:
        """Give how many paid, what the best can be expected to bring again, and what the mean of all is."""
        unit = Term(self.unit or "units of the outcome")
        tiles = [
            Tile(say("campaigns that paid, of {campaigns}", campaigns=len(self.campaigns)), Count(len(self.discovered)))
        ]
        if (best := self.best) is not None:
            what = say("expected of {best} again, {unit} a member", best=Name(best["campaign"]), unit=unit)
            tiles.append(Tile(what, Number(best["shrunken"], signed=True), Span(best["low"], best["high"])))
        ends = Span(self.mean.low, self.mean.high)
        mean = say("mean of such campaigns, {unit} a member", unit=unit)
        return (*tiles, Tile(mean, Number(self.mean.estimate, signed=True), ends))

    def decision(self, plan: CampaignPlan) -> Decision:
        """Say which campaign to repeat, if any, and how many members the next one holds out."""
        best, next_one = self.best, plan.advice()
        if best is None:
            none = say(
                "Repeat no campaign on this evidence: none of {campaigns} is shown to have paid.",
                campaigns=len(self.campaigns),
            )
            return Decision((none, next_one), say("a campaign whose whole interval lies above its break-even."))
        least, expect = Amount(best["break_even"], unit=self.unit), self._expected(best)
        name = {"best": Name(best["campaign"])}
        if not direction(best["low"] - best["break_even"], best["high"] - best["break_even"]) > 0:
            test = say("Test {best} once more before it is repeated at large: it may bring less than it costs.", **name)
            brings = say(
                "It can be expected to bring {effect} a member; a contact pays from {least} on.",
                effect=expect,
                least=least,
            )
            return Decision(
                (test, brings, next_one), say("a repeat whose whole interval lies above {least}.", least=least)
            )
        again = say("Repeat {best} if still on offer: a contact pays from {least} a member.", least=least, **name)
        return Decision((again, next_one), say("a repeat that may bring less."))

    def _aside(self) -> Message:
        if not self.set_aside:
            return say("")
        first = next(iter(self.set_aside))
        names = quoted(sorted(self.set_aside)[:5])
        why = say("for instance {campaign}: {reason}", campaign=Name(first), reason=self.set_aside[first])
        if len(self.set_aside) > 5:
            return say("Set aside: {campaigns} and more ({why}).", campaigns=names, why=why)
        return say("Set aside: {campaigns} ({why}).", campaigns=names, why=why)

    def _drift(self) -> Message:
        undated, all_ = say(""), len(self.campaigns)
        if self.undated:
            undated = say(
                "{n} of {campaigns} campaigns have no day and do not enter the trend.", n=self.undated, campaigns=all_
            )
        if self.drift is None:
            return undated
        change = Amount(self.drift.estimate, unit=self.unit, signed=True)
        ends = Span(self.drift.low, self.drift.high)
        if direction(self.drift.low, self.drift.high):
            return join(say("The effect is changing: {change} a year {ends}.", change=change, ends=ends), undated)
        none = say("The effect shows no significant trend: {change} a year {ends}.", change=change, ends=ends)
        return join(none, undated)

    def summary(self) -> pd.DataFrame:
        """Tabulate the campaigns, the highest shrunken effect first."""
        order = self.campaigns.sort_values(["shrunken", "campaign"], ascending=[False, True])
        return order.reset_index(drop=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name how many paid, the mean effect, its spread and its drift."""
        unit = self.unit or "1"
        yield Quantity("campaigns_paid", len(self.discovered), "campaigns")
        yield Quantity("campaign_effect_mean", self.mean.estimate, unit, self.mean.low, self.mean.high)
        yield Quantity("campaign_effect_spread", self.tau.estimate, unit, self.tau.low, self.tau.high)
        if self.drift is not None:
            yield Quantity("campaign_effect_drift", self.drift.estimate, unit, self.drift.low, self.drift.high)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw measured (hollow) and shrunken effects with intervals, the highest on top (a caterpillar)."""
        ax = axes(ax)
        table = self.summary().iloc[::-1]
        at = np.arange(len(table))
        ax.axvline(0, color="0.6", linewidth=1)
        ax.hlines(at, table["low"], table["high"], linewidth=2)
        ax.plot(table["shrunken"], at, "o", markersize=5, label="shrunken, with its interval")
        ax.plot(table["effect"], at, "o", markersize=5, markerfacecolor="none", color="0.4", label="as measured")
        ax.plot(table["break_even"], at, "|", color="tab:red", markersize=9, label="break-even")
        names = [f"{row.campaign} ✓" if row.q <= DISCOVERY else row.campaign for row in table.itertuples()]
        ax.set_yticks(at, names := [*map(in_lines, names)])
        ax.yaxis.set_gid(NAMES)
        fit(ax, len(table), 0.4 if "\n" in "".join(names) else 0.24)
        ax.set_xlabel(say("effect per member ({unit}); ✓ paid", unit=axis_unit(self.unit)))
        legend(ax)
        return ax


def campaign_effects(
    members: pd.DataFrame,
    *,
    campaign: str,
    outcome: str,
    treatment: str,
    covariates: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> pd.DataFrame:
    """Give each campaign's average effect, as `campaign_ledger` takes it.

    Parameters
    ----------
    members : DataFrame
        One row a member and campaign.
    campaign, outcome, treatment : str
        Columns.
    covariates : sequence of str
        Known before; adjusted for within the campaign.
    keep : sequence of str
        Columns that are the same for all members of a campaign, such as its date or costs.

    Returns
    -------
    DataFrame
        One row a campaign: campaign, effect, se, low, high (its 95% interval), members, doubt (why its effect cannot be
        told: too few buyers, arms that differ; "" where it can), then `keep`.
    """
    require_table(members, [campaign, outcome, treatment, *covariates, *keep], "members")
    if members[campaign].isna().any():
        raise WorkbenchError("'{column}' is missing for {n} members.").of(campaign, members[campaign].isna().sum())
    rows = []
    for name, part in members.groupby(campaign, sort=True):
        varying = [column for column in keep if len(part[column].drop_duplicates()) > 1]
        if varying:
            raise WorkbenchError("{names} differs between members of campaign '{name}': one value is needed.").of(
                varying, name
            )
        rows.append((name, *_effect(part, outcome, treatment, covariates), *part[list(keep)].iloc[0]))
    table = pd.DataFrame(rows, columns=["campaign", "effect", "se", "low", "high", "members", "doubt", *keep])
    return table.assign(doubt=pd.Series([row[6] for row in rows], dtype=object))  # they stay messages


def _effect(part: pd.DataFrame, outcome: str, treatment: str, covariates: Sequence[str]) -> tuple:
    """Effect, error, interval, members and doubt of one campaign."""
    try:
        found = average_effect(part, outcome=outcome, treatment=treatment, covariates=covariates)
    except CannotAnswer as reason:
        return *[np.nan] * 4, len(part), reason.args[0].values["reason"]
    treated, measured = arms(part, treatment), Outcome.of(numbers(part, outcome))
    events, sizes = counts(measured.events, treated), counts(np.ones(len(part), dtype=bool), treated)
    doubt = found.doubts[0] if found.doubts else say("")
    if not doubt and not measured.enough(events, sizes, FEWEST_EVENTS):
        doubt = too_few(events, sizes, outcome)
    return found.estimate, found.se, found.low, found.high, len(part), doubt


def campaign_ledger(
    campaigns: pd.DataFrame,
    *,
    effect: str = "effect",
    se: str = "se",
    break_even: str | None = None,
    date: str | None = None,
    level: float = 0.95,
    unit: str = "",
) -> CampaignLedger:
    """Put campaigns side by side, shrink their effects towards their mean, and say which paid.

    Parameters
    ----------
    campaigns : DataFrame
        One row a campaign, with a column `campaign` of its name, as `campaign_effects` gives it; `members` is carried
        along. A campaign with a `doubt`, without an effect or with an error of 0 is set aside by name. Where its own
        interval (`low`, `high`) is lopsided, the test of having paid uses the side of the break-even.
    effect, se : str
        Columns: effect a member and its standard error, from different members.
    break_even : str, optional
        Column: effect a member that pays the costs; 0 without it.
    date : str, optional
        Column of the day it began (dates, or ISO text), for the drift.
    level : float
        Coverage of the intervals, 0-1.
    unit : str
        Unit of the effect, for the words.

    Raises
    ------
    WorkbenchError
        If a column is missing or not numeric, a name repeats, or an error is below 0.
    CannotAnswer
        With fewer than 5 campaigns that are not set aside: their spread cannot be told.

    Warnings
    --------
    The list must hold every campaign, not those that somebody remembers; effects measured on the same members are not
    independent. Shrinking towards a common mean takes the true effects for about normal: one giant among many nulls is
    shrunken too far.

    References
    ----------
    Rubin (1981), Estimation in parallel randomized experiments, JES 6. Morris (1983), Parametric empirical Bayes
    inference, JASA 78. Paule and Mandel (1982). Viechtbauer (2007), Statistics in Medicine 26. Knapp and Hartung
    (2003), Statistics in Medicine 22. Benjamini and Hochberg (1995), JRSS B 57.

    Examples
    --------
    >>> table = pd.DataFrame({"campaign": list("abcde"), "effect": [1.0, 2, 3, 4, 10], "se": [1.0] * 5})
    >>> ledger = campaign_ledger(table)
    >>> bool(ledger.campaigns["shrunken"].iloc[4] < 10), round(ledger.tau.estimate**2, 6)
    (True, 11.5)
    """
    require_columns(campaigns, ["campaign", effect, se, *filter(None, (break_even, date))], "campaigns")
    require_level(level)
    table = campaigns.sort_values("campaign").reset_index(drop=True)
    if table["campaign"].duplicated().any():
        raise WorkbenchError("campaigns lists {names} twice.").of(table["campaign"][table["campaign"].duplicated()])
    aside = _set_aside(table, effect, se)
    table = table[~table["campaign"].isin(list(aside))].reset_index(drop=True)
    if len(table) < FEWEST:
        few = say(
            "{campaigns} campaigns don't tell how much effects differ; {least} might",
            campaigns=len(table),
            least=FEWEST,
        )
        kept = [say("{campaign} ({reason})", campaign=Name(name), reason=why) for name, why in list(aside.items())[:5]]
        why = say("{few}; set aside: {campaigns}", few=few, campaigns=Listed(tuple(kept), ";"))
        raise unanswerable(why if aside else few)
    y, s = numbers(table, effect), numbers(table, se, role="error")
    if (s < 0).any():
        raise WorkbenchError("'{se}' is below 0 for {names}.").of(se, table["campaign"][s < 0])
    bar = numbers(table, break_even) if break_even else np.zeros(len(y))
    s, towards_bar = _errors(table, y, s, bar)
    posterior = _Posterior.of(y, s)
    tail = (1 - level) / 2
    p = stats.norm.sf((y - bar) / towards_bar)
    columns = {
        "campaign": table["campaign"],
        **({"date": table[date]} if date else {}),
        **({"members": table["members"]} if "members" in table else {}),
        "effect": y,
        "se": s,
        "break_even": bar,
        "shrunken": posterior.mean,
        "low": posterior.quantile(tail),
        "high": posterior.quantile(1 - tail),
        "paid": posterior.above(bar),
        "p": p,
        "q": benjamini_hochberg(p),
    }
    ones = np.ones((len(y), 1))
    drift, undated = None, 0
    if date is not None:
        day, _ = days(table[date], date)
        dated = day.notna().to_numpy()
        years, undated = ((day - pd.Timestamp(2000, 1, 1)).dt.days / _YEAR)[dated], int((~dated).sum())
        if years.nunique() >= 3 and dated.sum() >= FEWEST:
            design = np.column_stack([ones[dated], years - years.mean()])
            drift = _regression(y[dated], s[dated], design, level)[1]
    return CampaignLedger(
        pd.DataFrame(columns),
        _regression(y, s, ones, level)[0],
        _spread(y, s, level),
        drift,
        level,
        unit,
        aside,
        undated,
    )


def _set_aside(table: pd.DataFrame, effect: str, se: str) -> dict[str, str]:
    """Campaigns that cannot enter, by name, with the reason."""
    found: dict[str, str] = {}
    doubt = table["doubt"] if "doubt" in table else pd.Series("", table.index)
    for name, why, value, error in zip(table["campaign"], doubt, table[effect], table[se], strict=True):
        if isinstance(why, str) and why:
            found[name] = why
        elif pd.isna(value) or pd.isna(error):
            found[name] = say("its effect is not known")
        elif error == 0:
            found[name] = say("its error is 0, so nothing varied that would tell how sure the effect is")
    return found


def _errors(table: pd.DataFrame, y: np.ndarray, s: np.ndarray, bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors, and those on the side of the break-even: of the campaign's own interval where it is lopsided."""
    if not {"low", "high"} <= set(table.columns):
        return s, s
    z = stats.norm.isf(0.025)
    below, above = (y - numbers(table, "low")) / z, (numbers(table, "high") - y) / z
    lopsided = np.maximum(abs(below / s - 1), abs(above / s - 1)) > 0.1
    even = np.where(lopsided, (below + above) / 2, s)
    return even, np.where(lopsided, np.where(y > bar, below, above), s)


@dataclass(frozen=True)
class _Posterior:
    """Of the true effects (k,): a mixture over the spread tau (flat prior) of normals, each (k, grid)."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, y: np.ndarray, s: np.ndarray) -> _Posterior:
        x = (np.arange(_GRID) + 0.5) / _GRID
        size = np.median(s) + y.std()
        tau = size * x / (1 - x)
        variance = s[:, None] ** 2 + tau**2
        precision = (1 / variance).sum(axis=0)
        mu = (y[:, None] / variance).sum(axis=0) / precision
        log = -0.5 * (
            np.log(variance).sum(axis=0) + np.log(precision) + ((y[:, None] - mu) ** 2 / variance).sum(axis=0)
        )
        log += np.log(size) - 2 * np.log1p(-x)  # the grid is even in x, the prior in tau
        weight = np.exp(log - log.max())
        share = s[:, None] ** 2 / variance  # how far towards the mean
        scale = np.sqrt((1 - share) * s[:, None] ** 2 + share**2 / precision)
        return cls(y[:, None] + share * (mu - y[:, None]), scale, weight / weight.sum())

    @property
    def mean(self) -> np.ndarray:
        return self.centre @ self.weight

    def above(self, bar: np.ndarray) -> np.ndarray:
        return ndtr((self.centre - bar[:, None]) / self.scale) @ self.weight

    def quantile(self, at: float) -> np.ndarray:
        reach = 10 * self.scale.max(axis=1)
        low, high = self.centre.min(axis=1) - reach, self.centre.max(axis=1) + reach
        for _ in range(60):
            middle = (low + high) / 2
            below = 1 - self.above(middle) < at
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2


def _weighted(y: np.ndarray, s: np.ndarray, x: np.ndarray, tau2: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients, inverse of the information, and the weighted sum of squares left over."""
    w = 1 / (s**2 + tau2)
    inverse = np.linalg.inv(x.T @ (w[:, None] * x))
    beta = inverse @ (x.T @ (w * y))
    return beta, inverse, float((w * (y - x @ beta) ** 2).sum())


def _tau2(y: np.ndarray, s: np.ndarray, x: np.ndarray, target: float) -> float:
    """Variance of true effects at which the weighted sum of squares is `target`; 0 where it never is as large."""
    if _weighted(y, s, x, 0.0)[2] <= target:
        return 0.0
    high = float(s.max() ** 2 + np.ptp(y) ** 2)
    while _weighted(y, s, x, high)[2] > target:
        high *= 4
    return float(optimize.brentq(lambda t: _weighted(y, s, x, t)[2] - target, 0.0, high, xtol=1e-12, rtol=1e-12))


def _regression(y: np.ndarray, s: np.ndarray, x: np.ndarray, level: float) -> list[Interval]:
    """Random-effects regression; errors of Knapp and Hartung, never below those of known variances."""
    df = len(y) - x.shape[1]
    beta, inverse, left = _weighted(y, s, x, _tau2(y, s, x, df))
    half = stats.t.isf((1 - level) / 2, df) * np.sqrt(np.diag(inverse) * max(1.0, left / df))
    return [Interval(float(b), float(b - h), float(b + h)) for b, h in zip(beta, half, strict=True)]


def _spread(y: np.ndarray, s: np.ndarray, level: float) -> Interval:
    ones, df, tail = np.ones((len(y), 1)), len(y) - 1, (1 - level) / 2
    ends = [_tau2(y, s, ones, stats.chi2.isf(p, df)) for p in (tail, 1 - tail)]
    return Interval(*(float(np.sqrt(v)) for v in (_tau2(y, s, ones, df), *ends)))
