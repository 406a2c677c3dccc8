"""Do the numbers hold? The file's integrity, the environment, the notebooks run again, number by number."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, by_system
from workbench.messages import Listed, Message, Number, as_message, say
from workbench.project import project_root
from workbench.reports.handoff import bundle
from workbench.reports.handoff.compare import Comparison, compare, read_report
from workbench.reports.handoff.sealed import LARGEST, Files, Tampered, unpacked, unseal
from workbench.reports.runs.slots import read_manifest
from workbench.reports.runs.sources import values_in
from workbench.result import MINIMUM_CELL

# In every process of the run: whatever Python connects to beyond this machine is refused.
_GUARD = """import sys
def _deny(event, given):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        at = given[0] if event == "socket.getaddrinfo" else given[1]
        host = at[0] if isinstance(at, tuple) else at if event == "socket.getaddrinfo" else None
        host = host.decode() if isinstance(host, bytes) else host
        if host and host not in ("localhost", "::1") and not host.startswith("127."):
            raise OSError("a verification has no network")
sys.addaudithook(_deny)
"""


class NotRun(WorkbenchError):
    """The file is as it was made, but cannot be run here."""


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    `code` is 0 same, 1 differs, 2 could not run, 3 tampered; `environment` are libraries of another version than
    those that made the numbers, `notes` what differs and does not count.
    """

    code: int
    headline: Message
    sha256: str
    environment: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reports: Mapping[str, Comparison] = field(default_factory=dict)


