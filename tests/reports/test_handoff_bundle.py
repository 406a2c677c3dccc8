"""A bundle proves its numbers to somebody else, and whatever was done to it is found."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.cli import workbench
from workbench.errors import WorkbenchError
from workbench.reports.handoff.bundle import create
from workbench.reports.handoff.sealed import Tampered, seal, unpacked, unseal
from workbench.reports.handoff.verify import verify
from workbench.reports.page import tables
from workbench.reports.runs.periods import parse
from workbench.reports.runs.plans import load_plan
from workbench.reports.runs.render import run, run_slots
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.repairs import write_quarantine

ROOT = Path(__file__).parents[2]
PARAMETERS = 'seed: int = 0  # 1: of the draw\nregion: str = "北京"  # name: of the region'
SETUP = """
import numpy as np
import pandas as pd
from workbench.reports.page.notebook import answer, record, show_table
from workbench.result import Quantity
x = np.random.default_rng(seed).normal(5, 1, 400)
mean, error = x.mean(), x.std() / 20
"""
SAY = """
answer(f"In {region} a customer buys {mean:.2f} times.")
record(Quantity(f"mean[region={region}]", mean, "purchases", mean - 2 * error, mean + 2 * error, 1e-3))
record(Quantity("n", 400, "customers"))
"""
TABLE = """
frame = pd.DataFrame({"kind": ["new", "old"], "purchases": [mean, mean / 2], "customers": [370, 30]})
show_table(frame, name="kinds", caption="Purchases by kind.", counts="customers")
"""
FILES = {"README.md", "CITATION.cff", "LICENSE", "bundle.json", "claims.csv", "claims.md"}
FILES |= {"environment.json", "requirements.lock", "ro-crate-metadata.json"}


def project(root: Path, *sources: str, name: str = "cheap") -> Path:
    """Write a project with one notebook that reads no data."""
    cells = [new_markdown_cell("# Who buys?"), new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(source.strip()) for source in sources]
    for folder in ("notebooks", "data/mappings"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")
    for file in ("requirements.lock", "LICENSE"):
        shutil.copy(ROOT / file, root / file)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A published report in a project whose path has Chinese and a space."""
    root = project(tmp_path_factory.mktemp("handoff") / "项目 一", SETUP, SAY, TABLE)
    assert [s.status for s in run(root=root, progress=False).slots] == ["done"]
    return root


@pytest.fixture(scope="module")
def bundle(made):
    """Its bundle, as bytes."""
    return create(["cheap"], root=made).path.read_bytes()


def _changed(bundle: bytes, name: str, change) -> bytes:
    """Change a file and seal the bundle again, as somebody with our program could."""
    files = unseal(bundle)
    content = change(files[name])
    return seal(files | {name: content})


def _json(change):
    """Give what changes JSON in bytes."""
    return lambda content: json.dumps(change(json.loads(content))).encode()


def _number(**fields):
    return _json(lambda rows: [rows[0] | fields, *rows[1:]])


def test_the_same_report_gives_the_same_bytes(made, bundle):
    """Twice, and from another time zone and locale."""
    again = create(["cheap/default", "cheap"], made / "again.zip", root=made).path.read_bytes()
    assert again == bundle
    code = "import sys; from workbench.cli import main; main(sys.argv[1:])"
    other = os.environ | {"TZ": "Asia/Shanghai", "LC_ALL": "C", "PYTHONHASHSEED": "7", "WORKBENCH_HOME": str(made)}
    command = [sys.executable, "-c", code, "handoff", "create", "cheap", "--out", str(made / "other.zip")]
    subprocess.run(command, check=True, env=other | {"PYTHONPATH": str(ROOT / "src")}, capture_output=True)
    assert (made / "other.zip").read_bytes() == bundle


def test_a_bundle_holds_what_a_reviewer_expects(bundle):
    """Claims, notebooks, results, program, lock and checksums; no name but those, none absolute."""
    files = unseal(bundle)
    shown = {name for name in files if not name.startswith("code/workbench/")}
    report = {"index.html", "manifest.json", "report.ipynb", "results.json", "tables.xlsx"}
    assert shown == FILES | {"notebooks/cheap.ipynb"} | {f"results/cheap/default/{name}" for name in report}
    assert "workbench handoff verify" in files["README.md"].decode()
    head, mean, count = files["claims.csv"].decode().splitlines()
    assert head == "report,claim,cell,name,value,low,high,unit,rtol"
    assert mean.startswith("cheap/default,mean[region=北京],4,mean[region=北京],4.9") and mean.endswith(
        "purchases,0.001"
    )
    assert count == "cheap/default,n,4,n,400.0,,,customers,1e-06"
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert {(e.date_time[0], e.external_attr >> 16, e.compress_type) for e in archive.infolist()} == {
            (1980, 0o100644, zipfile.ZIP_STORED)
        }


