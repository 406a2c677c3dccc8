"""From raw extracts to canonical tables: read, check, account for every record, publish."""
