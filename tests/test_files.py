"""Files are read up to a limit, whatever they say about their size."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from onnx_cam import files
from onnx_cam.files import read_at_most


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 12, 100, 3 << 20])
def test_at_most_one_byte_more_than_the_limit_is_read(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    for limit in (10, 2 << 20, 4 << 20):
        with open(path, "rb") as file:
            assert read_at_most(file, limit) == content[: limit + 1]
        assert read_at_most(io.BytesIO(content), limit) == content[: limit + 1]


@pytest.mark.parametrize("size", [0, 5, 5 << 20])
def test_a_file_that_grows_or_shrinks_is_read_to_its_end(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 << 20)
    path = tmp_path / "file"
    path.write_bytes(content)
    monkeypatch.setattr(files, "_known_size", lambda file: size)
    with open(path, "rb") as file:
        assert read_at_most(file, 4 << 20) == content


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abcdef")
    os.close(writing)
    with open(reading, "rb") as file:
        assert read_at_most(file, 10) == b"abcdef"
