"""Does a program written by others find the same, on the same data and the same resamples, when it is run here and now?

The peer (`tests/reference/seminr_peer.py`) turns no signs and divides by n - 1; neither shows: weights give scores of
variance 1, and on these surveys no construct turns round in any resample.
"""

import numpy as np
import pandas as pd
import pytest
from seminr_peer import PeerAbsent, ask

from workbench.methods.plspm import HigherOrder, PathModel, fit_pls
from workbench.methods.plspm.answers import read_answers
from workbench.methods.plspm.batch import Layout
from workbench.methods.plspm.replicates import resample

pytestmark = pytest.mark.prove

EXACT = 1e-12
SURVEYS = {"mobi": ("ecsi", None), "corp_rep": ("reputation", -99)}


@pytest.fixture(scope="module")
def models(request):
    """The model of each survey, from its file."""
    root = request.config.rootpath
    files = {"ecsi": root / "data/models/ecsi.toml", "reputation": root / "tests/reference/reputation.toml"}
    return {name: PathModel.from_toml(file) for name, file in files.items()}


def asked(model: PathModel, **job: object) -> dict:
    """The peer's answer for a model; the test is skipped where the peer is not installed."""
    job |= {"items": {c.name: c.items for c in model.constructs}, "paths": model.paths}
    formative = [c.name for c in model.constructs if c.mode == "B"]
    try:
        return ask(**job | {"formative": [*formative, *job.get("formative", [])]})
    except PeerAbsent as reason:
        pytest.skip(f"skipped: {reason}")


def furthest(ours: pd.Series, theirs: dict[str, float], joint: str) -> float:
    """Largest difference of what both give."""
    named = {joint.join(key) if isinstance(key, tuple) else key: value for key, value in ours.items()}
    return max(abs(named[name] - value) for name, value in theirs.items() if not np.isnan(named[name]))


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("scheme", ["path", "factorial"])
def test_fit_and_every_resample_equal_the_peer_s(models, survey, scheme):
    """Same rows drawn, a tight stop in both: weights, loadings and paths of every resample agree to 1e-12, also with
    formative constructs and missing answers that take the resample's mean."""
    name, code = SURVEYS[survey]
    model, n, resamples = models[name], {"mobi": 250, "corp_rep": 344}[survey], 200
    drawn = np.random.default_rng(11).integers(0, n, (resamples, n))
    theirs = asked(model, data=survey, scheme=scheme, stop=12, missing_value=code, indices=drawn)
    table = pd.DataFrame(theirs["values"], columns=theirs["columns"])
    fit = fit_pls(table, model, scheme=scheme, tolerance=1e-13)
    assert fit.missing == (0 if code is None else 11)
    assert furthest(fit.paths, theirs["paths"], "->") < EXACT
    assert furthest(fit.weights, theirs["weights"], ":") < EXACT
    assert furthest(fit.loadings, theirs["loadings"], ":") < EXACT
    assert furthest(fit.r2, theirs["r2"], "") < EXACT
    ours = pd.concat({"alpha": fit.alpha, "rhoA": fit.rho_a, "rhoC": fit.rho_c, "AVE": fit.ave}).swaplevel()
    assert furthest(ours, theirs["reliability"], ":") < EXACT
    assert furthest(fit.estimates["htmt"], theirs["htmt"], "~") < EXACT

    answers = read_answers(table, model)
    rows = np.array([np.bincount(row, minlength=n) for row in drawn])[:, answers.position].astype(np.float32)
    found = resample(answers, fit, [rows], 1e-13)
    assert found.failed == theirs["fails"] == 0
    labels = Layout(model).labels
    for quantity, (names, values) in theirs["boot"].items():
        columns = [labels.index((quantity.removesuffix("s"), each)) for each in names]
        assert values.shape == (resamples, len(names))
        assert np.abs(found.values[:, columns] - values).max() < EXACT


def test_the_peer_s_default_stop_is_ours(models):
    """At 1e-7 both stop within 1e-7 of each other."""
    theirs = asked(models["ecsi"], data="mobi")
    fit = fit_pls(pd.DataFrame(theirs["values"], columns=theirs["columns"]), models["ecsi"])
    assert furthest(fit.weights, theirs["weights"], ":") < 1e-7


@pytest.mark.parametrize("mode", ["A", "B"])
def test_higher_order_equals_the_peer_s(models, mode):
    """Satisfaction and loyalty with quality and value as one offer: both stages agree, in every resample."""
    ecsi = models["ecsi"]
    constructs = [c for c in ecsi.constructs if c.name in ("Image", "Quality", "Value", "Satisfaction", "Loyalty")]
    offer = HigherOrder("Offer", ["Quality", "Value"], mode)
    paths = {"Satisfaction": ["Image", "Offer"], "Loyalty": ["Satisfaction", "Offer"]}
    model = PathModel(constructs, paths, higher_order=[offer])
    drawn = np.random.default_rng(12).integers(0, 250, (50, 250))
    theirs = asked(
        model,
        data="mobi",
        stop=12,
        indices=drawn,
        higher_order={"Offer": offer.dimensions},
        formative=["Offer"] if mode == "B" else [],
    )
    table = pd.DataFrame(theirs["values"], columns=theirs["columns"])
    fit = fit_pls(table, model, tolerance=1e-13)
    assert furthest(fit.paths, theirs["paths"], "->") < EXACT
    assert furthest(fit.r2, theirs["r2"], "") < EXACT
    below = [f"{d}:{i}" for d in offer.dimensions for i in ecsi.construct(d).items]
    both = pd.concat([fit.weights, fit.first.weights[list(offer.dimensions)]])
    assert set(below) <= set(theirs["weights"]) and furthest(both, theirs["weights"], ":") < EXACT
    answers = read_answers(table, model)
    rows = np.array([np.bincount(row, minlength=250) for row in drawn])[:, answers.position].astype(float)
    names, values = theirs["boot"]["paths"]
    found = resample(answers, fit, [rows], 1e-13).values[
        :, [Layout(fit.model).labels.index(("path", n)) for n in names]
    ]
    assert np.abs(found - values).max() < EXACT


def test_interaction_equals_the_peer_s(models):
    """The peer multiplies scores of variance 1 by n - 1, so its coefficient is ours per unit of product times the root
    of n / (n - 1); its first stage stops at 1e-7 whatever is asked, so nine digits agree."""
    paths = {"Satisfaction": ["Image", "Value", "Image*Value"], "Loyalty": ["Satisfaction"]}
    constructs = [c for c in models["ecsi"].constructs if c.name in ("Image", "Value", "Satisfaction", "Loyalty")]
    model = PathModel(constructs, paths)
    theirs = asked(model, data="mobi", stop=12, interactions=[("Image", "Value")])
    fit = fit_pls(pd.DataFrame(theirs["values"], columns=theirs["columns"]), model, tolerance=1e-13)
    ours = fit.paths.copy()
    ours["Image*Value", "Satisfaction"] *= np.sqrt(250 / 249) / fit.estimates["product_sd", "Image*Value"]
    assert furthest(ours, theirs["paths"], "->") < 1e-9
    assert furthest(fit.r2, theirs["r2"], "") < 1e-9
