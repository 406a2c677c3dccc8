"""Does the sample go through the same door as anyone's data, with exactly the declared rows in quarantine?"""

import json
from pathlib import Path

from workbench.sample import write_sample
from workbench.warehouse import schema
from workbench.warehouse.ingest import ingest

MAPPINGS = Path(__file__).resolve().parents[2] / "data/mappings"


def test_quarantine_holds_the_declared_rows_of_each_file(tmp_path, monkeypatch):
    """Every file's raw and quarantined counts are those in truth/declared.json, and every canonical table has rows."""
    monkeypatch.setenv("WORKBENCH_KEY", "a key for this test only")
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "data/mappings/sample.toml").write_bytes((MAPPINGS / "sample.toml").read_bytes())
    raw = tmp_path / "data/raw/sample"
    write_sample(raw, customers=1_500, seed=2)
    account = ingest("sample", root=tmp_path)
    assert account.balanced
    declared = json.loads((raw / "truth/declared.json").read_text(encoding="utf-8"))["files"]
    counted = {row.file: (row.raw, row.quarantined) for row in account.frame.itertuples() if row.file in declared}
    assert counted == {name: (entry["rows"], entry["bad_rows"]) for name, entry in declared.items()}
    filled = set(account.frame.loc[account.frame["accepted"] > 0, "table"])
    assert filled >= set(schema.tables())
