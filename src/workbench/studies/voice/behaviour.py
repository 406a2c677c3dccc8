"""Do dissatisfied customers leave, and bring less? Respondents' scores against what they did afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench import columns
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, axes
from workbench.messages import Label, Listed, Message, Number, Span, Term, join, say
from workbench.methods.cells import distinct, weights_of
from workbench.methods.plspm import PlsFit
from workbench.methods.ranking import auc
from workbench.methods.regression import separated
from workbench.methods.resampling import canonical_order
from workbench.methods.survey import Design
from workbench.result import Quantity, Result, Tile

STEP = 10
EVENTS = 20
TOO_GOOD = 0.9
UNLIKELY = 1e-6
FAR = 15
DAYS = ("answered_on", "left_on")


def respondent_scores(survey: pd.DataFrame, fit: PlsFit, *, construct: str = "Satisfaction") -> pd.Series:
    """Score 0-100 of each respondent: items rescaled to 0-100, weighted as in the index.

    Weighted by the survey weight its mean is the index, where no answer is missing. Answers not given leave their
    weight to the others; NaN where none was given.

    Parameters
    ----------
    survey : DataFrame
        One row a respondent, also of another wave than the fit's.

    Raises
    ------
    WorkbenchError
        If an item is missing or text, or the construct is unknown.
    CannotAnswer
        If the index is not defined (a negative weight).
    """
    which = fit.model.construct(construct)
    weight = fit.unstandardised_weights[construct].to_numpy()
    if (weight < 0).any():
        raise CannotAnswer("the score of {construct} is not defined: {why}").of(Label(construct), join(*fit.verdicts))
    items = list(which.items)
    require_columns(survey, items, "survey")
    answer = np.column_stack([columns.number(survey[i], i, what="item", missing="keep") for i in items])
    answer = np.where(np.isin(answer, fit.model.missing_codes), np.nan, answer)
    low, high = which.ends()
    share = (answer - low) / (high - low)
    if ((share < 0) | (share > 1)).any():
        raise WorkbenchError("an answer of {names} is off its scale. Make codes of missing answers missing.").of(items)
    share = np.where([i in which.reversed for i in items], 1 - share, share)
    given = np.where(np.isnan(share), 0, weight)
    total = given.sum(axis=1)
    score = 100 * (given * np.nan_to_num(share)).sum(axis=1) / np.where(total > 0, total, np.nan)
    return pd.Series(score.clip(0, 100), survey.index, name=construct)


@dataclass(frozen=True, eq=False)
class SatisfactionOutcome(Result):
    """How churn and revenue after the interview move with satisfaction.

    Attributes
    ----------
    table : DataFrame
        One row an estimate, each per 10 points more: "odds ratio of churn", "risk of churn" (percentage points, mean
        over respondents), and, where revenue was given, "revenue" (currency a month): estimate, se, low, high, p.
    fifths : DataFrame
        One row a fifth of respondents by score: score (mean), n, churned (%), low, high, predicted (%).
    auc : float
        Chance that of two respondents the one who left had the lower score.
    warnings : tuple of Message
        Ways in which the score may have known the outcome, one sentence each; () where none was found.
    n, events : int
        Respondents, and those who left.
    left_out : int
        Respondents without score or outcome.
    untold : tuple of Message
        Categories of covariates whose respondents all stayed, or all left, one sentence: they tell nothing of how
        churn moves with the score, and are in neither of its estimates (they are in that of revenue).
    unit : str
        Of revenue.
    """

    table: pd.DataFrame
    fifths: pd.DataFrame
    auc: float
    warnings: tuple[Message, ...]
    n: int
    events: int
    left_out: int
    covariates: tuple[str, ...]
    level: float
    unit: str = "currency"
    untold: tuple[Message, ...] = ()

    NAME = "behaviour"
    CHART = say("Dots with intervals and a line, a dot a fifth of the respondents")
    FORMATS = dict.fromkeys(["estimate", "se", "low", "high"], "{:.2f}")
    PICTURE_CAPTION = "Share of the respondents that left after the interview, by score: fifths of them, and the model."

    def headline(self) -> Message:
        """Say how churn and revenue move with satisfaction, warnings first."""
        rows, revenue = self.table.set_index("quantity"), say("")
        if "revenue" in rows.index:
            paid = rows.loc["revenue"]
            revenue = say("{estimate} {unit} of revenue a month", estimate=_moves(paid), unit=Term(self.unit))
            revenue = say(
                "With {step} points more of satisfaction: {revenue}.", step=STEP, revenue=_judged(paid, revenue)
            )
        basis = self.say("{level} intervals")
        if self.covariates:
            given = Listed(map(Label, self.covariates), "")
            basis = say("{intervals}, given {covariates}", intervals=basis, covariates=given)
        return join(
            say("WARNING: {warnings}", warnings=join(*self.warnings)) if self.warnings else say(""),
            self._lead(),
            revenue,
            say("{n} respondents, {events} left; {basis}.", n=self.n, events=self.events, basis=basis),
            *self.untold,
        )

    @property
    def more(self) -> tuple[float, float, float]:
        """Percentage points more of churn with 10 points less of satisfaction, low and high."""
        risk = self.table.set_index("quantity").loc["risk of churn"]
        return -float(risk["estimate"]), -float(risk["high"]), -float(risk["low"])

    @property
    def leave(self) -> bool:
        """Whether the dissatisfied leave significantly more often, at the printed digits."""
        return not self.warnings and round(self.more[1], 1) > 0

    def check(self) -> Message:
        """Say how well the score tells leavers from stayers, and whether it may have known who left."""
        doubts = join(*self.warnings) or say("No sign that the score knew the outcome.")
        return say("Chance: {auc}. {doubts}", auc=Number(self.auc, ".2f"), doubts=doubts)

    def _lead(self) -> Message:
        estimate, low, high = self.more
        if round(high, 1) < 0:
            ends = Span(-high, -low, ".1f")
            return say(
                "The satisfied leave more often: with {step} points more of satisfaction, {churn} percentage points "
                "more leave {span}.",
                step=STEP,
                churn=Number(-estimate, ".1f"),
                span=ends,
            )
        said: dict[str, Any] = {"step": STEP, "churn": Number(estimate, ".1f"), "span": Span(low, high, ".1f")}
        if round(low, 1) > 0:
            return say(
                "The dissatisfied leave more often: with {step} points less satisfaction, {churn} percentage points "
                "more leave {span}.",
                **said,
            )
        return say(
            "It is not shown that the dissatisfied leave more often: with {step} points less of satisfaction, {churn} "
            "percentage points more leave {span}, not significant.",
            **said,
        )

    def tiles(self) -> tuple[Tile, ...]:
        """How churn moves with satisfaction; nothing where a warning stands."""
        estimate, low, high = self.more
        label = say("points more churn, {step} points less satisfaction", step=STEP)
        tile = Tile(label, Number(estimate, "+.1f"), Span(low, high, ".1f", self.level))
        return () if self.warnings else (tile,)

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        if not (self.table["quantity"] == "revenue").any():
            return say("Per {step} points more: odds ratio and percentage points of churn.", step=STEP)
        return say(
            "Per {step} points more: odds ratio and percentage points of churn, and {unit} of revenue a month.",
            step=STEP,
            unit=Term(self.unit),
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the share that left in each fifth of score with its interval, and what the model predicts."""
        ax = axes(ax)
        ax.vlines(self.fifths["score"], self.fifths["low"], self.fifths["high"], color="C0")
        ax.plot(self.fifths["score"], self.fifths["churned"], "o", color="C0")
        ax.plot(self.fifths["score"], self.fifths["predicted"], "-", color="0.4")
        end = self.fifths.sort_values("score").iloc[-1]
        ax.annotate(
            "model", (end["score"], end["predicted"]), (4, 0), textcoords="offset points", va="center", color="0.4"
        )
        ax.set(
            xlabel="satisfaction before (mean of a fifth, points)",
            ylabel=self.say("left afterwards (%, {level} interval)"),
        )
        ax.set_ylim(bottom=0)
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name the estimates; none where a warning stands."""
        units = {"odds ratio of churn": "1", "risk of churn": "%", "revenue": self.unit}
        names = {"odds ratio of churn": "churn_odds_ratio", "risk of churn": "churn_risk", "revenue": "revenue_after"}
        for row in self.table.to_dict("records") if not self.warnings else ():
            name = f"{names[row['quantity']]}[per={STEP} points of satisfaction]"
            yield Quantity(name, row["estimate"], units[row["quantity"]], row["low"], row["high"])


def satisfaction_outcome(
    linked: pd.DataFrame,
    *,
    score: str = "score",
    covariates: Sequence[str] = (),
    weight: str | None = "weight",
    level: float = 0.95,
    unit: str = "currency",
) -> SatisfactionOutcome:
    """Relate respondents' scores to their later churn and revenue.

    Parameters
    ----------
    linked : DataFrame
        One row a respondent, a customer once: score 0-100 and what followed (`survey_outcomes` of the warehouse).
    covariates : sequence of str
        Numbers and categories known before the interview, to hold constant.
    unit : str
        Of revenue, for people.

    Raises
    ------
    WorkbenchError
        If a column is missing or cannot be used, or a customer stands twice.
    CannotAnswer
        If a window is not complete, fewer than 20 left or 20 stayed, the score does not vary, or score and covariates
        tell exactly who left.

    Warning
    -------
    An association, not the effect of raising satisfaction: what makes customers dissatisfied may make them leave
    whatever they feel. It holds for those who answered and whose customer is known.
    """
    read = [score, "churned", "revenue_before", "revenue_after"]
    needed = [*read, *covariates, *DAYS, *([weight] if weight else []), "complete"]
    require_columns(linked, needed, "linked", hint="survey_outcomes() and respondent_scores() give them.")
    distinct([*read, *covariates], "the column")
    if "customer_id" in linked and linked["customer_id"].duplicated().any():
        raise WorkbenchError("a customer stands twice in linked. Take one wave, or one interview a customer.")
    linked = linked[needed].assign(**{d: columns.days(linked[d], d)[0] for d in DAYS})
    if not (whole := columns.flag(linked["complete"], "complete")).all():
        until = say("Take a shorter window, an earlier wave.")
        if whole.any():
            until = say(
                "Take a shorter window, an earlier wave, or interviews until {day} only.",
                day=linked.loc[whole, "answered_on"].max(),
            )
        over = say(
            "the window after the interview is not over for {open} of {n} respondents.",
            open=(~whole).sum(),
            n=len(linked),
        )
        raise CannotAnswer(join(over, until))
    numbers = {c: columns.number(linked[c], c, missing="keep") for c in read}
    linked = linked.assign(**numbers, **({weight: weights_of(linked, weight)} if weight else {}))
    rows = linked[linked[read].notna().all(axis=1) & (weights_of(linked, weight) > 0)]
    rows = _read(rows, covariates)
    rows = rows.iloc[canonical_order(rows[needed[:-1]])]
    s, y, before, after = rows[read].to_numpy(float).T
    w = weights_of(rows, weight)
    if not np.isin(y, (0, 1)).all():
        raise WorkbenchError("'{churned}' must be 0 or 1.").of("churned")
    events = int(y.sum())
    _refuse_few(y)
    if np.ptp(s) == 0:
        raise CannotAnswer("'{score}' is the same for all {n} respondents: nothing can be related to it.").of(
            score, len(y)
        )
    z = _design(rows, covariates)
    told = _telling(y, s, w, z)
    estimates, known = _churn(y[told], s[told], w[told], z[told], level)
    predicted = y.copy()
    predicted[told] = known
    revenue = _revenue(after, s, w, np.column_stack([z, before]), level)
    estimates += [revenue] if (varies := revenue[2] > 1e-9 * np.abs(after).max()) else []
    table = pd.DataFrame(estimates, columns=["quantity", "estimate", "se", "low", "high", "p"])
    order = auc(y == 1, -s)[0]
    warnings = (*_leaks(rows, order), *_all_left(rows, covariates, y, told))
    fifths = _fifths(s, y, w, predicted, level)
    left_out = len(linked) - len(rows)
    untold = [*_untold(rows, covariates, y, told)]
    if not varies:
        untold.append(say("Revenue varies by nothing but what was known before, so nothing can be related to it."))
    return SatisfactionOutcome(
        table, fifths, order, warnings, len(y), events, left_out, tuple(covariates), level, unit, tuple(untold)
    )


def _moves(row: pd.Series) -> Message:
    span = Span(row["low"], row["high"], "+.1f")
    return say("{estimate} {span}", estimate=Number(row["estimate"], "+.1f"), span=span)


def _judged(row: pd.Series, moves: Message) -> Message:
    return moves if row["low"] > 0 or row["high"] < 0 else say("{moves}, not significant", moves=moves)


def _refuse_few(y: np.ndarray) -> None:
    events = int(y.sum())
    if min(events, len(y) - events) < EVENTS:
        raise CannotAnswer(
            "{events} of {n} respondents left: an estimate needs at least {least} who left and {least} who stayed. "
            "Take a longer window, or more waves."
        ).of(events, len(y), EVENTS)


def _telling(y: np.ndarray, s: np.ndarray, w: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Mark respondents whose covariates leave open whether they left, where some coefficient has no end.

    Refuses where score and covariates tell exactly who left, or covariates do of more than half.
    """
    x = np.column_stack([s / STEP, z])
    beta, settled = _logistic(x, y, w)
    if settled and np.abs(x @ beta).max() < FAR:
        return np.ones(len(y), bool)
    told = ~separated(x, y)
    if told.all():
        return told
    if separated(s[:, None] - s.mean(), y, constant=True).any() or told.mean() < 0.5:
        raise CannotAnswer(
            "score and covariates tell exactly who left (for {told} of {n} respondents): the odds ratio is not "
            "finite. Look for a leak."
        ).of(int((~told).sum()), len(y))
    _refuse_few(y[told])
    if np.ptp(s[told]) == 0:
        raise CannotAnswer("the score does not vary among those whose covariates leave open whether they left.")
    return told


