"""No report is made before its data; what failed for want of them, or is of older ones, is made again."""

import datetime as dt
import json
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import cli
from workbench.reports.runs import sources as found
from workbench.reports.runs.ledger import Ledger
from workbench.reports.runs.periods import parse
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.publish import refresh_site
from workbench.reports.runs.schedule import tick
from workbench.reports.runs.slots import NotCovered, find_slots
from workbench.reports.runs.sources import known_until
from workbench.reports.runs.status import read_status
from workbench.warehouse.ingest import ingest

CELL = 'source: str = "t"  # warehouse: which\nas_of: date = "2024-01-01"  # date: until\n'
PLAN = (
    'period = "month"\ncron = "0 6 1 * *"\nretries = 0\n[parameters]\nsource = "t"\n'
    '[[study]]\nname = "paid"\n[[study]]\nname = "calls"\n'
)


def _moment(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with two studies and a monthly plan; its warehouse is a version, its digests and its `as_of`."""
    for folder in ("notebooks", "reports/plans", "data/mappings"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("paid", "calls"):
        cells = [new_code_cell(CELL, metadata={"tags": ["parameters"]}), new_code_cell("1")]
        nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "reports/plans/monthly.toml").write_text(PLAN)
    monkeypatch.setattr(
        found,
        "_known_until",
        lambda source, version, root: dt.date.fromisoformat(
            (root / "data/warehouse" / source / version / "as_of").read_text()
        ),
    )
    return tmp_path


def deliver(root, version, as_of, source="t", **tables):
    """Put a version in force: the day it reaches, and a digest for each table."""
    place = root / "data/warehouse" / source / version
    place.mkdir(parents=True)
    (place / "as_of").write_text(as_of)
    (place / "tables.json").write_text(json.dumps(tables))
    (place.parent / "CURRENT").write_text(version)


def runner(fails=lambda study, version: False):
    """A run that ends slots without rendering them: `paid` reads payments, `calls` detail records."""
    seen = []
    reads = {"paid": "payment", "calls": "detail_record"}

    def run(plan, slots, root):
        with Ledger(root) as ledger:
            for slot in slots:
                if (claim := ledger.claim(slot)).verdict != "claimed":
                    continue
                study, version = slot.study.name, slot.data_version
                seen.append((study, slot.period, version))
                digest = found.table_digests("t", version, root)[reads[study]]
                failed = fails(study, version)
                manifest = {"status": "failed", "refused": True, "error": "none"} if failed else {"status": "done"}
                manifest |= {"seconds": 0.1, "fingerprint": slot.fingerprint, "code": slot.code, "plan": plan.name}
                manifest |= {"period": slot.period, "data_version": version, "attempt": claim.token, "study": study}
                manifest |= {"inputs": {"version": version, "tables": {reads[study]: digest}}}
                manifest |= {"parameters": [{"name": k, "value": v} for k, v in slot.parameters.items()]}

                def publish(slot=slot, manifest=manifest):
                    folder = slot.folder(root)
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / "manifest.json").write_text(json.dumps(manifest))

                ledger.finish(claim, manifest, publish)

    return SimpleNamespace(run=run, seen=seen)


def test_a_period_that_the_data_do_not_cover_waits_for_them(root):
    """Due on 1 November; the data reach October on the 3rd; what waits is made then, once."""
    work = runner()
    deliver(root, "v1", "2026-10-01", payment="a", detail_record="a")
    (made,) = tick(root=root, now=_moment("2026-11-01 09:00"), run=work.run)
    assert (made.states, made.dealt_with, work.seen) == ({}, False, [])
    assert "waits for data: study 'paid': period '2026-10' is not covered: the data of 't' end with 2026-09-30" in (
        made.line()
    )
    deliver(root, "v2", "2026-11-01", payment="b", detail_record="b")
    (made,) = tick(root=root, now=_moment("2026-11-03 09:00"), run=work.run)
    assert made.dealt_with and made.states == {"done": 2}
    assert tick(root=root, now=_moment("2026-11-03 09:05"), run=work.run) == []


def test_what_waited_is_caught_up_after_the_next_month_fell_due(root):
    """October's data come in December, with November's: both are made, also of a plan that was never dealt with."""
    work = runner()
    deliver(root, "v1", "2026-10-01", payment="a", detail_record="a")
    for day in ("2026-11-01 09:00", "2026-11-20 09:00", "2026-12-01 09:00"):
        tick(root=root, now=_moment(day), run=work.run)
    assert work.seen == []
    deliver(root, "v2", "2026-12-01", payment="b", detail_record="b")
    (made,) = tick(root=root, now=_moment("2026-12-02 09:00"), run=work.run)
    assert made.periods == ("2026-10", "2026-11") and made.states == {"done": 4}


def test_what_is_covered_is_made_while_the_rest_waits(root):
    """Two months were missed, one of them is there."""
    work = runner()
    deliver(root, "v1", "2026-10-01", payment="a", detail_record="a")
    tick(root=root, now=_moment("2026-10-01 09:00"), run=work.run)
    deliver(root, "v2", "2026-11-01", payment="b", detail_record="b")
    (made,) = tick(root=root, now=_moment("2026-12-01 09:00"), run=work.run)
    assert made.states == {"done": 2} and not made.dealt_with and "'2026-11' is not covered" in made.waits
    assert {period for _, period, _ in work.seen} == {"2026-09", "2026-10"}


def test_a_failure_is_run_again_once_its_data_have_changed(root):
    """Not for another table's sake, and not again with the data it failed with."""
    work = runner(fails=lambda study, version: study == "paid" and version != "v3")
    deliver(root, "v1", "2026-11-01", payment="a", detail_record="a")
    tick(root=root, now=_moment("2026-11-01 09:00"), run=work.run)
    assert tick(root=root, now=_moment("2026-11-02 09:00"), run=work.run) == []
    deliver(root, "v2", "2026-11-01", payment="a", detail_record="b")
    tick(root=root, now=_moment("2026-11-03 09:00"), run=work.run)
    assert work.seen[2:] == [("calls", "2026-10", "v2")]
    deliver(root, "v3", "2026-11-01", payment="c", detail_record="b")
    (made,) = tick(root=root, now=_moment("2026-11-04 09:00"), run=work.run)
    assert (made.periods, made.states) == (("2026-10",), {"done": 1})
    assert work.seen[3:] == [("paid", "2026-10", "v3")]


def test_late_data_make_the_newest_period_again_and_failures_of_every_one(root):
    """Older reports that are done stay, and are called stale: by the status and on the index."""
    work = runner(fails=lambda study, version: study == "paid" and version == "v1")
    deliver(root, "v1", "2026-10-01", payment="a", detail_record="a")
    tick(root=root, now=_moment("2026-10-01 09:00"), run=work.run)
    deliver(root, "v2", "2026-11-01", payment="b", detail_record="a")
    tick(root=root, now=_moment("2026-10-31 09:00"), run=work.run)
    assert work.seen[2:] == [("paid", "2026-09", "v2")]
    tick(root=root, now=_moment("2026-11-01 09:00"), run=work.run)
    deliver(root, "v3", "2026-11-01", payment="c", detail_record="a")
    del work.seen[:]
    tick(root=root, now=_moment("2026-11-02 09:00"), run=work.run)
    assert work.seen == [("paid", "2026-10", "v3")]
    states = {(line[0], line[1]): line[2] for line in read_status(root).lines}
    assert states == {
        ("paid", "2026-09"): "stale",
        ("calls", "2026-09"): "done",
        ("paid", "2026-10"): "done",
        ("calls", "2026-10"): "done",
    }
    (root / "reports/site/index.html").touch()
    refresh_site(root)
    page = (root / "reports/site/index.html").read_text("utf-8")
    assert page.count(">stale</span>") == 1 and "stale: the data are newer" not in page


def test_a_site_that_is_not_there_is_not_made_by_new_data(root):
    refresh_site(root)
    assert not (root / "reports/site").exists()


def test_no_slot_is_made_beyond_the_data(root):
    """By period, by `as_of`, and by a parameter of the type period; up to the day they reach all is well."""
    deliver(root, "v1", "2024-07-01", payment="a", detail_record="a")
    cell = new_code_cell(f'{CELL}of: period = "2023-12"  # period: of what\n', metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), root / "notebooks/both.ipynb")
    plain = new_code_cell('source: str = "t"  # warehouse: which\n', metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[plain]), root / "notebooks/plain.ipynb")
    for name, given, period in (
        ("paid", {}, "2024-07"),
        ("plain", {}, "2024Q3"),
        ("paid", {"as_of": "2024-07-02"}, ""),
        ("both", {"of": "2024-07"}, ""),
        ("paid", {"as_of": "2024-07-02"}, "2024-05"),
    ):
        with pytest.raises(NotCovered, match=r"data of 't' end with 2024-06-30 \(as_of = 2024-07-01\)") as error:
            find_slots([name], given, root, period=parse(period) if period else None)
        label = "2024Q2" if "Q" in period else "2024-06"
        assert f"that they cover is {label}: ask for that" in str(error.value)
    assert find_slots(["paid"], {}, root, period=parse("2024-06"))[0].parameters["as_of"] == "2024-07-01"
    assert find_slots(["both"], {"of": "2024-06", "as_of": "2024-07-01"}, root)
    (root / "data/warehouse/t/CURRENT").unlink()
    assert find_slots(["paid"], {}, root, period=parse("2024-10")), "without a warehouse the study says so itself"


