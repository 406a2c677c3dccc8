"""The index finds, remembers and marks; whatever stands in it is text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from workbench.messages import word
from workbench.places import provinces
from workbench.reports.runs.site import write_site

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>=1+1 ../../x \"' \u202eabc"


def _publish(root, study, period, value, *, province="", status="done", data="1", **more):
    """Put a manifest and a number where a report is published."""
    name = ",".join(filter(None, (period, f"province={province}" if province else "" if period else "default")))
    folder = root / "reports" / "site" / study / name.replace("/", "").replace("\0", "")[:60]
    folder.mkdir(parents=True)
    parameters = [
        {"name": "as_of", "value": period, "changed": bool(period)},
        {"name": "province", "value": province, "changed": bool(province)},
        {"name": "source", "value": "sample", "changed": False},
    ]
    manifest = {"study": study, "title": study, "status": status, "period": period, "parameters": parameters}
    manifest |= {
        "headline": f"{value} of {province}",
        "error": "no",
        "data_version": data,
        "finished": "2026-11-01 06:00",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | {"seconds": 1.0} | more), "utf-8")
    number = {"name": "index", "value": value, "unit": "points", "low": None, "high": None, "rtol": 0}
    (folder / "results.json").write_text(json.dumps([number]), "utf-8")
    (folder / "index.html").write_text("x")
    return folder


def _read(path: Path) -> str:
    """Give a page without the marks that say which voice reads a word."""
    return re.sub(r'<span lang="zh-CN">(.*?)</span>', r"\1", path.read_text("utf-8"))


class _Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_a_site_without_reports_is_in_the_language_asked_for(tmp_path, monkeypatch):
    """As before the first run: nothing published says a language."""
    monkeypatch.setenv("WORKBENCH_LANG", "zh,en")
    assert '<html lang="zh-CN"' in write_site(tmp_path).read_text("utf-8")
    assert '<html lang="zh-CN"' in (tmp_path / "reports/site/glossary.html").read_text("utf-8")


def test_one_line_a_report_newest_period_first_with_its_history_and_trend(tmp_path):
    """Three months of a study are one row: the last one, the earlier ones to open, the number over time."""
    for period, value in (("2026-08", 70.0), ("2026-10", 75.0), ("2026-09", 72.0)):
        _publish(tmp_path, "satisfaction", period, value, province="广东")
    _publish(tmp_path, "satisfaction", "2026-10", 60.0, province="北京")
    page = write_site(tmp_path).read_text("utf-8")
    rows = re.findall(r"<tr><td><a.*?</tr>", page, flags=re.S)
    assert len(rows) == 2
    row = next(r for r in rows if "广东" in r)
    assert row.index("2026-10") < row.index("2 earlier") < row.index(">2026-09<") < row.index(">2026-08<")
    cards = re.findall(r"<li .*?</li>", page, flags=re.S)
    card = next(c for c in cards if "广东" in c)
    assert "index: 2026-08 70 → 2026-10 75 points" in card and "<polyline" in card and "<b>75</b>" in card
    assert "<polyline" not in next(c for c in cards if "北京" in c)


def test_the_figures_of_a_grid_are_of_one_kind(tmp_path):
    """A province whose first figure is another one shows none; names are what sets reports apart."""
    for province, label in (("北京", "index"), ("上海", "index"), ("西藏", "points to gain")):
        tile = {"label": label, "value": f"7{len(label)}", "interval": "(6 to 8)"}
        more = [
            {"name": name, "value": value, "changed": True} for name, value in (("province", province), ("seed", 9))
        ]
        _publish(tmp_path, "s", "", 1.0, province=province, tiles=[tile], parameters=more)
    page = _read(write_site(tmp_path))
    cards = {re.search("<bdi>(.*?)</bdi>", c)[1]: c for c in re.findall(r"<li .*?</li>", page, flags=re.S)}
    assert set(cards) == {"北京", "上海", "西藏"}
    assert "<b>75</b>" in cards["北京"] and "<b></b>" in cards["西藏"] and "points to gain" not in page


def test_reports_are_told_apart_in_words(tmp_path):
    """Numbers and flags stand with the name of their parameter, and no two reports have one name."""
    more = [
        [],
        [("method", "kmeans", "")],
        [("method", "kmeans", ""), ("province", "山东", "province")],
        [("method", "kmeans", ""), ("resamples", 200, ""), ("rake", True, "")],
    ]
    for number, changed in enumerate(more):
        said = [{"name": n, "value": v, "kind": k, "changed": True} for n, v, k in changed]
        _publish(tmp_path, "s", "", 1.0, province=str(number), parameters=said)
    names = re.findall(r"<li .*?<bdi>(.*?)</bdi>", _read(write_site(tmp_path)), flags=re.S)
    assert sorted(names) == ["k-means", "overall", "resamples: 200, raking: yes", "山东"]


def test_a_figure_that_differs_in_the_numbers_of_its_name_is_shown_with_it(tmp_path):
    for province, best in (("北京", 36), ("上海", 40), ("西藏", 36)):
        tile = {"label": f"net from the best {best}%", "value": f"{best / 10}", "interval": "(1 to 8)"}
        more = [{"name": "province", "value": province, "kind": "province", "changed": True}]
        _publish(tmp_path, "s", "", 1.0, province=province, tiles=[tile], parameters=more)
    page = _read(write_site(tmp_path))
    cards = {re.search("<bdi>(.*?)</bdi>", c)[1]: c for c in re.findall(r"<li .*?</li>", page, flags=re.S)}
    assert "best 40%</bdi></span> <b>4.0</b>" in cards["上海"] and "best" not in cards["北京"]
    assert '<p class="soft"><bdi>net from the best 36%</bdi></p>' in page


def test_sources_stand_side_by_side_by_their_names(tmp_path):
    """Not the sample as the whole and the other by its operator and days; a figure said in two languages is one."""
    tile = {"label": "active customers", "value": "14,283", "interval": ""}
    _publish(tmp_path, "s", "", 1.0, tiles=[tile], languages=["en"], headline="14,283 of 20,000 customers are active.")
    parameters = [
        {"name": "source", "value": "own", "called": "中国电信", "changed": True},
        {"name": "as_of", "value": "2026-10-01", "changed": True},
        {"name": "seed", "value": 7, "changed": True},
    ]
    said = {"tiles": [tile | {"label": word("active customers", "zh"), "value": "2663"}]}
    more = {"parameters": parameters, "languages": ["zh", "en"], "said": {"zh": said, "en": {"tiles": [tile]}}}
    own = _publish(tmp_path, "s", "", 2.0, tiles=[tile], **more, province="x")
    own.rename(own.with_name("seed=7,source=own"))
    write_site(tmp_path)
    for language, value, both in (("zh", "2663", "own、随机种子：7"), ("en", "14,283", "own, seed: 7")):
        page = _read(tmp_path / "reports/site" / f"index.{language}.html")
        cards = re.findall(r"<li .*?</li>", page, flags=re.S)
        names = [re.search("<bdi>(.*?)</bdi>", card)[1] for card in cards]
        assert sorted(names) == [both, "sample"]
        assert f"<b>{value}</b>" in cards[names.index(both)] and "<b>14,283</b>" in cards[names.index("sample")]


def test_what_was_said_in_english_alone_stays_so(tmp_path):
    """A sentence of which a part is recognised is not said half in Chinese beside an English title and decision."""
    said = "Collecting earns most at stage 3 (restrict): +15.94 yuan a bill after cost (+10.17 to +20.42)."
    _publish(tmp_path, "old", "", 1.0, headline=said, decision="Keep it.", languages=["en"])
    _publish(tmp_path, "new", "", 1.0, languages=["zh", "en"])
    write_site(tmp_path)
    assert said in _read(tmp_path / "reports/site/index.zh.html")


def test_provinces_stand_in_the_order_of_their_codes_as_a_map(tmp_path):
    """From twenty on on tiles, each once; the whole stands before them; fewer are a list in the same order."""
    names = list(dict.fromkeys(province.short for province in provinces().values()))
    assert names[:3] == ["北京", "天津", "河北"] and names[28:31] == ["青海", "宁夏", "新疆"] and len(names) == 34
    assert len({(p.row, p.column) for p in provinces().values()}) == 34
    for study, shown in (("many", names[:31]), ("few", names[25:31])):
        for province in shown:
            more = [{"name": "province", "value": province, "changed": True}]
            _publish(tmp_path, study, "", 1.0, province=province, parameters=more)
        _publish(tmp_path, study, "", 1.0)
    page = _read(write_site(tmp_path))
    few, many = re.findall(r"<article>.*?</article>", page, flags=re.S)
    for article, shown in ((few, names[25:31]), (many, names[:31])):
        assert re.findall(r"<li .*?<bdi>(.*?)</bdi>", article, flags=re.S) == ["overall", *shown]
    assert 'class="grid map"' in many and "--row: 8; --column: 4" in many and "map" not in few


def test_the_last_good_version_stands_in_front_of_a_failed_one(tmp_path):
    """Its sentence, decision and figure are shown with a badge that leads to why; without one, the error is."""
    tile = {"label": "index", "value": "70", "interval": "(68 to 72)"}
    good = {"headline": "Up.", "decision": "Do it.", "tiles": [tile], "finished": "2026-10-01 06:00"}
    _publish(tmp_path, "kept", "", 70.0, status="failed", last_good=good)
    _publish(tmp_path, "lost", "", 70.0, status="failed").joinpath("index.html").unlink()
    page = write_site(tmp_path).read_text("utf-8")
    kept, lost = re.findall(r"<article>.*?</article>", page, flags=re.S)
    assert "Up." in kept and "Do it." in kept and 'href="kept/default/index.html"' in kept
    assert "shown as of 2026-10-01 06:00" in kept and 'href="kept/default/failure.html">why' in kept
    assert "<bdi>no</bdi>" in lost and "shown as of" not in lost


def test_each_period_and_each_province_has_a_page_of_its_own(tmp_path):
    """The period is switched at the top; a province leads to its reports and neighbours, and says the change."""
    for study in ("churn", "tiers"):
        for province in ("广东", "福建", "北京"):
            for period, value in (("2026-05", "70"), ("2026-06", "72")):
                tile = {"label": "customers", "value": value, "interval": ""}
                _publish(tmp_path, study, period, float(value), province=province, tiles=[tile])
    _publish(tmp_path, "old", "2026-05", 1.0)
    index = write_site(tmp_path).read_text("utf-8")
    site = tmp_path / "reports" / "site"
    assert re.findall(r'<a href="([\w-]+\.html)"', index)[:6] == [
        "glossary.html",
        "index.html",
        "period-2026-06.html",
        "period-2026-05.html",
        "province-11.html",
        "province-35.html",
    ]
    assert 'href="index.html" aria-current="page"' in index and "2026-05: 70" in index
    earlier, later = ((site / f"period-2026-0{n}.html").read_text("utf-8") for n in (5, 6))
    assert "<b>70</b>" in earlier and "<b>72</b>" not in earlier and "old/2026-05/index.html" in earlier
    assert "<b>72</b>" in later and "old/2026-05" not in later and 'aria-current="page">2026-06' in later
    guangdong = _read(site / "province-44.html")
    assert "churn/2026-06%2Cprovince%3D" in guangdong and "tiers/" in guangdong and "of 北京" not in guangdong
    assert "福建 Fujian" in guangdong and "北京 Beijing" not in guangdong.split("<main>")[0]
    for left in site.glob("*/*福建"):
        (left / "manifest.json").unlink()
    write_site(tmp_path)
    assert not (site / "province-35.html").exists() and (site / "province-11.html").is_file()


def test_a_report_of_older_data_is_marked_stale(tmp_path):
    """The warehouse in force is another than the one it read."""
    (tmp_path / "data" / "warehouse" / "sample").mkdir(parents=True)
    (tmp_path / "data" / "warehouse" / "sample" / "CURRENT").write_text("2\n")
    _publish(tmp_path, "a", "2026-10", 1.0, data="1")
    _publish(tmp_path, "b", "2026-10", 1.0, data="2")
    page = write_site(tmp_path).read_text("utf-8")
    assert page.count("stale: the data are newer") == 1 and "1 of older data" in page


def test_the_search_is_the_only_script_and_its_hash_allows_it_alone(tmp_path):
    """Hostile names and answers stay text: one script, no event handler, nothing fetched."""
    for i in range(7):
        _publish(tmp_path, f"s{i}", "", 1.0, province=EVIL if i else "")
    page = write_site(tmp_path).read_text("utf-8")
    tags = _Tags(page).found
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    assert len(scripts) == 1 and [t for t, _ in tags].count("script") == 1
    hashed = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = next(a["content"] for t, a in tags if a.get("http-equiv") == "Content-Security-Policy")
    assert f"script-src 'sha256-{hashed}'" in policy and "default-src 'none'" in policy
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert "img" not in [t for t, _ in tags]


@pytest.mark.parametrize("left", ["[]", "{", '{"status": 3}', "null"])
def test_a_damaged_manifest_or_result_costs_only_its_own_row(left, tmp_path):
    """The others are listed as ever."""
    good = _publish(tmp_path, "good", "2026-10", 1.0)
    bad = _publish(tmp_path, "bad", "2026-10", 1.0)
    (bad / "manifest.json").write_text(left)
    (bad / "results.json").write_text(left)
    page = write_site(tmp_path).read_text("utf-8")
    assert "1.0 of" in page and good.is_dir()
