"""The gradient methods: against the slow reference, and where they have nothing to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError, SettingError
from onnx_cam.methods import METHODS
from tests import tiny
from tests.gradient_oracle import GRADIENT_REFERENCES, GradientCase
from tests.torch_twins import Tiny

TOLERANCE = 1e-4  # of the map's maximum
SAMPLES = 3


def settings(method: str) -> dict[str, Any]:
    return {"samples": SAMPLES} if method == "smoothgradcam++" else {}


def largest_difference(found: np.ndarray, reference: np.ndarray) -> float:
    assert reference.max() > 0
    return float(np.abs(found - reference).max() / reference.max())


@pytest.fixture
def free(tmp_path: Path) -> Classifier:
    """The tiny network, its input's height and width left free: it takes a reduced image as it is."""
    path = tiny.save(tiny.model(size="size"), tmp_path)
    return onnx_cam.load(path, device="cpu", preprocess="none", size=(tiny.SIZE, tiny.SIZE))


@pytest.mark.parametrize(
    ("method", "variant", "layer"),
    [(*pair, layer) for pair in sorted(GRADIENT_REFERENCES) for layer in ("relu1", "relu2") if pair[0] != "cam"]
    + [("cam", "paper", "relu2")],  # no linear layer follows the first
)
def test_agrees_with_the_reference(method: str, variant: str, layer: str, free: Classifier) -> None:
    made = METHODS[method](variant=variant, **settings(method))
    compared = 0
    for target in range(tiny.CLASSES):
        x = tiny.image(target)
        case = GradientCase(
            x.astype(np.float64),
            target,
            layer,
            seed=7,
            samples=int(getattr(made, "samples", 1)),
            sigma=float(getattr(made, "sigma", 0.0)),
        )
        reference = GRADIENT_REFERENCES[method, variant](case)
        result = onnx_cam.explain(
            free, x, method=method, variant=variant, target=target, layer=layer, seed=7, **settings(method)
        )
        if not reference.any():
            assert result.empty
            continue
        compared += 1
        assert largest_difference(result.cam, reference) < TOLERANCE
    dead = layer == "relu2" and (method, variant) == ("grad++scorecam", "weights")  # constant behind global pooling
    assert compared >= (0 if dead else 1)


def test_a_reduced_image_is_resized_back_where_the_model_takes_no_other_size(free: Classifier, tiny_path: Path) -> None:
    fixed = onnx_cam.load(tiny_path, device="cpu", preprocess="none")
    x = tiny.image(1)
    results = [
        onnx_cam.explain(model, x, method="grad++scorecam", variant="paper", layer="relu1") for model in (free, fixed)
    ]
    assert results[0].passes == results[1].passes > 2
    assert np.isfinite(results[1].cam).all()
    assert np.abs(results[0].weights - results[1].weights).max() > 0
    assert (free.sessions.refused_sizes, fixed.sessions.refused_sizes) == (set(), {(10, 10)})  # known from now on


def test_behind_global_pooling_gradcam_is_cam(lite0: Classifier, photo: Path) -> None:
    gradcam, cam = (onnx_cam.explain(lite0, photo, method=method) for method in ("gradcam", "cam"))
    np.testing.assert_allclose(gradcam.map, cam.map, atol=1e-5)
    assert cam.passes == 0  # the activations are known
    assert gradcam.parameters["score"] == "logit"


def test_all_targets_have_a_gradient_of_their_own(tiny_classifier: Classifier) -> None:
    x = tiny.image(3)
    together = onnx_cam.explain(tiny_classifier, x, method="gradcam", target=[0, 2], layer="relu1")
    for one in together:
        alone = onnx_cam.explain(tiny_classifier, x, method="gradcam", target=one.target.index, layer="relu1")
        np.testing.assert_allclose(one.cam, alone.cam, atol=1e-6)


def test_a_zero_gradient_makes_an_empty_map_and_a_warning(tmp_path: Path) -> None:
    proto = tiny.model()
    for weight in proto.graph.initializer:
        if weight.name == "w3":
            weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros((tiny.CLASSES, tiny.CHANNELS), np.float32), "w3"))
    model = onnx_cam.load(tiny.save(proto, tmp_path), device="cpu", preprocess="none")
    for method in ("gradcam", "gradcam++", "grad++scorecam"):
        result = onnx_cam.explain(model, tiny.image(1), method=method)
        assert result.empty
        assert any("cannot explain this" in warning for warning in result.warnings)


def test_cam_without_a_linear_layer_says_what_to_do(tiny_classifier: Classifier) -> None:
    with pytest.raises(LayerError, match="gradcam"):
        onnx_cam.explain(tiny_classifier, tiny.image(1), method="cam", layer="relu1")


def test_gradient_methods_are_defined_on_the_logit(tiny_classifier: Classifier) -> None:
    with pytest.raises(SettingError, match="logit"):
        onnx_cam.explain(tiny_classifier, tiny.image(1), method="gradcam", score="probability")
    with pytest.raises(SettingError, match="baseline"):
        onnx_cam.explain(tiny_classifier, tiny.image(1), method="gradcam", baseline="blur")


def test_the_twin_is_the_tiny_network() -> None:
    case = GradientCase(tiny.image(0).astype(np.float64), 0)
    with torch.no_grad():
        whole = Tiny().double()(torch.from_numpy(case.x[None]))
        parts = case.tail(case.head(torch.from_numpy(case.x[None])))
    np.testing.assert_allclose(whole.numpy(), parts.numpy(), atol=1e-12)
