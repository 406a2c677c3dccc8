"""What does each column mean? The dictionary of the canonical tables, for people."""

from __future__ import annotations

import pandas as pd

from workbench.catalogue import prose
from workbench.messages import Listed, Message, say, word
from workbench.warehouse import schema
from workbench.warehouse.rulebook import said
from workbench.warehouse.schema import Column, TableSchema

_OPENING = """# The canonical tables

[中文](README.zh.md)

Every source becomes these tables (how: [docs/mappings.md](../docs/mappings.md)); notebooks read nothing else.
This page is made from `src/workbench/warehouse/schema.toml` by `dictionary_markdown()`, its Chinese with
`src/workbench/locale/zh.prose.po` by `dictionary_markdown("zh")`; change it there.

Definition: version {version}. Money is in the currency that the mapping declares. Times are local, without a zone.
Key: the columns that tell rows apart; a key stands once. A missing value breaks only the rule *not missing*.
"""


def dictionary_markdown(language: str = "en") -> str:
    """Give the text of data/README.md, or in Chinese ("zh") of data/README.zh.md."""
    tables = schema.tables().values()
    told = [say("{name}: {what}", name=f"[{t.name}](#{t.name})", what=prose(t.meaning, language)) for t in tables]
    contents = "\n".join(f"- {line.said(language)}" for line in told)
    opening = prose(_OPENING, language).format(version=schema.version())
    return "\n".join([opening, contents + "\n", *(_table(table, language) for table in tables)])


def describe(table: str, language: str = "en") -> pd.DataFrame:
    """Give the columns of a table: column, type, unit, rules, meaning.

    >>> describe("holding")["column"].tolist()
    ['customer_id', 'product_id', 'from_on', 'to_on']

    Raises
    ------
    WorkbenchError
        If there is no such table; the nearest is suggested.
    """
    return pd.DataFrame(
        [
            (c.name, c.type, prose(c.unit, language), _rules(c).said(language), prose(c.meaning, language))
            for c in schema.table(table).columns
        ],
        columns=["column", "type", "unit", "rules", "meaning"],
    )


def _table(table: TableSchema, language: str) -> str:
    key = Listed([f"`{name}`" for name in table.key], "") if table.key else say("none; equal rows may stand")
    about = say("{meaning} Key: {key}.", meaning=prose(table.meaning, language), key=key).said(language)
    rows = "\n".join(
        f"| `{name}` | {type} | {unit} | {rules} | {meaning} |"
        for name, type, unit, rules, meaning in describe(table.name, language).itertuples(index=False)
    )
    head = " | ".join(word(name, language) for name in ("column", "type", "unit", "rules", "meaning"))
    return f"## {table.name}\n\n{about}\n\n| {head} |\n|---|---|---|---|---|\n{rows}\n"


def _rules(column: Column) -> Listed:
    rules: list[Message] = [say("not missing")] if column.not_null else []
    if column.unique:
        rules.append(say("unique"))
    if column.accepted_values:
        rules.append(say("one of {values}", values=Listed(column.accepted_values, "")))
    if column.in_range:
        low, high = map(said, column.in_range)
        rules.append(say("from {low} to {high}", low=low, high=high))
    if column.relationships:
        rules.append(say("in {column}", column=".".join(column.relationships)))
    return Listed(rules, ";")
