"""A fictional operator of any size: raw extracts as departments deliver them, with the truth known to tests."""

from workbench.sample.write import write_sample

__all__ = ["write_sample"]
