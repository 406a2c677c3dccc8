"""What does each rule find, what does it add to the others, and which are worth the cases that they send?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from workbench.columns import day
from workbench.errors import CannotAnswer, WorkbenchError, require_columns
from workbench.figures import Axes, axes
from workbench.messages import Amount, Count, Listed, Message, Named, Number, Share, Span, Term, as_message, join, say
from workbench.methods import intervals
from workbench.result import COUNT, SHARE, Decision, Quantity, Result, Table, Tile
from workbench.studies.fraud.order import (
    ADVICE,
    KEEP,
    LOOK,
    PRICELESS,
    RETIRE,
    best_order,
    counts,
    overlap,
    share_of,
    worklist,
)
from workbench.studies.fraud.rulebase import THRESHOLD, RuleBase
from workbench.studies.fraud.verdicts import EXPOSED, LINE, WINDOW, Verdicts, verdicts

FACTORS = (0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)
MANY = 3
"""Rules from which on a decision gives their number alone: their names stand in the table of rules."""
_MONEY = dict.fromkeys([EXPOSED, "found", "net_case", "net_case_most"], COUNT)
_SHARES = dict.fromkeys(
    [
        "precision",
        "low",
        "high",
        "audit_precision",
        "audit_low",
        "audit_high",
        "recall",
        "recall_low",
        "recall_high",
        "rest",
        "of_rule",
        "of_other",
    ],
    SHARE,
)
_COUNTS = dict.fromkeys(
    ["hits", "decided", "fraud", "audited", "audit_fraud", "unknown", "both", "cases", "worked", "place"], COUNT
)


@dataclass(frozen=True, eq=False)
class RuleHits(Result):
    """What each rule finds, alone and after the others.

    Attributes
    ----------
    table : DataFrame
        One row a rule, in the order of the file: rule, hits (lines), exposed (money at stake on them), decided and
        fraud (verdicts on its hits that rules sent), precision, low, high; lift over the base rate; audited,
        audit_precision, audit_low, audit_high (the same on the random audit); recall, recall_low, recall_high (of the
        frauds that the audit found; where it found none recall_low alone: its known frauds of those that there are at
        the upper end of the audit); unknown (lines on which a value is missing).
    order : DataFrame
        One row a rule, best first, each judged on the lines that those before it leave: place, rule, hits, exposed,
        decided, fraud, precision, low, high (verdicts of rules and audit), found (loss of the frauds among them, each
        of which none is recorded counted at the mean of the others), unpriced (how many these are), net_case (that a
        case, less its cost: if all that are not decided are honest), net_case_most (at the upper end of the precision),
        cases (so far), worked (of its own, that the capacity reaches), rest (base rate of what was left, by the audit),
        advice.
    overlap, trend, curve : DataFrame
        One row a pair of rules (both, of_rule, of_other), a rule and window, a rule and threshold.
    worklist : DataFrame
        One row a line that a rule finds, in the order in which they are looked at: the line, rule, exposed, rules (how
        many find it).
    base, missed, told : tuple of int
        Frauds and lines of the audit; the same of the lines that no rule finds; frauds that tips told of, and how many
        of them a rule finds.
    lines, days, per_day : int
        All lines; days that the windows cover; cases that can be looked at a day.
    case_cost : float
    rules : RuleBase
    set_aside : dict of str to int
        Cases that say nothing here.
    """

    table: pd.DataFrame
    order: pd.DataFrame
    overlap: pd.DataFrame
    trend: pd.DataFrame
    curve: pd.DataFrame
    worklist: pd.DataFrame
    base: tuple[int, int]
    missed: tuple[int, int]
    told: tuple[int, int]
    lines: int
    days: int
    per_day: float
    case_cost: float
    rules: RuleBase
    currency: str = ""
    level: float = 0.95
    set_aside: dict[str, int] = field(default_factory=dict)

    NAME: ClassVar[str] = "rule_hits"
    PICTURE: ClassVar[str] = "best_order"
    FORMATS = _MONEY | _SHARES | _COUNTS | {"lift": "{:.1f}"}
    CHART: ClassVar[str] = say("Bars of confirmed fraud, a row a rule, the best above")
    CAPTION: ClassVar[str] = (
        "What each rule finds alone, also what others find too. Decided, fraud and precision are of cases that rules "
        "sent, without the audit, and may flatter."
    )
    PICTURE_CAPTION: ClassVar[str] = (
        "Confirmed fraud that each rule adds to those above it, less what its cases cost; grey where the capacity does "
        "not reach all of its lines."
    )

    def _a_day(self) -> Number:
        return Number(self.per_day, ",.0f" if self.per_day >= 100 or self.per_day % 1 == 0 else ".3g")

    def advised(self, *advice: str) -> list[Message]:
        """Name the rules of some advice, in the best order."""
        return [say("'{rule}'", rule=self._name(row.rule)) for row in self.order.itertuples() if row.advice in advice]

    def _name(self, rule: str) -> Named:
        return next(one for one in self.rules.rules if one.id == rule).named()

    def headline(self) -> Message:
        """Say which rules earn their keep and what they find, which do not, and how often a line cheats at all."""
        kept = self.order[self.order["advice"] == KEEP]
        retired = self.advised(*RETIRE)
        amount = Amount(float(kept["found"].sum()), unit=self.currency)
        first = say(
            "{n} of {all} rules earn their keep: {amount} of fraud is confirmed on the lines they find.",
            n=len(kept),
            all=len(self.order),
            amount=amount,
        )
        if not len(kept):
            first = say("No rule of {all} is known to earn its keep.", all=len(self.order))
        drop = say("To be retired: {rules}.", rules=Listed(retired, "")) if retired else say("")
        fraud, audited = self.base
        low, high = intervals.share(fraud, audited, level=self.level)
        rate = say(
            "Of {n} lines audited at random, {fraud} cheated: {share} {span} of all.",
            n=audited,
            fraud=fraud,
            share=Share(fraud / max(audited, 1)),
            span=Span(float(low), float(high), ".1%"),
        )
        if not audited:
            rate = say("No line was audited at random: how often lines cheat is unknown.")
        frauds, gone = int(self.order["fraud"].sum()), int(self.order["unpriced"].sum())
        lost = (
            say(
                "Of {fraud} frauds that the rules find, {n} have no recorded loss, or one below 0: they count at the "
                "mean of the others.",
                fraud=frauds,
                n=gone,
            )
            if 0 < gone < frauds
            else say("")
        )
        if 0 < gone == frauds:
            lost = say("None of the {fraud} frauds that the rules find has a recorded loss.", fraud=frauds)
        told, seen = self.told
        tips = say("Of {n} frauds that tips told of, rules find {seen}.", n=told, seen=seen) if told else say("")
        return join(first, lost, drop, rate, self._missed(), tips)

    def _missed(self) -> Message:
        """Say how much fraud the rules may miss, by the audit of the lines that none of them finds."""
        fraud, audited = self.missed
        if not audited:
            return say("")
        high = float(intervals.share(fraud, audited, level=self.level)[1])
        rest, known = self.lines - len(self.worklist), int(self.order["fraud"].sum())
        return say(
            "Of {n} audited lines that no rule finds, {fraud} cheated: at most {high} of such lines do ({most}), so "
            "rules find {recall} of all frauds or more ({known} are confirmed).",
            n=audited,
            fraud=fraud,
            high=Share(high),
            most=Count(high * rest),
            known=known,
            recall=Share(known / max(known + high * rest, 1)),
        )

    def tiles(self) -> tuple[Tile, ...]:
        """Lines found, money found, how often they are right, and how much of all fraud they find."""
        worked, (fraud, decided) = self.order["worked"].sum(), self._decided()
        low, high = intervals.share(fraud, decided, level=self.level)
        right = say("unknown") if not decided else say("{text}", text=Share(fraud / decided, 0))
        money = float(self.order.loc[self.order["advice"] == KEEP, "found"].sum())
        return (
            Tile(say("confirmed fraud, rules kept ({currency})", currency=Term(self.currency)), Count(money)),
            Tile(say("lines to look at"), Count(worked), say("of {n} found", n=len(self.worklist))),
            Tile(say("decided lines that cheat"), right, Span(float(low), float(high), ".0%") if decided else None),
        )

    def decision(self) -> Decision:
        """Say in which order the rules are worked, and which are retired or need verdicts first."""
        do = []
        if kept := self.advised(KEEP):
            do.append(
                say(
                    "Work the cases of {rules} first: {n} a day reach {share} of lines found.",
                    rules=Listed(kept, ""),
                    n=self._a_day(),
                    share=Share(self._reach(), 0),
                )
            )
        if retired := self.advised(*RETIRE):
            do.append(say("Retire {rules}.", rules=Listed(retired)))
        if 0 < len(look := self.advised(LOOK)) < MANY:
            do.append(say("Decide more cases of {rules} before judging them.", rules=Listed(look)))
        elif look:
            do.append(say("Decide more cases of {n} further rules before judging them.", n=len(look)))
        if gone := self.advised(PRICELESS):
            do.append(say("Record the losses of the frauds of {rules} before judging them.", rules=Listed(gone)))
        do = do or [say("Go on watching: no rule finds a line.")]
        return Decision(tuple(do), say("a larger random audit, or other costs."))

    def ordered(self) -> Table:
        """Give the rules in the best order, each judged on what those before it leave."""
        caption = say(
            "Rules in the best order, each judged on the lines that those before it leave: what others above it find "
            "earns it nothing. Decided, fraud and precision are of cases that rules and the audit sent. Net a case: "
            "the loss confirmed less the {cost} that it costs, as if all not decided were honest; at most, at the "
            "upper end of the precision. Worked: cases that {n} a day reach.",
            cost=Amount(self.case_cost, unit=self.currency),
            n=self._a_day(),
        )
        dropped = ["place", EXPOSED, "cases", "advice", "unpriced"]
        if self.order["rest"].notna().any():
            caption = join(caption, say("Rest: frauds among the lines left, by the audit."))
        else:
            dropped.append("rest")
        shown = self.order.drop(columns=dropped)
        shown.insert(1, "advice", [ADVICE[advice] for advice in self.order["advice"]])
        return self._table("rule_order", shown, caption)

    def overlaps(self) -> Table:
        """Give the pairs of rules that find the same lines, most alike first."""
        caption = say("Rules that find the same lines: share of the hits of each that the other finds too.")
        return self._table("rule_overlap", self.overlap, caption)

    def trends(self) -> Table:
        """Give hits and precision by window."""
        return self._table(
            "rule_trend",
            self.trend,
            say("Hits and precision of each rule by window, of cases that rules and the audit sent."),
        )

    def curves(self) -> Table:
        """Give hits and precision at other thresholds."""
        caption = say(
            "What each rule would find at half to twice its threshold, on the same lines; precision of cases that "
            "rules and the audit sent."
        )
        return self._table("rule_threshold", self.curve, caption, {"threshold": "{:,.4g}"})

    def as_table(self) -> Table:
        """Give what each rule finds alone."""
        shown = self.table.dropna(axis=1, how="all")
        beside = say("Beside it the same on the random audit.") if "audit_precision" in shown else say("")
        caught = say("Recall is of the frauds that the audit found.") if "recall" in shown else say("")
        if "recall" not in shown and "recall_low" in shown:
            caught = say("The audit found no fraud: recall is said by its lower end alone.")
        return self._table(self.NAME, shown, join(as_message(self.caption()), beside, caught))

    def _table(self, name: str, frame: pd.DataFrame, caption: str, formats: Mapping[str, str] = {}) -> Table:
        if {"rule", "hits"} <= {*frame} and frame["rule"].duplicated().any():
            frame = frame[frame.groupby("rule")["hits"].transform("max") > 0]
        words = {c: [say("{text}", text=self._name(r)) for r in frame[c]] for c in ("rule", "other") if c in frame}
        forms = {c: form for c, form in (self.FORMATS | dict(formats)).items() if c in frame}
        return Table(name, frame.assign(**words), caption, forms, minimum=0)

    def rest(self, lines: pd.DataFrame) -> pd.DataFrame:
        """Give the rows of the lines that no rule finds."""
        return lines[~lines[LINE].astype(str).isin(self.worklist[LINE].astype(str))]

    def quantities(self) -> Iterable[Quantity]:
        """Precision and recall of each rule, and how often a line cheats."""
        for r in self.table.itertuples():
            if r.decided:
                yield Quantity(f"rule_precision[rule={r.rule}]", r.precision, "share", r.low, r.high)
        for r in self.order.itertuples():
            yield Quantity(f"rule_marginal_hits[rule={r.rule}]", float(r.hits), "lines")
        yield Quantity("rules_reach", self._reach(), "share")
        named = (("rules_precision", self._decided()), ("fraud_share", self.base), ("fraud_share_missed", self.missed))
        for name, (fraud, of) in named:
            if of:
                low, high = intervals.share(fraud, of, level=self.level)
                yield Quantity(name, float(fraud / of), "share", float(low), float(high))

    def _decided(self) -> tuple[int, int]:
        """Frauds, and lines decided, among those that rules find."""
        kept = self.order[self.order["decided"] > 0]
        return int(kept["fraud"].sum()), int(kept["decided"].sum())

    def _reach(self) -> float:
        return float(self.order["worked"].sum() / max(len(self.worklist), 1))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each rule adds to those before it, a row a rule.

        Raises
        ------
        CannotAnswer
            If no rule finds a line.
        """
        rows = self.order[self.order["hits"] > 0]
        if rows.empty:
            raise CannotAnswer(say("no rule finds a line in these windows."))
        ax = axes(ax)
        net = rows["found"] - self.case_cost * rows["hits"]
        colors = ["C0" if worked == hits else "0.75" for worked, hits in zip(rows["worked"], rows["hits"], strict=True)]
        bars = ax.barh(range(len(rows)), net, height=0.7, color=colors)
        ax.bar_label(bars, [say("{n} lines", n=int(hits)) for hits in rows["hits"]], padding=3, fontsize=9)
        ax.set_yticks(range(len(rows)), [say("{text}", text=self._name(rule)) for rule in rows["rule"]])
        ax.invert_yaxis()
        ax.margins(x=0.2)
        ax.axvline(0, color="0.6", linewidth=0.8)
        ax.set_xlabel(say("confirmed fraud, less what the cases cost ({currency})", currency=Term(self.currency)))
        return ax


