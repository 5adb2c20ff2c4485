"""Average Gain: what the masked image gains of the probability that is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx_cam.metrics import AverageGain, MaskedImage
from tests import tiny
from tests.metrics.references import load, network_of, raised


@pytest.mark.parametrize("target", range(tiny.CLASSES))
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_share_of_the_missing_probability(tmp_path: Path, seed: int, target: int) -> None:
    classifier = load(tmp_path, preprocess="none")
    cam = np.random.default_rng(seed).random((5, 5)).astype(np.float32)
    x = tiny.image(seed).astype(np.float64)
    network = network_of(classifier)
    y, o = (float(network.probability(one)[target]) for one in (x, x * raised(cam.astype(np.float64))))
    image = MaskedImage(classifier, tiny.image(seed), target, cam)
    assert AverageGain().measure(image).value == pytest.approx(100 * max(0, o - y) / (1 - y), abs=1e-3)
    assert image.passes == 2


def test_some_gains_are_above_0_and_some_are_0(tmp_path: Path) -> None:
    classifier = load(tmp_path, preprocess="none")
    gains = [
        AverageGain().measure(MaskedImage(classifier, tiny.image(seed), target, np.eye(5, dtype=np.float32))).value
        for seed in range(3)
        for target in range(tiny.CLASSES)
    ]
    assert 0 < gains.count(0.0) < len(gains)
    assert all(0 <= gain <= 100 for gain in gains if gain is not None)


def test_it_takes_no_share_of_the_pixels_and_no_logits() -> None:
    assert AverageGain().parameters == {}
    assert {one.score for one in AverageGain().inputs(None)} == {"probability"}  # type: ignore[arg-type]
