"""What do the lines do? Calls, messages and data sessions, and their totals by line and month.

Where a month has detail records, its totals are sums of them; the other months are drawn as totals. A record's
charge is its share of what the month's use beyond the allowances costs, so that records add up to the bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from workbench.sample.people import CIRCLE, Customers, Lines
from workbench.sample.timeline import MONTH, MONTH_START, timestamps

# Hours of a working day and of a weekend day by segment, then SIM box and premium burst, as peaks
# (hour, width, height); the last number is how much a weekend day carries of a working day.
_HOURS = (
    (((10, 2.2, 3), (15, 2.5, 3)), ((11, 4, 1), (16, 4, 1)), 0.30),
    (((12, 2, 1), (20, 3, 3)), ((14, 4, 2), (21, 3, 3)), 1.35),
    (((8, 2, 1), (12.5, 2, 1), (19, 3, 2.5)), ((10, 3, 1.5), (18, 4, 2)), 1.05),
    (((7.5, 1.5, 3), (10, 2, 2), (17, 2, 1.5)), ((8, 1.5, 3), (10, 2, 2), (17, 2, 1)), 1.0),
    (((13, 4, 1), (18, 4, 1)), ((13, 4, 1), (18, 4, 1)), 0.9),
    (((23, 2.2, 3), (1.5, 2, 3), (20, 2, 1)), ((23.5, 2.5, 3), (2, 2, 3), (15, 4, 1)), 1.2),
    (((13, 5, 1),), ((13, 5, 1),), 1.0),
    (((3, 1.5, 4),), ((3, 1.5, 4),), 1.0),
)
# By profile: local, national, roaming, international.
_ZONES = np.array(
    [
        (0.62, 0.25, 0.11, 0.02),
        (0.78, 0.17, 0.05, 0.0),
        (0.84, 0.12, 0.04, 0.0),
        (0.94, 0.055, 0.005, 0.0),
        (0.70, 0.25, 0.05, 0.0),
        (0.85, 0.12, 0.03, 0.0),
        (0.5, 0.5, 0.0, 0.0),
        (0.05, 0.05, 0.0, 0.9),
    ]
)
_OUT = np.array([135, 128, 128, 120, 110, 125, 256, 250])
_ON_NET = np.array([90, 110, 150, 170, 60, 100, 60, 5])
_CIRCLE = np.append(CIRCLE, (60_000, 400))
_CODE = pa.dictionary(pa.int8(), pa.string())
_KINDS = ("call", "message", "data")
_ZONE_NAMES = ("local", "national", "roaming", "international")


@dataclass(frozen=True)
class MonthUse:
    """What the lines of a batch did in a month, each shape (m,); `charge` in yuan, `alive` in days."""

    alive: np.ndarray
    active_days: np.ndarray
    calls: np.ndarray
    minutes: np.ndarray
    messages: np.ndarray
    megabytes: np.ndarray
    charge: np.ndarray


@dataclass(frozen=True)
class _Records:
    """Records of one kind: position of the line, hour of the month, spare random bits, size."""

    line: np.ndarray
    hour: np.ndarray
    bits: np.ndarray
    out: np.ndarray
    size: np.ndarray


def overage(lines: Lines, minutes: np.ndarray, megabytes: np.ndarray, messages: np.ndarray) -> np.ndarray:
    """Yuan for each unit used, minutes, MB, messages: shape (m, 3); times the use it is the month's charge."""
    terms = lines.operator.mobile
    plan = terms[np.minimum(lines.tariff, len(terms) - 1)]
    used = np.stack([minutes, megabytes, messages], axis=1)
    beyond = np.maximum(0, used - plan[:, 1:4])
    return np.divide(beyond, used, out=np.zeros_like(used), where=used > 0) * plan[:, 4:]