def test_the_crate_has_what_its_profile_requires(bundle):
    """RO-Crate 1.1 and Process Run Crate 0.5: required properties; every reference is described; ids are ASCII."""
    files = unseal(bundle)
    crate = json.loads(files["ro-crate-metadata.json"])
    graph = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(graph) == len(crate["@graph"]) and all(i.isascii() and "@type" in e for i, e in graph.items())
    assert crate["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["about"] == {"@id": "./"} and descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert root["@type"] == "Dataset" and {"name", "description", "datePublished", "license"} <= set(root)
    profile = graph[root["conformsTo"]["@id"]]
    assert profile["@id"] == "https://w3id.org/ro/wfrun/process/0.5" and profile["@type"] == "CreativeWork"
    (action,) = (graph[part["@id"]] for part in root["mentions"])
    assert action["@type"] == "CreateAction" and {"name", "description", "endTime"} <= set(action)
    assert "SoftwareApplication" in graph[action["instrument"]["@id"]]["@type"]
    assert graph[action["agent"]["@id"]]["@type"] == "Organization"
    referred = [*root["hasPart"], *action["object"], *action["result"]]
    assert {part["@id"] for part in referred} <= set(graph) and len(action["result"]) == 5
    assert {unquote(i) for i, e in graph.items() if e["@type"] == "File"} < set(files)


def test_a_bundle_verifies_elsewhere(bundle, tmp_path, monkeypatch):
    """From a folder that can't be written, with another locale and time zone: same, and a page with every number."""
    place = tmp_path / "只读"
    place.mkdir()
    (place / "b.zip").write_bytes(bundle)
    place.chmod(0o555)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("TZ", "America/St_Johns")
    monkeypatch.setenv("LC_ALL", "de_DE.ISO-8859-1")
    page = ["--page", "page.html"] if os.access(place, os.W_OK) else []  # the superuser may write everywhere
    result = CliRunner().invoke(workbench, ["handoff", "verify", str(place / "b.zip"), *page], standalone_mode=False)
    assert (result.return_value, result.exception) == (0, None), result.output
    assert "cheap/default: numbers: 2 same; cells of tables and answer: 0 of 7 differ" in result.output
    text = next(here.glob("*.html")).read_text("utf-8")
    assert "mean[region=北京]" in text and "<script" not in text and "http" not in text.replace("http-equiv", "")


def _with_another_cell(notebook):
    outputs = [output["data"] for cell in notebook["cells"] for output in cell.get("outputs", [])]
    (table,) = (data[tables.MIME] for data in outputs if tables.MIME in data)
    table["rows"][0][2] = 371
    return notebook


LIES = {
    "a number beyond its tolerance": ("results/cheap/default/results.json", _number(value=4.9), "differs"),
    "the end of an interval": ("results/cheap/default/results.json", _number(high=7.0), "differs"),
    "a wide tolerance": (
        "results/cheap/default/results.json",
        _number(value=4.9, low=4.8, high=5.0, rtol=1e9),
        "differs",
    ),
    "a unit": ("results/cheap/default/results.json", _number(unit="yuan"), "differs"),
    "a removed name": ("results/cheap/default/results.json", _json(lambda rows: rows[1:]), "new"),
    "an invented name": (
        "results/cheap/default/results.json",
        _json(lambda rows: [*rows, rows[1] | {"name": "m"}]),
        "missing",
    ),
    "a cell of a table": (
        "results/cheap/default/report.ipynb",
        _json(_with_another_cell),
        "differs",
    ),
    "the answer": (
        "results/cheap/default/report.ipynb",
        lambda notebook: notebook.replace(b"a customer buys", b"nobody buys"),
        "differs",
    ),
    "the program": (
        "code/workbench/reports/page/notebook.py",
        lambda code: code + b"\n",
        "tampered: the program in code/ is not the one that bundle.json names.",
    ),
}


@pytest.fixture(scope="module")
def again(bundle, tmp_path_factory):
    """What running the bundle anew gave, to compare lies with: the run itself is the same for all of them."""
    from workbench.reports.handoff import verify as room

    with unpacked(unseal(bundle)) as root:
        (root / "data/mappings").mkdir(parents=True)
        room._caller(root)("run", "cheap")
        folder = tmp_path_factory.mktemp("again") / "site"
        shutil.copytree(root / "reports" / "site", folder)
    return folder


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_with_new_checksums_is_found_by_running(lie, bundle, again, tmp_path, monkeypatch):
    """Whoever seals the file again cannot seal the numbers: exit code 1, and the number is named."""
    from workbench.reports.handoff import verify as room

    def as_before(root):
        return lambda *arguments, **_: shutil.copytree(again, root / "reports" / "site")

    monkeypatch.setattr(room, "_caller", as_before)
    name, change, finding = LIES[lie]
    lying = _changed(bundle, name, change)
    assert lying != bundle
    (tmp_path / "b.zip").write_bytes(lying)
    found = verify(tmp_path / "b.zip")
    if finding.startswith("tampered"):
        assert (found.code, found.headline) == (3, finding)
    else:
        (report,) = found.reports.values()
        assert found.code == 1 and finding in {c.status for c in (*report.numbers, *report.cells)}


def test_within_its_tolerance_a_number_is_the_same(bundle, again, tmp_path, monkeypatch):
    """The mean may be off by a thousandth; its table follows."""
    from workbench.reports.handoff import verify as room

    monkeypatch.setattr(room, "_caller", lambda root: lambda *a, **_: shutil.copytree(again, root / "reports" / "site"))
    shift = _json(lambda rows: [rows[0] | {k: rows[0][k] * 1.0005 for k in ("value", "low", "high")}, *rows[1:]])
    (tmp_path / "b.zip").write_bytes(_changed(bundle, "results/cheap/default/results.json", shift))
    found = verify(tmp_path / "b.zip")
    assert found.code == 0
    assert [c.status for c in found.reports["cheap/default"].numbers] == ["within tolerance", "same"]


def test_another_library_version_is_told(bundle, again, tmp_path, monkeypatch):
    """With equal numbers the exit code is 1 unless it is accepted; a patch of Python is only noted."""
    from workbench.reports.handoff import verify as room

    monkeypatch.setattr(room, "_caller", lambda root: lambda *a, **_: shutil.copytree(again, root / "reports" / "site"))
    change = _json(
        lambda e: (
            e
            | {
                "python": sys.version.split(".")[0] + f".{sys.version_info[1]}.99",
                "packages": e["packages"] | {"pandas": "0.1"},
            }
        )
    )
    (tmp_path / "b.zip").write_bytes(_changed(bundle, "environment.json", change))
    found = verify(tmp_path / "b.zip")
    assert found.code == 1 and found.headline.startswith("same: 2 numbers") and "pandas 0.1 → " in found.headline
    assert len(found.environment) == 1 and found.notes[0].startswith("Python 3.")
    assert verify(tmp_path / "b.zip", allow_environment=True).code == 0


def _zip(*entries, base=None, **fields):
    sink = io.BytesIO(base or b"")
    with zipfile.ZipFile(sink, "a" if base else "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.writestr(entry, content)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        ("leads outside", {"name": "../evil"}),
        ("leads outside", {"name": "code/../../evil"}),
        ("leads outside", {"name": "/etc/evil"}),
        ("leads outside", {"name": "C:/evil"}),
        ("leads outside", {"name": "..\\evil"}),
        ("leads outside", {"name": "folder/"}),
        ("leads outside", {"name": "a\nb"}),
        ("is a link", {"name": "evil", "external_attr": 0o120777 << 16}),
        ("compressed", {"name": "evil", "compress_type": zipfile.ZIP_DEFLATED}),
        ("there twice", {"name": "readme.MD"}),
        ("was added", {"name": "evil"}),
    ],
)
def test_a_hostile_entry_is_refused(words, entry, bundle, tmp_path):
    """Nothing is written outside, in fact nothing at all."""
    name = entry.pop("name")
    evil = _zip((name, b"evil"), base=bundle, **entry)
    with pytest.raises(Tampered, match=words):
        unseal(evil)
    (tmp_path / "b.zip").write_bytes(evil)
    assert verify(tmp_path / "b.zip").code == 3
    assert [p.name for p in tmp_path.iterdir()] == ["b.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(bundle):
    """Which of the two would be read depends on the program."""
    with pytest.raises(Tampered, match="there twice"):
        unseal(_zip(("README.md", b"evil"), base=bundle))


def test_what_claims_more_bytes_than_it_has_is_refused(bundle):
    """Many entries may share their bytes, and so become large."""
    sink = io.BytesIO(_zip(("a", b"0" * 10_000)))
    with zipfile.ZipFile(sink, "a") as archive:
        first = archive.infolist()[0]
        for i in range(50):
            entry = zipfile.ZipInfo(f"b{i}")
            for field in ("header_offset", "file_size", "compress_size", "CRC", "external_attr", "create_system"):
                setattr(entry, field, getattr(first, field))
            archive.filelist.append(entry)
        archive._didModify = True
    with pytest.raises(Tampered, match="more bytes than it has"):
        unseal(sink.getvalue())


def test_a_changed_byte_of_every_kind_of_file_is_found(bundle):
    """In each file one byte is another: that file is named, or the zip is no longer whole."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        first = {Path(e.filename).suffix or e.filename: e for e in archive.infolist()}
    assert len(first) > 10
    for entry in first.values():
        at = entry.header_offset + 30 + len(entry.filename.encode()) + entry.file_size // 2
        with pytest.raises(Tampered, match=r"no whole zip|was changed"):
            unseal(bundle[:at] + bytes([bundle[at] ^ 1]) + bundle[at + 1 :])


def test_a_changed_byte_anywhere_is_found(bundle):
    """Also in what no file owns: times, permissions, directory; and bytes cut off, put before, put behind.

    Of a bundle of a few small files each byte, as they are made alike; of the whole one some, most of them at its ends.
    """
    few = {name: content[:40] for name, content in unseal(bundle).items() if name.startswith(("R", "results/"))}
    small = seal(few)
    assert unseal(small) == few and len(few) > 4
    places = [(small, at) for at in range(len(small))]
    ends = (*range(0, 60, 6), *range(60, len(bundle), len(bundle) // 15), *range(len(bundle) - 200, len(bundle), 20))
    places += [(bundle, at) for at in ends]
    for whole, at in places:
        with pytest.raises(Tampered):
            unseal(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
    for other in (bundle[:-1], bundle[: len(bundle) // 2], b"", b"x" + bundle, bundle + b"x", b"PK\x05\x06" + bundle):
        with pytest.raises(Tampered):
            unseal(other)


@pytest.mark.parametrize("name", ["README.md", "SHA256SUMS", "bundle.json", "results/cheap/default/results.json"])
def test_a_removed_file_is_found(name, bundle):
    """Named where it is listed."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        kept = [(n, archive.read(n)) for n in archive.namelist() if n != name]
    with pytest.raises(Tampered, match=r"was removed|was added"):
        unseal(_zip(*kept))


def test_what_cannot_be_run_says_why(made, bundle, tmp_path):
    """No file, a newer format, a study that refuses or asks the network: exit code 2 with the reason."""
    assert verify(tmp_path / "none.zip").code == 2
    (tmp_path / "b.zip").write_bytes(_changed(bundle, "bundle.json", _json(lambda facts: facts | {"format": 99})))
    found = verify(tmp_path / "b.zip")
    assert found.code == 2 and "format 99" in found.headline
    for broken in (b"[]", b"{}", b"{", b'{"format": "x"}'):
        for name in ("bundle.json", "environment.json"):
            (tmp_path / "b.zip").write_bytes(_changed(bundle, name, lambda _, broken=broken: broken))
            found = verify(tmp_path / "b.zip")
            assert found.code == 3 and "does not describe itself" in found.headline
    asking = b"import socket\\nsocket.create_connection(('192.0.2.1', 80), timeout=5)"
    change = lambda notebook: notebook.replace(b"import numpy as np", asking + b"\\nimport numpy as np")  # noqa: E731
    (tmp_path / "b.zip").write_bytes(_changed(bundle, "notebooks/cheap.ipynb", change))
    found = verify(tmp_path / "b.zip")
    assert found.code == 2 and "a verification has no network" in found.headline


def test_only_what_would_be_made_here_is_handed_over(tmp_path):
    """No report, a mistyped one, one of another notebook: refused, with what to do."""
    root = project(tmp_path, SETUP, SAY)
    with pytest.raises(WorkbenchError, match=r"no report of 'cheap' yet\. Run: workbench run cheap"):
        create(["cheap"], root=root)
    with pytest.raises(WorkbenchError, match="Did you mean 'cheap'"):
        create(["cheep"], root=root)
    run(root=root, progress=False)
    for name in ("cheap/defult", "cheap/..", "cheap/../../notebooks"):
        with pytest.raises(WorkbenchError, match="There are: 'cheap/default'"):
            create([name], root=root)
    project(tmp_path, SETUP, SAY, "1 + 1")
    with pytest.raises(WorkbenchError, match=r"another notebook.* Run: workbench run cheap --force"):
        create(["cheap"], root=root)
    assert not (root / "dist").exists()


@pytest.mark.prove
def test_a_plan_s_report_verifies(tmp_path):
    """With a smallest cell of its own, which hides a row more, without a sheet, and with a value of two words."""
    root = project(tmp_path / "p", SETUP, SAY, TABLE)
    (root / "reports/plans").mkdir(parents=True)
    plan = 'period = "month"\nminimum_cell = 40\nformats = ["pdf"]\n[[study]]\nname = "cheap"\n'
    plan += 'parameters = {region = "广 \\"东\\""}'
    (root / "reports/plans/monthly.toml").write_text(plan, "utf-8")
    period = parse("2026-06")
    slots = load_plan("monthly", root).slots(period, root)
    assert [s.status for s in run_slots(slots, root=root, progress=False).slots] == ["done"]
    bundle = create([f"cheap/{slots[0].name}"], root=root).path
    found = verify(bundle)
    assert (found.code, len(found.reports)) == (0, 1), found.headline
    assert not [name for name in unseal(bundle.read_bytes()) if name.endswith(("xlsx", "pdf"))]
    (root / "requirements.lock").write_text("other==1")
    with pytest.raises(WorkbenchError, match=r"Run: workbench run --plan monthly --period 2026-06 --force"):
        create([f"cheap/{slots[0].name}"], root=root)


def test_the_sample_operator_travels_as_its_recipe(operator, tmp_path):
    """Customers, seed and the hashes of the raw files; no row, no name of a customer."""
    root = tmp_path / "project"
    cells = [
        new_code_cell('source: str = "sample"  # name: warehouse', metadata={"tags": ["parameters"]}),
        new_code_cell(
            "from workbench.warehouse import open_warehouse\nfrom workbench.reports.page.notebook import *\n"
            "from workbench.result import Quantity\n"
            "n = open_warehouse(source).query('SELECT count(*) AS n FROM customer')['n'].iloc[0]\n"
            "answer(f'{n:,} customers.')\nrecord(Quantity('customers', n, 'customers'))"
        ),
    ]
    (root / "notebooks").mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / "count.ipynb")
    (root / "data").symlink_to(operator / "data")
    assert [s.status for s in run(root=root, progress=False).slots] == ["done"]
    files = unseal(create(["count"], root=root).path.read_bytes())
    recipe = json.loads(files["bundle.json"])["sources"]["sample"]
    assert (recipe["kind"], recipe["customers"], recipe["seed"]) == ("sample", 20_000, 0)
    assert all(re.fullmatch("[0-9a-f]{64}", f["sha256"]) and f["rows"] > 0 for f in recipe["files"].values())
    assert not [n for n in files if n.endswith((".csv", ".txt", ".parquet")) and n != "claims.csv" and n[:5] != "code/"]
    assert max(len(c) for n, c in files.items() if "code/" not in n and n != "requirements.lock") < 20_000


