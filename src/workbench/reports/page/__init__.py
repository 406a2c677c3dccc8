"""What is said: the page, the paper, the workbook and the lists of a report."""
