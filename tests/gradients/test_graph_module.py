"""An ONNX graph as a torch module, compared with ONNX Runtime."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import ModelError, ScoreError
from onnx_cam.gradients import GraphModule
from onnx_cam.gradients.node import Node
from tests import tiny

Array = NDArray[Any]


def run(proto: onnx.ModelProto, images: Array, outputs: Sequence[str]) -> list[Array]:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return [np.asarray(array) for array in session.run(list(outputs), {"image": images})]


def computed(proto: onnx.ModelProto, images: Array, outputs: Sequence[str]) -> list[Array]:
    with torch.no_grad():
        return [t.numpy() for t in GraphModule(proto, name="tiny.onnx")(torch.as_tensor(images), outputs)]


def images(count: int = 1) -> Array:
    return np.stack([tiny.image(seed) for seed in range(count)])


def test_the_tiny_network_scores_as_in_onnx_runtime() -> None:
    proto = tiny.softmax_model()
    (expected,), (probabilities,) = (f(proto, images(3), ["probabilities"]) for f in (run, computed))
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_efficientnet_scores_as_in_onnx_runtime(lite0: Classifier) -> None:
    module = GraphModule(lite0.facts.proto, name=lite0.name)
    batch = lite0.trial_images(2)
    expected = lite0.sessions.scores(batch, "logit")
    with torch.no_grad():
        logits = module(torch.as_tensor(lite0.input.feed(batch)), [lite0.head.logits])[0].numpy()
    assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_batch_changes_no_score() -> None:
    module = GraphModule(tiny.model(), name="tiny.onnx").double()
    batch = torch.as_tensor(images(4))
    together = module(batch, ["logits"])[0]
    one_by_one = torch.cat([module(image[None], ["logits"])[0] for image in batch])
    torch.testing.assert_close(together, one_by_one, rtol=1e-12, atol=1e-12)


def test_weights_are_buffers_and_double_makes_everything_float64() -> None:
    module = GraphModule(tiny.model(), name="tiny.onnx")
    assert sum(b.numel() for _, b in module.named_buffers()) == 1 + sum(w.size for w in tiny.weights().values())
    assert not list(module.parameters())
    assert module.double()(torch.as_tensor(images()), ["logits"])[0].dtype == torch.float64


def test_nodes_that_only_lead_to_a_replaced_tensor_are_not_run() -> None:
    ran: list[str] = []
    module = GraphModule(tiny.model(), name="tiny.onnx")
    maps = torch.ones(1, tiny.CHANNELS, 5, 5)
    (logits,) = module(
        torch.as_tensor(images()), ["logits"], {"relu2": maps}, watch=lambda node, *_: ran.append(node.name)
    )
    assert ran == ["Pool", "Flatten", "Gemm"]
    weights = tiny.weights()
    np.testing.assert_allclose(logits[0].numpy(), weights["w3"].sum(1) + weights["b3"], rtol=1e-5)


def test_a_tensor_is_dropped_after_its_last_reader() -> None:
    references: dict[str, weakref.ref[Tensor]] = {}
    alive: dict[str, set[str]] = {}

    def watch(node: Node, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> None:
        references[node.outputs[0]] = weakref.ref(outputs[0])
        alive[node.name] = {name for name, reference in references.items() if reference() is not None}

    with torch.no_grad():
        GraphModule(tiny.model(), name="tiny.onnx")(torch.as_tensor(images()), ["relu1", "logits"], watch=watch)
    assert alive["Gemm"] - {"pooled"} == {"relu1", "flat", "logits"}  # flat is a view of pooled


def branching(condition: bool) -> onnx.ModelProto:
    """Return the tiny network followed by an If: the logits are doubled, or a constant is added."""
    two = numpy_helper.from_array(np.array(2, np.float32), "two")
    double = helper.make_graph(
        [helper.make_node("Mul", ["logits", "two"], ["doubled"])],
        "then",
        [],
        [tiny.value_info("doubled", None)],
        [two],
    )
    one = numpy_helper.from_array(np.array(1, np.float32))
    more = helper.make_graph(
        [helper.make_node("Constant", [], ["one"], value=one), helper.make_node("Add", ["logits", "one"], ["more"])],
        "else",
        [],
        [tiny.value_info("more", None)],
    )
    proto = tiny.model(
        tail=[helper.make_node("If", ["condition"], ["chosen"], name="If", then_branch=double, else_branch=more)],
        output="chosen",
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.array(condition), "condition"))
    return proto


@pytest.mark.parametrize("condition", [True, False])
def test_an_if_runs_the_branch_that_its_condition_chooses(condition: bool) -> None:
    proto = branching(condition)
    np.testing.assert_allclose(
        computed(proto, images(2), ["chosen"])[0], run(proto, images(2), ["chosen"])[0], atol=1e-5
    )


def test_functions_of_the_model_are_inlined() -> None:
    function = helper.make_function(
        "own",
        "Twice",
        ["x"],
        ["y"],
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 13)],
    )
    proto = tiny.model(tail=[helper.make_node("Twice", ["logits"], ["twice"], domain="own")], output="twice")
    proto.opset_import.append(helper.make_opsetid("own", 1))
    proto.functions.append(function)
    once, twice = computed(proto, images(), ["logits", "twice"])
    np.testing.assert_array_equal(twice, 2 * once)


def test_an_operator_without_a_rule_is_named_when_the_module_is_created() -> None:
    proto = tiny.model(tail=[helper.make_node("Cauchy", ["logits"], ["out"], domain="own", name="odd")], output="out")
    proto.opset_import.append(helper.make_opsetid("own", 3))
    with pytest.raises(ModelError, match=r"operator Cauchy of domain 'own', version 3, node 'odd'") as caught:
        GraphModule(proto, name="tiny.onnx")
    assert "\n" not in str(caught.value)


def test_an_operator_that_no_output_needs_may_be_unknown() -> None:
    proto = tiny.model()
    proto.graph.node.append(helper.make_node("Cauchy", ["logits"], ["unused"]))
    GraphModule(proto, name="tiny.onnx")


def test_a_loop_is_refused() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["going"]),
            helper.make_node("Add", ["carried", "carried"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            tiny.value_info("carried", None),
        ],
        [helper.make_tensor_value_info("going", TensorProto.BOOL, []), tiny.value_info("next", None)],
    )
    proto = tiny.model(tail=[helper.make_node("Loop", ["count", "", "logits"], ["out"], body=body)], output="out")
    proto.graph.initializer.append(numpy_helper.from_array(np.array(2), "count"))
    with pytest.raises(ModelError, match=r"operator Loop.*unroll it"):
        GraphModule(proto, name="tiny.onnx")


def test_an_unknown_tensor_is_named() -> None:
    with pytest.raises(ModelError, match=r"no tensor 'relu9'.*did you mean 'relu"):
        computed(tiny.model(), images(), ["relu9"])


def test_a_node_that_fails_is_named() -> None:
    with pytest.raises(ScoreError, match=r"operator Conv .* node 'Conv_1'"):
        computed(tiny.model(), images()[:, :2], ["logits"])


def test_an_8_bit_image_is_rounded_and_passes_the_gradient_on() -> None:
    nodes = [helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT)]
    shape = [1, 3, 2, 2]
    proto = tiny.build(nodes, {}, image=shape, outputs=[tiny.value_info("floats", shape)], image_type=TensorProto.UINT8)
    image = torch.full((1, 3, 2, 2), 7.4)
    image[0, 0, 0, 0] = 300
    leaf = image.requires_grad_()
    (floats,) = GraphModule(proto, name="tiny.onnx")(leaf, ["floats"])
    assert sorted(set(floats.flatten().tolist())) == [7, 255]
    (gradient,) = torch.autograd.grad(floats.sum(), leaf)
    assert gradient.flatten().tolist() == [0, *[1] * 11]


def test_external_weights_are_read_from_the_folder(tmp_path: Path) -> None:
    expected = computed(tiny.model(), images(), ["logits"])[0]
    onnx.save(tiny.model(), tmp_path / "t.onnx", save_as_external_data=True, location="t.bin", size_threshold=0)
    proto = onnx.load(tmp_path / "t.onnx", load_external_data=False)
    module = GraphModule(proto, name="t.onnx", weights=tmp_path)
    np.testing.assert_array_equal(module(torch.as_tensor(images()), ["logits"])[0].numpy(), expected)


def test_external_weights_in_constant_nodes_are_read_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = tiny.model()
    expected = computed(proto, images(), ["logits"])[0]
    weight = next(w for w in proto.graph.initializer if w.name == "w1")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["w1"], value=weight))
    proto.graph.initializer.remove(weight)
    onnx.save(
        proto,
        tmp_path / "t.onnx",
        location="t.bin",
        save_as_external_data=True,
        size_threshold=0,
        convert_attribute=True,
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("t.bin").write_bytes(bytes((tmp_path / "t.bin").stat().st_size))  # another file of that name
    module = GraphModule(onnx.load(tmp_path / "t.onnx", load_external_data=False), name="t.onnx", weights=tmp_path)
    np.testing.assert_array_equal(module(torch.as_tensor(images()), ["logits"])[0].numpy(), expected)


def test_a_float64_model_with_sparse_weights_runs_in_float32() -> None:
    values = numpy_helper.from_array(np.array([1.5, -2.0]), "sparse")
    for places in (np.array([1, 5]), np.array([[0, 1], [1, 2]])):
        proto = tiny.build(
            [helper.make_node("Cast", ["image"], ["wide"], to=TensorProto.DOUBLE), _mul("wide", "sparse", "out")],
            {},
            image=[2, 3],
            outputs=[tiny.value_info("out", None, TensorProto.DOUBLE)],
        )
        indices = numpy_helper.from_array(places, "places")
        proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2, 3]))
        (out,) = computed(proto, np.ones((2, 3), np.float32), ["out"])
        assert out.dtype == np.float32
        assert out.tolist() == [[0, 1.5, 0], [0, 0, -2]]


def _mul(a: str, b: str, output: str) -> onnx.NodeProto:
    return helper.make_node("Mul", [a, b], [output])


def test_a_second_input_is_refused() -> None:
    proto = tiny.model()
    proto.graph.input.append(tiny.value_info("mask", [1]))
    with pytest.raises(ModelError, match="'image', 'mask'"):
        GraphModule(proto, name="tiny.onnx")


def test_a_float16_model_runs_in_float32() -> None:
    nodes = [helper.make_node("Mul", ["image", "third"], ["out"])]
    third = np.array(1 / 3, np.float16)
    proto = tiny.build(
        nodes,
        {"third": third},
        image=[1, 3, 2, 2],
        outputs=[tiny.value_info("out", None, TensorProto.FLOAT16)],
        image_type=TensorProto.FLOAT16,
    )
    (out,) = computed(proto, np.ones((1, 3, 2, 2), np.float16), ["out"])
    assert out.dtype == np.float32
    assert out.max() == np.float32(third)
