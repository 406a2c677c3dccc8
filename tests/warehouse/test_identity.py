"""The same customer in two systems: united by rules, listed for review, decided by people, and undone."""

import csv
import json
import os

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from workbench.cli import workbench
from workbench.errors import WorkbenchError
from workbench.reports.privacy.forget import forget
from workbench.warehouse import customer_facts, customer_view, open_warehouse
from workbench.warehouse.ingest.decided import identity_folder

MAPPING = """
as_of = 2026-07-01
most_refused = 1
[[file]]
path = "crm/*.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
name_key = { from = "name", pseudonym = true }
card_key = { from = "card", pseudonym = true }
phone_key = { from = "phone", pseudonym = true }
address_key = { from = "addr", pseudonym = true }
birth_year = "born"
province = "prov"
joined_on = "day"
[[file]]
path = "billing/*.csv"
table = "customer"
[file.columns]
customer_id = { template = "B-{acct}" }
kind = { constant = "person" }
name_key = { from = "payer", pseudonym = true }
card_key = { from = "card", pseudonym = true }
phone_key = { from = "phone", pseudonym = true }
birth_year = "born"
province = "prov"
city = "city"
joined_on = "day"
[[file]]
path = "bills/*.csv"
table = "bill"
[file.columns]
bill_id = "no"
customer_id = { template = "B-{acct}" }
month = "m"
issued_on = "m"
due_on = "m"
recurring = "a"
usage_charge = { constant = 0 }
discount = { constant = 0 }
amount = "a"
[[file]]
path = "tickets/*.csv"
table = "ticket"
[file.columns]
ticket_id = "no"
customer_id = "id"
kind = { constant = "complaint" }
opened_at = "t"
[[file]]
path = "cdr/*.csv"
table = "detail_record"
[file.columns]
customer_id = { template = "B-{acct}" }
subscription_id = "s"
started_at = "t"
kind = { constant = "call" }
zone = { constant = "local" }
charge = "p"
[[identity]]
name = "card"
same = ["card_key"]
action = "merge"
[[identity]]
name = "name and phone"
same = ["name_key", "phone_key"]
action = "merge"
[[identity]]
name = "most of it"
weights = { name_key = 3, phone_key = 3, birth_year = 2, province = 1 }
enough = 5
[[identity]]
name = "address"
same = ["address_key"]
action = "household"
"""
CRM = """id,name,card,phone,addr,born,prov,day
1,李雷,11010519491231002X,13800000001,京1号,1949,京,2020-01-01
2,韩梅,,13800000002,京2号,1980,京,2021-01-01
3,王五,310101198001010019,13800000003,沪3号,1980,沪,2021-01-01
4,赵六,,13800000004,沪3号,1975,沪,2021-01-01
5,钱七,,,,1960,沪,2021-01-01
"""
BILLING = """acct,payer,card,phone,born,prov,city,day
10,李雷,11010519491231002x,,1949,京,北京,2019-05-05
20,韩梅,,+86 138-0000-0002,1980,京,北京,2022-01-01
30,王小五,310101198001010019,,1980,沪,上海,2021-01-01
40,赵柳,,13800000004,1975,沪,上海,2021-01-01
50,孙八,,,1990,沪,上海,2021-01-01
"""
FILES = {
    "crm/1.csv": CRM,
    "billing/1.csv": BILLING,
    "bills/1.csv": "no,acct,m,a\nN1,10,2026-05-01,50\nN2,20,2026-05-01,60\nN3,50,2026-05-01,70\n",
    "tickets/1.csv": "no,id,t\nT1,1,2026-05-03 10:00:00\nT2,5,2026-05-03 10:00:00\n",
    "cdr/5.csv": "acct,s,t,p\n10,S,2026-05-01 10:00:00,1\n50,S,2026-05-02 10:00:00,1\n",
    "cdr/6.csv": "acct,s,t,p\n50,S,2026-06-01 10:00:00,1\n",
}


