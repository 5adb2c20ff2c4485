"""Deployed models, compared with ONNX Runtime; skipped where the models are not available."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import onnx_cam
from onnx_cam.gradients import GraphModule
from onnx_cam.graph.tap import tap
from tests.places import SHARED

PANEL = SHARED / "panel"

FLOAT32, FLOAT16, EIGHT_BITS = 1e-4, 2e-3, 0.1
"""The allowed difference, relative to the largest logit. In quantized models a sum close to a half may be rounded the
other way, and later layers amplify this; ONNX Runtime with and without fused kernels differs from itself as much."""

BOUNDS = {
    "squeezenet_fp16_two_outputs": FLOAT16,
    "coral_mnv1_025_128_quant": EIGHT_BITS,
    "coral_mnv2_100_224_quant": EIGHT_BITS,
    "mobilenetv2_quant_nns": EIGHT_BITS,
    "resnet50_int8_qdq_nhwc": EIGHT_BITS,
}
MODELS = sorted(PANEL.glob("*.onnx"))


@pytest.mark.skipif(not MODELS, reason="no ../shared/panel: the models are not part of the project")
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_deployed_model_scores_as_in_onnx_runtime(path: Path) -> None:
    model = onnx_cam.load(path, device="cpu")
    logits = model.head.logits or model.head.output
    proto = tap(model.facts.proto, [logits])
    batch = model.trial_images(1)
    expected = model.sessions.open(proto).run(batch, [logits])[0].astype(np.float64)
    with torch.no_grad():
        scores = GraphModule(proto, name=model.name)(torch.as_tensor(model.input.feed(batch)), [logits])[0].numpy()
    assert np.abs(scores - expected).max() <= BOUNDS.get(path.stem, FLOAT32) * np.abs(expected).max()


@pytest.mark.skipif(not MODELS, reason="no ../shared/panel: the models are not part of the project")
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_a_deployed_model_has_a_gradient_at_its_default_layer(path: Path) -> None:
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    layer = model.layer()
    gradients = model.gradients.at(layer, model.trial_images(1), range(min(model.classes, 5)), "torch").values[0]
    assert gradients.shape[1:] == layer.shape
    assert np.isfinite(gradients).all()
    assert gradients.any()