def test_other_data_are_asked_for_by_hash(made, bundle, tmp_path):
    """Without the receiver's own extracts, or with others, it is not run, and the file is named."""
    pointer = {"kind": "pointer", "files": {"survey.csv": {"sha256": "0" * 64, "rows": 3}}}
    change = _json(lambda facts: facts | {"sources": {"north": pointer}})
    (tmp_path / "b.zip").write_bytes(_changed(bundle, "bundle.json", change))
    found = verify(tmp_path / "b.zip")
    assert found.code == 2 and "needs the raw extracts of 'north'" in found.headline
    (tmp_path / "survey.csv").write_text("a")
    found = verify(tmp_path / "b.zip", data=tmp_path)
    assert found.code == 2 and "'survey.csv' of source 'north'" in found.headline


COUNT = """
from workbench.reports.page.notebook import *
from workbench.result import Quantity
from workbench.warehouse import open_warehouse
n = int(open_warehouse(source).query("SELECT count(*) AS n FROM campaign")["n"].iloc[0])
answer(f"{n} campaigns.")
record(Quantity("campaigns", n, "campaigns"))
"""
ROWS = """
as_of = 2026-07-01
[[rows]]
table = "campaign"
campaign_id = "c"
name = "C"
channel = "email"
assignment = "randomised"
starts_on = 2026-05-01
ends_on = 2026-06-01
"""
FILE = """
[[file]]
path = "members.csv"
table = "campaign_member"
[file.columns]
campaign_id = { constant = "c" }
customer_id = "id"
arm = "arm"
contacted = "contacted"
outcomes = ["visit"]
"""


