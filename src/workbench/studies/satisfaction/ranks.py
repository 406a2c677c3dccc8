"""Who is first, and would other weights change it? Ranks of operators, and their index by their own weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.figures import Axes, axes, ink_on
from workbench.messages import Listed, Message, Number, Share, Span, as_message, join, say, spelt
from workbench.methods.cells import cell_name, listed, one_cell, plain, some_cells
from workbench.methods.plspm import PathModel, PlsFit
from workbench.methods.plspm.batch import Layout, index_points
from workbench.methods.plspm.fit import fit_answers, refuse_unconverged
from workbench.methods.plspm.replicates import resample
from workbench.methods.ranks import rank_ends
from workbench.methods.resampling import Rng, fixed, interval, standard_error
from workbench.result import Quantity, Result
from workbench.studies.satisfaction.gaps import of_construct, operator_groups, unseen
from workbench.studies.satisfaction.index import Respondents, SatisfactionIndex, cell_points, satisfaction_index
from workbench.studies.satisfaction.weighting import Margins

SAID = 4


@dataclass(frozen=True, eq=False)
class OperatorRanks(Result):
    """Which rank each operator may have within each service.

    Attributes
    ----------
    table : DataFrame
        One row an operator, best first within each service: the other columns of the index's cells, operator, index,
        rank (1 is the highest index), rank_low, rank_high (all true ranks of a service lie within these ends together
        in `level` of surveys), probability_1, probability_2 … (share of the resamples in which it has that rank).
    """

    table: pd.DataFrame
    construct: str
    level: float

    NAME, FORMATS = "ranks", {"index": "{:.1f}"}
    CHART = say("Stacked bars, a row an operator")
    PICTURE_CAPTION = "How often each operator takes each rank when the survey is drawn again: one colour, one rank."
    CAPTION = "Ranks in {construct} that remain possible ({level}), and shares of the resamples."

    @property
    def others(self) -> list[str]:
        """Columns of the cells besides the operator."""
        return list(self.table.columns[: self.table.columns.get_loc("operator")])

    def headline(self) -> Message:
        """Say who is first in each service and whether that and the order of the others is certain."""
        services = list(self.table.groupby(self.others, sort=False)) if self.others else [((), self.table)]
        if len(services) > SAID:
            sure = sum(int(rows["rank_high"].iloc[0] == 1) for _, rows in services)
            return self.say(
                "The lead in {construct} is significant at {level} in {sure} of {n} groups of {columns}; elsewhere it "
                "cannot be told who is first.",
                sure=sure,
                n=len(services),
                columns=Listed(map(spelt, self.others), ""),
            )
        return join(*(self._said(where, rows) for where, rows in services))

    def _said(self, where: Sequence[object], rows: pd.DataFrame) -> Message:
        first = rows.loc[rows["rank"] == 1, "operator"].astype(str)
        lead, order = self._lead(rows.iloc[0], first), self._order(rows.iloc[len(first) :])
        said = say("{lead}; {order}.", lead=lead, order=order) if order else say("{lead}.", lead=lead)
        return say("{cell}: {said}", cell=one_cell(where), said=said) if len(where) else said

    def _lead(self, top: pd.Series, first: pd.Series) -> Message:
        if len(first) > 1:
            return self.say(
                "{operators} share the first place in {construct}; which of them is first cannot be told at {level}",
                operators=Listed(first, ""),
            )
        lead = self.say("{operator} is first in {construct}", operator=first.iloc[0])
        if np.isfinite(top["probability_1"]):
            lead = say("{lead} in {often} of resamples", lead=lead, often=Share(top["probability_1"], 0))
        if top["rank_high"] == 1:
            return self.say("{lead}; its lead is significant at {level}", lead=lead)
        return self.say("{lead}; its lead is not significant at {level}", lead=lead)

    def _order(self, rest: pd.DataFrame) -> Message:
        if len(rest) < 2:
            return say("")
        if (rest["rank_high"].to_numpy()[:-1] < rest["rank_low"].to_numpy()[1:]).all():
            return say("the order of the others is significant")
        if rest["rank_high"].min() < rest["rank_low"].max():
            return say("some of the others cannot be ranked")
        return say("the others cannot be ranked")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the shares of the ranks as bars, rank 1 darkest."""
        ax = axes(ax)
        places = np.arange(len(self.table))[::-1]
        shares = self.table.filter(like="probability_").to_numpy()
        left = np.zeros(len(self.table))
        for rank, share in enumerate(shares.T):
            colour = 1 - np.array([1, 0.55, 0.3]) * (0.98 - 0.83 * rank / max(shares.shape[1] - 1, 1))
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 9, "color": ink_on(colour)}
            ax.barh(places, share, left=left, color=colour)
            for place, start, width in zip(places, left, share, strict=True):
                if width > 0.08:
                    ax.annotate(f"{rank + 1}", (start + width / 2, place), **style)
            left += share
        ax.set_yticks(places, [cell_name(row) for row in self.table[[*self.others, "operator"]].to_numpy()])
        ax.set_xlim(0, 1)
        ax.set_xlabel(self.say("share of the resamples with that rank in {construct}"))
        return ax

    def quantities(self) -> Iterable[Quantity]:
        """Name the share of resamples in which each operator is first."""
        for row in self.table.to_dict("records"):
            cell = "".join(f"{c}={row[c]}," for c in self.others)
            name = f"rank_first[{cell}operator={row['operator']},construct={self.construct}]"
            yield Quantity(name, row["probability_1"], "share", rtol=0.1)


