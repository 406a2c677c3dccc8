"""The customer view and a customer's events: the same as what pandas takes from the raw files, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import workbench as wb
from workbench.errors import CannotAnswer, WorkbenchError
from workbench.warehouse import (
    addressed,
    customer_events,
    customer_facts,
    customer_view,
    open_warehouse,
    require_customer,
    tables_behind,
)

AS_OF = pd.Timestamp("2026-07-01")


@pytest.fixture(scope="module")
def warehouse(operator):
    return open_warehouse("sample", root=operator)


@pytest.fixture(scope="module")
def base(warehouse):
    return customer_view(warehouse, "2026-07-01", items=["NPS"]).set_index("customer_id")


@pytest.fixture(scope="module")
def raw(operator):
    """Raw files as pandas reads them, every column text; lines with too few fields have no last column."""
    how = {"账单": (";", "utf-8-sig"), "接触记录": (",", "utf-8"), "用户资料": ("|", "gb18030")}

    def read(name):
        (file,) = (operator / "data/raw/sample").glob(f"*/{name}.*")
        sep, encoding = how.get(name, (",", "gb18030"))
        return pd.read_csv(file, sep=sep, encoding=encoding, dtype=str, keep_default_na=False, na_values=[""])

    return read


def _good(rows, key, *, days=(), numbers=(), known=None):
    """The first row of each key among those with days, numbers and a customer."""
    for column in days:
        form = "%Y%m%d" if column == "缴费日期" else "%Y-%m-%d %H:%M:%S" if column == "接触时间" else "%Y-%m-%d"
        rows[column] = pd.to_datetime(rows[column], errors="coerce", format=form)
    for column in numbers:
        rows[column] = pd.to_numeric(rows[column], errors="coerce")
    rows = rows.dropna(subset=[key, *days, *numbers])
    rows = rows[rows["客户编号"].isin(known)] if known is not None else rows
    return rows.drop_duplicates(key)


def test_one_row_a_customer_with_what_the_crm_knows(base, raw):
    """Every customer of the file once; who is active has a line that runs, counted from the file of lines."""
    people = raw("客户资料").drop_duplicates("客户编号").set_index("客户编号")
    assert base.index.is_unique and set(base.index) == set(people.index)
    assert (base["province"] == people["省份"].reindex(base.index)).all()
    lines = _good(raw("用户资料"), "用户编号", days=["开户日期"], known=base.index)
    lines = lines[lines["业务类型"].isin(["移动业务", "宽带", "固话", "IPTV"]) & lines["付费方式"].notna()]
    ended = pd.to_datetime(lines["离网日期"])
    running = lines[(lines["开户日期"] < AS_OF) & ~(ended < AS_OF)]
    counts = running.groupby("客户编号").size().reindex(base.index)
    assert np.array_equal(base["lines"].fillna(0), counts.fillna(0))
    assert ((base["state"] == "active") == counts.notna()).all()
    left = base["state"] == "left"
    last = ended.groupby(lines["客户编号"]).max().reindex(base.index)
    assert (base.loc[left, "left_on"] == last[left]).all() and base.loc[~left, "left_on"].isna().all()
    mobile = running.assign(other=running["业务类型"] != "移动业务").sort_values(["other", "开户日期", "用户编号"])
    first = mobile.drop_duplicates("客户编号").set_index("客户编号")
    assert (base["line_since"].dropna() == first["开户日期"].reindex(base["line_since"].dropna().index)).all()


def test_last_bill_payment_contact_and_interview_from_the_raw_files(base, raw):
    """The latest row of each file: its day and its amount or words."""
    bills = _good(raw("账单"), "账单编号", days=["账期", "出账日"], numbers=["应收金额", "优惠金额"], known=base.index)
    last = bills.sort_values(["出账日", "账单编号"]).drop_duplicates("客户编号", keep="last").set_index("客户编号")
    assert (base["last_bill_month"].dropna() == last["账期"].reindex(base["last_bill_month"].dropna().index)).all()
    assert np.allclose(base["last_bill_amount"].dropna(), last["应收金额"].reindex(base.index).dropna())
    paid = raw("缴费流水")
    paid = _good(paid, "流水号", days=["缴费日期"], numbers=["金额分"], known=base.index)
    paid = paid[paid["账单编号"].isna() | paid["账单编号"].isin(bills["账单编号"])]
    last = paid.sort_values(["缴费日期", "流水号"]).drop_duplicates("客户编号", keep="last").set_index("客户编号")
    assert (base["last_paid_on"].dropna() == last["缴费日期"].reindex(base["last_paid_on"].dropna().index)).all()
    assert np.allclose(base["last_paid_amount"].dropna(), last["金额分"].reindex(base.index).dropna() / 100)
    touches = _good(raw("接触记录"), "接触编号", days=["接触时间"], known=base.index)
    last = touches.groupby("客户编号")["接触时间"].max().reindex(base.index)
    assert base["last_contact_at"].equals(last.astype(base["last_contact_at"].dtype).rename("last_contact_at"))


def test_answers_and_holes(base, warehouse):
    """An item is that of the last interview; a column is missing where, and only where, its table has no row."""
    survey = warehouse.table("survey_response", ["response_id", "customer_id", "answered_on", "items"])
    last = survey.dropna(subset=["customer_id"]).sort_values(["answered_on", "response_id"])
    last = last.drop_duplicates("customer_id", keep="last").set_index("customer_id")["items"]
    wanted = last.map(lambda items: items.get("NPS", np.nan)).reindex(base.index).astype(float)
    assert base["answer_NPS"].equals(wanted.rename("answer_NPS"))
    for row in tables_behind(warehouse).itertuples():
        where = "contacted" if row.table == "campaign_member" else "TRUE"
        named = warehouse.query(f"SELECT DISTINCT customer_id FROM {row.table} WHERE {where}")["customer_id"].dropna()
        if row.table != "subscription":  # of lines, one that runs
            assert set(base.index[base[row.column].notna()]) == set(named), row.table


def test_nothing_of_the_day_or_later_enters(warehouse):
    """As of a year earlier, no day lies on it or after it, and who joined later is not there."""
    then = customer_view(warehouse, "2025-07-01")
    days = then.select_dtypes("datetime")
    assert (days.max().dropna() < pd.Timestamp("2025-07-01")).all() and len(then) < 20_000


def test_the_door_and_its_refusals(warehouse):
    """`wb.customer_view` is this one; province and items are checked; a day outside the data is refused."""
    assert wb.customer_view is customer_view
    some = wb.customer_view(warehouse, "2026-07-01", province="西藏")
    assert set(some["province"]) == {"西藏"}
    with pytest.raises(WorkbenchError, match=r"no province '西臧'.*Did you mean '西藏'"):
        customer_view(warehouse, "2026-07-01", province="西臧")
    with pytest.raises(WorkbenchError, match=r"no item 'NSP' in the survey. Did you mean 'NPS'"):
        customer_view(warehouse, "2026-07-01", items=["NSP"])
    with pytest.raises(CannotAnswer, match="outside the data"):
        customer_view(warehouse, "2031-01-01")


def test_events_are_the_rows_of_the_tables(warehouse):
    """Bills, payments, contacts, cases, lines and products of a customer, each as often as its table has it."""
    who = "1000017136"
    found = customer_events(warehouse, who, "2026-07-01")
    assert found["happened_at"].is_monotonic_increasing and (found["happened_at"] < AS_OF).all()
    of = found["subject"].value_counts()
    for table in ("bill", "payment", "contact", "survey_response", "campaign_member"):
        assert of[table] == (warehouse.table(table, ["customer_id"])["customer_id"] == who).sum(), table
    cases = warehouse.table("ticket").query("customer_id == @who")
    late = ~(cases["closed_at"] <= cases["due_at"])
    assert of["ticket"] == len(cases) + cases["closed_at"].notna().sum() + late.sum()
    bills = warehouse.table("bill").query("customer_id == @who")
    assert np.isclose(found.loc[found["subject"] == "bill", "amount"].sum(), bills["amount"].sum())
    facts = customer_facts(warehouse, who, "2026-07-01").set_index("column")["value"]
    assert facts["last_bill_amount"] == bills.sort_values("issued_on")["amount"].iloc[-1]
    assert "customer_id" not in facts and "name_key" not in facts


def test_a_customer_who_is_not_there(warehouse):
    """One sentence, which names nobody else; so is a customer who joined later, and an empty name."""
    for wrong in ("13800138000", "' OR 1=1 --", "1000000001 "):
        with pytest.raises(WorkbenchError, match="knows no customer") as said:
            customer_events(warehouse, wrong, "2026-07-01")
        assert "100000000" not in str(said.value).replace(wrong, "")
    with pytest.raises(WorkbenchError, match="no customer is named"):
        require_customer(warehouse, " ")
    late = warehouse.query("SELECT max_by(customer_id, joined_on) AS who FROM customer")["who"].iloc[0]
    with pytest.raises(CannotAnswer, match="joined on 2025-07-01 or later"):
        customer_facts(warehouse, late, "2025-07-01")


def test_a_source_without_a_table_of_customers(operator, tmp_path):
    """Whoever a payment names is a customer, joined on their first day; what was not delivered is missing."""
    from workbench.warehouse.ingest import ingest

    (tmp_path / "data/mappings").mkdir(parents=True)
    text = (operator / "data/mappings/cdnow.toml").read_text("utf-8").replace("cdnow_sample.csv.gz", "p.csv")
    (tmp_path / "data/mappings/shop.toml").write_text(text, encoding="utf-8")
    (tmp_path / "data/raw/shop").mkdir(parents=True)
    rows = "master_id,sample_id,date,quantity,amount\n1,a,19970101,1,5\n2,a,19980601,1,7\n3,b,19980701,1,9\n"
    (tmp_path / "data/raw/shop/p.csv").write_text(rows)
    ingest("shop", root=tmp_path)
    shop = open_warehouse("shop", root=tmp_path)
    found = customer_view(shop, "1998-07-01")
    assert found["customer_id"].tolist() == ["a"] and found["last_paid_amount"].tolist() == [7.0]
    assert found["joined_on"].tolist() == [pd.Timestamp("1997-01-01")] and found["last_bill_month"].isna().all()
    assert tables_behind(shop)[["table", "department"]].values.tolist() == [["payment", "billing"]]
    assert customer_events(shop, "a", "1998-07-01")["what"].tolist() == ["top-up or purchase"] * 2
    listed = pd.DataFrame({"customer_id": ["b", "a"], "due": 1.0})
    pd.testing.assert_frame_equal(addressed(shop, listed, "1998-07-01"), listed)


def test_a_list_says_who_its_customers_are(warehouse, base):
    """Province, kind and tariff stand after the customer, as the view has them; columns of the list are kept."""
    listed = pd.DataFrame({"customer_id": ["nobody", *base.index[[70, 3, 500]]], "kind": list("wxyz"), "due": 1.0})
    found = addressed(warehouse, listed.set_axis([4, 2, 9, 7]), "2026-07-01")
    assert list(found.columns) == ["customer_id", "province", "tariff", "kind", "due"] and list(found.index) == [
        4,
        2,
        9,
        7,
    ]
    assert found[["customer_id", "kind", "due"]].to_numpy().tolist() == listed.to_numpy().tolist()
    theirs = base.reindex(listed["customer_id"])
    for column in ("province", "tariff"):
        assert found[column].fillna("-").tolist() == theirs[column].fillna("-").tolist(), column


def test_a_list_of_lines_says_whose_they_are(warehouse):
    """Each line has its own tariff, and the customer who holds it."""
    lines = warehouse.table("subscription")
    runs = lines["ended_on"].isna() & (lines["activated_on"] < AS_OF)
    second = lines[runs & lines["customer_id"].duplicated(keep=False)].iloc[[5, 4]]
    found = addressed(warehouse, second[["subscription_id"]].assign(rule="calls"), AS_OF.date())
    assert list(found.columns) == ["subscription_id", "customer_id", "province", "kind", "tariff", "rule"]
    names = warehouse.table("tariff").set_index("tariff_id")["name"]
    assert found["customer_id"].tolist() == second["customer_id"].tolist()
    assert found["tariff"].tolist() == second["tariff_id"].map(names).tolist()
