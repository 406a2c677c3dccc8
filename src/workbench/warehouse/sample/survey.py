"""What do people say? A satisfaction survey of three operators, by stratum, with design weights and a few gaps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from workbench.warehouse.sample.extracts import DUPLICATE, Extracts, Layout, words
from workbench.warehouse.sample.money import SERVICE_WORDS
from workbench.warehouse.sample.places import OPERATORS, PROVINCES
from workbench.warehouse.sample.population import ITEMS, WAVES, Population, population, truth

RESPONDENTS = 8_400
NO_ANSWER = 99
_GAPS = 0.006
_LINES_IN_ALL = 1.75e9
_CHANNELS = ("电话", "网络", "入户")
_BREAKS = (
    ("unparsable number", "SA1", "很好"),
    ("missing mandatory", "权重", ""),
    ("unknown code", "业务", "电报"),
    (DUPLICATE, "", ""),
)


def allocation(people: Population, respondents: int) -> np.ndarray:
    """Interviews by cell, shape (c,): small strata get more than their share, and 12 at least."""
    wish = people.share**0.6
    return np.maximum(12, np.rint(respondents * wish / wish.sum())).astype(np.int64)


def answers(people: Population, cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Answers 1-10 of respondents drawn at random from their cells, shape (respondents, items)."""
    latent = rng.standard_normal((len(cell), len(ITEMS))) @ np.linalg.cholesky(people.latent).T
    return np.clip(np.rint(people.centre[cell] + people.spread * latent), 1, 10).astype(np.int64)


def write_survey(extracts: Extracts, rng: np.random.Generator) -> dict[str, object]:
    """Write both waves; gives the population values that the survey estimates.

    Gaps fall completely at random, so that no way of treating them is biased by who gave no answer.
    """
    waves = {}
    for wave in WAVES:
        people = population(wave)
        _write_wave(extracts, wave, people, rng)
        waves[wave] = truth(people)
    return {"model": "tcsi", "scheme": "path", "waves": waves}


def _write_wave(extracts: Extracts, wave: str, people: Population, rng: np.random.Generator) -> None:
    counts = allocation(people, RESPONDENTS)
    cell = np.repeat(np.arange(len(counts)), counts)
    said = answers(people, cell, rng)
    gap = rng.random(said.shape) < _GAPS
    said = np.where(gap & (rng.random(said.shape) < 0.5), NO_ANSWER, said)
    blank = gap & (said != NO_ANSWER)
    layout = Layout(f"survey/满意度调查_{wave}.csv", encoding="gb18030", breaks=_BREAKS)
    columns = {
        "问卷编号": int(wave) * 1_000_000 + np.arange(len(cell)),
        "年度": np.full(len(cell), int(wave)),
        "运营商": words(people.operator[cell], OPERATORS),
        "省份": words(people.province[cell], PROVINCES),
        "业务": words(people.service[cell], SERVICE_WORDS),
        "访问方式": words(rng.choice(3, len(cell), p=(0.5, 0.4, 0.1)), _CHANNELS),
        "权重": np.round(people.share * _LINES_IN_ALL / counts, 3)[cell],
    }
    items = {item: pa.array(said[:, k], mask=blank[:, k]) for k, item in enumerate(ITEMS)}
    extracts.csv(layout, columns | items)
