"""A deployed model and photos that lie beside the project; skipped where they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

import onnx_cam
from tests.places import SHARED

MODEL = SHARED / "panel" / "mobilenetv2_tv.onnx"
IMAGES = SHARED / "images"

pytestmark = pytest.mark.skipif(
    not MODEL.is_file(), reason="no ../shared/panel: the models are not part of the project"
)


@pytest.fixture(scope="module")
def mobilenet() -> onnx_cam.Classifier:
    return onnx_cam.load(MODEL, device="cpu", labels="imagenet", preprocess="imagenet")


def test_a_cat_is_seen_and_pointed_at(mobilenet: onnx_cam.Classifier) -> None:
    result = onnx_cam.explain(mobilenet, IMAGES / "cat_720p.jpg")
    assert result.layer.endswith("features.18.2/Clip_output_0")
    assert result.layer_shape == (1280, 7, 7)
    assert {t.index for t in result.top[:3]} == {281, 282, 285}
    face = result.map[150:650, 480:900]  # read off the picture
    assert face.mean() > 1.2 * result.map[45:675, 324:954].mean()


def test_the_energy_lies_in_the_box(mobilenet: onnx_cam.Classifier) -> None:
    """Score-CAM's map against the box of an object that the model recognises, less than a third of the crop."""
    entries = {entry["file"]: entry for entry in json.loads((IMAGES / "index.json").read_text())}
    entry = entries["ILSVRC2012_val_00000871.JPEG"]  # a brown bear
    result = onnx_cam.explain(mobilenet, IMAGES / entry["file"])
    assert result.target.index == entry["imagenet_id"]
    box = np.zeros(result.map.shape, bool)
    for x0, y0, x1, y1 in entry["boxes"]:
        box[y0 : y1 + 1, x0 : x1 + 1] = True
    x0, y0, x1, y1 = result.crop
    share = box[y0:y1, x0:x1].mean()
    assert result.map[box].sum() / result.map.sum() > 2 * share
