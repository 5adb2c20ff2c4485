"""The same network in the forms that production gives it: the same map, within what each form's numbers allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_cam
from tests import tiny
from tests.runtime_version import ONNXRUNTIME

X = tiny.image(1)
PIXELS = np.rint(np.clip(60 * tiny.image(1) + 120, 0, 255)).astype(np.float32)


def load(proto: onnx.ModelProto, folder: Path, **settings: Any) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)


def explain(model: onnx_cam.Classifier, x: np.ndarray = X, method: str = "scorecam") -> onnx_cam.Explanation:
    samples = None if method == "scorecam" else 3
    result: onnx_cam.Explanation = onnx_cam.explain(model, x, method=method, target=1, samples=samples)
    return result


def difference(found: onnx_cam.Explanation, reference: onnx_cam.Explanation) -> float:
    assert reference.cam.max() > 0
    return float(np.abs(found.cam - reference.cam).max() / reference.cam.max())


def channels_last() -> onnx.ModelProto:
    """As a converter from Keras leaves it: NHWC at both ends, and around the last activation."""
    nodes = [helper.make_node("Transpose", ["image"], ["chw"], perm=[0, 3, 1, 2])]
    for node in tiny.body()[:3]:
        inputs = ["chw" if name == "image" else name for name in node.input]
        nodes.append(helper.make_node(node.op_type, inputs, list(node.output), node.name))
        nodes[-1].attribute.extend(node.attribute)
    nodes += [
        helper.make_node("Transpose", ["conv2"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Relu", ["last"], ["relu2"], "Relu_2"),
        helper.make_node("ReduceMean", ["relu2"], ["flat"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], transB=1),
    ]
    return tiny.build(
        nodes,
        tiny.weights(),
        image=["batch", tiny.SIZE, tiny.SIZE, 3],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )


def half() -> onnx.ModelProto:
    weights = {name: value.astype(np.float16) for name, value in tiny.weights().items()}
    return tiny.build(
        tiny.body(),
        weights,
        image=[1, 3, tiny.SIZE, tiny.SIZE],
        image_type=TensorProto.FLOAT16,
        outputs=[tiny.value_info("logits", [1, tiny.CLASSES], TensorProto.FLOAT16)],
        opset=14,
    )


def external(folder: Path) -> onnx_cam.Classifier:
    onnx.save_model(tiny.model(), folder / "e.onnx", save_as_external_data=True, location="e.bin", size_threshold=0)
    return onnx_cam.load(folder / "e.onnx", device="cpu", preprocess="none")


def reshaped_to_a_fixed_batch() -> onnx.ModelProto:
    body = [node for node in tiny.body() if node.op_type != "Flatten"]
    reshape = helper.make_node("Reshape", ["pooled", "shape"], ["flat"])
    return tiny.build(
        [*body[:-1], reshape, body[-1]],
        {**tiny.weights(), "shape": np.array([1, tiny.CHANNELS])},
        image=[1, 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", [1, tiny.CLASSES])],
    )


FORMS: dict[str, tuple[Callable[[Path], onnx_cam.Classifier], float]] = {
    # float32 throughout: what changes is the order of the additions
    "softmax appended": (lambda folder: load(tiny.softmax_model(), folder), 1e-5),
    "log-softmax appended": (
        lambda folder: load(
            tiny.model(tail=[helper.make_node("LogSoftmax", ["logits"], ["y"], axis=1)], output="y"), folder
        ),
        1e-5,
    ),
    "external data": (external, 1e-5),
    "fixed batch": (lambda folder: load(tiny.model(batch=1), folder), 1e-5),
    "fixed batch, reshaped": (lambda folder: load(reshaped_to_a_fixed_batch(), folder), 1e-5),
    "NHWC": (lambda folder: load(channels_last(), folder), 1e-5),
    # 11 bits of mantissa: 5e-4 an operation, some ten of them
    "float16": (lambda folder: load(half(), folder), 1e-2),
}


@pytest.mark.parametrize("method", ["scorecam", "sscam1", "sscam2", "iscam"])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_map_is_that_of_the_plain_model(form: str, method: str, tmp_path: Path) -> None:
    reference = explain(load(tiny.model(), tmp_path), method=method)
    make, tolerance = FORMS[form]
    model = make(tmp_path)
    found = explain(model, method=method)
    assert found.layer_shape == reference.layer_shape
    assert found.map.dtype == np.float32
    assert difference(found, reference) < tolerance


def test_channels_last_are_found_and_handed_on_as_channels_first(tmp_path: Path) -> None:
    model = load(channels_last(), tmp_path)
    assert (model.input.layout, model.layer().name, model.layer().layout) == ("NHWC", "relu2", "NHWC")
    head = model.linear_head(model.layer())
    assert head is not None
    np.testing.assert_array_equal(head, tiny.weights()["w3"])


@pytest.mark.parametrize("make", [reshaped_to_a_fixed_batch, lambda: tiny.model(batch=1), lambda: tiny.model(batch=3)])
def test_a_fixed_batch_is_freed_and_said(make: Callable[[], onnx.ModelProto], tmp_path: Path) -> None:
    model = load(make(), tmp_path)
    assert model.fixed_batch is None
    finding = next(f for f in onnx_cam.inspect(model) if f.what == "batch")
    assert finding.value == "free"
    assert "freed, and checked by runs" in finding.source
    assert onnx_cam.explain(model, X, batch_size=5).batch_size == 5


def eight_bit(kind: int) -> onnx.ModelProto:
    """A graph that takes 8-bit pixels, scales them itself, and gives 8-bit probabilities."""
    shift = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)]
    constants = {"centre": np.float32(120 - 128 * (kind == TensorProto.INT8)), "spread": np.float32(60)}
    shift += [
        helper.make_node("Sub", ["float", "centre"], ["centred"]),
        helper.make_node("Div", ["centred", "spread"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["chw"], perm=[0, 3, 1, 2]),
    ]
    nodes = []
    for node in tiny.body():
        inputs = ["chw" if name == "image" else name for name in node.input]
        nodes.append(helper.make_node(node.op_type, inputs, list(node.output), node.name))
        nodes[-1].attribute.extend(node.attribute)
    tail = [
        helper.make_node("Softmax", ["logits"], ["p"], axis=1),
        helper.make_node("QuantizeLinear", ["p", "step", "zero"], ["q"]),
    ]
    return tiny.build(
        [*shift, *nodes, *tail],
        {**tiny.weights(), **constants, "step": np.float32(1 / 255), "zero": np.array(0, np.uint8)},
        image=[1, tiny.SIZE, tiny.SIZE, 3],
        image_type=kind,
        outputs=[tiny.value_info("q", [1, tiny.CLASSES], TensorProto.UINT8)],
    )


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8])
def test_eight_bit_pixels_in_and_eight_bit_scores_out(kind: int, tmp_path: Path) -> None:
    model = load(eight_bit(kind), tmp_path)
    assert model.input.layout == "NHWC"
    assert model.head.kind.name == "softmax"
    assert model.head.scale == pytest.approx(1 / 255)
    plain, scaled = load(tiny.model(), tmp_path), ((PIXELS[None] - 120) / 60).astype(np.float32)
    np.testing.assert_allclose(
        model.sessions.scores(PIXELS[None]), plain.sessions.scores(scaled), atol=0.5 / 255 + 1e-6
    )
    np.testing.assert_allclose(
        model.sessions.scores(PIXELS[None], "logit"), plain.sessions.scores(scaled, "logit"), atol=1e-4
    )


def test_masked_pixels_are_rounded_at_the_input(tmp_path: Path) -> None:
    model = load(eight_bit(TensorProto.UINT8), tmp_path)
    fed = model.input.feed(np.array([[[[0.4, 0.6, 254.7, 300.0, -3.0]]] * 3], np.float32))
    assert fed.shape == (1, 1, 5, 3)
    assert fed.dtype == np.uint8
    np.testing.assert_array_equal(fed[0, 0, :, 0], [0, 1, 255, 255, 0])


class Calibration:
    """Feeds the quantizer the images of the tests."""

    def __init__(self) -> None:
        self.left = [tiny.image(seed)[None] for seed in range(8)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"image": self.left.pop()} if self.left else None


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_a_quantized_graph_is_tapped_behind_its_dequantized_convolution(form: str, tmp_path: Path) -> None:
    """ONNX Runtime's own quantizer; 8 bits an operator leave a few hundredths of the map's maximum."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source = tiny.save(tiny.model(), tmp_path, "float.onnx")
    quantization.quantize_static(
        source,
        tmp_path / "quantized.onnx",
        type("Reader", (Calibration, quantization.CalibrationDataReader), {})(),
        quant_format=getattr(quantization.QuantFormat, form),
    )
    model = onnx_cam.load(tmp_path / "quantized.onnx", device="cpu", preprocess="none")
    assert model.layer().shape == (tiny.CHANNELS, 5, 5)
    plain = onnx_cam.load(source, device="cpu", preprocess="none")
    tapped = model.sessions.activations(model.layer(), X).maps
    reference = plain.sessions.activations(plain.layer(), X).maps
    assert np.abs(tapped - reference).max() < 0.05 * np.abs(reference).max()
    assert difference(explain(model), explain(plain)) < 0.15
    head = model.linear_head(model.layer())
    assert head is not None
    np.testing.assert_allclose(head, tiny.weights()["w3"], atol=0.05 * np.abs(tiny.weights()["w3"]).max())


