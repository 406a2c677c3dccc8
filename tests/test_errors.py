"""Refusals say what, where and what to do."""

import pandas as pd
import pytest

from workbench.errors import WorkbenchError, require_columns, unknown


def test_missing_column_is_named_with_the_nearest_and_what_is_there():
    """A mistyped column is refused with the nearest existing name."""
    members = pd.DataFrame({"treatmnt": [1], "revenue": [2.0]})
    with pytest.raises(WorkbenchError, match=r"members lacks 'treatment'\. Did you mean 'treatmnt'"):
        require_columns(members, ["treatment", "revenue"], "members")


def test_present_columns_pass():
    """Nothing is raised where every column stands."""
    require_columns(pd.DataFrame({"a": [1]}), ["a"], "table")


def test_unknown_name_in_chinese_is_suggested():
    """Chinese names find their nearest, too."""
    assert "Did you mean '中国电信'?" in str(unknown("operator", "中国电", ["中国电信", "中国移动"]))