@pytest.fixture
def shop(operators):
    """A project with two systems."""
    return operators("shop", MAPPING)


def read(shop, sql):
    return open_warehouse("shop", root=shop.root).query(sql)


def test_by_hand(shop):
    """A card and a name with a number unite; a card under two names, and agreement in weights, wait for somebody."""
    shop.deliver(FILES)
    one = read(shop, "SELECT customer_id, united_into, rule, system, file FROM customer_identity ORDER BY 1")
    assert one.to_numpy().tolist() == [
        ["B-10", "1", "card", "billing/*.csv", "billing/1.csv"],
        ["B-20", "2", "name and phone", "billing/*.csv", "billing/1.csv"],
    ]
    asked = read(shop, "SELECT customer_id, rule, why, customers FROM identity_review ORDER BY ALL")
    differ, rule = "they differ in what one customer has once", "the rule asks for a decision"
    assert asked.to_numpy().tolist() == [
        ["3", "card", differ, 2],
        ["4", "most of it", rule, 2],
        ["B-30", "card", differ, 2],
        ["B-40", "most of it", rule, 2],
    ]
    who = read(shop, "SELECT customer_id, city, birth_year, CAST(joined_on AS VARCHAR) AS d FROM customer ORDER BY 1")
    assert who["customer_id"].tolist() == ["1", "2", "3", "4", "5", "B-30", "B-40", "B-50"]
    assert who.iloc[0].tolist() == ["1", "北京", 1949, "2019-05-05"]  # the city is billing's, the first day the earlier
    assert read(shop, "SELECT customer_id FROM bill ORDER BY bill_id")["customer_id"].tolist() == ["1", "2", "B-50"]
    assert read(shop, "SELECT customer_id FROM ticket ORDER BY 1")["customer_id"].tolist() == ["1", "5"]
    for table, day in (("detail_record", "started_at"), ("customer_day", "day_on")):
        whose = read(shop, f"SELECT customer_id FROM {table} ORDER BY {day}")["customer_id"]
        assert whose.tolist() == ["1", "B-50", "B-50"], table
    homes = read(shop, "SELECT household_id, customer_id FROM customer WHERE household_id IS NOT NULL ORDER BY 2")
    assert homes["customer_id"].tolist() == ["3", "4"] and len(set(homes["household_id"])) == 1


def test_the_account_says_who_was_united_and_who_waits(shop):
    """Rows of a united customer are set aside, and no loss; how many were, and how many wait, is told."""
    shop.deliver(FILES)
    account = open_warehouse("shop", root=shop.root).full_account()
    assert account.balanced and account.frame["set_aside"].tolist() == [0, 2, 0, 0, 0, 0] and not account.excess()
    warned = account.warnings.set_index("rule")[["rows", "of"]]
    assert warned.loc["customer.united"].tolist() == [2, 10] and warned.loc["customer.may_be_one"].tolist() == [4, 10]
    assert "customer: customers may be one with another and await review: 4 of 10 rows" in str(account)
    assert len(account.refusals(["customer", "bill"])) == 0


LATER = {
    "crm/2.csv": CRM.splitlines()[0] + "\n6,周八,,13800000006,沪3号,1990,沪,2026-06-01\n7,孙八,,,,1990,沪,2026-06-02\n",
    "billing/2.csv": BILLING.splitlines()[0] + "\n60,周八,,13800000006,1990,沪,上海,2026-06-01\n"
    "7,孙,,,,沪,,2026-06-03\n",
    "bills/2.csv": "no,acct,m,a\nN4,10,2026-06-01,50\nN5,60,2026-06-01,60\n",
    "tickets/2.csv": "no,id,t\nT3,2,2026-06-03 10:00:00\nT4,6,2026-06-03 10:00:00\n",
    "cdr/7.csv": "acct,s,t,p\n10,S,2026-05-31 10:00:00,1\n60,S,2026-06-02 10:00:00,1\n",
}


