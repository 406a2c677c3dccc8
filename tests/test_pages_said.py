"""Whole Chinese pages of the sample operator: no English is left where a reader reads."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from workbench.reports.runs.render import run

pytestmark = pytest.mark.usefixtures("kept_workers")

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("rollout", "voice")
NAMES = re.compile(
    r"\b(ARPU|NPS|RFM|HHI|PLS|TCSI|CVPAT|HTMT|AVE|TOC|AUTOC|Qini|Gini|Calinski-Harabasz|Davies-Bouldin|Fornell-Larcker|"
    r"Holm|Bonferroni|PDF|json|xlsx|workbench|English|Wilson|Jaccard|bootstrap|Delta)\b"
)
PAIR = re.compile(r"[A-Za-z]{2,}[ ,;:'’-]+[a-z]{2,}")


class _Texts(HTMLParser):
    """Collects the texts of a page that people read, and what pictures say; not code, names of numbers, parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.within: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("alt", "title", "aria-label") and value]
        if tag not in ("br", "img", "meta", "input", "link", "hr", "wbr", "col"):
            self.within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.within and self.within.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"style", "script", "code", "pre", "dt", "bdi"} & set(self.within):
            self.found.append(data.strip())


def english(page: str) -> list[str]:
    """The pieces of a page's text in which two English words follow each other."""
    texts = _Texts()
    texts.feed(re.sub(r"<summary>[^<]*results\.json[^<]*</summary>.*?</details>", "", page, flags=re.DOTALL))
    without_names = {text: NAMES.sub("·", re.sub(r"`[^`]*`|workbench [\w. -]+", "", text)) for text in texts.found}
    return [text for text, rest in without_names.items() if PAIR.search(rest)]


@pytest.fixture(scope="module")
def project(tmp_path_factory, operator):
    """A project of the sample operator with all notebooks."""
    root = tmp_path_factory.mktemp("页面")
    (root / "data").symlink_to(operator / "data")
    (root / "notebooks").mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        (root / "notebooks" / notebook.name).write_bytes(notebook.read_bytes())
    return root


def test_english_is_found():
    """In text and in what pictures say; not in code, names and the record of numbers."""
    page = "<p>第一 two words</p><img alt='a picture of it'><code>two words</code><p>Fornell-Larcker与PLS</p>"
    assert english(page) == ["第一 two words", "a picture of it"]


def pages_are_chinese(root: Path, studies: tuple[str, ...]) -> None:
    made = run(studies, root=root, progress=False, languages=("zh",)).slots
    assert {slot.study for slot in made if slot.status == "done"} >= set(studies) and made
    left = {slot.study: english((slot.folder / "index.html").read_text("utf-8")) for slot in made}
    left["index"] = english((root / "reports" / "site" / "index.html").read_text("utf-8"))
    assert not {study: texts for study, texts in left.items() if texts}


def test_pages_are_chinese(project, monkeypatch):
    """From the title to the last caption, and the index."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    pages_are_chinese(project, QUICK)


@pytest.mark.prove
def test_every_page_is_chinese_with_the_same_numbers(project, monkeypatch):
    """All studies; results.json is the same bytes in English."""
    monkeypatch.setenv("WORKBENCH_HOME", str(project))
    pages_are_chinese(project, ())
    before = {path: path.read_bytes() for path in project.glob("reports/site/*/*/results.json")}
    run(root=project, progress=False, languages=("en",))
    assert len(before) >= 15 and {path: path.read_bytes() for path in before} == before
