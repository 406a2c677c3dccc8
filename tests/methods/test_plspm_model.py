"""Is a path model checked when it is built, and drawn so that it can be read?"""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.methods.plspm import Construct, PathModel, fit_pls

matplotlib.use("Agg")


def pair(**options) -> PathModel:
    """A and B, with options of A."""
    return PathModel([Construct("A", ["a1", "a2"], **options), Construct("B", ["b1"])], {"B": ["A"]})


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Construct("A", []), "'A' has no items"),
        (lambda: Construct("A", "a1"), "items is one text"),
        (lambda: Construct("A", ["a1", "a1"]), "'a1' twice"),
        (lambda: Construct("", ["a1"]), "needs a name"),
        (lambda: pair(mode="C"), "mode 'C'"),
        (lambda: pair(low=10, high=1), "low must be below high"),
        (lambda: pair(low=[1, 2, 3]), "3 values of low for 2 items"),
        (lambda: pair(low="one"), "Give numbers"),
        (lambda: pair(reversed=["a3"]), "no item 'a3'.*Did you mean"),
        (lambda: PathModel([Construct("A", ["a"])], {}), "two constructs or more"),
        (lambda: PathModel([Construct("A", ["a"]), Construct("A", ["b"])], {}), "two constructs are called 'A'"),
        (lambda: PathModel([Construct("A", ["a"]), Construct("B", ["a"])], {"B": ["A"]}), "'a' belongs to 'A' and"),
        (lambda: PathModel(pair().constructs, {"B": ["A", "Imge"]}), "no construct 'Imge'"),
        (lambda: PathModel(pair().constructs, {"B": ["B"]}), "path to itself"),
        (lambda: PathModel(pair().constructs, {"B": ["A", "A"]}), "drawn twice"),
        (lambda: PathModel(pair().constructs, {"B": "A"}), "one text"),
        (lambda: PathModel(pair().constructs, {"B": ["A"], "A": ["B"]}), "circle through 'A', 'B'"),
        (
            lambda: PathModel([*pair().constructs, Construct("C", ["c1"])], {"B": ["A"]}),
            "no path leads to or from 'C'",
        ),
    ],
)
def test_faulty_models_are_refused(build, words):
    """Each fault of a model is named, with what to do."""
    with pytest.raises(WorkbenchError, match=words):
        build()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[construct]]\nname='A'\nitem=['a']", "unknown key 'item'. Did you mean 'items'"),
        ("[[construct]]\nname='A'", "needs name and items"),
        ("constructs=1", "unknown key 'constructs'. Did you mean 'construct'"),
        ("construct=1", r"needs \[\[construct\]\] tables"),
        ("[[construct]", "is not TOML"),
        (
            '[[construct]]\nname="A"\nitems=["a"]\nlabel={a="one\\ntwo"}',
            r"^模型\.toml: construct 'A'.* the label of 'a' is",
        ),
    ],
)
def test_faulty_files_are_refused(tmp_path, text, words):
    """Each fault of a model file is named, with what to do."""
    file = tmp_path / "模型.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WorkbenchError, match=words):
        PathModel.from_toml(file)


def test_missing_file_is_refused(tmp_path):
    """A model file that is not there is named."""
    with pytest.raises(WorkbenchError, match="cannot read the model"):
        PathModel.from_toml(tmp_path / "none.toml")


def test_tcsi_from_its_file(request):
    """The telecom model has eight constructs in seven layers, its own items and scale."""
    model = PathModel.from_toml(request.config.rootpath / "data/models/tcsi.toml")
    assert (len(model.names), len(model.items), len(model.edges)) == (8, 22, 15)
    assert model.layers["Image"] == 0 and model.layers["Loyalty"] == 7
    assert model.construct("Quality").ends()[1].tolist() == [10.0] * 5


def test_diagram_of_eight_constructs(request):
    """Every construct and every coefficient stands in the picture, no two labels on the same spot."""
    import matplotlib.pyplot as plt

    model = PathModel.from_toml(request.config.rootpath / "data/models/tcsi.toml")
    rng = np.random.default_rng(0)
    values = 6 + rng.normal(size=(400, 1)) + rng.normal(size=(400, len(model.items)))
    fit = fit_pls(pd.DataFrame(np.clip(values, 1, 10), columns=list(model.items)), model)
    figure, ax = plt.subplots(figsize=(12, 6))
    assert fit.plot(ax, faint=[model.edges[0]]) is ax
    figure.canvas.draw()
    texts = [t.get_text().split("\n")[0] for t in ax.texts]
    assert set(model.names) <= set(texts)
    labels = [t for t in ax.texts if t.get_text() not in model.names and "R²" not in t.get_text()]
    assert sorted(t.get_text() for t in labels) == sorted(f"{v:.2f}" for v in fit.paths)
    boxes = [t.get_window_extent() for t in ax.texts]
    overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]
    assert not overlaps
    plt.close(figure)
