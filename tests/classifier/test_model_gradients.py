"""The gradients at a layer by ONNX Runtime, compared with torch's; which of the two is chosen, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError, MissingExtraError, MissingRuleError, SettingError, TargetError
from onnx_cam.graph.backward.operators import RULES
from tests import tiny
from tests.explanation.test_pitfalls import with_tail
from tests.places import SHARED

X = tiny.image(0)

MODELS = sorted((SHARED / "panel").glob("*.onnx"))
METHODS = ("gradcam", "gradcam++", "smoothgradcam++", "grad++scorecam", "xgradcam", "layercam", "hirescam")

FLOAT32, FLOAT16, EIGHT_BITS = 1e-4, 2e-2, 0.3
"""The allowed difference, relative to the map's maximum. The two paths run the float32 part of a quantized model with
different kernels: sums close to a half are rounded the other way, and later layers amplify this."""

BOUNDS = {
    "squeezenet_fp16_two_outputs": FLOAT16,
    "coral_mnv1_025_128_quant": EIGHT_BITS,
    "coral_mnv2_100_224_quant": EIGHT_BITS,
    "mobilenetv2_quant_nns": EIGHT_BITS,
    "resnet50_int8_qdq_nhwc": EIGHT_BITS,
}


def load(proto: onnx.ModelProto, folder: Path, **settings: object) -> Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)  # type: ignore[arg-type]


@pytest.mark.skipif(not MODELS, reason="no ../shared/panel: the models are not part of the project")
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_maps_of_deployed_models_are_those_of_torch(path: Path) -> None:
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    image = model.trial_images(1)[0]
    layers = model.layers()
    for layer in {layers[0].name, layers[len(layers) // 2].name}:
        for method in ("gradcam", "layercam"):
            found, expected = (
                onnx_cam.explain(model, image, method=method, layer=layer, gradients=gradients)  # type: ignore[arg-type]
                for gradients in ("onnx", "torch")
            )
            assert found.parameters["gradients"] == "onnx"
            bound = BOUNDS.get(path.stem, FLOAT32) * max(float(expected.cam.max()), 1e-12)
            np.testing.assert_allclose(found.cam, expected.cam, rtol=0, atol=bound)


@pytest.mark.parametrize("layer", ["relu1", "relu2", "conv1"])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_map_of_torch(method: str, layer: str, tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    maps = [
        onnx_cam.explain(model, X, method=method, layer=layer, target=[0, 2], gradients=path)  # type: ignore[arg-type]
        for path in ("onnx", "torch")
    ]
    for found, expected in zip(*maps, strict=True):
        np.testing.assert_allclose(found.cam, expected.cam, rtol=0, atol=1e-4 * expected.cam.max())


def test_the_record_says_what_computed_the_gradients(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    assert onnx_cam.explain(model, X, method="gradcam").record()["parameters"]["gradients"] == "onnx"
    assert onnx_cam.explain(model, X, method="gradcam", gradients="torch").parameters["gradients"] == "torch"
    assert "gradients" not in onnx_cam.explain(model, X, method="cam").parameters


def test_images_of_a_batch_have_the_gradients_of_each(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    images = np.stack([tiny.image(seed) for seed in range(5)])
    layer = model.layer("relu1")
    together = model.gradients.at(layer, images, [1, 3], "onnx")
    assert together.shape == (5, 2, *layer.shape)
    for image, found in zip(images, together, strict=True):
        np.testing.assert_allclose(found, model.gradients.at(layer, image[None], [1, 3], "onnx")[0], atol=1e-7)


def test_an_operator_without_a_rule_is_named_and_torch_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny.model(), tmp_path)
    expected = onnx_cam.explain(model, X, method="gradcam", gradients="torch").cam
    monkeypatch.delitem(RULES[""], "GlobalAveragePool")  # type: ignore[attr-defined]
    unknown = load(tiny.model(), tmp_path)
    with pytest.raises(MissingRuleError, match=r"operator GlobalAveragePool of domain 'ai.onnx', version \d+, node '"):
        onnx_cam.explain(unknown, X, method="gradcam", gradients="onnx")
    result = onnx_cam.explain(unknown, X, method="gradcam")
    assert result.parameters["gradients"] == "torch"
    assert any("computed by torch" in warning for warning in result.warnings)
    np.testing.assert_array_equal(result.cam, expected)
    monkeypatch.setattr("onnx_cam.classifier.model_gradients.find_spec", lambda name: None)
    with pytest.raises(MissingRuleError, match=r"GlobalAveragePool.*pip install 'onnx-cam\[torch\]'"):
        onnx_cam.explain(unknown, X, method="gradcam")


def test_torch_that_is_not_installed_is_an_error_where_it_is_requested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("onnx_cam.gradients")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    model = load(tiny.model(), tmp_path)
    assert onnx_cam.explain(model, X, method="gradcam").cam.max() > 0
    with pytest.raises(MissingExtraError, match="torch"):
        onnx_cam.explain(model, X, method="gradcam", gradients="torch")


def test_a_method_without_gradients_refuses_to_choose_their_path(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    with pytest.raises(SettingError, match="scorecam needs no gradient"):
        onnx_cam.explain(model, X, method="scorecam", gradients="onnx")
    with pytest.raises(SettingError, match="unknown gradients 'tf': expected one of auto, onnx, torch"):
        onnx_cam.explain(model, X, method="gradcam", gradients="tf")  # type: ignore[arg-type]


def test_a_layer_that_does_not_lead_to_the_logits_is_refused(tmp_path: Path) -> None:
    aside = helper.make_node("Conv", ["relu1", "aside_weight"], ["aside"], name="aside")
    kernel = np.ones((3, 6, 1, 1), np.float32)
    model = load(with_tail(aside, constants={"aside_weight": kernel}), tmp_path)
    with pytest.raises(LayerError, match="does not depend on layer 'aside'"):
        onnx_cam.explain(model, X, method="gradcam", layer="aside", gradients="onnx")


def test_integers_that_end_the_gradient_are_named(tmp_path: Path) -> None:
    to_whole = helper.make_node("Cast", ["logits"], ["whole"], to=onnx.TensorProto.INT32, name="to_whole")
    back = helper.make_node("Cast", ["whole"], ["y"], to=onnx.TensorProto.FLOAT, name="back")
    model = load(with_tail(to_whole, back), tmp_path, head="logits", output="y")
    with pytest.raises(LayerError, match=r"does not reach layer 'relu2'.*'to_whole'"):
        onnx_cam.explain(model, X, method="gradcam", gradients="onnx")


def test_a_class_that_is_not_there_is_refused(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    model.gradients.choose(model.layer(), "onnx")
    with pytest.raises(TargetError, match="no class 9"):
        model.gradients.at(model.layer(), X[None], [9], "onnx")
