"""Servers that several files share."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.examples import write_example_files
from tests.server.serving import Server, serving, slow_model

if find_spec("starlette") is None:  # the extra `serve` is not installed
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the documents' examples: a model of four classes, two photos."""
    made = tmp_path_factory.mktemp("served")
    write_example_files(made)
    return made


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Server]:
    with serving("model.onnx", cwd=folder) as running:
        yield running


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model whose maps can take minutes, with a short time limit."""
    path = slow_model(tmp_path_factory.mktemp("slow"))
    with serving(path, "--preprocess", "unit", "--time-limit", "30", "--queue", "8") as running:
        yield running


def photo_of(seed: int, side: int = 48) -> bytes:
    """Return a PNG file of noise, a different one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
