"""Does consistent PLS find the paths between error-free notions, and say where it cannot?"""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.studies.plspm import Construct, PathModel, bootstrap_pls, consistent_pls, fit_pls


def test_mobi_equals_two_programs(shared_data, request):
    """Paths, R2 and loadings of seminr and cSEM on the mobile survey to 1e-9, to 1e-6 at the default stop."""
    mobi = pd.read_csv(shared_data / "mobi.csv")
    model = PathModel.from_toml(request.config.rootpath / "data/models/ecsi.toml")
    theirs = json.loads((shared_data / "expected_mobi_ecsi.json").read_text(encoding="utf-8"))["PLSc_path_scheme"]
    for tolerance, within in ((1e-13, 1e-9), (1e-7, 1e-6)):
        found = consistent_pls(fit_pls(mobi, model, tolerance=tolerance))
        paths = {f"{s}->{t}": value for (s, t), value in found.paths.items()}
        for program in ("seminr-R", "cSEM-R"):
            assert paths == pytest.approx(theirs[program]["paths"], abs=within)
            assert found.r2.to_dict() == pytest.approx(theirs[program]["r2"], abs=within)
            assert found.loadings.droplevel(0).to_dict() == pytest.approx(theirs[program]["loadings"], abs=within)
    assert "Expectation is measured too unreliably to be corrected: rho_A is 0.462" in found.headline()
    assert len(found.verdicts) == 1


def test_consistent_in_simulation():
    """Factors with a path of 0.6 and loadings of 0.6 to 0.8: PLS is too low, the correction within three
    standard errors, and its interval contains the truth."""
    rng = np.random.default_rng(2)
    n, loading = 4000, np.array([0.6, 0.7, 0.8])
    a = rng.normal(size=(n, 1))
    b = 0.6 * a + 0.8 * rng.normal(size=(n, 1))
    items = [f * loading + np.sqrt(1 - loading**2) * rng.normal(size=(n, 3)) for f in (a, b)]
    model = PathModel([Construct(c, [f"{c}{i}" for i in range(3)], low=-20, high=20) for c in "AB"], {"B": ["A"]})
    table = pd.DataFrame(np.hstack(items), columns=list(model.items))
    boot = bootstrap_pls(table, model, resamples=200, interval="percentile")
    found = consistent_pls(boot)
    row = found.table[found.table["quantity"] == "path"].iloc[0]
    assert boot.fit.paths["A", "B"] < 0.5
    assert abs(row["estimate"] - 0.6) < 3 * row["se"] and row["low"] < 0.6 < row["high"]
    spread = found.table[found.table["quantity"] == "loading"]["se"].to_numpy()
    assert (np.abs(found.loadings.to_numpy() - np.tile(loading, 2)) < 4 * spread).all()
    assert not found.verdicts


def test_single_items_and_mode_b_are_left_alone():
    """Where there is no rho_A there is nothing to correct."""
    rng = np.random.default_rng(4)
    values = 5.5 + rng.normal(size=(150, 1)) + rng.normal(size=(150, 3))
    model = PathModel([Construct("Q", ["q1", "q2"], mode="B"), Construct("L", ["l1"])], {"L": ["Q"]})
    fit = fit_pls(pd.DataFrame(values.clip(1, 10), columns=list(model.items)), model)
    found = consistent_pls(fit)
    assert found.paths.to_numpy() == pytest.approx(fit.paths.to_numpy())
    assert found.loadings.to_numpy() == pytest.approx(fit.loadings.to_numpy())
