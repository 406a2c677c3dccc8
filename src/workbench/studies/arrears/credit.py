"""Who will not pay: credit points, and the limit before service is restricted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.columns import by_id, number, take
from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.messages import Message, Number, Share, Span, join, say
from workbench.methods.intervals import share as wilson
from workbench.methods.resampling import canonical_order
from workbench.methods.scorecard import Card, compare, fit_card
from workbench.result import COUNT, SHARE, Quantity, Result, Table, Tile

FOLDS, FEWEST = 5, 30


@dataclass(frozen=True, eq=False)
class CreditCard(Result):
    """Credit points, and how far they may be trusted.

    Attributes
    ----------
    card : Card
        Fitted on all, or as given.
    table : DataFrame
        One row a band of points, the worst first: above, to (points), customers, expected and rate (share with the
        outcome) with low, high; and limit, what may be owed before service is restricted.
    order : DataFrame
        How well card and last state alone order the outcome: auc with low, high, and ks; then their difference.
    fitted : bool
        Whether points are out of fold; a given card was not fitted on these customers.
    credited : int
        Customers whose mean bill is 0 or less, on whom no limit rests.
    """

    card: Card
    table: pd.DataFrame
    order: pd.DataFrame
    points: pd.DataFrame
    fitted: bool
    rounding: float
    level: float
    currency: str
    credited: int = 0

    NAME, COUNTS = "credit", "customers"
    CHART = say("Expected against seen, a dot with its interval a band of points")
    FORMATS = {"above": "{:,.0f}", "to": "{:,.0f}", "limit": COUNT} | dict.fromkeys(["expected", "low", "high"], SHARE)

    def headline(self) -> Message:
        """Say how well the points order, against the last state alone, and how the worst band differs from the best."""
        card, state, gain = self.order.itertuples()
        verdict = say("not significantly more than by the last state alone, {auc}", auc=Number(state.auc, ".3f"))
        if gain.low > 0:
            verdict = say(
                "against {auc} by the last state alone, {gain} {span} more",
                auc=Number(state.auc, ".3f"),
                gain=Number(gain.auc, "+.3f"),
                span=Span(gain.low, gain.high, "+.3f"),
            )
        worst, best = self.table.iloc[0], self.table.iloc[-1]
        return say(
            "{worst} of customers with the fewest points do not pay, {best} of those with the most; AUC {auc} {span}, "
            "{verdict}; {bands}.",
            worst=Share(worst["rate"]),
            best=Share(best["rate"]),
            auc=Number(card.auc, ".3f"),
            span=Span(card.low, card.high, ".3f"),
            verdict=verdict,
            bands=self._calibrated(),
        )

    def _calibrated(self) -> Message:
        told = self.table.dropna(subset="low")
        off = int(((told["expected"] < told["low"]) | (told["expected"] > told["high"])).sum())
        if off:
            return say("in {n} of {all} bands another share was seen than expected", n=off, all=len(told))
        return say("what was expected was seen in all {all} bands", all=len(told))

    def tiles(self) -> tuple[Tile, ...]:
        """What the card adds to the last state."""
        row = self.order.iloc[0]
        return (Tile(say("AUC of the credit points"), Number(row["auc"], ".3f"), Span(row["low"], row["high"], ".3f")),)

    def caption(self) -> Message:
        """Say what the table shows, with its units."""
        said = self.say(
            "Bands of points: expected and seen, and what may be owed before service is restricted ({currency}). Whole "
            "points move a probability by {rounding} at most.",
            rounding=Share(self.rounding, 2),
        )
        if not self.credited:
            return said
        apart = say(
            "Limits rest on bills that ask for money: {n} customers with a mean bill of 0 or less are not in them.",
            n=self.credited,
        )
        return join(said, apart)

    def limits(self, customers: pd.DataFrame, *, customer: str, owed: str) -> pd.DataFrame:
        """Give each customer's points, probability, limit and whether they owe more, furthest over it first.

        Where the limit of a band is not known, whether they owe more is not known either.
        """
        table = take(customers, "customers", key=customer, numbers=[owed, *self.card.features], missing="keep").table
        points = self.card.points(table)
        place = np.searchsorted(self.table["to"].fillna(np.inf), points)
        found = pd.DataFrame(
            {
                customer: table[customer].to_numpy(),
                "points": points,
                "probability": self.card.scale.probability(points),
                "owed": table[owed].fillna(0.0).to_numpy(),
                "limit": self.table["limit"].to_numpy()[place],
            }
        )
        over = (found["owed"] > found["limit"]).astype("boolean").mask(found["limit"].isna())
        beyond = found["owed"] - found["limit"].fillna(0)
        found = found.assign(over=over, beyond=beyond, first=over.astype("Float64").fillna(0.5))
        found = found.sort_values(["first", "beyond", customer], ascending=[False, False, True], ignore_index=True)
        return found.drop(columns=["first", "beyond"])

    def as_card(self) -> Table:
        """Give the card as a page shows it: add up the points of each line."""
        terms = self.card.terms
        units = [_unit(fact, self.currency) for fact in terms["feature"]]
        shown = pd.DataFrame(
            {
                "fact": terms["feature"],
                "above": terms["above"].replace(-np.inf, np.nan),
                "to": terms["to"].replace(np.inf, np.nan),
                "unit": units,
                "points": terms["points"].round(),
            }
        )
        if "n" in terms:
            shown = shown.assign(customers=terms["n"], rate=terms["events"] / terms["n"])
        said = say("The card: add up the points of each fact; a line without ends is 'not known'.")
        forms = {"above": "{:,.2f}", "to": "{:,.2f}", "points": "{:,.0f}"}
        return Table("card", shown, said, forms, "customers" if "n" in terms else None)

    def as_order(self) -> Table:
        """Give the two orders as a page shows them."""
        said = say("How well the points and the last state alone order those who do not pay.")
        return Table("credit_order", self.order, said, dict.fromkeys(["auc", "low", "high", "ks"], "{:.3f}"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw expected against seen by band, beside the line on which both are equal."""
        ax, rows = axes(ax), self.table.dropna(subset="low")
        x, y = 100 * rows["expected"], 100 * rows["rate"]
        ax.errorbar(x, y, [y - 100 * rows["low"], 100 * rows["high"] - y], fmt="o", markersize=4)
        most = float(max(x.max(), (100 * rows["high"]).max()))
        ax.plot([0, most], [0, most], color="0.6", linewidth=0.8)
        ax.set_xlabel("expected (% who do not pay)")
        ax.set_ylabel("seen (% who do not pay)")
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """AUC of the card, and what it adds to the last state."""
        for name, row in zip(("credit_auc", "state_auc", "credit_gain"), self.order.itertuples(), strict=True):
            yield Quantity(name, row.auc, "1", row.low, row.high)


