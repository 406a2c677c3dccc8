"""The command line in Chinese: all of its words, in as many columns as there are; what machines read stays."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import nbformat
import pytest
from babel.messages.pofile import read_po
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench import catalogue, cli
from workbench.errors import unknown
from workbench.lab import server
from workbench.recognised import sentence
from workbench.reports.handoff import crate
from workbench.reports.page.languages import languages, spoken
from workbench.reports.page.tables import width
from workbench.reports.page.terminal import KINDS, print_table
from workbench.reports.runs.parameters import Parameter, split_assignments
from workbench.reports.runs.periods import parse

SOURCE = Path(__file__).parents[1] / "src"
CELL = 'source: str = "sample"  # name: the operator\ntop: float = 0.2  # share: who is called the top'
ENGLISH = re.compile(r"\b[A-Za-z]?[a-z]{2,} [a-z]{2,}\b")
ODD = r"""
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\n"

# a
#: b.py:1
#, fuzzy
msgid "a"
msgstr "甲"

# fuzzy
msgid "b"
msgstr "乙"

msgid ""
"c \"q\"\n"
"d\t"
msgstr ""
"丙\n"
"丁\\"

msgid "e"
msgstr ""
"""
COMMAND = re.compile(r"`[^`]*`|(?<!\w)workbench [\w /.~-]+|\[[a-z|]+\]|SELECT .*")


def _commands(command=cli.workbench, path=()):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from _commands(below, (*path, name))


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with one study whose mapping is there and nothing ingested; Chinese is spoken."""
    root = tmp_path / "工作 台"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "mappings").mkdir(parents=True)
    (root / "data/mappings/sample.toml").write_text("as_of = 2026-07-01")
    cells = [new_markdown_cell("# 谁会买？"), new_code_cell(CELL, metadata={"tags": ["parameters"]})]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / "uplift.ipynb")
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    monkeypatch.setenv("WORKBENCH_LANG", "zh")
    monkeypatch.setenv("COLUMNS", "80")
    return root


@pytest.fixture
def call(capsys):
    """Call the command; give exit code, what it said and what it complained."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        return left.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("path", [path for path, _ in _commands()], ids=" ".join)
def test_help_is_said_in_chinese(path, root, call):
    """No two English words in a row but in commands, none of click's own; no line cut or wider than the terminal."""
    said = call(*path, "--help")[1]
    assert said.startswith("用法：") and "显示本帮助并退出。" in said and "…" not in said
    assert not any(kind in said for kind in KINDS)
    for line in said.splitlines():
        assert not ENGLISH.search(COMMAND.sub("", line)), line
        assert width(line) <= 80 or line.startswith("    workbench "), line


def test_help_in_english_is_clicks_own(root, call, monkeypatch):
    """In the same process, Chinese before: nothing of it is left."""
    call("run", "--help")
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    for path, command in _commands():
        said = call(*path, "--help")[1]
        assert not re.search("[一-鿿]", said)
        with click.Context(command, info_name=" ".join(("workbench", *path))) as context:
            assert said.startswith("Usage: ") and context.get_usage().split()[-1] in said


