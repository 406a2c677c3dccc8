"""The file that is handed over: a zip whose bytes depend on its content alone, and of which every byte is checked.

Entries are stored, not compressed: the bytes are then the same on every machine, and whoever has the content can tell
whether a single byte of the file is another.
"""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.messages import Term
from workbench.reports.runs.folders import own_folder

SUMS = "SHA256SUMS"
LARGEST = 2**30
Files = Mapping[str, bytes]


class Tampered(WorkbenchError):
    """The file is not as it was made."""


def seal(files: Files) -> bytes:
    """Give the zip of files and the list of their hashes.

    >>> seal({"a": b"1", "b": b"2"}) == seal({"b": b"2", "a": b"1"})
    True
    """
    sums = "".join(f"{_sha256(content)}  {name}\n" for name, content in sorted(files.items()))
    return _packed({**files, SUMS: sums.encode()})


def unseal(content: bytes) -> dict[str, bytes]:
    """Give the files by name, every byte of the zip checked; see the refusals."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_entries(archive.infolist(), len(content))
            files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except Tampered:
        raise
    except Exception as error:  # zipfile fails in many ways on what is not whole
        raise Tampered("it is no whole zip file ({kind}: {error}).").of(type(error).__name__, error) from None
    lines = files.get(SUMS, b"").decode("utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name in sorted({*listed, *files} - {SUMS}):
        if name not in files:
            raise Tampered("the file {name} was removed.").of(repr(name))
        if _sha256(files[name]) != listed.get(name):
            raise Tampered("the file {name} was {what}.").of(repr(name), Term("changed" if name in listed else "added"))
    if _packed(files) != content:
        raise Tampered("bytes outside of its files were changed: times, permissions, order, a comment or an addition.")
    return {name: content for name, content in files.items() if name != SUMS}


@contextmanager
def unpacked(files: Files) -> Iterator[Path]:
    """Give a temporary folder that holds files."""
    with own_folder() as folder:
        root = folder.resolve()
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        yield root


def is_safe(name: str) -> bool:
    r"""Say whether a name stays inside the folder it is unpacked in, on every system.

    >>> [is_safe(n) for n in ("a/b.txt", "../a", "/a", "a//b", "C:x", "a\\b", "a/./b")]
    [True, False, False, False, False, False, False]
    """
    return not {"", ".", ".."} & set(name.split("/")) and not re.search(r'[\\:*?"<>|\x00-\x1f\x7f]', name)


def _packed(files: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, files[name])
    return sink.getvalue()


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    folded = Counter(_folded(entry) for entry in entries)
    if size > LARGEST or sum(entry.file_size for entry in entries) > size:
        raise Tampered("it is larger than any bundle, or its files claim more bytes than it has.")
    for entry in entries:
        name = entry.orig_filename
        if not is_safe(name):
            raise Tampered("the name {name} leads outside of the folder, or does not exist on every system.").of(
                repr(name)
            )
        if entry.external_attr >> 28 != 0x8 or entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise Tampered("{name} is a link, compressed or encrypted, as no file of a bundle is.").of(repr(name))
        if folded[_folded(entry)] > 1:
            raise Tampered("the name {name} is there twice.").of(repr(name))


def _folded(entry: zipfile.ZipInfo) -> str:
    return unicodedata.normalize("NFC", entry.orig_filename).casefold()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
