"""A mapping is drafted out of files that nobody has mapped: it loads as it is, and says what it is not sure of."""

import datetime as dt
import gzip
import io
import json
import random
import shlex
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from workbench import cli, cli_data
from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.draft import doubts, draft_mapping
from workbench.warehouse.draft.values import scaled
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.run import tried
from workbench.warehouse.schema import Column

ROOT = Path(__file__).resolve().parents[2]
TODAY = dt.date(2026, 11, 29)
CHURN = """customerID,gender,tenure,InternetService,MonthlyCharges,Contract,Churn
7590-A,Female,1,DSL,29.85,One year,No
5575-B,Male,34,No,56.95,Two year,No
3668-C,Male,2,Fiber optic,53.85,One year,Yes
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "data/mappings").mkdir(parents=True)
    (tmp_path / "data/models").symlink_to(ROOT / "data/models")
    (tmp_path / "in").mkdir()
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    return tmp_path


def drafted(root, files, **options):
    """Write files, draft their mapping, and read it: the proposal, the text, the mapping and the raw folder."""
    paths = []
    for name, content in files.items():
        paths.append(root / "in" / name)
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(paths[-1])
        else:
            paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
    made, text, raw = draft_mapping(paths, name="t", root=root, today=TODAY, **options)
    (root / "data/mappings/t.toml").write_text(text, "utf-8")
    return made, text, read_mapping(root / "data/mappings/t.toml"), raw


def cells(mapping, table):
    (block,) = (block for block in mapping.files if block.table.name == table)
    return block.columns


def test_one_flat_table_fills_customers_lines_and_bills(root):
    """Months of tenure become days, a yes to churn the last day; what is assumed says so; the rest is left out."""
    _, text, mapping, raw = drafted(root, {"churn.csv": CHURN})
    assert [b.table.name for b in mapping.files] == ["customer", "subscription", "bill"]
    assert mapping.as_of == dt.date(2026, 11, 1)
    assert mapping.files[0].ignore == ("Contract",)
    assert "called like subscription.contract, but its values (One year, Two year) do not fit it" in text
    assert cells(mapping, "customer")["joined_on"].format == "months before 2026-11-01"
    assert cells(mapping, "subscription")["ended_on"].values == {"Yes": "2026-10-31"}
    assert cells(mapping, "subscription")["service"].values == {
        "DSL": "broadband",
        "Fiber optic": "broadband",
        "No": "fixed",
    }
    assert "since = 2026-10-01" in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.full_account().balanced and made.account()["quarantined"].sum() == 0
        lines = made.table("subscription", ["subscription_id", "activated_on", "ended_on"]).astype(str).fillna("")
        assert lines.to_numpy().tolist() == [
            ["3668-C", "2026-09-01", "2026-10-31"],
            ["5575-B", "2024-01-01", ""],
            ["7590-A", "2026-10-01", ""],
        ]
        assert made.table("bill")["amount"].sum() == pytest.approx(140.65)
    said = "\n".join(doubts(text))
    for word in ("no column tells which day", "all of them persons", "counted in months", "within which time"):
        assert word in said


def test_chinese_extracts_in_old_encodings(root):
    """Delimiter, encoding, codes, day forms, fen and GB are told by names and values; months become one pattern."""
    bills = "客户编号|账期|应收金额分\n1001|202605|{}\n1002|202605|2050\n"
    people = (
        "客户编号,客户类型,姓名,省份,性别,入网日期\n1001,个人,张三,广东,男,20200101\n1002,企业,乙公司,北京,,20210301\n"
    )
    use = [{"客户编号": customer, "月份": "2026-05", "流量(GB)": 1.5} for customer in ("1001", "1002")]
    files = {
        "客户资料.csv": people.encode("gb18030"),
        "账单_202605.txt": bills.format(1999).encode("gb18030"),
        "账单_202606.txt": bills.replace("202605", "202606").format(999).encode("gb18030"),
        "用量.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in use),
    }
    _, _, mapping, raw = drafted(root, files)
    blocks = {b.table.name: b for b in mapping.files}
    assert (blocks["customer"].encoding, blocks["bill"].delimiter, blocks["bill"].path) == (
        "gb18030",
        "|",
        "账单_*.txt",
    )
    assert cells(mapping, "customer")["kind"].values == {"个人": "person", "企业": "company"}
    assert cells(mapping, "customer")["name_key"].pseudonym is True
    assert cells(mapping, "bill")["amount"].scale == 0.01 and cells(mapping, "bill")["month"].format == "%Y%m"
    assert cells(mapping, "usage_month")["data_mb"].scale == 1024
    assert mapping.as_of == dt.date(2026, 7, 1)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.table("bill")["amount"].tolist() == [19.99, 20.5, 9.99, 20.5]
        assert made.table("usage_month")["data_mb"].tolist() == [1536.0, 1536.0]


WIDE = """客户编号,客户性别,所在省份,入网日期,月均消费(元),通话分钟数,是否离网
K1,男,广东,2024年01月17日,59.5,68,否
K2,女,湖北,2025年12月19日,99,504,是
K3,女,广东,2026年08月31日,120,0,否
"""


@pytest.mark.parametrize(
    ("name", "as_of", "asked"),
    [
        ("客户宽表 2026年9月.csv", "2026-10-01", True),
        ("客户宽表.csv", "2026-09-01", False),
        ("wide_202611.csv", "2026-09-01", False),
        ("宽表_202607.csv", "2026-09-01", False),
    ],
)
def test_a_wide_table_with_everyday_headings(root, name, as_of, asked):
    """所在省份 is a province, 月均消费 a charge, with a question; the name of the file tells a month that is over."""
    _, text, mapping, raw = drafted(root, {name: WIDE.encode("gb18030")})
    assert (str(mapping.as_of), "that the file's name tells" in text) == (as_of, asked)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["quarantined"].sum() == 0
        people = made.table("customer", ["customer_id", "province", "gender"]).to_numpy().tolist()
        assert people == [["K1", "广东", "male"], ["K2", "湖北", "female"], ["K3", "广东", "female"]]
        bills = made.table("bill", ["customer_id", "amount", "month"])
        assert bills["amount"].tolist() == [59.5, 99.0, 120.0]
        month = (dt.date.fromisoformat(as_of) - dt.timedelta(1)).replace(day=1)
        assert bills["month"].astype(str).unique().tolist() == [str(month)]
        assert made.table("usage_month")["call_min"].tolist() == [68.0, 504.0, 0.0]
    said = "\n".join(doubts(text))
    assert all(f"is {heading} meant?" in said for heading in ("所在省份", "客户性别", "月均消费(元)"))


def test_a_province_of_two_names_is_asked_for(root):
    """The last of the rows alone says 广东省."""
    _, text, _, _ = drafted(root, {"客户宽表.csv": WIDE.replace("K3,女,广东,", "K3,女,广东省,")})
    said = "\n".join(doubts(text))
    assert "广东 and 广东省 are one province" in said and "湖北" not in said


def test_what_lies_in_its_folder_needs_no_raw(root, monkeypatch, capsys):
    """The next commands name the file only where it lies elsewhere."""
    place = root / "data/raw/own"
    place.mkdir(parents=True)
    (place / "宽 表.csv").write_text(WIDE, "utf-8")
    (root / "notebooks").symlink_to(ROOT / "notebooks")
    for name, told in (("own", "try own\n"), ("other", f"try other --raw {shlex.quote(str(place / '宽 表.csv'))}\n")):
        with pytest.raises(SystemExit):
            cli.main(["data", "draft", str(place / "宽 表.csv"), "--name", name])
        assert told in capsys.readouterr().out


def test_mobile_numbers_as_identifiers_become_pseudonyms(root):
    rows = "".join(f"1380013{n:04},2024-01-0{n % 9 + 1},5{n}\n" for n in range(20))
    _, _, mapping, raw = drafted(root, {"充值.csv": f"手机号,充值日期,充值金额\n{rows}"})
    assert (found := cells(mapping, "payment")["customer_id"]).pseudonym and found.kind == "phone"
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["accepted"].tolist() == [20]
        assert not made.table("payment")["customer_id"].str.contains("1380013").any()


def test_a_short_survey_gets_the_model_that_fits(root):
    """Overall satisfaction and a recommendation are known by name; 99 is no answer, and that is said."""
    rows = "".join(f"{n},广东,{n % 10 + 1},{99 if n == 3 else n % 11}\n" for n in range(40))
    made, text, mapping, raw = drafted(root, {"满意度.csv": f"问卷编号,省份,总体满意度,推荐意愿\n{rows}"})
    items = cells(mapping, "survey_response")["items"]
    assert {name: value.column for name, value in items.items()} == {"SA1": "总体满意度", "NPS": "推荐意愿"}
    assert made.parameters["satisfaction.model"][0] == '"overall"' and "99 is taken for no answer" in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as found:
        assert found.survey()["NPS"].isna().sum() == 1


def test_an_experiment_gets_its_campaign(root):
    """Arms, outcomes under their usual names, what was known before; not called randomised by itself."""
    rows = "".join(f"{['对照组', '实验组'][n % 2]},{n % 2},{n},{20 + n}\n" for n in range(20))
    _, _, mapping, raw = drafted(root, {"名单.csv": f"组别,是否响应,窗口收入,年龄\n{rows}"})
    members = cells(mapping, "campaign_member")
    assert members["arm"].values == {"对照组": "control", "实验组": "实验组"}
    assert {n: v.column for n, v in members["outcomes"].items()} == {"responded": "是否响应", "revenue": "窗口收入"}
    assert list(members["covariates"]) == ["年龄"] and mapping.rows["campaign"][0]["assignment"] == "selected"
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["accepted"].tolist() == [1, 20]


def test_title_rows_sheets_and_parquet(root):
    def workbook(path):
        frame = pd.DataFrame([["Customers", None, None], ["Customer ID", "Sex", "Joined"], ["1", "F", "2024-01-05"]])
        with pd.ExcelWriter(path) as book:
            frame.to_excel(book, sheet_name="data", header=False, index=False)
            pd.DataFrame(["nothing"]).to_excel(book, sheet_name="notes", header=False, index=False)

    paid = pd.DataFrame(
        {"customer": [1, 1], "date": pd.to_datetime(["2024-02-01", "2024-03-01"]), "amount": [5.5, 6.0]}
    )
    _, _, mapping, raw = drafted(root, {"c.xlsx": workbook, "payments.parquet": paid.to_parquet})
    assert [(b.table.name, b.skip_rows) for b in mapping.files] == [("customer", 1), ("payment", 0)]
    assert mapping.as_of == dt.date(2024, 3, 2)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["accepted"].tolist() == [1, 2]


def test_two_rows_of_names_below_a_title(root):
    """An upper name stands over several columns: kept where the lower ones do not tell columns apart."""
    rows = [f'K{i},"1,00{i}.5",{i},"2,00{i}.5",{i}' for i in range(1, 6)]
    head = ["账单汇总,,,,", "客户,4月,,5月,", "编号,应收,优惠,应收,优惠"]
    _, text, _, raw = drafted(root, {"2026账单.csv": "\r\n".join([*head, *rows, ""]).encode("gb18030")})
    assert "skip_rows = 1, header_rows = 2" in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        found = long(made.query("SELECT customer_id, month::DATE, amount FROM bill ORDER BY ALL"))
    assert found == [[f"K{i}", f"2026-0{m}-01", 1000.0 * (m - 3) + i + 0.5] for i in range(1, 6) for m in (4, 5)]
    one = "月报,,\n客户,账单,\n编号,账期,应收\nK1,202606,5\nK2,202606,6\n"
    assert "skip_rows = 2\n" in drafted(root, {"账单.csv": one})[1]
    lacking = "客户编号,,应收金额\nK1,x,甲\nK2,x,乙\n"  # a name is missing: no record stands for the names
    with pytest.raises(WorkbenchError, match="no canonical table fits"):
        drafted(root, {"账单.csv": lacking})


def zipped(files):
    """Give a zip as Windows packs it in China: names of members in GBK, which nothing says."""

    class Member(zipfile.ZipInfo):
        def _encodeFilenameFlags(self):
            return self.named.encode("gb18030"), self.flag_bits & ~0x800

        def __init__(self, named):
            super().__init__(named)
            self.named = named

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(Member(name), content)
    return packed.getvalue()


def test_a_zip_is_drafted_like_the_files_in_it(root):
    customers = [f"K{i:04}" for i in range(40)]
    table = "客户编号,姓名,性别,省份,入网日期\n" + "".join(f"{k},王,男,广东,2019-05-06\n" for k in customers)
    bills = {
        m: "客户编号,账期,账单金额(元)\n" + "".join(f"{k},2026{m:02},{m}.5\n" for k in customers) for m in (4, 5, 6)
    }
    paid, book = io.BytesIO(), io.BytesIO()
    pd.DataFrame({"客户编号": customers, "支付日期": "2026-06-15", "支付金额": 7.25}).to_parquet(paid)
    sheet = {"客户编号": customers, "流量MB_202605": [str(i) for i in range(40)], "流量MB_202606": ["9"] * 40}
    pd.DataFrame(sheet).to_excel(book, index=False)
    files = {
        "客户/客户 [1].csv": table.encode("gb18030"),
        "支付/支付.parquet": paid.getvalue(),
        "用量.xlsx": book.getvalue(),
    }
    files |= {f"账务/账单_2026{m:02}.csv": text.encode("gb18030") for m, text in bills.items()}
    files |= {"用量.xlsx": book.getvalue(), "说明.pdf": b"%PDF", "__MACOSX/客户/._客户.csv": b"\0", "账务/空.csv": b""}
    _, _, mapping, raw = drafted(root, {"交付.zip": zipped(files)})
    assert raw == root / "in"
    assert {block.path for block in mapping.files if block.path} >= {
        "交付.zip/账务/账单_*.csv",
        "交付.zip/支付/支付.parquet",
    }
    with tried(mapping.file, raw=raw, root=root) as made:
        sums = {name: made.table(name).sum(numeric_only=True) for name in ("bill", "payment")}
        assert len(made.table("customer")) == 40
        assert (len(made.table("bill")), sums["bill"]["amount"]) == (120, 40 * (4.5 + 5.5 + 6.5))
        assert sums["payment"]["amount"] == 40 * 7.25
        assert len(made.table("usage_month")) == 80
        assert made.account()["quarantined"].sum() == 0


def test_zips_of_months_and_a_name_with_brackets(root):
    """A browser calls a second download `a[1].csv`, which is no pattern."""
    month = "客户编号,账期,账单金额(元)\n" + "".join(f"K{i},2026{{m:02}},{{m}}\n" for i in range(30))
    files = {f"2026{m:02}.zip": zipped({"账单/账单.csv": month.format(m=m)}) for m in (4, 5)}
    head = "客户编号,姓名,入网日期\n" + "".join(f"K{i},王,2019-05-06\n" for i in range(30))
    _, _, mapping, raw = drafted(root, files | {"客户[1].csv": head})
    assert {block.path for block in mapping.files} == {"*.zip/账单/账单.csv", "客户[[]1].csv"}
    with tried(mapping.file, raw=raw, root=root) as made:
        assert made.table("bill")["amount"].sum() == 30 * 9


def test_a_hidden_sheet_is_read_only_where_it_is_named(root):
    """A draft leaves it out and says so; a mapping that names no sheet does not read one that nobody sees."""
    book = openpyxl.Workbook()
    for sheet, day in ((book.active, "2020-01-01"), (book.create_sheet("现在"), "2024-01-01")):
        sheet.append(["客户编号", "客户类型", "省份", "入网日期"])
        for i in range(1, 6):
            sheet.append([f"K{i}", "个人", "广东", day])
    book.active.sheet_state, book.active.title = "hidden", "旧"
    _, text, mapping, raw = drafted(root, {"客户.xlsx": book.save})
    assert "CHECK: the hidden sheet 旧 is left out" in text and [b.sheet for b in mapping.files] == ["现在"]
    file = root / "data/mappings/t.toml"
    file.write_text(text.replace('sheet = "现在"\n', ""), "utf-8")
    with pytest.raises(WorkbenchError, match=r"the sheet '旧' is hidden\. If it is meant"):
        tried(file, raw=raw, root=root).__enter__()
    file.write_text(text.replace("现在", "旧"), "utf-8")
    with tried(file, raw=raw, root=root) as made:
        assert made.table("customer")["joined_on"].astype(str).unique().tolist() == ["2020-01-01"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "has no record"),
        ("head.csv", b"a,b\n", "has no record"),
        ("x.doc", b"x", "has none of the endings"),
        ("x.xlsx", b"no workbook", "can't be read"),
        ("x.parquet", b"PAR1 no", "can't be read"),
        ("x.csv.gz", b"no gzip", "can't be read"),
        ("x.jsonl", b"{no json\n", "can't be read"),
        ("x.jsonl", b"[" * 100_000 + b"\n", "can't be read"),
        ("wide.csv", b"a,b\n" + b'"' + b"x" * 200_000 + b'",1\n', "can't be read"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "can't be read"),
        ("x.zip", b"PK\3\4", "can't be read as a zip archive"),
        ("x.zip", b"PK\5\6" + b"\0" * 18, "x.zip holds no file with one of the endings '.csv'"),
        ("x.db", b"x", r"ndjson' \(.gz behind\)"),
        ("new\nline.csv", b"a,b\n1,2\n", "Rename the file"),
        ("x.csv", b"a,b\n1,2\n", "no canonical table fits 'x.csv'"),
    ],
)
def test_what_cannot_be_drafted_is_one_sentence(root, name, content, words):
    with pytest.raises(WorkbenchError, match=words):
        drafted(root, {name: content})


def test_whatever_the_bytes_it_is_a_mapping_or_one_sentence(root):
    """Damaged and odd tables, seeded: each drafted mapping loads, and nothing is a traceback."""
    rng = random.Random(0)
    heads = [
        "客户编号",
        "amount",
        "date",
        "tenure",
        "churn",
        'a"b',
        "a\\b",
        "#x",
        "月份",
        "satisfaction",
        "group",
        "visit",
    ]
    texts = [
        '"a\nb"',
        "\x7f",
        "#",
        "1",
        "",
        "NULL",
        "2024-01-01",
        "202401",
        "1,5",
        "是",
        "yes",
        "no",
        '"',
        "\\",
        "１２",
        "1e5",
        "-",
        "13800138000",
    ]
    for number in range(60):
        names = rng.sample(heads, rng.randint(1, 8))
        lines = [",".join(names), *(",".join(rng.choices(texts, k=len(names))) for _ in range(rng.randint(1, 30)))]
        data = bytearray("\n".join(lines).encode(rng.choice(["utf-8", "gb18030", "utf-16"])))
        for _ in range(rng.choice([0, 0, 3])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            drafted(root, {f"f{number}.csv": bytes(data)})
        except WorkbenchError as error:
            assert "drafted" not in str(error) and "t.toml" not in str(error), (error, bytes(data))


def test_the_command_says_what_to_check_and_what_would_come_in(root, capsys):
    (root / "notebooks").mkdir()
    (root / "in/churn.csv").write_text(CHURN + "".join(f"{n % 98},Male,5,DSL,20,One year,No\n" for n in range(99)))
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "draft", str(root / "in/churn.csv")])
    said = capsys.readouterr().out
    assert end.value.code == 0
    for words in (
        "drafted, as of",
        "to check (",
        "customer",
        "the key (customer_id) stands",
        "workbench data ingest churn",
    ):
        assert words in said, said
    assert not (root / "data/warehouse").exists() and not (root / "data/private").exists()
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "draft", str(root / "in/churn.csv")])
    assert end.value.code == 2 and "stands already" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "try", "churn", "--raw", str(root / "in/churn.csv")])
    assert end.value.code == 0 and "nothing of it is kept" in capsys.readouterr().out


PUBLIC = {
    "ibm_telco_churn.csv.gz": ["customer", "subscription", "bill"],
    "mlc_churn.csv.gz": ["customer", "subscription", "usage_month", "bill"],
    "hillstrom.csv.gz": ["campaign_member"],
    "cdnow_sample.csv.gz": ["payment"],
    "mobi.csv": ["survey_response"],
    "card_arrears.csv.gz": ["customer", "bill"],
}


@pytest.mark.parametrize(("name", "tables"), PUBLIC.items(), ids=list(PUBLIC))
@pytest.mark.prove
def test_public_sets_are_drafted_and_lose_nothing(name, tables, root, shared_data):
    _, text, raw = draft_mapping([shared_data / name], name="t", root=root, today=TODAY)
    (root / "data/mappings/t.toml").write_text(text, "utf-8")
    assert [b.table.name for b in read_mapping(root / "data/mappings/t.toml").files] == tables
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        lost = made.account()["quarantined"] - made.account()["set_aside"]
        assert lost.sum() == (5 if "arrears" in name else 0)  # five balances are further below zero than any bill


def test_one_file_has_one_key_of_the_customer(root):
    """Lines take the customer's number for their own; a telephone number called so is not then the customer."""
    lines = "".join(f"138000{i:05d},C{i},2021-02-03,广东\n" for i in range(40))
    crm = f"客户号码,用户ID,开户时间,省\n{lines}"
    told = "工单号,客户号码,投诉时间\n" + "".join(f"W{i},138000{i:05d},2026-03-04 10:00:00\n" for i in range(30))
    _, _, mapping, raw = drafted(root, {"用户.csv": crm, "投诉.csv": told})
    assert cells(mapping, "subscription")["customer_id"].column == cells(mapping, "customer")["customer_id"].column
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["quarantined"].sum() == 0