def test_any_order_of_months_and_rows_gives_the_same(operators):
    """All at once, the later month first, and rows turned round: cell by cell."""
    once = operators("once", MAPPING)
    once.deliver(FILES | LATER)
    assert once.deliver({}) == []
    later = operators("later", MAPPING)
    for files in (LATER, FILES):
        later.deliver(files)
    assert later.tables() == once.tables()
    turned = operators("turned", MAPPING)
    lines = {name: text.splitlines() for name, text in (FILES | LATER).items()}
    turned.deliver({name: "\n".join([rows[0], *reversed(rows[1:]), ""]) for name, rows in lines.items()})
    names = ("customer", "bill", "ticket", "detail_record", "customer_identity", "identity_review")
    assert {n: turned.tables()[n] for n in names} == {n: once.tables()[n] for n in names}


def test_only_what_is_new_is_read_and_made(shop):
    """A month of calls costs that month, though customers are united; only months of theirs are made anew."""
    shop.deliver(FILES)
    before = open_warehouse("shop", root=shop.root).place
    more = {"cdr/7.csv": "acct,s,t,p\n10,S,2026-06-30 10:00:00,1\n"}
    assert shop.deliver(more) == ["cdr/7.csv"]
    place = open_warehouse("shop", root=shop.root).place
    assert place != before
    same = [os.path.samefile(before / "detail_record" / m, place / "detail_record" / m) for m in MONTHS]
    assert same == [True, False]
    rows = read(shop, "SELECT customer_id FROM detail_record ORDER BY started_at")
    assert rows["customer_id"].tolist() == ["1", "B-50", "B-50", "1"]


MONTHS = ("2026-05.parquet", "2026-06.parquet")


def command(shop, *arguments):
    words, where = ["data", "identity", "shop", *arguments], {"WORKBENCH_HOME": str(shop.root)}
    done = CliRunner().invoke(workbench, words, standalone_mode=False, env=where)
    if done.exception:
        raise done.exception
    return done.return_value, done.output


def test_somebody_decides_and_takes_it_back(shop, tmp_path):
    """Confirmed cases are one, rejected ones leave the list, and both come back when the decision is taken back."""
    shop.deliver(FILES)
    status, said = command(shop)
    assert status == 0 and "2 cases await a decision; 4 customers as delivered were united and are 2" in said
    case = dict(read(shop, "SELECT customer_id, case_id FROM identity_review").to_numpy())
    assert f"{case['3']}: 3, B-30 (card): they differ in what one customer has once" in said
    before = shop.tables()
    assert command(shop, "--confirm", case["3"], "--reject", case["4"])[0] == 0
    one = read(shop, "SELECT customer_id, united_into, rule FROM customer_identity WHERE united_into = '3'")
    assert one.to_numpy().tolist() == [["B-30", "3", "decision"]]
    assert "0 cases await a decision; 6 customers" in command(shop)[1]
    log = (shop.root / "data" / "private" / "log.csv").read_text("utf-8")
    assert log.count(",identity,shop,") == 2 and "B-30" not in log
    status, said = command(shop, "--united")
    assert f"{case['3']}: 3, B-30 are one customer (decision)" in said
    assert command(shop, "--undo", case["3"], "--undo", case["4"])[0] == 0
    assert shop.tables() == before
    ones = {row["customer_id"]: row["case_id"] for row in exported(shop, tmp_path / "ones.csv", "--united")}
    assert command(shop, "--reject", ones["B-20"])[0] == 0
    who = read(
        shop, "SELECT customer_id FROM customer_identity UNION SELECT customer_id FROM identity_review ORDER BY 1"
    )
    assert who["customer_id"].tolist() == ["3", "4", "B-10", "B-30", "B-40"]
    with pytest.raises(WorkbenchError, match="no case_id 'x'"):
        command(shop, "--confirm", "x")