def _counting(root, source, mapping):
    """Write a project whose one notebook counts the campaigns of a source, with its report."""
    ask = f'source: str = "{source}"  # name: warehouse'
    project(root, COUNT, name="count")
    notebook = nbformat.read(root / "notebooks/count.ipynb", as_version=4)
    notebook.cells[1].source = ask
    nbformat.write(notebook, root / "notebooks/count.ipynb")
    (root / f"data/mappings/{source}.toml").write_text(mapping, "utf-8")
    assert ingest(source, root=root).balanced
    assert [s.status for s in run(root=root, progress=False).slots] == ["done"]
    return root


@pytest.mark.parametrize(
    "mapping", [pytest.param(ROWS, marks=pytest.mark.prove), ROWS + FILE], ids=["rows alone", "rows and a file"]
)
def test_rows_of_the_mapping_travel_in_it(mapping, tmp_path):
    """They are in no raw file: the receiver is asked for the files alone, and finds the same numbers."""
    raw = tmp_path / "project/data/raw/north"
    raw.mkdir(parents=True)
    if mapping != ROWS:
        (raw / "members.csv").write_text("id,arm,contacted,visit\na,mail,true,1\nb,control,false,0\n", "utf-8")
    root = _counting(tmp_path / "project", "north", mapping)
    bundle = create(["count"], root=root).path
    files = json.loads(unseal(bundle.read_bytes())["bundle.json"])["sources"]["north"]["files"]
    assert {name: file["rows"] for name, file in files.items()} == ({} if mapping == ROWS else {"members.csv": 2})
    assert verify(bundle, data=raw if files else None).code == 0
    if files:
        assert verify(bundle).code == 2
        (raw / "members.csv").write_text("id,arm,contacted,visit\na,mail,true,1\nc,control,false,0\n", "utf-8")
        with pytest.raises(WorkbenchError, match=r"'members.csv' of source 'north' is not the file that was ingested"):
            create(["count"], root=root)