@pytest.mark.skipif(ONNXRUNTIME < (1, 29), reason="ONNX Runtime before 1.29 computes QLinearSoftmax wrongly")
@pytest.mark.parametrize("output", ["q", "p"])
def test_a_softmax_of_integers(output: str, tmp_path: Path) -> None:
    """As ONNX Runtime's quantizer writes it with operators of its own: the logits are integers, too."""
    constants = {
        "step": np.float32(0.1),
        "zero": np.array(0, np.int8),
        "part": np.float32(1 / 256),
        "low": np.array(-128, np.int8),
    }
    softmax = helper.make_node(
        "QLinearSoftmax", ["z", "step", "zero", "part", "low"], ["q"], domain="com.microsoft", opset=13, axis=1
    )
    tail = [
        helper.make_node("QuantizeLinear", ["logits", "step", "zero"], ["z"]),
        softmax,
        helper.make_node("DequantizeLinear", ["q", "part", "low"], ["p"]),
    ]
    kind = TensorProto.INT8 if output == "q" else TensorProto.FLOAT
    proto = tiny.build(
        [*tiny.body(), *tail],
        {**tiny.weights(), **constants},
        image=["n", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info(output, ["n", tiny.CLASSES], kind)],
    )
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model, plain = load(proto, tmp_path), load(tiny.model(), tmp_path)
    assert model.head.kind.name == "softmax"
    half_a_step = 0.05 + 1e-6
    np.testing.assert_allclose(
        model.sessions.scores(X[None], "logit"), plain.sessions.scores(X[None], "logit"), atol=half_a_step
    )
    np.testing.assert_allclose(model.sessions.scores(X[None]), plain.sessions.scores(X[None]), atol=half_a_step)
    result = onnx_cam.explain(model, X, variant="torchcam", target=1)
    assert result.parameters["score"] == "logit"


