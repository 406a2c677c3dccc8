"""Count how often printed intervals hold the truth, over a declared grid of worlds.

A room of the grid is a module beside this file with `WORLDS`, a list of hashable worlds whose text names them, `RUNS`,
the number of samples of each, and `measured(world, seed)`, which draws one sample and yields for each number that it
prints an interval of: its name, the truth, and the ends (NaN where none was printed). Run as a program it writes
docs/coverage.md, the worst cell first; with --count FILE it writes the counts alone, also of another version. Counts
are kept world by world: whoever stops it starts it again, and it goes on where it was.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
KEPT = HERE / ".counts.json"
ROOMS = ("effects", "curves", "surveys", "lifetimes", "departures", "complaints", "concentrations", "values", "paths")
WANTED = (0.935, 0.965)
INTRODUCTION = """# Coverage

How often a printed 95% interval holds the truth, by simulation. `make coverage` counts every world declared in
`tests/coverage/` and writes this page. *Printed* is the share of samples in which the interval was given at all;
where it was not, the result says why. *Missed* is how often the truth lay below and above the interval. *Before* is the
version of 23 November 2026. Counts are whole numbers, so intervals of rare shares cover more than 95% where the step
between two counts is large: no method could mend that.

"""


@dataclass
class Cell:
    """What came of one number in one world."""

    room: str
    quantity: str
    world: str
    samples: int = 0
    printed: int = 0
    above: int = 0
    below: int = 0
    kind: str = ""

    @property
    def covered(self) -> float:
        """Share of the printed intervals that hold the truth."""
        return 1 - (self.above + self.below) / self.printed if self.printed else float("nan")

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of that share (of 95% where all or none hold)."""
        share = min(max(self.covered, 0.5), 0.95)
        return (share * (1 - share) / self.printed) ** 0.5 if self.printed else float("nan")


def count(room: str, world: object, runs: int) -> list[Cell]:
    """Draw `runs` samples of a world and count each of its numbers."""
    module = importlib.import_module(room)
    cells: dict[str, Cell] = {}
    for seed in range(runs):
        for quantity, truth, low, high in module.measured(world, seed):
            cell = cells.setdefault(quantity, Cell(room, quantity, str(world), runs, kind=type(world).__name__))
            if np.isfinite(low) or np.isfinite(high):
                cell.printed += 1
                cell.above += bool(low > truth)
                cell.below += bool(high < truth)
    return list(cells.values())


def counted(rooms: Iterable[str], kept: Path, share: float = 1.0, workers: int = 2) -> list[Cell]:
    """Count every world of the rooms, `share` of the declared samples each, but those that stand in the file."""
    cells = read(kept) if kept.exists() else []
    known = {(cell.room, cell.kind, cell.world) for cell in cells}
    jobs = [
        (room, world, max(40, int(share * module.RUNS)))
        for room in rooms
        for module in [importlib.import_module(room)]
        for world in module.WORLDS
        if (room, type(world).__name__, str(world)) not in known
    ]
    begun = time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        running = [pool.submit(count, *job) for job in jobs]
        for done, one in enumerate(as_completed(running), start=1):
            cells += one.result()
            write(kept, cells)
            print(f"\r{done} of {len(jobs)} worlds, {time.monotonic() - begun:,.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    return cells


def page(cells: list[Cell], before: dict[tuple[str, str], Cell]) -> str:
    """Write the table, the worst cell first."""
    shown = sorted((c for c in cells if c.printed >= 40), key=lambda c: (c.covered, c.quantity, c.world))
    silent = sum(c.printed < 40 for c in cells)
    low = [c for c in shown if c.covered < WANTED[0]]
    sided = [c for c in shown if max(c.above, c.below) / c.printed > 0.025 + 2 * c.error]
    high = sum(c.covered > WANTED[1] for c in shown)
    inside = len(shown) - len(low) - high
    lines = [
        INTRODUCTION,
        f"{len(shown)} cells: {inside} within 93.5 to 96.5%, {high} above, {len(low)} below. In {len(sided)}\n"
        "a side misses by more than 2.5% and two Monte-Carlo errors. "
        f"In {silent} further cells hardly any interval was printed.\n\n",
        "| number | world | held (%) | error | missed below, above (%) | printed (%) | before: held, printed (%) |\n",
        "|---|---|---|---|---|---|---|\n",
    ]
    for c in shown:
        old = before.get((c.quantity, c.world))
        then = f"{100 * old.covered:.1f}, {100 * old.printed / old.samples:.0f}" if old and old.printed else "none"
        missed = f"{100 * c.above / c.printed:.1f}, {100 * c.below / c.printed:.1f}"
        lines.append(
            f"| {c.quantity} | {c.world} | {100 * c.covered:.1f} | {100 * c.error:.1f} | {missed} | "
            f"{100 * c.printed / c.samples:.0f} | {then} |\n"
        )
    return "".join(lines)


def read(path: Path) -> list[Cell]:
    """Read counts."""
    return [Cell(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def write(path: Path, cells: Iterable[Cell]) -> None:
    """Write counts, whole or not at all."""
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps([asdict(cell) for cell in cells], indent=0), encoding="utf-8")
    aside.replace(path)


def main() -> None:
    """Write the page, or the counts alone."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("rooms", nargs="*", help=f"of {', '.join(ROOMS)}; all if none is named")
    asked.add_argument("--share", type=float, default=1.0, help="of the declared samples (default 1)")
    asked.add_argument("--count", type=Path, help="go on with this file of counts; write no page")
    asked.add_argument("--page", type=Path, nargs="+", help="write the page from files of counts")
    options = asked.parse_args()
    if options.page:
        cells = [cell for path in options.page for cell in read(path)]
    else:
        cells = counted(options.rooms or ROOMS, options.count or KEPT, options.share)
    if options.count:
        return
    KEPT.unlink(missing_ok=True)
    before = {(c.quantity, c.world): c for c in read(HERE / "before.json")}
    (ROOT / "docs/coverage.md").write_text(page(cells, before), encoding="utf-8")
    print("docs/coverage.md: written, the worst cell first")


if __name__ == "__main__":
    main()