def test_a_folder_with_a_space_is_quoted_in_what_is_to_be_typed(root, capsys):
    """Top-ups by 充值时间 are payments, in whatever folder."""
    (root / "notebooks").mkdir()
    file = root / "in" / "充值 记录(1).csv"
    file.write_bytes(("手机号,充值时间,充值金额(分)\n" + "13800138000,20240203,3000\n" * 3).encode("gb18030"))
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "draft", str(file), "--name", "t"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "payment" in said
    assert f"workbench data ingest t --raw {shlex.quote(str(file))}; workbench" in said


def test_a_draft_that_takes_nothing_in_says_where_it_stands(root, capsys, monkeypatch):
    """The file is there, with what to check in it; the reason stands where the account would."""
    (root / "notebooks").mkdir()
    (root / "in/churn.csv").write_text(CHURN)

    def empty(*_):
        raise WorkbenchError("table customer would be empty.")

    monkeypatch.setattr(cli_data, "_tried", empty)
    with pytest.raises(SystemExit) as end:
        cli.main(["data", "draft", str(root / "in/churn.csv")])
    said = capsys.readouterr().out
    assert end.value.code == 2 and (root / "data/mappings/churn.toml").exists()
    for words in ("drafted, as of", "to check (", "table customer would be empty.", "next: mend"):
        assert words in said, said


