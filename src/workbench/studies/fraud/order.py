"""In which order are rules worked, and which add nothing? Each is judged on the lines that those before it leave."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from workbench.messages import say, spelt
from workbench.methods import intervals
from workbench.studies.fraud.rulebase import SEVERITIES, FraudRule
from workbench.studies.fraud.verdicts import EXPOSED, FEWEST, LINE, Verdicts

KEEP, LOOK, SILENT, PRICELESS = "keep", "decide cases", "no hit", "no loss recorded"
RETIRE = ADDS_NOTHING, BELOW_REST, COSTS_MORE, NO_FRAUD = "nothing new", "below the rest", "costs more", "no fraud"
ENOUGH, RARE = 10, 0.05
"""A rule is kept for so many decided cases, or all of its own; one without a fraud is given up once the upper end of
its precision lies below this."""
ADVICE = {
    KEEP: say("keep"),
    LOOK: say("too few decided: decide more of its cases first"),
    SILENT: say("no hit in these windows: keep watching, or try another threshold"),
    PRICELESS: say("record what its frauds cost first"),
    ADDS_NOTHING: say("retire: finds nothing that others do not"),
    BELOW_REST: say("retire: fewer frauds than among the lines that are left"),
    COSTS_MORE: say("retire: costs more than it finds"),
    NO_FRAUD: say("retire: no fraud among its decided cases"),
}


def best_order(
    rules: Sequence[FraudRule], hit: np.ndarray, stake: np.ndarray, known: Verdicts, cost: float, level: float
) -> pd.DataFrame:
    """Take again and again the rule that is worth most a case on the lines that are left."""
    left = np.ones(len(hit), bool)
    rows: list[dict[str, Any]] = []
    while len(rows) < len(rules):
        chosen = {row["rule"] for row in rows}
        options = [
            _marginal(j, rule, left & hit[:, j], stake[:, j], known, cost, level)
            for j, rule in enumerate(rules)
            if rule.id not in chosen
        ]
        best = max(options, key=lambda row: row["key"])
        rest_n, rest_fraud = counts(known.by["audit"][left])
        rest = rest_fraud / rest_n if rest_n else np.nan
        enough = best["decided"] >= FEWEST
        rest_low = share_of(rest_fraud, rest_n, level)["low"] if rest_n >= FEWEST else np.nan
        reasons = {
            SILENT: not hit[:, best["at"]].any(),
            ADDS_NOTHING: best["hits"] == 0,
            BELOW_REST: enough and best["high"] < rest_low,
            PRICELESS: 0 < best["fraud"] == best["unpriced"],
            KEEP: best["net_case"] >= 0 and best["decided"] >= min(ENOUGH, best["hits"]),
            COSTS_MORE: enough and best["net_case_most"] < 0,
            NO_FRAUD: best["fraud"] == 0 and best["high"] < RARE,
        }
        advice = next((name for name, holds in reasons.items() if holds), LOOK)
        rows.append(best | {"place": len(rows) + 1, "rest": rest, "advice": advice})
        left &= ~hit[:, best["at"]]
    order = pd.DataFrame(rows)
    order["cases"] = order["hits"].cumsum()
    return order[
        [
            "place",
            "rule",
            "hits",
            EXPOSED,
            "decided",
            "fraud",
            "precision",
            "low",
            "high",
            "found",
            "unpriced",
            "net_case",
            "net_case_most",
            "cases",
            "rest",
            "advice",
        ]
    ]


def _marginal(
    j: int, rule: FraudRule, new: np.ndarray, stake: np.ndarray, known: Verdicts, cost: float, level: float
) -> dict[str, Any]:
    """What a rule adds on the lines that are left, and by what it is put in order."""
    decided, fraud = counts(known.sent[new])
    losses = known.loss[new & (known.sent == 1)]
    hits, priced = int(new.sum()), losses[~np.isnan(losses)]
    typical = priced if len(priced) else known.loss[known.any == 1]
    typical = typical[~np.isnan(typical)]
    mean = float(typical.mean()) if len(typical) else np.nan
    found = fraud * mean if fraud else 0.0
    row = {"at": j, "rule": rule.id, "hits": hits, EXPOSED: stake[new].sum(), "decided": decided, "fraud": fraud}
    row |= share_of(fraud, decided, level)
    most = row["high"] * mean
    row |= {
        "found": found,
        "unpriced": fraud - len(priced),
        "net_case": found / hits - cost if hits else np.nan,
        "net_case_most": most - cost,
    }
    grave = -list(SEVERITIES).index(rule.severity)
    return row | {
        "key": (
            hits > 0,
            np.nan_to_num(found / max(hits, 1)),
            fraud / max(hits, 1),
            grave,
            row[EXPOSED] / max(hits, 1),
            -j,
        )
    }


def overlap(ids: list[str], hit: np.ndarray) -> pd.DataFrame:
    """Pairs of rules that find lines in common."""
    both = hit.astype(float).T @ hit.astype(float)
    rows = [
        (ids[i], ids[j], both[i, j], both[i, j] / both[i, i], both[i, j] / both[j, j])
        for i, j in combinations(range(len(ids)), 2)
        if both[i, j]
    ]
    found = pd.DataFrame(rows, columns=["rule", "other", "both", "of_rule", "of_other"])
    return found.sort_values(["both", "rule", "other"], ascending=[False, True, True], ignore_index=True)


def worklist(
    order: pd.DataFrame, rules: Sequence[FraudRule], hit: np.ndarray, stake: np.ndarray, known: Verdicts
) -> pd.DataFrame:
    """Lines that a rule finds, by the place of the first that does, then by the money at stake."""
    at = {rule.id: j for j, rule in enumerate(rules)}
    by_place = [at[name] for name in order["rule"]]
    names = np.array([spelt(rules[place].id, rules[place].name_zh) for place in by_place], dtype=object)
    lines = np.flatnonzero(hit.any(axis=1))
    first = hit[lines][:, by_place].argmax(axis=1)
    found = pd.DataFrame(
        {
            LINE: known.ids.to_numpy()[lines],
            "rule": names[first],
            EXPOSED: stake[lines].max(axis=1),
            "rules": hit[lines].sum(axis=1),
        }
    )
    return found.iloc[np.lexsort((lines, -found[EXPOSED], first))].reset_index(drop=True)


def share_of(events: float, n: float, level: float, name: str = "precision", ends: str = "") -> dict[str, float]:
    low, high = intervals.share(events, n, level=level)
    return {name: events / n if n else np.nan, f"{ends}low": float(low), f"{ends}high": float(high)}


def counts(verdict: np.ndarray) -> tuple[int, int]:
    return int((~np.isnan(verdict)).sum()), int(np.nansum(verdict))