def exported(shop, path, *how):
    assert command(shop, "--export", str(path), *how)[0] == 0
    assert path.stat().st_mode & 0o077 == 0
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def decided(shop, tmp_path, rows, name="by-hand.csv"):
    """Write decisions of a case, customer and decision each, and take them back."""
    path = tmp_path / name
    path.write_text("\n".join(["case_id,decision,customer_id", *rows, ""]), encoding="utf-8")
    return command(shop, "--take-back", str(path))


def test_an_exported_list_comes_back_decided(shop, tmp_path):
    """Who is left blank stays on the list."""
    shop.deliver(FILES)
    rows = exported(shop, tmp_path / "list.csv")
    assert {row["customer_id"] for row in rows} == {"3", "4", "B-30", "B-40"} and len(rows[0]["name_key"]) == 20
    lines = [
        f"{r['case_id']},{'same' if r['customer_id'][-2:] in ('4', '40') else ''},{r['customer_id']}" for r in rows
    ]
    assert decided(shop, tmp_path, lines)[0] == 0
    assert read(shop, "SELECT united_into FROM customer_identity WHERE customer_id = 'B-40'").iloc[0, 0] == "4"
    assert "1 cases await a decision" in command(shop)[1]
    kept = identity_folder("shop", shop.root) / "by-hand.csv"
    assert kept.stat().st_mode & 0o077 == 0 and kept.parent.stat().st_mode & 0o077 == 0


def test_decisions_that_contradict_each_other_are_refused(shop, tmp_path):
    """One id for two, a circle, another word, a column that lacks: one sentence, and nothing is changed."""
    shop.deliver(FILES)
    before = shop.tables()
    for rows, said in {
        ("a,same,3", "a,same,B-30", "b,same,B-30", "b,same,4"): "that one customer is two of crm/",
        ("a,same,3", "a,same,B-30", "b,different,3", "b,,B-40", "b,different,B-30"): "in a circle",
        ("a,same,3", "a,yes,B-30"): "no decision 'yes'",
    }.items():
        with pytest.raises(WorkbenchError, match=said) as refused:
            decided(shop, tmp_path, rows)
        assert "by-hand.csv" in str(refused.value)
        assert not (identity_folder("shop", shop.root) / "by-hand.csv").exists() and shop.tables() == before
    assert decided(shop, tmp_path, ["a,same,3", "a,same,4", "a,same,B-30", "a,same,nobody"])[0] == 0
    assert read(shop, "SELECT count(*) FROM customer_identity WHERE united_into = '3'").iloc[0, 0] == 2
    notes = open_warehouse("shop", root=shop.root).notes
    assert "customers whom decisions on identity name, but nobody delivered: 1" in notes


def test_who_is_forgotten_is_so_under_every_id(shop, tmp_path):
    """By any of their ids, out of tables, audit, list and decisions, and out of the households of others."""
    mapping = MAPPING.replace('birth_year = "born"', 'birth_year = "born"\nhousehold_id = "head"', 1)
    (shop.root / "data" / "mappings" / "shop.toml").write_text(mapping, encoding="utf-8")
    crm = "\n".join(f"{line},{head}" for line, head in zip(CRM.splitlines(), ["head", 1, 1, 4, 4, ""], strict=True))
    shop.deliver(FILES | {"crm/1.csv": crm + "\n"})
    decided(shop, tmp_path, ["a,different,4", "a,different,B-40", "b,same,1", "b,same,B-10"])
    gone = forget("shop", "B-10", shop.root)
    assert gone.rows == 4 and gone.repaired == ("data/private/identity/shop/by-hand.csv",)
    warehouse = open_warehouse("shop", root=shop.root)
    assert read(shop, "SELECT household_id FROM customer WHERE customer_id = '2'").iloc[0, 0] is None
    for table in ("customer", "bill", "ticket", "detail_record", "customer_identity", "identity_review"):
        assert not set(read(shop, f"SELECT DISTINCT customer_id FROM {table}")["customer_id"]) & {"1", "B-10"}, table
    assert b"B-10" not in (identity_folder("shop", shop.root) / "by-hand.csv").read_bytes()
    assert "B-10" not in json.dumps(warehouse.refused()["record"].tolist())


