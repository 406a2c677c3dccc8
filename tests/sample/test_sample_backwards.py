"""Does a mapping run backwards give the files that it reads?"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.errors import WorkbenchError
from workbench.sample import write_sample
from workbench.sample.backwards import block_of, delivered
from workbench.sample.extracts import SHORT_LINE, Extracts, words
from workbench.warehouse.ingest.mapping import read_mapping

HEAD = 'as_of = 2026-07-01\n[[file]]\npath = "a.csv"\ntable = "holding"\n'
PINNED = {
    "billing/催缴记录.csv": "f670ec3cf816",
    "billing/用量月报.txt": "3c92a54732d9",
    "billing/缴费流水.csv": "4a1f7f129786",
    "billing/账单.csv": "759f8fbeef7b",
    "billing/资费.xlsx": "3988cb3a69c3",
    "cdr/cdr_202601.parquet": "0ae1892764f9",
    "cdr/cdr_202602.parquet": "2711ec2285ad",
    "cdr/cdr_202603.parquet": "eafc3dfd29da",
    "cdr/cdr_202604.parquet": "bf92e89553aa",
    "cdr/cdr_202605.parquet": "f3523701d0ad",
    "cdr/cdr_202606.parquet": "143d5a471415",
    "crm/产品订购.csv": "95c5e951a76d",
    "crm/客户资料.csv": "d077111c0ae0",
    "crm/用户资料.txt": "795e0b36d450",
    "market/产品目录.csv": "d541859ded27",
    "market/历史活动名单.csv": "16846ff43338",
    "market/商机.csv": "7522c7182e20",
    "market/市场份额.xlsx": "f0c7e77cfc86",
    "market/活动名单.csv": "6655d62b8d2a",
    "market/营销活动.csv": "d69877ce95c4",
    "market/营销费用.csv": "61d742947e25",
    "risk/欺诈案件.csv": "bbf05ce1d9d3",
    "service/投诉工单.csv": "0625f3d1a883",
    "service/接触记录.csv": "2c4bf5ec3523",
    "service/故障工单.csv": "5e2fde05394e",
    "service/装机工单.csv": "2fcf7f1db854",
    "survey/满意度调查_2025.csv": "d92f82841d5b",
    "survey/满意度调查_2026.csv": "895b8d5f02a0",
    "survey/邀请记录_2025.csv": "918017ca8a68",
    "survey/邀请记录_2026.csv": "d5800a91a496",
    "truth/bundle_offers.parquet": "87bea881d7df",
    "truth/campaign_members.parquet": "3add46c4b9fe",
    "truth/customers.parquet": "92493b43652e",
    "truth/declared.json": "5372108d9e21",
    "truth/fraud.parquet": "31dcf9ae7419",
    "truth/retention.json": "1373fc877cb2",
    "truth/satisfaction.json": "a9ae695195c0",
    "truth/survey.json": "d31027ccb3f4",
    "truth/topups.parquet": "364abad99ce8",
}


def _block(tmp_path, columns: str, head: str = HEAD):
    (tmp_path / "shop.toml").write_text(f"{head}[file.columns]\n{columns}", encoding="utf-8")
    return read_mapping(tmp_path / "shop.toml").files[0]


def _content(path: Path) -> bytes:
    """Bytes of a text file; cells of the others, whose bytes carry the versions of the libraries that wrote them."""
    match path.suffix:
        case ".parquet":
            return pd.read_parquet(path).to_csv().encode()
        case ".xlsx":
            return pd.read_excel(path).to_csv().encode()
        case _:
            return path.read_bytes()


def test_the_sample_is_what_it_was(tmp_path):
    """Every file of a small sample has its pinned content: a change of the sample moves published answers."""
    write_sample(tmp_path / "raw", customers=300)
    files = sorted(p for p in (tmp_path / "raw").rglob("*") if p.is_file())
    found = {str(p.relative_to(tmp_path / "raw")): hashlib.sha256(_content(p)).hexdigest()[:12] for p in files}
    assert found == PINNED


def test_dates_words_units_and_joined_texts_are_written_as_they_are_read(tmp_path):
    """By hand: format, template, ignored and fixed columns; the order is the mapping's."""
    block = _block(
        tmp_path,
        'customer_id = { template = "C{客户}" }\nproduct_id = { template = "{类}-{号}" }\n'
        'from_on = { from = "起", format = "%d.%m.%Y" }\n',
        HEAD + 'ignore = ["备注"]\n',
    )
    days = pa.array([20_000, None], pa.int32()).cast(pa.date32())
    given = {"customer_id": pa.array(["C7", "C8"]), "product_id": ["a-b-1", "x-2"], "from_on": days, "to_on": days}
    raw = delivered(block, given).to_pydict()
    assert raw == {
        "客户": ["7", "8"],
        "类": ["a", "x"],
        "号": ["b-1", "2"],
        "起": ["04.10.2024", None],
        "备注": [None] * 2,
    }


