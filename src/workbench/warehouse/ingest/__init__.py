"""From raw extracts to canonical tables: read, check, account for every record, publish."""

from workbench.warehouse.ingest.run import ingest

__all__ = ["ingest"]