SMALL = """
as_of = 2026-07-01
[[file]]
path = "{system}.csv"
table = "customer"
[file.columns]
customer_id = {{ template = "{system}-{{id}}" }}
kind = {{ constant = "person" }}
name_key = {{ from = "name", pseudonym = true }}
phone_key = {{ from = "phone", pseudonym = true }}
card_key = {{ from = "card", pseudonym = true }}
address_key = {{ from = "addr", pseudonym = true }}
group_id = "group"
birth_year = "born"
city = "city"
province = {{ constant = "京" }}
joined_on = {{ constant = 2020-01-01 }}
"""
HEAD = "id,name,phone,card,addr,group,born,city\n"


def two(operators, rules, crm, billing, name="shop"):
    """Two systems with the same columns."""
    bill = SMALL.format(system="bill").replace("as_of = 2026-07-01\n", "")
    made = operators(name, SMALL.format(system="crm") + bill + rules)
    made.deliver({"crm.csv": HEAD + crm, "bill.csv": HEAD + billing})
    return made


def rule(name="r", action="merge", **keys):
    return f'[[identity]]\nname = "{name}"\naction = "{action}"\n' + "".join(f"{k} = {v}\n" for k, v in keys.items())


def test_the_number_of_the_shop_unites_nobody(operators):
    """A value that thousands share is listed with how many, and chains over it are not followed."""
    crm = "".join(f"{i},n{i},13800000000,,,,1980,x\n" for i in range(2000)) + "a,甲,13900000001,,,,1980,x\n"
    billing = "".join(f"{i},n{i},13800000000,,,,1980,x\n" for i in range(1000)) + "b,甲,13900000001,,,,1980,x\n"
    shop = two(operators, rule(same='["phone_key"]'), crm, billing)
    assert read(shop, "SELECT customer_id, united_into FROM customer_identity").to_numpy().tolist() == [
        ["bill-b", "crm-a"]
    ]
    asked = read(shop, "SELECT customers, customer_id, why, length(phone_key) AS shown FROM identity_review")
    assert asked.to_numpy().tolist() == [[3000, None, "more customers share the value than the rule allows", 20]]
    warned = open_warehouse("shop", root=shop.root).full_account().warnings.set_index("rule")["rows"]
    assert warned["customer.shared_key"] == 3000 and warned["customer.united"] == 1
    case = read(shop, "SELECT case_id FROM identity_review").iloc[0, 0]
    assert "3,000 customers (r): more customers share" in command(shop)[1]
    with pytest.raises(WorkbenchError, match="than can be decided one by one"):
        command(shop, "--confirm", case)


def test_what_is_not_sure_is_united_by_none(operators):
    """One for two, a chain that grows too long, and a customer with two cards are listed with the reason."""
    crm = "1,甲,1,,,,,x\n2,甲,1,,,,,x\n3,乙,3,c3,,,,x\n3,乙,3,c33,,,,x\n4,丙,4,,,,,x\n5,丙,5,,,,,x\n"
    billing = "1,甲,1,,,,,x\n3,乙,9,c3,,,,x\n4,丙,4,,,,,x\n"
    chain = rule("chain", weights="{ name_key = 1, phone_key = 1 }", enough=1, most=2, duplicates="true")
    rules = rule("phone", same='["phone_key"]') + rule("card", same='["card_key"]')
    shop = two(operators, rules, crm, billing)
    asked = read(shop, "SELECT DISTINCT rule, why, customers FROM identity_review ORDER BY ALL").to_numpy().tolist()
    assert asked == [
        ["card", "one of them has had two cards", 2],
        ["phone", "it would be two customers of one system", 3],
    ]
    assert read(shop, "SELECT united_into FROM customer_identity")["united_into"].tolist() == ["crm-4"]
    shop = two(operators, chain, "1,甲,1,,,,,x\n2,甲,2,,,,,x\n3,乙,2,,,,,x\n", "9,己,,,,,,\n", "chain")
    asked = read(shop, "SELECT customer_id, why FROM identity_review ORDER BY ALL").to_numpy().tolist()
    why = "matches in a chain would join more customers than the rule allows"
    assert asked == [[f"crm-{n}", why] for n in (1, 2, 3)]


