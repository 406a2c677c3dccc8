"""What is due is run once, whatever the clock does; what follows is called at most once."""

import datetime as dt
import json
import sys
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from workbench import cli
from workbench.errors import WorkbenchError
from workbench.reports.runs.ledger import Ledger
from workbench.reports.runs.plans import Plan, load_plan
from workbench.reports.runs.schedule import FORMATS, find_due, snippet, tick, upcoming

PARAMETERS = 'as_of: str = "2026-07-01"  # date: until when'
MONTHLY = 'period = "month"\ncron = "0 6 1 * *"\ntimezone = "Asia/Shanghai"\nretries = 0\n'
NOW = dt.datetime(2026, 11, 22, 12, 0, tzinfo=dt.UTC)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def root(tmp_path):
    """A project with one cheap notebook and a monthly plan with hooks."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "reports" / "plans").mkdir(parents=True)
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell("1")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "notebooks" / "cheap.ipynb")
    told = tmp_path / "told.txt"
    code = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + chr(10))"
    hooks = "".join(
        f"[hooks.{event}.tell]\ncommand = {json.dumps([sys.executable, '-c', code])}\n"
        for event in ("on_success", "on_failure")
    )
    plan = f'{MONTHLY}\n[[study]]\nname = "cheap"\nparameters = {{as_of = ["2026-07-01", "2026-08-01"]}}\n\n{hooks}'
    (tmp_path / "reports" / "plans" / "monthly.toml").write_text(plan, "utf-8")
    return tmp_path


def _runs(fails=()):
    """A run that ends slots in the ledger without rendering them; counts how often each was run."""
    seen: list[str] = []

    def run(plan, slots, root):
        with Ledger(root) as ledger:
            for slot in slots:
                claim = ledger.claim(slot, retries=plan.retries)
                if claim.verdict == "claimed":
                    seen.append(slot.name)
                    failed = any(word in slot.name for word in fails)
                    said = {"status": "failed", "error": "no"} if failed else {"status": "done", "headline": "yes"}
                    manifest = said | {"seconds": 0.1, "fingerprint": slot.fingerprint, "attempt": claim.token}

                    def publish(slot=slot, manifest=manifest):
                        slot.folder(root).mkdir(parents=True, exist_ok=True)
                        (slot.folder(root) / "manifest.json").write_text(json.dumps(manifest))

                    ledger.finish(claim, manifest, publish)

    return SimpleNamespace(run=run, seen=seen)


def _told(root) -> list[dict]:
    told = root / "told.txt"
    return [json.loads(line) for line in told.read_text("utf-8").splitlines()] if told.exists() else []


def test_a_month_falls_due_once_and_missed_ones_are_caught_up_once(root):
    """The first tick takes the last period; three months of downtime are three periods, each slot once."""
    work = _runs()
    assert [t.periods for t in tick(root=root, now=NOW, run=work.run)] == [("2026-10",)]
    assert tick(root=root, now=NOW, run=work.run) == []
    later = tick(root=root, now=_moment("2027-02-03 00:00"), run=work.run)
    assert [t.periods for t in later] == [("2026-11", "2026-12", "2027-01")]
    assert tick(root=root, now=_moment("2027-02-28 00:00"), run=work.run) == []
    assert len(work.seen) == len(set(work.seen)) == 8
    assert len(_told(root)) == 8


def test_many_missed_minutes_are_one_catch_up():
    """Fifteen minutes of downtime over a plan of every minute: one due time, no period twice."""
    plan = Plan("p", "p", (), cron="* * * * *")
    due = find_due(plan, _moment("2026-11-22 11:45"), NOW)
    assert (due.fired, due.periods) == (NOW, (None,))
    assert find_due(plan, NOW, NOW + dt.timedelta(seconds=59)) is None


@pytest.mark.parametrize(
    ("cron", "zone", "now", "fired"),
    [
        ("0 6 1 * *", "Asia/Shanghai", "2026-11-01 00:00", "2026-10-31 22:00"),
        ("0 6 1 * *", "Asia/Shanghai", "2026-10-31 21:59", "2026-09-30 22:00"),
        ("0 0 29 2 *", "UTC", "2026-11-22 00:00", "2024-02-29 00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29 12:00", "2026-03-29 01:30"),
        ("30 * * * *", "Europe/Berlin", "2026-10-25 03:45", "2026-10-25 03:30"),  # APScheduler 3.11.0 never ends here
        ("0 6 * * 0", "UTC", "2026-11-22 12:00", "2026-11-22 06:00"),
    ],
)
def test_the_last_time_follows_calendar_zone_and_summer_time(cron, zone, now, fired):
    """By hand: the first of a month in China begins on the last of the month before in UTC; leap years; Sundays."""
    due = find_due(Plan("p", "p", (), cron=cron, timezone=zone), None, _moment(now))
    assert due.fired.astimezone(dt.UTC) == _moment(fired)


@pytest.mark.parametrize(
    ("cron", "without"),
    [
        ("0 6 31 * *", "February, April, June, September and November"),
        ("0 6 30 * *", "February"),
        ("0 6 29 * *", "February"),
        ("0 6 29-31 * *", "February"),
        ("0 6 31 3,6,9,12 *", "June and September"),
    ],
)
def test_a_day_that_some_months_lack_is_refused(cron, without):
    """Counted on a calendar; the message has the expression that comes in every month."""
    with pytest.raises(WorkbenchError, match=f"pass over {without}: ") as error:
        find_due(Plan("p", "p", (), period="month", cron=cron), None, NOW)
    way_out = str(error.value).rpartition("write last: ")[2]
    plan = Plan("p", "p", (), period="month", cron=way_out)
    since = find_due(plan, None, _moment("2026-12-31 12:00")).fired
    due = find_due(plan, since, _moment("2027-12-31 12:00"))
    named = [p.label for p in due.periods]
    months = range(3, 13, 3) if "3,6" in cron else range(1, 13)
    assert named == [f"{2027 - (m == 1)}-{m - 1 or 12:02}" for m in months]


@pytest.mark.parametrize(
    "cron", ["0 6 28 * *", "0 6 1,31 * *", "0 6 */10 * *", "0 0 29 2 *", "0 6 31 1,12 *", "0 6 last * *", "0 6 * * 1"]
)
def test_a_day_that_every_month_has_is_taken(cron):
    """Also one that adds to another, one that only leap years have, and one of the long months alone."""
    assert find_due(Plan("p", "p", (), period="month", cron=cron), None, NOW) is not None


def test_a_quarterly_cron_makes_no_months_in_between():
    """Only periods for which the plan would have fired are caught up."""
    plan = Plan("p", "p", (), period="month", cron="0 6 1 1,4,7,10 *")
    due = find_due(plan, _moment("2026-01-01 06:00"), NOW)
    assert [p.label for p in due.periods] == ["2026-03", "2026-06", "2026-09"]


def test_a_failed_slot_is_told_once_and_does_not_hold_up_the_plan(root):
    """A deterministic failure ends its slot: one hook, no further run."""
    work = _runs(fails=("2026-08-01",))
    (made,) = tick(root=root, now=NOW, run=work.run)
    assert made.states == {"done": 1, "failed": 1} and made.hooks == 2 and made.dealt_with
    assert sorted(t["state"] for t in _told(root)) == ["done", "failed"]
    assert tick(root=root, now=NOW, run=work.run) == [] and len(work.seen) == 2


def test_a_tick_that_was_cut_short_is_gone_on_with(root):
    """What a run left undone keeps the plan due; nothing is run or told twice."""
    work = _runs()
    (made,) = tick(root=root, now=NOW, run=lambda plan, slots, root: work.run(plan, slots[:1], root))
    assert not made.dealt_with or len(made.states) == 0
    (made,) = tick(root=root, now=NOW, run=work.run)
    assert made.dealt_with and made.states == {"done": 2}
    assert len(work.seen) == 2 and len(_told(root)) == 2


def test_a_plan_that_cannot_be_read_does_not_stop_the_others(root):
    """Its line says why."""
    (root / "reports" / "plans" / "typo.toml").write_text(f'{MONTHLY}\nperid = "month"\n[[study]]\nname = "cheap"\n')
    made = {t.plan: t for t in tick(root=root, now=NOW, run=_runs().run)}
    assert "period" in made["typo"].error and made["monthly"].dealt_with
    with pytest.raises(WorkbenchError, match="Did you mean 'monthly'"):
        tick(["montly"], root=root, now=NOW)


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ("[hooks.on_sucess.a]\ncommand = ['x']", "Did you mean 'on_success'"),
        ("[hooks.on_success.a]\ncomand = ['x']", "neither command"),
        ("[hooks.on_success.a]\ncommand = 'x'", "list of texts"),
        ("[hooks.on_success.a]\ncommand = []", "list of texts"),
        ("[hooks.on_success.a]\nsmtp = 'h'\nfrom = 'a'", "lacks 'to'"),
        ("[hooks.on_success.a]\nsmtp = 'h'\nfrom = 'a'\nto = ['b']\npassword = 'hunter2hunter2'", "written out"),
    ],
)
def test_hooks_are_checked_when_the_plan_is_read(root, hooks, said):
    """One sentence with the place, the password not in it."""
    (root / "reports" / "plans" / "a.toml").write_text(f'{MONTHLY}\n[[study]]\nname = "cheap"\n{hooks}\n')
    with pytest.raises(WorkbenchError, match=said) as error:
        load_plan("a", root)
    assert "hunter2" not in str(error.value)


def test_a_webhook_and_a_mail_are_sent_and_their_failures_noted(root):
    """To servers on this machine; a hook that fails changes nothing and is not called again."""
    import http.server
    import socketserver
    import threading

    got = []

    class Web(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    class Mail(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 x\r\n")
            for line in self.rfile:
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go\r\n")
                    got.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")

    servers = [socketserver.TCPServer(("127.0.0.1", 0), handler) for handler in (Web, Mail)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    web, mail = (f"127.0.0.1:{server.server_address[1]}" for server in servers)
    hooks = (
        f'[hooks.on_success.web]\nwebhook = "http://{web}/"\n'
        f'[hooks.on_success.mail]\nsmtp = "{mail}"\nfrom = "a@example.org"\nto = ["b@example.org"]\n'
        '[hooks.on_success.none]\ncommand = ["/no/such/program"]\n'
    )
    (root / "reports" / "plans" / "monthly.toml").write_text(
        f'title = "月报"\n{MONTHLY}\n[[study]]\nname = "cheap"\n{hooks}'
    )
    try:
        (made,) = tick(root=root, now=NOW, run=_runs().run)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
    assert made.hooks == 3 and made.dealt_with
    with Ledger(root) as ledger, ledger.writing("SELECT 1") as con:
        errors = dict(con.execute("SELECT name, error FROM hook").fetchall())
    assert (errors["web"], errors["mail"]) == ("", "") and "FileNotFoundError" in errors["none"]
    assert got[0]["period"] == "2026-10" and "Subject: " in got[1]


@pytest.mark.parametrize("form", FORMATS)
def test_every_heartbeat_calls_the_one_command(form, tmp_path):
    """Filled in, and well formed where there is a parser."""
    text, zh = (snippet(form, root=tmp_path, language=language) for language in ("en", "zh"))
    assert "schedule" in text and "tick" in text and "@" not in text.replace("@example", "") + zh
    assert text != zh and len(text.splitlines()) == len(zh.splitlines())
    if form == "k8s":
        assert yaml.safe_load(text)["kind"] == "CronJob"
    if form == "airflow":
        compile(text, "dag", "exec")


def test_what_comes_next_is_shown(root):
    """In the plan's own time zone; a plan that can't be read is named with its reason, and hides no other."""
    line = ["monthly", "2026-12-01 06:00 CST", "2026-11", "never"]
    assert upcoming(root, NOW) == ([line], [])
    plans = root / "reports" / "plans"
    (plans / "a.toml").write_text('cron = "0 6 1 * *"\n[[study]]\nname = "chep"\n', "utf-8")
    (plans / "z.toml").write_text("cron = 0 6", "utf-8")
    (plans / "folder.toml").mkdir()
    rows, bad = upcoming(root, NOW)
    assert rows == [line]
    assert bad[0].startswith("plan 'a': no study 'chep'. Did you mean 'cheap'?") and "folder.toml': " in bad[1]
    assert bad[2].startswith("plan 'z' is not a TOML file in UTF-8: ") and len(bad) == 3


def test_show_names_a_bad_plan_and_shows_the_others(root, monkeypatch, capsys):
    """The others stand in the table, the heartbeat follows, and the exit code says that something is wrong."""
    (root / "data" / "mappings").mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_HOME", str(root))
    (root / "reports" / "plans" / "a.toml").write_text("cron = 0 6", "utf-8")
    with pytest.raises(SystemExit) as ended:
        cli.main(["schedule", "show"])
    said = capsys.readouterr()
    assert ended.value.code == 2 and "monthly" in said.out and "schedule tick" in said.out
    assert said.err.startswith("plan 'a' is not a TOML file in UTF-8")
