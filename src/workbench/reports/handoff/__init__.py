"""Handing a report over: one file that proves its numbers, and the command that checks it."""
