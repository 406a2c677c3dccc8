"""Clear numbers of telephones and cards: masked in free text, refused as identifiers, and nowhere in the warehouse."""

import json
import re
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.personal import personal
from workbench.reports.privacy.search import scan
from workbench.sample import write_sample
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.read import batches, raw_files
from workbench.warehouse.ingest.repairs import write_quarantine

CARD = "11010519491231002X"  # the example of GB 11643
NO_CARD = "110105194912310021"  # its check character is wrong
KEY = "a key of sixteen characters"

TICKET = """
[[file]]
path = "t.csv"
table = "ticket"
most_refused = 1
[file.columns]
ticket_id = {ticket}
customer_id = {customer}
kind = {{ constant = "complaint" }}
category = "what"
opened_at = "at"
"""


@pytest.fixture
def door(tmp_path, monkeypatch):
    """Ingest tickets (id, customer, text) under a mapping of the identifiers; give the warehouse and its account."""
    monkeypatch.setenv("WORKBENCH_KEY", KEY)
    (tmp_path / "data" / "mappings").mkdir(parents=True)
    (tmp_path / "data" / "raw" / "shop").mkdir(parents=True)

    def door(*rows, ticket='"id"', customer='"c"', more=""):
        mapping = "as_of = 2026-07-01\n" + TICKET.format(ticket=ticket, customer=customer) + more
        (tmp_path / "data" / "mappings" / "shop.toml").write_text(mapping, encoding="utf-8")
        lines = ["id,c,what,at", *(f"{i},{c},{text},2026-06-01 10:00" for i, c, text in rows)]
        (tmp_path / "data" / "raw" / "shop" / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        account = ingest("shop", root=tmp_path)
        return open_warehouse("shop", root=tmp_path), account

    door.root = tmp_path
    return door


def stored(warehouse):
    """Give all bytes of a version, and the records in quarantine."""
    files = [path for path in warehouse.place.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files) + warehouse.refused().to_json(force_ascii=False).encode()


def test_numbers_in_free_text_are_masked_and_counted(door):
    """A text keeps its words; the account says how many numbers went out of which column."""
    warehouse, account = door(
        ("t1", "c1", "请回电138 0013 8000或13900139000"),
        ("t2", "c1", f"证件{CARD}"),
        ("t3", "c2", f"单号{NO_CARD}"),
        ("t4", "c2", "工单12345678901和２０２６"),
        ("t5", "c3", "１３８００１３８０００"),
    )
    assert warehouse.table("ticket")["category"].tolist() == [
        "请回电[number]或[number]",
        "证件[number]",
        f"单号{NO_CARD}",
        "工单12345678901和２０２６",
        "[number]",
    ]
    assert "4 telephone or card numbers or mail addresses in what of t.csv (ticket) were masked" in account.notes
    assert not any(clear in stored(warehouse) for clear in (b"13900139000", CARD.encode(), "１３８００".encode()))


def test_fixed_lines_and_mail_addresses_in_free_text_are_masked(door):
    """With area code, however it is written; a date, a service number and an order number stay."""
    texts = {
        "座机010-82345678": "座机[number]",
        "家里（0755）8234 5678转": "家里[number]转",
        "075582345678": "[number]",
        "＋86 21 6234-5678": "[number]",
        "0571-8765432-801": "[number]",
        "请写li.na@example.cn；或12345＠qq.com": "请写[mail];或[mail]",
        "13800138000@139.com": "[mail]",
        "热线10000和400-800-1234": "热线10000和400-800-1234",
        "2026-06-30 0755200001": "2026-06-30 0755200001",
        "单号075520000100": "单号[number]",  # cannot be told from a number in Shenzhen
        "@all": "@all",
    }
    warehouse, _ = door(*((f"t{i}", "c1", text) for i, text in enumerate(texts)))
    found = warehouse.table("ticket").set_index("ticket_id")["category"]
    assert {text: found[f"t{i}"] for i, text in enumerate(texts)} == texts


def test_a_number_as_identifier_is_refused_and_says_what_to_do(door):
    """The row is refused with the way out, and the quarantine does not hold the number; others pass."""
    warehouse, _ = door(
        ("13800138000", "c1", "a"),
        ("t2", CARD, "b"),
        ("10000138000", "755200001000000001", "c"),
        ("t4", NO_CARD, "d"),
        ("t5", "13900139000", "tel 13700137000"),
    )
    assert warehouse.table("ticket")["ticket_id"].tolist() == ["10000138000", "t4"]
    aside = warehouse.refused().set_index("line")
    phone = (
        'is a telephone number: map it with pseudonym = "phone" wherever it stands, or pseudonym = false if it is none'
    )
    card = phone.replace("a telephone number", "the number of an identity card").replace('"phone"', '"card"')
    assert {line: list(reasons) for line, reasons in aside["reasons"].items()} == {
        2: [f"ticket_id {phone}"],
        3: [f"customer_id {card}"],
        6: [f"customer_id {phone}"],
    }
    assert json.loads(aside["record"][6]) == {
        "id": "t5",
        "c": "[number]",
        "what": "tel [number]",
        "at": "2026-06-01 10:00",
    }
    clear = ("13800138000", "13900139000", "13700137000", CARD)
    assert not any(number.encode() in stored(warehouse) for number in clear)


def test_the_way_out_works(door):
    """Under a pseudonym all forms of a number are one identifier; what is declared to be none passes as it is."""
    rows = ("t1", "13800138000", "a"), ("t2", "+86 138-0013-8000", "b"), ("t3", "13900139000", "c")
    warehouse, _ = door(*rows, customer='{ from = "c", pseudonym = "phone" }')
    customers = warehouse.table("ticket")["customer_id"]
    assert customers.nunique() == 2 and customers.str.fullmatch("[0-9a-f]{20}").all()
    assert b"13800138000" not in stored(warehouse)
    warehouse, _ = door(*rows[::2], customer='{ from = "c", pseudonym = false }')
    assert warehouse.table("ticket")["customer_id"].tolist() == ["13800138000", "13900139000"]


LINES = """
[[file]]
path = "l.csv"
table = "subscription"
most_refused = 1
[file.columns]
subscription_id = "line"
customer_id = "c"
number_key = {{ from = "n", pseudonym = {pseudonym} }}
service = {{ constant = "mobile" }}
activated_on = "day"
"""


def lines(door, pseudonym):
    (door.root / "data" / "raw" / "shop" / "l.csv").write_text(
        "line,c,n,day\ns1,c1,13800138000,2026-01-01\ns2,c1,0123456789abcdef0123,2026-01-01\n"
    )
    return door(("t1", "c1", "a"), more=LINES.format(pseudonym=pseudonym))[0]


def test_a_clear_number_is_no_pseudonym(door):
    """A column that is said to hold pseudonyms already, and holds clear numbers, is refused as well."""
    warehouse = lines(door, "false")
    assert warehouse.table("subscription")["subscription_id"].tolist() == ["s2"]
    assert warehouse.refused()["reasons"].map(list).tolist() == [
        ['number_key is a telephone number: map it with pseudonym = "phone" wherever it stands']
    ]
    assert lines(door, "true").table("subscription")["subscription_id"].tolist() == ["s1", "s2"]


def test_a_line_that_cannot_be_cut_is_masked(door):
    """What stands in quarantine as a whole line has no clear number either."""
    warehouse, _ = door(("t1", "c1", "a"), ("t2", "c1", "b,13800138000"))
    assert json.loads(warehouse.refused()["record"][0]) == "t2,c1,b,[number],2026-06-01 10:00"


def test_a_file_of_nothing_but_numbers_says_why(door):
    """A delivery that is known by telephone numbers alone is refused with the way out, and nothing is published."""
    with pytest.raises(WorkbenchError, match='customer_id is a telephone number: map it with pseudonym = "phone"'):
        door(("t1", "13800138000", "a"), ("t2", "13900139000", "b"))


def test_children_follow_the_parent(door):
    """A customer refused for their number takes their tickets along, which count apart."""
    (door.root / "data" / "raw" / "shop" / "c.csv").write_text(
        "c,p,day\n13800138000,北京,2020-01-01\nc2,北京,2020-01-01\n"
    )
    warehouse, account = door(
        ("t1", "13800138000", "a"),
        ("t2", "c2", "b"),
        more='[[file]]\npath = "c.csv"\ntable = "customer"\nmost_refused = 1\n[file.columns]\ncustomer_id = "c"\n'
        'kind = { constant = "person" }\nprovince = "p"\njoined_on = "day"\n',
    )
    assert account.frame.set_index("table")["followed"].to_dict() == {"customer": 0, "ticket": 1}
    assert b"13800138000" not in stored(warehouse)


def test_no_clear_text_of_the_sample_stands_anywhere(tmp_path, capfd):
    """Every number and name that a mapping hides is in no file of the warehouse, no export, no table and no log."""
    (tmp_path / "data" / "mappings").mkdir(parents=True)
    mapping_file = Path(__file__).parents[2] / "data" / "mappings" / "sample.toml"
    (tmp_path / "data" / "mappings" / "sample.toml").write_bytes(mapping_file.read_bytes())
    raw = tmp_path / "data" / "raw" / "sample"
    write_sample(raw, customers=200, seed=3)
    said = []
    said.append(str(ingest("sample", root=tmp_path, progress=said.append)))
    warehouse = open_warehouse("sample", root=tmp_path)
    for table in warehouse.refused()["table"].unique():
        for file in warehouse.refused(table)["file"].unique():
            write_quarantine(warehouse.refused(table, file), tmp_path / "export.csv")
            said.append((tmp_path / "export.csv").read_text(encoding="utf-8-sig"))
    clear = set()
    for block, paths in raw_files(read_mapping(mapping_file), raw)[0]:
        hidden = [value for value in block.values() if value.pseudonym]
        for batch in (batch for path in paths if hidden for batch in batches(path, block)):
            for value in hidden:
                clear |= set(batch.columns.column(value.column).to_pylist()) - {None, *value.missing}
    assert len(clear) > 500  # numbers that belong to nobody (120…), and names
    cells = set()
    for table in (*warehouse.tables(), "account", "quarantine", "facts"):
        for _, values in warehouse.query(f"FROM {table}").astype(str).items():
            cells |= set(map(str, values.unique()))
    everything = "\n".join([*cells, *said, *capfd.readouterr()]) + stored(warehouse).decode("utf-8", "replace")
    words = set(re.findall(r"\d+|[\u4e00-\u9fff·]+|[A-Za-z]+", everything))
    assert len(words & {"person", "广东"}) == 2 and not clear & (cells | words)
    assert not {"a telephone number", "an identity card"} & {kind for cell in cells for kind in personal(cell)}
    assert scan("sample", tmp_path).finds == {}
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "a.txt").write_text(f"{sorted(clear)[0]} and {sorted(clear)[-1]}", encoding="utf-8")
    assert scan("sample", tmp_path).finds == {("reports/a.txt", "a number or name that the mapping hides"): 2}
