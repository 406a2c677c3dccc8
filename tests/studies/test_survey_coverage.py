"""Do intervals of cells, parts and clusters of a survey hold the truth as often as they say? The worlds are those of
`make coverage` (tests/coverage/surveys.py), with fewer samples."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "coverage"))
from surveys import WORLDS, Index, Part, Waves, measured


@pytest.mark.prove
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_intervals_of_surveys_hold_the_truth(world):
    """At least 93.5%, less two and a half Monte Carlo errors, of every number that has an interval."""
    held: dict[str, list[bool]] = {}
    for seed in range(200 if isinstance(world, (Index, Waves)) else 500):
        for name, truth, low, high in measured(world, seed):
            held.setdefault(name, []).append(low <= truth <= high)
    # Of 19 answers whose low tail is rare the tail itself is often unseen: no method that sees only them holds more.
    wanted = 0.895 if world == Part("70% at 10", 31, 6) else 0.935
    for name, values in held.items():
        share, noise = np.mean(values), np.sqrt(0.05 * 0.95 / len(values))
        print(f"{name}: {world}: {share:.1%} of {len(values)}")
        assert share > wanted - 2.5 * noise
