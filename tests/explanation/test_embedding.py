"""A model with its own heatmap gives the map of `explain`, whatever its form, and keeps all that it had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.errors import MissingRuleError
from onnx_cam.explanation.embedding import METADATA_KEY
from onnx_cam.names import HEATMAP_METHODS
from onnx_cam.runtime.masks import Masking, masks
from tests import tiny
from tests.classifier.test_deployed import FORMS, PIXELS, eight_bit
from tests.classifier.test_geometry import CROP, behind
from tests.classifier.test_heads import UNITS, model_of
from tests.classifier.test_inputs import SECOND, SHAPES, network, node
from tests.graph.test_tap import rich_model
from tests.graph.test_tokens import exported
from tests.places import SHARED

Arrays = list[np.ndarray]
IMAGES = np.stack([tiny.image(seed) for seed in (11, 12, 13)])


def load(proto: onnx.ModelProto, folder: Path, **settings: Any) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)


def run(path: Path, feed: dict[str, np.ndarray], outputs: tuple[str, ...] = ("heatmap", "heatmap_class")) -> Arrays:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return list(session.run(list(outputs), feed))


def expected(
    model: onnx_cam.Classifier, x: np.ndarray, embedded: onnx_cam.EmbeddedHeatmap, target: int | None = None
) -> tuple[np.ndarray, int]:
    """Return s(L) or s(U(L)) of `explain`, and the class."""
    result = onnx_cam.explain(model, x, method=embedded.method, layer=embedded.layer, target=target, preprocess="none")
    masking = Masking(frame=embedded.layer.geometry.frame) if embedded.resolution == "input" else Masking()
    return masks(result.cam[None], embedded.size, masking)[0], result.target.index


def check(model: onnx_cam.Classifier, folder: Path, images: np.ndarray = IMAGES, **settings: Any) -> None:
    """Embed, and compare images other than those of the proof, alone and in a batch, with `explain`."""
    path = folder / "explaining.onnx"
    embedded = onnx_cam.export_heatmap(model, path, **settings)
    batch = model.input.batch
    if batch is None:
        runs = [images[:1], images]
    else:
        runs = [images[i : i + batch] for i in range(0, len(images) - batch + 1, batch)]
    shown = 0
    for part in runs:
        heatmaps, classes = run(path, {model.input.name: model.input.feed(part)})
        assert heatmaps.dtype == np.float32
        assert heatmaps.shape == (len(part), *embedded.size)
        assert classes.dtype == np.int64
        for heatmap, index, x in zip(heatmaps, classes, part, strict=True):
            target = settings.get("target") if isinstance(settings.get("target"), int) else None
            reference, class_index = expected(model, x, embedded, target)
            assert index == class_index
            np.testing.assert_allclose(heatmap, reference, atol=2e-5)
            shown += bool(reference.any())
    assert shown


# --- methods, resolutions, opsets


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18])
@pytest.mark.parametrize("method", HEATMAP_METHODS)
def test_every_method_at_every_opset_gives_the_map_of_explain(method: str, opset: int, tmp_path: Path) -> None:
    model = load(tiny.model(opset=opset), tmp_path)
    for resolution in ("layer", "input"):
        check(model, tmp_path, method=method, resolution=resolution, target=1)
    onnx.checker.check_model(onnx.load(tmp_path / "explaining.onnx"))


@pytest.mark.parametrize("method", HEATMAP_METHODS[1:])
def test_the_map_of_the_inputs_size_is_what_explain_shows(method: str, tmp_path: Path) -> None:
    """`result.map` is upsampled by OpenCV; the graph does it by two matrices."""
    model = load(tiny.model(), tmp_path)
    path = tmp_path / "explaining.onnx"
    onnx_cam.export_heatmap(model, path, method=method, resolution="input", target=1, layer="relu1")
    result = onnx_cam.explain(model, IMAGES[0], method=method, target=1, layer="relu1")
    assert not result.empty
    np.testing.assert_allclose(run(path, {"image": IMAGES[:1]})[0][0], result.map, atol=2e-6)


def test_cam_is_the_default_where_it_exists_and_gradcam_elsewhere(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    assert onnx_cam.export_heatmap(model, tmp_path / "a.onnx").method == "cam"
    assert onnx_cam.export_heatmap(model, tmp_path / "a.onnx", layer="relu1").method == "gradcam"


# --- what the model had


def test_all_that_the_model_had_is_kept(tmp_path: Path) -> None:
    """Nodes, weights, names, shapes, documents, metadata and opsets; only a local function is replaced by its nodes."""
    proto = rich_model()
    del proto.graph.node[-1]
    proto.graph.node.append(helper.make_node("Identity", ["twice"], ["scores"]))
    model = load(proto, tmp_path)
    path = tmp_path / "explaining.onnx"
    onnx_cam.export_heatmap(model, path, method="gradcam", layer="relu1")
    written = onnx.load(path)
    onnx.checker.check_model(written)
    assert list(written.graph.node)[:7] == list(proto.graph.node)[:7]
    assert list(written.graph.initializer) == list(proto.graph.initializer)
    assert list(written.graph.input) == list(proto.graph.input)
    assert [output.name for output in written.graph.output] == ["scores", "heatmap", "heatmap_class"]
    assert (written.ir_version, written.doc_string) == (8, "a document")
    metadata = {entry.key: entry.value for entry in written.metadata_props}
    assert {"labels": "a,b,c,d", "author": "somebody"}.items() < metadata.items()
    assert json.loads(metadata[METADATA_KEY]) == {
        "method": "gradcam",
        "layer": "relu1",
        "target": "top1",
        "resolution": "layer",
        "input_size": [20, 20],
        "version": onnx_cam.__version__,
    }
    before, after = (run(p, {"image": IMAGES}, ("scores",))[0] for p in (tmp_path / "tiny.onnx", path))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("method", HEATMAP_METHODS)
def test_only_operators_of_onnx_itself_are_added_and_no_weights(method: str, tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", method=method, target="input")
    graph = onnx.load(tmp_path / "explaining.onnx").graph
    added = list(graph.node)[len(tiny.body()) :]
    assert {one.domain for one in added} == {""}
    constants = [helper.get_node_attr_value(one, "value") for one in added if one.op_type == "Constant"]
    assert max(int(np.prod(constant.dims)) for constant in constants) <= 25  # the positions of the layer
    assert [info.name for info in graph.input] == ["image", "heatmap_target"]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_stays_fixed(batch: int, tmp_path: Path) -> None:
    model = load(tiny.model(batch=batch), tmp_path)
    for method in ("cam", "gradcam"):
        check(model, tmp_path, np.concatenate([IMAGES, IMAGES[:1]]), method=method, resolution="input")
    shape = onnx.load(tmp_path / "explaining.onnx").graph.output[-2].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [batch, 20, 20]


def test_the_new_outputs_call_the_batch_what_the_model_calls_it(tmp_path: Path) -> None:
    onnx_cam.export_heatmap(load(tiny.model(batch="pictures"), tmp_path), tmp_path / "explaining.onnx")
    _, heatmap, classes = onnx.load(tmp_path / "explaining.onnx").graph.output
    assert heatmap.type.tensor_type.shape.dim[0].dim_param == "pictures"
    assert classes.type.tensor_type.shape.dim[0].dim_param == "pictures"


def test_the_new_model_can_be_explained_itself(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", method="gradcam")
    again = onnx_cam.load(tmp_path / "explaining.onnx", device="cpu", preprocess="none")
    assert again.notes == model.notes
    for method in ("scorecam", "layercam"):
        maps = [onnx_cam.explain(one, IMAGES[0], method=method, target=1).cam for one in (model, again)]
        np.testing.assert_allclose(maps[1], maps[0], atol=1e-6)


# --- layouts, types and frames


def test_tokens_and_channels_that_come_last(tmp_path: Path) -> None:
    for name in ("class token", "class token and registers", "mean pooling", "swin"):
        model = load(exported(name, 17).proto, tmp_path)
        assert model.layer().layout == "tokens"
        images = np.stack([_blocks(seed) for seed in (1, 2)])
        try:
            check(model, tmp_path, images, method="hirescam", resolution="input")
        except MissingRuleError as error:
            pytest.skip(str(error))


def _blocks(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).standard_normal((3, 4, 4))
    return np.kron(coarse, np.ones((8, 8))).astype(np.float32)


@pytest.mark.parametrize("method", ["cam", "xgradcam", "layercam"])
@pytest.mark.parametrize("form", ["NHWC", "softmax appended", "log-softmax appended", "fixed batch, reshaped"])
def test_the_forms_of_production(form: str, method: str, tmp_path: Path) -> None:
    make, _ = FORMS[form]
    try:
        check(make(tmp_path), tmp_path, method=method)
    except MissingRuleError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_the_heatmap_of_a_float16_model_is_float32(method: str, tmp_path: Path) -> None:
    make, _ = FORMS["float16"]
    model = make(tmp_path)
    embedded = onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", method=method, resolution="input", target=1)
    heatmap, _ = run(tmp_path / "explaining.onnx", {"image": model.input.feed(IMAGES[:1])})
    assert heatmap.dtype == np.float32
    np.testing.assert_allclose(heatmap[0], expected(model, IMAGES[0], embedded, 1)[0], atol=5e-3)


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.INT8])
def test_eight_bit_pixels_in_and_eight_bit_scores_out(kind: int, tmp_path: Path) -> None:
    check(load(eight_bit(kind), tmp_path), tmp_path, PIXELS[None], method="gradcam")


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_quantized_models(form: str, tmp_path: Path) -> None:
    """CAM takes the rows of the stored integers."""
    from tests.classifier.test_deployed import Calibration

    quantization = pytest.importorskip("onnxruntime.quantization")
    source, path = tiny.save(tiny.model(), tmp_path, "float.onnx"), tmp_path / "quantized.onnx"
    reader = type("Reader", (Calibration, quantization.CalibrationDataReader), {})()
    quant_format = getattr(quantization.QuantFormat, form)
    quantization.quantize_static(source, path, reader, quant_format=quant_format, per_channel=form == "QDQ")
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    check(model, tmp_path, method="cam", target=1)
    try:
        check(model, tmp_path, method="gradcam", target=1)
    except MissingRuleError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("method", ["cam", "gradcam"])
def test_outside_the_frame_that_a_crop_leaves_the_heatmap_is_zero(method: str, tmp_path: Path) -> None:
    path = behind([node("Slice", "image s e a", "seen")], CROP, tmp_path, 40)
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    images = np.stack([tiny.image(seed, 40) for seed in (1, 2)])
    check(model, tmp_path, images, method=method, resolution="input", target=1)
    heatmap = run(tmp_path / "explaining.onnx", {"image": images})[0]
    assert heatmap[:, 10:30, 20:40].max() == 1
    heatmap[:, 10:30, 20:40] = 0
    assert not heatmap.any()


TURNS: dict[str, tuple[onnx.NodeProto, dict[str, Any]]] = {
    "transposed": (node("Transpose", "image", "seen", perm=[0, 1, 3, 2]), {}),
    "mirrored": (node("Slice", "image s e a t", "seen"), {"a": np.array([3])}),
    "upside down": (node("Slice", "image s e a t", "seen"), {"a": np.array([2])}),
}


@pytest.mark.parametrize("turn", TURNS)
def test_a_turn_in_the_graph_is_turned_back(turn: str, tmp_path: Path) -> None:
    one, constants = TURNS[turn]
    if constants:
        constants |= {"s": np.array([-1]), "e": np.array([-(2**31)]), "t": np.array([-1])}
    model = onnx_cam.load(behind([one], constants, tmp_path, 20), device="cpu", preprocess="none")
    for method in ("cam", "hirescam"):
        check(model, tmp_path, method=method, target=1)


# --- heads and classes


@pytest.mark.parametrize("unit", ["percent", "negated", "complement", "bytes", "negative logarithms", "logarithms"])
def test_the_likeliest_class_is_that_of_the_probabilities(unit: str, tmp_path: Path) -> None:
    """The lowest number may be the likeliest class's."""
    _, tail, constants = UNITS[unit]
    model = load(model_of(tail, constants), tmp_path)
    try:
        check(model, tmp_path, method="gradcam")
    except MissingRuleError as error:
        pytest.skip(str(error))


