"""What is hidden of a table, so that no small count can be had by subtraction."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from doors import CASES, answered

from workbench.reports.page import notebook
from workbench.reports.page.html import QUANTITIES
from workbench.reports.page.tables import payload, shown, withheld
from workbench.result import Quantity, Result, Table
from workbench.suppression import suppressed


def hidden(frame, totals=(), minimum=10):
    """Give the names of the rows that are hidden."""
    rows = sorted(itertools.chain(*suppressed(frame, "n", minimum, totals)))
    return ["".join(map(str, frame.drop(columns="n").iloc[row])) for row in rows]


def margins(frame, totals):
    """Give the rows of each line, by hand."""
    yield frame.index.to_numpy()
    for alike in totals:
        keys = frame[[*alike]].apply(tuple, axis=1)
        yield from frame.groupby(keys).groups.values()


@pytest.mark.parametrize(
    ("counts", "gone"),
    [
        ([40, 50, 60], ""),
        ([40, 50, 3], "ac"),  # 150 less 110 were known: the smallest of the others goes too
        ([40, 5, 7], "bc"),  # twelve together
        ([40, 2, 3, 4], "abcd"),  # nine together are fewer than ten
        ([40, 0, 30], "b"),  # of nobody nothing is learnt
        ([40, 0, 3], "abc"),
    ],
)
def test_one_column_by_hand(counts, gone):
    """A hidden row is never the total less the others, and those hidden stand on ten together."""
    frame = pd.DataFrame({"row": list("abcd"[: len(counts)]), "n": counts})
    assert "".join(hidden(frame)) == gone


def test_rows_that_overlap_are_hidden_alone():
    """Where nothing adds up, nothing follows."""
    frame = pd.DataFrame({"row": list("abc"), "n": [40, 50, 3]})
    assert hidden(frame, None) == ["c"]


@pytest.mark.parametrize("seed", range(30))
def test_no_hidden_count_follows_from_the_totals(seed):
    """In random tables of two and three columns, solved as equations; in whatever order the rows stand."""
    rng = np.random.default_rng(seed)
    columns = list("xyz"[: 2 + seed % 2])
    totals = ["x", "y"] if seed % 2 == 0 else [("x", "y"), ("z",)]
    cells = pd.DataFrame(itertools.product(*(range(rng.integers(2, 5)) for _ in columns)), columns=columns)
    cells["n"] = rng.choice([0, 1, 3, 9, 12, 40, 200], len(cells), p=[0.05, 0.05, 0.1, 0.1, 0.2, 0.2, 0.3])
    small, beside = suppressed(cells, "n", 10, totals)
    rows = np.array(sorted([*small, *beside]), dtype=int)
    assert small == np.flatnonzero(cells["n"] < 10).tolist()
    told = rows[cells["n"].to_numpy()[rows] > 0]
    if len(rows) < len(cells):
        sums = np.array([np.isin(told, line) for line in margins(cells, totals) if len(line) > 1], dtype=float)
        basis = np.linalg.svd(sums)[2][np.linalg.matrix_rank(sums) :]  # what the totals leave open
        assert (np.abs(basis).max(axis=0, initial=0) > 1e-9).all()
        for line in margins(cells, totals):
            lost = cells["n"].loc[np.intersect1d(line, rows)].sum()
            assert len(line) == 1 or lost == 0 or lost >= 10 or set(line) <= set(rows)
    mixed = cells.sample(frac=1, random_state=seed)
    again = np.array(sorted(mixed.index[list(itertools.chain(*suppressed(mixed, "n", 10, totals)))]))
    assert again.tolist() == rows.tolist()


class Found(Result):
    """Three groups, one of them small."""

    NAME, COUNTS = "groups", "n"

    def headline(self):
        return "Three groups."

    def summary(self):
        return pd.DataFrame({"group": list("abc"), "n": [40, 50, 3], "share": [0.4, 0.5, 0.1]})

    def quantities(self):
        yield Quantity("groups", 3.0, "1")
        for place, row in enumerate(self.summary().itertuples()):
            yield Quantity(f"share[{row.group}]", row.share, "share", row=place)


def test_numbers_on_hidden_rows_are_not_recorded(monkeypatch):
    """On the page, in the sheet and among the numbers the same rows are missing; how many is said."""
    told = []
    monkeypatch.setattr(notebook, "_display", lambda data, about: told.append((data, about)))
    notebook.record(Found())
    data, about = told[0]
    assert [row["name"] for row in data[QUANTITIES]] == ["groups", "share[b]"]
    assert about["hidden"] == 2 and data["text/plain"] == "2 numbers recorded, 2 on few customers left out"
    table = Found().as_table()
    assert withheld(table.frame, table.counts, 10, table.totals) == {0, 2}
    made = payload(table.frame, name="t", caption="c.", counts="n")
    assert shown(made) == [["a", "–", "–"], ["b", "50", "0.5000"], ["c", "<10", "–"]]
    assert made["rows"][0] == ["a", None, None]


def test_a_plan_may_ask_for_more(monkeypatch):
    """The smallest count of the run holds for tables and numbers alike."""
    told = []
    monkeypatch.setattr(notebook, "_display", lambda data, about: told.append(data))
    monkeypatch.setenv(notebook.MINIMUM, "2")
    notebook.record(Found())
    notebook.show(Table("t", Found().summary(), "All.", counts="n"))
    assert len(told[0][QUANTITIES]) == 4 and "<" not in told[1]["text/plain"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_number_of_a_row_names_it(case):
    """A number that is called as a cell of its table goes with that row; so nothing of a hidden row is recorded."""
    found = answered(case)[0]
    for one in found if isinstance(found, tuple) else (found,):
        if isinstance(one, Result) and one.COUNTS:
            frame = one.as_table().frame
            cells = {str(cell) for column in frame for cell in frame[column] if isinstance(cell, str)}
            for quantity in one.quantities():
                words = cells & {*re.findall(r"[\[,](?:\w+=)?([^\[\],]+)", quantity.name)}
                if quantity.row is not None:
                    assert not words or words & {str(cell) for cell in frame.iloc[quantity.row]}, quantity.name
                else:
                    assert not words or quantity.name.startswith("missed_difference"), quantity.name  # of no cell