def test_lists_status_and_a_run_are_said_in_chinese(root, call):
    """Headings, states, and what a run did; a study that fails is said as such."""
    code, said, _ = call("list")
    assert code == 0 and said.splitlines()[1].split() == ["参数", "类型", "默认值", "单位", "含义"]
    assert call("status")[1].splitlines()[-1] == "尚未运行过"
    path = root / "notebooks" / "plain.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 一"), new_code_cell("1 + 1")]), path)
    code, said, told = call("run", "plain", "--kernel", "plain")
    assert code == 0, told
    assert re.fullmatch(r"1份报告：完成1，用时[\d.]+秒\n请打开.*index\.html\n", said)
    assert re.search(r"plain：完成（[\d.]+秒）", told)
    assert call("run", "plain")[1].startswith("无事可做：1份报告均为最新\n请打开")
    head, line, last = call("status")[1].splitlines()
    assert head.split() == ["研究", "报告", "状态", "次数", "完成时间", "秒", "结论或错误"]
    assert line.split()[:4] == ["plain", "default", "完成", "1"] and last == "完成1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "没有名为“rnu”的命令。是否指“run”？现有：“report”"),
        (["run", "uplit"], "没有名为“uplit”的研究。是否指“uplift”？现有：“uplift”。"),
        (["run", "-p", "tpo=1"], "研究“uplift”没有参数“tpo”。是否指“top”？现有：“source”、“top”。"),
        (["run", "-p", "top=much"], "研究“uplift”：参数“top”的取值为“much”，应为数字，例如0.25。"),
        (["run", "-p", "top"], "参数“top”不符合name=value的格式"),
        (["run", "-p", "source=smaple"], "data/mappings中没有名为“smaple”的数据来源。是否指“sample”？"),
        (["run", "-p", "source=sample"], "“sample”没有数据仓库。请运行：workbench data ingest sample"),
        (["data", "check"], "没有“sample”的数据仓库。请运行：workbench data ingest sample"),
        (["run", "--jobs", "0"], "“--jobs”的取值无效：0不在范围x>=1内。请看--help。"),
        (["run", "--forse"], "没有选项“--forse”。"),
        (["new"], "缺少参数“STUDY”。请看--help。"),
        (["run", "--period", "2026-13"], "“2026-13”不是时期：没有这样的月或年。"),
        (["run", "--period", "9000"], "时期“9000”在"),
        (["run", "--plan", "monthly"], "reports/plans中没有名为“monthly”的计划。"),
        (["run", "--lang", "fr"], "没有名为“fr”的语言。现有：“en”、“zh”。"),
        (["run", "--lang", "zn"], "没有名为“zn”的语言。是否指“zh”？"),
        (["data", "describe", "bil"], "没有名为“bil”的表。是否指“bill”？"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refusals_are_said_in_chinese(arguments, words, root, call):
    """One line, exit 2, and no English sentence in it."""
    code, said, complained = call(*arguments)
    assert (code, said) == (2, "")
    assert complained.startswith("workbench: ") and words in complained
    assert not ENGLISH.search(COMMAND.sub("", complained)), complained


def test_what_the_system_refuses_is_said_in_chinese(root, call):
    """Its words are an entry, at every door where a file is opened."""
    code, _, told = call("handoff", "verify", str(root / "nothing.zip"))
    assert code == 2 and "nothing.zip”：没有该文件或文件夹。" in told and not (root / "nothing.html").exists()


def test_a_refusal_of_a_notebook_is_said_in_chinese(root, call):
    """It was raised in another process, which keeps its English alone: on the page, in the lines and in the status."""
    raised = "import pandas as pd\nfrom workbench.columns import number\nnumber(pd.Series(['a']), 'fee')"
    path = root / "notebooks" / "plain.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# 一"), new_code_cell(raised)]), path)
    words = "列“fee”不是数字：含有str “a”。请给数字：请修正。"
    code, _, told = call("run", "plain", "--kernel", "plain")
    assert code == 2 and words in told, told
    assert words in re.sub(r"\n +", " ", call("status")[1])
    assert words in (root / "reports/site/plain/default/failure.html").read_text("utf-8")


def test_a_plan_is_listed_in_whatever_language(root, call, monkeypatch):
    """Listing asks for no report: a language that nobody knows is English there, and refused where one is made."""
    (root / "reports/plans").mkdir(parents=True)
    (root / "reports/plans/all.toml").write_text('[[study]]\nname = "plain"')
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), root / "notebooks" / "plain.ipynb")
    monkeypatch.setenv("WORKBENCH_LANG", "fr")
    for command in ("list", "status"):
        code, said, _ = call(command, "--plan", "all")
        assert code == 0 and said.split()[:3] == ["study", "slot", "state"]
    assert call("run", "--plan", "all")[0] == 2


