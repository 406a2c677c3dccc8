"""JupyterLab in a real browser: it opens on the studies, runs one, and shows its answer."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

SOURCE = str(Path(__file__).parents[2] / "src")
TITLE = "谁会买？<img src=x onerror=\"document.title='attacked'\">"
CELL = """from typing import Literal
province: str = "北京"  # province: whose
channel: Literal["电话", "短信"] = "电话"  # channel: how they are asked
seed: int = 6  # seed: of the draw"""
ANSWER = 'from workbench.reports.page.notebook import answer\nanswer(f"{province}·{channel}: {seed * 7} will buy.")'
PATIENCE = 500  # s: below the limit of a whole test


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project with one quick study, in a folder with Chinese and a space."""
    root = tmp_path_factory.mktemp("lab") / "工作 台"
    (root / "notebooks").mkdir(parents=True)
    (root / "data" / "mappings").mkdir(parents=True)
    cells = [
        new_markdown_cell(f"# {TITLE}"),
        new_code_cell(CELL, metadata={"tags": ["parameters"]}),
        new_markdown_cell("## Answer"),
        new_code_cell(ANSWER),
    ]
    nbformat.write(
        new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}),
        root / "notebooks" / "buyers.ipynb",
    )
    return root


@pytest.fixture(scope="module")
def lab(root):
    """The address of a JupyterLab on the project, with a home of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = root.parent / "home"
    home.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "XDG", "WORKBENCH"))}
    options = f"--no-browser --ip=127.0.0.1 --port={port} --ServerApp.port_retries=0 --IdentityProvider.token=secret"
    with (root.parent / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "workbench", "lab", *options.split(), "--allow-root"],
            cwd=root,
            env=kept | {"HOME": str(home), "PYTHONPATH": SOURCE},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while True:
            with socket.socket() as trial:
                if server.poll() is not None or trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        assert server.poll() is None, (root.parent / "log").read_text("utf-8")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(20)


@pytest.fixture(scope="module")
def browser(lab, tmp_path_factory):
    """Debian's chromium on Lab's first page; the test is skipped where it is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("skipped: no browser here. Debian: apt-get update && apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1400,900", "no-proxy-server"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        opened.get(f"{lab}/lab/tree/notebooks?token=secret")
        yield opened
    finally:
        opened.quit()


@pytest.fixture
def page(browser):
    """What a person does with the page."""
    page = Page(browser)
    yield page
    if folder := os.environ.get("WORKBENCH_SCREENSHOTS"):
        name = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split()[0]
        browser.save_screenshot(str(Path(folder) / f"{name}.png"))


class Page:
    """Looks for what is shown, by selector and words, with patience."""

    def __init__(self, browser):
        self.browser = browser

    def see(self, selector, words="", patience=PATIENCE):
        """Wait until an element that is shown has these words; give it."""
        from selenium.webdriver.support.ui import WebDriverWait

        def found(browser):
            return self._shown(selector, words)

        return WebDriverWait(browser := self.browser, patience, poll_frequency=0.1).until(
            found, f"no {selector!r} with {words!r} on {browser.current_url}"
        )

    def _shown(self, selector, words):
        from selenium.common.exceptions import StaleElementReferenceException

        try:
            return next(
                (
                    e
                    for e in self.browser.find_elements("css selector", selector)
                    if e.is_displayed() and words in e.text
                ),
                None,
            )
        except StaleElementReferenceException:
            return None

    def click(self, selector, words=""):
        """Click it, again if something lay over it or it was drawn anew.

        Lab asks which kernel it shall be where the one that a notebook names has not started yet.
        """
        from selenium.common.exceptions import WebDriverException

        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.see(selector, words).click()
            except WebDriverException:
                if time.monotonic() > until:
                    raise
                with suppress(WebDriverException):
                    if asked := self._shown(".jp-Dialog .jp-mod-accept", "Select"):
                        asked.click()
                time.sleep(0.2)

    def write(self, selector, text):
        """Replace what stands in a field."""
        field = self.see(selector)
        field.clear()
        field.send_keys(text)

    @contextmanager
    def frame(self):
        """Look into the report that is shown."""
        self.browser.switch_to.frame(self.see(".jp-IFrame iframe"))
        yield
        self.browser.switch_to.default_content()


def test_lab_opens_on_the_studies(page, lab):
    """The list of studies and the folder of the notebooks; nothing is asked, nothing comes from elsewhere."""
    assert page.see(".wb-study h2").text == TITLE
    page.see(".jp-DirListing-itemText", "buyers.ipynb")
    assert page.browser.title != "attacked"
    assert not page.browser.find_elements("css selector", ".Toastify__toast")
    asked = page.browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert asked and all(url.startswith((lab, "data:", "blob:")) for url in asked)


def test_a_study_runs_from_its_form_and_shows_its_answer(page):
    """A wrong value is refused beside its field; then the answer, and the report with its links inside Lab."""
    page.click(".wb-study button", "Run…")
    page.write("#wb-seed", "many")
    page.click("#wb-province")  # whoever goes on to the next field is told
    page.see("#wb-seed-error", "must be a whole number")
    page.click(".wb-panel button", "Run")
    page.see("#wb-seed-error", "must be a whole number")
    page.write("#wb-seed", "3")
    page.write("#wb-province", "内蒙古")
    page.click("#wb-channel option", "短信")
    page.click(".wb-panel button", "Run")
    page.see(".wb-answer", "内蒙古·短信: 21 will buy.")
    page.click(".wb-said button", "Open the report")
    with page.frame():
        page.see("main, body", "内蒙古·短信: 21 will buy.")
        page.click("a", "All reports")
        page.see("body", "1 report")


def test_the_launcher_makes_a_study(page, root):
    """A card asks for a name and opens a notebook that was not there before."""
    page.click(".lm-TabBar-addButton")
    page.see(".jp-LauncherCard", "Run a study")
    page.click(".jp-LauncherCard", "New study")
    page.write(".jp-Dialog input", "欠费")
    page.click(".jp-Dialog button", "Make")
    page.see(".jp-NotebookPanel h1", "欠费: what is the question?")
    assert (root / "notebooks" / "欠费.ipynb").is_file()


def test_a_notebook_runs_in_lab(page):
    """All cells run in the kernel of this environment, which need not be chosen."""
    from selenium.common.exceptions import TimeoutException

    page.click(".lm-DockPanel-tabBar .lm-TabBar-tabLabel", "Studies")
    page.click(".wb-panel button", "Open the notebook")
    page.see(".jp-NotebookPanel", "谁会买")
    for _ in range(20):  # a kernel that still starts may miss the first time
        page.click(".lm-MenuBar-item", "Run")
        page.click('.lm-Menu-item[data-command="runmenu:run-all"]')
        with suppress(TimeoutException):
            page.see(".jp-OutputArea-output", "北京·电话: 42 will buy.", patience=20)
            return
    page.see(".jp-OutputArea-output", "北京·电话: 42 will buy.")


def test_create_job_goes_through_the_ledger(page, root):
    """The scheduler's own form, on a notebook as it stands: its job publishes the study's report and hands it over."""
    page.click('.jp-NotebookPanel-toolbar [title="Create a job"]')
    page.see('input[name="jobName"]')
    page.click(".jp-notebook-jobs-panel button", "Create")
    manifest = root / "reports" / "site" / "buyers" / "default" / "manifest.json"
    page.see(".jp-notebook-jobs-panel", "has been created")
    while not manifest.is_file():
        time.sleep(0.2)
    assert json.loads(manifest.read_text("utf-8"))["headline"] == "北京·电话: 42 will buy."