SINGLE: dict[str, list[onnx.NodeProto]] = {"logit": [], "sigmoid": [node("Sigmoid", "logits", "y")]}


@pytest.mark.parametrize("method", ["cam", "gradcam"])
@pytest.mark.parametrize("kind", SINGLE)
def test_a_single_logit_stands_for_two_classes(kind: str, method: str, tmp_path: Path) -> None:
    """Class 1 has the logit z, and class 0 has −z."""
    weights = tiny.weights() | {"w3": np.array([[2, -1, 0, 1, 0, -2]], np.float32), "b3": np.full(1, -0.5, np.float32)}
    tail = SINGLE[kind]
    outputs = [tiny.value_info("y" if tail else "logits", ["n", 1])]
    proto = tiny.build([*tiny.body(), *tail], weights, image=["n", 3, 20, 20], outputs=outputs)
    model = load(proto, tmp_path, head="auto" if tail else "logits")
    assert model.facts.is_binary
    for target in ("top1", 0, 1):
        check(model, tmp_path, method=method, target=target)


def test_the_class_of_each_image_may_be_an_input(tmp_path: Path) -> None:
    model = load(tiny.softmax_model(), tmp_path)
    path = tmp_path / "explaining.onnx"
    for method in ("cam", "layercam"):
        embedded = onnx_cam.export_heatmap(model, path, method=method, target="input")
        requested = np.array([2, -1, 4, 0, 2**40, -(2**40), 3])  # some are no classes
        images = np.stack([tiny.image(seed) for seed in range(len(requested))])
        heatmaps, classes = run(path, {"image": images, "heatmap_target": requested})
        for x, heatmap, index, target in zip(images, heatmaps, classes, requested, strict=True):
            reference, class_index = expected(model, x, embedded, int(target) if 0 <= target < 4 else None)
            assert index == class_index
            np.testing.assert_allclose(heatmap, reference, atol=1e-5)


