"""How many clusters? Repeated until the answer does not depend on a seed, or until it is said that it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.messages import Listed, Message, Number, Share, Term, join, say
from workbench.methods.resampling import seeds
from workbench.studies.segmentation.partition import Method, Partition, bic, fit_rule
from workbench.studies.segmentation.stability import (
    ENOUGH,
    HIGHLY_STABLE,
    STRONG,
    bootstrap_jaccard,
    prediction_strength,
    separation,
    standing,
)

RESAMPLES, SPLITS = 10, 5
MIN_SHARE = 0.02
_MORE = 5
_NEARLY = 0.15
_ROWS = {"kmeans": 10_000, "gmm": 5_000}


@dataclass(eq=False)
class Trial:
    """A number of clusters and the evidence on it, which grows while it is open.

    Attributes
    ----------
    label : ndarray, shape (n,)
        Of the rows fitted.
    jaccard : ndarray, shape (resamples, k)
    strength : ndarray, shape (splits,)
    plain : bool
        Whether every start of the fit ended alike.
    """

    x: np.ndarray
    k: int
    method: Method
    starts: int
    seed: np.random.SeedSequence
    rule: Partition = field(init=False)
    plain: bool = field(init=False)
    label: np.ndarray = field(init=False)
    jaccard: np.ndarray = field(init=False)
    strength: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Fit, with as many starts as it takes for the best to come up again."""
        start = seeds(self.seed, 1)[0]
        how: dict[str, Any] = {"starts": self.starts, "seed": start, "most": _MORE * self.starts}
        self.rule, self.plain = fit_rule(self.x, self.k, self.method, **how)
        self.label = self.rule.label(self.x)
        self.jaccard, self.strength = np.empty((0, self.k)), np.empty(0)

    def begin(self) -> Trial:
        """Draw the first resamples, half as many where the halves already say no."""
        self.grow(0, SPLITS)
        return self.grow(RESAMPLES // 2 if standing(self.strength, STRONG) == -1 else RESAMPLES, 0)

    def grow(self, resamples: int, splits: int) -> Trial:
        """Draw further resamples and splits, up to so many of each."""
        _, boot, split = seeds(self.seed, 3)
        how: dict[str, Any] = {"method": self.method, "starts": self.starts, "most": _ROWS[self.method]}
        how["plain"] = self.plain
        have = len(self.jaccard)
        if resamples > have:
            more = bootstrap_jaccard(self.x, self.label, self.k, resamples=resamples, rng=boot, first=have, **how)
            self.jaccard = np.vstack([self.jaccard, more])
        have = len(self.strength)
        if splits > have:
            more = prediction_strength(self.x, self.label, self.k, splits=splits, rng=split, first=have, **how)
            self.strength = np.append(self.strength, more)
        return self

    @property
    def smallest_share(self) -> float:
        """Share of the customers in the smallest cluster."""
        return float(np.bincount(self.label, minlength=self.k).min() / len(self.label))

    @property
    def least(self) -> np.ndarray:
        """Jaccard similarities of the least stable cluster."""
        return self.jaccard[:, self.jaccard.mean(axis=0).argmin()]

    def standing(self) -> int:
        """Whether it passes: 1 yes, -1 no, 0 not yet known."""
        return min(self.found_again, self.predicted, 1 if self.smallest_share >= MIN_SHARE else -1)

    def likely(self) -> bool:
        """Whether it passes by the means of its repetitions, surely or not."""
        means = self.jaccard.mean(axis=0).min() > HIGHLY_STABLE and self.strength.mean() >= STRONG
        return bool(means and self.smallest_share >= MIN_SHARE)

    @property
    def found_again(self) -> int:
        """Whether every cluster is highly stable: 1, -1 or 0."""
        return min(standing(column, HIGHLY_STABLE) for column in self.jaccard.T)

    @property
    def predicted(self) -> int:
        """Whether the prediction strength is high enough: 1, -1 or 0."""
        return standing(self.strength, STRONG)

    @property
    def wanted(self) -> tuple[int, int]:
        """Resamples and splits to have next: twice as many of what is open, up to 40; resamples where nothing is."""
        resamples, splits = len(self.jaccard), len(self.strength)
        if self.predicted == 0:
            splits = min(2 * splits, ENOUGH)
        if self.found_again == 0 or self.predicted != 0:
            resamples = min(max(2 * resamples, RESAMPLES), ENOUGH)
        return resamples, splits


def criteria(trials: Mapping[int, Trial], rng: np.random.SeedSequence) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
    """Tabulate what judges each number of clusters; also the silhouettes of the same rows under each."""
    rows, silhouettes = [], {}
    pick, sift = seeds(rng, 2)
    for k, trial in trials.items():
        judged = np.arange(len(trial.x))
        if len(judged) > _ROWS[trial.method]:
            judged = np.sort(np.random.default_rng(sift).choice(len(judged), _ROWS[trial.method], replace=False))
        apart, silhouettes[k] = separation(trial.x[judged], trial.label[judged], pick)
        facts = {"k": k, "smallest_share": trial.smallest_share, "jaccard_least": float(trial.least.mean())}
        rows.append(
            facts | {"prediction_strength": float(trial.strength.mean()), **apart, "bic": bic(trial.x, trial.rule)}
        )
    return pd.DataFrame(rows), silhouettes


def choose(
    trials: Mapping[int, Trial], table: pd.DataFrame, silhouettes: Mapping[int, np.ndarray]
) -> tuple[int, tuple[int, ...]]:
    """Take a number of clusters; give it with the numbers between which the data do not decide (none, or two or more).

    The largest that surely passes stands. Larger ones that do not surely fail get more resamples, up to 40; what is
    open then stays so, and is said. Of these and the one that stands, those that pass by their means are compared by
    what the method itself maximises, corrected for the number of clusters: it depends on the fit alone, not on
    resamples.
    """
    while True:
        state = {k: trial.standing() for k, trial in trials.items()}
        passed, near = _apart(table, silhouettes, [k for k, s in state.items() if s == 1])
        best = max(passed, default=0)
        doubt = [k for k, s in state.items() if s == 0 and k > best]
        if not best and not doubt:
            doubt = _tied(trials)
        growing = [k for k in doubt if trials[k].wanted != (len(trials[k].jaccard), len(trials[k].strength))]
        if not growing or (not best and len(doubt) == 1 and state[doubt[0]] == -1):
            break
        for k in growing[-1:] if best or state[growing[-1]] == 0 else growing:
            trials[k].grow(*trials[k].wanted)
    table["jaccard_least"] = [float(trials[k].least.mean()) for k in table["k"]]
    table["prediction_strength"] = [float(trials[k].strength.mean()) for k in table["k"]]
    likely = [k for k in doubt if trials[k].likely()] + [k for k, gap in near.items() if k > best and gap >= 0]
    doubt = sorted({*doubt, *(k for k in near if k > best)})
    if best:
        return _favoured(table, [best, *likely]), (best, *doubt) if doubt else ()
    if max(state[k] for k in doubt) == -1:
        return doubt[0], tuple(doubt) if len(doubt) > 1 else ()
    return _favoured(table, likely or doubt), tuple(doubt) if len(doubt) > 1 else ()


def _favoured(table: pd.DataFrame, numbers: list[int]) -> int:
    """The number with the best BIC (of mixtures) or Calinski-Harabasz index."""
    rows = table.set_index("k").loc[numbers]
    return int(rows["bic"].idxmin() if rows["bic"].notna().all() else rows["calinski_harabasz"].idxmax())


def _apart(table: pd.DataFrame, silhouettes, passed: list[int]) -> tuple[list[int], dict[int, float]]:
    """Those nearly as far apart as any that passes (of mixtures: that the likelihood pays for); the open ones' gaps."""
    if not passed:
        return [], {}
    rows = table.set_index("k").loc[passed]
    if rows["bic"].notna().all():
        return list(rows.index[rows["bic"] == rows["bic"].cummin()]), {}
    best = silhouettes[rows["silhouette"].idxmax()]
    sure, open_ = [], {}
    for k in passed:
        gap = silhouettes[k] - best + _NEARLY
        slack = 3 * gap.std() / np.sqrt(len(gap))
        if gap.mean() > slack:
            sure.append(k)
        elif gap.mean() > -slack:
            open_[k] = float(gap.mean())
    return sure, open_


def _tied(trials: Mapping[int, Trial]) -> list[int]:
    """Numbers whose least stable cluster is as stable as any, within the error of the resamples."""
    least = {k: (t.least.mean(), t.least.std(ddof=1) / np.sqrt(len(t.jaccard))) for k, t in trials.items()}
    top, error = max(least.values())
    return [k for k, (mean, of) in least.items() if mean >= top - 3 * np.hypot(error, of)]


def in_words(k: int, doubt: tuple[int, ...], trials: Mapping[int, Trial], table: pd.DataFrame) -> Message:
    """Say why there are so many clusters, and what other criteria would say."""
    why = _why(k, doubt, trials, table)
    other = [
        say(
            "{k} (least Jaccard {jaccard}, strength {strength}, after {n} resamples, {splits} splits)",
            k=c,
            jaccard=Number(t.least.mean(), ".3f"),
            strength=Number(t.strength.mean(), ".3f"),
            n=len(t.jaccard),
            splits=len(t.strength),
        )
        for c, t in trials.items()
        if c in doubt and c != k
    ]
    others = {
        "silhouette": ("idxmax", Term("silhouette")),
        "calinski_harabasz": ("idxmax", Term("calinski harabasz")),
        "davies_bouldin": ("idxmin", Term("davies bouldin")),
        "bic": ("idxmax", Term("bic")),
    }
    strong = [c for c, t in trials.items() if standing(t.strength, STRONG) == 1 or (t.strength >= STRONG).all()]
    votes = [
        say("prediction strength {k}", k=max(strong)) if strong else say("prediction strength none"),
        *(
            say("{criterion} {k}", criterion=word, k=table["k"][getattr(table[name], best)()])
            for name, (best, word) in others.items()
            if table[name].notna().any()
        ),
    ]
    return join(
        say("{k} clusters: {why}.", k=k, why=why),
        say("The data do not decide against {others}.", others=Listed(other, "or")) if doubt else say(""),
        say("Others would say: {votes}.", votes=Listed(votes, "")),
    )


def _why(k: int, doubt: tuple[int, ...], trials: Mapping[int, Trial], table: pd.DataFrame) -> Message:
    row = table.set_index("k").loc[k]
    ends = {"first": table["k"].min(), "last": table["k"].max()}
    passes, mixture = trials[k].standing() == 1, row.bic == row.bic
    jaccard, limit, strong = Number(row.jaccard_least, ".3f"), Number(HIGHLY_STABLE, "g"), Number(STRONG, "g")
    seen = {"jaccard": jaccard, "limit": limit, "strength": Number(row.prediction_strength, ".3f"), "strong": strong}
    one = say("the one that separates best for its number (Calinski-Harabasz)")
    if mixture:
        one = say("the one that has the best BIC")
    if passes and not (doubt and k > doubt[0]):
        least = Number(row.jaccard_least, ".2f")
        found = say("every cluster is found again (least Jaccard {least}, above {limit})", least=least, limit=limit)
        if doubt:
            found = say(
                "surely every cluster is found again (least Jaccard {least}, above {limit})", least=least, limit=limit
            )
        return say(
            "the most of {first} to {last} where {found}, holds {share} of the customers (least {smallest}) and "
            "{parted}, and one half of the customers predicts who is together in the other (strength {strength}, at "
            "least {strong})",
            **ends,
            found=found,
            share=Share(MIN_SHARE, 0),
            smallest=Share(row.smallest_share),
            parted=say("the likelihood pays for it") if mixture else say("lies nearly as far apart as any"),
            strength=Number(row.prediction_strength, ".2f"),
            strong=strong,
        )
    if trials[k].likely():
        among = say("the only number of {first} to {last}", **ends)
        if doubt:
            among = say("of {numbers} {one}", numbers=Listed(doubt), one=one)
        return say(
            "{among} among those that pass in the mean of the resamples (least Jaccard {jaccard}, limit {limit}; "
            "strength {strength}, limit {strong}), though {unsure}",
            among=among,
            **seen,
            unsure=say("whether it lies nearly as far apart as any is open") if passes else say("not beyond chance"),
        )
    none = say("no number of {first} to {last} gives clusters that are found again, large enough and predicted", **ends)
    if trials[k].standing() == 0:
        among = say("the only one that may pass")
        if doubt:
            among = say("of {numbers}, which may pass, {one}", numbers=Listed(doubt), one=one)
        return say(
            "{none}: this is {among} (least Jaccard {jaccard}, limit {limit}; strength {strength}, limit {strong}), "
            "not a finding",
            none=none,
            among=among,
            **seen,
        )
    return say(
        "{none}: this is the one whose least stable cluster is the most stable (Jaccard {jaccard}), not a finding",
        none=none,
        jaccard=Number(row.jaccard_least, ".2f"),
    )
