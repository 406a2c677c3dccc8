"""Estimators that know no telecom: every study may stand on them, they stand on the ground alone."""