@pytest.mark.prove
def test_a_repaired_source_verifies(tmp_path):
    """The mended records are asked for by hash, are in no bundle, and lead to the same numbers."""
    raw = tmp_path / "project/data/raw/north"
    raw.mkdir(parents=True)
    columns = "id,name,mode,from,to\n"
    (raw / "campaigns.csv").write_text(
        columns + "a,A,randomised,2026-05-01,2026-06-01\nb,B,random,2026-05-01,2026-06-01\n"
    )
    mapping = """
as_of = 2026-07-01
[[file]]
path = "campaigns.csv"
table = "campaign"
[file.columns]
campaign_id = "id"
name = "name"
assignment = "mode"
starts_on = "from"
ends_on = "to"
"""
    root = _counting(tmp_path / "project", "north", mapping)
    aside = open_warehouse("north", root=root).refused()
    (repairs := root / "data/repairs/north").mkdir(parents=True)
    write_quarantine(aside, repairs / "mended.csv")
    (repairs / "mended.csv").write_text(
        (repairs / "mended.csv").read_text("utf-8-sig").replace(",random,", ",randomised,")
    )
    with pytest.raises(WorkbenchError, match=r"the repairs of 'north' .* are not those that were ingested"):
        create(["count"], root=root)
    ingest("north", root=root)
    run(root=root, progress=False)
    bundle = create(["count"], root=root).path
    assert not [name for name in unseal(bundle.read_bytes()) if "mended" in name]
    copy = tmp_path / "received"
    shutil.copytree(raw, copy / "north")
    assert "needs the mended records 'mended.csv' of 'north'" in verify(bundle, data=copy).headline
    shutil.copytree(repairs, copy / "repairs/north")
    found = verify(bundle, data=copy)
    assert found.code == 0 and found.headline.startswith("same: 1 numbers")
    assert verify(bundle, data=raw).code == 0, "the sender's own folders do"
    out = _json(lambda facts: facts | {"sources": {"north": facts["sources"]["north"] | {"repairs": {"../x": "0"}}}})
    (tmp_path / "lie.zip").write_bytes(_changed(bundle.read_bytes(), "bundle.json", out))
    assert verify(tmp_path / "lie.zip", data=copy).code == 3


