"""Deletion and Insertion against openvino-xai, where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnx_cam
from onnx_cam.metrics import Deletion, Insertion, MaskedImage
from tests import tiny

CLASS = 2


@pytest.mark.parametrize("seed", range(3))
def test_openvino_xais_curves_agree(tmp_path: Path, seed: int) -> None:
    """With zero for a baseline, and steps that divide the pixels: it rounds down, we to the nearest."""
    auc = pytest.importorskip("openvino_xai.metrics.insertion_deletion_auc")
    classifier = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")
    x = tiny.image(seed)

    class OnOnnxRuntime(auc.InsertionDeletionAUC):  # type: ignore[misc, name-defined]
        """It would load the model into OpenVINO; the pixels are what is compared."""

        def __init__(self) -> None: ...

        def model_predict(self, image: Any) -> Any:
            return classifier.sessions.scores(np.moveaxis(image, -1, 0)[None])[0]

    cam = np.random.default_rng(seed).random((tiny.SIZE, tiny.SIZE), np.float32)  # no ties: it breaks them otherwise
    image = MaskedImage(classifier, x, CLASS, cam)
    assert len(np.unique(image.importance)) == image.importance.size
    steps = 20
    assert tiny.SIZE**2 % steps == 0
    found = OnOnnxRuntime()(image.importance, CLASS, np.moveaxis(x, 0, -1), steps)
    assert Deletion(steps=steps).measure(image).value == pytest.approx(found["deletion"], abs=1e-5)
    assert Insertion(steps=steps, baseline="zero").measure(image).value == pytest.approx(found["insertion"], abs=1e-5)