def draw_month(customers: Customers, lines: Lines, month: int, rng: np.random.Generator) -> MonthUse:
    """Draw the totals of a month without detail records."""
    alive = _window(customers, lines, month)[2]
    mean = lines.events * (customers.activity[lines.customer, month] * alive / 30.44)[:, None]
    out = _OUT[lines.profile] / 256
    calls, messages = rng.poisson(mean[:, 0] * out), rng.poisson(mean[:, 1] * out)
    sessions = rng.poisson(mean[:, 2])
    minutes = rng.standard_gamma(calls) * lines.call_s / 60
    megabytes = rng.standard_gamma(sessions) * lines.session_mb
    quiet = np.exp(-mean.sum(axis=1) / np.maximum(alive, 1))
    days = np.minimum(rng.binomial(alive, 1 - quiet), alive)
    days = np.where(calls + messages + sessions > 0, np.maximum(days, 1), days)
    return _priced(lines, alive, days, calls, minutes, messages, megabytes)


def draw_records(
    customers: Customers, lines: Lines, month: int, rng: np.random.Generator
) -> tuple[MonthUse, list[pa.Table]]:
    """Draw the detail records of a month, one table a kind, and add them up."""
    first, after, alive = _window(customers, lines, month)
    mean = lines.events * customers.activity[lines.customer, month, None]
    mean = np.where((alive > 0)[:, None], mean * np.diff(MONTH_START)[month] / 30.44, 0)
    calls, messages, data = (_draw_kind(lines, month, k, mean[:, k], first, after, rng) for k in range(3))
    m = len(lines.id)
    seen = np.zeros(m * 31, dtype=bool)
    for records in (calls, messages, data):
        seen[records.line * 31 + records.hour // 24] = True
    use = _priced(
        lines,
        alive,
        seen.reshape(m, 31).sum(axis=1),
        np.bincount(calls.line, weights=calls.out, minlength=m).astype(np.int64),
        np.bincount(calls.line, weights=calls.size * calls.out, minlength=m) / 60,
        np.bincount(messages.line, weights=messages.out, minlength=m).astype(np.int64),
        np.bincount(data.line, weights=data.size, minlength=m),
    )
    price = overage(lines, use.minutes, use.megabytes, use.messages) / (60, 1, 1)
    numbers = zip((calls, messages, data), (0, 2, 1), strict=True)
    tables = [_table(customers, lines, month, k, r, price[:, p]) for k, (r, p) in enumerate(numbers)]
    return use, tables


def _window(customers: Customers, lines: Lines, month: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First day in the month, day after the last, and days between, of each line."""
    start, end = MONTH_START[month], MONTH_START[month + 1]
    first = np.clip(lines.activated, start, end)
    after = np.clip(customers.ended[lines.customer] + 1, start, end)
    return first - start, after - start, np.maximum(after - first, 0) * (lines.service == 0)


def _priced(lines, alive, days, calls, minutes, messages, megabytes) -> MonthUse:
    minutes, megabytes = minutes.round(4), megabytes.round(2)
    price = overage(lines, minutes, megabytes, messages)
    charge = (price * np.stack([minutes, megabytes, messages], axis=1)).sum(axis=1)
    return MonthUse(alive, days, calls, minutes, messages, megabytes, charge)


@cache
def _hours(month: int) -> np.ndarray:
    """By profile, 65,536 hours of the month, each hour as often as it is likely: flat, hour = day * 24 + hour."""
    days = MONTH[month].astype("datetime64[D]") + np.arange(np.diff(MONTH_START)[month])
    weekend = (days.astype(np.int64) + 3) % 7 >= 5
    clock = np.arange(24)
    rows = []
    for *peaks, share in _HOURS:
        shapes = []
        for day in peaks:
            away = [(np.minimum(abs(clock - h), 24 - abs(clock - h)) / w, height) for h, w, height in day]
            shape = 0.02 + sum(height * np.exp(-0.5 * z**2) for z, height in away)
            shapes.append(shape / shape.sum())
        weight = np.where(weekend[:, None], shapes[1] * share, shapes[0]).ravel()
        edges = np.cumsum(weight) / weight.sum()
        rows.append(np.searchsorted(edges, (np.arange(65_536) + 0.5) / 65_536))
    return np.concatenate(rows).astype(np.uint16)


@cache
def _zones() -> np.ndarray:
    edges = np.cumsum(_ZONES, axis=1)
    steps = (np.arange(256) + 0.5) / 256
    return np.concatenate([np.searchsorted(row, steps) for row in edges]).clip(max=3).astype(np.int8)


def _draw_kind(
    lines: Lines, month: int, kind: int, mean: np.ndarray, first: np.ndarray, after: np.ndarray, rng
) -> _Records:
    counts = rng.poisson(mean)
    line = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    bits = rng.integers(0, 1 << 64, len(line), dtype=np.uint64).view(np.uint16).reshape(-1, 4)
    profile = lines.profile.astype(np.int32)
    hour = _hours(month)[(profile << 16)[line] + bits[:, 0]]
    day = hour // 24
    keep = (day >= first.astype(np.uint16)[line]) & (day < after.astype(np.uint16)[line])
    if not keep.all():
        line, hour, bits = line[keep], hour[keep], bits[keep]
    size = rng.standard_exponential(len(line), dtype=np.float32)
    if kind == 0:
        size = np.minimum(np.ceil(size * lines.call_s.astype(np.float32)[line]), 14_400)
    elif kind == 2:
        size = np.rint(size * lines.session_mb.astype(np.float32)[line] * 100 + 1) / 100
    out = (bits[:, 2] & 255) < _OUT.astype(np.uint16)[profile][line]
    return _Records(line, hour, bits, out, size)


def _table(customers: Customers, lines: Lines, month: int, kind: int, records: _Records, price: np.ndarray) -> pa.Table:
    line, bits, n = records.line, records.bits, len(records.line)
    start = int(MONTH_START[month]) * 86_400
    seconds = records.hour * np.int64(3_600) + ((bits[:, 1].astype(np.uint32) * 3_600) >> 16) + start
    zone = _zones()[(lines.profile.astype(np.int32) << 8)[line] + (bits[:, 2] >> 8)]
    if kind == 2:
        duration = np.minimum(np.ceil(records.size * (0.3 + bits[:, 3] * np.float32(1 / 65_536))), 86_400)
        direction, on_net, other = (pa.nulls(n, t) for t in (_CODE, _CODE, pa.int64()))
        volume, charge = records.size, price[line] * records.size
    else:
        direction = _coded(records.out, ("in", "out"))
        other, own = _counterparts(lines, line, bits[:, 3])
        on_net = _coded(own, ("false", "true"))
        duration = records.size if kind == 0 else np.zeros(n, dtype=np.float32)
        volume = np.zeros(n, dtype=np.float32)
        charge = price[line] * records.out * (records.size if kind == 0 else 1)
    columns = {
        "customer_id": customers.id[lines.customer][line],
        "subscription_id": lines.id[line],
        "started_at": timestamps(seconds, "us"),
        "kind": pa.DictionaryArray.from_arrays(pa.array(np.full(n, kind, dtype=np.int8)), list(_KINDS)),
        "direction": direction,
        "zone": pa.DictionaryArray.from_arrays(pa.array(zone), list(_ZONE_NAMES)),
        "on_net": on_net,
        "counterpart_key": other,
        "duration_s": duration.astype(np.int32),
        "volume_mb": volume,
        "charge": np.rint(charge * 1e4) / 1e4,
    }
    return pa.table(columns)


def _coded(flags: np.ndarray, words: tuple[str, str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(flags.view(np.int8)), list(words))


def _counterparts(lines: Lines, line: np.ndarray, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the other end, from the line's own circle (its first ones most often), and whether it is on-net."""
    spread = bits.astype(np.uint32)
    rank = ((spread * spread) >> 16) * _CIRCLE.astype(np.uint32)[lines.profile][line] >> 16
    mixed = (lines.number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))[line]
    mixed += rank * np.uint64(0xD1B54A32D192ED03)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x94D049BB133111EB)
    other = ((mixed >> np.uint64(34)) * np.uint64(1_000_000_000)) >> np.uint64(30)
    own = ((mixed & np.uint64(255)).astype(np.uint8)) < _ON_NET.astype(np.uint8)[lines.profile][line]
    return other.view(np.int64) + 12_000_000_000, own
