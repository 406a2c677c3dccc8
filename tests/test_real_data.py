"""Public data through the same door as anyone's: mapping, ingest, warehouse, study, published number."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from workbench.methods.plspm import PathModel, fit_pls
from workbench.studies.segmentation import concentration, rfm
from workbench.studies.uplift import average_effect
from workbench.warehouse import campaign_arms, open_warehouse
from workbench.warehouse.ingest import ingest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """An empty project with the mappings and models that ship."""
    root = tmp_path_factory.mktemp("项目 public")
    for part in ("mappings", "models"):
        shutil.copytree(ROOT / "data" / part, root / "data" / part)
    return root


def _warehouse(source, project, shared_data):
    account = ingest(source, raw=shared_data, root=project)
    assert account.balanced and account.frame["quarantined"].sum() == 0
    return open_warehouse(source, root=project)


def test_mobi_equals_the_published_model(project, shared_data):
    """Paths, R2 and index of the ECSI model on mobi equal the published ones to 1e-6."""
    survey = _warehouse("mobi", project, shared_data).survey()
    fit = fit_pls(survey, PathModel.from_toml(project / "data/models/ecsi.toml"))
    published = json.loads((shared_data / "expected_mobi_ecsi.json").read_text(encoding="utf-8"))["schemes"]["path"]
    found = {f"{source}->{target}": value for (source, target), value in fit.paths.items()}
    assert found == pytest.approx(published["paths"], abs=1e-6)
    assert fit.r2.dropna().to_dict() == pytest.approx(published["r2"], abs=1e-6)
    assert fit.index.to_dict() == pytest.approx(published["index_0_100"], abs=1e-6)
    assert fit.index["Satisfaction"] == pytest.approx(72.454118, abs=1e-6)


@pytest.mark.parametrize(
    ("outcome", "estimate", "se"),
    [("visit", 0.045233, 0.003234), ("conversion", 0.003111, 0.000823), ("spend", 0.424412, 0.130333)],
)
def test_hillstrom_equals_the_published_effects(project, shared_data, outcome, estimate, se):
    """The women's e-mail against none: difference and standard error to the printed digit."""
    warehouse = _warehouse("hillstrom", project, shared_data)
    arms = campaign_arms(warehouse, "email", arm="womens", as_of=str(warehouse.as_of), outcome=outcome)
    assert np.bincount(arms.members["treatment"]).tolist() == [21_306, 21_387] and arms.others == 21_307
    found = average_effect(arms.members, outcome=outcome, treatment="treatment")
    assert (round(found.estimate, 6), round(found.se, 6)) == (estimate, se)


def test_cdnow_equals_the_published_counts(project, shared_data):
    """RFM counts on 1998-07-01 and the concentration of the amounts are the published ones."""
    payments = _warehouse("cdnow", project, shared_data).table("payment")
    columns = {"customer": "customer_id", "when": "paid_on", "amount": "amount"}
    scores = rfm(payments, **columns, as_of="1998-07-01", ties="by_id").customers
    assert [scores[s].value_counts().sort_index().tolist() for s in "rfm"] == [[471, 471, 472, 471, 472]] * 3
    cells = scores["cell"].value_counts()
    assert (len(cells), cells["555"], cells["111"]) == (67, 248, 171)
    together = rfm(payments, **columns, as_of="1998-07-01").customers
    assert together["f"].value_counts().sort_index().tolist() == [1621, 358, 378]
    revenue = payments.groupby("customer_id")["amount"].sum()
    found = concentration(revenue, resamples=100)
    assert round(found.share_of_top(0.2), 4) == 0.6746 and found.customers_for(0.8) == 777
    assert round(found.gini.estimate, 4) == 0.6309
