"""Is a second operator a file of constants and a mapping?"""

import json
from pathlib import Path

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.sample import write_sample
from workbench.sample.operator import read_operator
from workbench.warehouse.ingest import ingest
from workbench.warehouse.opened import open_warehouse

SECOND = Path(__file__).parent / "second"


def test_another_operator_is_written_and_ingested_by_its_own_mapping(tmp_path, monkeypatch):
    """Other provinces, tariffs, words, headers, codes, dates, units and formats: the account balances as declared."""
    monkeypatch.setenv("WORKBENCH_KEY", "a key for this test only")
    (tmp_path / "data/mappings").mkdir(parents=True)
    mapping = tmp_path / "data/mappings/second.toml"
    mapping.write_bytes((SECOND / "mapping.toml").read_bytes())
    raw = tmp_path / "data/raw/second"
    write_sample(raw, customers=300, seed=5, mapping=mapping, operator=SECOND / "operator.toml")
    account = ingest("second", root=tmp_path)
    assert account.balanced
    declared = json.loads((raw / "truth/declared.json").read_text(encoding="utf-8"))
    counted = {row.file: (row.raw, row.quarantined) for row in account.frame.itertuples()}
    assert counted == {name: (entry["rows"], entry["bad_rows"]) for name, entry in declared["files"].items()}
    assert not any(ord(sign) > 0x2E80 for sign in (raw / "cases.csv").read_text(encoding="gb18030"))
    warehouse = open_warehouse("second", root=tmp_path)
    assert set(warehouse.query("SELECT DISTINCT province FROM customer")["province"]) == {"North", "Middle", "South"}
    tariff = warehouse.query("SELECT * FROM tariff").set_index("tariff_id")
    assert tariff.loc["L", ["monthly_fee", "included_mb", "price_mb"]].tolist() == [24.9, 20_000, 0.005]
    assert set(warehouse.query("SELECT DISTINCT kind FROM ticket")["kind"]) == {"complaint", "fault", "installation"}
    paid = warehouse.query("SELECT sum(amount) AS amount, count(*) AS n FROM bill")
    lost = declared["files"]["bills.csv"]["bad_rows"]
    assert paid["n"].item() == declared["money"]["bills"] == declared["files"]["bills.csv"]["rows"] - lost
    assert paid["amount"].item() == pytest.approx(declared["money"]["billed"], abs=0.01)
    assert pd.read_csv(raw / "campaigns.csv")["family"].tolist()[:3] == ["data", "sms", "retention"]


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("pilot =", "pilots =", "operator.toml lacks 'pilot'"),
        ('["F", "Fixed line", "fixed", 8],', "", "operator.toml cannot be read: tariffs are not mobile ones"),
        ("growth = [0.001, 0.0, 0.0]", "growth = [0.001]", "not those of three operators and three services"),
    ],
)
def test_constants_that_do_not_fit_are_refused(tmp_path, old, new, words):
    """A constant that is absent or of another shape is named before anything is written."""
    file = tmp_path / "operator.toml"
    file.write_text((SECOND / "operator.toml").read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(WorkbenchError, match=words):
        read_operator(file)