def test_another_source_is_spoken_of_as_of_the_day_it_reaches(root):
    """The declared day is that of the declared source; another gives its own, unless a day it knows is named."""
    for source, as_of in (("t", "2024-07-01"), ("early", "2008-03-21"), ("late", "2024-08-01")):
        deliver(root, f"{source}1", as_of, source=source)
        (root / f"data/mappings/{source}.toml").touch()
    days = {}
    for source in ("t", "early", "late"):
        (slot,) = find_slots(["paid"], {"source": source}, root)
        days[slot.name] = slot.parameters["as_of"]
    assert days == {"default": "2024-01-01", "source=early": "2008-03-21", "source=late": "2024-08-01"}
    (said,) = find_slots(["paid"], {"source": "early", "as_of": "2008-03-21"}, root)
    assert said == find_slots(["paid"], {"source": "early"}, root)[0], "said or not, it is the same report"
    assert said == find_slots(["paid"], {"source": "early", "as_of": "2024-01-01"}, root)[0], "as a form sends it"
    (known,) = find_slots(["paid"], {"source": "late", "as_of": "2024-01-01"}, root)
    assert known.parameters["as_of"] == "2024-01-01", "asked for, and known"
    (before,) = find_slots(["paid"], {"source": "early", "as_of": "2007-01-01"}, root)
    assert before.name == "source=early,as_of=2007-01-01"
    with pytest.raises(NotCovered, match=r"as_of = 2008-04-01 is not covered: the data of 'early' end with 2008-03-20"):
        find_slots(["paid"], {"source": "early", "as_of": "2008-04-01"}, root)


