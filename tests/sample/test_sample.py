"""Is the sample operator what it claims to be: reproducible, consistent, calibrated, and bad only where declared?"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from workbench.errors import WorkbenchError
from workbench.sample import write_sample

CUSTOMERS = "crm/客户资料.csv"
LINES = "crm/用户资料.txt"
USAGE = "billing/用量月报.txt"
BILLS = "billing/账单.csv"
PAYMENTS = "billing/缴费流水.csv"
MEMBERS = "market/活动名单.csv"
DIALECTS = {
    CUSTOMERS: ("gb18030", ","),
    LINES: ("gb18030", "|"),
    USAGE: ("utf-8", "\t"),
    BILLS: ("utf-8-sig", ";"),
    PAYMENTS: ("gb18030", ","),
    MEMBERS: ("gb18030", ","),
}


def read(folder: Path, name: str) -> pd.DataFrame:
    """All rows of a file as text, with a column that says whether the line was short."""
    encoding, delimiter = DIALECTS[name]
    text = (folder / name).read_bytes().decode(encoding)
    table = pd.read_csv(io.StringIO(text), sep=delimiter, dtype="str", keep_default_na=False)
    fields = np.array([line.count(delimiter) for line in text.splitlines()])
    return table.assign(short=fields[1:] < fields[0])


def good(table: pd.DataFrame, key: list[str], numbers: list[str], days: dict[str, str], known=None) -> pd.DataFrame:
    """Rows without a short line, bad number, bad date or unknown parent; of equal keys the first."""
    ok = ~table["short"]
    for name in numbers:
        table[name] = pd.to_numeric(table[name], errors="coerce")
        ok &= table[name].notna()
    for name, form in days.items():
        table[name] = pd.to_datetime(table[name], format=form, errors="coerce")
        ok &= table[name].notna()
    for name, values in (known or {}).items():
        ok &= table[name].isin(values) | (table[name] == "")
    return table[ok].drop_duplicates(key)


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """A sample, in a folder with Chinese characters and a space."""
    folder = tmp_path_factory.mktemp("样本") / "原始 数据"
    write_sample(folder, customers=8_000, seed=3)
    return folder


@pytest.fixture(scope="session")
def declared(sample) -> dict:
    return json.loads((sample / "truth/declared.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def customers(sample) -> pd.DataFrame:
    table = good(read(sample, CUSTOMERS), ["客户编号"], [], {"入网日期": "%Y%m%d"})
    table = table[(table["省份"] != "") & (table["客户类型"] != "外星人")]
    return table[table["出生年份"].str.fullmatch(r"\d{4}|")].set_index("客户编号")


@pytest.fixture(scope="session")
def lines(sample, customers) -> pd.DataFrame:
    table = good(read(sample, LINES), ["用户编号"], [], {"开户日期": "%Y-%m-%d"}, {"客户编号": customers.index})
    return table[table["业务类型"] != "电报"].set_index("用户编号")


@pytest.fixture(scope="session")
def bills(sample, customers) -> pd.DataFrame:
    numbers = ["月租费", "套外费用", "优惠金额", "应收金额"]
    days = {"账期": "%Y-%m-%d", "出账日": "%Y-%m-%d", "缴费截止日": "%Y-%m-%d"}
    return good(read(sample, BILLS), ["账单编号"], numbers, days, {"客户编号": customers.index})


@pytest.fixture(scope="session")
def payments(sample, bills) -> pd.DataFrame:
    return good(read(sample, PAYMENTS), ["流水号"], ["金额分"], {"缴费日期": "%Y%m%d"}, {"账单编号": bills["账单编号"]})


@pytest.fixture(scope="session")
def usage(sample, lines) -> pd.DataFrame:
    numbers = ["活跃天数", "主叫次数", "主叫分钟", "短信条数", "流量MB"]
    table = good(
        read(sample, USAGE), ["用户编号", "月份", "活跃天数"], numbers, {"月份": "%Y%m"}, {"用户编号": lines.index}
    )
    return table[table["活跃天数"] <= 31]


@pytest.fixture(scope="session")
def records(sample) -> pd.DataFrame:
    """The records of the last month, as stored, without the bad ones."""
    table = pd.read_parquet(sample / "cdr/cdr_202606.parquet")
    bad = (table["cdr_type"] == "99") | (table["duration"] < 0) | table["start_time"].isna()
    return table[~bad & (table["serv_id"] < 99_999_999_999)]


@pytest.fixture(scope="session")
def members(sample) -> pd.DataFrame:
    """Members with outcomes and their true effects."""
    table = read(sample, MEMBERS)
    table["窗口收入"] = pd.to_numeric(table["窗口收入"], errors="coerce")
    table = table[table["窗口收入"].notna() & (table["组别"] != "")].drop_duplicates(["活动编码", "客户编号"])
    table = table.rename(columns={"活动编码": "campaign_id", "客户编号": "customer_id"})
    truth = pd.read_parquet(sample / "truth/campaign_members.parquet")
    return table.merge(truth, on=["campaign_id", "customer_id"], validate="1:1")


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    """Every file is the same byte for byte, workbooks and Parquet too; with another seed all that is drawn differs."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / name, customers=150, seed=seed)
    one, two, other = (digests(tmp_path / name) for name in "abc")
    assert one == two
    fixed = {"billing/资费.xlsx", "market/产品目录.csv", "market/营销活动.csv", "truth/satisfaction.json"}
    assert {name for name in one if one[name] == other[name]} == fixed


