"""Collection, fraud and compensation on their way in: rules by hand, the time line, the months, who is named."""

import pytest

from workbench.warehouse import customer_events, customer_view, open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.views import view

MAPPING = """
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
subscription_id = "s"
customer_id = "c"
service = { constant = "mobile" }
activated_on = { constant = "2025-01-01" }
ended_on = "to"
end_reason = "way"
origin_operator = "came"
stated_reason = "says"

[[file]]
path = "bill.csv"
table = "bill"
[file.columns]
bill_id = "b"
customer_id = "c"
month = { constant = "2026-01-01" }
issued_on = { constant = "2026-01-31" }
due_on = { constant = "2026-02-20" }
recurring = { constant = 50 }
usage_charge = { constant = 0 }
discount = { constant = 0 }
amount = { constant = 50 }

[[file]]
path = "collection.csv"
table = "collection_action"
[file.columns]
action_id = "id"
bill_id = "b"
customer_id = "c"
stage = "stage"
action = "does"
collector = "by"
arm = "arm"
acted_on = "on"
cost = "cost"
outcome = "came"

[[file]]
path = "fraud.csv"
table = "fraud_case"
[file.columns]
case_id = "id"
customer_id = "c"
subscription_id = "s"
opened_on = "from"
decided_on = "to"
verdict = "found"
kind = "kind"
loss = "loss"
source = "by"

[[file]]
path = "ticket.csv"
table = "ticket"
[file.columns]
ticket_id = "id"
customer_id = "c"
kind = { constant = "complaint" }
opened_at = { constant = "2026-02-01 10:00:00" }
closed_at = { constant = "2026-02-02 10:00:00" }
outcome = { constant = "solved" }
compensation = "yuan"
compensation_arm = "lot"
"""
FILES = {
    "customer": "c\na\nb\n",
    "line": "s,c,to,way,came,says\ns1,a,,,Ostfon,\ns2,b,2026-05-31,port_out,,price\ns3,b,,,,network\n",
    "bill": "b,c\nb1,a\nb2,b\n",
    # as it should be: a reminder, then a call held back; before the bill is overdue; of another; held back yet paid for
    "collection": "id,b,c,stage,does,by,arm,on,cost,came\n1,b1,a,1,remind,,treated,2026-02-21,0.1,\n"
    "2,b1,a,2,call,,held_out,2026-03-03,0,\n3,b2,b,1,remind,,treated,2026-02-20,0.1,\n"
    "4,b2,a,1,remind,,treated,2026-02-21,0.1,\n5,b2,b,2,call,Elm,held_out,2026-03-03,4,reached\n",
    # fraud as it should be; decided early; a verdict without a day; honest with a loss; before its line,
    # ended without a verdict; of another
    "fraud": "id,c,s,from,to,found,kind,loss,by\n1,a,s1,2026-03-01,2026-03-09,fraud,sim_box,900,rule\n"
    "2,a,s1,2026-03-01,2026-02-09,honest,,0,audit\n3,a,s1,2026-03-01,,honest,,,audit\n"
    "4,a,s1,2026-03-01,2026-03-09,honest,,5,tip\n5,b,s2,2024-03-01,2024-03-09,,,,rule\n6,b,s1,2026-03-01,,,,,rule\n",
    "ticket": "id,c,yuan,lot\n1,a,20,offered\n2,a,0,not_offered\n3,b,5,not_offered\n",
}


def shop(root, *without):
    """Ingest the files, but for some tables; give the account and the warehouse."""
    for part in ("data/raw/shop", "data/mappings"):
        (root / part).mkdir(parents=True, exist_ok=True)
    head, *blocks = MAPPING.split("[[file]]")
    kept = [block for block in blocks if not any(f'table = "{name}"' in block for name in without)]
    (root / "data/mappings/shop.toml").write_text("[[file]]".join([head, *kept]), encoding="utf-8")
    for name, text in FILES.items():
        if any(f'path = "{name}.csv"' in block for block in kept):
            (root / f"data/raw/shop/{name}.csv").write_text(text, encoding="utf-8")
    return ingest("shop", root=root), open_warehouse("shop", root=root)


def test_each_rule_warns_of_the_row_that_breaks_it(tmp_path):
    """By hand: what each of the rows above breaks; all rows stand."""
    account, warehouse = shop(tmp_path)
    assert {row.rule: (row.rows, row.of) for row in account.warnings.itertuples()} == {
        "subscription.reason_while_running": (1, 3),
        "collection_action.before_due": (1, 5),
        "collection_action.other_customer": (1, 5),
        "collection_action.held_out_acted_on": (1, 5),
        "fraud_case.decided_before_opening": (1, 6),
        "fraud_case.verdict_without_day": (2, 6),
        "fraud_case.honest_with_loss": (1, 6),
        "fraud_case.before_line": (1, 6),
        "fraud_case.other_customer": (1, 6),
        "ticket.compensation_not_offered": (1, 3),
    }
    assert account.frame["quarantined"].sum() == 0
    assert warehouse.table("subscription")["origin_operator"].dropna().tolist() == ["Ostfon"]


def test_actions_and_cases_stand_on_the_time_line_and_in_the_months(tmp_path):
    """What happened to one customer, with losses and credits; rows by month of both tables."""
    _, warehouse = shop(tmp_path)
    found = customer_events(warehouse, "a", "2026-07-01").set_index("what")
    told = found[["subject", "detail", "reference", "amount"]]
    assert sorted(told.loc["reminded of an unpaid bill", "reference"]) == ["b1", "b2"]
    assert told.loc["collection held back by chance", "reference"] == "b1"
    assert told.loc["found to be fraud"].fillna("").to_list() == ["fraud_case", "sim_box", "1", 900]
    assert (found.index == "looked at for fraud").sum() == 4 and (found.index == "found honest").sum() == 2
    ended = customer_events(warehouse, "b", "2026-07-01")["what"]  # a day of decision without a verdict
    assert "found honest" not in ended.to_list() and (ended == "looked at for fraud").sum() == 2
    assert found.loc["reminded of an unpaid bill", "amount"].isna().all()  # our cost is no amount of theirs
    credited = found.loc["complaint closed", "amount"].dropna()
    assert credited.to_list() == [20]
    months = view(warehouse, "table_month", as_of="2026-07-01").set_index(["fact", "month"])["records"]
    assert months["collection_action"].to_list() == [3, 2] and months["fraud_case"].sum() == 6


@pytest.mark.parametrize("lacking", [("collection_action", "fraud_case"), ("customer",)])
def test_a_source_without_the_tables_keeps_the_rest(tmp_path, lacking):
    """Without both tables nothing refuses; without customers whoever an action or a case names is one."""
    account, warehouse = shop(tmp_path, *lacking)
    assert account.balanced
    assert set(customer_view(warehouse, "2026-07-01")["customer_id"]) == {"a", "b"}
