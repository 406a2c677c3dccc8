"""Who are the customers, what are they worth, and what is to be done for each?

Three questions, one table of customers: `rfm` and `score_rfm` (who was active lately, often and for much, and which
named segment is that?), `concentration` (how much of the revenue do the best bring?) and `fit_segments` (who behaves
alike, and would we find the same groups again?).
"""

from workbench.studies.segmentation.clusters import Segments, fit_segments
from workbench.studies.segmentation.concentration import Concentration, Share, concentration
from workbench.studies.segmentation.grid import NEVER_ACTIVE, Segment, SegmentGrid, default_grid
from workbench.studies.segmentation.rfm import Rfm, rfm, score_rfm

__all__ = [
    "NEVER_ACTIVE",
    "Concentration",
    "Rfm",
    "Segment",
    "SegmentGrid",
    "Segments",
    "Share",
    "concentration",
    "default_grid",
    "fit_segments",
    "rfm",
    "score_rfm",
]
