"""What tests of runs begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.photos import write_dataset, write_model


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "photos")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path)