def test_lines_months_and_wide_digits_of_a_delivery(root, capsys):
    """Lines with their last day, amounts in wide digits among others; bills of June reach to its end, payments not."""
    (root / "notebooks").mkdir()
    texts = {
        "客户.csv": "客户编号,客户类型,省份,入网日期\n"
        + "".join(f"K{i},个人,广东,2024-01-0{i}\n" for i in range(1, 6)),
        "用户线路.csv": "用户编号,客户编号,业务类型,开通日期,停用日期,停用原因\nY1,K1,移动,2024年01月05日,,\n"
        "Y2,K2,宽带,2024年02月05日,2026年03月05日,主动拆机\nY3,K3,移动,2024年02月05日,2026年03月06日,欠费\n",
        "账单.csv": "账单编号,客户编号,账期,应收金额\n"
        + "".join(f"Z{m}{i},K{i},2026年{m}月,{30 + i}.5\n" for m in (4, 5, 6) for i in range(1, 5))
        + "Z9,K5,2026年6月,４９.２０\n",
        "缴费.csv": "流水号,客户编号,缴费日期,金额\nJ1,K1,2026/06/04,31.5\n",
    }
    for name, text in texts.items():
        (root / "in" / name).write_bytes(text.encode("gb18030"))
    with pytest.raises(SystemExit):
        cli.main(["data", "draft", *(str(root / "in" / name) for name in texts), "--name", "t"])
    said = capsys.readouterr().out
    assert "drafted, as of 2026-07-01" in said and "tried as of 2026-07-01" in said and "data reach" not in said
    assert "since = 2026-03-05 # CHECK: " in (root / "data/mappings/t.toml").read_text("utf-8")
    with tried(root / "data/mappings/t.toml", raw=root / "in", root=root) as made:
        lines = made.query("SELECT ended_on, end_reason FROM subscription ORDER BY subscription_id")
        assert lines["end_reason"].fillna("").tolist() == ["", "disconnect", "non_payment"]
        assert str(lines["ended_on"].iloc[1])[:10] == "2026-03-05"
        bills = made.query("SELECT sum(amount) AS n FROM bill")["n"].iloc[0]
        assert bills == pytest.approx(3 * (31.5 + 32.5 + 33.5 + 34.5) + 49.2)


