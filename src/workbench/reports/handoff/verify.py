"""Do the numbers hold? The file's integrity, the environment, the notebooks run again, number by number."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.reports.compare import Comparison, compare, read_report
from workbench.reports.handoff.bundle import FORMAT, SUMS, code_hash, environment, file_hash, is_safe, pack, program

LARGEST = 2**30
_KEY = "pseudonyms of a verification, no secret"
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


class Tampered(WorkbenchError):
    """The file is not as it was made."""


class NotRun(WorkbenchError):
    """The file is as it was made, but cannot be run here."""


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes
    ----------
    code : int
        0 same, 1 differs, 2 could not run, 3 tampered.
    headline : str
        The finding in a sentence.
    sha256 : str
        Of the file.
    environment : tuple of str
        Libraries of another version than those that made the numbers.
    notes : tuple of str
        What differs and does not count.
    reports : dict
        Comparison by report.
    seconds : float
    """

    code: int
    headline: str
    sha256: str = ""
    environment: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reports: Mapping[str, Comparison] | None = None
    seconds: float = 0.0


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

    Parameters
    ----------
    file : Path
    data : Path, optional
        Folder with the raw extracts, or with a folder of them for each source.
    allow_environment : bool
        Let libraries of another version count as the same.
    timeout, jobs
        Seconds for a notebook, and notebooks at a time.
    progress : callable
        Called with a line of text before each step.
    """
    began = time.monotonic()
    digest = ""
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST + 1)
        digest = hashlib.sha256(content).hexdigest()
        files = unpack(content)
        facts = _facts(files)
        differing, notes = _environment(files)
        reports = _compared(files, facts, data, timeout, jobs, progress)
    except Tampered as error:
        return Verification(3, f"tampered: {error}", digest)
    except (NotRun, OSError) as error:
        return Verification(2, f"could not run: {error}", digest, seconds=time.monotonic() - began)
    same = all(c.same for c in reports.values())
    numbers = sum(len(c.numbers) for c in reports.values())
    said = f"{'same' if same else 'differs'}: {numbers:,} numbers of {len(reports)} reports compared"
    if differing:
        accepted = "accepted" if allow_environment else "which --allow-environment accepts"
        said += f"; another environment ({', '.join(differing[:3])}{' …' * (len(differing) > 3)}), {accepted}"
    code = 0 if same and (not differing or allow_environment) else 1
    return Verification(code, said, digest, differing, notes, reports, time.monotonic() - began)


def unpack(content: bytes) -> dict[str, bytes]:
    """Give the files of a bundle by name, every byte of it checked.

    Raises
    ------
    Tampered
        If it is no whole zip, holds a name that leaves its folder, a link, a name twice, what is not listed or lacks
        what is, or has a byte that its content does not account for.
    """
    if len(content) > LARGEST:
        raise Tampered(f"it is larger than {LARGEST:,} bytes, as no bundle is.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries, len(content))
            files = {entry.filename: archive.read(entry) for entry in entries}
    except Tampered:
        raise
    except Exception as error:  # zipfile fails in many ways on what is not whole
        raise Tampered(f"it is no whole zip file ({type(error).__name__}: {error}).") from None
    _check_sums(files)
    if pack(files) != content:
        raise Tampered("bytes outside of its files were changed: times, permissions, order, a comment or an addition.")
    return files


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.orig_filename for entry in entries]
    folded = [unicodedata.normalize("NFC", name).casefold() for name in names]
    for entry, name in zip(entries, names, strict=True):
        if not is_safe(name):
            raise Tampered(f"the name {name!r} leads outside of the folder, or does not exist on every system.")
        if entry.external_attr >> 28 == 0xA:
            raise Tampered(f"{name!r} is a link.")
        if folded.count(unicodedata.normalize("NFC", name).casefold()) > 1:
            raise Tampered(f"the name {name!r} is there twice.")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Tampered(f"{name!r} is compressed or encrypted, as no file of a bundle is.")
    if sum(entry.file_size for entry in entries) > size:
        raise Tampered("its files claim more bytes than it has.")


def _check_sums(files: Mapping[str, bytes]) -> None:
    listed = {}
    for line in files.get(SUMS, b"").decode("utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    if missing := sorted(set(listed) - set(files)):
        raise Tampered(f"the file {missing[0]!r} was removed.")
    if added := sorted(set(files) - set(listed) - {SUMS}):
        raise Tampered(f"the file {added[0]!r} is not in {SUMS}.")
    for name, digest in listed.items():
        if hashlib.sha256(files[name]).hexdigest() != digest:
            raise Tampered(f"the file {name!r} was changed.")


def _facts(files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        facts = json.loads(files["bundle.json"])
        if facts["format"] > FORMAT:
            raise NotRun(f"it is of format {facts['format']}; this program reads up to {FORMAT}. Use a newer one.")
        if facts["code"] != code_hash(files):
            raise Tampered("the program in code/ is not the one that bundle.json names.")
        return facts
    except (KeyError, TypeError, ValueError) as error:
        raise Tampered(f"bundle.json does not describe it ({type(error).__name__}: {error}).") from None


def _environment(files: Mapping[str, bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Compare the environment: what counts as another one, and what is worth a note."""
    made = json.loads(files["environment.json"])
    here = environment("".join(f"{name}==\n" for name in made["packages"]))
    differing = [
        f"{name} {version} → {here['packages'].get(name, 'not installed')}"
        for name, version in made["packages"].items()
        if here["packages"].get(name) != version
    ]
    python = [e["python"].split(".") for e in (made, here)]
    said = f"Python {made['python']} → {here['python']}"
    if python[0][:2] != python[1][:2]:
        differing.insert(0, said)
    notes = [said] if python[0] != python[1] and python[0][:2] == python[1][:2] else []
    if made["platform"] != here["platform"]:
        notes.append(f"{made['platform']} → {here['platform']}")
    if code_hash(program()) != code_hash(files):
        notes.append("the workbench installed here is another version; the bundle's own was run")
    return tuple(differing), tuple(notes)


