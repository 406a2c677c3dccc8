"""Write the sample operator: its raw extracts, and the truth that only tests read."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.project import project_root
from workbench.sample import (
    campaigns,
    cheating,
    collection,
    crm,
    leaving,
    money,
    offers,
    products,
    recovery,
    service,
    survey,
    topups,
    usage,
)
from workbench.sample.extracts import Extracts
from workbench.sample.operator import Operator, read_operator
from workbench.sample.panel import FRAME, Frame
from workbench.sample.people import SEGMENTS, Customers, Lines, draw_customers, draw_lines
from workbench.sample.timeline import FIRST_DETAIL_MONTH, MONTH, MONTH_START, MONTHS
from workbench.warehouse.ingest.blocks import Mapping
from workbench.warehouse.ingest.mapping import read_mapping

BATCH = 10_000
Progress = Callable[[str, int, int], None]
_DECLARED = "truth/declared.json"
# New streams come last: a stream's place is part of its seed.
_STREAMS = (
    "people",
    "usage",
    "money",
    "products",
    "service",
    "campaigns",
    "market",
    "survey",
    "offers",
    "leaving",
    "recovery",
    "collection",
    "cheating",
    "topups",
)


@dataclass(frozen=True)
class SampleReport:
    """What was written.

    Attributes
    ----------
    files : DataFrame
        One row a file: file, rows (raw lines without the header), bad_rows (of them, known to be bad), encoding.
    seconds : float
        Time taken.
    """

    folder: Path
    files: pd.DataFrame
    seconds: float


def write_sample(
    folder: str | Path,
    *,
    customers: int = 20_000,
    seed: int = 0,
    mapping: Path | None = None,
    operator: Path | None = None,
    progress: Progress | None = None,
) -> SampleReport:
    """Write a fictional operator's raw extracts into `folder`, and the truth behind them into `folder`/truth.

    Truth is in nine files: `customers.parquet` (segment, monthly_churn_hazard, is_fraud), `campaign_members.parquet`
    (effect_responded, effect_revenue: expected for that member), `bundle_offers.parquet` (one row a member and arm:
    reached, and yuan a month where reached), `fraud.parquet` (one row a line that cheats or looks like it),
    `topups.parquet` (one row a prepaid customer who tops up), `satisfaction.json` (population paths, indices, net
    promoter scores), `survey.json` (response rates, how satisfaction and churn hang together), `retention.json`
    (leaving by cause, reasons and destinations, complaints made good, collection, fraud, top-ups) and `declared.json`
    (bad rows by file and kind, churn by month, mobile ARPU).

    The same `customers` and `seed` give the same bytes. Memory does not grow with `customers`. The folder appears
    whole or not at all; a sample that stood there before is replaced.

    Parameters
    ----------
    folder : path
        New, empty, or an earlier sample.
    customers : int
        How many the operator has had within the 24 months; at least 100.
    seed : int
        0 or more.
    mapping : path, optional
        How the files are read, hence written; by default the project's data/mappings/sample.toml. A table that it does
        not fill is not written.
    operator : path, optional
        Its constants; by default those of the sample operator (operator.toml beside this module).
    progress : callable, optional
        Called with a label, what is done and what there is to do, in customers.

    Returns
    -------
    SampleReport

    Raises
    ------
    WorkbenchError
        If an argument is out of range, or `folder` holds something that is not a sample.
    """
    started = time.perf_counter()
    target = _checked(folder, customers, seed)
    reading = read_mapping(mapping or project_root() / "data" / "mappings" / "sample.toml")
    source = read_operator(operator)
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        files = _build(building, reading, source, customers, seed, progress or (lambda label, done, total: None))
        building.chmod(0o755)
        _publish(building, target)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return SampleReport(target, files, time.perf_counter() - started)


def _checked(folder: str | Path, customers: int, seed: int) -> Path:
    for name, value, low, high in (("customers", customers, 100, 10_000_000), ("seed", seed, 0, 2**63)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
            raise WorkbenchError("{name} is {value}; give a whole number from {low} to {high}.").of(
                name, repr(value), low, high
            )
    target = Path(folder).resolve()
    if target.exists() and not target.is_dir():
        raise WorkbenchError("{target} is a file; the sample needs a folder. Name another one.").of(target)
    if target.is_dir() and any(target.iterdir()) and not (target / _DECLARED).is_file():
        raise WorkbenchError(
            "{target} holds files that are not a sample ({declared} is missing); nothing was written. Name a new or "
            "empty folder."
        ).of(target, _DECLARED)
    return target


def _publish(building: Path, target: Path) -> None:
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent)) / "sample"
        target.rename(old)
        building.rename(target)
        shutil.rmtree(old.parent)
    else:
        building.rename(target)


def _build(
    folder: Path, mapping: Mapping, operator: Operator, customers: int, seed: int, progress: Progress
) -> pd.DataFrame:
    (folder / "truth").mkdir()
    with Extracts(folder, mapping) as extracts, _Tally(folder / "truth", operator) as tally:
        lines = 0
        for number, first in enumerate(range(0, customers, BATCH)):
            rng = {stream: _rng(seed, stream, number) for stream in _STREAMS}
            batch = draw_customers(operator, first, min(BATCH, customers - first), rng["people"])
            lines += _write_batch(extracts, tally, batch, lines, rng)
            progress("customers", first + len(batch.id), customers)
        money.write_tariffs(extracts, operator)
        products.write_products(extracts, operator)
        campaigns.write_campaigns(extracts, operator, offers.campaign_rows(operator))
        products.write_market(extracts, operator, _rng(seed, "market", 0))
        products.write_costs(extracts, operator, campaigns.IDS, tally.contacts, _rng(seed, "market", 1))
        frame = Frame.joined_up(tally.frames)
        truth, behind = survey.write_survey(extracts, operator, frame, _rng(seed, "survey", 0))
    _write_json(folder / "truth/satisfaction.json", truth)
    _write_json(folder / "truth/survey.json", behind)
    _write_json(folder / "truth/retention.json", tally.retention(operator))
    declared = {"customers": customers, "seed": seed, "files": extracts.declared()} | tally.declared()
    _write_json(folder / _DECLARED, declared)
    return extracts.frame()


def _rng(seed: int, stream: str, number: int) -> np.random.Generator:
    key = (_STREAMS.index(stream), number)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


class _Tally:
    """What is added up over the batches, and the truth written with each."""

    def __init__(self, folder: Path, operator: Operator) -> None:
        self.contacts = np.zeros((len(campaigns.IDS), len(operator.provinces)), dtype=np.int64)
        self.at_risk = np.zeros(MONTHS, dtype=np.int64)
        self.left = np.zeros(MONTHS, dtype=np.int64)
        self.mobile_revenue = 0.0
        self.mobile_months = 0
        self.records = 0
        self.frames: list[Frame] = []
        self.money = {"billed": 0.0, "paid": 0.0, "bills": 0}
        self.at_tenure = np.zeros(())
        self.collected = collection.Collected()
        self._folder = folder
        self._writers: dict[str, pq.ParquetWriter] = {}

    def truth(self, name: str, columns: dict) -> None:
        table = pa.table(columns)
        if name not in self._writers:
            self._writers[name] = pq.ParquetWriter(self._folder / f"{name}.parquet", table.schema)
        self._writers[name].write_table(table)

    def lives(self, customers: Customers) -> None:
        self.truth(
            "customers",
            {
                "customer_id": pa.array(customers.id).cast(pa.string()),
                "segment": pa.array(np.array(SEGMENTS)[customers.segment].tolist()),
                "monthly_churn_hazard": customers.hazard,
                "is_fraud": customers.fraud,
            },
        )
        self.at_tenure = self.at_tenure + leaving.at_risk(customers)
        for month in range(MONTHS):
            start, end = MONTH_START[month], MONTH_START[month + 1]
            self.at_risk[month] += ((customers.joined < start) & (customers.ended >= start)).sum()
            leaves = (customers.ended >= start) & (customers.ended < end) & (customers.joined < start)
            self.left[month] += leaves.sum()

    def revenue(self, lines: Lines, charge: np.ndarray, runs: np.ndarray) -> None:
        mobile = (lines.service == 0)[:, None] & runs
        self.mobile_revenue += float((mobile * (lines.operator.tariff_fees[lines.tariff][:, None] + charge)).sum())
        self.mobile_months += int(mobile.sum())

    def declared(self) -> dict:
        rate = self.left / np.maximum(self.at_risk, 1)
        return {
            "months": [str(m) for m in MONTH[:MONTHS]],
            "monthly_churn": [round(float(r), 6) for r in rate],
            "mobile_arpu": round(self.mobile_revenue / max(self.mobile_months, 1), 4),
            "detail_records": self.records,
            "money": {name: round(value, 2) for name, value in self.money.items()},
        }

    def retention(self, operator: Operator) -> dict:
        return {
            "leaving": leaving.declared(operator.names, self.at_tenure),
            "recovery": recovery.declared(operator.words["queues"]),
            "collection": self.collected.declared(operator.words["collectors"]),
            "fraud": cheating.declared(),
            "topups": topups.declared(),
        }

    def __enter__(self) -> _Tally:
        return self

    def __exit__(self, *error: object) -> None:
        for writer in self._writers.values():
            writer.close()


def _write_batch(
    extracts: Extracts, tally: _Tally, customers: Customers, serial: int, rng: dict[str, np.random.Generator]
) -> int:
    lines = draw_lines(customers, serial, rng["people"])
    crm.write_customers(extracts, customers)
    crm.write_lines(extracts, customers, lines, leaving.draw_ways(customers, rng["leaving"]))
    tally.lives(customers)
    if len(tally.frames) * BATCH < FRAME:
        tally.frames.append(Frame.of(customers, lines))
    charge, active_days, data_mb = _write_usage(extracts, tally, customers, lines, rng["usage"])
    runs = np.stack([money.line_runs(customers, lines, month) for month in range(MONTHS)], axis=1)
    tally.revenue(lines, charge, runs)
    fees = products.write_holdings(extracts, customers, rng["products"])
    products.write_leads(extracts, customers, rng["products"])
    bills = money.draw_bills(customers, lines, charge, fees, rng["money"])
    known = campaigns.known_before(customers, bills, active_days, data_mb)
    played = campaigns.play(known, rng["campaigns"])
    past, known_then = offers.play_past(customers, bills, active_days, data_mb, rng["offers"])
    bills = bills.with_campaigns(played.monthly, past.monthly)
    effects = campaigns.write_members(extracts, customers, known, played, bills)
    effects["customer_id"] = pa.array(effects["customer_id"]).cast(pa.string())
    effects["campaign_id"] = pa.array(effects["campaign_id"].tolist(), type=pa.string())
    tally.truth("campaign_members", effects)
    tally.truth("bundle_offers", offers.write_past_members(extracts, customers, known_then, past, bills))
    for campaign, reached in enumerate(played.contacted):
        tally.contacts[campaign] += np.bincount(customers.province[reached], minlength=tally.contacts.shape[1])
    service.write_service(extracts, customers, lines, played.contacted, rng["service"], rng["recovery"])
    service.write_past(extracts, customers, past, rng["offers"], rng["recovery"])
    totals, owed = money.write_bills(extracts, customers, bills, rng["money"])
    for name, value in totals.items():
        tally.money[name] += value
    collection.write_actions(extracts, customers, owed, tally.collected, rng["collection"])
    cheats = cheating.draw_cheats(customers, lines, rng["cheating"])
    cheating.write_loops(extracts, customers, lines, cheats, rng["cheating"])
    tally.truth("fraud", cheating.write_cases(extracts, customers, lines, cheats, rng["cheating"]))
    tally.truth("topups", topups.write_topups(extracts, customers, rng["topups"]))
    return len(lines.id)


def _write_usage(
    extracts: Extracts, tally: _Tally, customers: Customers, lines: Lines, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write 24 months of use: charge by line (m, 24), active days and MB by customer (n, 24)."""
    n = len(customers.id)
    charge = np.zeros((len(lines.id), MONTHS))
    days, data = np.zeros((n, MONTHS)), np.zeros((n, MONTHS))
    for month in range(MONTHS):
        if month < FIRST_DETAIL_MONTH:
            use = usage.draw_month(customers, lines, month, rng)
        else:
            use, tables = usage.draw_records(customers, lines, month, rng)
            tally.records += crm.write_records(extracts, month, tables)
        crm.write_usage(extracts, customers, lines, month, use)
        charge[:, month] = use.charge
        days[:, month] = np.bincount(lines.customer, use.active_days, n)
        data[:, month] = np.bincount(lines.customer, use.megabytes, n)
    return charge, days, data


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
