"""What do all departments together know: of the whole base, and of one customer through time?"""

from workbench.studies.customer_view.history import Profile, customer_history, customer_profile
from workbench.studies.customer_view.reach import known_by_department, with_found

__all__ = ["Profile", "customer_history", "customer_profile", "known_by_department", "with_found"]