@pytest.mark.parametrize(
    ("heading", "unit", "scale"),
    [
        ("应收金额(万元)", "currency", 10_000),
        ("预计金额（单位：万元）", "currency", 10_000),
        ("收入/亿元", "currency", 1e8),
        ("应收金额分", "currency", 0.01),
        ("应收金额(元/月)", "currency", 1),
        ("AmountFen", "currency", 0.01),
        ("price_cents", "currency", 0.01),
        ("单价(分/分钟)", "currency/min", 0.01),
        ("分公司应收", "currency", None),
        ("积分", "currency", None),
        ("discount_percent", "currency", None),
        ("部分金额", "currency", None),
        ("流量(GB)", "MB", 1024),
        ("流量G", "MB", 1024),
        ("volume_kbytes", "MB", 1 / 1024),
        ("等待时长(分钟)", "s", 60),
        ("通话时长(分)", "min", 1),
        ("用户数(万户)", "lines", 10_000),
        ("应收金额", "currency", None),
    ],
)
def test_the_unit_of_a_heading(heading, unit, scale):
    """It is a word of its own, or ends one; what only holds its sign (分公司, 积分) has none."""
    column = Column(name="x", type="double", meaning="", unit=unit)
    assert scaled(column, heading) == (scale, "")


def test_two_units_in_a_heading_and_a_unit_in_a_title_are_asked_for():
    column = Column(name="amount", type="double", meaning="", unit="currency")
    assert scaled(column, "金额(元)/万元")[1] == "元 or 万元: which is its unit?"
    assert scaled(column, "应收金额", "万元") == (10_000, "a title says that the unit is 万元: of this column, too?")
    assert scaled(column, "应收金额(元)", "万元") == (1, "")


