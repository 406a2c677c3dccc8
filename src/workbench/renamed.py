"""Modules under their names of version 0.1: each leads to the one of today, with a warning that names it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_MOVED = {
    "methods": "resampling studies.cells studies.plspm",
    "methods.btyd": "studies.lifetime.likelihoods studies.lifetime.maximum studies.lifetime.purchases "
    "studies.lifetime.retention studies.lifetime.spend",
    "methods.experiment": "studies.campaigns.assignment studies.campaigns.design studies.uplift.describe",
    "reports.handoff": "reports.commands reports.compare",
    "reports.page": "reports.lists reports.notebook reports.pdf reports.sheets reports.tables",
    "reports.runs": "reports.execute reports.fanout reports.folders reports.hooks reports.kernels reports.ledger "
    "reports.nursery reports.parameters reports.periods reports.plans reports.render reports.schedule reports.secrets "
    "reports.site reports.slots reports.status reports.stops reports.targets reports.workers",
    "studies.observational": "studies.uplift.adjustment studies.uplift.sensitivity",
    "warehouse.ingest": "warehouse.build warehouse.lines warehouse.mapping warehouse.read warehouse.rules",
}
RENAMED = {old: f"{room}.{old.rpartition('.')[2]}" for room, names in _MOVED.items() for old in names.split()} | {
    "studies.campaigns": "studies.campaign_planning",
    "studies.followup": "studies.campaign_effect",
    "studies.lifetime": "studies.lifetime_value",
    "studies.lifetime.btyd": "methods.btyd.models",
    "studies.plspm.verdicts": "methods.plspm.fitted",
    "studies.rollout": "studies.observational",
    "studies.tiers.service": "studies.service.promises",
    "studies.trials": "methods.experiment",
    "studies.trials.words": "words",
    "studies.uplift.observational": "studies.observational.treated",
    "studies.value": "studies.potential",
    "studies.voice.shortfalls": "studies.service.shortfalls",
    "warehouse.sample": "sample",
}


def today(name: str) -> str | None:
    """Give the name of today for a module of version 0.1; None where it has not moved.

    >>> today("workbench.studies.trials.members"), today("workbench.columns")
    ('workbench.methods.experiment.members', None)
    """
    parts = name.removeprefix("workbench.").split(".")
    for end in range(len(parts), 0, -1):
        if new := RENAMED.get(".".join(parts[:end])):
            return ".".join(["workbench", new, *parts[end:]])
    return None


class Renamed(MetaPathFinder, Loader):
    """Finds, after all others, a module under its old name."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find a module that has moved."""
        return ModuleSpec(name, self, is_package=True) if name.startswith("workbench.") and today(name) else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the old name with what the module of today holds."""
        new = today(module.__name__)
        assert new is not None, "it was found"
        warnings.warn(f"'{module.__name__}' is '{new}' since version 0.2.", DeprecationWarning, stacklevel=2)
        held = vars(import_module(new))
        vars(module).update({name: value for name, value in held.items() if name == "__all__" or name[:2] != "__"})


MOVED_NAMES = {
    "tiers": "CostToServe PromisesKept cost_to_serve promises_kept unit_costs",
    "voice": "ServiceShortfalls ServiceStandard service_shortfalls service_standards",
}


def in_service(module: str) -> Callable[[str], Any]:
    """Give a room's `__getattr__` for names that stand in the room of service today: found, with a warning."""

    def found(name: str) -> Any:
        if name not in MOVED_NAMES[module.rpartition(".")[2]].split():
            raise AttributeError(f"module '{module}' has no attribute '{name}'")
        new = "workbench.studies.service"
        warnings.warn(f"'{module}.{name}' is '{new}.{name}' since version 0.3.", DeprecationWarning, stacklevel=2)
        return getattr(import_module(new), name)

    return found


sys.meta_path.append(Renamed())
