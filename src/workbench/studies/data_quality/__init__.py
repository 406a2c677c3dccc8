"""What of the data is mended first, in which department, and whom does it touch?

Coverage by department and month, records lost when the data came in, columns without values, contradictions between
systems, and what all of it does to each study.
"""

from workbench.studies.data_quality.contradictions import contradictions, lost_records
from workbench.studies.data_quality.coverage import coverage
from workbench.studies.data_quality.known_faults import quality_rules
from workbench.studies.data_quality.priorities import completeness, mend_first, studies_touched

__all__ = [
    "completeness",
    "contradictions",
    "coverage",
    "lost_records",
    "mend_first",
    "quality_rules",
    "studies_touched",
]
