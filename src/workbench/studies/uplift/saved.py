"""Whom to contact on a *new* list? A fitted uplift model as one readable file, and what it says of a list."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import NOT_WHOLE, CannotAnswer, WorkbenchError, require_columns
from workbench.locks import whole
from workbench.messages import Amount, Listed, Message, Share, Term, as_message, estimated, join, say
from workbench.methods.boosted import Boosted, plain, restored
from workbench.methods.coding import Coding
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.learners import Learner, Trees, defaults, draw_folds, fitted_effects, standardised
from workbench.methods.experiment.members import arms, features_of, numbers
from workbench.methods.intervals import skewed
from workbench.methods.resampling import Rng, one_thread
from workbench.result import Quantity, Result
from workbench.studies.uplift.policy import require_costs
from workbench.words import label

FORMAT = 1
LARGEST = 64_000_000  # bytes of a file
BANDS = 3
JUDGED = 3
FEWEST_EVENTS = 20
FEWEST_IN_ARM = 100
NOTABLE = 0.1


@dataclass(frozen=True, eq=False)
class UpliftModel:
    """A model of who reacts, with what its campaign showed of each band of its score.

    Attributes
    ----------
    codings : tuple of Coding
        How each feature becomes codes, and the range and categories it was fitted on.
    parts : tuple of (factor, Boosted, arm or None)
        The predicted effect is the sum of factor times trees, in units of the outcome.
    bands : DataFrame
        One row a third of those above the cut, the highest scores first: `lowest` score, `members`, and of the
        members of that band, whom the model has not seen: `net` of contacting one (margin on the extra outcome
        less contact and incentives), its variance `var` and third cumulant `third`, `events` in the smaller arm.
    cut : float
        Lowest score that is contacted.
    """

    codings: tuple[Coding, ...]
    parts: tuple[tuple[float, Boosted, float | None], ...]
    bands: pd.DataFrame
    cut: float
    outcome: str
    margin: float
    contact_cost: float
    incentive_cost: float
    members: int
    currency: str = "yuan"
    campaign: str = ""

    @property
    def feature_names_in_(self) -> list[str]:
        return [coding.name for coding in self.codings]

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits: the hash of all that the file holds."""
        text = json.dumps(self._content(), sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def predict(self, batch: pd.DataFrame) -> np.ndarray:
        """Give the predicted effect of contact on each row, shape (n,), in units of the outcome.

        Raises
        ------
        WorkbenchError
            If a feature is missing or of another kind than at the fit.
        """
        require_columns(batch, self.feature_names_in_, "the list")
        slots = np.column_stack([_read(coding, batch)[0] for coding in self.codings])
        found = np.zeros(len(batch))
        for factor, model, arm in self.parts:
            asked = slots if arm is None else np.column_stack([slots, np.full(len(slots), int(arm) + 1)])
            found += factor * model(asked)
        return found

    def strange(self, batch: pd.DataFrame) -> dict[str, np.ndarray]:
        """Tell by feature which rows are unlike those it was fitted on: out of range, a new category, the first gap."""
        require_columns(batch, self.feature_names_in_, "the list")
        return {coding.name: _read(coding, batch)[1] for coding in self.codings}

    def save(self, path: str | Path) -> Path:
        """Write it as JSON; the file is whole or absent."""
        path = Path(path)
        content = {"format": FORMAT, "version": self.version, **self._content()}
        with whole(path) as part:
            part.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> UpliftModel:
        """Read a model that was saved.

        Raises
        ------
        WorkbenchError
            If there is no such file, it is too large, no whole model, of a format unknown here, or was changed.
        """
        path = Path(path)
        again = Term("Restore it, or fit it anew.")
        try:
            if path.stat().st_size > LARGEST:
                raise WorkbenchError("{path} has over {largest} MB: that is no uplift model. {again}").of(
                    path.name, LARGEST // 1000000, again
                )
            content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
            form, stated = content.pop("format", None), content.pop("version", None)
            if form != FORMAT:
                raise WorkbenchError("{path} has the format {form}; this program reads {format}. Fit it anew.").of(
                    path.name, repr(form), FORMAT
                )
            model = cls._restored(content)
        except FileNotFoundError:
            raise WorkbenchError("no uplift model at {path}. Fit one and keep it there with save().").of(path) from None
        except WorkbenchError as error:
            raise WorkbenchError("{where}: {error}").of(path.name, error) from None
        except NOT_WHOLE:
            raise WorkbenchError("{path} is not a whole uplift model. {again}").of(path.name, again) from None
        if model.version != stated:
            raise WorkbenchError("{path} calls itself '{stated}', its content is '{version}'. {again}").of(
                path.name, stated, model.version, again
            )
        return model

    def _content(self) -> dict[str, Any]:
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["codings"] = [
            {
                "name": c.name,
                "edges": None if c.edges is None else c.edges.tolist(),
                "names": list(c.names),
                "range": None if c.category else [c.low, c.high],
                "missing": c.missing,
            }
            for c in self.codings
        ]
        found["parts"] = [[factor, model.content(), arm] for factor, model, arm in self.parts]
        found["bands"] = {column: values.tolist() for column, values in self.bands.items()}
        return found

    @classmethod
    def _restored(cls, content: dict[str, Any]) -> UpliftModel:
        codings = []
        for one in content["codings"]:
            edges = None if one["edges"] is None else np.array(one["edges"], dtype=float)
            if edges is not None and not (np.isfinite(edges).all() and (np.diff(edges) > 0).all() and len(edges) < 256):
                raise WorkbenchError("the classes of '{name}' do not rise.").of(one["name"])
            low, high = (float(end) for end in one["range"] or (np.nan, np.nan))
            codings.append(Coding(str(one["name"]), edges, tuple(one["names"]), low, high, int(one["missing"])))
        parts = []
        for factor, model, arm in content["parts"]:
            trees = restored(model)
            if trees.features != len(codings) + (arm is not None) or arm not in (None, 0.0, 1.0):
                raise WorkbenchError("its trees ask for other columns than it has.")
            parts.append((float(factor), trees, arm))
        bands = pd.DataFrame(content["bands"])[["lowest", "members", "net", "var", "third", "events"]]
        amounts = [content[name] for name in ("cut", "margin", "contact_cost", "incentive_cost", "members")]
        texts = [content[name] for name in ("outcome", "currency", "campaign")]
        if not (
            np.isfinite(np.array([*amounts, *bands.to_numpy(dtype=float).ravel()], dtype=float)).all() and len(bands)
        ):
            raise WorkbenchError("a number of its money is missing.")
        if not all(isinstance(text, str) for text in texts):
            raise WorkbenchError("its outcome, currency or campaign is no text.")
        rest = {f.name: content[f.name] for f in fields(cls) if f.name not in ("codings", "parts", "bands")}
        return cls(codings=tuple(codings), parts=tuple(parts), bands=bands, **rest)


def _no_number(text: str) -> float:
    raise WorkbenchError("holds {text} where a number belongs.").of(text)


def _read(coding: Coding, batch: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Slots of a feature, and which values are unlike those of the fit."""
    column = batch[coding.name]
    if coding.category and pd.api.types.is_numeric_dtype(column) and column.notna().any():
        raise WorkbenchError("'{name}' holds numbers; the model was fitted on names, such as '{first}'.").of(
            coding.name, coding.names[0]
        )
    return coding.slots(column), coding.strange(column)


def fit_uplift(
    members: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    features: Sequence[str],
    margin: float,
    contact_cost: float,
    incentive_cost: float = 0.0,
    response: str | None = None,
    share: float | None = None,
    learner: Learner = "x",
    trees: Trees | None = None,
    rng: Rng = 0,
    currency: str = "yuan",
    campaign: str = "",
) -> UpliftModel:
    """Fit a model of who reacts to two thirds of a randomised campaign, to score lists that come later.

    Parameters
    ----------
    members, outcome, treatment, features, learner, trees, rng
        As for `predict_uplift`.
    margin, contact_cost, incentive_cost, response
        As for `targeting`.
    share : float, optional
        Share of lists like the campaign's that is to be contacted, 0-1. Without it, those whose predicted effect pays
        for contact and incentive.

    Raises
    ------
    CannotAnswer
        If an arm has fewer than 100 members, so that nothing could be said of money.

    Notes
    -----
    The last third, drawn at random within arms, is scored by this very model and says what contact earned in each band
    of its score: no member's outcome is in the score that sorts it, and the money is that of the model that is saved.
    """
    treated, y = arms(members, treatment), numbers(members, outcome)
    redeemed = numbers(members, response, role="response") if response else np.zeros(len(y))
    require_costs(margin, contact_cost, incentive_cost, 0.0, response)
    if share is not None and not 0 < share <= 1:
        raise WorkbenchError("share is {share}: give the share of the list to contact, above 0 and at most 1.").of(
            share
        )
    if (smaller := int(min(treated.sum(), (~treated).sum()))) < FEWEST_IN_ARM:
        raise unanswerable(
            say("{members} members in the smaller arm, and {least} are needed", members=smaller, least=FEWEST_IN_ARM)
        )
    arm = treated.astype(np.int64)
    known = features_of(members, features, y, arm)
    if not known.codings:
        raise WorkbenchError("no feature varies, so there is nothing to tell members apart by.")
    trees = defaults(y, arm, "cross", None, None, trees)[2]
    z, unit = standardised(y)
    order = known.order
    fold = draw_folds(arm[order], JUDGED, rng)
    fit, held = order[fold > 0], order[fold == 0]
    with one_thread():
        (effect,) = fitted_effects(known.codes[fit], z[fit], arm[fit], known.categorical, learner, trees)
    parts = tuple((unit * factor, plain(model), to) for factor, model, to in effect.parts)
    judged = unit * effect(known.codes[held])
    paying = (contact_cost + incentive_cost * redeemed[treated].mean()) / margin
    cut = paying if share is None else float(np.quantile(judged, 1 - share, method="higher"))
    earned = margin * y - incentive_cost * redeemed * treated
    return UpliftModel(
        codings=known.codings,
        parts=parts,
        bands=_bands(judged, cut, earned[held], y[held], treated[held], contact_cost),
        cut=float(cut),
        outcome=outcome,
        margin=float(margin),
        contact_cost=float(contact_cost),
        incentive_cost=float(incentive_cost),
        members=len(y),
        currency=currency,
        campaign=campaign,
    )


def _bands(
    score: np.ndarray, cut: float, earned: np.ndarray, y: np.ndarray, treated: np.ndarray, contact: float
) -> pd.DataFrame:
    """What contact earned in thirds of those above the cut, the best first, of members the model has not seen."""
    above = score[score >= cut]
    inner = np.unique(np.quantile(above, np.arange(1, BANDS) / BANDS)) if len(above) else np.zeros(0)
    lowest = np.append(inner[::-1], -np.inf)  # the last band is cut off by `cut`
    band = np.where(score >= cut, (score[:, None] < lowest).sum(axis=1), -1)
    values, counts = np.unique(y, return_counts=True)
    uncommon, rows = y != values[counts.argmax()], []
    for k in range(len(lowest)):
        one, zero = (band == k) & treated, (band == k) & ~treated
        parts = [earned[arm] for arm in (one, zero)]
        sizes = np.array([max(1, len(part)) for part in parts])
        means = [part.mean() if len(part) else 0.0 for part in parts]
        second, third = (
            np.array(
                [((part - mean) ** p).mean() if len(part) else 0.0 for part, mean in zip(parts, means, strict=True)]
            )
            for p in (2, 3)
        )
        cubes = third / sizes**2
        events = int(min((uncommon & one).sum(), (uncommon & zero).sum()))
        variance = float((second / np.maximum(1, sizes - 1)).sum())
        rows.append((int((band == k).sum()), means[0] - means[1] - contact, variance, cubes[0] - cubes[1], events))
    table = pd.DataFrame(rows, columns=["members", "net", "var", "third", "events"])
    table.insert(0, "lowest", np.where(np.isinf(lowest), -1e300, lowest))
    return table


@dataclass(frozen=True)
class ScoredList(Result):
    """What a model says of a new list.

    Attributes
    ----------
    listed, contacted, held_out : int
        Members of the list; of those whose score reaches the cut, how many are contacted and how many held out.
    net : Interval
        Money that contacting all chosen members earns against contacting none of them, expected from what contact
        earned in the campaign in the same bands of the score; NaN where its members are too few.
    strange : dict of str to int
        Members unlike those of the campaign, by feature; `unlike` is how many are in one feature or more.
    """

    listed: int
    contacted: int
    held_out: int
    net: Interval
    strange: dict[str, int]
    unlike: int
    model: str
    outcome: str
    currency: str = "yuan"
    campaign: str = ""
    level: float = 0.95
    doubts: tuple[Message, ...] = ()

    @property
    def share(self) -> float:
        return (self.contacted + self.held_out) / self.listed

    def headline(self) -> Message:
        """Say whom to contact, what that is expected to earn, and who is unlike the campaign's members."""
        worth = say(
            "{chosen} of {listed} members ({share}) are worth a contact",
            chosen=self.contacted + self.held_out,
            listed=self.listed,
            share=Share(self.share),
        )
        held = say("{found}; {n} of them are held out, drawn at random.", found=worth, n=self.held_out)
        return join(held if self.held_out else say("{found}.", found=worth), self._money(), self._unlike())

    def _money(self) -> Message:
        if self.doubts:
            return say("No money is given: {reasons}.", reasons=Listed(tuple(map(as_message, self.doubts)), ";"))
        if not self.contacted + self.held_out:
            return say("")
        money = estimated(Amount(self.net.estimate, unit=self.currency, signed=True), self.net.low, self.net.high)
        if self.net.low > 0:
            return say("Contacting all of them is expected to earn: {money}.", money=money)
        return say("Contacting all of them is not shown to earn anything: {money}.", money=money)

    def _unlike(self) -> Message:
        if not self.unlike:
            return say("")
        most = max(self.strange, key=lambda name: (self.strange[name], name))
        return say(
            "{n} members ({share}) are unlike those of the campaign, most in '{feature}' ({count}): the model knows "
            "nothing of such.",
            n=self.unlike,
            share=Share(self.unlike / self.listed),
            feature=most,
            count=self.strange[most],
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate members and money."""
        nan, net = np.nan, say("net of contacting all chosen ({unit})", unit=Term(self.currency))
        rows = [
            ("members of the list", self.listed, nan, nan),
            ("contacted", self.contacted, nan, nan),
            ("held out", self.held_out, nan, nan),
            ("unlike the campaign's members", self.unlike, nan, nan),
            (net, self.net.estimate, self.net.low, self.net.high),
        ]
        return pd.DataFrame(rows, columns=["number of", "value", "low", "high"])

    def quantities(self) -> Iterable[Quantity]:
        """Name the share and the money."""
        where = label(self.campaign)
        yield Quantity(f"list_share{where}", self.share, "share")
        if not self.doubts and self.contacted:
            yield Quantity(f"list_net{where}", self.net.estimate, self.currency, self.net.low, self.net.high, 1e-3)


class ListCounter:
    """Counts a list while it passes, batch by batch: memory does not grow with the list."""

    def __init__(self, model: UpliftModel, level: float = 0.95):
        self.model, self.level = model, level
        self.listed = self.contacted = self.held_out = self.unlike = 0
        self.strange = dict.fromkeys(model.feature_names_in_, 0)
        self.in_band = np.zeros(len(model.bands), dtype=np.int64)

    def take(self, batch: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give score, whether it reaches the cut, and whether the member is unlike the campaign's, of a batch."""
        return self.add(self.model.predict(batch), self.model.strange(batch))

    def add(self, score: np.ndarray, strange: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take a batch that was scored elsewhere: what `predict` and `strange` of the model say of it."""
        chosen = score >= self.model.cut
        band = (score[:, None] < self.model.bands["lowest"].to_numpy()).sum(axis=1)
        self.in_band += np.bincount(band[chosen], minlength=len(self.in_band))
        unlike = np.zeros(len(score), dtype=bool)
        for name, rows in strange.items():
            self.strange[name] += int(rows.sum())
            unlike |= rows
        self.listed += len(score)
        self.unlike += int(unlike.sum())
        return score, chosen, unlike

    def count(self, contacted: int, held_out: int) -> None:
        """Count who was contacted and held out of a batch."""
        self.contacted += contacted
        self.held_out += held_out

    def result(self) -> ScoredList:
        """Give what the list's members were found to be.

        Raises
        ------
        CannotAnswer
            If no member came.
        """
        if not self.listed:
            raise CannotAnswer("the list holds nobody, so there is nobody to score.")
        model, counts = self.model, self.in_band
        bands, used, doubts = model.bands, counts > 0, []
        few = bands.loc[used & (bands["events"] < FEWEST_EVENTS).to_numpy(), "events"]
        if len(few):
            doubts.append(
                say(
                    "in a third of those to contact {events} members of an arm had another than the commonest outcome, "
                    "and {least} are needed",
                    events=int(few.min()),
                    least=FEWEST_EVENTS,
                )
            )
        if self.unlike > NOTABLE * self.listed:
            share = Share(self.unlike / self.listed, 0)
            doubts.append(say("{share} of the list are unlike the campaign's members", share=share))
        net = Interval(np.nan, np.nan, np.nan)
        if not doubts:
            value = float(counts @ bands["net"])
            se = float(np.sqrt(counts**2.0 @ bands["var"]))
            if se > 0:
                low, high, _ = skewed(value, se, float(counts**3.0 @ bands["third"]) / se**3, level=self.level)
                net = Interval(value, float(low), float(high))
            elif counts.any():
                doubts.append(say("what members earned did not vary, so nothing shows how much chance moves it"))
            else:
                net = Interval(0.0, 0.0, 0.0)
        return ScoredList(
            listed=self.listed,
            contacted=self.contacted,
            held_out=self.held_out,
            net=net,
            strange={name: count for name, count in self.strange.items() if count},
            unlike=self.unlike,
            model=model.version,
            outcome=model.outcome,
            currency=model.currency,
            campaign=model.campaign,
            level=self.level,
            doubts=tuple(doubts),
        )


def score_list(
    model: UpliftModel, batches: Iterable[pd.DataFrame], *, level: float = 0.95
) -> tuple[pd.DataFrame, ScoredList]:
    """Score a list that fits into memory: each member's score, whether it is chosen or unlike; and the list's result.

    Lists of any length: `ListCounter`, or the command `workbench score`.
    """
    counter, found = ListCounter(model, level), []
    for batch in batches:
        score, chosen, unlike = counter.take(batch)
        counter.count(int(chosen.sum()), 0)
        found.append(pd.DataFrame({"uplift": score, "chosen": chosen, "unlike": unlike}, index=batch.index))
    result = counter.result()
    return pd.concat(found), result