def test_months_of_two_forms_a_correction_and_another_systems_numbers(root):
    """June has one more column, May is in old encoding under 万元, April is corrected; billing knows its own numbers.

    Amounts by hand: K1 was billed 100.50 in April, corrected to 90; 12,345.60 in May as 1.23456 万元; 70 in June.
    """
    people = "客户编号,客户类型,省份,入网日期\n" + "".join(f"K{i},个人,广东,2024-01-0{i}\n" for i in range(1, 6))
    links = "CRM编号,计费账号\n" + "".join(f"K{i},8800{i}\n" for i in range(1, 6))
    april, june = (
        head + "".join(f"Z{m}{i},8800{i},2026{m:02},{first if i == 1 else 50 + i}{more}\n" for i in range(1, 6))
        for m, first, head, more in (
            (4, "100.50", "账单编号,计费账号,账期,应收金额(元)\n", ""),
            (6, "70", "账单编号,计费账号,账期,应收金额(元),备注\n", ",x"),
        )
    )
    may = "2026年5月\n单位：万元\n账单编号,计费账号,账期,应收金额\n" + "".join(
        f"Z5{i},8800{i},202605,{1.23456 if i == 1 else f'0.005{i}'}\n" for i in range(1, 6)
    )
    files = {
        "客户资料.csv": people.encode("gb18030"),
        "对照表.csv": links,
        "账单_202604.csv": april,
        "五月账单.csv": may.encode("gb18030"),
        "账单_202606.csv": june,
        "账单_202604_更正.csv": "账单编号,计费账号,账期,应收金额(元)\nZ41,88001,202604,90\n",
    }
    made, text, mapping, raw = drafted(root, files)
    assert made.homeless == [] and {b.keep for b in mapping.files if b.table.name == "bill"} == {"last"}
    assert 'path = "账单_??????.csv", optional = ["备注"]' in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as tries:
        bills = tries.query("SELECT customer_id, month(month) AS m, amount FROM bill ORDER BY ALL")
        assert bills.loc[bills["customer_id"] == "K1", "amount"].tolist() == [90.0, 12_345.6, 70.0]
        assert bills.loc[bills["m"] == 5, "amount"].tolist() == [12_345.6, 52.0, 53.0, 54.0, 55.0]
        assert len(bills) == 15 and tries.full_account().balanced


def test_a_column_that_each_row_needs_makes_a_months_file_a_block_of_its_own(root):
    """June's bills have a discount, which no bill may lack: the files are named each, and none of them is refused."""
    head, months = "账单编号,客户编号,账期,应收金额", {}
    for m in (4, 5, 6):
        rows = (f"Z{m}{i},K{i},20260{m},50{',5' if m == 6 else ''}\n" for i in range(1, 4))
        months[f"账单_20260{m}.csv"] = head + (",优惠金额" if m == 6 else "") + "\n" + "".join(rows)
    _, _, mapping, raw = drafted(root, months)
    assert sorted(b.path for b in mapping.files if b.table.name == "bill") == list(months)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.query("SELECT sum(discount) AS n, count(*) AS rows FROM bill").iloc[0].tolist() == [15, 9]