@pytest.mark.prove
def test_hillstrom_is_handed_over(shared_data, tmp_path):
    """The public source whose campaign stands in its mapping."""
    raw = tmp_path / "data/raw/hillstrom"
    raw.mkdir(parents=True)
    shutil.copy(shared_data / "hillstrom.csv.gz", raw)
    _counting(tmp_path, "hillstrom", (ROOT / "data/mappings/hillstrom.toml").read_text("utf-8"))
    assert verify(create(["count"], root=tmp_path).path, data=raw).code == 0


@pytest.mark.prove
@pytest.mark.parametrize("study", ["rollout", "satisfaction"])
def test_a_real_study_verifies(study, operator, tmp_path):
    """The sample operator is made anew, the study run again, and every number found."""
    root = tmp_path / "project"
    (root / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / f"{study}.ipynb", root / "notebooks")
    shutil.copytree(ROOT / "docs", root / "docs")
    shutil.copy(ROOT / "requirements.lock", root)
    (root / "data").symlink_to(operator / "data")
    assert [s.status for s in run(root=root, progress=False).slots] == ["done"]
    found = verify(create([study], root=root).path, allow_environment=True)
    assert found.code == 0, found.headline


EVIL = "=1+1|<script>alert(1)</script>../../x \"' \u202eabc"