@dataclass(frozen=True, eq=False)
class OwnWeights(Result):
    """The index by the pooled weights, and by those of each operator's own customers.

    Attributes
    ----------
    table : DataFrame
        One row a cell and construct: the cells' columns, construct, pooled, own, difference (own - pooled; points), se,
        low, high. NaN where an own weight is negative.
    without : tuple of operators
        Those whose own respondents answer too much alike for weights of their own.
    """

    table: pd.DataFrame
    fits: dict[object, PlsFit]
    by: tuple[str, ...]
    operator: str
    construct: str
    level: float
    without: tuple[object, ...] = ()

    def headline(self) -> Message:
        """Say how much the weights matter, and whether it changes who is ahead."""
        rows = self.table[self.table["construct"] == self.construct].dropna(subset=["difference"])
        alone = say("")
        if self.without:
            alone = say(
                "No weights of their own (answers hardly vary): {operators}.",
                operators=Listed(map(str, self.without), ""),
            )
        if rows.empty:
            none = self.say("{construct} has no index by the operators' own weights: some are negative.")
            return join(none, alone)
        top = rows.loc[rows["difference"].abs().idxmax()]
        clear = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
        others = [c for c in self.by if c != self.operator]
        groups = rows.groupby(others) if others else [((), rows)]
        swapped = [
            where if isinstance(where, tuple) else (where,)
            for where, group in groups
            if (group["pooled"].rank() != group["own"].rank()).any()
        ]
        order = say("the order of the operators stays the same")
        if swapped:
            order = say("the order of the operators changes in {cells}", cells=some_cells(swapped, len(swapped)))
        moved = self.say(
            "By its own customers' weights the {construct} index of an operator moves by at most {most} points "
            "({cell}: {difference} {span}); {clear} of {n} differences are significant, and {order}.",
            most=Number(abs(top["difference"]), ".2f"),
            cell=one_cell(top[list(self.by)]),
            difference=Number(top["difference"], "+.2f"),
            span=Span(top["low"], top["high"], "+.2f", self.level),
            clear=clear,
            n=len(rows),
            order=order,
        )
        return join(moved, alone)


def operator_ranks(index: SatisfactionIndex, *, operator: str = "operator") -> OperatorRanks:
    """Rank the operators within each service, with the ranks that sampling error leaves possible.

    rank_low and rank_high come from intervals of all gaps of the service at once, as wide as the largest standardised
    error of a gap is in `level` of the resamples: an operator ranks behind those that are surely better.

    Parameters
    ----------
    index, operator
        As for `operator_gaps`.

    Raises
    ------
    WorkbenchError, CannotAnswer
        As `operator_gaps`.

    Warning
    -------
    The share of resamples with a rank is no test: among equal operators it is anything between 0 and 1.

    References
    ----------
    Mogstad, Romano, Shaikh & Wilhelm (2024), Inference for ranks with applications to mobility across neighbourhoods
    and academic achievement across countries, Review of Economic Studies 91(1).
    """
    level, construct = index.level, index.construct
    estimate, replicates = of_construct(index)
    others, groups = operator_groups(index, operator)
    most = max(map(len, groups))
    hidden, df = unseen(index), np.array([m.df for m in index.of(construct)])
    frames = []
    for rows in groups:
        value, drawn = estimate[rows], replicates[:, rows]
        low, high = rank_ends(value, drawn, level, hidden=hidden[rows], df=df[rows])
        drawn = drawn[~np.isnan(drawn).any(axis=1)]
        rank = 1 + (value[:, None] < value).sum(axis=1)
        seen = 1 + (drawn[:, :, None] < drawn[:, None, :]).sum(axis=2)
        frame = index.cells.loc[rows, others].assign(operator=index.cells.loc[rows, operator], index=value, rank=rank)
        frame = frame.assign(rank_low=low, rank_high=high)
        shares = {f"probability_{r}": (seen == r).mean(axis=0) for r in range(1, most + 1)}
        frames.append(frame.assign(**shares).sort_values(["rank", "operator"]))
    return OperatorRanks(pd.concat(frames, ignore_index=True), construct, level)