def test_a_refused_record_of_a_drafted_join_is_mended_and_taken_back(root, capsys):
    """The export says from which line it comes and by which key its customer was looked for; a telephone is masked."""
    (root / "notebooks").mkdir()
    phones = [f"1380013{i:04}" for i in range(1, 6)]
    people = "客户编号,客户类型,省份,入网日期,联系电话\n"
    people += "".join(f"K{i},个人,广东,2024-01-0{i},{phone}\n" for i, phone in enumerate(phones, 1))
    bills = "账单编号,计费账号,账期,应收金额\n" + "".join(f"Z{i},8800{i},202606,5{i}\n" for i in range(1, 6))
    paid = "流水号,手机号,缴费日期,缴费金额\n" + "".join(f"J{i},{p},2026-06-30,1{i}\n" for i, p in enumerate(phones))
    files = {
        "客户资料.csv": people,
        "账单.csv": bills.replace("88003", "88009"),
        "对照表.csv": "CRM编号,计费账号\n" + "".join(f"K{i},8800{i}\n" for i in range(1, 6)),
        "缴费.csv": paid.replace(phones[1], "13900000000"),
    }
    _, text, _, raw = drafted(root, files)
    raw.rename(root / "data/raw_t")
    (root / "data/raw").mkdir()
    (root / "data/raw_t").rename(root / "data/raw/t")
    assert 'beside = ["linked_row", "计费账号"]' in text and "ignore" not in text
    with pytest.raises(SystemExit):
        cli.main(["data", "ingest", "t"])
    for table, key, shown in (("bill", "计费账号", "88009"), ("payment", "手机号", "[number]")):
        with pytest.raises(SystemExit):
            cli.main(["data", "quarantine", "t", "--table", table, "--export", str(root / "out.csv")])
        out = pd.read_csv(root / "out.csv", dtype=str)
        of = "账单.csv, 4" if table == "bill" else "缴费.csv, 3"
        assert out[["linked_row", key, "#reasons"]].to_numpy().tolist() == [[of, shown, "customer_id is missing"]]
        out.assign(linked_customer_id="K3" if table == "bill" else "K2").to_csv(root / f"{table}.csv", index=False)
        with pytest.raises(SystemExit) as end:
            cli.main(["data", "quarantine", "t", "--take-back", str(root / f"{table}.csv")])
        assert end.value.code == 0
    made = open_warehouse("t", root=root)
    assert made.query("SELECT customer_id, amount FROM bill ORDER BY 1").to_numpy().tolist() == [
        [f"K{i}", 50.0 + i] for i in range(1, 6)
    ]
    assert made.query("SELECT customer_id FROM payment ORDER BY payment_id")["customer_id"].tolist() == [
        f"K{i}" for i in range(1, 6)
    ]


def mended(root, files, name="bill.csv", **cells):
    """Draft and ingest a delivery, export what is refused of its bills, mend cells, and take it back: the status."""
    (root / "notebooks").mkdir(exist_ok=True)
    (root / "in").rmdir()
    (root / "data/raw/t").mkdir(parents=True)
    (root / "in").symlink_to(root / "data/raw/t")
    drafted(root, files)
    out = root / "out.csv"
    for more in (["ingest", "t"], ["quarantine", "t", "--table", "bill", "--export", str(out)]):
        with pytest.raises(SystemExit):
            cli.main(["data", *more])
    pd.read_csv(out, dtype=str).assign(**cells).to_csv(root / name, index=False)
    return run(["quarantine", "t", "--take-back", str(root / name)])


def run(arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["data", *arguments])
    return end.value.code


def month_of_bills(month, accounts):
    return "计费账号,账期,应收金额\n" + "".join(f"{one},2026{month:02},{amount}\n" for one, amount in accounts)


LINKED = {
    "客户资料.csv": "客户编号,客户类型,省份,入网日期\n"
    + "".join(f"K{i},个人,广东,2024-01-0{i}\n" for i in range(1, 7)),
    "对照表.csv": "CRM编号,计费账号\n" + "".join(f"K{i},8800{i}\n" for i in range(1, 6)),
    "账单_202605.csv": month_of_bills(5, [(f"8800{i}", 50 + i) for i in range(1, 7)]),
    "账单_202606.csv": month_of_bills(6, [(f"8800{i}", 60 + i) for i in range(1, 6)]),
}


def test_a_repair_of_a_prepared_result_outlives_new_months(root, capsys):
    """It holds for the row that it was mended of, on whatever line that stands; a corrected month asks anew."""
    assert mended(root, LINKED, linked_customer_id="K6") == 0
    mapping = root / "data/mappings/t.toml"
    mapping.write_text(mapping.read_text("utf-8").replace("as_of = 2026-07-01", "as_of = 2026-08-01"), "utf-8")
    file = root / "in/账单_202604.csv"  # read before the others, and its rows sort before theirs
    file.write_text(month_of_bills(4, [(f"8800{i}", 10) for i in range(1, 6)]), "utf-8")
    assert run(["ingest", "t"]) == 0
    (root / "in/账单_202607.csv").write_text(month_of_bills(7, [(f"8800{i}", 70) for i in range(1, 7)]), "utf-8")
    assert run(["ingest", "t"]) < 2  # the same account in July is another row, which nobody mended
    found = long(open_warehouse("t", root=root).query("SELECT month::DATE, customer_id, amount FROM bill ORDER BY ALL"))
    truth = [
        [f"2026-0{m}-01", f"K{i}", {4: 10, 5: 50 + i, 6: 60 + i, 7: 70}[m] * 1.0]
        for m in (4, 5, 6, 7)
        for i in range(1, 6)
    ]
    assert found == sorted([*truth, ["2026-05-01", "K6", 56.0]])
    (root / "in/对照表.csv").write_text(LINKED["对照表.csv"] + "K5,88006\n", "utf-8")
    capsys.readouterr()
    assert run(["ingest", "t"]) == 2  # the link that was lacking is there: what was mended stands so no more
    assert "of prepare:linked_1 now stands in 0 rows, not in one for each repair" in capsys.readouterr().err
    (root / "in/对照表.csv").write_text(LINKED["对照表.csv"] + "K9,99999\n", "utf-8")
    assert run(["ingest", "t"]) < 2
    (root / "in/账单_202605.csv").write_text(LINKED["账单_202605.csv"].replace(",56", ",57"), "utf-8")
    assert run(["ingest", "t"]) == 2 and "of another delivery of 'prepare:linked_1'" in capsys.readouterr().err


