"""Are indirect effects the products of their chains, and is mediation told from its absence?"""

import numpy as np
import pandas as pd
import pytest

from workbench.errors import CannotAnswer, WorkbenchError
from workbench.methods.plspm import Construct, PathModel, bootstrap_pls, mediation

TRIANGLE = PathModel([Construct(c, [c.lower()]) for c in "ABC"], {"B": ["A"], "C": ["A", "B"]})


def triangle(first: float, second: float, direct: float, n: int = 800) -> pd.DataFrame:
    """A -> B -> C with a direct path A -> C."""
    rng = np.random.default_rng(3)
    a, u, v = rng.normal(size=(3, n))
    b = first * a + u
    c = second * b + direct * a + v
    return 5.5 + pd.DataFrame({"a": a, "b": b, "c": c}).clip(-4.5, 4.5)


@pytest.mark.parametrize(
    ("slopes", "kind"),
    [
        ((0.6, 0.5, 0.0), "full"),
        ((0.6, 0.5, 0.4), "partial"),
        ((0.6, 0.5, -0.7), "competing"),
        ((0.0, 0.5, 0.4), "none"),
    ],
)
def test_kinds_of_mediation(slopes, kind):
    """Each kind is recognised where it was built in, and said."""
    boot = bootstrap_pls(triangle(*slopes), TRIANGLE, resamples=300, interval="bca")
    row = mediation(boot).table.iloc[0]
    assert row["kind"] == kind
    assert row["indirect"] == pytest.approx(boot.fit.paths["A", "B"] * boot.fit.paths["B", "C"])
    assert ("mediation" in row["said"]) and row["low"] < row["indirect"] < row["high"]


def test_indirect_and_direct_make_the_total():
    """On the European model all chains of two constructs and their direct path add up to the total effect."""
    rng = np.random.default_rng(5)
    model = PathModel(
        [Construct(c, [f"{c}1", f"{c}2"]) for c in "ABCD"], {"B": ["A"], "C": ["A", "B"], "D": ["A", "B", "C"]}
    )
    values = 5.5 + rng.normal(size=(200, 1)) + rng.normal(size=(200, 8))
    table = pd.DataFrame(values.clip(1, 10), columns=list(model.items))
    boot = bootstrap_pls(table, model, resamples=50, interval="percentile")
    found = mediation(boot)
    rows = found.table[(found.table["source"] == "A") & (found.table["target"] == "D")]
    assert rows["via"].tolist() == ["B", "C", "B, C", "all"]
    assert rows["indirect"].iloc[:3].sum() == pytest.approx(rows["indirect"].iloc[3])
    assert rows["indirect"].iloc[3] + boot.fit.paths["A", "D"] == pytest.approx(boot.fit.total_effects["A", "D"])
    assert "indirect effects are significant" in found.headline()
    assert len(found.plot().get_yticks()) == len({*zip(found.table["source"], found.table["target"], strict=True)})
    to_c = mediation(boot, target="C")
    pd.testing.assert_frame_equal(to_c.table, found.table[found.table["target"] == "C"].reset_index(drop=True))


def test_a_model_without_chains_is_refused():
    """Two constructs leave nothing to mediate."""
    model = PathModel(TRIANGLE.constructs[:2], {"B": ["A"]})
    boot = bootstrap_pls(triangle(0.5, 0.5, 0), model, resamples=20, interval="percentile")
    with pytest.raises(CannotAnswer, match="no chain of two paths"):
        mediation(boot)
    with pytest.raises(CannotAnswer, match="no chain of two paths to 'B'"):
        mediation(boot, target="B")
    with pytest.raises(WorkbenchError, match="no construct 'Z' in the model"):
        mediation(boot, target="Z")