def _unit(fact: str, currency: str) -> str:
    """Give the unit of a fact of the card; one of the house's own is known by its name, any other has none."""
    money = dict.fromkeys(("arrears", "billed_total", "bill_mean"), currency)
    days = dict.fromkeys(("arrears_days", "days_late_max", "days_late_last"), "days")
    return (money | days | {"late_share": "share", "tenure_months": "months", "bills_12m": "bills"}).get(fact, "")


def credit_card(
    customers: pd.DataFrame,
    outcome: str,
    *,
    customer: str,
    features: Sequence[str],
    state: str,
    bill: str | None = None,
    card: Card | None = None,
    tolerated: float = 10.0,
    months: float = 3.0,
    level: float = 0.95,
    currency: str = "currency",
) -> CreditCard:
    """Give each customer credit points, and hold them against what came.

    Parameters
    ----------
    customers : DataFrame
        One row each, facts as known on a day.
    outcome : str
        Flag: 60 days past due within the three months after that day, or what else counts as not paying.
    customer, features, state, bill : str
        Columns: key; facts, numeric; days past due on the day (the last state alone); mean bill, for the limit.
    card : Card, optional
        A card of your own (`read_card`); else one is fitted, and judged out of fold (5 folds).
    tolerated : float
        What may be lost a customer, in currency. The limit of a band is that over the upper end of its share who do not
        pay, at most `months` mean bills (of those known and above 0).

    Raises
    ------
    WorkbenchError, CannotAnswer
        If columns are not what they should be, or there are fewer than 10 events for each fact.
    """
    asked = [*features, state, *([bill] if bill else [])]
    table = take(customers, "customers", key=customer, numbers=asked, flags=[outcome], missing="keep").table
    table = table.iloc[_by_content(table, [outcome, state, *([bill] if bill else [])], features)].reset_index(drop=True)
    number(table[state], state), number(table[outcome], outcome)
    event = (table[outcome] == 1).to_numpy()
    fitted = card is None
    if card is None:
        card = fit_card(table, event, features)
        parts = _folds(event)
        points = np.zeros(len(table))
        for part in range(FOLDS):
            other = fit_card(table[parts != part], event[parts != part], features)
            points[parts == part] = other.points(table[parts == part])
    else:
        points = card.points(table)
    if not event.any() or event.all():
        raise CannotAnswer(say("not answerable: all customers have the outcome, or none."))
    chance = card.scale.probability(points)
    mean_bill = table[bill].to_numpy(float) if bill else np.full(len(table), np.inf)
    bands = _bands(points, chance, event, mean_bill, tolerated, months, level)
    order = compare({"credit points": -points, "last state alone": table[state].to_numpy()}, event, level)
    own = pd.DataFrame({customer: table[customer], "points": card.points(table)})
    own = own.iloc[by_id(own[customer])].reset_index(drop=True)
    credited = int((mean_bill <= 0).sum())
    return CreditCard(card, bands, order, own, fitted, card.rounding(table), level, currency, credited)