@pytest.mark.prove
def test_a_repair_is_of_no_row_where_two_are_alike(root, capsys):
    """Of two rows in which nothing that is read differs, nobody can say which was mended; before, each had its line."""
    files = LINKED | {"账单_202605.csv": month_of_bills(5, [("88001", 51), ("88006", 56)])}
    assert mended(root, files, linked_customer_id="K6") == 0
    mapping = root / "data/mappings/t.toml"
    text = mapping.read_text("utf-8").replace('concat_ws(\', \', f."#file", f."#line")', "''")
    assert text != mapping.read_text("utf-8")
    mapping.write_text(text, "utf-8")
    assert run(["ingest", "t"]) == 2  # the row reads otherwise
    (root / "data/repairs/t/bill.csv").unlink()
    assert run(["ingest", "t"]) < 2
    assert run(["quarantine", "t", "--export", str(root / "again.csv")]) == 0
    pd.read_csv(root / "again.csv", dtype=str).assign(linked_customer_id="K6").to_csv(root / "more.csv", index=False)
    assert run(["quarantine", "t", "--take-back", str(root / "more.csv")]) == 0
    (root / "in/账单_202607.csv").write_text(month_of_bills(5, [("88006", 56)]), "utf-8")
    capsys.readouterr()
    assert run(["ingest", "t"]) == 2 and "now stands in 2 rows" in capsys.readouterr().err


def test_lines_some_of_which_are_telephones_fen_without_a_word_and_a_clock_of_twelve_hours(root):
    """Of a list of lines a third are telephones: they are hidden there as in the use of them, in one form."""
    phones = [f"1391000{i:04}" for i in range(1, 5)]
    lines = [*phones, *(f"KD{i}" for i in range(8))]
    files = {
        "客户.csv": "客户号,客户类型,省份,入网日期\n" + "".join(f"{i}0,个人,广东,2024-01-0{i}\n" for i in range(1, 6)),
        "用户清单.csv": "用户号码,客户号,业务,启用日期\n"
        + "".join(f"{n},{i % 5 + 1}0,{'宽带' if 'K' in n else '移动'},2024-02-01\n" for i, n in enumerate(lines)),
        "用量.csv": "用户号码,月份,通话时长(秒),流量G\n" + "".join(f"{n},202606,90,0.5\n" for n in phones),
        "billing.csv": "acct_no,bill_cycle,fee_fen\n" + "".join(f"{i}0,202606,{1999 + i}\n" for i in range(1, 6)),
        "工单.csv": "工单号,客户号,工单类型,受理时间\nT1,10,投诉,2026/6/3 下午1:05\nT2,20,故障,2026/6/3 上午12:30\n",
    }
    _, _, mapping, raw = drafted(root, files)
    assert all(cells(mapping, t)["subscription_id"].kind == "phone" for t in ("subscription", "usage_month"))
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["quarantined"].sum() == 0
        use = made.query("SELECT call_min, data_mb FROM usage_month JOIN subscription USING (subscription_id)")
        assert use.to_numpy().tolist() == [[1.5, 512.0]] * 4
        assert made.query("SELECT amount FROM bill ORDER BY 1")["amount"].tolist() == [20.0, 20.01, 20.02, 20.03, 20.04]
        opened = made.query("SELECT opened_at FROM ticket ORDER BY ticket_id")["opened_at"].astype(str).tolist()
        assert opened == ["2026-06-03 13:05:00", "2026-06-03 00:30:00"]


def long(rows):
    """Rows of a query, with days as texts."""
    return [[str(cell)[:10] if hasattr(cell, "year") else cell for cell in row] for row in rows.to_numpy().tolist()]


def test_columns_of_months_become_rows(root):
    """Each column of ARPU stands for the month it names, in whatever order; a month without a value has no row."""
    head = "客户编号,客户类型,省份,入网日期," + ",".join(f"{n}_20260{m}" for n in ("ARPU", "流量GB") for m in (4, 6, 5))
    rows = [f"K{i},个人,广东,2024-01-0{i},4{i},6{i},5{i},1,2,3" for i in range(1, 6)]
    rows += ["K6,个人,广东,2026-06-02,,66,,,,-", "K7,个人,广东,2026-06-02,,,,-,,"]
    _, text, mapping, raw = drafted(root, {"宽表.csv": "\n".join([head, *rows, ""])})
    assert mapping.as_of == dt.date(2026, 7, 1) and "names a year" not in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["quarantined"].equals(made.account()["set_aside"])
        bills = long(made.query("SELECT customer_id, month::DATE, amount FROM bill ORDER BY ALL"))
        use = long(made.query("SELECT customer_id, month::DATE, data_mb FROM usage_month ORDER BY ALL"))
        assert made.table("customer")["customer_id"].tolist() == [f"K{i}" for i in range(1, 8)]
    months = {4: 1, 5: 3, 6: 2}
    truth = [[f"K{i}", f"2026-0{m}-01", 10.0 * m + i] for i in range(1, 6) for m in months]
    assert bills == [*truth, ["K6", "2026-06-01", 66.0]]
    assert use == [[f"K{i}", f"2026-0{m}-01", 1024.0 * gb] for i in range(1, 6) for m, gb in months.items()]


