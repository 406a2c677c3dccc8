"""Who leaves, why and where to; did the base change or its rates; and does making good a complaint keep anybody?

`incidence` says how many leave by which cause, `directions` to and from which operator, `churn_change` what a change
of churn is made of, `recovery` what becomes of those who complain.
"""

from workbench.studies.departures.advice import decision
from workbench.studies.departures.causes import incidence
from workbench.studies.departures.change import churn_change
from workbench.studies.departures.direction import directions
from workbench.studies.departures.recovery import recovery

__all__ = ["churn_change", "decision", "directions", "incidence", "recovery"]
