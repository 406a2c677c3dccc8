"""What does a notebook feed to a study? The views: SQL files that the functions of this room fill with parameters.

One file a table: `views/*.sql`, written as the feature files are (how: `sqlfiles`), and held to the same part of SQL.
`views/partial/` has what several of them read. `views/long/` has the long twins: one row a value of a column that
holds several, for an engine without maps; these alone are written in our own engine's words.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from workbench.warehouse import sqlfiles
from workbench.warehouse.features import Queryable, as_date, require_coverage, require_warehouse, tables_stored


def view(warehouse: Queryable, name: str, **parameters: Any) -> pd.DataFrame:
    """Give the rows of a view, in the order of its key.

    Parameters
    ----------
    warehouse : Warehouse
    name : str
        A file of `views/`, or a partial.
    **parameters
        All that the file names, such as ``as_of``.

    Raises
    ------
    WorkbenchError
        If there is no such view; the nearest is suggested.
    CannotAnswer
        If `as_of` lies after the data.
    """
    require_warehouse(warehouse)
    known = getattr(warehouse, "as_of", None)
    if known and "as_of" in parameters and as_date(parameters["as_of"]) > known:
        require_coverage(warehouse, as_date(parameters["as_of"]), ["life"])
    return warehouse.query(view_sql(name, tables_stored(warehouse)), parameters)


def view_sql(name: str, stored: frozenset[str] = frozenset()) -> str:
    """Compose a view and what it reads, but for the partials `stored` as tables, into one query."""
    ctes = ",\n".join(sqlfiles.expressions([name], stored))
    order = ", ".join(f'"{column}" NULLS LAST' for column in sqlfiles.order(name))
    return f"WITH {ctes}\nSELECT * FROM {name}\nORDER BY {order}"


def long_twin(name: str, select: str, warehouse: Queryable) -> str:
    """Let a SELECT read a long twin, which is unfolded here or stands there as a table."""
    unfolded = sqlfiles.expressions([name], tables_stored(warehouse))
    return f"WITH {', '.join(unfolded)} {select}" if unfolded else select


def dictionary_markdown() -> str:
    """Write docs/views.md: what all views share, then each one's columns, the long twins last."""
    return "\n".join(
        [_PREFACE, *(sqlfiles.page(name) for folder in ("views", sqlfiles.LONG) for name in sqlfiles.names(folder))]
    )


_PREFACE = """# Views

The tables that notebooks feed to studies, beside the [features](features.md). This page is generated from the SQL files
of `src/workbench/warehouse/views` (`python -m workbench.warehouse.views > docs/views.md`), and a test holds it to them.

- They are written in the same part of SQL as the features, with the same rules: `as_of` is exclusive, numbers are
  DOUBLE, amounts are added as exact decimals. A parameter stands as `$name`. Rows come in the order of the key.
- A month of which no bill was delivered is unknown, not unbilled.
- The last files are the long twins: one row a value of a column that holds several. They alone use our own engine's
  maps (Spark has them too); an engine without maps gets each twin as a table of these columns.
"""

if __name__ == "__main__":
    print(dictionary_markdown(), end="")