def test_any_number_of_channels(tmp_path: Path) -> None:
    from onnx_cam.errors import PreprocessingError

    weights = tiny.weights() | {"w1": np.random.default_rng(0).standard_normal((6, 5, 3, 3), np.float32)}
    proto = tiny.build(
        tiny.body(), weights, image=["n", 5, tiny.SIZE, tiny.SIZE], outputs=[tiny.value_info("logits", ["n", 4])]
    )
    model = load(proto, tmp_path)
    assert (model.input.layout, model.input.channels) == ("NCHW", 5)
    assert explain(model, tiny.image(1, channels=5)).layer_shape == (tiny.CHANNELS, 5, 5)
    with pytest.raises(PreprocessingError, match="takes 5 channels, an image file has 3"):
        onnx_cam.explain(model, np.zeros((30, 30, 3), np.uint8), preprocess="imagenet")


def test_a_float16_score_output_of_four_dimensions(tmp_path: Path) -> None:
    for shape in ([1, tiny.CLASSES, 1, 1], [1, 1, 1, tiny.CLASSES]):
        tail = [helper.make_node("Reshape", ["logits", "shape"], ["y"])]
        proto = tiny.build(
            [*tiny.body(), *tail],
            {**tiny.weights(), "shape": np.array(shape)},
            image=[1, 3, tiny.SIZE, tiny.SIZE],
            outputs=[tiny.value_info("y", shape)],
        )
        model = load(proto, tmp_path)
        assert model.classes == tiny.CLASSES
        assert model.fixed_batch is None
        assert difference(explain(model), explain(load(tiny.model(), tmp_path))) < 1e-5