def _by_content(table: pd.DataFrame, first: list[str], features: Sequence[str]) -> np.ndarray:
    """Positions that sort rows by what they hold; features go by how they run with the outcome, not as they are named.

    No id, order of rows or order of features decides.
    """
    event = (table[first[0]] == 1).to_numpy()

    def runs(feature: str) -> tuple[int, int, int, str]:
        codes = pd.factorize(table[feature], sort=True)[0].astype(np.int64)
        return int(codes.max(initial=0)), int(codes[event].sum()), int((codes**2).sum()), feature

    return canonical_order(table[[*dict.fromkeys([*first, *sorted(features, key=runs)])]])


def _folds(event: np.ndarray) -> np.ndarray:
    """Draw the fold of each row, with as many events in each; rows are in the order of their content."""
    place, rng = np.empty(len(event), int), np.random.default_rng(0)
    for rows in (np.flatnonzero(event), np.flatnonzero(~event)):
        place[rng.permutation(rows)] = np.arange(len(rows))
    return place % FOLDS


def _bands(points, chance, event, mean_bill, tolerated, months, level) -> pd.DataFrame:
    ends = np.unique(np.round(np.quantile(points, [0.03, 0.1, 0.25, 0.5, 0.75])))
    place = np.searchsorted(ends, points)
    rows = []
    for k in range(len(ends) + 1):
        at = place == k
        if not at.any():
            continue
        low, high = map(float, wilson(event[at].sum(), at.sum(), level=level))
        known = mean_bill[at][mean_bill[at] > 0]  # who is credited in the mean asks for no money: no debt to limit
        limit = min(tolerated / high, months * float(known.mean())) if len(known) else np.nan
        edges = np.r_[-np.inf, ends, np.inf][k : k + 2]
        row = {"above": edges[0], "to": edges[1], "customers": int(at.sum()), "expected": chance[at].mean()}
        rows.append(row | {"rate": event[at].mean(), "low": low, "high": high, "limit": limit})
    table = pd.DataFrame(rows).replace([-np.inf, np.inf], np.nan)
    few = table["customers"] < FEWEST
    return table.assign(**{c: table[c].mask(few) for c in ("low", "high", "limit")})
