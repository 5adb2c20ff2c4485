"""The score graph against plain NumPy, on models whose logits are their input: what they see can be read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
import pytest
from onnx import TensorProto, helper

from onnx_cam.errors import ModelError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.head import Head, find_heads
from onnx_cam.graph.heads import Logits, Softmax
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.score_graph import GraphOffset, arranged, mask_columns, score_graph
from onnx_cam.runtime.scores import logits, probabilities
from tests import tiny
from tests.graph.test_tap import rich_model

Layout = Literal["NCHW", "NHWC"]
Arrays = dict[str, np.ndarray]

CHANNELS, SIZE, GRID = 3, (4, 6), (2, 3)  # nothing is square
MAPS, STEPS = 3, 2
NOISES: tuple[GraphOffset, ...] = ("none", "mask", "input")
LAYOUTS: tuple[Layout, ...] = ("NCHW", "NHWC")
OPSETS = (7, 9, 10, 11, 13, 17)
KINDS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
}


@dataclass(frozen=True)
class Model:
    """A model and what is known of it."""

    proto: onnx.ModelProto
    image: ImageInput
    head: Head

    def graph(self, noise: GraphOffset = "none", size: tuple[int, int] = SIZE, **settings: Any) -> onnx.ModelProto:
        return score_graph(self.proto, self.image, self.head, noise, size, **settings)

    def bare(self, images: np.ndarray, tensor: str) -> np.ndarray:
        """Return a tensor of the model itself for images (B, C, H, W), fed as ever."""
        tapped = onnx.ModelProto()
        tapped.CopyFrom(self.proto)
        if tensor not in [output.name for output in tapped.graph.output]:
            tapped.graph.output.append(onnx.ValueInfoProto(name=tensor))
        return np.asarray(session(tapped).run([tensor], {"image": self.image.feed(images)})[0])

    def seen(self, noise: GraphOffset, a: Arrays, **settings: Any) -> np.ndarray:
        """Return what an identity model sees inside the score graph, (m·n, C·H·W)."""
        graph = self.graph(noise, a["image"].shape[1:], **settings)
        fed = feeds(noise, a, self.image.layout, range(a["image"].size))
        return np.asarray(session(graph).run([PREFIX + "logit"], fed)[0])

    def assert_sees_what_it_should(self, noise: GraphOffset, a: Arrays, **settings: Any) -> None:
        expected = self.bare(expected_images(noise, a), "logits")
        np.testing.assert_allclose(self.seen(noise, a, **settings), expected, rtol=1e-6, atol=1e-6)


def session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def node(op: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node; the last name is its output."""
    return helper.make_node(op, list(names[:-1]), [names[-1]], **attributes)


def identity(
    layout: Layout = "NCHW",
    dtype: str = "float32",
    *,
    opset: int = 13,
    ir_version: int = 8,
    batch: int | None = None,
    size: tuple[int, int] = SIZE,
) -> Model:
    """Return a model whose logits are its input, flattened; its one weight is 1."""
    inner = (CHANNELS, *size) if layout == "NCHW" else (*size, CHANNELS)
    proto = tiny.build(
        [
            node("Cast", "image", "floats", to=TensorProto.FLOAT),
            node("Flatten", "floats", "flat"),
            node("Mul", "flat", "one", "logits"),
        ],
        {"one": np.ones(1, np.float32)},
        image=[batch or "batch", *inner],
        outputs=[tiny.value_info("logits", [batch or "batch", CHANNELS * size[0] * size[1]])],
        opset=opset,
        ir_version=ir_version,
        image_type=KINDS[dtype],
    )
    if ir_version < 4:
        proto.graph.input.append(tiny.value_info("one", [1]))
    image = ImageInput("image", batch, CHANNELS, *size, layout, dtype)
    return Model(proto, image, Head("logits", Logits(), "logits", "known"))