def test_a_plan_speaks_of_the_last_period_that_is_over_and_covered(root):
    """The clock says November; the data end in June; the smaller of the two counts, and the smallest of the sources."""
    deliver(root, "v1", "2026-07-01", payment="a", detail_record="a")
    plan, now = load_plan("monthly", root), _moment("2026-11-20 09:00")
    until = plan.known_until(root)
    assert (until, plan.period_of(now=now, until=until).label) == (dt.date(2026, 7, 1), "2026-06")
    assert plan.period_of(now=_moment("2026-05-20 09:00"), until=until).label == "2026-04"
    assert plan.period_of(now=now, until=plan.known_until(root, {"source": "nowhere"})).label == "2026-10"


def test_the_command_refuses_before_a_kernel_starts(tmp_path, monkeypatch, capsys):
    """A real warehouse: exit code 2, the day on which the data end, nothing published."""
    for folder in ("data/mappings", "data/raw/t", "notebooks", "reports/plans"):
        (tmp_path / folder).mkdir(parents=True)
    columns = 'customer_id = "id"\nkind = { constant = "person" }\nprovince = { constant = "广东" }\n'
    (tmp_path / "data/mappings/t.toml").write_text(
        'title = "t"\noperator = "o"\nas_of = 2024-07-01\n[[file]]\npath = "c.csv"\ntable = "customer"\n'
        f'[file.columns]\n{columns}joined_on = {{ constant = "2020-01-01" }}\n',
        "utf-8",
    )
    (tmp_path / "data/raw/t/c.csv").write_text("id\nC1\n")
    ingest("t", root=tmp_path)
    assert known_until("t", tmp_path) == dt.date(2024, 7, 1)
    cells = [new_code_cell(CELL, metadata={"tags": ["parameters"]}), new_code_cell("1")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks/paid.ipynb")
    (tmp_path / "reports/plans/monthly.toml").write_text(PLAN.partition('[[study]]\nname = "calls"')[0])
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    for arguments in (["paid", "--period", "2024-10"], ["--plan", "monthly", "--period", "2024-10"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", *arguments])
        said = capsys.readouterr().err
        assert ended.value.code == 2 and "the data of 't' end with 2024-06-30" in said and said.count("\n") == 1
    with pytest.raises(SystemExit):
        cli.main(["list", "--plan", "monthly"])
    assert "paid   2024-06  due" in capsys.readouterr().out
    assert not (tmp_path / "reports/site").exists()
