"""What would each offer change, and what does choosing one for each member earn?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError, require_columns, require_known
from workbench.messages import Amount, Label, Message, Span, Word, estimated, say
from workbench.methods.coding import arrange
from workbench.methods.experiment.effect import Interval
from workbench.methods.experiment.events import unanswerable
from workbench.methods.experiment.learners import Trees, by_content, crossed_effects, draw_folds, fitted_effects
from workbench.methods.experiment.members import CONTROL, crossed, features_of, numbers, require_members
from workbench.methods.resampling import Rng, one_thread
from workbench.result import Quantity, Result
from workbench.studies.uplift.allocation import (
    NOBODY,
    Allocation,
    admitted,
    by_offer,
    limits_of,
    prices,
)
from workbench.studies.uplift.policy import mean_interval, require_margin
from workbench.words import label

PARTS = 5
FEWEST_IN_ARM = 100


@dataclass(frozen=True)
class OfferValue(Result):
    """What choosing an offer for each member earns, judged on members who had no part in the choice.

    Attributes
    ----------
    net, single, advantage : Interval
        Money per customer of the list against contacting nobody: of the choice; of the best single offer to as many as
        the limits allow, drawn at random; and the difference. The single offer, too, is chosen beforehand.
    parts : DataFrame
        One row a judged part of the list: members, single (offer), share contacted, and the price of each limit.
    choice : Series
        Offer of each judged member.
    """

    net: Interval
    single: Interval
    advantage: Interval
    best_single: str
    parts: pd.DataFrame
    choice: pd.Series
    level: float
    currency: str = "yuan"
    campaign: str = ""

    def headline(self) -> Message:
        """Say whether choosing earns more than one offer for all."""
        if self.net.low == self.net.high == 0:
            return say("Nobody is chosen: no offer is expected to earn more than it costs from any member.")
        amount = Amount(self.net.estimate, unit=self.currency)
        net = say("{amount} per customer {ends}", amount=amount, ends=Span(self.net.low, self.net.high))
        if self.net.low <= 0:
            return say("No evidence that choosing an offer for each member earns anything: net {net}.", net=net)
        more = estimated(Amount(self.advantage.estimate, signed=True), self.advantage.low, self.advantage.high)
        rival = say("contacting nobody")
        if self.best_single != NOBODY:
            rival = say("'{offer}' for as many as allowed", offer=Label(self.best_single))
        if self.advantage.low <= 0:
            return say(
                "No evidence that choosing an offer for each beats {rival} ({more}); it nets {net}.",
                rival=rival,
                more=more,
                net=net,
            )
        return say(
            "Choosing an offer for each member nets {net}, {more} more than {rival}.", net=net, more=more, rival=rival
        )

    def backed(self, plan: Allocation) -> Allocation:
        """Give a plan made in the same way.

        Raises
        ------
        CannotAnswer
            If choosing is not shown to earn anything.
        """
        if not self.net.low > 0:
            raise CannotAnswer(self.headline())
        return plan

    def summary(self) -> pd.DataFrame:
        """Tabulate the money per customer of the list."""
        single = say("best single offer ({offer})", offer=Word(self.best_single))
        names = ("offer chosen for each", str(single), "difference")
        found = (self.net, self.single, self.advantage)
        rows = [(name, i.estimate, i.low, i.high) for name, i in zip(names, found, strict=True)]
        return pd.DataFrame(rows, columns=["net of", "value", "low", "high"])

    def quantities(self) -> Iterable[Quantity]:
        """Name the net of the choice and its advantage."""
        for name, found in (("net_offers", self.net), ("advantage_offers", self.advantage)):
            yield Quantity(
                f"{name}{label(self.campaign)}", found.estimate, self.currency, found.low, found.high, rtol=1e-3
            )


def predict_offers(
    members: pd.DataFrame,
    *,
    outcome: str,
    arm: str,
    features: Sequence[str],
    control: str = CONTROL,
    folds: int | None = None,
    repeats: int | None = None,
    rng: Rng = 0,
    trees: Trees | None = None,
) -> pd.DataFrame:
    """Predict for each member what each offer would change against no contact, by models that have not seen the member.

    As `predict_uplift`, with one model an offer, fitted to that offer's arm and the control arm; all arms share the
    folds, and every member gets a prediction for every offer, whichever the arm.

    Parameters
    ----------
    members : DataFrame
        One row a member; all arms of one randomised campaign.
    arm : str
        Column with the offer's name, or `control`.

    Returns
    -------
    DataFrame, index of `members`, one column an offer
        In units of the outcome.
    """
    codes, offers = _arms(members, arm, control)
    y = numbers(members, outcome)
    known = features_of(members, features, y, by_content(y, codes)[codes])
    effects = crossed_effects(known, y, codes, "x", "cross", folds, repeats, trees, rng)
    found = pd.DataFrame(effects, index=members.index, columns=offers)
    found.attrs["validation"] = "cross"
    return found


def _arms(members: pd.DataFrame, arm: str, control: str) -> tuple[np.ndarray, list[str]]:
    """Codes (0 = control, then the offers) and the offers' sorted names."""
    require_members(members, [arm])
    if members[arm].isna().any():
        raise WorkbenchError("'{column}' is missing for {n} members.").of(arm, int(members[arm].isna().sum()))
    names = members[arm].astype(str)
    known = sorted(names.unique())
    require_known("arm", control, known, where=f"'{arm}'")
    offers = [name for name in known if name != control]
    if not offers:
        raise WorkbenchError("'{arm}' holds '{control}' only: no offer to choose.").of(arm, control)
    return pd.Categorical(names, categories=[control, *offers]).codes.astype(np.int64), offers