def test_months_without_a_year_are_asked_about_and_follow_the_delivery(root):
    """Over the new year, backwards, of accounts that another file links; the years are those after the last joined."""
    people = "客户编号,客户类型,省份,入网日期\n" + "".join(f"K{i},个人,广东,2025-12-0{i}\n" for i in range(1, 6))
    links = "CRM编号,计费账号\n" + "".join(f"K{i},8800{i}\n" for i in range(1, 6))
    bills = "计费账号,2月账单(分),1月账单(分),12月账单(分),十一月账单(分)\n"
    bills += "".join(f"8800{i},{i}02,{i}01,{i}12,{i}11\n" for i in range(1, 6))
    files = {"客户.csv": people, "对照表.csv": links, "欠费.csv": bills.encode("gb18030")}
    _, text, mapping, raw = drafted(root, files)
    assert "2月账单(分) to 十一月账单(分) are taken for 2025-11 to 2026-02, for no heading names a year. Right?" in text
    assert mapping.as_of == dt.date(2026, 3, 1)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        found = long(made.query("SELECT bill_id, customer_id, month::DATE, amount FROM bill ORDER BY ALL"))
    days = {"2025-11": 0.11, "2025-12": 0.12, "2026-01": 0.01, "2026-02": 0.02}
    assert found == [
        [f"8800{i}-{day}", f"K{i}", f"{day}-01", pytest.approx(i + part)]
        for i in range(1, 6)
        for day, part in days.items()
    ]


def test_years_of_files_numbered_months_and_windows(root):
    """Two years' files keep their own year; pay_1 to pay_4 are asked about; 近3月 and 3, 6, 12 are no months."""
    rows = "".join(f"K{i},{i}4,{i}5\n" for i in range(1, 5))
    files = {f"账单_{year}.csv": f"客户编号,4月,五月\n{rows}" for year in (2024, 2025)}
    files["pay.csv"] = "客户编号,pay_1,pay_2,pay_3\n" + "".join(f"K{i},{i}1,{i}2,{i}3\n" for i in range(1, 5))
    _, text, mapping, raw = drafted(root, files)
    assert "by the name of the file. Right?" in text and mapping.as_of == dt.date(2026, 11, 1)
    assert "are pay_1 to pay_3 the months 2026-08 to 2026-10, pay_3 the last?" in text
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        found = long(made.query("SELECT customer_id, month::DATE, amount FROM bill ORDER BY ALL"))
        paid = long(made.query("SELECT customer_id, paid_on, amount FROM payment ORDER BY ALL"))
    months = [(year, m) for year in (2024, 2025) for m in (4, 5)]
    assert found == [[f"K{i}", f"{year}-0{m}-01", 10.0 * i + m] for i in range(1, 5) for year, m in months]
    days = ((1, "2026-08-01"), (2, "2026-09-01"), (3, "2026-10-01"))
    assert paid == [[f"K{i}", day, 10.0 * i + n] for i in range(1, 5) for n, day in days]
    windows = "客户编号,入网日期,{},{},{}\n" + "".join(f"K{i},2024-01-0{i},{i},2,3\n" for i in range(1, 5))
    for heads in (("近3月消费", "近4月消费", "近5月消费"), ("3月消费", "6月消费", "12月消费")):
        assert "[[prepare]]" not in drafted(root, {"w.csv": windows.format(*heads)})[1]


def test_a_window_that_moves_on_replaces_the_months_it_tells_again(root):
    """Of three months delivered each month the later delivery holds; nothing counts twice."""
    files = {
        f"ARPU_20260{m}.csv": "cust,"
        + ",".join(f"ARPU_20260{k}" for k in (m - 1, m))
        + "\n"
        + "".join(f"C{i},{i}{m - 1},{i}{m}{'.5' * (m == 6)}\n" for i in range(1, 6))
        for m in (5, 6)
    }
    files["ARPU_202606.csv"] = files["ARPU_202606.csv"].replace("C2,25,", "C2,99,")
    _, _, _, raw = drafted(root, files)
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        found = long(made.query("SELECT customer_id, month::DATE, amount FROM bill ORDER BY ALL"))
    assert found == [
        [f"C{i}", f"2026-0{m}-01", 99.0 if (i, m) == (2, 5) else 10.0 * i + m + 0.5 * (m == 6)]
        for i in range(1, 6)
        for m in (4, 5, 6)
    ]


MONTHLY = """
as_of = 2026-07-01
[[file]]
path = "customer.csv"
table = "customer"
[file.columns]
customer_id = "c"
kind = { constant = "person" }
province = { constant = "北京" }
joined_on = { constant = "2025-01-01" }
[[file]]
path = "line.csv"
table = "subscription"
[file.columns]
subscription_id = "c"
customer_id = "c"
service = { constant = "mobile" }
activated_on = { constant = "2025-01-01" }
[[file]]
path = "use.csv"
table = "usage_month"
[file.columns]
subscription_id = "c"
customer_id = "c"
month = "m"
data_mb = { constant = 1 }
[[file]]
path = "bill.csv"
table = "bill"
[file.columns]
bill_id = "b"
customer_id = "c"
month = "m"
issued_on = "on"
due_on = "on"
recurring = { constant = 9 }
usage_charge = { constant = 0 }
discount = { constant = 0 }
amount = { constant = 9 }
"""


@pytest.mark.parametrize(("use", "bill"), [("2031-02-01", "2026-05-01"), ("2026-05-01", "2031-02-01")])
def test_a_stray_month_of_the_future_is_not_what_the_data_reach(use, bill, root):
    """By hand: 60 months of use to May 2026 and 60 bills to May, one row of either of 2031: the data reach 31 May."""
    ids = [f"c{k}" for k in range(61)]
    months = [f"2026-0{1 + k % 5}-01" for k in range(60)]
    bills = [(f"b{k}", f"c{k}", month, f"{month[:8]}03") for k, month in enumerate([*months, bill])]
    (root / "data/raw/t").mkdir(parents=True)
    for name, head, rows in (
        ("customer", "c", ids),
        ("line", "c", ids),
        ("use", "c,m", [f"c{k},{month}" for k, month in enumerate([*months, use])]),
        ("bill", "b,c,m,on", map(",".join, bills)),
    ):
        (root / f"data/raw/t/{name}.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
    (root / "data/mappings/t.toml").write_text(MONTHLY, "utf-8")
    lines, status, last = cli_data._tried(root / "data/mappings/t.toml", None, root)
    assert (status, last) == (0, dt.date(2026, 5, 31)), lines