def test_where_the_map_is_empty_or_constant_the_heatmap_is_zero(tmp_path: Path) -> None:
    """A grey image gives constant maps but for the border; weights below zero give an empty one."""
    proto = tiny.model()
    for tensor in proto.graph.initializer:
        if tensor.name == "w3":
            weights = tiny.weights()["w3"].copy()
            weights[0] = -np.abs(weights[0])  # class 0: nothing speaks for it
            weights[1] = 0
            weights[1, tiny.DEAD[1]] = 3  # class 1: only a channel that is 0.7 everywhere
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "w3"))
    model = load(proto, tmp_path)
    for method in HEATMAP_METHODS:
        for resolution in ("layer", "input"):
            path = tmp_path / "explaining.onnx"
            onnx_cam.export_heatmap(model, path, method=method, target="input", resolution=resolution)
            feed = {"image": IMAGES[:2], "heatmap_target": np.array([0, 1])}
            assert not run(path, feed)[0].any(), (method, resolution)


# --- inputs


@pytest.mark.parametrize("form", ["no batch", "flat", "flat, no batch"])
def test_an_input_of_fewer_dimensions_stays_as_it_is(form: str, tmp_path: Path) -> None:
    before, shape, output, constants = SHAPES[form]
    used = {name for one in before for name in one.input}
    constants = {k: v for k, v in (constants | {"a0": np.array([0])}).items() if k in used}
    proto = network(before, shape, output=output, constants=constants)
    model = load(proto, tmp_path, size=(20, 20))
    embedded = onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", method="gradcam")
    written = onnx.load(tmp_path / "explaining.onnx").graph
    assert list(written.input) == list(proto.graph.input)
    x = IMAGES[0].reshape([1 if size == "N" else size for size in shape])
    heatmap, index = run(tmp_path / "explaining.onnx", {"image": x})
    reference, class_index = expected(model, IMAGES[0], embedded)
    assert index.tolist() == [class_index]
    np.testing.assert_allclose(heatmap[0], reference, atol=1e-5)