def value_offers(
    members: pd.DataFrame,
    *,
    outcome: str,
    arm: str,
    costs: Mapping[str, float],
    margin: float,
    features: Sequence[str] | None = None,
    effects: pd.DataFrame | None = None,
    control: str = CONTROL,
    incentives: Mapping[str, float] | None = None,
    response: str | None = None,
    budget: float | None = None,
    capacity: Mapping[str, float] | None = None,
    channels: Mapping[str, str] | None = None,
    trees: Trees | None = None,
    level: float = 0.95,
    rng: Rng = 0,
    currency: str = "yuan",
    campaign: str = "",
) -> OfferValue:
    """Judge `allocate_offers` on a randomised campaign, by members who had no part in the choice.

    The list is split at random into five parts. In each but the first, offers are allocated by models of the parts
    before it (within the part's share of budget and capacity), and the outcomes of those who happened to get, or not to
    get, what was chosen for them are weighted by the arms' shares (doubly robust).

    Parameters
    ----------
    members, outcome, arm, control, trees
        As for `predict_offers`.
    features : sequence of str, or effects : DataFrame
        Columns for the models; or effects predicted without this campaign, one column an offer.
    costs : mapping of offer to money
        Cost of a contact; `incentives`, paid to those who redeem as the 0/1 column `response` tells, come on top.
    budget, capacity, channels
        For a list as long as `members`.

    Raises
    ------
    CannotAnswer
        If an arm has fewer than 100 members.

    References
    ----------
    Dudík, Langford and Li (2011), ICML. Zhou, Athey and Wager (2023), Operations Research 71.
    Luedtke and van der Laan (2016), Annals of Statistics 44.
    """
    codes, offers = _arms(members, arm, control)
    cost = by_offer(costs, offers, "costs")
    require_margin(margin)
    limits_of(offers, cost, budget, capacity or {}, channels or {})
    if np.bincount(codes).min() < FEWEST_IN_ARM:
        raise unanswerable(say("an arm has fewer than {least} members", least=FEWEST_IN_ARM))
    if (features is None) == (effects is None):
        raise WorkbenchError("give features= for models fitted here, or effects= predicted without this campaign.")
    if effects is not None and crossed(effects):
        raise WorkbenchError("effects comes from crossed folds of the campaign that is to judge it: give features=.")
    y, paid = numbers(members, outcome), _incentives(members, codes, offers, incentives, response)
    if effects is None:
        assert features is not None, "one of both was given"
        known = features_of(members, features, y, by_content(y, codes)[codes])
        x, categorical, order = known.codes, known.categorical, known.order
    else:
        require_columns(effects, offers, "effects")
        x, categorical = effects.loc[members.index, offers].to_numpy(dtype=float), []
        if not np.isfinite(x).all():
            raise WorkbenchError("effects holds missing or infinite values: leave those members out.")
        shown = members.assign(**{f"effect of {offer}": x[:, j] for j, offer in enumerate(offers)})
        order = arrange([], [], y, by_content(y, codes)[codes], shown).rows
    data = _Campaign(x[order], y[order], codes[order], paid[order], categorical, cost, margin)
    models = trees or Trees() if effects is None else None
    fold, parts = draw_folds(by_content(data.y, data.codes)[data.codes], PARTS, rng), []
    with one_thread():
        for k in range(1, PARTS):
            held = np.flatnonzero(fold == k)
            part = len(held) / len(y)
            allowed = None if budget is None else budget * part, {n: c * part for n, c in (capacity or {}).items()}
            parts.append(_judge(data, np.flatnonzero(fold < k), held, models, offers, *allowed, channels or {}))
    return _collected(parts, [*offers, NOBODY], members.index[order], level, currency, campaign)


