"""Five departments, each with its own headers and keys: the draft finds the mapping that is known to be right."""

import datetime as dt
import random

import pytest

from workbench.warehouse import departments
from workbench.warehouse.draft import doubts, draft_mapping
from workbench.warehouse.ingest.mapping import read_mapping
from workbench.warehouse.ingest.run import tried

N = 40
RNG = random.Random(7)


@pytest.fixture
def root(tmp_path):
    for folder in ("in", "data/mappings", "data/models"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


def drafted(root, files):
    """Draft the mapping of some files, and read it: its text, the mapping and the raw folder."""
    paths = [root / "in" / name for name in files]
    for path in paths:
        path.write_bytes(files[path.name])
    _, text, raw = draft_mapping(paths, name="t", root=root, today=dt.date(2026, 11, 29))
    (root / "data/mappings/t.toml").write_text(text, "utf-8")
    return text, read_mapping(root / "data/mappings/t.toml"), raw


def phone(i):
    return f"138{i * 7919 % 100000000:08d}"


def card(i):
    """A card number with its check character (GB 11643)."""
    body = f"4401061985{i % 12 + 1:02d}{i % 28 + 1:02d}{i:03d}"
    return body + "10X98765432"[sum(int(d) * 2 ** (17 - n) for n, d in enumerate(body)) % 11]


def table(heads, rows, encoding="utf-8"):
    return "\n".join(",".join(map(str, row)) for row in [heads.split(","), *rows]).encode(encoding) + b"\n"


def people(i, words):
    left = i % 9 == 0
    return [
        phone(i),
        f"C{1000 + i}",
        f"{words['name']}{i}",
        card(i),
        phone(i + 500),
        f"{words['street']} {i}",
        words["places"][i % 2],
        words["sexes"][i % 2],
        1950 + i % 50,
        words["kinds"][i % 5 == 0],
        f"20{18 + i % 7}{i % 12 + 1:02d}{i % 28 + 1:02d}",
        f"88{1000 + i}",
        words["pay"][i % 3 == 0],
        f"P{i % 4}",
        f"20260{i % 6 + 1}05" if left else "",
        words["end"] if left else "",
        words["why"] if left else "",
        words["from"] if i % 6 == 0 else "",
        f"J{i // 2}",
        f"G{i // 20}" if i % 7 == 0 else "",
        f"Z{i // 2}",
    ]


def bills(key):
    return [
        [
            f"B{m}{i}",
            key(i),
            f"2026{m:02d}",
            f"2026{m + 1:02d}01",
            f"2026{m + 1:02d}20",
            30,
            i % 7,
            i % 3,
            30 + i % 7 - i % 3,
        ]
        for m in range(1, 7)
        for i in range(N)
    ]


def calls(words, form):
    return [
        [
            f"K{j}",
            form(phone(j % N)),
            f"2026-0{j % 6 + 1}-1{j % 9} 10:00:00",
            words["channels"][j % 2],
            words["ways"][j % 4 > 0],
            words["topics"][j % 2],
            j % 600,
        ]
        for j in range(90)
    ]


def tickets(words, key):
    return [
        [
            f"T{j}",
            key(j % N),
            words["cases"][j % 2],
            words["service"],
            words["topics"][j % 2],
            *(f"2026-0{j % 5 + 1}-{10 + d} 09:00:00" for d in (0, 2, 3)),
            words["results"][j % 5 == 0],
            words["queues"][j % 2],
            5 * (j % 4 == 0),
            words["arms"][j % 2],
        ]
        for j in range(60)
    ]


def answers(words):
    return [
        [
            f"R{j}",
            f"C{1000 + j}",
            "2026H1",
            "Own",
            words["places"][j % 2],
            words["service"],
            1 + j % 3,
            f"2026-05-{j % 28 + 1:02d}",
            RNG.randint(1, 10),
            RNG.randint(0, 10),
            ["cheaper", "", "faster"][j % 3],
        ]
        for j in range(N)
    ]


CHINESE = {
    "name": "张",
    "street": "人民路",
    "places": ("广东", "江苏"),
    "sexes": "男女",
    "kinds": ("个人客户", "政企客户"),
    "pay": ("后付费", "预付费"),
    "end": "携号转网",
    "why": "资费贵",
    "from": "移动",
    "channels": ("热线", "掌厅"),
    "ways": ("呼出", "呼入"),
    "topics": ("账单", "网络"),
    "cases": ("投诉", "故障"),
    "service": "移动",
    "results": ("已解决", "不成立"),
    "queues": ("甲中心", "乙中心"),
    "arms": ("补偿", "不补偿"),
}
ENGLISH = {
    "name": "Name ",
    "street": "High Street",
    "places": ("North", "South"),
    "sexes": "MF",
    "kinds": ("Residential", "Business"),
    "pay": ("Postpaid", "Prepaid"),
    "end": "Port-out",
    "why": "price",
    "from": "Rival",
    "channels": ("Hotline", "App"),
    "ways": ("Out", "In"),
    "topics": ("bill", "signal"),
    "cases": ("Complaint", "Fault"),
    "service": "Mobile",
    "results": ("Solved", "Rejected"),
    "queues": ("Centre A", "Centre B"),
    "arms": ("Offered", "Not offered"),
}
# Each column of a file with the canonical one that it is, of customers, then of lines.
CRM = """subscription.number_key customer_id name_key card_key phone_key address_key province gender birth_year kind
joined_on subscription.subscription_id subscription.contract subscription.tariff_id subscription.ended_on
subscription.end_reason subscription.stated_reason subscription.origin_operator household_id group_id payer_key"""
BILL = "bill_id customer_id month issued_on due_on recurring usage_charge discount amount"
CONTACT = "contact_id customer_id contacted_at channel direction topic wait_s"
TICKET = """ticket_id customer_id kind service category opened_at due_at closed_at outcome queue compensation
compensation_arm"""
SURVEY = """response_id customer_id wave operator province service weight answered_on items.SA1 items.NPS request"""
HEADS = {
    "chinese": [
        "手机号码,客户编码,客户名称,证件号码,联系电话,通信地址,归属省份,性别,出生年份,客户类型,入网时间,用户编码,付费方式,"
        "套餐编码,离网时间,离网原因,客户离网原因,携入来源运营商,家庭编号,集团编号,付费账户",
        "账单编号,客户编码,账期,出账日期,缴费截止日,月租费,套外费用,优惠金额,应收金额",
        "来电流水号,来电号码,来电时间,接触渠道,呼叫方向,来电原因,等待时长(秒)",
        "工单编号,客户编码,工单类型,业务类型,故障原因,受理时间,承诺时间,归档时间,处理结果,处理部门,补偿金额,补偿分组",
        "问卷编号,客户编码,调查批次,运营商,省份,业务,权重,访问日期,总体满意度,推荐意愿,改进建议",
    ],
    "english": [
        "Mobile,Customer No,Customer Name,ID Card No,Contact Phone,Address,State,Sex,Year of Birth,Customer Type,"
        "Join Date,Subscriber ID,Payment Type,Plan,End Date,Churn Reason,Reason for Leaving,Ported From,Household,"
        "Group,Billing Account",
        "Invoice No,Account No,Billing Month,Issue Date,Due Date,Rental,Overage,Discount,Amount",
        "Interaction ID,MSISDN,Call Time,Channel,Direction,Reason,Wait (s)",
        "Ticket No,Customer,Ticket Type,Service,Cause,Opened,Due,Closed,Result,Call Centre,Credit,Compensation Arm",
        "Respondent ID,Customer,Wave,Carrier,Region,Service,Weight,Interview Date,Overall Satisfaction,"
        "Recommendation,Suggestion",
    ],
}
FILES = {
    "chinese": ["CRM客户资料.csv", "计费账单.csv", "客服来电.csv", "网络工单.csv", "满意度调查.csv"],
    "english": ["crm.csv", "billing.csv", "call_centre.csv", "network_tickets.csv", "survey.csv"],
}
TABLES = ("customer", "bill", "contact", "ticket", "survey_response")


def delivery(language, *, key=lambda i: f"C{1000 + i}", form=str, heads=None):
    words = CHINESE if language == "chinese" else ENGLISH
    rows = [[people(i, words) for i in range(N)], bills(key), calls(words, form), tickets(words, key), answers(words)]
    old = ["gb18030", "gb18030", "utf-8", "utf-8", "utf-8"]
    return {f: table(*one) for f, *one in zip(FILES[language], heads or HEADS[language], rows, old, strict=True)}


def found(mapping):
    """Where each canonical column of the mapping comes from, by table and name."""
    return {
        f"{block.table.name}.{name}{'.' + item if item else ''}": one.column
        for block in mapping.files
        for name, value in block.columns.items()
        for item, one in (value.items() if isinstance(value, dict) else [("", value)])
    }


def wanted(language):
    for heads, told, name in zip(HEADS[language], (CRM, BILL, CONTACT, TICKET, SURVEY), TABLES, strict=True):
        for source, column in zip(heads.split(","), told.split(), strict=True):
            yield column if column.startswith("subscription.") else f"{name}.{column}", source


@pytest.mark.parametrize("language", ["chinese", "english"])
def test_every_column_of_five_departments_is_found(language, root):
    """60 columns each; who called is told by the number that the CRM has, for the calls know no customer number."""
    text, mapping, raw = drafted(root, delivery(language))
    right = dict(wanted(language)) | {"contact.customer_id": "linked_customer_id"}
    have = found(mapping)
    assert {name: have.get(name) for name in right} == right
    assert len(mapping.steps) == 1 and "is taken for" in "\n".join(doubts(text))
    hidden = {n: v for b in mapping.files for n, v in b.columns.items() if not isinstance(v, dict) and v.pseudonym}
    assert set(hidden) == {"name_key", "card_key", "phone_key", "address_key", "payer_key", "number_key"}
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.full_account().balanced and made.account()["quarantined"].sum() == 0
        assert set(made.tables()) == {*TABLES, "subscription"}
        who = made.query("SELECT customer_id FROM contact WHERE contact_id = 'K7'")["customer_id"].tolist()
        assert who == ["C1007"]


def test_billing_and_tickets_by_line_and_calls_with_country_code(root):
    """Lines and telephone numbers lead to the customer through the CRM; nothing is lost, nothing doubled."""
    heads = [h.replace("客户编码", "用户编码") if n in (1, 3) else h for n, h in enumerate(HEADS["chinese"])]
    files = delivery("chinese", key=lambda i: f"88{1000 + i}", form="+86 {}".format, heads=heads)
    _, mapping, raw = drafted(root, files)
    assert len(mapping.steps) == 3
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert made.account()["quarantined"].sum() == 0
        counted = made.query("SELECT customer_id, count(*) AS n FROM bill GROUP BY ALL ORDER BY ALL")
        assert counted["customer_id"].tolist() == sorted(f"C{1000 + i}" for i in range(N))
        assert counted["n"].unique().tolist() == [6]
        assert made.query("SELECT count(DISTINCT customer_id) AS n FROM contact")["n"].tolist() == [N]
        assert departments(made)["contact"] == "call centre", "not a step of ours, nor a file's name"


def test_a_key_that_several_customers_share_leads_to_none(root):
    """A number on two customers of the CRM: their calls are refused, not given to one of them."""
    files = delivery("english")
    twice = files["crm.csv"].replace(phone(7).encode(), phone(8).encode())
    _, _, raw = drafted(root, files | {"crm.csv": twice})
    text = (root / "data/mappings/t.toml").read_text("utf-8")
    (root / "data/mappings/t.toml").write_text("most_refused = 0.2\n" + text, "utf-8")
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        lost = made.refused("contact")
        assert len(lost) == 6 and {tuple(why) for why in lost["reasons"]} == {("customer_id is missing",)}


def test_a_correction_replaces_and_knows_the_codes_of_what_it_corrects(root):
    """A smaller file with keys of the larger one, whatever its name sorts before: later rows stay, and it is asked."""
    crm = delivery("english")["crm.csv"]
    head, *rows = crm.decode().splitlines()
    late = [next(row for row in rows if "Business" not in row).replace("North", "East").replace("South", "East")]
    text, made, raw = drafted(root, {"crm.csv": crm, "a_late.csv": "\n".join([head, *late, ""]).encode()})
    assert [f.path for f in made.files if f.table.name == "customer"] == ["crm.csv", "a_late.csv"]
    assert {f.keep for f in made.files if f.table.name == "customer"} == {"last"}
    assert "its rows replace those of crm.csv with the same key: a correction?" in "\n".join(doubts(text))
    kinds = [line for line in text.splitlines() if line.startswith("kind = ")]
    assert len(kinds) == 2 and len(set(kinds)) == 1
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as one:
        assert one.query("SELECT count(*) AS n FROM customer WHERE province = 'East'")["n"].tolist() == [1]
        assert one.query("SELECT count(*) AS n FROM customer")["n"].tolist() == [N]


def test_calls_by_numbers_in_full_width_find_their_customers(root):
    """The drafted join brings numbers to one form as the ingest does: +86, spaces and full-width digits."""
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    _, _, raw = drafted(root, delivery("english", form=lambda p: p.translate(wide) if int(p) % 2 else f"+86 {p}"))
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        assert not len(made.refused("contact"))
        assert made.query("SELECT count(DISTINCT customer_id) AS n FROM contact")["n"].tolist() == [N]


def test_customers_that_nobody_lists_are_asked_about(root):
    """A key of another form joins with nothing: the draft says so, and names the column it was held against."""
    files = delivery("english", key=lambda i: f"000{i + 7}")
    text, _, _ = drafted(root, {name: files[name] for name in ("crm.csv", "billing.csv")})
    assert "none of its values stands in Customer No of crm.csv" in "\n".join(doubts(text))


def test_a_chain_of_links_is_followed_to_the_customer(root):
    """Bills know a device, a file its account, another whose that is: each join is asked about."""
    files = {
        "客户.csv": "客户编号,客户类型,省份,入网日期\n" + "".join(f"K{i:03},个人,广东,2024-01-01\n" for i in range(30)),
        "账户.csv": "客户编号,账户编号\n" + "".join(f"K{i:03},A{i:05}\n" for i in range(30)),
        "设备.csv": "账户编号,设备号码\n" + "".join(f"A{i:05},D{i:06}\n" for i in range(30)),
        "账单.csv": "设备号码,账期,应收金额\n" + "".join(f"D{i:06},202606,{i}.5\n" for i in range(30)),
    }
    text, _, raw = drafted(root, {name: content.encode() for name, content in files.items()})
    assert text.count("which tells the customer. Right?") == 2
    with tried(root / "data/mappings/t.toml", raw=raw, root=root) as made:
        bills = made.query("SELECT customer_id, amount FROM bill ORDER BY 1").to_numpy().tolist()
    assert bills == [[f"K{i:03}", i + 0.5] for i in range(30)]