def given(
    noise: GraphOffset = "none",
    *,
    size: tuple[int, int] = SIZE,
    grid: tuple[int, int] = GRID,
    counts: tuple[int, int] = (MAPS, STEPS),
    contrast: float = 1,
) -> Arrays:
    """Return what a run takes, as METHODS.md has it: noise on the mask is (n, H, W), on the input (n, C, H, W)."""
    generator = np.random.default_rng(1)
    m, n = counts
    made: dict[str, Any] = {
        "image": contrast * generator.random((CHANNELS, *size)),
        "maps": generator.uniform(-1, 2, (m, *grid)),
        "rows": generator.dirichlet(np.ones(grid[0]), size[0]),  # (H, h), each row's sum 1
        "columns": generator.dirichlet(np.ones(grid[1]), size[1]).T,  # (w, W)
        "scale": generator.random((m, n)) + 1,
        "offset_fields": generator.standard_normal((n, *size) if noise == "mask" else (n, CHANNELS, *size)),
        "offset_scale": (contrast if noise == "input" else 1) * generator.random(m),
    }
    return {name: np.asarray(array, np.float32) for name, array in made.items()}


def expected_images(noise: GraphOffset, a: Arrays) -> np.ndarray:
    """Return M_{k,i} as (m·n, C, H, W), one after the other."""
    x, rows, columns = (a[name].astype(np.float64) for name in ("image", "rows", "columns"))
    images = []
    for k, one in enumerate(a["maps"].astype(np.float64)):
        mask = rows @ one @ columns  # (H, W)
        for i in range(a["scale"].shape[1]):
            if noise == "none":
                images.append(a["scale"][k, i] * mask * x)
            elif noise == "mask":
                images.append((mask + a["offset_scale"][k] * a["offset_fields"][i]) * x)
            else:
                images.append(mask * x + a["offset_scale"][k] * a["offset_fields"][i])
    return np.stack(images).astype(np.float32)


def feeds(noise: GraphOffset, a: Arrays, layout: Layout, targets: Sequence[int]) -> Arrays:
    """Return the inputs of the score graph, as its docstring lists them."""
    fed = {
        "image": arranged(a["image"], layout),
        "maps": a["maps"],
        "rows": a["rows"],
        "columns": mask_columns(a["columns"], layout, CHANNELS),
        "targets": np.array(targets, np.int64),
    }
    if noise == "none":
        return {PREFIX + name: array for name, array in (fed | {"scale": a["scale"]}).items()}
    fields = mask_columns(a["offset_fields"], layout, CHANNELS) if noise == "mask" else a["offset_fields"]
    if noise == "input" and layout == "NHWC":
        fields = np.moveaxis(fields, 1, -1)
    fed |= {"offset_fields": fields.reshape(len(fields), -1), "offset_scale": a["offset_scale"]}
    return {PREFIX + name: array for name, array in fed.items()}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("noise", NOISES)
def test_the_model_sees_each_map_at_each_step(noise: GraphOffset, layout: Layout, opset: int) -> None:
    identity(layout, opset=opset).assert_sees_what_it_should(noise, given(noise))