@dataclass(frozen=True)
class _Campaign:
    """Features or effects x, outcome, arm, incentive paid by member (canonical order); cost by offer; margin."""

    x: np.ndarray
    y: np.ndarray
    codes: np.ndarray
    paid: np.ndarray
    categorical: list[int]
    cost: np.ndarray
    margin: float


@dataclass(frozen=True)
class _Judged:
    """One part: its rows, what was chosen, what rows show of its net and of the single offer's, and the prices."""

    rows: np.ndarray
    chosen: np.ndarray
    net: np.ndarray
    single: int
    single_net: np.ndarray
    prices: dict[str, float]


def _incentives(
    members: pd.DataFrame, codes: np.ndarray, offers: list[str], incentives: Mapping[str, float] | None, response
) -> np.ndarray:
    """Incentive paid for each member."""
    if incentives is None:
        return np.zeros(len(codes))
    if response is None:
        raise WorkbenchError("incentives are paid to all who redeem: name the 0/1 column that tells who in response=.")
    each = np.append(0.0, by_offer(incentives, offers, "incentives"))
    return each[codes] * numbers(members, response, role="response")


def _judge(data, before, held, models, offers, budget, capacity, channels) -> _Judged:
    """Allocate the held part by what the parts before it show, and give each of its rows' doubly robust net."""
    codes, y, count = data.codes[before], data.y[before], len(offers)
    paid = np.array([data.paid[before][codes == j + 1].mean() for j in range(count)])
    if models is None:
        base, effect = np.full(len(held), y[codes == 0].mean()), data.x[held]
    else:
        x, none = data.x[before], codes == 0
        base = models.fit(x[none], y[none], data.categorical).predict(data.x[held])
        found = fitted_effects(x, y, codes, data.categorical, "x", models)
        effect = np.column_stack([model(data.x[held]) for model in found])
    limits = limits_of(offers, data.cost + paid, budget, capacity, channels)
    worth = data.margin * effect - data.cost - paid
    price, _ = prices(worth, limits)
    chosen = admitted(worth, price, limits)
    earned = data.margin * data.y - data.paid
    share, arm = np.bincount(data.codes) / len(data.y), data.codes[held]
    without = data.margin * base
    value = np.zeros((len(held), count + 1))
    for j in range(count):
        expected = without + data.margin * effect[:, j] - paid[j]
        value[:, j] = expected - without - data.cost[j]
        value[:, j] += (arm == j + 1) * (earned[held] - expected) / share[j + 1]
        value[:, j] -= (arm == 0) * (earned[held] - without) / share[0]
    means = np.array([earned[before][codes == j].mean() for j in range(count + 1)])
    allowed = np.where(limits.use > 0, limits.allowed / np.maximum(limits.use, 1e-300) / len(held), 1.0)
    reach = np.minimum(1.0, allowed.min(axis=1, initial=1.0))
    single = np.append(reach * (means[1:] - means[0] - data.cost), 0.0)
    best = count if single.max() <= 0 else int(single.argmax())
    return _Judged(
        held,
        chosen,
        value[np.arange(len(held)), chosen],
        best,
        np.append(reach, 0.0)[best] * value[:, best],
        dict(zip(limits.names, price, strict=True)),
    )


def _collected(parts: list[_Judged], names: list[str], index: pd.Index, level, currency, campaign) -> OfferValue:
    contrasts = [
        [part.net for part in parts],
        [part.single_net for part in parts],
        [part.net - part.single_net for part in parts],
    ]
    net, of_single, advantage = (
        mean_interval(np.concatenate(rows).mean(), np.concatenate([row - row.mean() for row in rows]), level)
        for rows in contrasts
    )
    table = pd.DataFrame(
        [
            {"members": len(part.rows), "single": names[part.single], "share": (part.chosen < len(names) - 1).mean()}
            | {f"price of {name}": price for name, price in part.prices.items()}
            for part in parts
        ]
    )
    chosen = np.concatenate([part.chosen for part in parts])
    choice = pd.Series(np.array(names)[chosen], index=index[np.concatenate([part.rows for part in parts])])
    single = names[parts[-1].single]
    return OfferValue(net, of_single, advantage, single, table, choice.rename("offer"), level, currency, campaign)
