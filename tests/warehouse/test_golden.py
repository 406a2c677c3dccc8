"""What each SQL file says in the words of PostgreSQL and Spark, word for word: a new sqlglot or a changed file shows.

Renew, and read what changed: `python tests/warehouse/test_golden.py`.
"""

import re
import textwrap
from datetime import date
from pathlib import Path

import pytest

from workbench.warehouse import sqlfiles
from workbench.warehouse.engines.render import rendered

GOLDEN = Path(__file__).with_name("golden")
DIALECTS = {"postgres": [f for f in sqlfiles.FOLDERS if f != sqlfiles.LONG], "spark": sqlfiles.FOLDERS}
DAYS = ("as_of", "since", "until", "first", "from_on")
DATED = ("service_held", "credit_history", "customer_month_margin")  # whose $day is a date, not the day of a month


def text(dialect):
    """Every file as a statement of the dialect, under its name."""
    parts = []
    for name in (name for folder in DIALECTS[dialect] for name in sqlfiles.names(folder)):
        body = sqlfiles.body(name)
        asked = dict.fromkeys(re.findall(r"\$(\w+)", body))
        given = {p: date(2026, 7, 1) if p in DAYS or (p == "day" and name in DATED) else 30 for p in asked}
        given |= {p: "it's" for p in ("campaign", "customer", "province", "kind", "wave", "event") if p in asked}
        (step,) = rendered(f"WITH {name} AS ({body}) SELECT * FROM {name}", given, dialect).steps
        lines = textwrap.wrap(step.select, 118, break_long_words=False, break_on_hyphens=False)
        parts.append("\n".join([f"-- {name}", *lines]) + ";\n")
    return "\n".join(parts)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_file_is_said_as_before(dialect):
    said = (GOLDEN / f"{dialect}.sql").read_text(encoding="utf-8")
    assert text(dialect) == said, "renew with `python tests/warehouse/test_golden.py`, and read what changed"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for dialect in DIALECTS:
        (GOLDEN / f"{dialect}.sql").write_text(text(dialect), encoding="utf-8")
