"""Scoring everyone: one score a row, in batches, into a file that is whole or absent."""

from contextlib import contextmanager

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.studies.segmentation import fit_segments
from workbench.warehouse import open_warehouse
from workbench.warehouse.features import customer_features, features_sql
from workbench.warehouse.scoring import appended, score

QUERY = "SELECT who, a, b FROM people ORDER BY who"
HOW = {"key": "who", "batch": 300}


class People:
    """A thousand people with two numbers each."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.frame = pd.DataFrame(
            {"who": [f"P{i:04}" for i in range(1_000)], **dict(zip("ab", rng.random((2, 1_000)), strict=True))}
        )

    @contextmanager
    def connect(self):
        with duckdb.connect() as con:
            con.register("people", self.frame)
            yield con


def test_function_by_hand(tmp_path):
    """A function of a batch gives each row its own value, in the query's order."""
    people = People()
    done = score(people, QUERY, lambda f: f["a"] + 2 * f["b"], into=tmp_path / "s.parquet", **HOW | {"batch": 100})
    found = pd.read_parquet(done.path)
    assert found["who"].tolist() == people.frame["who"].tolist() and done.rows == 1_000
    assert found["score"].to_numpy() == pytest.approx((people.frame["a"] + 2 * people.frame["b"]).to_numpy())
    assert "1,000 rows scored" in done.headline()


def test_models_as_they_predict(tmp_path):
    """A classifier gives the second class's probability, a predictor its value, a segmentation its cluster."""
    people = People()
    x = people.frame[["b", "a"]]
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(x, x["a"] > 0.5)
    line = LinearRegression().fit(x, 3 * x["a"] - x["b"])
    segments = fit_segments(x, k=2)
    for model, wanted in (
        (trees, trees.predict_proba(x)[:, 1]),
        (line, line.predict(x)),
        (segments, segments.assign(x).to_numpy()),
    ):
        found = pd.read_parquet(score(people, QUERY, model, into=tmp_path / "s.parquet", **HOW).path)
        np.testing.assert_allclose(found["score"], wanted, rtol=1e-12)


def test_several_scores_and_missing(tmp_path):
    """A table of scores keeps its names; a missing score is missing in the file."""
    done = score(
        People(),
        QUERY,
        lambda f: pd.DataFrame({"low": f["a"].where(f["a"] > 0.5), "high": f["b"]}),
        into=tmp_path / "s.parquet",
        **HOW,
    )
    assert done.columns == ("who", "low", "high")
    assert pq.read_table(done.path)["low"].null_count == (People().frame["a"] <= 0.5).sum()


def test_interrupted_leaves_what_stood_there(tmp_path):
    """A model that fails halfway, or is interrupted, leaves the file of before and nothing beside it."""
    into = tmp_path / "s.parquet"
    score(People(), QUERY, lambda f: f["a"], into=into, **HOW)
    before = into.read_bytes()
    for error in (KeyboardInterrupt, ZeroDivisionError):
        batches = iter([np.zeros(300), np.zeros(300)])

        def model(frame, batches=batches, error=error):
            found = next(batches, None)
            if found is None:
                raise error
            return found

        with pytest.raises(error):
            score(People(), QUERY, model, into=into, **HOW)
        assert into.read_bytes() == before and list(tmp_path.iterdir()) == [into]


@pytest.mark.parametrize(
    ("query", "model", "words"),
    [
        ("SELECT a, b FROM people", len, "lacks the key 'who'. It gives: a, b"),
        ("SELECT who, c FROM people", len, "^no column 'c' in what the query reads"),
        (QUERY, lambda f: f["a"][:-1], r"a batch of 300 rows got 'score' \(299,\)"),
        (QUERY, lambda f: np.zeros((len(f), 2)), "the model gives one score a row"),
        (QUERY, lambda f: f["a"].mean(), r"got 'score' \(\)"),
        (QUERY, "trees", "not str"),
        (QUERY, lambda f: f["a"] if len(f) == 300 else f["a"].astype(str) + "x", "another type"),
        (QUERY.replace("ORDER", "WHERE a > 2 ORDER"), lambda f: f["a"], "nobody to score"),
    ],
)
def test_refused(tmp_path, query, model, words):
    """What cannot be scored is refused with the reason, and no file appears."""
    with pytest.raises((WorkbenchError, CannotAnswer), match=words):
        score(People(), query, model, into=tmp_path / "s.parquet", **HOW)
    assert not list(tmp_path.iterdir())


def test_missing_column_of_the_model(tmp_path):
    """A column that the model was fitted on and the query lacks is named."""
    model = LinearRegression().fit(People().frame[["a", "b"]], People().frame["a"])
    with pytest.raises(WorkbenchError, match="lacks 'b', which the model was fitted on"):
        score(People(), "SELECT who, a FROM people", model, into=tmp_path / "s.parquet", key="who")


def test_everybody_of_the_operator(operator, tmp_path):
    """A model fitted on a sample of the features scores every customer as it would in memory."""
    warehouse = open_warehouse(root=operator)
    frame = customer_features(warehouse, warehouse.as_of, tables=["activity", "bills"]).set_index("customer_id")
    x = frame[["recency_days", "frequency", "monetary"]]
    model = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(x.iloc[::4], x["monetary"].iloc[::4] > 60)
    query = features_sql(["activity", "bills"])
    done = score(
        warehouse, query, model, into=tmp_path / "s.parquet", parameters={"as_of": warehouse.as_of}, batch=1_000
    )
    found = pd.read_parquet(done.path).set_index("customer_id")["score"]
    assert found.index.tolist() == x.index.tolist()
    np.testing.assert_array_equal(found, model.predict_proba(x)[:, 1])


@pytest.mark.parametrize("name", ["scores.xlsx", "scores", "scores.csv.gz"])
def test_a_file_of_another_form_is_not_written_under_its_name(tmp_path, name):
    """A workbook by its name that is Parquet by its content opens nowhere."""
    with pytest.raises(WorkbenchError, match=r"is neither \.parquet nor \.csv"), appended(tmp_path / name):
        pass
    assert not list(tmp_path.iterdir())
