"""Pseudonyms: stable under a key, useless without it, and the key is never seen."""

import hashlib
import os
import stat

import pyarrow as pa
import pytest

from workbench.errors import WorkbenchError
from workbench.warehouse import open_warehouse
from workbench.warehouse.ingest import ingest
from workbench.warehouse.pseudonyms import Pseudonyms, read_key

MAPPING = """
as_of = 2026-07-01
[[file]]
path = "c.csv"
table = "customer"
[file.columns]
customer_id = "id"
kind = { constant = "person" }
name_key = { from = "name", pseudonym = true, missing = ["", "-"] }
province = { constant = "江苏" }
joined_on = { constant = 2020-01-01 }
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project whose customers have clear names, without a key in the environment."""
    monkeypatch.delenv("WORKBENCH_KEY", raising=False)
    for folder in ("mappings", "raw/shop"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    (tmp_path / "data" / "mappings" / "shop.toml").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "data" / "raw" / "shop" / "c.csv").write_text("id,name\n1,张三\n2,-\n3, 张三 \n4,李四\n")
    return tmp_path


def names(root):
    """The stored pseudonyms, in order of the customers."""
    return open_warehouse("shop", root=root).table("customer")["name_key"].tolist()


def test_pseudonym_is_keyed_blake2b():
    """By hand: the hash of the text under the key; missing stays missing, equal texts are equal."""
    key = b"k" * 32
    given = Pseudonyms(key).of(pa.chunked_array([["13800000000", "", None, "13800000000"]]), ("",)).to_pylist()
    expected = hashlib.blake2b(b"13800000000", key=key, digest_size=10).hexdigest()
    assert given == [expected, None, None, expected]
    assert "k" * 32 not in repr(Pseudonyms(key))


def test_key_file_is_made_once_for_its_owner_alone(root):
    """The first use makes data/private/key with rights 0600; later uses read it."""
    first = read_key(root)
    file = root / "data" / "private" / "key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and len(file.read_text().strip()) == 64
    assert read_key(root) == first
    file.chmod(0o644)
    with pytest.raises(WorkbenchError, match="chmod 600"):
        read_key(root)


def test_short_key_is_refused(root, monkeypatch):
    """A key that can be guessed protects nothing."""
    monkeypatch.setenv("WORKBENCH_KEY", "secret")
    with pytest.raises(WorkbenchError, match="fewer than 16 characters"):
        ingest("shop", root=root)


def test_same_name_same_pseudonym_and_the_key_is_stored_nowhere(root, monkeypatch):
    """Spaces aside, equal names are equal; neither key nor clear name stands in the warehouse."""
    monkeypatch.setenv("WORKBENCH_KEY", "a key of many characters")
    ingest("shop", root=root)
    one, none, again, other = names(root)
    assert one == again != other and none != none
    for file in (root / "data" / "warehouse").rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert b"a key of many characters" not in content and "张三".encode() not in content
    assert not (root / "data" / "private").exists()


def test_another_key_is_noticed(root, monkeypatch):
    """With another key the ingest makes a new version and says that pseudonyms do not join with the old ones."""
    monkeypatch.setenv("WORKBENCH_KEY", "a key of many characters")
    ingest("shop", root=root)
    before = names(root)
    monkeypatch.setitem(os.environ, "WORKBENCH_KEY", "another key of many characters")
    account = ingest("shop", root=root)
    assert account.changed and any("the key has changed" in note for note in account.notes)
    assert names(root)[0] != before[0]
