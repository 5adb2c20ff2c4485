"""A tap adds outputs and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import LayerError, OutputError
from onnx_cam.graph.tap import tap
from tests import tiny


def rich_model() -> onnx.ModelProto:
    """A model with all that rewriting tends to lose: metadata, docs, a local function, an If, an old opset."""
    double = helper.make_function(
        "local", "Double", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 13)]
    )
    branches = [
        helper.make_graph(
            [helper.make_node(op, ["twice"], [f"{op}_out"])], op, [], [tiny.value_info(f"{op}_out", None)]
        )
        for op in ("Identity", "Neg")
    ]
    tail = [
        helper.make_node("Double", ["logits"], ["twice"], domain="local", name="Call", doc_string="a call"),
        helper.make_node("If", ["yes"], ["scores"], name="Branch", then_branch=branches[0], else_branch=branches[1]),
    ]
    model = tiny.build(
        [*tiny.body(), *tail],
        {**tiny.weights(), "yes": np.array(True)},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("scores", ["batch", tiny.CLASSES])],
        metadata={"labels": "a,b,c,d", "author": "somebody"},
        ir_version=8,
        functions=[double],
    )
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.doc_string = "a document"
    model.graph.node[0].doc_string = "a node's document"
    return model


def test_nothing_but_the_outputs_changes() -> None:
    model = rich_model()
    before = model.SerializeToString()
    tapped = tap(model, ["relu2", "conv1"])
    assert model.SerializeToString() == before
    assert [output.name for output in tapped.graph.output] == ["scores", "relu2", "conv1"]
    del tapped.graph.output[1:]
    assert tapped == model


def test_a_tensor_that_is_an_output_already_is_not_added_again() -> None:
    tapped = tap(tiny.model(), ["logits", "relu2", "relu2"])
    assert [output.name for output in tapped.graph.output] == ["logits", "relu2"]


def test_the_old_outputs_keep_their_values(tmp_path: Path) -> None:
    model = rich_model()
    x = {"image": tiny.image()[None]}
    before = onnxruntime.InferenceSession(model.SerializeToString()).run(["scores"], x)[0]
    after = onnxruntime.InferenceSession(tap(model, ["relu2"]).SerializeToString()).run(["scores", "relu2"], x)
    np.testing.assert_allclose(after[0], before, rtol=1e-6)
    assert after[1].shape == (1, tiny.CHANNELS, 5, 5)


def test_export_writes_a_checked_model(tmp_path: Path) -> None:
    source = tiny.save(rich_model(), tmp_path, "rich.onnx")
    model = onnx_cam.load(source, device="cpu", preprocess="none")
    layer = onnx_cam.export(model, tmp_path / "out" / "tapped.onnx", layer="Relu_1")
    written = onnx.load(tmp_path / "out" / "tapped.onnx")
    onnx.checker.check_model(written)
    assert layer.name == written.graph.output[-1].name == "relu1"
    assert written.ir_version == 8
    assert {p.key: p.value for p in written.metadata_props} == {"labels": "a,b,c,d", "author": "somebody"}
    assert [function.name for function in written.functions] == ["Double"]
    info = written.graph.output[-1].type.tensor_type
    assert info.elem_type == TensorProto.FLOAT
    assert [d.dim_value for d in info.shape.dim][1:] == [tiny.CHANNELS, 10, 10]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["tapped.onnx"]


def test_export_leaves_open_what_the_model_leaves_open(tmp_path: Path) -> None:
    model = onnx_cam.load(tiny.save(tiny.model(size="side"), tmp_path), device="cpu", preprocess="none", size=(20, 20))
    onnx_cam.export(model, tmp_path / "tapped.onnx")
    shape = onnx.load(tmp_path / "tapped.onnx").graph.output[-1].type.tensor_type.shape
    assert [d.dim_value for d in shape.dim] == [0, tiny.CHANNELS, 0, 0]


def test_export_refuses_to_replace_the_model_itself(tiny_classifier: Classifier) -> None:
    path = tiny_classifier.file.path
    assert path is not None
    before = path.read_bytes()
    with pytest.raises(OutputError, match="the model itself"):
        onnx_cam.export(tiny_classifier, path)
    assert path.read_bytes() == before


def test_export_of_a_layer_that_does_not_exist_writes_nothing(tiny_classifier: Classifier, tmp_path: Path) -> None:
    with pytest.raises(LayerError):
        onnx_cam.export(tiny_classifier, tmp_path / "tapped.onnx", layer="relu9")
    assert list(tmp_path.iterdir()) == []


def test_export_writes_to_files_alone(tiny_classifier: Classifier, tmp_path: Path) -> None:
    """A named pipe stands for a device here: it must not be replaced by a file."""
    import os
    import stat

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="a folder or a device"):
        onnx_cam.export(tiny_classifier, tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(OutputError, match="cannot write"):
        onnx_cam.export(tiny_classifier, tmp_path / ("x" * 300))