def _compared(
    files: Mapping[str, bytes], facts: Mapping[str, Any], data: Path | None, timeout: float, jobs: int | None,
    progress: Callable[[str], None],
) -> dict[str, Comparison]:  # fmt: skip
    with unpacked(files) as root:
        call = _caller(root)
        for source, recipe in facts["sources"].items():
            progress(f"data of {source}")
            raw = _raw(source, recipe, root, data, call)
            call("data", "ingest", source, "--raw", str(raw))
        groups: dict[str, list[dict[str, Any]]] = {}
        for slot in facts["slots"]:
            groups.setdefault(json.dumps(slot["changed"], sort_keys=True), []).append(slot)
        for group in groups.values():
            studies = [slot["study"] for slot in group]
            progress(f"running {', '.join(studies)}")
            given = [part for k, v in group[0]["changed"].items() for part in ("-p", f"{k}={v}")]
            # Kernels are plain ones wherever the program knows others.
            plain = ["--kernel", "plain"] if b'"--kernel"' in files["code/workbench/cli.py"] else []
            wanted = [f"--timeout={timeout}", *([f"--jobs={jobs}"] if jobs else [])]
            call("run", *studies, *given, *plain, *wanted, good=(0, 1))
        return {f"{s['study']}/{s['slot']}": _one(s, root) for s in facts["slots"]}


@contextmanager
def unpacked(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a temporary folder with checked files, as a project that can be run."""
    with tempfile.TemporaryDirectory(prefix="wb-verify-") as folder:
        root = Path(folder).resolve()
        (root / "data" / "mappings").mkdir(parents=True)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        yield root


def _caller(root: Path) -> Callable[..., None]:
    """Give what calls the bundle's own command, without network, history, locale or time zone of this machine."""
    (root / "guard").mkdir()
    (root / "guard" / "sitecustomize.py").write_text(_GUARD, encoding="utf-8")
    (root / "home").mkdir()
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    nowhere = dict.fromkeys(
        ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"
    )
    alone = {k: os.environ[k] for k in kept if k in os.environ} | nowhere | {
        "HOME": str(root / "home"), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1", "PYTHONPATH": os.pathsep.join([str(root / "guard"), str(root / "code")]),
        "WORKBENCH_HOME": str(root), "WORKBENCH_KEY": _KEY, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip

    def call(*arguments: str, good: Iterable[int] = (0,)) -> None:
        command = [sys.executable, "-P", "-m", "workbench", *arguments]
        done = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True, encoding="utf-8")
        if done.returncode not in good:
            said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1].replace(str(root), ".")
            raise NotRun(f"workbench {' '.join(arguments[:2])} ended with {done.returncode}: {said}")

    return call


def _raw(source: str, recipe: Mapping[str, Any], root: Path, data: Path | None, call: Callable[..., None]) -> Path:
    """Give the folder of a source's raw extracts: the receiver's if they are the same, else made from the recipe."""
    given = [p for p in (data / source, data) if p.is_dir()] if data else []
    wrong = ""
    for folder in given:
        wrong = next((n for n, f in recipe["files"].items() if not _is(folder / n, f["sha256"])), "")
        if not wrong:
            return folder.resolve()
    if recipe["kind"] == "sample":
        call("data", "sample", "--customers", str(recipe["customers"]), "--seed", str(recipe["seed"]))
        folder = root / "data" / "raw" / "sample"
        wrong = next((n for n, f in recipe["files"].items() if not _is(folder / n, f["sha256"])), "")
        if wrong:
            raise NotRun(f"'{wrong}' of the sample operator is not made here with the same bytes.")
        return folder
    if wrong:
        raise NotRun(f"'{wrong}' of source '{source}' in --data is missing, or is not the file that was reported on.")
    raise NotRun(
        f"it needs the raw extracts of source '{source}', which are not in it. Name their folder: --data FOLDER."
    )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and file_hash(path) == digest


def _one(slot: Mapping[str, Any], root: Path) -> Comparison:
    handed = root / "results" / slot["study"] / slot["slot"]
    again = root / "reports" / "site" / slot["study"] / slot["slot"]
    try:
        manifest = json.loads((again / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        manifest = {"status": "no report", "error": "no report was made"}
    if manifest["status"] != "done":
        raise NotRun(f"{slot['study']}/{slot['slot']}: {manifest.get('error')}")
    return compare(read_report(handed), read_report(again))