def test_rules_that_find_nobody_change_nothing(operators):
    """Neither a table nor the account, nor is anything asked."""
    without = two(operators, "", "1,甲,1,c1,a,,1980,x\n", "1,乙,2,c2,b,,1990,x\n", "without").tables()
    with pytest.raises(WorkbenchError, match="Say 'warn' or 'off'"):
        two(operators, '[rules]\ncustomer.united = "stop"\n', "1,甲,1,,,,,x\n", "1,乙,2,,,,,x\n", "stop")
    every = [rule(f"{a}", a, same='["phone_key"]') for a in ("merge", "review", "household", "group")]
    shop = two(operators, "".join(every), "1,甲,1,c1,a,,1980,x\n", "1,乙,2,c2,b,,1990,x\n")
    assert {n: d for n, d in shop.tables().items() if n in without} == without
    assert "0 cases await a decision; 0 customers as delivered were united and are 0" in command(shop)[1]
    assert "0 cases" in command(shop, "--united", "--export", str(shop.root / "x.csv"))[1]


def test_groups_and_those_who_pay_together(operators):
    """Mapped groups stay, follow whom they name, and are warned of in a circle; a rule fills what lacks."""
    crm = "1,甲,1,c1,,crm-2,,x\n2,乙,2,c2,,crm-1,,x\n3,丙,3,c3,a,bill-1,,x\n4,丁,4,,a,,,x\n5,戊,5,,a,,,x\n"
    rules = rule("card", same='["card_key"]') + rule("address", "group", same='["address_key"]')
    shop = two(operators, rules, crm, "1,甲,,c1,,,,x\n", "shop")
    groups = dict(read(shop, "SELECT customer_id, group_id FROM customer").to_numpy())
    assert [groups[f"crm-{n}"] for n in (1, 2, 3)] == ["crm-2", "crm-1", "crm-1"]
    assert groups["crm-4"] == groups["crm-5"] and len(groups["crm-4"]) == 20
    warehouse = open_warehouse("shop", root=shop.root)
    assert warehouse.full_account().warnings.set_index("rule")["rows"]["customer.group_in_a_circle"] == 3
    view = customer_view(warehouse, "2026-06-01").set_index("customer_id")
    assert view["group_members"].to_dict() == {"crm-1": 1, "crm-2": 2, "crm-3": 2, "crm-4": 2, "crm-5": 2}
    facts = customer_facts(warehouse, "crm-1", "2026-06-01").set_index("column")["value"]
    assert facts["group_id"] == "crm-2" and facts["group_others"] == "crm-2, crm-3" and facts["united_ids"] == "bill-1"
    with pytest.raises(WorkbenchError, match="customer 'bill-1' is one with 'crm-1' now"):
        customer_facts(warehouse, "bill-1", "2026-06-01")


