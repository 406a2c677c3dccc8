"""The warehouse: canonical tables, the way in for raw extracts, and the door for notebooks."""

from workbench.warehouse.account import Account
from workbench.warehouse.connect import Warehouse, open_warehouse
from workbench.warehouse.ingest import ingest

__all__ = ["Account", "Warehouse", "ingest", "open_warehouse"]