def test_tables_are_described_in_chinese(root, call):
    """Names, types and codes stay; meanings, units and rules are said, and that a table has no key."""
    said = [call("data", "describe", *table)[1] for table in ((), ("bill",), ("detail_record",))]
    assert re.search(r"\nbill +每行一张账单：", said[0])
    assert re.search(r"\ndiscount +double +货币单位 +不得缺失；0至10000000\s+当月的优惠、退费和终端补贴", said[1])
    assert "行的标识：无；允许有相同的行。" in said[2]
    assert not ENGLISH.search("\n".join(said).replace("  ", "|"))


def test_a_frame_says_what_it_holds(root, call):
    """A plan's key that does not exist, and a mapping's, in the sentence that names the file."""
    (root / "reports/plans").mkdir(parents=True)
    (root / "reports/plans/all.toml").write_text('jbos = 1\n[[study]]\nname = "uplift"')
    assert "计划“all”：没有名为“jbos”的键。是否指“jobs”？" in call("run", "--plan", "all")[2]


def test_not_covered_is_said_in_chinese():
    """What was asked, how far the data reach, and what to ask instead; a plan and a study around it."""
    from workbench.errors import unknown
    from workbench.messages import Name, Term, say

    inside = say("period '{period}'", period="2026-10")
    said = say(
        "study '{study}': {what} is not covered: the data of '{source}' end with {last} (as_of = {as_of}).",
        study="uplift",
        what=inside,
        source="sample",
        last=Name("2026-06-30"),
        as_of=Name("2026-07-01"),
    )
    expected = "研究“uplift”：数据未覆盖时期“2026-10”：“sample”的数据到2026-06-30为止（as_of = 2026-07-01）。"
    assert said.said("zh") == expected
    framed = say("plan '{name}': {error}", name="all", error=unknown("key", "x", ["y"]))
    assert framed == "plan 'all': no key 'x'. There are: 'y'."
    assert framed.said("zh") == "计划“all”：没有名为“x”的键。现有：“y”。"
    assert Term("month").said("zh") == "月"


def test_what_machines_read_is_the_same_in_every_language(root, call, monkeypatch):
    """The format of a scheduler but for its comments and descriptions, a version, a page's numbers."""
    both, for_people = [], re.compile(r"^(# .*|Description=.*)$", re.MULTILINE)
    for language in ("zh", "en"):
        monkeypatch.setenv("WORKBENCH_LANG", language)
        said = [call("schedule", "show", "--format", form)[1] for form in ("cron", "systemd", "k8s")]
        both.append([for_people.sub("#", text.split("\n", 1)[1]) for text in said])
    assert both[0] == both[1]


def _run(*arguments, **environment):
    environment = {k: v for k, v in os.environ.items() if k != "WORKBENCH_LANG"} | {
        "PYTHONPATH": str(SOURCE),
        **environment,
    }
    return subprocess.run([sys.executable, "-m", "workbench", *arguments], env=environment, capture_output=True)


@pytest.mark.parametrize(
    ("encoding", "written"), [("gbk", "gbk"), ("gb18030", "gb18030"), ("ascii", "utf-8"), ("latin-1", "utf-8")]
)
def test_a_console_gets_chinese_in_its_own_encoding(encoding, written):
    """GBK stays GBK; an encoding without Chinese is given up for UTF-8."""
    done = _run("--help", PYTHONIOENCODING=encoding, LANG="zh_CN.UTF-8", LC_ALL="zh_CN.UTF-8")
    assert done.stdout.decode(written).startswith("用法：workbench")


def test_signs_that_gbk_lacks_are_written_with_their_nearest(root):
    """A minus sign is a hyphen; anything else is named by its number, and nothing is lost in a traceback."""
    path = root / "notebooks" / "uplift.ipynb"
    path.write_text(path.read_text("utf-8").replace("谁会买？", "−5\u00a0¥ ☃"), encoding="utf-8")
    done = _run("list", PYTHONIOENCODING="gbk", WORKBENCH_LANG="zh")
    assert done.stdout.decode("gbk").startswith("uplift: -5 ￥ \\u2603")