def test_hostile_names_stay_names(tmp_path):
    """No formula in the claims, no script on the page, no file outside; and the numbers are found again."""
    record = SAY.replace('f"mean[region={region}]"', "region")
    root = project(tmp_path / "p", SETUP, record, TABLE)
    slot = run(root=root, parameters={"region": EVIL}, progress=False).slots[0]
    made = create([f"cheap/{slot.slot}"], tmp_path / "b.zip", root=root)
    files = unseal(made.path.read_bytes())
    rows = list(csv.reader(io.StringIO(files["claims.csv"].decode())))
    assert rows[1][3] == f"'{EVIL}" and rows[1][0] == f"cheap/{slot.slot}"
    assert all(line.replace(r"\|", "").count("|") == 10 for line in files["claims.md"].decode().splitlines()[4:])
    assert "<script" not in files["README.md"].decode() + files["claims.md"].decode()
    call = CliRunner().invoke(workbench, ["handoff", "verify", str(made.path)], standalone_mode=False)
    assert call.return_value == 0, call.output
    assert "<script" not in (tmp_path / "b.html").read_text("utf-8")
    assert {p.name for p in tmp_path.iterdir()} == {"p", "b.zip", "b.html"}


def test_what_must_stay_is_refused_before_anything_is_written(tmp_path):
    """A telephone number said by the notebook, and a cell on three customers: both named, none told."""
    rows = TABLE.replace(', counts="customers"', "").replace("30]", "3]")
    root = project(tmp_path, SETUP, SAY, rows, "print('call', 139 * 10**8 + 12345678)")
    assert run(root=root, progress=False).slots[0].status == "done"
    with pytest.raises(WorkbenchError) as refused:
        create(["cheap"], root=root)
    said = str(refused.value)
    assert "report.ipynb, cell 7, output: what looks like a telephone number" in said
    assert "index.html, line " in said and "13912345678" not in said
    assert "cell 6, table 'kinds', row 2, column 'customers': fewer than 10" in said
    assert not (root / "dist").exists()
