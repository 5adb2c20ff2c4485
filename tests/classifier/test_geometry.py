"""Maps lie where the network looks: crops, padding and turns in the graph, and what only a run can tell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.classifier.geometry_cache import read_geometry, write_geometry
from onnx_cam.classifier.inspection import inspect
from onnx_cam.classifier.probe import find_geometry
from onnx_cam.classifier.run_cache import read_entry, write_entry
from onnx_cam.graph.frame import Frame
from onnx_cam.graph.layer_geometry import LayerGeometry
from tests import tiny

SIDE = 2 * tiny.SIZE


def node(op: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], **attributes)


def behind(nodes: Sequence[onnx.NodeProto], constants: dict[str, Any], folder: Path, side: int = SIDE) -> Path:
    """Save the tiny network behind some operators that make ``seen`` of ``image``."""
    inner = tiny.body()
    for one in inner:
        one.input[:] = ["seen" if name == "image" else name for name in one.input]
    proto = tiny.build(
        [*nodes, *inner],
        tiny.weights() | constants,
        image=["N", 3, side, side],
        outputs=[tiny.value_info("logits", ["N", tiny.CLASSES])],
    )
    folder.mkdir(exist_ok=True)
    return tiny.save(proto, folder)


def load(path: Path) -> onnx_cam.Classifier:
    return onnx_cam.load(path, device="cpu", preprocess="none")


def plain_map(seen: np.ndarray, folder: Path, **settings: Any) -> onnx_cam.Explanation:
    """Explain the tiny network on what it sees by itself."""
    model = load(behind([node("Identity", "image", "seen")], {}, folder, seen.shape[-1]))
    result: onnx_cam.Explanation = onnx_cam.explain(model, seen, **{"target": None, **settings})
    return result


CROP = {"s": np.array([10, 20]), "e": np.array([30, 40]), "a": np.array([2, 3])}


@pytest.mark.parametrize("method", ["scorecam", "sscam2", "iscam", "gradcam", "cam"])
def test_a_crop_in_the_graph_is_a_crop_of_the_map(method: str, tmp_path: Path) -> None:
    """The cells cover rows 10 to 30 and columns 20 to 40; what lies outside is not seen, whatever the method."""
    model = load(behind([node("Slice", "image s e a", "seen")], CROP, tmp_path / "crop"))
    x = tiny.image(1, SIDE)
    result = onnx_cam.explain(model, x, method=method, target=1)
    assert result.crop == (20, 10, 40, 30)
    assert not result.map[:10].any()
    assert not result.map[30:].any()
    assert not result.map[:, :20].any()
    alone = plain_map(np.ascontiguousarray(x[:, 10:30, 20:40]), tmp_path / "alone", method=method, target=1)
    if method != "sscam2":  # its noise fields have another shape
        np.testing.assert_allclose(result.cam, alone.cam, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.map[10:30, 20:40], alone.map, atol=1e-4)


@pytest.mark.parametrize("turn", ["transposed", "mirrored", "upside down"])
def test_a_turn_in_the_graph_is_turned_back(turn: str, tmp_path: Path) -> None:
    backwards = {"s": np.array([-1]), "e": np.array([-(2**31)]), "t": np.array([-1])}
    if turn == "transposed":
        nodes, constants = [node("Transpose", "image", "seen", perm=[0, 1, 3, 2])], {}
    else:
        nodes, constants = (
            [node("Slice", "image s e a t", "seen")],
            {**backwards, "a": np.array([3 if turn == "mirrored" else 2])},
        )
    x = tiny.image(1, SIDE)
    turned = {"transposed": x.swapaxes(1, 2), "mirrored": x[..., ::-1], "upside down": x[:, ::-1]}[turn]
    result = onnx_cam.explain(load(behind(nodes, constants, tmp_path / "turned")), x, target=1)
    expected = plain_map(np.ascontiguousarray(turned), tmp_path / "plain", target=1).cam
    back = {"transposed": expected.T, "mirrored": expected[:, ::-1], "upside down": expected[::-1]}[turn]
    np.testing.assert_allclose(result.cam, back, rtol=1e-4, atol=1e-6)


def test_padding_in_the_graph_does_not_stretch_the_map(tmp_path: Path) -> None:
    pads = {"p": np.array([0, 0, 10, 10, 0, 0, 10, 10])}
    model = load(behind([node("Pad", "image p", "seen")], pads, tmp_path / "pads", tiny.SIZE))
    x = tiny.image(1)
    result = onnx_cam.explain(model, x, target=1)
    padded = plain_map(np.pad(x, ((0, 0), (10, 10), (10, 10))), tmp_path / "plain", target=1)
    assert result.cam.shape == padded.cam.shape
    assert result.crop == (0, 0, tiny.SIZE, tiny.SIZE)
    inner = padded.map[10:30, 10:30]
    correlation = np.corrcoef(result.map.ravel(), inner.ravel())[0, 1]
    assert correlation > 0.95


def test_the_batch_size_does_not_change_a_framed_map(tmp_path: Path) -> None:
    model = load(behind([node("Slice", "image s e a", "seen")], CROP, tmp_path / "crop"))
    x = tiny.image(1, SIDE)
    maps = [onnx_cam.explain(model, x, method="sscam1", samples=3, batch_size=size).cam for size in (1, 5, 16)]
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], rtol=1e-5, atol=1e-7)


def test_inspect_says_where_the_cells_lie_and_what_says_so(tmp_path: Path) -> None:
    model = load(behind([node("Slice", "image s e a", "seen")], CROP, tmp_path / "crop"))
    (finding,) = [one for one in onnx_cam.inspect(model) if one.what == "geometry"]
    assert finding.value == "rows 25-75 %, columns 50-100 % of the input"
    assert "operators" in finding.source


# --- what only a run can tell


def windows(perm: Sequence[int]) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """Take the image apart into 4×4 windows and put it together again, in another order of axes."""
    constants = {"six": np.array([0, 3, 4, 10, 4, 10]), "back": np.array([0, 3, SIDE, SIDE])}
    return [
        node("Reshape", "image six", "w"),
        node("Transpose", "w", "t", perm=list(perm)),
        node("Reshape", "t back", "seen"),
    ], constants


RUNS = {
    "put together as it was": ((0, 1, 2, 3, 4, 5), LayerGeometry(source="run")),
    "rows and columns swapped": ((0, 1, 4, 5, 2, 3), LayerGeometry(transposed=True, source="run")),
}


@pytest.mark.parametrize("case", RUNS)
def test_where_the_operators_do_not_say_it_a_run_does(case: str, own_cache: Path, tmp_path: Path) -> None:
    perm, geometry = RUNS[case]
    nodes, constants = windows(perm)
    path = behind(nodes, constants, tmp_path / "windows")
    layer = load(path).layer()
    assert layer.geometry == geometry
    assert layer.is_default
    # Found once a file and layer: the next time it is read.
    (kept,) = (own_cache / "geometry").iterdir()
    content = read_entry("geometry", kept.stem)
    assert content is not None
    assert content["transposed"] is geometry.transposed
    write_entry("geometry", kept.stem, {**content, "flipped_rows": True})
    assert load(path).layer().geometry.flipped_rows


def test_with_weights_in_other_files_it_is_found_each_time(own_cache: Path, tmp_path: Path) -> None:
    nodes, constants = windows(RUNS["put together as it was"][0])
    path = tmp_path / "external.onnx"
    proto = onnx.load(behind(nodes, constants, tmp_path / "windows"))
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=256)
    assert load(path).layer().geometry.source == "run"
    assert not own_cache.exists()


@pytest.mark.parametrize("content", [{}, {"frame": 3}, {"frame": {"top": 1, "left": 0, "bottom": 0, "right": 1}}])
def test_a_damaged_cache_is_not_read(content: dict[str, Any], own_cache: Path) -> None:
    write_geometry("hash", "layer", (8, 8), LayerGeometry(Frame(0.1, 0.2, 0.9, 0.8), source="run"))
    assert read_geometry("hash", "layer", (8, 8)) == LayerGeometry(Frame(0.1, 0.2, 0.9, 0.8), source="run")
    assert read_geometry("hash", "layer", (8, 9)) is None
    (kept,) = (own_cache / "geometry").iterdir()
    write_entry("geometry", kept.stem, content)
    assert read_geometry("hash", "layer", (8, 8)) is None


def test_a_cache_that_cannot_be_written_to_is_left_alone(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    nodes, constants = windows(RUNS["put together as it was"][0])
    assert load(behind(nodes, constants, tmp_path / "windows")).layer().geometry.source == "run"


def test_where_no_hypothesis_fits_the_layer_is_no_default_and_a_warning_says_so(tmp_path: Path) -> None:
    """Rows in a random order: nothing that follows can be placed, but for the convolution before them."""
    order = np.random.default_rng(0).permutation(SIDE)
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[range(3), range(3)] = 1
    nodes = [node("Conv", "image k", "first"), node("Gather", "first order", "seen", axis=2)]
    model = load(behind(nodes, {"k": kernel, "order": order}, tmp_path / "shuffled"))
    assert model.layer().name == "first"
    result = onnx_cam.explain(model, tiny.image(1, SIDE), layer="relu2")
    assert any("Gather" in warning and "misplaced" in warning for warning in result.warnings)
    (warning,) = onnx_cam.explain(model, tiny.image(1, SIDE)).warnings
    assert warning == (
        "layer first is explained because it is unknown where the cells of relu2, which is nearer to the scores, "
        "lie in the image: Gather 'seen' cannot be followed"
    )


def test_a_run_that_finds_nothing_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = np.random.default_rng(0).permutation(SIDE)
    model = load(behind([node("Gather", "image order", "seen", axis=2)], {"order": order}, tmp_path / "shuffled"))
    assert model.layer("relu2").geometry.source == "unsettled"
    monkeypatch.setattr(model.sessions, "layer_maps", pytest.fail)
    assert model.layer("relu2").geometry.source == "unsettled"


def test_a_piece_of_another_layer_is_no_default(tmp_path: Path) -> None:
    """A cyclic shift takes the image apart: the pieces cover a part of it each, the layer before them the whole."""
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[range(3), range(3)] = 1
    nodes = [
        node("Conv", "image k", "first"),
        node("Slice", "first s e a", "top"),
        node("Slice", "first e end a", "bottom"),
        node("Concat", "bottom top", "seen", axis=2),
    ]
    cut = {"s": np.array([0]), "e": np.array([7]), "end": np.array([10**6]), "a": np.array([2])}
    model = load(behind(nodes, {"k": kernel, **cut}, tmp_path / "rolled"))
    layer = model.layer()
    assert layer.name == "first"
    assert any("in place of relu2" in finding.source for finding in inspect(model))
    assert layer.passed_over is not None
    assert layer.passed_over.name == "relu2"


def test_cells_that_would_lie_far_outside_the_image_settle_nothing() -> None:
    """Such a fit comes of wide receptive fields on few cells; that of graphs that pad is followed by the operators."""
    images = np.random.default_rng(0).standard_normal((2, 1, 12, 12)).astype(np.float32)
    assert find_geometry(lambda batch: np.pad(batch, ((0, 0), (0, 0), (6, 6), (6, 6))), images) is None
    assert find_geometry(lambda batch: batch, images) == LayerGeometry(source="run")


def test_a_graph_that_draws_random_numbers_cannot_be_probed() -> None:
    generator = np.random.default_rng(0)
    images = generator.standard_normal((2, 1, 12, 12)).astype(np.float32)
    assert (
        find_geometry(lambda batch: batch + generator.standard_normal(batch.shape).astype(np.float32), images) is None
    )


def test_of_two_branches_the_one_that_sees_the_image_as_it_is(tmp_path: Path) -> None:
    """Test-time augmentation in the graph: the mirrored branch comes last, and is not the default."""
    backwards = {"s": np.array([-1]), "e": np.array([-(2**31)]), "a": np.array([3]), "t": np.array([-1])}

    def branch(source: str, suffix: str) -> list[onnx.NodeProto]:
        nodes = tiny.body()
        made = {name for one in nodes for name in one.output}
        for one in nodes:
            one.input[:] = [source if n == "image" else n + suffix if n in made else n for n in one.input]
            one.output[:] = [n + suffix for n in one.output]
            one.name += suffix
        return nodes

    nodes = [
        *branch("image", "_a"),
        node("Slice", "image s e a t", "mirror"),
        *branch("mirror", "_b"),
        node("Add", "logits_a logits_b", "logits"),
    ]
    proto = tiny.build(
        nodes,
        tiny.weights() | backwards,
        image=["N", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["N", tiny.CLASSES])],
    )
    model = load(tiny.save(proto, tmp_path))
    assert model.layer().name == "relu2_a"
    assert model.layer("relu2_b").geometry.flipped_columns


def test_layers_in_local_functions_are_found(tmp_path: Path) -> None:
    body = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    function = helper.make_function("local", "Block", ["x", "w", "b"], ["y"], body, [helper.make_opsetid("", 13)])
    weights = tiny.weights()
    nodes = [
        helper.make_node("Block", ["image", "w1", "b1"], ["relu1"], domain="local"),
        helper.make_node("Block", ["relu1", "w2", "b2"], ["relu2"], domain="local"),
        *tiny.body()[4:],
    ]
    proto = tiny.build(
        nodes, weights, image=["N", 3, tiny.SIZE, tiny.SIZE], outputs=[tiny.value_info("logits", ["N", tiny.CLASSES])]
    )
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    model = load(tiny.save(proto, tmp_path))
    assert model.layer().name == "relu2"
    assert model.layer().shape == (tiny.CHANNELS, 5, 5)


@pytest.mark.parametrize("gated", [False, True])
def test_files_that_onnx_runtime_saved_in_blocks_of_channels_give_the_plain_files_map(
    gated: bool, tmp_path: Path
) -> None:
    import onnxruntime

    generator = np.random.default_rng(0)
    weights = {
        "w1": generator.standard_normal((16, 3, 3, 3)).astype(np.float32) / 5,
        "w2": generator.standard_normal((32, 16, 3, 3)).astype(np.float32) / 12,
        "w3": generator.standard_normal((4, 32)).astype(np.float32),
    }
    act = [node("Sigmoid", "c2", "s2"), node("Mul", "c2 s2", "r2")] if gated else [node("Relu", "c2", "r2")]
    nodes = [
        node("Conv", "image w1", "c1", strides=[2, 2], pads=[1] * 4),
        node("Relu", "c1", "r1"),
        node("Conv", "r1 w2", "c2", strides=[2, 2], pads=[1] * 4),
        *act,
        node("GlobalAveragePool", "r2", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("Gemm", "flat w3", "logits", transB=1),
    ]
    proto = tiny.build(nodes, weights, image=[1, 3, SIDE, SIDE], outputs=[tiny.value_info("logits", [1, 4])])
    plain = tiny.save(proto, tmp_path, "plain.onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.optimized_model_filepath = str(tmp_path / "saved.onnx")
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])
    saved = onnx.load(tmp_path / "saved.onnx")
    if not any(one.domain == "com.microsoft.nchwc" for one in saved.graph.node):
        pytest.skip("ONNX Runtime does not block channels on this processor")
    x = tiny.image(1, SIDE)
    result = onnx_cam.explain(load(tmp_path / "saved.onnx"), x, target=1)
    expected = onnx_cam.explain(load(plain), x, target=1)
    assert result.layer_shape == expected.layer_shape
    np.testing.assert_allclose(result.cam, expected.cam, rtol=1e-3, atol=1e-5)
    # What is exported is the layer, and not its blocks.
    onnx_cam.export(load(tmp_path / "saved.onnx"), tmp_path / "tapped.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "tapped.onnx"), providers=["CPUExecutionProvider"])
    maps = session.run([session.get_outputs()[-1].name], {"image": x[None]})[0]
    reference = load(plain).sessions.activations(load(plain).layer(), x).maps
    np.testing.assert_allclose(maps[0], reference, rtol=1e-3, atol=1e-5)
