"""Does the model predict respondents it has not seen, and better than simpler ways?

Every fold is fitted as a row of weights, 0 for those held out; their items are then predicted from the items of the
constructs that lead to theirs.

References
----------
Shmueli et al. (2019), Predictive model assessment in PLS-SEM: PLSpredict, European Journal of Marketing 53(11).
Liengaard et al. (2021), Prediction: coveted, yet forsaken? (CVPAT), Decision Sciences 52(2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, dot_and_interval
from workbench.messages import Count, Label, Message, quoted, say
from workbench.methods.intervals import require_level
from workbench.methods.plspm.answers import Answers, Moments, Weights, moments, read_answers
from workbench.methods.plspm.batch import Layout, Solution, score_correlation, solve, structure
from workbench.methods.plspm.fit import fit_answers, refuse_unconverged
from workbench.methods.plspm.fitted import PlsFit
from workbench.methods.plspm.model import PathModel
from workbench.methods.resampling import BLOCK, Rng, one_thread, seeds
from workbench.result import Quantity, Result, Table, Tile

RIVALS = ("model", "linear", "mean")
SAME = 1e-6


@dataclass(frozen=True, eq=False)
class PlsPrediction(Result):
    """Errors of predicting respondents held out, against two simpler ways.

    The rivals: *linear* regresses each item on the items of the constructs that lead to its own; *mean* takes
    the item's mean among the respondents not held out.

    Attributes
    ----------
    items : DataFrame
        One row an item that is predicted (PLSpredict): construct, item, q2 (1 - squared error / that of the mean),
        rmse and mae of the model and of `_linear`, in points of the item's scale.
    table : DataFrame
        One row a construct, and "all" (CVPAT): construct, against ("mean", "linear"), loss (mean squared error of
        the model), loss_rival, difference (loss - loss_rival: negative is better), se, low, high, p (two-sided). The
        last four are NaN where both predict the same (between two single items both are one regression).
    """

    items: pd.DataFrame
    table: pd.DataFrame
    level: float

    NAME = "prediction"
    CHART = say("Dots with intervals, a row a construct and rival")
    FORMATS = dict.fromkeys(["loss", "loss_rival", "difference", "se", "low", "high"], "{:.4f}")
    PICTURE_CAPTION = "Error of the model less that of a rival: left of zero the model predicts better."
    CAPTION = (
        "Mean squared errors (points²) of the model and its rivals, and their difference with {level} intervals: "
        "negative is better (CVPAT)."
    )

    @property
    def _ahead(self) -> pd.Series:
        """Items whose error is below that of the regression by more than rounding."""
        return self.items["rmse"] < self.items["rmse_linear"] * (1 - SAME)

    @property
    def power(self) -> str:
        """Predictive power after Shmueli et al.: "high", "medium", "low" or "none"."""
        useful = self.items["q2"] > 0
        if not useful.any():
            return "none"
        share = self._ahead.mean()
        return "high" if share == 1 else "medium" if share >= 0.5 else "low" if share > 0 else "none"

    @property
    def better(self) -> bool:
        """Whether the model predicts significantly better than the items' means."""
        row = self.table[(self.table["construct"] == "all") & (self.table["against"] == "mean")].iloc[0]
        return bool(row["p"] < 1 - self.level and row["difference"] < 0)

    def tiles(self) -> tuple[Tile, ...]:
        """How many items are predicted better than by regression."""
        label = say("questions predicted better than by regression, of {n}", n=len(self.items))
        return (Tile(label, Count(int(self._ahead.sum()))),)

    def headline(self) -> Message:
        """Say whether the model predicts, against what."""
        rows = self.table[self.table["construct"] == "all"].set_index("against")
        return say(
            "For respondents it has not seen the model predicts {mean} and {linear} (CVPAT); its error is smaller than "
            "the regression's on {better} of {n} items: {power}.",
            mean=_judged(rows.loc["mean"], 1 - self.level, say("the items' means")),
            linear=_judged(rows.loc["linear"], 1 - self.level, say("linear regression")),
            better=int(self._ahead.sum()),
            n=len(self.items),
            power={
                "none": say("no predictive power"),
                "low": say("low predictive power"),
                "medium": say("medium predictive power"),
                "high": say("high predictive power"),
            }[self.power],
        )

    def by_item(self) -> Table:
        """Give the errors item by item (PLSpredict)."""
        said = say("Errors item by item, in points of its scale; q2 above 0: better than the item's mean (PLSpredict).")
        return Table("prediction_items", self.items, said, dict.fromkeys(self.items.columns[2:], "{:.3f}"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the differences in loss; left of zero the model predicts better."""
        names = [
            say("{construct} against mean", construct=Label(row.construct))
            if row.against == "mean"
            else say("{construct} against linear", construct=Label(row.construct))
            for row in self.table.itertuples()
        ]
        rows = self.table.rename(columns={"difference": "estimate"})
        return dot_and_interval(names, rows, ax, label="loss − rival's loss (squared points)", zero=True)

    def quantities(self) -> Iterable[Quantity]:
        """Name the differences in loss."""
        for row in self.table.dropna(subset=["se"]).to_dict("records"):
            name = f"loss_difference[construct={row['construct']},against={row['against']}]"
            yield Quantity(name, row["difference"], "points²", row["low"], row["high"])


def predict_pls(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    folds: int = 10,
    repetitions: int = 10,
    level: float = 0.95,
    weights: Weights = None,
    rng: Rng = 0,
) -> PlsPrediction:
    """Predict every respondent's items by models fitted without them, again and again (PLSpredict, CVPAT).

    An item is predicted from the scores of the constructs with a path to its own ("direct antecedents"). Losses are
    averaged over repetitions for each respondent, and over items in a construct; respondents are the units of the
    test.

    Parameters
    ----------
    survey, model, weights
        As for `fit_pls`. A missing answer takes the mean of the training respondents as predictor, and has no loss.

    Raises
    ------
    WorkbenchError
        If there are fewer than two folds or more than respondents.
    CannotAnswer
        If PLS does not converge without one of the folds.
    """
    require_level(level)
    answers = read_answers(survey, model, weights=weights)
    n = len(answers.x)
    if not 2 <= folds <= n or repetitions < 1:
        raise WorkbenchError(
            "folds={folds}, repetitions={repetitions} for {n} respondents: take 2 to {n} folds, once or more."
        ).of(str(folds), str(repetitions), n)
    fit = fit_answers(answers, model)
    refuse_unconverged(fit)
    layout = Layout(model)
    columns = np.flatnonzero(np.isin(layout.owner, list(layout.sources)))
    square, absolute = np.zeros((2, len(RIVALS), n, len(columns)))
    with one_thread():
        for inside, moment, solution in _trained(answers, layout, fit, folds, repetitions, rng):
            for held, at, spread, r, weight in zip(
                inside, moment.mean, moment.sd, moment.correlation, solution.weight, strict=True
            ):
                error = _errors(layout, answers, columns, held == 0, at, spread, r, weight)
                square[:, held == 0] += error**2 / repetitions
                absolute[:, held == 0] += np.abs(error) / repetitions
    square[:, answers.missing[:, columns]] = np.nan
    absolute[:, answers.missing[:, columns]] = np.nan
    w = answers.weights
    owner = layout.owner[columns]
    items = pd.DataFrame({"construct": np.array(model.names)[owner], "item": np.array(model.items)[columns]})
    mse, mae = _mean(square, w), _mean(absolute, w)
    items = items.assign(
        q2=1 - mse[0] / mse[2], rmse=np.sqrt(mse[0]), rmse_linear=np.sqrt(mse[1]), mae=mae[0], mae_linear=mae[1]
    )
    targets = {"all": np.ones(len(owner), bool)} | {model.names[t]: owner == t for t in sorted(layout.sources)}
    rows = [
        {"construct": name, "against": rival, **_tested(square[0][:, own], square[place][:, own], w, level)}
        for name, own in targets.items()
        for rival, place in (("mean", 2), ("linear", 1))
    ]
    return PlsPrediction(items, pd.DataFrame(rows), level)


def _trained(
    answers: Answers, layout: Layout, fit: PlsFit, folds: int, repetitions: int, rng: Rng
) -> Iterator[tuple[np.ndarray, Moments, Solution]]:
    """Blocks of training rows with their moments and solutions."""
    n = len(answers.x)
    rows = (
        (fold != f).astype(np.float32)
        for seed in seeds(rng, repetitions)
        for fold in [np.random.default_rng(seed).permutation(np.arange(n) % folds)]
        for f in range(folds)
    )
    while block := [row for _, row in zip(range(BLOCK), rows, strict=False)]:
        inside = np.array(block)
        moment = moments(answers, inside)
        solution = solve(layout, moment.correlation, start=fit.weights.to_numpy())
        if not solution.converged.all():
            flat = [
                item for item, gone in zip(layout.model.items, np.isnan(moment.sd).any(axis=0), strict=True) if gone
            ]
            why = say("take more folds, or a smaller model")
            if flat:
                why = say("{items} does not vary there. Leave it out", items=quoted(flat))
            raise CannotAnswer("PLS does not converge without one of the folds: {why}.").of(why)
        yield inside, moment, solution


def _errors(
    layout: Layout,
    answers: Answers,
    columns: np.ndarray,
    held: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    r: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Observed minus predicted for the respondents held out, shape (rivals, held, predicted items)."""
    observed = answers.center + answers.scale * answers.x[held]
    z = np.where(answers.missing[held], 0.0, (observed - mean) / sd)
    spread = np.equal.outer(layout.owner, np.arange(len(layout.size))) * weight[:, None]
    crossed = r @ spread
    path, _ = structure(layout, score_correlation(layout, weight[None], crossed[None]))
    scores = z @ spread
    linear, own = np.zeros((2, len(z), len(mean)))
    for target, sources in layout.sources.items():
        mine = layout.owner == target
        expected = sum(path[s, target] * scores[:, s] for s in sources)
        own[:, mine] = np.outer(expected, crossed[mine, target])
        feeding = np.isin(layout.owner, sources)
        slope = np.linalg.lstsq(r[np.ix_(feeding, feeding)], r[np.ix_(feeding, mine)], rcond=1e-10)[0]
        linear[:, mine] = z[:, feeding] @ slope
    predicted = np.stack([own, linear, np.zeros_like(own)]) * sd + mean
    error: np.ndarray = (observed - predicted)[:, :, columns]
    return error


def _mean(loss: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean over respondents of the answers given, shape (rivals, items)."""
    given = ~np.isnan(loss)
    total = (np.where(given, loss, 0) * weight[:, None]).sum(axis=1)
    mean: np.ndarray = total / (given * weight[:, None]).sum(axis=1)
    return mean


def _tested(loss: np.ndarray, rival: np.ndarray, weight: np.ndarray, level: float) -> dict[str, float]:
    """Paired t test of a respondent's mean losses; with survey weights the linearised standard error."""
    some = ~np.isnan(loss).all(axis=1)
    ours, theirs, w = np.nanmean(loss[some], axis=1), np.nanmean(rival[some], axis=1), weight[some]
    share = w / w.sum()
    n = len(w)
    gap = ours - theirs
    difference = float(share @ gap)
    se = float(np.sqrt(n / (n - 1) * (share**2 @ (gap - difference) ** 2)))
    scale = float(share @ theirs)
    if np.abs(gap).max() <= SAME * scale:  # the same predictions but for rounding: nothing was compared
        nothing = dict.fromkeys(["se", "low", "high", "p"], np.nan)
        return {"loss": float(share @ ours), "loss_rival": scale, "difference": 0.0} | nothing
    half = student.isf((1 - level) / 2, n - 1) * se
    p = float(2 * student.sf(abs(difference) / se, n - 1)) if se > 0 else 0.0
    return {
        "loss": float(share @ ours),
        "loss_rival": scale,
        "difference": difference,
        "se": se,
        "low": difference - half,
        "high": difference + half,
        "p": p,
    }


def _judged(row: pd.Series, alpha: float, rival: Message) -> Message:
    if np.isnan(row["p"]):
        return say("the same as {rival}", rival=rival)
    if row["p"] >= alpha:
        return say("neither significantly better nor worse than {rival}", rival=rival)
    return say("better than {rival}", rival=rival) if row["difference"] < 0 else say("worse than {rival}", rival=rival)
