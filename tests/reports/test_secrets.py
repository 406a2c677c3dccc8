"""A secret is named, never shown."""

import base64
import zipfile

import pytest

from workbench.errors import WorkbenchError
from workbench.reports.runs.parameters import declared, resolve
from workbench.reports.runs.secrets import leaks, secret

VALUE = 'pa"ss<wörd>&北京 1'


def test_a_reference_is_fetched(monkeypatch, tmp_path):
    """From the environment, or the first line of a file."""
    monkeypatch.setenv("WB_TEST_SECRET", VALUE)
    (tmp_path / "密钥").write_text(VALUE + "\nnot this", "utf-8")
    assert secret("env:WB_TEST_SECRET") == secret(f"file:{tmp_path / '密钥'}") == VALUE


@pytest.mark.parametrize("reference", ["env:WB_NO_SUCH", "file:/no/such", "hunter2hunter2", "env:", "", "env:WB_SHORT"])
def test_what_is_no_secret_is_refused_without_showing_it(reference, monkeypatch):
    """Missing, a plain value, or too short to be found again."""
    monkeypatch.setenv("WB_SHORT", "geheim")
    with pytest.raises(WorkbenchError) as said:
        secret(reference)
    assert "hunter2" not in str(said.value) and "geheim" not in str(said.value)


def test_a_parameter_takes_a_reference_only():
    """The value on a command line would stay in its history."""
    cells = [
        {"kind": "code", "tags": ["parameters"], "source": 'token: secret = "env:CRM_TOKEN"  # secret: of the CRM'}
    ]
    parameters = declared(cells)
    assert resolve(parameters, {"token": "file:/x"}, study="s") == {"token": "file:/x"}
    with pytest.raises(WorkbenchError, match="reference") as said:
        resolve(parameters, {"token": "hunter2hunter2"}, study="s")
    assert "hunter2" not in str(said.value)


@pytest.mark.parametrize(
    "write",
    [
        lambda p: (p / "a.txt").write_text(f"x{VALUE}y", "utf-8"),
        lambda p: (p / "a.json").write_text(__import__("json").dumps({"a": VALUE}), "utf-8"),
        lambda p: (p / "a.html").write_text(__import__("html").escape(VALUE), "utf-8"),
        lambda p: (p / "a.b64").write_bytes(base64.b64encode(b"ab" + VALUE.encode() + b"tail")),
        lambda p: zipfile.ZipFile(p / "a.xlsx", "w", zipfile.ZIP_DEFLATED).writestr("s.xml", VALUE),
    ],
)
def test_a_leak_is_found_however_it_is_written(write, monkeypatch, tmp_path):
    """Plain, as JSON, HTML, base 64, or inside a workbook."""
    monkeypatch.setenv("WB_TEST_SECRET", VALUE)
    assert leaks(tmp_path, {"token": "env:WB_TEST_SECRET"}) == []
    write(tmp_path)
    assert [name for _, name in leaks(tmp_path, {"token": "env:WB_TEST_SECRET"})] == ["token"]