def rule_hits(
    lines: pd.DataFrame,
    rules: RuleBase,
    cases: pd.DataFrame,
    *,
    as_of: object,
    per_day: float = 20,
    case_cost: float = 30,
    currency: str = "",
    level: float = 0.95,
) -> RuleHits:
    """Judge each rule on the lines and on the verdicts that there are.

    Parameters
    ----------
    lines : DataFrame
        One row a line and window: subscription_id, window_to (first day after it), window_days, exposed (money at
        stake) and what the rules read. A line is found if a rule fires on any of its windows.
    rules : RuleBase
    cases : DataFrame
        One row a case: case_id, subscription_id, verdict (fraud, honest, missing), loss, source (rule, audit, tip).
        Tips count nowhere: who tells of a line knows more than a rule. Those of the audit must be drawn at random.
    as_of : date
        Exclusive: no window may end after it.
    per_day, case_cost : float
        Cases that can be looked at a day, and what one costs, in `currency`.
    level : float
        Of Wilson's intervals.

    Raises
    ------
    WorkbenchError
        If a column is missing or holds something else, a window ends after `as_of`, or a rule looks at windows of
        other days.
    CannotAnswer
        If no case of these lines is decided.
    """
    if not (0 < per_day < np.inf and 0 <= case_cost < np.inf and 0 < level < 1):
        raise WorkbenchError("per_day is above 0, case_cost 0 or more, and level between 0 and 1.")
    require_columns(lines, (), "lines")
    if lines.empty:
        raise WorkbenchError("no line ran in a whole window of records: choose a later as_of, or shorter windows.")
    known, end = verdicts(lines, cases), day(as_of, "as_of").to_datetime64()
    if late := int((known.ends > end).sum()):
        raise WorkbenchError("{n} windows of lines end after as_of, {day}: leave them out, or take a later as_of.").of(
            late, as_of
        )
    if np.isnan(known.any).all():
        raise CannotAnswer(
            say("not answerable: no case of these lines is decided. Decide some, or take other windows.")
        )
    judged = rules.judged(lines, FACTORS)
    hit, stake, unknown = _found_by(rules, judged, known)
    trend, curve = [], []
    for rule in rules.rules:
        mine = known.days == rule.window
        for end in np.unique(known.ends[mine]):
            there = (judged[rule.id, 1.0] == 1) & mine & (known.ends == end)
            trend.append({"rule": rule.id, WINDOW: pd.Timestamp(end)} | _found(there, known, level))
        for factor in FACTORS if THRESHOLD in rule.condition.columns else ():
            there = (judged[rule.id, factor] == 1) & mine
            curve.append({"rule": rule.id, THRESHOLD: rule.threshold * factor} | _found(there, known, level))
    audit, tipped, any_rule = known.by["audit"], known.by["tip"] == 1, hit.any(axis=1)
    base, missed = counts(audit)[::-1], counts(audit[~any_rule])[::-1]
    unseen = (~any_rule).sum() * float(intervals.share(*missed, level=level)[1])
    most = (known.sent[any_rule] != 0).sum() + unseen  # frauds that there can be
    alone = [
        {"rule": rule.id, "hits": hit[:, j].sum(), EXPOSED: stake[:, j].sum()}
        | _alone(hit[:, j], known, base, most, level)
        | {"unknown": unknown[:, j].sum()}
        for j, rule in enumerate(rules.rules)
    ]
    order = best_order(rules.rules, hit, stake, known, case_cost, level)
    covered = _covered(known.ends, known.days)
    order["worked"] = (per_day * covered - order["cases"] + order["hits"]).clip(0, order["hits"])
    return RuleHits(
        pd.DataFrame(alone),
        order,
        overlap([rule.id for rule in rules.rules], hit),
        pd.DataFrame(trend),
        pd.DataFrame(curve, columns=["rule", THRESHOLD, *list(trend[0])[2:]]),
        worklist(order, rules.rules, hit, stake, known),
        base,
        missed,
        (int(tipped.sum()), int((tipped & any_rule).sum())),
        len(known.ids),
        covered,
        per_day,
        case_cost,
        rules,
        currency,
        level,
        known.set_aside,
    )


