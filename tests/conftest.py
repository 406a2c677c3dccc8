"""Fixtures that several rooms need."""

import gc
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

from workbench import messages
from workbench.locks import locked

settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")  # a new counterexample is looked for at the desk, not in somebody else's change

ROOT = Path(__file__).resolve().parents[1]

os.environ["WORKBENCH_LANG"] = "en"  # what is said is compared in English, whatever the machine speaks

# A shell that runs `make test &` has Ctrl-C ignored, also in what the tests start and stop by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a test writes need not outlive the machine, and each ingest would wait for the disk 60 times.
os.fsync = lambda handle: None

messages.MOST_KEPT = 10**6  # results are kept for a whole run here, and their tables said at its end

# A grammar that takes a second to load: workers of reports (`prepare_worker`) and kernels go without it too.
sys.modules.setdefault("rfc3987_syntax", None)


# Files of ten CPU seconds and more, longest first: begun first, so that the workers of `make test` end together.
LONGEST = (
    "tests/test_metamorphic.py",
    "tests/test_doors.py",
    "notebooks/segmentation.ipynb",
    "tests/warehouse/test_parts_and_rules.py",
    "tests/warehouse/test_identity.py",
    "tests/warehouse/test_parts.py",
    "tests/reports/test_handoff_bundle.py",
    "tests/warehouse/test_ingest.py",
    "tests/warehouse/test_deliveries.py",
    "tests/warehouse/test_engines.py",
    "tests/reports/test_ledger.py",
    "tests/warehouse/test_months.py",
    "tests/lab/test_lab_browser.py",
    "tests/studies/test_segmentation_clusters.py",
    "tests/reports/test_kernels.py",
    "tests/studies/test_uplift_hillstrom.py",
    "tests/warehouse/test_rules.py",
    "tests/test_sentences.py",
    "notebooks/path_model.ipynb",
    "tests/warehouse/test_adhoc.py",
    "tests/studies/test_observational_treated.py",
    "tests/warehouse/test_clear.py",
    "tests/warehouse/test_views.py",
    "tests/warehouse/test_prepare.py",
    "tests/reports/test_stops.py",
    "tests/methods/test_trials_metamorphic.py",
    "tests/reports/test_privacy.py",
    "notebooks/satisfaction.ipynb",
    "tests/studies/test_fraud.py",
    "tests/methods/test_trials_learners.py",
    "tests/warehouse/test_broken_files.py",
    "tests/studies/test_segmentation_truth.py",
)


class OnlyWithExamples:
    """Collects doctests of the files that have some: every worker would load and search all the others."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path):
        """Leave out doctests of a file that shows no prompt."""
        found = yield
        shows = file_path.suffix != ".py" or b">>> " in file_path.read_bytes()
        return [node for node in found if shows or type(node).__name__ != "DoctestModule"]


def pytest_configure(config):
    """Look at all files, not at those of this folder alone."""
    config.pluginmanager.register(OnlyWithExamples())


def pytest_collection_modifyitems(items):
    """Order the files: the longest, the notebooks, all others."""
    place = {name: at for at, name in enumerate(LONGEST)}

    def order(item):
        file = item.nodeid.split("::")[0]
        return place.get(file, len(place) + (not file.endswith(".ipynb")))

    items.sort(key=order)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Let no collection of garbage look through the thousands of tests and the loaded libraries, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_sessionfinish():
    """Let what the libraries hold be taken down in order."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_figure_stays_open():
    """Close what a test drew, so that no test sees another's figures."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def until():
    """Wait until a question is answered with something true, however slow the machine; give the answer.

    Only the limit of the whole test (`make test` sets one) ends it, and the end of the process that is waited for.
    """

    def until(true, process=None):
        while True:
            over = process is not None and process.poll() is not None
            if found := true():
                return found
            assert not over, f"the process ended with {process.returncode} before it happened"
            time.sleep(0.02)

    return until


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the project; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("skipped: the public data sets (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def operator(tmp_path_factory) -> Path:
    """A project with the default sample operator, ingested: made once, whichever process of a run asks first.

    A copy of the project's own where `make test` says that it has just made that.
    """
    from workbench.sample import write_sample
    from workbench.warehouse.ingest import ingest

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = base / "operator"
    (base / "operator.lock").touch()
    with locked(base / "operator.lock"):
        if not (root / "data/warehouse/sample/CURRENT").exists():
            for part in ("mappings", "models"):
                (root / "data" / part).mkdir(parents=True, exist_ok=True)
                for file in (ROOT / "data" / part).glob("*.toml"):
                    (root / "data" / part / file.name).write_bytes(file.read_bytes())
            if os.environ.get("WORKBENCH_SAMPLE_IS_NEW") and (ROOT / "data/private/key").is_file():
                for part in ("private", "raw/sample", "warehouse/sample"):
                    shutil.copytree(ROOT / "data" / part, root / "data" / part)
            else:
                write_sample(root / "data/raw/sample")
                ingest("sample", root=root)
    return root


OF_ONE_JOB = {"PYTEST_CURRENT_TEST", "WORKBENCH_HOME", "WORKBENCH_OUTPUT", "WORKBENCH_MINIMUM_CELL"}


def _environment() -> dict[str, str]:
    """What a worker of reports is started in, but for what each job sets anew."""
    return {name: value for name, value in os.environ.items() if name not in OF_ONE_JOB}


@pytest.fixture(scope="session")
def kept_workers():
    """Let one run of reports leave its workers to the next, with the process that has the libraries loaded.

    As within one run: a worker makes up to a hundred reports. One that was killed, that has done its share, or that
    was started in another environment ends with its run. That plain and forked kernels give the same, and that none of
    them outlives its run, is in tests/reports/test_kernels.py and test_stops.py, on workers of their own: what is
    yielded here starts such.
    """
    from workbench.reports.runs import kernels, render, workers

    spare, lane, as_before, preload = [], workers._Lane, _environment(), render._preload

    class Kept(lane):
        def start(self, job):
            if self._pool is None and spare and _environment() == as_before:
                self.__dict__.update(spare.pop())
            self.as_others = _environment() == as_before
            return super().start(job)

        def end(self):
            lives = self._work is not None and self._work.done()
            lives = lives and not isinstance(self._work.exception(), workers.BrokenProcessPool)
            if self._pool is not None and lives and self.as_others and self._jobs <= workers.RENEWED_AFTER:
                spare.append(vars(self).copy())
            else:
                super().end()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_Lane", Kept)
        if kernels.FORKS:
            always = lambda due, kernel: preload(due, kernel) or (("any",) if kernel == "auto" else ())  # noqa: E731
            patch.setattr(render, "_preload", always)
        yield lane
    for kept in spare:
        kept["_pool"].shutdown()