def test_the_language_is_that_of_the_machine_unless_another_is_asked_for(monkeypatch):
    """WORKBENCH_LANG before the locale; one that nobody knows is English."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("WORKBENCH_LANG", "")
    assert spoken() == "zh"
    for asked, expected in (("en", "en"), ("en,zh", "en"), ("zh,en", "zh"), ("fr", "en")):
        monkeypatch.setenv("WORKBENCH_LANG", asked)
        assert spoken() == expected


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_loads_nothing_heavy(language):
    """Neither Babel nor what reports need, in either language; in English not even the catalogue."""
    heavy = "babel", "pandas", "numpy", "duckdb", "jinja2", "nbformat", "matplotlib", "tqdm"
    program = (
        "import sys\nfrom workbench.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "from workbench import catalogue, messages\n"
        f"print([m for m in {heavy} if m in sys.modules], catalogue.catalogue.cache_info().currsize)"
    )
    environment = os.environ | {"PYTHONPATH": str(SOURCE), "WORKBENCH_LANG": language}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, encoding="utf-8")
    assert done.stdout.splitlines()[-1] == f"[] {int(language == 'zh')}"


@pytest.mark.parametrize("name", ["zh.po", "zh.prose.po"])
def test_our_reader_reads_what_babel_reads(name, tmp_path, monkeypatch):
    """The catalogues, and one with lines that go on, escapes, flags and comments."""
    odd = tmp_path / name
    odd.write_text(ODD, encoding="utf-8")
    for folder in (catalogue.CATALOGUES, tmp_path):
        monkeypatch.setattr(catalogue, "CATALOGUES", folder)
        with (folder / name).open("rb") as file:
            babel = {str(e.id): str(e.string) for e in read_po(file) if e.id and e.string and not e.fuzzy}
        assert catalogue._entries(name) == babel and len(babel) > 1


def test_every_label_of_the_panel_has_an_entry():
    """What the extension asks for by t('…') is in the catalogue."""
    assert len(server.words("en")) > 20
    assert all(re.search("[一-鿿：]", said) for said in server.words("zh").values())


def test_the_readme_of_a_bundle_is_said_in_chinese():
    """Headlines as their reports say them, the commands as in English, and nothing else of it."""
    sources = {"sample": {"kind": "sample"}, "crm": {"kind": "pointer", "files": {"a.csv": {}}}}
    slots = [{"name": "uplift/default", "study": "uplift", "headline": "Contact pays."}]
    facts = {"sources": sources, "slots": slots, "minimum": 10}
    english, said = crate.readme(facts), crate.readme(facts, "zh", {"uplift/default": "触达盈利。"})
    assert (
        "- uplift/default: 触达盈利。" in said
        and "不足10人的数字不显示。" in said
        and "接收方须自备crm的原始数据" in said
    )
    assert re.findall("```\n(.*?)```", said, re.DOTALL) == re.findall("```\n(.*?)```", english, re.DOTALL)
    assert not ENGLISH.search(re.sub("```.*?```|`.*?`|Process Run Crate", "", said, flags=re.DOTALL))


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("gd", "“广东”"),
        ("guangdong", "“广东”"),
        ("ＧＤ", "“广东”"),
        ("nmg", "“内蒙古”"),
        ("shanxi", "“山西”、“陕西”之一"),
        ("广东省", "“广东”"),
    ],
)
def test_a_province_is_found_by_its_pinyin(given, near):
    """By initials and syllables, in letters of any width; where several fit, all are named."""
    refused = unknown("province", given, ["内蒙古", "山西", "广东", "陕西"])
    for said in (refused.said("zh"), sentence(str(refused), "zh")):  # where only its English is left, too
        assert f"是否指{near}？" in said


def test_parameters_of_full_width_are_understood(root, call):
    """Digits, choices, names, signs and commas, as a Chinese keyboard types them; names from data as given."""
    kind = Parameter("basis", "str", "usage", choices=("usage", "payments"))
    assert (
        kind.parse("ｕｓａｇｅ") == "usage"
        and Parameter("day", "date", "2026-07-01").parse("２０２６－０７－０１") == "2026-07-01"
    )
    assert Parameter("campaign", "str", "").parse("ＡＢ") == "ＡＢ"
    assert (
        split_assignments(["ｔｏｐ＝０．５"]) == {"top": "０．５"}
        and Parameter("top", "float", 0.2).parse("０．５") == 0.5
    )
    assert parse("２０２６Ｑ２").label == "2026Q2" and languages("zh，en") == ("zh", "en")
    assert "是否指“data_upgrade”？" in unknown("campaign", "ｄａｔａ＿upgrade", ["data_upgrade"]).said("zh")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("columns", ["80", "60"])
def test_tables_keep_to_the_terminal(language, columns, root, call, monkeypatch):
    """Double-width words, long names and long sentences: folded or cut by a rule, no line over its columns."""
    monkeypatch.setenv("WORKBENCH_LANG", language)
    monkeypatch.setenv("COLUMNS", columns)
    name = "很长的研究名称" * 4
    cells = [
        new_markdown_cell("# 哪些客户可能离网，公式是否仍然成立，触达谁才划算，名单上的客户又应当由谁负责？"),
        new_code_cell(
            'source: str = "sample"  # name: the operator\n' + CELL.split("\n")[1], metadata={"tags": ["parameters"]}
        ),
    ]
    nbformat.write(new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")
    for command in (
        ["list"],
        ["status"],
        ["data", "describe"],
        ["data", "describe", "bill"],
        ["list", "--source", "sample"],
    ):
        code, said, _ = call(*command)
        assert code in (0, 2), command
        for line in said.splitlines():
            assert width(line) <= int(columns), (command, line)


def test_a_table_too_wide_for_its_terminal_keeps_its_last_column_whole(capsys, monkeypatch):
    """Beside the others where a third of the line is left, else below; the widest others are cut; a file has no end."""
    monkeypatch.setenv("COLUMNS", "40")
    rows = [["研究" * 20, "甲", "结论" * 30], ["b", "乙", "x"]]
    print_table(["a", "b", "c"], rows)
    said = capsys.readouterr().out
    assert max(map(width, said.splitlines())) <= 40 and re.sub(r"\s", "", said).count("结论") == 30 and "…" in said
    print_table(["a", "b", "c"], [["甲", "乙", "丙" * 30]], indent=2)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "  a   b   c" and said[1].startswith("  甲  乙  丙") and said[2] == " " * 10 + "丙" * 15
    print_table(["a", "b", "c"], rows, file=sys.stdout)
    assert capsys.readouterr().out.splitlines()[1] == "研究" * 20 + "  甲  " + "结论" * 30


def test_the_program_has_an_option_for_its_language(root, call, monkeypatch):
    """For help, refusals and what commands say; a language that nobody knows is refused by name."""
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    assert call("--lang", "zh", "--help")[1].startswith("用法：")
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    assert "没有名为“rnu”的命令" in call("--lang", "zh", "rnu")[2]
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    code, _, told = call("--lang", "fr", "list")
    assert code == 2 and "no language 'fr'" in told


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_gbk_console_takes_what_nobody_has_in_gbk(language, root):
    """A rare character and Arabic in a refusal: named by their numbers, no traceback."""
    done = _run("run", "upl𠮷ft", "مرحبا", PYTHONIOENCODING="gbk", WORKBENCH_LANG=language)
    told = done.stderr.decode("gbk")
    assert done.returncode == 2 and r"upl\U00020bb7ft" in told and "Traceback" not in told
