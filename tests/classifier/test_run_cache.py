"""The cache folder of what runs found: entries are read back whole, or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from onnx_cam.classifier import run_cache
from onnx_cam.classifier.run_cache import OFF, cache_folder, entry_name, read_entry, write_entry

CONTENT = {"numbers": [1, 2.5], "text": "ü"}


def kept_file(own_cache: Path) -> Path:
    write_entry("kind", "name", CONTENT)
    assert read_entry("kind", "name") == CONTENT
    return own_cache / "kind" / "name.json"


def with_hash(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_an_entry_is_read_back(own_cache: Path) -> None:
    assert kept_file(own_cache).is_file()
    assert read_entry("kind", "other") is None
    assert read_entry("other", "name") is None


@pytest.mark.parametrize("keep", [0, 10, 64, 65, 80])
def test_an_entry_that_was_cut_off_is_not_read(keep: int, own_cache: Path) -> None:
    path = kept_file(own_cache)
    path.write_bytes(path.read_bytes()[:keep])
    assert read_entry("kind", "name") is None


def test_an_entry_with_a_changed_byte_is_not_read(own_cache: Path) -> None:
    path = kept_file(own_cache)
    path.write_bytes(path.read_bytes().replace(b"2.5", b"3.5"))
    assert read_entry("kind", "name") is None


@pytest.mark.parametrize("body", [b"", b"[1]", b"null", b"\xff", b"{", b"[" * 100_000, b'{"a": 1'])
def test_what_is_no_object_is_not_read(body: bytes, own_cache: Path) -> None:
    kept_file(own_cache).write_bytes(with_hash(body))
    assert read_entry("kind", "name") is None


def test_a_file_that_is_too_large_is_not_read(own_cache: Path) -> None:
    kept_file(own_cache).write_bytes(with_hash(b'{"a": "' + b"x" * (16 << 20) + b'"}'))
    assert read_entry("kind", "name") is None


def test_a_folder_in_its_place_is_left_alone(own_cache: Path) -> None:
    (own_cache / "kind" / "name.json").mkdir(parents=True)
    write_entry("kind", "name", CONTENT)
    assert read_entry("kind", "name") is None


def test_the_oldest_entries_make_room(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "_MAX_ENTRIES", 3)
    for number in range(5):
        write_entry("kind", str(number), CONTENT)
    kept = {path.stem for path in (own_cache / "kind").iterdir()}
    assert len(kept) == 3
    assert "4" in kept


def test_switched_off_nothing_is_read_or_written(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept_file(own_cache)
    monkeypatch.setenv(OFF, "1")
    assert read_entry("kind", "name") is None
    write_entry("kind", "new", CONTENT)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    monkeypatch.setenv(OFF, "0")
    assert read_entry("kind", "name") == CONTENT


def test_an_entry_of_another_text_has_another_name() -> None:
    names = {entry_name("a", "b"), entry_name("ab"), entry_name("a\n'b'"), entry_name(("a", "b")), entry_name("\ud800")}
    assert len(names) == 5


def test_the_folder_is_the_users(own_cache: Path) -> None:
    assert cache_folder() == own_cache
