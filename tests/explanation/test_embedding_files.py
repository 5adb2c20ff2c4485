"""A heatmap is written completely and proved, or not at all, and an error says why."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import onnx_cam
from onnx_cam.errors import LayerError, MissingRuleError, ModelError, OutputError, SettingError, TargetError
from tests import tiny
from tests.classifier.test_heads import noisy
from tests.classifier.test_inputs import branch, node


def load(proto: onnx.ModelProto, folder: Path, **settings: Any) -> onnx_cam.Classifier:
    return onnx_cam.load(tiny.save(proto, folder), device="cpu", preprocess="none", **settings)


def with_external_data(folder: Path) -> onnx_cam.Classifier:
    folder.mkdir()
    (folder / "weights").mkdir()
    onnx.save_model(
        tiny.model(), folder / "e.onnx", save_as_external_data=True, location="weights/e.bin", size_threshold=0
    )
    return onnx_cam.load(folder / "e.onnx", device="cpu", preprocess="none")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- external weights


def test_external_weights_are_copied_beside_the_new_model(tmp_path: Path) -> None:
    model = with_external_data(tmp_path / "old")
    out = tmp_path / "new" / "explaining.onnx"
    for _ in range(2):  # the second time, they are there
        onnx_cam.export_heatmap(model, out, method="gradcam", layer="relu1")
        assert files(tmp_path / "new") == {"explaining.onnx", "weights/e.bin"}
    onnx.load(out)  # onnx refuses weights with several hard links
    onnx.load(tmp_path / "old/e.onnx")
    image = tiny.image(1)[None]
    old, new = (
        onnxruntime.InferenceSession(str(path)).run(["logits"], {"image": image})[0]
        for path in (tmp_path / "old/e.onnx", out)
    )
    np.testing.assert_array_equal(old, new)


def test_beside_the_model_its_weights_are_shared(tmp_path: Path) -> None:
    model = with_external_data(tmp_path / "old")
    onnx_cam.export_heatmap(model, tmp_path / "old/explaining.onnx")
    assert files(tmp_path / "old") == {"e.onnx", "explaining.onnx", "weights/e.bin"}


def test_other_weights_in_the_way_are_left_alone(tmp_path: Path) -> None:
    model = with_external_data(tmp_path / "old")
    (tmp_path / "new/weights").mkdir(parents=True)
    (tmp_path / "new/weights/e.bin").write_bytes(b"something else")
    with pytest.raises(OutputError, match=r"e\.bin' exists and holds something else than the weights that belong"):
        onnx_cam.export_heatmap(model, tmp_path / "new/explaining.onnx")
    assert files(tmp_path / "new") == {"weights/e.bin"}
    assert (tmp_path / "new/weights/e.bin").read_bytes() == b"something else"


# --- where it is written


def test_the_model_and_its_weights_are_never_replaced(tmp_path: Path) -> None:
    model = with_external_data(tmp_path / "old")
    path = tmp_path / "old/e.onnx"
    before = path.read_bytes()
    (tmp_path / "soft.onnx").symlink_to(path)
    os.link(path, tmp_path / "hard.onnx")
    for out in (path, tmp_path / "soft.onnx", tmp_path / "hard.onnx", tmp_path / "old/../old/e.onnx"):
        with pytest.raises(OutputError, match="is the model itself"):
            onnx_cam.export_heatmap(model, out)
    with pytest.raises(OutputError, match="holds weights of the model"):
        onnx_cam.export_heatmap(model, tmp_path / "old/weights/e.bin")
    assert path.read_bytes() == before
    with pytest.raises(OutputError, match="is a folder or a device"):
        onnx_cam.export_heatmap(model, tmp_path / "old")


def test_a_model_that_has_a_heatmap_is_refused(tmp_path: Path) -> None:
    onnx_cam.export_heatmap(load(tiny.model(), tmp_path), tmp_path / "explaining.onnx")
    again = onnx_cam.load(tmp_path / "explaining.onnx", device="cpu", preprocess="none")
    with pytest.raises(ModelError, match=r"already has a tensor 'heatmap'.*export the model that it was made from"):
        onnx_cam.export_heatmap(again, tmp_path / "twice.onnx")
    for name in ("heatmap_class", "heatmap_target"):
        proto = tiny.model(tail=[node("Identity", "logits", name)])
        with pytest.raises(ModelError, match=f"already has a tensor '{name}'"):
            onnx_cam.export_heatmap(load(proto, tmp_path), tmp_path / "twice.onnx")
    assert not (tmp_path / "twice.onnx").exists()


def test_what_the_proof_refutes_is_not_written(tmp_path: Path) -> None:
    """Scores that are drawn at random are never the same twice."""
    model = load(noisy(3.0), tmp_path)
    (tmp_path / "out.onnx").write_bytes(b"what was there")
    with pytest.raises(ModelError, match=r"but equal runs differ anyway.*nothing was written"):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx")
    assert files(tmp_path) == {"tiny.onnx", "out.onnx"}
    assert (tmp_path / "out.onnx").read_bytes() == b"what was there"


# --- what cannot be embedded


@pytest.mark.parametrize("method", ["scorecam", "sscam1", "iscam", "smoothgradcam++", "grad++scorecam"])
def test_methods_that_take_many_runs_are_refused_by_name(method: str) -> None:
    with pytest.raises(
        SettingError, match=f"a heatmap of {method.replace('+', '.')} takes many runs.*expected one of cam"
    ):
        onnx_cam.export_heatmap("no such model", "out.onnx", method=method)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"method": "gradcan"}, "unknown method 'gradcan'; did you mean 'gradcam'"),
        ({"target": "top2"}, "invalid target 'top2' of a heatmap: expected top1, input or the index of a class"),
        ({"target": True}, "invalid target True"),
        ({"target": 1.5}, "invalid target 1.5"),
        ({"target": None}, "invalid target None"),
        ({"resolution": "image"}, "unknown resolution 'image': expected one of layer, input"),
    ],
)
def test_settings_that_do_not_exist(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        onnx_cam.export_heatmap("no such model", "out.onnx", **settings)


def test_classes_and_layers_that_do_not_exist(tmp_path: Path) -> None:
    model = load(tiny.model(), tmp_path)
    for target in (4, -1):
        with pytest.raises(TargetError, match=f"no class {target}; the model has 4 classes"):
            onnx_cam.export_heatmap(model, tmp_path / "out.onnx", target=target)
    with pytest.raises(LayerError, match="no tensor or node 'relu9'"):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx", layer="relu9")
    with pytest.raises(LayerError, match=r"cam needs a layer that is followed by.*'relu1' of tiny.onnx is not"):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx", method="cam", layer="relu1")
    assert files(tmp_path) == {"tiny.onnx"}


def test_a_layer_that_does_not_lead_to_the_scores(tmp_path: Path) -> None:
    """A second output, of a convolution beside the network."""
    side = [node("Conv", "relu1 w2 b2", "side")]
    proto = tiny.model(tail=side, extra_outputs=[tiny.value_info("side", ["batch", 6, 8, 8])])
    model = load(proto, tmp_path, output="logits")
    with pytest.raises(LayerError):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx", method="gradcam", layer="side")
    assert files(tmp_path) == {"tiny.onnx"}


def branched() -> onnx.ModelProto:
    """An If between the layer and the logits."""
    nodes = tiny.body()
    nodes[-1].output[0] = "z"
    then, other = (branch([helper.make_node(op, ["z"], [op])], op) for op in ("Identity", "Neg"))
    nodes.append(helper.make_node("If", ["yes"], ["logits"], name="Branch", then_branch=then, else_branch=other))
    weights = tiny.weights() | {"yes": np.array(True)}
    return tiny.build(nodes, weights, image=["n", 3, 20, 20], outputs=[tiny.value_info("logits", ["n", 4])])


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_a_branch_between_the_layer_and_the_scores(method: str, tmp_path: Path) -> None:
    model = load(branched(), tmp_path)
    with pytest.raises(
        MissingRuleError, match=r"operator If .*node 'Branch' of tiny.onnx; choose a layer after it"
    ) as e:
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx", method=method)
    assert "\n" not in str(e.value)
    assert files(tmp_path) == {"tiny.onnx"}


def test_a_branch_that_reads_the_layer_itself(tmp_path: Path) -> None:
    *nodes, pool, flatten, gemm = tiny.body()
    then, other = (branch([helper.make_node(op, ["relu2"], [op])], op) for op in ("Identity", "Neg"))
    pool.input[0] = "z"
    nodes.append(helper.make_node("If", ["yes"], ["z"], name="Branch", then_branch=then, else_branch=other))
    weights = tiny.weights() | {"yes": np.array(True)}
    outputs = [tiny.value_info("logits", ["n", 4])]
    proto = tiny.build([*nodes, pool, flatten, gemm], weights, image=["n", 3, 20, 20], outputs=outputs)
    with pytest.raises(MissingRuleError, match=r"operator If .*node 'Branch' of tiny.onnx"):
        onnx_cam.export_heatmap(load(proto, tmp_path), tmp_path / "out.onnx", method="gradcam", layer="relu2")
    assert files(tmp_path) == {"tiny.onnx"}


def mixing() -> onnx.ModelProto:
    """Each image's logits lose the mean over the batch."""
    mean = node("ReduceMean", "logits", "mean", axes=[0], keepdims=1)
    return tiny.model(tail=[mean, node("Sub", "logits mean", "y")], output="y")