def _groups(rows: pd.DataFrame, covariates: Sequence[str], told: np.ndarray) -> Iterable[tuple[str, np.ndarray]]:
    """Categories of covariates none of whose respondents tell, with their rows."""
    for column in covariates:
        if rows[column].dtype == object:
            for value in sorted(rows.loc[~told, column].unique()):
                at = (rows[column] == value).to_numpy()
                if not told[at].any():
                    yield f"{column} {value}", at


def _untold(rows: pd.DataFrame, covariates: Sequence[str], y: np.ndarray, told: np.ndarray) -> Iterable[Message]:
    if told.all():
        return
    groups = [(name, int(at.sum()), y[at]) for name, at in _groups(rows, covariates, told)]
    which = [
        say("{group} ({n}, all left)", group=name, n=n)
        if left.all()
        else say("{group} ({n}, none left)", group=name, n=n)
        for name, n, left in groups
        if len(set(left)) == 1
    ]
    out = say("Without {n} respondents whose covariates leave no doubt whether they left", n=int((~told).sum()))
    if which:
        out = say("{out}: {groups}", out=out, groups=Listed(which, ""))
    yield say("{out}; they tell nothing of how churn moves with satisfaction.", out=out)


def _all_left(rows: pd.DataFrame, covariates: Sequence[str], y: np.ndarray, told: np.ndarray) -> Iterable[Message]:
    """Warn of a category all of whom left where chance would hardly do that: it may be known from the outcome."""
    for name, at in _groups(rows, covariates, told):
        if y[at].all() and y.mean() ** at.sum() < UNLIKELY:
            yield say(
                "all {n} respondents of {group} left: the covariate may follow the outcome.",
                n=int(at.sum()),
                group=name,
            )