def test_others_of_a_group_are_those_who_had_joined(operators):
    """The list on a customer's page and the count beside it know the same of a day."""
    later = SMALL.format(system="bill").replace("as_of = 2026-07-01\n", "").replace("2020-01-01", "2026-06-15")
    made = operators("later", SMALL.format(system="crm") + later)
    made.deliver({"crm.csv": HEAD + "1,甲,1,c1,,G,,x\n2,乙,2,c2,,G,,x\n", "bill.csv": HEAD + "1,丙,3,c3,,G,,x\n"})
    warehouse = open_warehouse("shop", root=made.root)
    for day, others in (("2026-06-15", "crm-2"), ("2026-06-16", "bill-1, crm-2")):
        facts = customer_facts(warehouse, "crm-1", day).set_index("column")["value"]
        assert facts["group_others"] == others and facts["group_members"] == len(others.split(", ")) + 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('same = ["card_kye"]', "Did you mean 'card_key'"),
        ('same = ["payer_key"]', r"no \[\[file\]\] fills customer.payer_key"),
        ('same = ["birth_year", "city"]', "needs a column that ends in _key"),
        ("weights = { name_key = 2, city = 3 }\nenough = 3", "needs a column that ends in _key"),
        ("weights = { name_key = 2 }\nenough = 3", "that all weights together reach"),
        ("weights = { name_key = true }\nenough = 1", "numbers above 0"),
        ("weights = [1]\nenough = 1", "numbers above 0"),
        ('same = ["card_key"]\nweights = { name_key = 2 }', "either same"),
        ('same = ["card_key"]\nmost = 1', "from 2 to 50"),
        ('same = ["card_key"]\nmay_differ = ["city"]', "no may_differ 'city'"),
        ('same = ["card_key"]\nsme = 1', "unknown key 'sme'"),
        ('same = ["card_key"]\n[[identity]]\nname = "r"\nsame = ["card_key"]', "the name 'r' is taken"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(operators, keys, said):
    """One sentence: what is wrong, where, and what to do."""
    with pytest.raises(WorkbenchError, match=said):
        two(operators, f'[[identity]]\nname = "r"\naction = "merge"\n{keys}\n', "1,甲,1,,,,,x\n", "1,甲,1,,,,,x\n")


def test_rules_between_tables_see_the_united_customer(operators):
    """A ticket of billing's customer after the CRM's is no fault, whether the rule refuses or warns, read or kept."""
    more = """
[[file]]
path = "lines.csv"
table = "subscription"
[file.columns]
subscription_id = "s"
customer_id = { template = "crm-{id}" }
service = { constant = "mobile" }
activated_on = "d"
[[file]]
path = "use.csv"
table = "usage_month"
[file.columns]
customer_id = { template = "bill-{id}" }
subscription_id = "s"
month = "m"
[[file]]
path = "members.csv"
table = "campaign_member"
[file.columns]
campaign_id = { constant = "spring" }
customer_id = "id"
arm = "arm"
outcomes = { bought = "y" }
[[rows]]
table = "campaign"
campaign_id = "spring"
name = "Spring"
assignment = "randomised"
starts_on = 2026-04-01
ends_on = 2026-06-30
[rules]
usage_month.other_customer = "refuse"
"""
    bill = SMALL.format(system="bill").replace("as_of = 2026-07-01\n", "")
    mapping = SMALL.format(system="crm") + bill + more + rule("card", same='["card_key"]')
    shop = operators("shop", mapping.replace("as_of = 2026-07-01\n", "as_of = 2026-07-01\nmost_refused = 1\n", 1))
    crm = HEAD + "1,甲,1,c1,,,,x\n2,乙,2,c2,,,,x\n"
    files = {
        "crm.csv": crm,
        "bill.csv": HEAD + "7,甲,,c1,,,,x\n8,乙,,,,,,x\n",
        "lines.csv": "s,id,d\nL1,1,2024-01-01\nL2,2,2024-01-01\n",
        "use.csv": "id,s,m\n7,L1,2026-01-01\n8,L2,2026-01-01\n",
        "members.csv": "id,arm,y\ncrm-1,offer,1\nbill-7,control,0\nbill-8,offer,0\n",
    }
    shop.deliver(files)
    assert read(shop, "FROM usage_month")["customer_id"].tolist() == ["crm-1"]
    members = read(shop, "SELECT customer_id, arm FROM campaign_member ORDER BY ALL").to_numpy().tolist()
    assert members == [["bill-8", "offer"], ["crm-1", "offer"]]
    assert open_warehouse("shop", root=shop.root).refused("campaign_member")["line"].tolist() == [3]
    # Who is one only now has the refused month from the part that was kept, and who is so no more loses it.
    assert shop.deliver({"bill.csv": HEAD + "7,甲,,c1,,,,x\n8,乙,,c2,,,,x\n"}) == ["bill.csv"]
    assert read(shop, "FROM usage_month ORDER BY 1")["customer_id"].tolist() == ["crm-1", "crm-2"]
    shop.deliver({"bill.csv": HEAD + "7,甲,,,,,,x\n8,乙,,c2,,,,x\n"})
    assert read(shop, "FROM usage_month")["customer_id"].tolist() == ["crm-2"]
    whole = operators("whole", (shop.root / "data" / "mappings" / "shop.toml").read_text("utf-8"))
    whole.deliver(files | {"bill.csv": HEAD + "7,甲,,,,,,x\n8,乙,,c2,,,,x\n"})
    assert whole.tables() == shop.tables()


def test_what_is_found_of_two_systems_with_errors(operators):
    """Precision and recall are those that the errors leave: of what is united, and of that with the list together."""
    rng, n = np.random.default_rng(7), 3000
    people = pd.DataFrame({"name": rng.integers(0, 400, n), "born": rng.integers(1940, 2005, n)})
    people = people.assign(phone=np.arange(n) + 13_800_000_000, card=[f"K{i:06}" for i in range(n)])
    billing, wrong = people.copy(), people.sample(n, random_state=1).reset_index(drop=True)
    wrong = wrong.assign(phone=wrong["phone"] + n, card=[f"W{i}" for i in range(n)])
    for column, share in {"name": 0.05, "born": 0.01, "phone": 0.1, "card": 0.03}.items():
        billing[column] = billing[column].where(rng.random(n) >= share, wrong[column])
    billing["card"] = billing["card"].where(rng.random(n) < 0.7, "")
    there = billing[rng.random(n) < 0.7]
    texts = ["".join(f"{i},n{a},{c},{d},,,{b},x\n" for i, a, b, c, d in t.itertuples()) for t in (people, there)]
    score = rule("score", "review", weights="{ name_key = 3, phone_key = 3, birth_year = 2 }", enough=5)
    merge = rule("card", same='["card_key"]') + rule("number", same='["name_key", "phone_key"]')
    shop = two(operators, merge + score, *texts)
    one = read(shop, "SELECT customer_id[6:] AS a, united_into[5:] AS b FROM customer_identity")
    asked = read(
        shop,
        "SELECT a.customer_id[6:] AS a, b.customer_id[5:] AS b FROM identity_review a JOIN identity_review b "
        "USING (case_id) WHERE a.customer_id LIKE 'bill%' AND b.customer_id LIKE 'crm%'",
    )
    right, of = one["a"] == one["b"], len(there)
    known = set(one["a"][right]) | set(asked["a"][asked["a"] == asked["b"]])
    name, born, phone, card, typo, lacks = 0.95, 0.99, 0.9, 0.7 * 0.97, 0.7 * 0.03, 0.3
    united = name * born * (card + lacks * phone)
    lost = (
        name * born * typo * (1 - phone)
        + (1 - name) * born * (lacks * (1 - phone) + typo)
        + name * (1 - born) * (1 - card) * (1 - phone)
        + (1 - name) * (1 - born) * (1 - card)
    )
    assert right.mean() > 0.999
    for found, share in ((right.sum(), united), (len(known), 1 - lost)):
        assert abs(found / of - share) < 3 * (share * (1 - share) / of) ** 0.5, (found / of, share)
