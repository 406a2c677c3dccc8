"""Stands before the library of this name, which takes two seconds to load a grammar that JSON schemas here do not use.

A plugin of pytest loads it before any setting of the tests counts: `make test` puts this folder on Python's path.
"""

raise ImportError("left out in tests")
