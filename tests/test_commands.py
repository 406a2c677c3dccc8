"""Every command that the README and the help show runs on the sample, from an empty checkout on."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from workbench.cli import workbench
from workbench.warehouse import campaign_arms, open_warehouse

ROOT = Path(__file__).resolve().parents[1]
MADE = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "raw", "warehouse", "private", "site", "runs", "dist"
)
MODEL, FORMULA = "reports/site/uplift/default/data_upgrade.model.json", "reports/site/churn/default/churn.model.toml"
STANDS_FOR = {
    "MODEL LIST": f"{MODEL} october.csv",
    "data_upgrade.uplift.json october.parquet": f"{MODEL} october.csv",
    "churn.toml sample": f"{FORMULA} sample",
    "churn.toml crm": f"{FORMULA} sample",
    "2026-10-01": "2026-07-01",
    "satisfaction/2026-06": "satisfaction/wave=2025",
    "FILE": "dist/handoff-satisfaction.zip",
    "~/Downloads/churn.csv": "churn.csv",
}
NOT_HERE = {
    "status --watch": "watches until it is stopped",
    "schedule run": "runs until it is stopped",
    "source=hillstrom": "needs the public file",
    "--table october_scores": "needs PostgreSQL or Spark",
}
ENDS_WITH = {"diff": 1}  # two waves differ


def examples(command, path=("workbench",)):
    """Give the examples of the help, of a command and those below it."""
    for line in command.get_help(click.Context(command, info_name=" ".join(path))).splitlines():
        if found := re.match(r" +workbench (.+?)(?:  +.*)?$", line):
            yield found[1]
    for name, below in getattr(command, "commands", {}).items():
        yield from examples(below, (*path, name))


def shown():
    """Give the commands of help and README, each once, those that make what others read first."""
    readme = re.findall(r"^workbench (.*?)(?=\s+#|$)", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.M)
    return list(dict.fromkeys([*examples(workbench), *readme]))


@pytest.mark.prove
def test_what_readme_and_help_show_runs(tmp_path):
    """In the order in which they stand, the whole report first; a command says nothing on the error stream in vain."""
    root = tmp_path / "project"
    shutil.copytree(ROOT, root, ignore=MADE)
    asked = shown()
    assert asked[0] == "report" and len(asked) > 25
    assert all(any(part in command for command in asked) for part in NOT_HERE)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WORKBENCH")}
    environment |= {"WORKBENCH_HOME": str(root), "WORKBENCH_LANG": "en", "PYTHONPATH": str(ROOT / "src")}
    (root / "churn.csv").write_text("customer_id,tenure,MonthlyCharges,Churn\n1,3,20.5,Yes\n2,14,70.1,No\n")
    wrong = []
    for command in asked:
        if any(part in command for part in NOT_HERE):
            continue
        words = command
        for part, real in STANDS_FOR.items():
            words = words.replace(part, real)
        call = [sys.executable, "-m", "workbench", *shlex.split(words)]
        done = subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True, encoding="utf-8")
        print(f"{done.returncode} workbench {words}", flush=True)
        if done.returncode != ENDS_WITH.get(words.split()[0], 0) or "Traceback" in done.stderr:
            wrong.append((command, done.returncode, done.stderr[-500:] or done.stdout[-500:]))
        if command == "report":
            warehouse = open_warehouse("sample", root=root)
            how = {"arm": "treatment", "as_of": "2026-07-01", "outcome": "revenue", "randomised": True}
            campaign_arms(warehouse, "data_upgrade", **how).members.to_csv(root / "october.csv", index=False)
    assert not wrong, wrong