@pytest.mark.parametrize(
    "shapes",
    [
        *({"counts": counts} for counts in [(1, 1), (1, 4), (4, 1)]),
        *({"grid": grid} for grid in [(1, 1), (1, 3), (3, 1), (9, 8)]),
        *({"size": size} for size in [(1, 5), (7, 1), (5, 2)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_shape_will_do(layout: Layout, shapes: dict[str, Any]) -> None:
    """One map, or one step; a grid that is a point, a line, or finer than the image; an image that is a line."""
    for noise in NOISES:
        identity(layout, size=shapes.get("size", SIZE)).assert_sees_what_it_should(noise, given(noise, **shapes))


@pytest.mark.parametrize("noise", NOISES)
def test_a_fixed_batch_is_maps_times_steps(noise: GraphOffset) -> None:
    model = identity(batch=MAPS * STEPS)
    model.assert_sees_what_it_should(noise, given(noise), batch=MAPS * STEPS)
    outputs = model.graph(noise, batch=MAPS * STEPS).graph.output
    assert [output.type.tensor_type.shape.dim[0].dim_value for output in outputs] == [MAPS * STEPS] * 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_half_precision_is_rounded_once_behind_the_mask(layout: Layout) -> None:
    for noise in NOISES:
        a, model = given(noise), identity(layout, "float16")
        found, wanted = model.seen(noise, a), model.bare(expected_images(noise, a), "logits")
        np.testing.assert_allclose(found, wanted, rtol=2**-10, atol=1e-7)  # on the verge of two values: the last bit
        assert (found == wanted).mean() > 0.95


def test_half_precision_is_rounded_where_a_cpu_computes_in_full_precision() -> None:
    """1 · x − 1000 for x near 1000, where half precision goes in steps of 0.5: unrounded, it would be finer."""
    a, model = given("input", contrast=0.3), identity(dtype="float16")
    a["image"][:], a["maps"][:] = 1000, 1
    nodes = [node("Conv", "image", "w", "b", "c"), node("Cast", "c", "f", to=TensorProto.FLOAT)]
    proto = tiny.build(
        [*nodes, node("Flatten", "f", "logits")],
        {"w": np.eye(CHANNELS, dtype=np.float16)[..., None, None], "b": np.full(CHANNELS, -1000, np.float16)},
        image=["batch", CHANNELS, *SIZE],
        outputs=list(model.proto.graph.output),
        image_type=TensorProto.FLOAT16,
    )
    model = replace(model, proto=proto)
    wanted = model.bare(expected_images("input", a), "logits")
    assert len(np.unique(wanted)) > 2
    np.testing.assert_array_equal(wanted % 0.5, 0)
    np.testing.assert_array_equal(model.seen("input", a), wanted)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_pixels_are_rounded_and_clipped_as_ever(dtype: str, opset: int) -> None:
    for layout in LAYOUTS:
        for noise in NOISES:
            a, model = given(noise, contrast=300), identity(layout, dtype, opset=opset)
            images = expected_images(noise, a)
            assert images.min() < -0.5
            assert images.max() > 255.5
            np.testing.assert_array_equal(model.seen(noise, a), model.bare(images, "logits"))


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 13, 17])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_half_a_pixel_goes_to_the_even_number_as_ever(dtype: str, opset: int) -> None:
    a = given(grid=(1, 1), counts=(1, 1))
    a["image"] = np.arange(a["image"].size, dtype=np.float32).reshape(a["image"].shape)
    a |= {name: np.full_like(a[name], 1) for name in ("maps", "rows", "columns")}
    a["scale"][:] = 0.5
    model = identity("NCHW", dtype, opset=opset)
    expected = np.rint(np.arange(a["image"].size) / 2) - (128 if dtype == "int8" else 0)
    np.testing.assert_array_equal(model.bare(expected_images("none", a), "logits")[0], expected)
    np.testing.assert_array_equal(model.seen("none", a)[0], expected)


# --- the scores


def ended(
    tail: Sequence[onnx.NodeProto],
    *,
    classes: int = tiny.CLASSES,
    opset: int = 13,
    dtype: str = "float32",
    shape: Sequence[int] = (),
) -> Model:
    """Return a model with one linear layer and a tail behind its ``logits``."""
    generator = np.random.default_rng(2)
    integer = np.int8 if dtype == "int8" else np.uint8
    weights = {
        "w": generator.standard_normal((CHANNELS * SIZE[0] * SIZE[1], classes), np.float32),
        "step": np.float32(0.05),
        "zero": np.array(3, integer),
        "part": np.float32(1 / 256),
        "low": np.array(np.iinfo(integer).min, integer),
        "to": np.array([-1, *shape], np.int64),
    }
    nodes = [node("Flatten", "image", "flat"), node("MatMul", "flat", "w", "logits"), *tail]
    used = {name for one in nodes for name in one.input}
    proto = tiny.build(
        nodes,
        {name: array for name, array in weights.items() if name in used},
        image=["batch", CHANNELS, *SIZE],
        outputs=[tiny.value_info(nodes[-1].output[0], ["batch", *(shape or [classes])], KINDS[dtype])],
        opset=opset,
    )
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    head = find_heads(gs.import_onnx(proto), Constants(proto), "test")[0]
    if head.quantizer is not None:  # loading reads them off the graph
        scale, zero_point = (float(weights[tensor.name]) for tensor in head.quantization)
        head = replace(head, scale=scale, zero_point=zero_point)
    return Model(proto, ImageInput("image", None, CHANNELS, *SIZE), head)


SOFTMAX, SIGMOID = node("Softmax", "logits", "p", axis=1), node("Sigmoid", "logits", "p")
RESHAPE = node("Reshape", "logits", "to", "r")
LOGITS_QUANTIZED = node("QuantizeLinear", "logits", "step", "zero", "integers")
P_QUANTIZED = node("QuantizeLinear", "p", "part", "low", "q")
INTEGERS = ("integers", "step", "zero", "part", "low", "p")
QUANTIZED_SOFTMAX = node("QLinearSoftmax", *INTEGERS, domain="com.microsoft", opset=13, axis=1)
QUANTIZED_SIGMOID = node("QLinearSigmoid", *INTEGERS, domain="com.microsoft")

HEADS: dict[str, tuple[list[onnx.NodeProto], dict[str, Any]]] = {
    "logits": ([], {}),
    "softmax": ([SOFTMAX], {}),
    "log-softmax": ([node("LogSoftmax", "logits", "p", axis=1)], {}),
    "sigmoids": ([SIGMOID], {}),
    "one logit": ([], {"classes": 1}),
    "one sigmoid": ([SIGMOID], {"classes": 1}),
    "logits (N, C, 1, 1)": ([RESHAPE], {"shape": (tiny.CLASSES, 1, 1)}),
    "softmax (N, 1, C)": ([SOFTMAX, node("Reshape", "p", "to", "r")], {"shape": (1, tiny.CLASSES)}),
    "one logit (N, 1, 1, 1)": ([RESHAPE], {"classes": 1, "shape": (1, 1, 1)}),
    "uint8 logits": ([LOGITS_QUANTIZED], {"dtype": "uint8"}),
    "int8 logits": ([LOGITS_QUANTIZED], {"dtype": "int8"}),
    "one int8 logit": ([LOGITS_QUANTIZED], {"dtype": "int8", "classes": 1}),
    "uint8 softmax": ([SOFTMAX, P_QUANTIZED], {"dtype": "uint8"}),
    "int8 sigmoids": ([SIGMOID, P_QUANTIZED], {"dtype": "int8"}),
    "one uint8 sigmoid": ([SIGMOID, P_QUANTIZED], {"dtype": "uint8", "classes": 1}),
    "quantized softmax": ([LOGITS_QUANTIZED, QUANTIZED_SOFTMAX], {"dtype": "int8"}),
    "quantized sigmoids": ([LOGITS_QUANTIZED, QUANTIZED_SIGMOID], {"dtype": "uint8"}),
}


def assert_scores_as_the_bare_model(model: Model, binary: bool) -> None:
    a = given()
    images = expected_images("none", a)
    made = model.graph(binary=binary)
    onnx.checker.check_model(made)
    graph = session(made)
    if model.head.integers is None:
        raw = model.bare(images, model.head.logits)
    else:
        raw = (model.bare(images, "integers").astype(np.float32) - 3) * np.float32(0.05)
    p = probabilities(model.bare(images, model.head.output), model.head)
    wanted = {"probability": p, "logit": logits(raw, binary=binary)}
    for targets in (list(range(p.shape[1])), [p.shape[1] - 1, 0]):
        for name, values in wanted.items():
            found = graph.run([PREFIX + name], feeds("none", a, "NCHW", targets))[0]
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, values[:, targets], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", HEADS)
def test_scores_are_those_of_the_bare_model(name: str) -> None:
    tail, settings = HEADS[name]
    assert_scores_as_the_bare_model(ended(tail, **settings), binary="one" in name)


@pytest.mark.parametrize("opset", [7, 9, 10, 11, 17])
@pytest.mark.parametrize("name", ["logits", "softmax", "log-softmax", "sigmoids", "one logit", "logits (N, C, 1, 1)"])
def test_scores_are_the_same_at_every_opset(name: str, opset: int) -> None:
    tail, settings = HEADS[name]
    assert_scores_as_the_bare_model(ended(tail, opset=opset, **settings), binary="one" in name)


def test_class_0_of_one_logit_is_what_is_left() -> None:
    model, a = ended([], classes=1), given()
    p, z = session(model.graph(binary=True)).run(None, feeds("none", a, "NCHW", [0, 1]))
    raw = model.bare(expected_images("none", a), "logits")[:, 0]
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-raw)), rtol=1e-5)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(z, np.stack([-raw, raw], axis=1), rtol=1e-5, atol=1e-6)


