"""What does each column mean? The dictionary of the canonical tables, for people."""

from __future__ import annotations

import pandas as pd

from workbench.warehouse import schema
from workbench.warehouse.schema import Column, Table

_OPENING = """# The canonical tables

Every source becomes these tables (how: [docs/mappings.md](../docs/mappings.md)); notebooks and features read nothing else.
This page is made from `src/workbench/warehouse/schema.toml` by `dictionary_markdown()`; change it there.

Definition: version {version}. Money is in the currency that the mapping declares. Times are local, without a zone.
Key: the columns that tell rows apart; a key stands once. A missing value breaks only the rule *not missing*.
"""


def dictionary_markdown() -> str:
    """Give the text of data/README.md."""
    contents = "\n".join(f"- [{t.name}](#{t.name}): {t.meaning}" for t in schema.tables().values())
    parts = [_OPENING.format(version=schema.version()), contents + "\n", *map(_table, schema.tables().values())]
    return "\n".join(parts)


def describe(table: str) -> pd.DataFrame:
    """Give the columns of a table: column, type, unit, rules, meaning.

    >>> describe("holding")["column"].tolist()
    ['customer_id', 'product_id', 'from_on', 'to_on']

    Raises
    ------
    WorkbenchError
        If there is no such table; the nearest is suggested.
    """
    return pd.DataFrame(
        [(c.name, c.type, c.unit, _rules(c), c.meaning) for c in schema.table(table).columns],
        columns=["column", "type", "unit", "rules", "meaning"],
    )


def _table(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key) or "none; equal rows may stand"
    rows = "\n".join(
        f"| `{name}` | {type} | {unit} | {rules} | {meaning} |"
        for name, type, unit, rules, meaning in describe(table.name).itertuples(index=False)
    )
    head = "| column | type | unit | rules | meaning |\n|---|---|---|---|---|"
    return f"## {table.name}\n\n{table.meaning} Key: {key}.\n\n{head}\n{rows}\n"


def _rules(column: Column) -> str:
    rules = ["not missing"] if column.not_null else []
    if column.unique:
        rules.append("unique")
    if column.accepted_values:
        rules.append("one of " + ", ".join(column.accepted_values))
    if column.in_range:
        rules.append("from {} to {}".format(*map(_said, column.in_range)))
    if column.relationships:
        rules.append("in {}.{}".format(*column.relationships))
    return "; ".join(rules)


def _said(bound: object) -> str:
    return f"{bound:.15g}" if isinstance(bound, float | int) else str(bound)