def test_weights_shared_with_the_tap_stay_where_they_are(tmp_path: Path) -> None:
    """An exported tap of a quantized layer is the integer tensor itself: nothing else in the file changes."""
    model = load(eight_bit(TensorProto.UINT8), tmp_path)
    onnx_cam.export(model, tmp_path / "tapped.onnx")
    written = onnx.load(tmp_path / "tapped.onnx")
    assert [o.name for o in written.graph.output] == ["q", "relu2"]
    stored = {w.name: numpy_helper.to_array(w) for w in written.graph.initializer}
    np.testing.assert_array_equal(stored["w2"], tiny.weights()["w2"])


def normalising(mean: Sequence[float], std: Sequence[float]) -> onnx.ModelProto:
    """A graph that normalises its own float input."""
    constants = {
        "mean": np.array(mean, np.float32).reshape(1, 3, 1, 1),
        "inverse": 1 / np.array(std, np.float32).reshape(1, 3, 1, 1),
    }
    nodes = [helper.make_node("Sub", ["image", "mean"], ["c"]), helper.make_node("Mul", ["c", "inverse"], ["x"])]
    for node in tiny.body():
        inputs = ["x" if name == "image" else name for name in node.input]
        nodes.append(helper.make_node(node.op_type, inputs, list(node.output), node.name))
        nodes[-1].attribute.extend(node.attribute)
    return tiny.build(
        nodes,
        {**tiny.weights(), **constants},
        image=["n", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["n", tiny.CLASSES])],
    )


@pytest.mark.parametrize(
    ("mean", "std", "preset"),
    [((123.7, 116.3, 103.5), (58.4, 57.1, 57.4), "raw"), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "unit")],
)
def test_what_the_graph_normalises_is_not_normalised_twice(
    mean: Sequence[float], std: Sequence[float], preset: str, tmp_path: Path
) -> None:
    path = tiny.save(normalising(mean, std), tmp_path)
    model = onnx_cam.load(path, device="cpu")
    assert model.preprocessing is not None
    assert model.preprocessing.name == preset
    assert "the graph normalises its input itself" in model.preprocessing.source
    assert model.facts.built_in is not None
    np.testing.assert_allclose(model.facts.built_in.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(model.facts.built_in.std, std, rtol=1e-5)
    assert model.notes == ()
    twice = onnx_cam.load(path, device="cpu", preprocess="imagenet")
    assert any(f"--preprocess {preset} to leave it to the graph" in note for note in twice.notes)


def test_pixels_go_to_an_eight_bit_input_as_they_are(tmp_path: Path) -> None:
    model = onnx_cam.load(tiny.save(eight_bit(TensorProto.UINT8), tmp_path), device="cpu")
    assert model.preprocessing is not None
    assert (model.preprocessing.name, model.preprocessing.source) == ("raw", "the input takes uint8 pixels")
    assert model.notes == ()


def test_a_plain_model_normalises_nothing(tmp_path: Path) -> None:
    assert load(tiny.model(), tmp_path).facts.built_in is None