def test_a_sample_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    """A second sample takes the place of the first; no temporary folder stays."""
    first = write_sample(tmp_path / "raw", customers=150, seed=1)
    second = write_sample(tmp_path / "raw", customers=200, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert second.files["rows"].sum() > first.files["rows"].sum()
    assert list(second.files) == ["file", "rows", "bad_rows", "encoding"]


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    """A folder that is not a sample is refused, and nothing in it changes."""
    (tmp_path / "letters.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(WorkbenchError, match=r"holds files that are not a sample .* Name a new or empty folder"):
        write_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    with pytest.raises(WorkbenchError, match="is a file; the sample needs a folder"):
        write_sample(tmp_path / "letters.txt")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"customers": 99}, "customers is 99; give a whole number from 100"),
        ({"customers": 2e4}, "customers is 20000.0; give a whole number"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"seed": True}, "seed is True"),
    ],
)
def test_arguments_out_of_range_are_refused_before_anything_is_written(tmp_path, arguments, words):
    """The message names the argument, its value and the range."""
    with pytest.raises(WorkbenchError, match=words):
        write_sample(tmp_path / "raw", **arguments)
    assert not (tmp_path / "raw").exists()


def test_a_failure_leaves_nothing_behind(tmp_path):
    """An exception half-way removes what was written."""

    def stop(label, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "raw", customers=100, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_declared_rows_are_the_rows_of_the_files(sample, declared):
    """Raw lines of each text file and rows of each Parquet file are as declared; every file is declared."""
    files = {str(p.relative_to(sample)) for p in sample.rglob("*") if p.is_file() and p.parent.name != "truth"}
    assert files == set(declared["files"])
    for name, entry in declared["files"].items():
        if name.endswith(".parquet"):
            assert pq.read_metadata(sample / name).num_rows == entry["rows"]
        elif not name.endswith(".xlsx"):
            assert (sample / name).read_bytes().count(b"\n") - 1 == entry["rows"]


def test_declared_bad_rows_are_the_bad_rows_of_the_files(sample, declared, customers, lines, bills, payments, usage):
    """What a reader of his own finds wrong in five files is as many as declared; shares are a few in a thousand."""
    for name, left in ((CUSTOMERS, customers), (LINES, lines), (BILLS, bills), (PAYMENTS, payments), (USAGE, usage)):
        entry = declared["files"][name]
        assert entry["rows"] - len(left) == entry["bad_rows"] == sum(entry["kinds"].values())
        assert 0.002 < entry["bad_rows"] / entry["rows"] < 0.005
    kinds = {kind for entry in declared["files"].values() for kind in entry["kinds"]}
    assert len(kinds) == 8


def test_records_add_up_to_the_usage_of_their_month(records, usage):
    """Days, calls, minutes, messages and data of each line in June 2026 are those of its records."""
    month = usage[usage["月份"] == "2026-06-01"].set_index("用户编号")
    key = records["serv_id"].astype(str)
    out, call = records["direction"] == "MO", records["cdr_type"] == "01"
    sums = {
        "活跃天数": records["start_time"].dt.date.groupby(key).nunique(),
        "主叫次数": (call & out).groupby(key).sum(),
        "主叫分钟": (records["duration"] * (call & out) / 60).groupby(key).sum(),
        "短信条数": ((records["cdr_type"] == "02") & out).groupby(key).sum(),
        "流量MB": records["volume_mb"].astype(float).groupby(key).sum(),
    }
    assert set(key) <= set(month.index)
    for name, total in sums.items():
        difference = month[name] - total.reindex(month.index, fill_value=0)
        assert difference.abs().max() < (0.2 if name == "流量MB" else 0.01), name


def test_records_and_tariffs_add_up_to_the_bills(sample, records, usage, lines, bills):
    """A month's charges are its records' charges, and what its usage costs beyond the allowances of the tariffs."""
    month = bills[bills["账期"] == "2026-06-01"].set_index("客户编号")["套外费用"]
    charged = records.groupby(records["cust_id"].astype(str))["fee"].sum().reindex(month.index, fill_value=0)
    assert (charged - month).abs().max() < 0.05
    terms = pd.read_excel(sample / "billing/资费.xlsx").set_index("套餐编码")
    use = usage[usage["月份"] == "2026-06-01"]
    terms = terms.loc[lines.loc[use["用户编号"], "套餐编码"]].reset_index(drop=True)
    pairs = zip(("主叫分钟", "流量MB", "短信条数"), ("语音分钟", "流量MB", "短信条"), strict=True)
    prices = ("语音单价", "流量单价", "短信单价")
    cost = sum(
        (use[used].to_numpy() - terms[f"含{free}"]).clip(lower=0) * terms[price]
        for (used, free), price in zip(pairs, prices, strict=True)
    )
    rerated = cost.groupby(use["客户编号"].to_numpy()).sum().reindex(month.index, fill_value=0)
    assert (rerated - month).abs().max() < 0.011


def test_bills_add_up_and_are_not_overpaid(bills, payments):
    """Amount is recurring + usage - discount to the fen, and no bill gets more than it asks."""
    total = bills["月租费"] + bills["套外费用"] - bills["优惠金额"]
    assert (total - bills["应收金额"]).abs().max() < 0.005
    paid = payments.groupby("账单编号")["金额分"].sum() / 100
    asked = bills.set_index("账单编号")["应收金额"]
    assert (paid.drop("", errors="ignore") - asked.reindex(paid.index).dropna()).max() < 0.005


def test_most_bills_are_paid_in_time_and_some_never(bills, payments):
    """Of bills due before 2026, 2-12% are paid late and 0.5-4% not at all."""
    old = bills[bills["缴费截止日"] < "2026-01-01"].set_index("账单编号")
    paid = payments.groupby("账单编号").agg(last=("缴费日期", "max"), amount=("金额分", "sum")).reindex(old.index)
    owing = old["应收金额"] > 0
    unpaid = (paid["amount"].fillna(0) / 100 < old["应收金额"] - 0.005)[owing].mean()
    late = (paid["last"] > old["缴费截止日"])[owing].mean()
    assert 0.005 < unpaid < 0.04
    assert 0.02 < late < 0.12


def test_nothing_happens_before_a_line_begins_or_after_it_ends(records, lines, customers):
    """Records lie inside their line's life, lines begin with their customer or later, and end in 24 months."""
    life = lines.loc[records["serv_id"].astype(str)]
    day = records["start_time"].dt.normalize().to_numpy()
    end = pd.to_datetime(lines["离网日期"].replace("", None))
    assert (day >= life["开户日期"].to_numpy()).all()
    assert (day <= end.fillna(pd.Timestamp("2026-06-30")).loc[life.index].to_numpy()).all()
    assert (lines["开户日期"] >= customers.loc[lines["客户编号"], "入网日期"].to_numpy()).all()
    assert end.dropna().between("2024-07-01", "2026-06-30").all()
    assert (lines["转入运营商"] != "").equals(lines["离网原因"] == "携号转网")


def test_levels_are_those_of_an_operator(declared, bills):
    """Mobile revenue a line is about 50 yuan a month; the top fifth of customers brings 60-70%; 1-2% leave a month."""
    assert 45 < declared["mobile_arpu"] < 55
    revenue = bills.groupby("客户编号")["应收金额"].sum().sort_values(ascending=False)
    assert 0.60 < revenue.iloc[: len(revenue) // 5].sum() / revenue.sum() < 0.70
    assert all(0.01 < rate < 0.02 for rate in declared["monthly_churn"])


def test_customers_leave_at_their_true_hazards(sample, customers, lines):
    """As many left as the hazards say, in total and in the riskier half, within four standard errors."""
    truth = pd.read_parquet(sample / "truth/customers.parquet").set_index("customer_id")
    first = (customers["入网日期"] + pd.Timedelta(days=20)).clip(lower=pd.Timestamp("2024-07-01"))
    months = ((pd.Timestamp("2026-07-01") - first).dt.days / 30.44).clip(lower=0)
    hazard = truth.loc[customers.index, "monthly_churn_hazard"]
    chance = 1 - (1 - hazard) ** months
    left = lines[lines["离网日期"] != ""]["客户编号"].unique()
    left = customers.index.isin(left)
    for part in (hazard > 0, hazard > hazard.median()):
        error = np.sqrt((chance * (1 - chance))[part].sum())
        assert abs(left[part].sum() - chance[part].sum()) < 4 * error


def test_customers_decline_before_they_leave(usage, lines):
    """In May 2026, those who left in June are less active than half a year before; those who stayed are not."""
    ended = pd.to_datetime(lines["离网日期"].replace("", None))
    days = usage.pivot_table(index="用户编号", columns="月份", values="活跃天数", aggfunc="sum").dropna()
    change = days["2026-05-01"] / days["2025-11-01"].mean() - days["2025-11-01"] / days["2025-11-01"].mean()
    left = change.index.isin(ended[ended >= "2026-06-01"].index)
    stayed = change.index.isin(ended[ended.isna()].index)
    error = change[left].std() / np.sqrt(left.sum())
    assert change[left].mean() < -4 * error
    assert abs(change[stayed].mean()) < 0.05


def test_segments_show_in_what_customers_do(sample, records):
    """Share of data, mean call, weekend and night tell the true segment of most customers apart (nearest mean)."""
    truth = pd.read_parquet(sample / "truth/customers.parquet").set_index("customer_id")
    key = records["cust_id"].astype(str)
    hour, day = records["start_time"].dt.hour, records["start_time"].dt.day_of_week
    table = pd.DataFrame(
        {
            "data": (records["cdr_type"] == "03").groupby(key).mean(),
            "message": (records["cdr_type"] == "02").groupby(key).mean(),
            "night": ((hour >= 22) | (hour < 6)).groupby(key).mean(),
            "weekend": (day >= 5).groupby(key).mean(),
            "seconds": np.log(records["duration"].where(records["cdr_type"] == "01").groupby(key).mean()),
            "volume": np.log(records["volume_mb"].where(records["cdr_type"] == "03").groupby(key).mean()),
            "events": key.groupby(key).size(),
        }
    ).query("events >= 10")
    table = table.drop(columns="events").fillna(table.mean())
    table = (table - table.mean()) / table.std()
    segment = truth.loc[table.index, "segment"]
    centres = table.groupby(segment).mean()
    nearest = ((table.to_numpy()[:, None] - centres.to_numpy()) ** 2).sum(axis=2).argmin(axis=1)
    assert 0.65 < (centres.index.to_numpy()[nearest] == segment).mean() < 0.97
    assert truth["segment"].nunique() == 6
    assert 0.002 < truth["is_fraud"].mean() < 0.005


def test_randomised_campaigns_show_their_true_effects(members):
    """The difference of the arms is the mean true effect within four standard errors, for both outcomes."""
    for campaign in ("data_upgrade", "sms_greeting"):
        table = members[members["campaign_id"] == campaign]
        treated = table["组别"] == "实验组"
        for outcome, effect in (("窗口收入", "effect_revenue"), ("是否响应", "effect_responded")):
            y = table[outcome].astype(float)
            error = np.sqrt(y[treated].var() / treated.sum() + y[~treated].var() / (~treated).sum())
            assert abs(y[treated].mean() - y[~treated].mean() - table[effect].mean()) < 4 * error, (campaign, outcome)
    upgrade = members[members["campaign_id"] == "data_upgrade"]
    assert (members.loc[members["campaign_id"] == "sms_greeting", "effect_revenue"] == 0).all()
    assert 0.3 < (upgrade["effect_revenue"] < 0).mean() < 0.7


def test_the_chosen_campaign_misleads(members):
    """Customers at risk were called: the plain difference in revenue has the wrong sign."""
    table = members[members["campaign_id"] == "retention_call"]
    treated = table["组别"] == "实验组"
    difference = table.loc[treated, "窗口收入"].mean() - table.loc[~treated, "窗口收入"].mean()
    assert difference < 0 < table["effect_revenue"].mean()
    assert 0.3 < treated.mean() < 0.7


def test_contacting_some_pays_more_than_contacting_everybody(members):
    """With the true effects, the members worth contacting bring more than all of them, and more than none."""
    table = members[members["campaign_id"] == "data_upgrade"]
    responds = 0.045 + table["effect_responded"]
    net = 0.45 * table["effect_revenue"] - 4 - 12 * responds
    assert 0.2 < (net > 0).mean() < 0.5
    assert net.clip(lower=0).mean() > 1.5 * max(net.mean(), 0.5)


def test_window_revenue_is_the_bills_of_the_window(members, bills):
    """A member's revenue is the sum of the bills of April, May and June 2026."""
    window = bills[bills["账期"] >= "2026-04-01"].groupby("客户编号")["应收金额"].sum()
    difference = members["窗口收入"] - members["customer_id"].map(window).fillna(0)
    assert difference.abs().max() < 0.005
