"""A project to which files are delivered, for the tests of what is read again and what is not."""

import json

import pytest

from workbench.warehouse import open_warehouse
from workbench.warehouse.digests import DIGESTS
from workbench.warehouse.ingest import ingest, records


class Operator:
    """A project to which files are delivered, and which says which files were read."""

    def __init__(self, root, monkeypatch, mapping):
        self.root, self.read = root, []
        (root / "data" / "mappings").mkdir(parents=True)
        (root / "data" / "private").mkdir(mode=0o700)
        (root / "data" / "mappings" / "shop.toml").write_text(mapping, encoding="utf-8")
        (root / "data" / "private" / "key").touch(mode=0o600)
        (root / "data" / "private" / "key").write_text("0123456789abcdef", encoding="utf-8")
        original = records.batches

        def noted(path, block):
            self.read += [path.relative_to(self.raw).as_posix()] if path.is_relative_to(self.raw) else []
            return original(path, block)

        monkeypatch.setattr(records, "batches", noted)

    @property
    def raw(self):
        return self.root / "data" / "raw" / "shop"

    def deliver(self, files):
        """Lay files into the raw folder (None takes one away), and ingest; give the names of those that were read."""
        for name, text in files.items():
            path = self.raw / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")
        self.read.clear()
        ingest("shop", root=self.root)
        return sorted(self.read)

    def tables(self):
        """Digests of all tables, the account and the quarantine among them."""
        return json.loads((open_warehouse("shop", root=self.root).place / DIGESTS).read_text())


@pytest.fixture
def operators(tmp_path, monkeypatch):
    """Begin projects by name and mapping."""
    monkeypatch.delenv("WORKBENCH_KEY", raising=False)
    return lambda name, mapping: Operator(tmp_path / name, monkeypatch, mapping)
