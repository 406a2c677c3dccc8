"""Research workbench for telecom operators: from raw extracts to studies that can be relied on.

The doors of an analyst, loaded when they are used:

>>> import workbench as wb
>>> sorted(wb.__all__)[:4]
['Refusal', 'WorkbenchError', 'arms', 'ask']

``warehouse = wb.open("sample")``, ``wb.sql("SELECT ...")``, ``wb.features(warehouse, "2026-07-01")``,
``wb.customer_view(warehouse, "2026-07-01")``, ``wb.arms``; then
``wb.segment``, ``wb.rfm``, ``wb.satisfaction``, ``wb.effect``, ``wb.uplift``, ``wb.targeting``, ``wb.lifetime_value``.
Every result has `headline()`, `summary()`, `plot()` and `quantities()`. What else a study offers is in its room.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import workbench.renamed  # noqa: F401  (finds modules under their names of 0.1)

__version__ = "0.3.0"

_DOORS = {
    "Refusal": "workbench.result:Refusal",
    "WorkbenchError": "workbench.errors:WorkbenchError",
    "arms": "workbench.warehouse:campaign_arms",
    "ask": "workbench.result:ask",
    "customer_view": "workbench.warehouse:customer_view",
    "effect": "workbench.methods.experiment:average_effect",
    "features": "workbench.warehouse:customer_features",
    "ingest": "workbench.warehouse.ingest:ingest",
    "lifetime_value": "workbench.studies.lifetime_value:lifetime_value",
    "open": "workbench.warehouse:open_warehouse",
    "rfm": "workbench.studies.segmentation:rfm",
    "satisfaction": "workbench.studies.satisfaction:satisfaction_index",
    "segment": "workbench.studies.segmentation:fit_segments",
    "sql": "workbench.warehouse.adhoc:sql",
    "targeting": "workbench.studies.uplift:targeting",
    "tiers": "workbench.studies.tiers:tiers",
    "uplift": "workbench.methods.experiment:predict_uplift",
    "voice": "workbench.studies.voice:voice_scores",
}
__all__ = list(_DOORS)


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module 'workbench' has no attribute '{name}'. Its doors: {', '.join(_DOORS)}.")
    module, _, function = _DOORS[name].partition(":")
    return getattr(import_module(module), function)


def __dir__() -> list[str]:
    return [*(name for name in globals() if name.startswith("__")), *_DOORS]