def test_without_logits_there_is_no_such_output() -> None:
    model, a = ended([]), given()
    graph = replace(model, head=replace(model.head, kind=Softmax(), logits="")).graph()
    assert [output.name for output in graph.graph.output] == [PREFIX + "probability"]
    found = session(graph).run(None, feeds("none", a, "NCHW", range(tiny.CLASSES)))[0]
    np.testing.assert_allclose(found, model.bare(expected_images("none", a), "logits"), rtol=1e-5, atol=1e-6)


# --- the model inside


@pytest.mark.parametrize("noise", NOISES)
def test_all_that_the_model_brings_is_kept(noise: GraphOffset) -> None:
    """Metadata, documents, a local function, an If: to the byte. What is small is added: nothing of an image's size."""
    model = replace(identity(), proto=rich_model(), head=Head("scores", Logits(), "scores", "known"))
    before = model.proto.SerializeToString()
    made = model.graph(noise, (tiny.SIZE, tiny.SIZE))
    assert model.proto.SerializeToString() == before
    session(made)
    assert {info.name.startswith(PREFIX) for info in [*made.graph.input, *made.graph.output]} == {True}
    added = [weight for weight in made.graph.initializer if weight.name.startswith(PREFIX)]
    assert max(np.prod(weight.dims) for weight in added) <= 4
    kept_nodes = [one for one in made.graph.node if not one.name.startswith(PREFIX)]
    kept_weights = [weight for weight in made.graph.initializer if weight not in added]
    for part, kept in (("node", kept_nodes), ("initializer", kept_weights)):
        del getattr(made.graph, part)[:]
        getattr(made.graph, part).extend(kept)
    made.graph.ClearField("input")
    made.graph.ClearField("output")
    made.graph.input.extend(model.proto.graph.input)
    made.graph.output.extend(model.proto.graph.output)
    assert made == model.proto


