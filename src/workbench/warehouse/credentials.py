"""What opens a database? Credentials by reference, `${NAME}` of the environment or `${file:PATH}`; none is said."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus

from workbench.errors import WorkbenchError
from workbench.messages import say

REFERENCE = re.compile(r"\$\{([^{}]+)\}")
_SECRET = re.compile(r"[?&;](?:\w*pass\w*|pwd|\w*token|\w*secret)=(?!\$\{)", re.IGNORECASE)


def require_references(url: str, where: str) -> None:
    """Refuse a URL in which a password stands in clear."""
    credentials = url.partition("://")[2].rpartition("@")[0]
    if (":" in (left := REFERENCE.sub("", credentials)) and not left.endswith(":")) or _SECRET.search(url):
        raise WorkbenchError(
            "{where} has a clear password. Write ${{NAME}} for a variable of the environment, or "
            "${{file:data/private/NAME}}, in its place."
        ).of(where)


def with_credentials(url: str, root: Path, secrets: list[str]) -> str:
    """Put the values of the references into a URL, and remember them."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        file = root / name.removeprefix("file:")
        if name.startswith("file:"):
            found = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
        else:
            found = os.environ.get(name, "")
        if not found:
            in_file = name.startswith("file:")
            where = say("the file {file}", file=str(file)) if in_file else say("{name} in the environment", name=name)
            raise WorkbenchError("a database of the mapping needs {where}, which is empty or not there. Set it.").of(
                where
            )
        secrets.append(found)
        return found if match[0] == url else quote_plus(found)

    return REFERENCE.sub(value, url)


def without(said: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        parts = re.split(r"[:/@]+", secret) if "://" in secret else []  # it is a whole URL
        for form in {secret, quote_plus(secret), quote(secret), *parts} - {""}:
            said = said.replace(form, "…")
    return said