def test_images_that_change_each_others_scores(tmp_path: Path) -> None:
    model = load(mixing(), tmp_path)
    with pytest.raises(ModelError, match=r"the images of a batch change each other's scores in tiny\.onnx"):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx", method="gradcam")
    assert files(tmp_path) == {"tiny.onnx"}


def test_probabilities_without_logits(tmp_path: Path) -> None:
    tail = [node("Exp", "logits", "e"), node("ReduceSum", "e a", "s", keepdims=1), node("Div", "e s", "y")]
    proto = tiny.build(
        [*tiny.body(), *tail],
        tiny.weights() | {"a": np.array([1])},
        image=["n", 3, 20, 20],
        outputs=[tiny.value_info("y", ["n", 4])],
    )
    model = load(proto, tmp_path, head="softmax")
    if model.head.logits:
        pytest.skip("the logits are found")
    with pytest.raises(SettingError, match="no logits"):
        onnx_cam.export_heatmap(model, tmp_path / "out.onnx")


def test_when_the_proof_fails_the_copied_weights_go_as_well(tmp_path: Path) -> None:
    (tmp_path / "old/weights").mkdir(parents=True)
    path = tmp_path / "old/e.onnx"
    onnx.save_model(noisy(3.0), path, save_as_external_data=True, location="weights/e.bin", size_threshold=0)
    model = onnx_cam.load(path, device="cpu", preprocess="none")
    with pytest.raises(ModelError, match="nothing was written"):
        onnx_cam.export_heatmap(model, tmp_path / "new/explaining.onnx")
    assert not (tmp_path / "new").exists()
