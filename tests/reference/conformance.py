"""Write docs/conformance.md: our numbers beside published ones and those of a peer that runs here and now.

Run by `make conformance`. A study is a function that yields rows; it stands in STUDIES under its heading.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from seminr_peer import PeerAbsent, ask

from workbench.studies.plspm import HigherOrder, PathModel, bootstrap_pls, consistent_pls, fit_pls, structural_table
from workbench.studies.plspm.answers import read_answers
from workbench.studies.plspm.batch import Plan
from workbench.studies.plspm.bootstrap import resample

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIGHT, NOISE, RESAMPLES = 1e-13, 1e-12, 200
OPENING = """# Conformance

Our numbers beside those that others print for the same data, and those that a peer finds when it is run for this page.
Written by `make conformance`, which fails if a difference exceeds what is allowed; differences below 1e-12 are the
rounding of double precision and vary by machine.
"""


class Row(NamedTuple):
    """One number: where it stands, what it is, ours, theirs, and the difference that is allowed."""

    source: str
    quantity: str
    ours: float
    theirs: float
    within: float


class Peer:
    """What `seminr` says about a survey of its own, or of ours."""

    def __init__(self, survey: str, model: PathModel, code: float | None = None) -> None:
        self.survey, self.model, self.code = survey, model, code

    def ask(self, **job: object) -> dict:
        items = {c.name: c.items for c in self.model.constructs}
        formative = [c.name for c in self.model.constructs if c.mode == "B"]
        return ask(
            data=self.survey, items=items, paths=self.model.paths, missing_value=self.code, stop=12,
            **{"formative": formative} | job,
        )  # fmt: skip


def satisfaction() -> Iterator[Row | str]:
    """Path models: the European index on mobi, and corporate reputation."""
    ecsi = PathModel.from_toml(ROOT / "data/models/ecsi.toml")
    reputation = PathModel.from_toml(HERE / "reputation.toml")
    mobi, where = _mobi(ecsi)
    yield f"Survey `mobi` (250 respondents) from {where}; model `data/models/ecsi.toml`."
    yield from _published(mobi, ecsi)
    try:
        yield from _live(Peer("mobi", ecsi), "ECSI on mobi")
        yield from _two_stages(ecsi)
        yield "Survey `corp_rep` (344 respondents, four formative constructs, missing answers coded -99) from the peer."
        yield from _live(Peer("corp_rep", reputation, -99), "reputation on corp_rep")
    except PeerAbsent as reason:
        yield f"The peer was not asked: {reason}."


STUDIES: dict[str, Callable[[], Iterator[Row | str]]] = {"Satisfaction": satisfaction}


def _mobi(model: PathModel) -> tuple[pd.DataFrame, str]:
    file = ROOT.parent / "shared/data/mobi.csv"
    if file.exists():
        return pd.read_csv(file), "the public data sets beside the project"
    found = ask(data="mobi")
    return pd.DataFrame(found["values"], columns=found["columns"]), f"the peer seminr {found['version']}"


def _published(survey: pd.DataFrame, model: PathModel) -> Iterator[Row]:
    for table in json.loads((HERE / "mobi.json").read_text(encoding="utf-8"))["tables"]:
        scheme = table["scheme"]
        fit = fit_pls(survey, model, scheme=scheme, tolerance=TIGHT)
        ours, what = fit.estimates, ""
        if table.get("standard_errors"):
            boot = bootstrap_pls(survey, model, scheme=scheme, resamples=5000, interval="percentile")
            ours, what = boot.table.set_index(["quantity", "name"])["se"], "se of "
        elif table.get("consistent"):
            ours = consistent_pls(fit).table.set_index(["quantity", "name"])["estimate"]
        else:
            inner = structural_table(fit)
            inner["name"] = inner["source"] + "->" + inner["target"]
            ours = pd.concat([ours, pd.concat({"vif": inner.set_index("name")["vif"]})])
        for quantity, numbers in table["numbers"].items():
            for name, theirs in numbers.items():
                label = f"{what}{quantity} {name} ({scheme})"
                yield Row(table["source"], label, ours[quantity, name], theirs, table["within"])


def _live(peer: Peer, what: str) -> Iterator[Row]:
    for scheme in ("path", "factorial"):
        n = len(peer.ask()["values"])
        drawn = np.random.default_rng(11).integers(0, n, (RESAMPLES, n))
        found = peer.ask(scheme=scheme, indices=drawn)
        survey = pd.DataFrame(found["values"], columns=found["columns"])
        fit = fit_pls(survey, peer.model, scheme=scheme, tolerance=TIGHT)
        source = f"seminr {found['version']} for Python, run for this page: {what}"
        named = {"paths": "path", "weights": "weight", "loadings": "loading", "r2": "r2", "htmt": "htmt"}
        for theirs, ours in named.items():
            for name, value in found[theirs].items():
                if not np.isnan(fit.estimates[ours, name]):
                    yield Row(source, f"{ours} {name} ({scheme})", fit.estimates[ours, name], value, NOISE)
        answers = read_answers(survey, peer.model)
        rows = np.array([np.bincount(row, minlength=n) for row in drawn])[:, answers.position].astype(np.float32)
        values, labels = resample(answers, fit, [rows], TIGHT).values, Plan(peer.model).labels
        for theirs, (names, array) in found["boot"].items():
            mine = values[:, [labels.index((named[theirs], name)) for name in names]]
            row, column = np.unravel_index(np.abs(mine - array).argmax(), array.shape)
            label = f"{named[theirs]} {names[column]}, furthest of all in {RESAMPLES} resamples ({scheme})"
            yield Row(source, label, mine[row, column], array[row, column], NOISE)


def _two_stages(ecsi: PathModel) -> Iterator[Row]:
    """A higher-order construct of each mode, and an interaction (whose first stage stops at 1e-7 in the peer)."""
    kept = [c for c in ecsi.constructs if c.name in ("Image", "Quality", "Value", "Satisfaction", "Loyalty")]
    for mode in ("A", "B"):
        offer = HigherOrder("Offer", ("Quality", "Value"), mode)
        paths = {"Satisfaction": ["Image", "Offer"], "Loyalty": ["Satisfaction", "Offer"]}
        job = {"higher_order": {offer.name: offer.dimensions}, "formative": [offer.name] if mode == "B" else []}
        yield from _stage(PathModel(kept, paths, higher_order=[offer]), job, f"higher-order, mode {mode}", NOISE)
    paths = {"Satisfaction": ["Image", "Quality", "Value", "Image*Value"], "Loyalty": ["Satisfaction"]}
    yield from _stage(PathModel(kept, paths), {"interactions": [("Image", "Value")]}, "interaction", 1e-9)


def _stage(model: PathModel, job: dict, what: str, within: float) -> Iterator[Row]:
    found = Peer("mobi", model).ask(**job)
    survey = pd.DataFrame(found["values"], columns=found["columns"])
    ours = fit_pls(survey, model, tolerance=TIGHT).estimates.copy()
    for name in model.interactions:  # the peer divides by n - 1, and keeps the product's own scale
        for target in (t for t, sources in model.paths.items() if name in sources):
            ours["path", f"{name}->{target}"] *= np.sqrt(len(survey) / (len(survey) - 1)) / ours["product_sd", name]
    source = f"seminr {found['version']} for Python, run for this page: two stages, {what}"
    for theirs, quantity in {"paths": "path", "r2": "r2", "weights": "weight"}.items():
        for name, value in found[theirs].items():
            if (quantity, name) in ours.index:
                yield Row(source, f"{quantity} {name}", ours[quantity, name], value, within)


def page() -> tuple[str, list[Row]]:
    """Give the page, and the rows that differ by more than is allowed."""
    parts, off = [OPENING], []
    for heading, study in STUDIES.items():
        found = list(study())
        rows = [each for each in found if isinstance(each, Row)]
        off += [row for row in rows if not abs(row.ours - row.theirs) <= row.within]
        parts.append(f"\n## {heading}\n\n" + "\n".join(each for each in found if isinstance(each, str)) + "\n")
        sources = {source: list(group) for source, group in groupby(sorted(rows, key=_order(rows)), _source)}
        parts.append("\n| source | numbers | largest difference | allowed |\n|---|---|---|---|\n")
        for source, group in sources.items():
            worst = max(abs(row.ours - row.theirs) for row in group)
            parts.append(f"| {source} | {len(group)} | {_small(worst)} | {group[0].within:.0e} |\n")
        for source, group in sources.items():
            parts.append(f"\n### {source}\n\n| quantity | ours | theirs | difference |\n|---|---|---|---|\n")
            for row in group:
                small = _small(abs(row.ours - row.theirs))
                parts.append(f"| {row.quantity} | {row.ours:.8f} | {row.theirs:.8f} | {small} |\n")
    return "".join(parts), off


def _source(row: Row) -> str:
    return row.source


def _order(rows: list[Row]) -> Callable[[Row], int]:
    first = {source: place for place, source in reversed(list(enumerate(map(_source, rows))))}
    return lambda row: first[row.source]


def _small(difference: float) -> str:
    return "< 1e-12" if difference < NOISE else f"{difference:.1e}"


def main() -> None:
    """Write the page; say what is off."""
    try:
        text, off = page()
    except PeerAbsent as reason:
        sys.exit(f"there is no survey to compute on: {reason}, and they bring one along.")
    (ROOT / "docs/conformance.md").write_text(text, encoding="utf-8")
    print("docs/conformance.md: written; open it for every number")
    for row in off:
        print(f"off: {row.source}, {row.quantity}: {row.ours} against {row.theirs}, allowed {row.within}")
    sys.exit(bool(off))


if __name__ == "__main__":
    main()
