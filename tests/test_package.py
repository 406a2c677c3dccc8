"""`import workbench as wb` is enough for an analyst: doors, short views, Chinese in figures."""

import dataclasses
import importlib
import re
import warnings
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench import renamed
from workbench.result import CannotAnswer, Refusal, Result, ask
from workbench.studies.segmentation import concentration
from workbench.warehouse.views import view


@pytest.mark.parametrize("door", wb.__all__)
def test_every_door_opens(door):
    """Each name of `wb` is what its room offers, with a docstring."""
    assert getattr(wb, door).__doc__


def test_what_a_tab_completes_are_the_doors():
    """Not what the module itself needs."""
    assert [name for name in dir(wb) if not name.startswith("_")] == sorted(wb.__all__)


def test_the_docstring_names_doors_that_there_are():
    assert set(re.findall(r"wb\.([a-z]\w*)", wb.__doc__)) <= set(wb.__all__)


def test_the_lines_of_the_page_run_as_they_stand(operator, tmp_path, monkeypatch):
    """A newcomer copies them: segments and an answer come. Both languages show the same, but for comments."""
    monkeypatch.setenv("WORKBENCH_HOME", str(operator))
    monkeypatch.chdir(tmp_path)
    docs = Path(__file__).resolve().parents[1] / "docs"
    texts = [(docs / page).read_text("utf-8") for page in ("lab.md", "zh/lab.md")]
    (lines,), (same,) = (re.findall(r"```python\n(.*?)```", text, flags=re.S) for text in texts)
    assert re.sub(r" *#.*", "", lines) == re.sub(r" *#.*", "", same)
    here = {}
    exec(lines, here)
    labels = pd.read_csv(tmp_path / "segments.csv", dtype={"customer_id": str})
    assert len(labels) == len(here["use"]) and set(labels["cluster"]) == {1, 2, 3}
    assert "champions" in str(here["paid"].headline())


@pytest.mark.parametrize(
    "ask",
    [
        lambda: wb.features("sample", "2026-07-01"),
        lambda: wb.customer_view("sample", "2026-07-01"),
        lambda: wb.arms("sample", "data_upgrade", arm="treatment", as_of="2026-07-01"),
        lambda: view("sample", "bill_history", as_of="2026-07-01"),
    ],
)
def test_the_name_of_a_source_is_no_warehouse(ask):
    with pytest.raises(
        wb.WorkbenchError, match=r"'sample' is a name, not a warehouse. Open it: workbench.open\('sample'\)"
    ):
        ask()


def test_an_unknown_door_names_the_others():
    with pytest.raises(AttributeError, match=r"no attribute 'segments'.*segment"):
        wb.segments  # noqa: B018


def test_a_result_is_shown_by_its_sentence_and_ten_rows():
    """A dataclass would print every row of every field."""

    @dataclasses.dataclass(frozen=True)
    class Long(Result):
        rows: pd.DataFrame

        def headline(self):
            return "Said."

        def summary(self):
            return self.rows

        def plot(self, ax=None):
            raise NotImplementedError

    shown = repr(Long(pd.DataFrame({"x": np.arange(1_000) / 3})))
    assert shown.startswith("Said.\n") and shown.endswith("… 1,000 rows") and len(shown.splitlines()) == 13
    assert Long(pd.DataFrame({"x": ["<b>"]}))._repr_html_().count("&lt;b&gt;") == 1


def test_figures_have_chinese_without_any_call():
    """An analyst who has set nothing draws Chinese; whoever has set a font keeps it."""
    with mpl.rc_context({"font.family": ["sans-serif"]}):
        found = concentration(pd.Series(np.arange(1.0, 400.0)), rng=0)
        found.plot()
        assert mpl.rcParams["font.family"] == ["Noto Sans SC"]
    with mpl.rc_context({"font.family": ["serif"]}):
        found.plot()
        assert mpl.rcParams["font.family"] == ["serif"]


def test_a_refusal_stands_for_what_was_asked_and_for_what_rests_on_it():
    def rank(of, *, by="x"):
        raise CannotAnswer("not answerable: one operator")

    refused = ask(rank, 1)
    assert refused == Refusal("not answerable: one operator") and refused.headline() == "Not answerable: one operator"
    assert ask(len, refused) is refused and ask(sorted, [2, 1], key=None) == [1, 2]
    assert refused.table.iloc[0]["share"] is refused and refused.advice() is refused
    assert f"{refused.headline()}" == f"{refused.table['x']}" == "Not answerable: one operator"
    with pytest.raises(TypeError):
        list(refused)
    with pytest.raises(TypeError):
        ask(rank)


def test_modules_of_the_version_before_are_found_under_their_old_names():
    """What they hold is what the module of today holds, and a warning names it; each of the table leads somewhere."""
    for old, new in renamed.RENAMED.items():
        importlib.import_module(f"workbench.{new}")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            importlib.reload(importlib.import_module(f"workbench.{old}"))
        assert f"'workbench.{old}' is 'workbench.{new}' since version 0.2." in [str(w.message) for w in said]
    with warnings.catch_warnings(action="ignore"):
        trials = importlib.import_module("workbench.studies.trials.effect")
        assert trials.average_effect is wb.effect
        with pytest.raises(ModuleNotFoundError, match="nowhere"):
            importlib.import_module("workbench.studies.trials.nowhere")


@pytest.mark.parametrize(("room", "name"), [("voice", "service_shortfalls"), ("tiers", "cost_to_serve")])
def test_a_name_that_moved_to_another_room_is_still_found(room, name):
    """What stood in `voice` and `tiers` until 0.3 is that of `service`; what never stood there is not."""
    module = importlib.import_module(f"workbench.studies.{room}")
    with pytest.warns(DeprecationWarning, match=f"workbench.studies.service.{name}"):
        assert getattr(module, name) is getattr(importlib.import_module("workbench.studies.service"), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing
