"""What goes on: parameters, plans, workers, the ledger and the schedule."""
