"""Who are the customers, what are they worth, and what is to be done for each?

One table of customers: `rfm` and `score_rfm` (who was active lately, often and for much, and which named segment is
that?), `concentration` (how much of the revenue do the best bring?) and `fit_segments` (who behaves alike, and would
we find the same groups again?); `decision` says what to do. From month to month: the kept segmentation
(`save_segments`), its `drift`, the `migration` between segments, `early_warnings` and `silent_services`.
"""

from workbench.studies.segmentation.advice import decision
from workbench.studies.segmentation.clusters import fit_segments
from workbench.studies.segmentation.concentration import concentration
from workbench.studies.segmentation.drift import drift
from workbench.studies.segmentation.grid import NEVER_ACTIVE, SegmentGrid, default_grid
from workbench.studies.segmentation.migration import ENTERED, LEFT, migration
from workbench.studies.segmentation.pictures import plot_profiles, plot_usage, weekly_use
from workbench.studies.segmentation.rfm import Rfm, rfm, score_rfm
from workbench.studies.segmentation.saved import read_segments, save_segments
from workbench.studies.segmentation.use import described_use, memberships
from workbench.studies.segmentation.warning import early_warnings, silent_services

__all__ = [
    "ENTERED",
    "LEFT",
    "NEVER_ACTIVE",
    "Rfm",
    "SegmentGrid",
    "concentration",
    "decision",
    "default_grid",
    "described_use",
    "drift",
    "early_warnings",
    "fit_segments",
    "memberships",
    "migration",
    "plot_profiles",
    "plot_usage",
    "read_segments",
    "rfm",
    "save_segments",
    "score_rfm",
    "silent_services",
    "weekly_use",
]
