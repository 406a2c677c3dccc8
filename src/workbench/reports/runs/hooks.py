"""What follows when a slot of a plan has ended: a command, a web request, a mail; each at most once a version.

In a plan::

    [hooks.on_failure.mail]
    smtp = "mail.example.org:587"
    from = "reports@example.org"
    to = ["analyst@example.org"]
    user = "env:MAIL_USER"
    password = "env:MAIL_PASSWORD"

    [hooks.on_success.tell]
    command = ["python", "tell.py"]

    [hooks.on_success.board]
    webhook = "env:BOARD_URL"

The call is noted in the ledger before it is made: a crash in between loses the call, and never repeats it.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError, require_known
from workbench.messages import Term
from workbench.reports.runs.secrets import REFERENCE, secret

if TYPE_CHECKING:
    from workbench.reports.runs.ledger import Ledger

EVENTS = {"on_success": ("done",), "on_failure": ("failed", "refused")}
PATIENCE = 60
_TABLE = """CREATE TABLE IF NOT EXISTS hook (
    study TEXT NOT NULL, slot TEXT NOT NULL, fingerprint TEXT NOT NULL, event TEXT NOT NULL, name TEXT NOT NULL,
    called REAL NOT NULL, error TEXT NOT NULL DEFAULT '', PRIMARY KEY (study, slot, fingerprint, event, name)) STRICT"""
_KINDS: dict[str, dict[str, type]] = {
    "command": {"command": list},
    "webhook": {"webhook": str},
    "smtp": {"smtp": str, "from": str, "to": list, "user": str, "password": str},
}
_OPTIONAL = ("user", "password")


def check_hooks(hooks: Mapping[str, Any]) -> None:
    """Refuse hooks that are not as described above.

    Raises
    ------
    WorkbenchError
        Naming the event, the hook and the key; a password that is written out is refused too.
    """
    for event, named in hooks.items():
        require_known("event", event, EVENTS, "[hooks]")
        for name, hook in named.items() if isinstance(named, dict) else ():
            where = f"[hooks.{event}.{name}]"
            kind = next((k for k in _KINDS if isinstance(hook, dict) and k in hook), None)
            if kind is None:
                raise WorkbenchError("{where} says neither command, nor webhook, nor smtp. Write one of them.").of(
                    where
                )
            for key, value in hook.items():
                require_known("key", key, _KINDS[kind], where)
                wanted = _KINDS[kind][key]
                texts = value if isinstance(value, list) else [value]
                if not isinstance(value, wanted) or not texts or not all(isinstance(t, str) and t for t in texts):
                    raise WorkbenchError("{key} must be a {what}.").of(
                        key, Term("list of texts" if wanted is list else "text"), at=where
                    )
            for key in _KINDS[kind]:
                if key not in hook and key not in _OPTIONAL:
                    raise WorkbenchError("{where} lacks '{key}'. Add it.").of(where, key)
            if "password" in hook and not REFERENCE.fullmatch(hook["password"]):
                raise WorkbenchError("the password is written out. Write env:NAME or file:PATH.").of(at=where)


def call_hooks(hooks: Mapping[str, Any], about: Mapping[str, str], rows: Iterable[sqlite3.Row], ledger: Ledger) -> int:
    """Call the hooks of a plan whose slots ended and were not told of yet; give the number of calls.

    `about` is what each message begins with: the plan and its title.

    A hook that fails is noted with its error, and changes nothing else.
    """
    called = 0
    for row in rows:
        for event, states in EVENTS.items():
            for name, hook in hooks.get(event, {}).items() if row["state"] in states else ():
                key = (row["study"], row["slot"], row["fingerprint"], event, name)
                with ledger.writing(_TABLE) as con:
                    names = "study, slot, fingerprint, event, name, called"
                    sql = f"INSERT OR IGNORE INTO hook ({names}) VALUES (?, ?, ?, ?, ?, ?)"
                    new = con.execute(sql, (*key, time.time())).rowcount
                if new:
                    called += 1
                    if error := _call(hook, _message(about, row)):
                        with ledger.writing(_TABLE) as con:
                            where = "study = ? AND slot = ? AND fingerprint = ? AND event = ? AND name = ?"
                            con.execute(f"UPDATE hook SET error = ? WHERE {where}", (error, *key))
    return called


def _message(about: Mapping[str, str], row: sqlite3.Row) -> dict[str, Any]:
    said = {
        name: row[name] for name in ("study", "slot", "period", "state", "headline", "error", "outputs", "attempts")
    }
    return {**about, **said}


def _call(hook: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """Call a hook; give the error, empty if there was none."""
    said = json.dumps(message, ensure_ascii=False)
    try:
        if "command" in hook:
            done = subprocess.run(hook["command"], input=said.encode(), capture_output=True, timeout=PATIENCE)
            return "" if done.returncode == 0 else f"the command ended with status {done.returncode}"
        if "webhook" in hook:
            _post(_fetched(hook["webhook"]), said)
        else:
            _mail(hook, message)
    except Exception as error:  # whatever a hook does, the reports stand
        return f"{type(error).__name__}: {error}"[:500] if not isinstance(error, WorkbenchError) else str(error)
    return ""


def _fetched(text: str) -> str:
    return secret(text) if REFERENCE.fullmatch(text) else text


def _post(address: str, said: str) -> None:
    from urllib.request import Request, urlopen

    if not address.startswith(("http://", "https://")):
        raise WorkbenchError("the webhook is no http or https address.")
    with urlopen(Request(address, said.encode(), {"Content-Type": "application/json"}), timeout=PATIENCE):
        pass


def _mail(hook: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    import smtplib
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["From"], mail["To"] = hook["from"], ", ".join(hook["to"])
    about = " ".join(filter(None, (message["title"], message["study"], message["period"])))
    mail["Subject"] = f"{message['state']}: {about}".replace("\n", " ").replace("\r", " ")
    mail.set_content("\n".join(f"{name}: {value}" for name, value in message.items() if value not in ("", None)))
    host, _, port = hook["smtp"].partition(":")
    with smtplib.SMTP(host, int(port or 25), timeout=PATIENCE) as server:
        server.ehlo()
        if safe := server.has_extn("starttls"):
            server.starttls()
            server.ehlo()
        if "user" in hook and not safe:
            raise WorkbenchError("the mail server offers no encryption, so the password was not sent.")
        if "user" in hook:
            server.login(_fetched(hook["user"]), _fetched(hook.get("password", "")))
        server.send_message(mail)
