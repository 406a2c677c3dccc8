"""Who cheats, who only looks like it, and who was looked at? Six kinds of fraud on lines that stand as they are.

SIM boxes and bursts abroad have their own use (usage.py), the loops of top-ups and refunds their payments; who never
paid the first bill stands in the bills. Resold data and false identities behave like honest lines. Of those looked at a
part is decided by chance, and one line in a hundred is drawn for the audit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from workbench.sample.extracts import DUPLICATE, Extracts, money, words
from workbench.sample.money import write_payments
from workbench.sample.people import SEGMENTS, Customers, Lines
from workbench.sample.timeline import END, FIRST_DETAIL_MONTH, MONTH_START, NEVER, dates

KINDS = ("sim_box", "burst_abroad", "first_bill_unpaid", "refund_loop", "resold_data", "false_identity")
MIMICS = KINDS[4:]
LOOK_ALIKES = ("call_centre", "roamer", "poor_payer")
AUDIT, LABELLED = 0.01, 0.7
# By kind, look-alikes last, other lines at the very end: share that a rule sends, and that somebody tells of.
_BY_RULE = np.array([0.75, 0.7, 0.65, 0.7, 0.03, 0.03, 0.5, 0.5, 0.4, 0.002])
_BY_TIP = np.array([0.1, 0.08, 0.05, 0.05, 0.1, 0.12, 0.02, 0.01, 0.02, 0.0005])
_LOSS = np.array([3_000, 5_000, 350, 450, 800, 600])
_SOURCES = ("rule", "audit", "tip")
_LOOP = (3, 9, 100.0, 0.9)
"""Loops a line (from, to), yuan topped up, share of it paid back within three days."""
_BREAKS = (
    ("unknown code", "source", "占卜"),
    ("orphan reference", "subscription_id", "99999999999"),
    ("unparsable number", "loss", "不详"),
    ("impossible date", "opened_on", "2026-06-31"),
    (DUPLICATE, "", ""),
)


@dataclass(frozen=True)
class Cheats:
    """Lines that cheat or look like it, each shape (k,): position of the line, kind (KINDS, then LOOK_ALIKES), loss."""

    line: np.ndarray
    kind: np.ndarray
    loss: np.ndarray


def draw_cheats(customers: Customers, lines: Lines, rng: np.random.Generator) -> Cheats:
    """Draw who cheats among the lines of a batch, and who looks like it."""
    holder = lines.customer
    chance = rng.random(len(holder))
    first = np.append(True, holder[1:] != holder[:-1])
    segment, kind = customers.segment[holder], customers.kind[holder]
    reason, gone, joined = customers.reason[holder], customers.ended[holder], customers.joined[holder]
    month = [np.searchsorted(MONTH_START, day, side="right") for day in (joined, np.minimum(gone, END - 1))]
    unpaid = first & (reason == 2) & (joined >= 0) & (month[1] - month[0] <= 2)
    heavy = customers.scale[holder] > 0.9
    recent = (joined >= MONTH_START[FIRST_DETAIL_MONTH - 6]) & (joined < END - 60)
    quiet = first & (kind == 0) & ~customers.fraud[holder] & (gone >= END)
    busy = lines.events[:, 0] >= 80
    ways = [
        lines.profile == 6,
        lines.profile == 7,
        unpaid & (chance < np.where(heavy, 0.85, 0.35)),
        quiet & customers.prepaid[holder] & (chance < 0.004),
        quiet & (segment == SEGMENTS.index("night_streaming")) & (chance > 0.985),
        quiet & recent & (chance > 0.98) & (chance < 0.985),
        busy & (kind >= 2) & (chance < 0.5),
        busy & (kind == 0) & (segment == 0) & ~customers.fraud[holder],
        unpaid,
    ]
    found = np.full(len(holder), -1)
    for number in reversed(range(len(ways))):
        found[ways[number]] = number
    line = np.flatnonzero(found >= 0)
    cost = np.append(_LOSS, np.zeros(len(LOOK_ALIKES)))[found[line]]
    return Cheats(line, found[line], money(cost * np.exp(0.6 * rng.standard_normal(len(line)) - 0.18)))


def write_loops(
    extracts: Extracts, customers: Customers, lines: Lines, cheats: Cheats, rng: np.random.Generator
) -> None:
    """Write the top-ups and refunds of those who turn in loops."""
    low, high, amount, back = _LOOP
    who = lines.customer[cheats.line[cheats.kind == KINDS.index("refund_loop")]]
    loops = rng.integers(low, high, len(who))
    start = np.maximum(customers.joined[who], MONTH_START[FIRST_DETAIL_MONTH]) + 5
    start += (rng.random(len(who)) * np.maximum(END - 60 - start, 1)).astype(np.int64)
    who, number = np.repeat(who, loops), np.concatenate([np.arange(n) for n in (*loops, 0)])
    day = np.repeat(start, loops) + 5 * number
    columns = {
        "id": np.concatenate([customers.id[who] * 100_000 + 80_000 + 2 * number + k for k in range(2)]),
        "customer": np.tile(customers.id[who], 2),
        "bill": np.full(2 * len(who), -1),
        "paid": np.concatenate([day, day + rng.integers(1, 4, len(day))]),
        "amount": np.repeat([amount, -amount * back], len(who)),
    }
    keep = columns["paid"] < END
    kept = {name: values[keep] for name, values in columns.items()}
    write_payments(extracts, customers.operator.words["methods"], kept, rng)


def write_cases(
    extracts: Extracts, customers: Customers, lines: Lines, cheats: Cheats, rng: np.random.Generator
) -> dict[str, object]:
    """Write the lines looked at; gives the truth: one row a line that cheats or looks like it."""
    m, every = len(lines.id), len(KINDS) + len(LOOK_ALIKES)
    kind, loss = np.full(m, every), np.zeros(m)
    kind[cheats.line], loss[cheats.line] = cheats.kind, cheats.loss
    holder = lines.customer
    begin = np.maximum(lines.activated, 0)
    last = np.minimum(customers.ended[holder], END - 1)
    mobile = lines.service == 0
    audited = mobile & (last >= MONTH_START[FIRST_DETAIL_MONTH])
    looked = [rng.random(m) < share for share in (_BY_RULE[kind], AUDIT, _BY_TIP[kind])]
    by = [looked[0] & mobile, looked[1] & audited, looked[2] & mobile]
    line, source = np.concatenate([np.flatnonzero(b) for b in by]), np.repeat(np.arange(3), [b.sum() for b in by])
    order = np.lexsort((source, line))
    line, source = line[order], source[order]
    spread, chance = rng.random(len(line)), rng.random(len(line))
    since = np.where(source == 1, np.maximum(begin[line], MONTH_START[FIRST_DETAIL_MONTH]), begin[line])
    opened = since + (spread * np.maximum(last[line] - since, 0)).astype(np.int64)
    opened = np.where(kind[line] == 2, last[line], opened)
    decided = chance < LABELLED
    done = np.minimum(opened + 1 + (rng.standard_exponential(len(line)) * 8).astype(np.int64), END - 1)
    cheats_here = kind[line] < len(KINDS)
    told = decided & cheats_here
    extracts.write(
        "fraud_case",
        {
            "case_id": lines.id[line] * 10 + source + 1,
            "customer_id": customers.id[holder[line]],
            "subscription_id": lines.id[line],
            "opened_on": dates(opened),
            "decided_on": dates(np.where(decided, done, NEVER)),
            "verdict": words(np.where(decided, cheats_here.astype(np.int64), -1), ("honest", "fraud")),
            "kind": words(np.where(told, kind[line], -1), KINDS),
            "loss": pa.array(np.where(told, loss[line], 0.0), mask=~decided),
            "source": words(source, _SOURCES),
        },
        breaks=_BREAKS,
    )
    names = np.array([*KINDS, *LOOK_ALIKES])[cheats.kind]
    return {
        "customer_id": pa.array(customers.id[holder[cheats.line]]).cast(pa.string()),
        "subscription_id": pa.array(lines.id[cheats.line]).cast(pa.string()),
        "kind": pa.array(names.tolist(), pa.string()),
        "is_fraud": cheats.kind < len(KINDS),
        "loss": cheats.loss,
    }


def declared() -> dict[str, object]:
    """Give the truth of fraud."""
    every = (*KINDS, *LOOK_ALIKES, "other")
    return {
        "kinds": list(KINDS),
        "mimic_honest_lines": list(MIMICS),
        "look_alikes": list(LOOK_ALIKES),
        "sent_by_rule": dict(zip(every, _BY_RULE.tolist(), strict=True)),
        "sent_by_tip": dict(zip(every, _BY_TIP.tolist(), strict=True)),
        "audit": AUDIT,
        "audit_of": "mobile lines that ran on or after the first day with detail records",
        "labelled": LABELLED,
        "note": "the lines are in fraud.parquet; is_fraud in customers.parquet are sim_box and burst_abroad, whose use "
        "was drawn as such. Look-alikes are chosen among standing lines: the busiest of organisations (call centres) "
        "and of business people (roamers, who call abroad most), and new customers cut off who meant no fraud. No use "
        "was drawn anew, so that no bill and no feature of use moves. Verdicts are right",
    }
