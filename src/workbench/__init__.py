"""Research workbench for telecom operators: from raw extracts to studies that can be relied on."""

__version__ = "0.2.0"
