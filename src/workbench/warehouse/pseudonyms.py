"""Whose number is this? Nobody can tell without the key: keyed pseudonyms of numbers and names."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import WorkbenchError
from workbench.messages import say
from workbench.warehouse.texts import one_form

VARIABLE = "WORKBENCH_KEY"
SHORTEST = 16


@dataclass(frozen=True)
class Pseudonyms:
    """Turns clear texts into pseudonyms: same text and key, same pseudonym; without the key, no way back.

    An unkeyed hash would not do: all 11-digit numbers are tried within the hour.
    """

    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Eight characters that tell two keys apart and do not give the key away."""
        return hashlib.blake2b(b"fingerprint of the key", key=self.key, digest_size=4).hexdigest()

    def of(self, texts: pa.ChunkedArray, missing: tuple[str, ...], kind: str | None = None) -> pa.ChunkedArray:
        """Give the pseudonym (20 hexadecimal digits) of each text; missing where it is missing.

        Parameters
        ----------
        texts : pyarrow.ChunkedArray of strings
        missing : tuple of str
        kind : {'phone', 'card', 'name', None}
            What the texts are; all forms of one text (`texts.one_form`) have one pseudonym.
        """
        encoded = pc.dictionary_encode(texts.combine_chunks())
        clear = encoded.dictionary.cast(pa.binary())
        nothing = {None, *(text.encode() for text in missing)}
        forms = [None if text in nothing else text for text in clear.to_pylist()]
        for at in pc.indices_nonzero(pc.invert(pc.match_substring_regex(clear, _USUAL))).to_pylist():
            if (text := forms[at]) is not None:
                form = one_form(text.decode("utf-8", "surrogateescape"), kind)
                forms[at] = form.encode("utf-8", "surrogateescape")
        begun = hashlib.blake2b(key=self.key, digest_size=10).copy
        hidden: list[str | None] = []
        for text in forms:
            if text:
                digest = begun()
                digest.update(text)
            hidden.append(digest.hexdigest() if text else None)
        return pa.chunked_array([pa.array(hidden, pa.string()).take(encoded.indices)])


_USUAL = r"\A([02-79A-Z][0-9A-Z]*|[18][0-9]{10})\z"  # what stands in its one form already


def read_key(root: Path) -> Pseudonyms:
    """Give the pseudonyms under the key of WORKBENCH_KEY, else of `data/private/key`, which is made if need be.

    Raises
    ------
    WorkbenchError
        If the key is too short to protect anything, or others may read its file.
    """
    text = os.environ.get(VARIABLE)
    where: str = say("the environment variable {name}", name=VARIABLE)
    if text is None:
        file = root / "data" / "private" / "key"
        text, where = _key_file(file), str(file)
    if len(text.strip()) < SHORTEST:
        raise WorkbenchError(
            "the key in {where} has fewer than {shortest} characters. Give a longer one, or remove it and let "
            "ingest make one."
        ).of(where, SHORTEST)
    return Pseudonyms(hashlib.blake2b(text.strip().encode(), digest_size=32).digest())


def _key_file(file: Path) -> str:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = file.with_name(f".key.{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(part, file)
        except FileExistsError:
            pass
        finally:
            part.unlink()
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise WorkbenchError("others may read the key in {file}. Run: chmod 600 '{file}'").of(file)
    return file.read_text(encoding="utf-8")
