"""The metrics against those of other tools, where they are installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.metrics import MaskedImage
from onnx_cam.metrics.explained_image import explained_image
from tests import tiny
from tests.metric_peers import EXPLAINED_PAIRS, PAIRS, Example, Pair
from tests.peers import import_grad_cam
from tests.torch_twins import Tiny

CLASS = 2
STEPS = 20


@pytest.fixture(params=range(4))
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    classifier = onnx_cam.load(tiny.save(tiny.model(), tmp_path), device="cpu", preprocess="none")
    generator = np.random.default_rng(request.param)
    cam = generator.random((tiny.SIZE, tiny.SIZE), np.float32)
    assert len(np.unique(cam)) == cam.size
    boxes = generator.random(cam.shape) < 0.3
    return Example(Tiny(), MaskedImage(classifier, tiny.image(request.param), CLASS, cam, boxes=boxes), STEPS)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.module}, {pair.metric}")
def test_the_metrics_of_other_tools_agree(pair: Pair, example: Example) -> None:
    skip_without(pair.module)
    np.testing.assert_allclose(pair.ours(example), pair.theirs(example), atol=1e-5)


@pytest.mark.parametrize("pair", EXPLAINED_PAIRS, ids=lambda pair: f"{pair.module}, {pair.metric}")
@pytest.mark.parametrize("method", [onnx_cam.GradCAM(), EqualWeights()], ids=lambda method: method.name)
def test_the_metrics_of_other_tools_that_explain_agree(
    pair: Pair, method: onnx_cam.Method, tiny_classifier: Classifier
) -> None:
    skip_without(pair.module)
    made = explained_image(tiny_classifier, tiny.image(1), method)
    assert made.importance.any()
    example = Example(Tiny(), made, STEPS)
    np.testing.assert_allclose(pair.ours(example), pair.theirs(example), atol=1e-5)


def skip_without(module: str) -> None:
    try:
        import_grad_cam() if module == "pytorch_grad_cam" else __import__(module)
    except ImportError as error:
        pytest.skip(f"not installed, or not whole: {error}")
