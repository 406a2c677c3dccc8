"""Do the clusters find the sample operator's true segments? Against the best possible from the same features."""

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict

from workbench.studies.segmentation import NEVER_ACTIVE, fit_segments, score_rfm, tiers

pytestmark = pytest.mark.prove

USAGE = ["call_min_month", "data_mb_month", "night_share"]


@pytest.fixture(scope="module")
def operator(tmp_path_factory, request):
    """Features of a small sample operator, and the true segment of each of its customers."""
    from workbench.warehouse import ingest, open_warehouse
    from workbench.warehouse.features import customer_features
    from workbench.warehouse.sample import write_sample

    root = tmp_path_factory.mktemp("operator")
    shutil.copytree(request.config.rootpath / "data" / "mappings", root / "data" / "mappings")
    raw = root / "data" / "raw" / "sample"
    write_sample(raw, customers=4_000, seed=0)
    ingest("sample", root=root)
    features = customer_features(open_warehouse("sample", root=root), "2026-07-01").set_index("customer_id")
    truth = pd.read_parquet(raw / "truth" / "customers.parquet").set_index("customer_id")["segment"]
    return features, truth


def test_true_segments_are_found(operator):
    """The ARI with the true segments has its interval above .5, and is 65 % of what a trained classifier reaches."""
    features, truth = operator
    private = features[features["kind"].isin(["person", "household"])].dropna(subset=USAGE)
    true = truth.reindex(private.index).to_numpy()
    usage = private[USAGE]
    found = fit_segments(usage, log=USAGE[:2], shares=USAGE[2:], resamples=20)
    trained = cross_val_predict(HistGradientBoostingClassifier(max_iter=60, random_state=0), usage, true, cv=3)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(true), (100, len(true)))
    low = np.quantile([adjusted_rand_score(true[d], found.labels.to_numpy()[d]) for d in draws], 0.025)
    reached, possible = adjusted_rand_score(true, found.labels), adjusted_rand_score(true, trained)
    assert low > 0.5, (reached, possible)
    assert reached > 0.65 * possible, (reached, possible)


def test_features_can_be_scored(operator):
    """The feature table goes through RFM and tiers: nobody is lost, never active customers are named."""
    features, _ = operator
    table = features.reset_index().fillna({"monetary": 0.0})
    scored = score_rfm(
        table, customer="customer_id", recency="recency_days", frequency="frequency", monetary="monetary"
    )
    assert len(scored.customers) == len(features)
    assert (scored.customers["segment"] == NEVER_ACTIVE).sum() == features["recency_days"].isna().sum()
    ranked = tiers(table, customer="customer_id", value="monetary", exclusions=["is_staff"])
    assert ranked.table["customers"].sum() == len(features)