def _found_by(
    rules: RuleBase, judged: Mapping[tuple[str, float], np.ndarray], known: Verdicts
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which lines each rule finds, what is at stake on them, and where a value is missing; each (lines, rules)."""
    shape = len(known.ids), len(rules.rules)
    hit, stake, gap = np.zeros(shape, bool), np.zeros(shape), np.zeros(shape, bool)
    rules.require_windows(np.unique(known.days))
    for j, rule in enumerate(rules.rules):
        mine = known.days == rule.window
        met = np.where(mine, judged[rule.id, 1.0], 0)
        hit[known.row[met == 1], j] = True
        gap[known.row[met < 0], j] = True
        np.maximum.at(stake[:, j], known.row[met == 1], known.exposed[met == 1])
    return hit, stake, gap & ~hit


def _covered(ends: np.ndarray, days: np.ndarray) -> int:
    """Days that lie in some window: gaps between windows do not count."""
    windows = np.unique(np.column_stack([ends.astype("datetime64[D]").astype(int), days.astype(int)]), axis=0)
    return len(np.unique(np.concatenate([np.arange(end - length, end) for end, length in windows])))


def _alone(hit: np.ndarray, known: Verdicts, base: tuple[int, int], most: float, level: float) -> dict[str, float]:
    """What is known of the hits of one rule, from what rules sent and from the audit."""
    (decided, fraud), (audited, caught) = counts(known.by["rule"][hit]), counts(known.by["audit"][hit])
    found = {"decided": decided, "fraud": fraud} | share_of(fraud, decided, level)
    lift = found["precision"] / (base[0] / base[1]) if base[0] else np.nan
    found |= {"lift": lift, "audited": audited} | share_of(caught, audited, level, "audit_precision", "audit_")
    found |= {"audit_fraud": caught} | share_of(caught, base[0], level, "recall", "recall_")
    return found if base[0] else found | {"recall_low": counts(known.sent[hit])[1] / most if most else np.nan}


def _found(rows: np.ndarray, known: Verdicts, level: float) -> dict[str, float]:
    """Hits, money at stake and precision of the lines of some rows."""
    stake = np.full(len(known.ids), -np.inf)
    np.maximum.at(stake, known.row[rows], known.exposed[rows])
    hit = np.isfinite(stake)
    decided, fraud = counts(known.sent[hit])
    found = {"hits": hit.sum(), EXPOSED: stake[hit].sum(), "decided": decided, "fraud": fraud}
    return found | share_of(fraud, decided, level)