def _read(rows: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    """Covariates as numbers (float) or categories (text, object); missing ones are refused."""
    read = {}
    for column in covariates:
        if rows[column].isna().any():
            raise WorkbenchError("covariate '{column}' is missing in some rows. Fill it, or leave it out.").of(column)
        number = columns.kind(rows[column], column) == "number"
        read[column] = (columns.number if number else columns.category)(rows[column], column)
    return rows.assign(**read)


def _design(rows: pd.DataFrame, covariates: Sequence[str]) -> np.ndarray:
    """Constant and covariates, categories as indicators, standardised."""
    if not covariates:
        return np.ones((len(rows), 1))
    x = pd.get_dummies(rows[list(covariates)], drop_first=True, dtype=float).to_numpy(float)
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    return np.column_stack([np.ones(len(rows)), x])


def _logistic(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, bool]:
    """Coefficients of the weighted likelihood by Newton's steps, and whether they came to rest."""
    share, beta = w / w.sum(), np.zeros(x.shape[1])
    for _ in range(50):
        reached = x @ beta
        if np.abs(reached).max() > 2 * FAR:
            return beta, False
        p = 1 / (1 + np.exp(-reached))
        move = np.linalg.lstsq(x.T * (share * p * (1 - p)) @ x, x.T @ (share * (y - p)), rcond=None)[0]
        beta += move
        if np.abs(move).max() < 1e-10:
            return beta, True
    return beta, False


def _churn(y: np.ndarray, s: np.ndarray, w: np.ndarray, z: np.ndarray, level: float) -> tuple[list[tuple], np.ndarray]:
    """Weighted logistic regression: odds ratio and mean risk difference per STEP points, with HC3 errors."""
    x, share = np.column_stack([s / STEP, z]), w / w.sum()
    beta, settled = _logistic(x, y, w)
    if not settled:
        raise CannotAnswer("score and covariates all but tell who left: the odds ratio has no end. Look for a leak.")
    p = 1 / (1 + np.exp(-x @ beta))
    curve = p * (1 - p)
    inverse = np.linalg.pinv(x.T * (share * curve) @ x)
    leverage = share * curve * np.einsum("ij,jk,ik->i", x, inverse, x)
    pull = (x * (share * (y - p) / (1 - leverage.clip(max=0.99)))[:, None]) @ inverse
    slope = curve * beta[0]
    gradient = beta[0] * (share * curve * (1 - 2 * p)) @ x
    gradient[0] += share @ curve
    risk = float(share @ slope)
    moves = share * (slope - risk) + pull @ gradient
    errors = np.sqrt((pull[:, 0] ** 2).sum()), np.sqrt((moves**2).sum())
    half = stats.norm.isf((1 - level) / 2)
    log = (beta[0] - half * errors[0], beta[0] + half * errors[0])
    odds = np.exp(beta[0])
    chance = 2 * stats.norm.sf(abs(beta[0] / errors[0])), 2 * stats.norm.sf(abs(risk / errors[1]))
    return [
        ("odds ratio of churn", odds, odds * errors[0], *np.exp(log), chance[0]),
        (
            "risk of churn",
            100 * risk,
            100 * errors[1],
            *(100 * (risk + e * half * errors[1]) for e in (-1, 1)),
            chance[1],
        ),
    ], p


def _revenue(after: np.ndarray, s: np.ndarray, w: np.ndarray, z: np.ndarray, level: float) -> tuple:
    """Weighted least squares of the revenue after on the score, given the revenue before: HC3 errors."""
    root = np.sqrt(w / w.mean())[:, None]
    x = np.column_stack([s / STEP, z]) * root
    scale = np.sqrt((x**2).mean(axis=0))
    inverse = np.linalg.pinv(x / scale) / scale[:, None]
    beta = inverse @ (after * root[:, 0])
    residual = (after * root[:, 0] - x @ beta) / (1 - np.einsum("ij,ji->i", x, inverse).clip(max=1 - 1e-9))
    error = float(np.sqrt((inverse[0] ** 2 * residual**2).sum()))
    half = stats.t.isf((1 - level) / 2, len(s) - x.shape[1]) * error
    p = 2 * stats.t.sf(abs(beta[0] / error), len(s) - x.shape[1]) if error > 0 else np.nan
    return "revenue", beta[0], error, beta[0] - half, beta[0] + half, p


def _leaks(rows: pd.DataFrame, order: float) -> Iterable[Message]:
    if count := int((rows["left_on"] <= rows["answered_on"]).sum()):
        yield say(
            "{n} respondents were asked on or after '{column}': their score may follow the decision.",
            n=count,
            column="left_on",
        )
    if max(order, 1 - order) > TOO_GOOD:
        yield say(
            "the score tells leavers from stayers implausibly well (AUC {auc}): it may contain the outcome.",
            auc=Number(order, ".2f"),
        )


def _fifths(s: np.ndarray, y: np.ndarray, w: np.ndarray, predicted: np.ndarray, level: float) -> pd.DataFrame:
    """Share that left by fifth of score; equal scores stay together."""
    part = pd.qcut(s, 5, labels=False, duplicates="drop")
    found = []
    for fifth in np.unique(part):
        at = part == fifth
        mean = Design.of(w[at]).mean(100 * y[at])
        low, high = mean.interval("top", level)
        row = {"score": np.average(s[at], weights=w[at]), "n": at.sum(), "churned": mean.estimate, "low": low}
        found.append(row | {"high": high, "predicted": 100 * np.average(predicted[at], weights=w[at])})
    return pd.DataFrame(found)
