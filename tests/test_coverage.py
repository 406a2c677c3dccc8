"""The grid of docs/coverage.md with fewer samples: pooled over its worlds, each number's intervals hold."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "coverage"))
import grid


@pytest.mark.prove
@pytest.mark.parametrize("room", grid.ROOMS)
def test_printed_intervals_hold(room, tmp_path):
    """At least 93.5% of all intervals printed of a number, less three Monte-Carlo errors."""
    pooled: dict[str, list[int]] = {}
    for cell in grid.counted([room], tmp_path / "counts.json", 0.1):
        printed, missed = pooled.setdefault(cell.quantity, [0, 0])
        pooled[cell.quantity] = [printed + cell.printed, missed + cell.above + cell.below]
    for quantity, (printed, missed) in pooled.items():
        if printed >= 200:
            noise = (0.05 * 0.95 / printed) ** 0.5
            assert 1 - missed / printed > 0.935 - 3 * noise, quantity


def test_a_cell_counts_both_sides():
    """By hand: of three intervals printed in four samples one lies above the truth and one below."""
    cell = grid.Cell("room", "number", "world", samples=4, printed=3, above=1, below=1)
    assert cell.covered == pytest.approx(1 / 3)
    text = grid.page([grid.Cell("r", "n", "w", 100, 80, 4, 0), grid.Cell("r", "m", "w", 100, 80, 8, 8)], {})
    assert text.index("| m | w | 80.0") < text.index("| n | w | 95.0")


@pytest.mark.parametrize("room", grid.ROOMS)
def test_worlds_are_named_apart(room):
    """Each world has a name of its own, so that two versions can be set beside each other."""
    worlds = importlib.import_module(room).WORLDS
    assert len({(type(world), str(world)) for world in worlds}) == len(worlds)


@pytest.mark.prove
def test_counting_goes_on_where_it_was_stopped(tmp_path):
    """Worlds that stand in the file are not counted again; the others are added, and the file is whole at any time."""
    worlds = importlib.import_module("values").WORLDS
    given = [grid.Cell("values", "made up", str(w), 7, 7, 0, 0, type(w).__name__) for w in worlds[1:]]
    grid.write(tmp_path / "counts.json", given)
    found = grid.counted(["values"], tmp_path / "counts.json", 0.0)
    assert found[: len(given)] == given and {cell.world for cell in found[len(given) :]} == {str(worlds[0])}
    assert grid.read(tmp_path / "counts.json") == found