def own_weights(
    survey: pd.DataFrame,
    model: PathModel,
    *,
    operator: str = "operator",
    by: Sequence[str] = ("operator", "service"),
    weight: str | None = "weight",
    strata: Sequence[str] = (),
    clusters: Sequence[str] = (),
    construct: str = "Satisfaction",
    resamples: int = 1000,
    level: float = 0.95,
    minimum: int = 30,
    margins: Margins | None = None,
    rng: Rng = 0,
) -> OwnWeights:
    """Compute the index of each operator by weights fitted to its own customers, beside the pooled one.

    The pooled index measures all with the same weights; own weights count what each operator's customers find
    important. Both come from the same resamples, so the interval is that of the difference.

    Parameters
    ----------
    operator : str
        Column of `by` that names the operator.
    survey, model, by, weight, strata, clusters, construct, resamples, level, minimum, margins, rng
        As for `satisfaction_index`.

    Raises
    ------
    WorkbenchError
        If `operator` is not among `by`.
    CannotAnswer
        If there is one operator only, or PLS does not converge on any operator's respondents.
    """
    by = listed(by)
    if operator not in by:
        raise WorkbenchError("operator='{operator}' is not among by={names}. Add it.").of(operator, by)
    if operator in survey and len(set(map(str, survey[operator]))) == 1:
        raise CannotAnswer(
            "not answerable: '{operator}' has one value, whose own weights are the pooled ones. Take two or more."
        ).of(operator)
    rng = fixed(rng)
    index = satisfaction_index(
        survey,
        model,
        by=by,
        weight=weight,
        strata=strata,
        clusters=clusters,
        construct=construct,
        resamples=resamples,
        level=level,
        minimum=minimum,
        margins=margins,
        rng=rng,
    )
    strata, clusters = listed(strata), listed(clusters)
    survey = plain(survey, [*by, *strata, *clusters])
    people, layout = Respondents.of(survey, model, weight, by, margins, None, strata, clusters), Layout(model)
    estimate, drawn, fits = np.full_like(index.estimate, np.nan), np.full_like(index.replicates, np.nan), {}
    signs = index.fit.weights.to_numpy()
    without: dict[object, Message] = {}
    whose = people.counted.cells[operator].to_numpy()[people.counted.cell]
    for name in dict.fromkeys(index.cells[operator]):
        inside, rows = whose == name, (index.cells[operator] == name).to_numpy()
        try:
            fits[name] = fit_answers(people.counted.part(inside), model, along=signs)
            refuse_unconverged(fits[name])
            blocks = (block[:, inside] for block in people.rows(resamples, rng))
            found = resample(people.drawn.part(inside), fits[name], blocks)
        except CannotAnswer as problem:
            fits.pop(name, None)
            without[name] = say(
                "{operator} {name} alone: {problem}",
                operator=operator,
                name=str(name),
                problem=as_message(problem.args[0]),
            )
            continue
        own = fits[name].unstandardised_weights.to_numpy()
        estimate[rows] = index_points(layout, people.counted, own, index.item_mean[rows])
        estimate[np.ix_(rows, fits[name].index.isna())] = np.nan
        drawn[:, rows] = cell_points(layout, people.counted, found.weights, index.item_means[:, rows])
    if not fits:
        raise CannotAnswer("{text}").of(Listed(without.values(), ";"))
    return OwnWeights(_both(index, estimate, drawn), fits, index.by, operator, construct, level, tuple(without))


def _both(index: SatisfactionIndex, own: np.ndarray, drawn: np.ndarray) -> pd.DataFrame:
    apart = (own - index.estimate).ravel()
    change = (drawn - index.replicates).reshape(len(drawn), -1)
    low, high = interval(apart, change, level=index.level)
    blank = np.isnan(apart)
    low[blank], high[blank] = np.nan, np.nan
    table = index.table[[*index.by, "construct"]].assign(pooled=index.estimate.ravel(), own=own.ravel())
    return table.assign(difference=apart, se=np.where(blank, np.nan, standard_error(change)), low=low, high=high)