@pytest.mark.parametrize("amount, fen", [([0.29, 12.0], [29, 1200]), ([0.295, None], [29.5, None])])
def test_a_unit_is_turned_back_without_loss(tmp_path, amount, fen):
    """0.29 yuan is 29 fen, written as a whole number; half a fen is not lost."""
    head = HEAD.replace("holding", "usage_month")
    columns = 'customer_id = "c"\nsubscription_id = "s"\nmonth = "m"\ndata_mb = { from = "d", scale = 0.01 }\n'
    given = {"customer_id": [1, 2], "subscription_id": [1, 2], "month": ["2026-01-01"] * 2, "data_mb": pa.array(amount)}
    column = delivered(_block(tmp_path, columns, head), given).column("d")
    assert column.to_pylist() == fen
    assert pa.types.is_integer(column.type) == (fen[0] == 29)


def test_the_block_is_that_of_the_constant_and_of_most_columns(tmp_path):
    """A complaint goes to the file of complaints, faults of both kinds to the one that reads the kind."""
    mapping = read_mapping(Path(__file__).resolve().parents[2] / "data/mappings/sample.toml")
    for kind, path in (("complaint", "service/投诉工单.csv"), ("fault", "service/故障工单.csv")):
        assert block_of(mapping.files, "ticket", {"kind": kind, "service": []}).path == path
    past = block_of(mapping.files, "campaign_member", {"arm": [], "outcomes.opted_out": []})
    assert past.path == "market/历史活动名单.csv"
    assert block_of(mapping.files, "consent", {}) is None


def test_of_two_codes_the_first_is_written_and_words_never_used_need_none(tmp_path):
    """Both 男 and M mean male; a label that no row has needs no code."""
    head = HEAD.replace("holding", "customer")
    columns = (
        'customer_id = "c"\nkind = { from = "k", values = { "个" = "person" } }\nprovince = "p"\njoined_on = "j"\n'
        'gender = { from = "g", values = { "男" = "male", "M" = "male", "女" = "female" } }\n'
    )
    block = _block(tmp_path, columns, head)
    kind = words(np.array([0, 0, 0]), ("person", "household"))
    gender = words(np.array([0, 1, -1]), ("male", "female"))
    given = {"customer_id": [1, 2, 3], "kind": kind, "province": "山西", "joined_on": "2020-01-01", "gender": gender}
    raw = delivered(block, given).to_pydict()
    assert raw["g"] == ["男", "女", None]
    assert raw["p"] == ["山西"] * 3
    with pytest.raises(WorkbenchError, match=r"a\.csv, kind: values has no text for 'household'\. Add it"):
        delivered(block, given | {"kind": words(np.array([0, 1, 0]), ("person", "household"))})


def test_what_cannot_be_turned_back_is_refused(tmp_path):
    """A column that is not given, and a template that does not fit, are named."""
    block = _block(tmp_path, 'customer_id = "c"\nproduct_id = { template = "{a}-{b}" }\nfrom_on = "f"\n')
    given = {"customer_id": [1], "product_id": ["VIDEO"]}
    with pytest.raises(WorkbenchError, match=r"product_id: template '\{a\}-\{b\}' does not fit every value"):
        delivered(block, given)
    with pytest.raises(WorkbenchError, match=r"a\.csv has no values for from_on, which the mapping reads"):
        delivered(block, given | {"product_id": ["A-1"]})


def test_a_file_is_wrong_only_as_its_format_can_be(tmp_path):
    """A Parquet file has no short line and no text for a number; packed files and other patterns are refused."""
    columns = 'customer_id = "c"\nproduct_id = "p"\nfrom_on = "f"\n'
    _block(tmp_path, columns, HEAD.replace("a.csv", "a.parquet"))
    given = {"customer_id": [1, 2], "product_id": ["x", "y"], "from_on": pa.array([1, 2], pa.int32()).cast(pa.date32())}
    ways = (
        (SHORT_LINE, "", ""),
        ("impossible date", "from_on", "2025-02-30"),
        ("orphan reference", "product_id", "NO"),
        ("not delivered", "to_on", "x"),
    )
    with Extracts(tmp_path, read_mapping(tmp_path / "shop.toml")) as extracts:
        extracts.write("holding", given, breaks=ways)
        extracts.write("bill", given)
    assert extracts.declared() == {"a.parquet": {"rows": 3, "bad_rows": 1, "kinds": {"orphan reference": 1}}}
    assert pd.read_parquet(tmp_path / "a.parquet")["p"].tolist() == ["x", "y", "NO"]
    _block(tmp_path, columns, HEAD.replace("a.csv", "a?.csv.gz"))
    with pytest.raises(WorkbenchError, match=r"a\?\.csv\.gz cannot be written: give a path without \.gz"):
        Extracts(tmp_path, read_mapping(tmp_path / "shop.toml")).write("holding", given)