def verify(
    file: Path,
    *,
    data: Path | None = None,
    allow_environment: bool = False,
    timeout: float = 1800,
    jobs: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Verification:
    """Check a bundle, run its notebooks again without network, and compare.

    `data` is the folder with the raw extracts, or with a folder of them for each source; with `allow_environment`
    libraries of another version count as the same.
    """
    began, digest = time.monotonic(), ""
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    options = [f"--timeout={timeout}", *([f"--jobs={jobs}"] if jobs else [])]
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        digest = hashlib.sha256(content).hexdigest()
        files = unseal(content)
        facts, differing, notes = _described(files)
        reports = _run_again(files, facts, data, options, progress)
    except Tampered as error:
        return Verification(3, say("tampered: {why}", why=error), digest)
    except (OSError, WorkbenchError) as error:
        why = by_system(error, file) if isinstance(error, OSError) else error
        return Verification(2, say("could not run: {why}", why=why), digest, differing, notes)
    same = all(c.same for c in reports.values())
    numbers = sum(len(c.numbers) for c in reports.values())
    took = Number(time.monotonic() - began, ".0f")
    outcome = say("same") if same else say("differs")
    said = say("{outcome}: {n} numbers in {seconds} s", outcome=outcome, n=numbers, seconds=took)
    if differing:
        more = ", …" * (len(differing) > 3)
        which = {"said": said, "libraries": f"{', '.join(differing[:3])}{more}"}
        taken = say("{said}; another environment ({libraries}), accepted", **which)
        not_taken = say("{said}; another environment ({libraries}), which --allow-environment accepts", **which)
        said = taken if allow_environment else not_taken
    good = same and (allow_environment or not differing)
    return Verification(int(not good), said, digest, differing, notes, reports)


def pairs(before: str, after: str) -> dict[str, Comparison]:
    """Compare two sides, each STUDY/NAME, the folder of a report, or a bundle.

    Reports are set beside those of the same name; where each side has only one, beside each other.
    """
    with ExitStack() as stack:
        old, new = (stack.enter_context(_side(name)) for name in (before, after))
        names = [*zip(old, new, strict=True)] if len(old) == len(new) == 1 else [(n, n) for n in old if n in new]
        if not names:
            raise WorkbenchError("'{before}' has {names}, '{after}' has {others}: no report in common.").of(
                before, old, after, new
            )
        called = (a if a == b else say("{a} and {b}", a=a, b=b) for a, b in names)
        read = [(read_report(old[a]), read_report(new[b])) for a, b in names]
        for (a, b), (one, other) in zip(names, read, strict=True):
            studies = [side.manifest.get("study") for side in (one, other)]
            apart = one.numbers and other.numbers and not one.numbers.keys() & other.numbers.keys()
            if (None not in studies and studies[0] != studies[1]) or apart:
                raise WorkbenchError(
                    "'{a}' and '{b}' cannot be compared: they have no number in common, or are of two studies. Name "
                    "two reports of one study, of the same campaign."
                ).of(a, b)
        return dict(zip(called, (compare(*sides) for sides in read), strict=True))


@contextmanager
def _side(name: str) -> Iterator[dict[str, Path]]:
    path = Path(name)
    if path.is_file():
        with unpacked(unseal(path.read_bytes())) as root:
            yield {f"{p.parent.name}/{p.name}": p for p in sorted((root / "results").glob("*/*"))}
        return
    folder = path.resolve() if (path / "manifest.json").is_file() else bundle.find_folder(name, project_root())
    yield {f"{folder.parent.name}/{folder.name}": folder}


def _described(files: Files) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """Give what a bundle says of itself, the libraries that have another version here, and what is worth a note."""
    try:
        facts, made = json.loads(files["bundle.json"]), json.loads(files["environment.json"])
        if facts["format"] > bundle.FORMAT:
            raise NotRun("it is of format {format}; this program reads up to {format2}.").of(
                facts["format"], bundle.FORMAT
            )
        if facts["code"] != bundle.code_hash(files):
            raise Tampered("the program in code/ is not the one that bundle.json names.")
        here = bundle.environment(made["packages"])
        versions = ((name, v, here["packages"].get(name, "not installed")) for name, v in made["packages"].items())
        notes: list[str] = []
        differing = [f"{name} {old} → {new}" for name, old, new in versions if old != new]
        if made["python"] != here["python"]:
            minor = made["python"].split(".")[:2] != here["python"].split(".")[:2]
            (differing if minor else notes).insert(0, f"Python {made['python']} → {here['python']}")
        if made["platform"] != here["platform"]:
            notes.append(f"{made['platform']} → {here['platform']}")
        if bundle.code_hash(bundle.program()) != facts["code"]:
            notes.append(say("the workbench here is another version than that of the bundle, which was run"))
        return facts, tuple(differing), tuple(notes)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Tampered("it does not describe itself ({kind}: {error}).").of(type(error).__name__, error) from None


def _run_again(
    files: Files, facts: Mapping[str, Any], data: Path | None, options: list[str], progress: Callable[[str], None]
) -> dict[str, Comparison]:
    if b'"--kernel"' in files["code/workbench/cli.py"]:
        options = [*options, "--kernel=plain"]  # never one that was forked
    with unpacked(files) as root:
        (root / "data" / "mappings").mkdir(parents=True, exist_ok=True)
        call = _caller(root)
        for source, recipe in facts["sources"].items():
            progress(say("data of {source}", source=source))
            _lay_repairs(source, recipe.get("repairs", {}), root, data)
            call("data", "ingest", source, "--raw", str(_raw(source, recipe, root, data, call)))
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for slot in facts["slots"]:
            alike = {"minimum_cell": MINIMUM_CELL} | {k: slot[k] for k in ("changed", "minimum_cell") if k in slot}
            groups.setdefault(json.dumps(alike, sort_keys=True), []).append(slot)
        for same, group in groups.items():
            studies = [slot["study"] for slot in group]
            progress(say("running {studies}", studies=Listed(studies, "")))
            call("run", *_asked(studies, root, **json.loads(same)), *options, good=(0, 1))
        return {slot["name"]: _compared(slot["name"], root) for slot in facts["slots"]}


def _asked(studies: list[str], root: Path, changed: Mapping[str, Any], minimum_cell: int) -> list[str]:
    """Give what asks for the reports: names and parameters, or a plan, which alone can set another smallest cell."""
    if minimum_cell == MINIMUM_CELL:
        return [*studies, *(part for k, v in changed.items() for part in ("-p", f"{k}={v}"))]
    values = [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in changed.items()]
    lines = [line for study in studies for line in ("[[study]]", f'name = "{study}"', "[study.parameters]", *values)]
    (root / "reports" / "plans").mkdir(parents=True, exist_ok=True)
    plan = "\n".join([f"minimum_cell = {minimum_cell}", *lines])
    (root / "reports" / "plans" / "verification.toml").write_text(plan, encoding="utf-8")
    return ["--plan", "verification"]


def _caller(root: Path) -> Callable[..., None]:
    """Give what calls the bundle's own command, without network, history, locale or time zone of this machine."""
    for name in ("guard", "home"):
        (root / name).mkdir()
    (root / "guard" / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    alone = {k: os.environ[k] for k in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if k in os.environ} | {
        "HOME": str(root / "home"),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.pathsep.join([str(root / "guard"), str(root / "code")]),
        "WORKBENCH_HOME": str(root),
        "WORKBENCH_KEY": "of a verification, and no secret",
        **dict.fromkeys(names, "http://127.0.0.1:9"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }

    def call(*arguments: str, good: tuple[int, ...] = (0,)) -> None:
        command = [sys.executable, "-P", "-m", "workbench", *arguments]
        done = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, encoding="utf-8")
        if done.returncode not in good:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1].replace(str(root), ".")
            raise NotRun("workbench {names} ended with {code}: {said}").of(
                " ".join(arguments[:2]), done.returncode, said
            )

    return call


def _raw(source: str, recipe: Mapping[str, Any], root: Path, data: Path | None, call: Callable[..., None]) -> Path:
    """Give the folder of a source's raw extracts: the receiver's if they are the same, else made from the recipe."""

    def wrong(folder: Path) -> str:
        return next((n for n, f in recipe["files"].items() if bundle.file_hash(folder / n) != f["sha256"]), "")

    if recipe["kind"] == "pointer" and not recipe["files"]:  # all its rows stand in its mapping
        (folder := root / "data" / "raw" / source).mkdir(parents=True)
        return folder
    for folder in (data / source, data) if data else ():
        if not wrong(folder):
            return folder.resolve()
    if recipe["kind"] == "sample":
        call("data", "sample", "--customers", str(recipe["customers"]), "--seed", str(recipe["seed"]))
        folder = root / "data" / "raw" / "sample"
        if name := wrong(folder):
            raise NotRun("'{name}' of the sample operator has other bytes when it is made here.").of(name)
        return folder
    if data is None:
        raise NotRun(
            "it needs the raw extracts of '{source}', which are not in it. Name their folder: --data FOLDER."
        ).of(source)
    name = wrong(data / source if (data / source).is_dir() else data)
    raise NotRun("'{name}' of source '{source}' is not in {data}, or is another file than was reported on.").of(
        name, source, data
    )


def _lay_repairs(source: str, repairs: Mapping[str, str], root: Path, data: Path | None) -> None:
    """Lay the receiver's copy of a source's mended records where its ingest looks for them."""
    places = [folder / "repairs" for folder in (data, *data.resolve().parents[:2])] if data else []
    for name, digest in repairs.items():
        if Path(name).name != name or Path(source).name != source:
            raise Tampered("bundle.json names mended records in another folder: {name}.").of(repr(name))
        copies = (place / name for folder in places for place in (folder / source, folder))
        found = next((copy for copy in copies if bundle.file_hash(copy) == digest), None)
        if found is None:
            raise NotRun(
                "it needs the mended records '{name}' of '{source}', which are rows of customers and not in it. Ask "
                "for that file of data/repairs/{source}, and put it into repairs/{source} of the folder of --data."
            ).of(name, source)
        (folder := root / "data" / "repairs" / source).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found, folder / name)


def _compared(name: str, root: Path) -> Comparison:
    """Compare a report with the new one of the same parameters, whatever folder that went to."""
    handed = root / "results" / name
    made = {
        p.parent: read_manifest(p.parent) for p in (root / "reports/site" / handed.parent.name).glob("*/manifest.json")
    }
    asked = values_in(read_manifest(handed))
    again = next((p for p, manifest in made.items() if values_in(manifest) == asked), None)
    if again is None or made[again]["status"] != "done":
        raise NotRun("{where}: {error}").of(name, as_message(made[again]["error"] if again else "it left no report"))
    return compare(read_report(handed), read_report(again))
