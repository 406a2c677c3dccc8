"""Reports from where the data stand are those of our own warehouse: `workbench diff` finds no difference."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import awkward
import postgres
import pyarrow.parquet as pq
import pytest

from workbench.sample import write_sample
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest

ROOT = Path(__file__).resolve().parents[2]
STUDIES = ("satisfaction", "segmentation", "uplift")
MAPPING = """title = "Where they stand"
operator = "中国电信"
as_of = 2026-07-01
engine = "{engine}"
schema = "{schema}"
"""

pytestmark = pytest.mark.prove


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three thousand customers of the sample operator, and the reports on them."""
    root = tmp_path_factory.mktemp("project")
    for part in ("data/mappings", "data/models", "notebooks"):
        shutil.copytree(ROOT / part, root / part)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root / name)
    write_sample(root / "data/raw/sample", customers=3000, mapping=root / "data/mappings/sample.toml")
    ingest("sample", root=root)
    workbench(root, "run", *STUDIES, "--lang", "en")
    return root


def workbench(root, *arguments):
    """Run a command in a project; it must end well."""
    command = [sys.executable, "-m", "workbench", *arguments]
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        command, env=os.environ | {"WORKBENCH_HOME": str(root), "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def same_reports(project, engine, schema):
    """Make the reports from an engine, and set each beside our own."""
    mapping = MAPPING.format(engine=engine, schema=schema)
    (project / "data/mappings/there.toml").write_text(mapping, encoding="utf-8")
    workbench(project, "run", *STUDIES, "--lang", "en", "--jobs", "1", "-p", "source=there", "--force")
    for study in STUDIES:
        workbench(project, "diff", f"{study}/default", f"{study}/source=there", "--page", str(project / "diff.html"))


def test_reports_from_postgresql(project):
    with postgres.server() as url, open_warehouse("sample", root=project).connect() as con:
        if url is None:
            pytest.skip("no server of PostgreSQL, or no psycopg, is installed")
        postgres.fill(url, con, "crm")
        same_reports(project, url, "crm")


def test_reports_from_spark(project, tmp_path):
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if not shutil.which("java"):
        pytest.skip("no Java is installed")
    with open_warehouse("sample", root=project).connect() as con:
        for name, sql in awkward.copies(maps=True):
            pq.write_table(con.sql(f"{sql} ORDER BY random()").to_arrow_table(), tmp_path / f"{name}.parquet")
    same_reports(project, "local[2]", tmp_path)
