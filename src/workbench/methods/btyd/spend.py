"""How much does a customer spend each time? The Gamma-Gamma model, which pulls short histories to the mean of all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import digamma, gammaln
from scipy.stats import spearmanr

from workbench.errors import CannotAnswer
from workbench.figures import Axes, axes
from workbench.messages import Count, Message, Number, Span, Term, join, say
from workbench.methods.btyd.maximum import Maximum, maximise
from workbench.methods.btyd.purchases import FEWEST_REPEATERS, histories, left_out
from workbench.result import Quantity, Result, Tile


@dataclass(frozen=True, eq=False)
class GammaGamma(Result):
    """A fitted model of the amount a purchase, over those who bought again.

    Attributes
    ----------
    fit : Maximum
        Parameters p, q, v.
    customers : DataFrame
        One row a customer, sorted: the customer's column, repeats, mean_amount (a repeat day; missing without repeats),
        expected (amount a purchase to come), low, high (of that expectation).
    mean : tuple of float
        Expected amount a purchase of a customer not known yet, with its interval.
    correlation : float
        Rank correlation of repeats and mean amount among repeaters, which the model takes as none; NaN where all came
        equally often.
    """

    fit: Maximum
    customers: pd.DataFrame
    mean: tuple[float, float, float]
    correlation: float
    set_aside: dict[str, int]
    currency: str = "yuan"

    NAME, PICTURE, CHART = "spend", "amounts", say("Dots, one a customer, beside a diagonal")
    CAPTION = "Parameters of the amount of a purchase ({unit})."

    @property
    def params(self) -> pd.DataFrame:
        """One row a parameter: estimate, low, high."""
        return self.fit.params

    def headline(self) -> Message:
        """Say what a purchase brings, and whether amount and frequency are as independent as the model has them."""
        mean, low, high = self.mean
        related = say("All came equally often, so nothing tells whether amount and frequency are related.")
        if np.isfinite(self.correlation):
            related = say(
                "Rank correlation of amount and frequency {correlation}, taken as none.",
                correlation=Number(self.correlation, ".2f"),
            )
        text = say(
            "A purchase brings {mean} {unit} {span} on average over customers, from {again} who bought again.",
            mean=Number(mean, ".2f"),
            unit=Term(self.currency),
            span=Span(low, high, ".2f"),
            again=int((self.customers["repeats"] > 0).sum()),
        )
        return join(text, related, left_out(self.set_aside))

    def tiles(self) -> tuple[Tile, ...]:
        """Give what a purchase brings, and from how many that is known."""
        mean, low, high = self.mean
        again = int((self.customers["repeats"] > 0).sum())
        return (
            Tile(
                say("a purchase brings, {unit}", unit=Term(self.currency)), Number(mean, ".2f"), Span(low, high, ".2f")
            ),
            Tile(say("customers who bought again"), Count(again)),
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the parameters and the expected amount."""
        return self.fit.table({"amount a purchase": self.mean})

    def picture_caption(self) -> Message:
        """Say what the picture shows."""
        return join(say("Amounts."), self.headline())

    def quantities(self) -> Iterable[Quantity]:
        """The expected amount a purchase."""
        yield Quantity("amount_per_purchase", self.mean[0], self.currency, *self.mean[1:], rtol=1e-4)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw expected against past mean amount: the fewer the purchases, the more it is pulled to the mean."""
        ax = axes(ax)
        rows = self.customers[self.customers["repeats"] > 0]
        ax.scatter(rows["mean_amount"], rows["expected"], s=4 + 2 * np.minimum(rows["repeats"], 20), alpha=0.4)
        ax.axline((0, 0), slope=1, color="0.6", linewidth=1)
        ax.set_xlabel(self.say("mean amount a repeat purchase so far ({currency})"))
        ax.set_ylabel(self.say("expected amount a purchase ({currency})"))
        return ax


def fit_gamma_gamma(
    purchases: pd.DataFrame,
    *,
    customer: str,
    when: str,
    amount: str,
    until: object,
    level: float = 0.95,
    currency: str = "yuan",
) -> GammaGamma:
    """Fit how the amount a purchase varies within and between customers.

    Parameters
    ----------
    purchases, customer, when, until
        As in `fit_btyd`.
    amount : str
        Column in currency, refunds below 0: they are taken off the purchases before them. A customer's first day is not
        used.
    level : float
        Coverage of the intervals, 0-1.

    Raises
    ------
    CannotAnswer
        If fewer than 10 customers bought again, or amounts are alike, or so far apart that they have no mean (q <= 1).

    References
    ----------
    Fader and Hardie (2013), The gamma-gamma model of monetary value.

    Examples
    --------
    Who spent much is expected to spend less next time, who spent little more:

    >>> days = pd.date_range("2026-01-01", periods=4).to_numpy()
    >>> yuan = np.repeat(np.geomspace(5, 50, 20), 4) * np.tile([1, 0.8, 1, 1.2], 20)
    >>> table = pd.DataFrame({"who": np.repeat(range(20), 4), "on": np.tile(days, 20), "yuan": yuan})
    >>> fit = fit_gamma_gamma(table, customer="who", when="on", amount="yuan", until="2026-03-01")
    >>> (fit.customers["expected"] > fit.customers["mean_amount"]).iloc[[0, -1]].tolist()
    [True, False]
    """
    known = histories(purchases, customer=customer, when=when, amount=amount, until=until)
    again = known.x > 0
    if again.sum() < FEWEST_REPEATERS:
        raise CannotAnswer("only {again} of {all} customers bought again; {needed} are needed.").of(
            int(again.sum()), len(again), FEWEST_REPEATERS
        )
    x, z = known.x[again].astype(float), known.mean_amount[again]

    def likelihood(theta: np.ndarray) -> tuple[float, np.ndarray]:
        p, q, v = np.exp(theta)
        px, whole = p * x, v + x * z
        log_rest, log_spent = np.log(v / whole), np.log(x * z / whole)
        value = gammaln(px + q) - gammaln(px) - gammaln(q) + q * log_rest + px * log_spent - np.log(z)
        both = digamma(px + q)
        to_p, to_q = px * (both - digamma(px) + log_spent), q * (both - digamma(q) + log_rest)
        return value.sum(), np.array([to_p.sum(), to_q.sum(), (q - v * (px + q) / whole).sum()])

    fit = maximise(likelihood, np.log([2.0, 3.0, z.mean()]), ("p", "q", "v"), "Gamma-Gamma", level)
    if fit.theta[1] < 1e-3:
        raise CannotAnswer(
            "amounts differ so widely that their mean is infinite by Gamma-Gamma (q = {q}, not above 1). Look for a "
            "few huge amounts, or fit kinds of customers apart."
        ).of(Number(np.exp(fit.theta[1]), ".2f"))
    repeats, spent = np.append(known.x, 0), np.append(known.x * np.nan_to_num(known.mean_amount), 0)

    def expected(theta: np.ndarray) -> np.ndarray:
        p, q, v = np.exp(theta)
        found: np.ndarray = np.log(p * (v + spent) / (p * repeats + q - 1))
        return found

    ends = fit.ends(expected)
    table = pd.DataFrame({customer: known.ids, "repeats": known.x, "mean_amount": known.mean_amount})
    table[["expected", "low", "high"]] = ends[:, :-1].T
    related = float(spearmanr(x, z).statistic) if np.ptp(x) and np.ptp(z) else np.nan
    return GammaGamma(fit, table, tuple(ends[:, -1].tolist()), related, known.set_aside, currency)