@pytest.mark.parametrize("noise", NOISES)
def test_weights_among_the_inputs_stay_there(noise: GraphOffset) -> None:
    """As IR 3 wants it; ONNX Runtime does not ask it of the constants that are added."""
    model = identity(opset=7, ir_version=3)
    model.assert_sees_what_it_should(noise, given(noise))
    made = model.graph(noise)
    assert [info.name for info in made.graph.input if not info.name.startswith(PREFIX)] == ["one"]
    assert made.ir_version == 3


@pytest.mark.parametrize("dtype", KINDS)
def test_the_checker_accepts_the_score_graph_of_what_it_accepts(dtype: str) -> None:
    for opset in OPSETS:
        model = identity("NHWC", dtype, opset=opset)
        onnx.checker.check_model(model.proto, full_check=True)
        for noise in NOISES:
            onnx.checker.check_model(model.graph(noise), full_check=True)


def test_where_the_model_names_no_opset_one_is_named() -> None:
    """Operators of another domain alone need no ONNX opset; what is added does."""
    model, a = identity(), given()
    del model.proto.graph.node[:], model.proto.opset_import[:]
    model.proto.graph.node.append(node("QuickGelu", "image", "logits", domain="com.microsoft"))
    model.proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    x = expected_images("none", a).reshape(MAPS * STEPS, -1).astype(np.float64)
    np.testing.assert_allclose(model.seen("none", a), x / (1 + np.exp(-1.702 * x)), rtol=1e-5, atol=1e-6)


def test_an_opset_that_the_runtime_does_not_promise_is_refused() -> None:
    with pytest.raises(ModelError, match="opset is 6; expected 7 or later") as caught:
        identity(opset=6).graph()
    assert "\n" not in str(caught.value)
