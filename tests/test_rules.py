"""Rules as data: what a file may hold, and what a condition that a person wrote may say."""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.rules import condition, judge, made, prove_parted, read_rules

COLUMNS = ["calls", "numbers", "kind", "号码数", "threshold"]


def keep(name, share=0.5):
    return name, share


def test_a_file_gives_what_is_made_of_it(tmp_path):
    """Keys go by name, lists as tuples; what is unknown, absent or unreadable is one sentence with its place."""
    file = tmp_path / "自己的.toml"
    for text, words in (
        ('name = "a"\nshares = 1', "no key 'shares' in .*Did you mean 'share'"),
        ("share = 1", "自己的.toml lacks 'name'"),
        ("name =", "can't use .*自己的.toml: Invalid value.* Its form is that of shipped.toml"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(WorkbenchError, match=words):
            read_rules(file, None, "shipped.toml", keep)
    with pytest.raises(WorkbenchError, match=r"can't use .*No such file"):
        read_rules(tmp_path / "absent.toml", None, "shipped.toml", keep)
    file.write_bytes('name = "号"'.encode("gb18030"))
    with pytest.raises(WorkbenchError, match=r"can't use .*utf-8"):
        read_rules(file, None, "shipped.toml", keep)
    assert made(keep, {"name": ["a", "b"]}, "x") == (("a", "b"), 0.5)


def test_parts_hold_each_cell_once():
    """A gap, an overlap and a cell that is none are named."""
    prove_parted([("a", ["x"]), ("b", ["y"])], ["x", "y"], "f", "part")
    for held, words in (
        ([("a", ["x"])], "gap: no part holds 'y'"),
        ([("a", ["x", "y"]), ("b", ["y"])], "overlap: 'a', 'b' hold 'y'"),
        ([("a", ["x", "yy"])], "no cell 'yy' in f. Did you mean 'y'"),
    ):
        with pytest.raises(WorkbenchError, match=words):
            prove_parted(held, ["x", "y"], "f", "part")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("call > 3", "no column 'call' in rule 'r'. Did you mean 'calls'"),
        ("current_date > 3", "no column 'current_date'"),
        ("calls > 1); DROP TABLE line; SELECT (1", "is not one expression"),
        ("calls > 1; SELECT 2", "is not one expression"),
        ("calls > 1) FROM line WHERE (true", "is not one expression"),
        ("calls > 1 UNION SELECT 2", "is not one expression"),
        ("calls >", "is not one expression"),
        ("calls > (SELECT 1)", "has no subquery"),
        ("calls > ANY(SELECT 1)", "has no subquery"),
        ("read_csv('/etc/passwd') > 1", r"has no function read_csv\(\)"),
        ("getenv('HOME') = 'x'", r"has no function getenv\(\)"),
        ("random() > 0.5", r"has no function random\(\)"),
        ("main.abs(calls) > 1", r"has no function abs\(\)"),
        ("kind LIKE 'x%'", "number or text stands where a condition should"),
        ("NOT (kind LIKE 'x%')", "number or text stands where a condition should"),
        ("(kind || 'x') = 'ax'", "has no operator"),
        ("calls::VARCHAR = '1'", "has no cast"),
        ("sum(calls) OVER () > 1", "has no window"),
        ("count(*) > 1", r"has no function count_star\(\)"),
        ("calls > $x", "has no parameter"),
        ("line.calls > 1", "write the column 'calls' without a table"),
        ("CASE WHEN calls > 1 THEN true END", "has no case"),
        ("calls[1] > 1", "has no operator"),
        ("calls + 1", "number or text stands where a condition should"),
        ("calls > 1 AND 3", "number or text stands where a condition should"),
        ("*", r"has no \*"),
        ("", "the expression is a text"),
        (3, "the expression is a text"),
    ],
)
def test_what_a_condition_may_not_say(text, words):
    """What is no single condition of columns, constants and a few functions is refused in one sentence."""
    with pytest.raises(WorkbenchError, match=words) as refused:
        condition(text, "rule 'r'", COLUMNS)
    assert "\n" not in str(refused.value)


def test_a_condition_is_judged_as_it_reads():
    """By hand: missing values and a division by zero are unknown; names of any script, a constant by its name."""
    table = pd.DataFrame(
        {
            "calls": [6, 1, 4, np.nan],
            "numbers": [2, 1, 0, 1],
            "kind": ["a", None, "b", "a"],
            "号码数": [True, False, True, True],
        }
    )
    found = judge(
        {
            "ratio": (condition("calls / numbers >= threshold", "r", COLUMNS), {"threshold": 3}),
            "words": (condition("kind IN ('a') or 号码数 and not calls between 3 and 5", "r", COLUMNS), {}),
            "known": (condition("coalesce(calls, -1) % 2 = 0 and kind is not null", "r", COLUMNS), {}),
            "all": (condition("1 < 2", "r", COLUMNS), {}),
        },
        table,
        "lines",
    )
    assert found["ratio"].tolist() == [1, 0, -1, -1]
    assert found["words"].tolist() == [1, -1, 0, 1]
    assert found["known"].tolist() == [1, 0, 1, 0]
    assert found["all"].tolist() == [1, 1, 1, 1]


def test_a_condition_as_sql_means_the_same():
    """What is shown for another system divides by no zero and has its constants filled in."""
    written = condition("calls / numbers >= threshold and kind = 'it''s'", "r").sql({"threshold": 3.5})
    assert written == "(((calls / NULLIF(numbers, 0)) >= 3.5) AND (kind = 'it''s'))"
    assert condition(written.replace("NULLIF", "greatest"), "r").columns == (
        "calls",
        "numbers",
        "kind",
    )


def test_judging_keeps_the_order_of_many_rows():
    """A thousand vectors of rows come back as they stand."""
    values = np.random.default_rng(1).permutation(300_000).astype(float)
    found = judge({"r": (condition("x % 3 = 1", "r"), {})}, pd.DataFrame({"x": values}), "lines")
    assert (found["r"] == (values % 3 == 1)).all()


def test_what_a_table_cannot_answer():
    """A column that the table lacks, or one compared with what it is not, names the rule."""
    with pytest.raises(WorkbenchError, match="no column 'calls' in lines, which rule 'r' reads"):
        judge({"rule 'r'": (condition("calls > 1", "r"), {})}, pd.DataFrame({"a": [1]}), "lines")
    with pytest.raises(WorkbenchError, match="rule 'r' does not work on lines"):
        judge({"rule 'r'": (condition("kind > 1", "r"), {})}, pd.DataFrame({"kind": ["x"]}), "lines")


def test_a_least_of_a_missing_value_is_unknown_and_large_whole_numbers_are_exact():
    """DuckDB passes over what is missing, and a float holds no whole number beyond 2**53."""
    table = pd.DataFrame({"x": [None, 2.0, 3.0], "y": [2.0, 3.0, 1.0], "n": [2**53 + 1, 2**53, -(2**53) - 1]})
    asked = {"l": "least(x, y) > 1", "g": "Greatest(y, least(x, 9), 0) >= 3", "n": "n = 9007199254740993"}
    found = judge({name: (condition(text, name), {}) for name, text in asked.items()}, table, "lines")
    assert found["l"].tolist() == [-1, 1, 0] and found["g"].tolist() == [-1, 1, 1] and found["n"].tolist() == [1, 0, 0]
    gaps = table.assign(n=pd.array([2**53 + 1, None, 2**53], "Int64"))
    assert judge({"n": (condition(asked["n"], "n"), {})}, gaps, "lines")["n"].tolist() == [1, -1, 0]