@pytest.mark.parametrize("name", ["flag", "row"])
def test_other_inputs_stay_inputs(name: str, tmp_path: Path) -> None:
    """What they are given for loading holds for the proof alone."""
    before, extra, value, _ = SECOND[name]
    constants = {"noise": np.full((1, 3, 1, 1), 100, np.float32), "zero": np.float32(0), "a1": np.array([1])}
    constants |= {"r": np.array([-1, 1, 1, 1])}
    used = {key for one in before for key in one.input}
    proto = network(before, ["N", 3, 20, 20], constants={k: v for k, v in constants.items() if k in used})
    proto.graph.input.append(extra)
    model = load(proto, tmp_path, constants={extra.name: value})
    embedded = onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", method="gradcam")
    fed = np.array(False) if name == "flag" else np.full((1, 2), 20, np.float32)
    heatmap, _ = run(tmp_path / "explaining.onnx", {"image": IMAGES[:1], extra.name: fed})
    np.testing.assert_allclose(heatmap[0], expected(model, IMAGES[0], embedded)[0], atol=1e-5)


def test_where_height_and_width_are_free_a_note_says_for_which_the_heatmap_holds(tmp_path: Path) -> None:
    model = load(tiny.model(size="side"), tmp_path, size=(20, 20))
    (note,) = onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx").notes
    assert "only holds for 20×20 pixels" in note
    assert not onnx_cam.export_heatmap(load(tiny.model(), tmp_path), tmp_path / "explaining.onnx").notes


# --- real models

PANEL = SHARED / "panel"
REAL: dict[str, Callable[[], bool]] = {path.stem: path.exists for path in sorted(PANEL.glob("*.onnx"))}


@pytest.mark.parametrize("name", REAL or [pytest.param("none", marks=pytest.mark.skip("the panel is not here"))])
def test_the_panel(name: str, tmp_path: Path) -> None:
    """The export proves itself; here is what it measured."""
    model = onnx_cam.load(PANEL / f"{name}.onnx", device="cpu")
    try:
        embedded = onnx_cam.export_heatmap(model, tmp_path / "explaining.onnx", target="input", resolution="input")
    except MissingRuleError as error:
        pytest.skip(str(error))
    assert embedded.proof.heatmap < (2e-3 if "fp16" in name else 1e-5)
    assert embedded.proof.outputs < 1e-6
    size = (tmp_path / "explaining.onnx").stat().st_size
    assert size < (PANEL / f"{name}.onnx").stat().st_size * 1.01 + 150_000  # no weight is held twice


def test_the_demos_model(lite0: onnx_cam.Classifier, tmp_path: Path) -> None:
    embedded = onnx_cam.export_heatmap(lite0, tmp_path / "explaining.onnx", resolution="input")
    assert embedded.method == "cam"
    assert embedded.proof.heatmap < 1e-5
