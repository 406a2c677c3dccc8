"""A fictional operator of any size: raw extracts as departments deliver them, with the truth known to tests."""

from workbench.sample.write import SampleReport, write_sample

__all__ = ["SampleReport", "write_sample"]
