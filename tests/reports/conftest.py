"""Reports of one room's tests are made by workers that are kept from test to test."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _workers_are_kept(kept_workers):
    """Start workers and load their libraries once, not once a test."""
