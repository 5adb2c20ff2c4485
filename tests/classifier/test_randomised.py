"""A model with its weights permuted keeps everything that is known of the original, and makes no trial runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.classifier import trial
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.randomised import randomised
from onnx_cam.errors import LayerError
from onnx_cam.graph import read, read_detached
from onnx_cam.graph.permute_weights import permute_weights
from tests import tiny
from tests.oracle import Network

SEED = 4


def expected_logits(x: np.ndarray) -> np.ndarray:
    network = Network(permute_weights(tiny.model(), "relu2", SEED).proto, "relu2", "logits")
    return network.logit(x.astype(np.float64))


def check(model: Classifier) -> Classifier:
    """Check the permuted model's scores against those of a file with the same permutation, and its layer's maps."""
    layer, x = model.layer(), tiny.image(2)
    other = randomised(model, layer, SEED)
    np.testing.assert_allclose(other.sessions.scores(x[None], "logit")[0], expected_logits(x), rtol=1e-5)
    assert other.layer(layer) == layer
    before, after = (one.sessions.activations(layer, x).maps for one in (model, other))
    assert before.tobytes() == after.tobytes()
    permuted = onnx_cam.explain(other, x, method="scorecam", preprocess="none")
    assert permuted.target.index == int(np.argmax(expected_logits(x)))
    return other


def test_it_scores_as_the_permuted_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none", labels=list("abcd"))
    monkeypatch.setattr(trial, "run_trial", lambda *_, **__: pytest.fail("a trial run"))
    other = check(model)
    assert (other.head, other.input, other.size, other.labels) == (model.head, model.input, model.size, model.labels)
    assert other.facts.run_key is None


def test_the_linear_layers_weights_are_the_permuted_ones(tmp_path: Path) -> None:
    model = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")
    other = randomised(model, model.layer(), SEED)
    found = other.linear_head(model.layer())
    assert found is not None
    np.testing.assert_array_equal(np.sort(found.ravel()), np.sort(tiny.weights()["w3"].ravel()))
    assert (found != tiny.weights()["w3"]).any()
    cam = onnx_cam.explain(other, tiny.image(2), method="cam", target=1, preprocess="none")
    gradcam = onnx_cam.explain(other, tiny.image(2), method="gradcam", target=1, preprocess="none")
    np.testing.assert_allclose(gradcam.cam * 25, cam.cam, rtol=1e-4, atol=1e-4)  # the mean over 5×5 cells


def test_a_model_in_memory_and_one_of_a_fixed_batch(tmp_path: Path) -> None:
    check(onnx_cam.load(tiny.model().SerializeToString(), preprocess="none"))
    assert check(onnx_cam.load(tiny.save(tiny.model(batch=1), tmp_path), preprocess="none")).fixed_batch is None
    one = tiny.one_at_a_time()
    fixed = onnx_cam.load(tiny.save(one, tmp_path, "one.onnx"), preprocess="none")
    assert check(fixed).fixed_batch == 1


def test_weights_in_files_and_weights_beside_the_protobuf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "external.onnx"
    onnx.save(tiny.model(), path, save_as_external_data=True, location="weights", size_threshold=0)
    check(onnx_cam.load(path, preprocess="none"))
    monkeypatch.setattr(read_detached, "LARGE_TENSOR_BYTES", 16)
    monkeypatch.setattr(read, "is_large", lambda size: True)
    model = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")
    assert model.file.detached is not None
    check(model)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    """The linear layer is a function's: its weight is what the call hands over."""
    proto = tiny.model(opset=13)
    gemm = proto.graph.node.pop()
    proto.graph.node.append(onnx.helper.make_node("Last", list(gemm.input), ["logits"], domain="own"))
    body = [onnx.helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    opset = [onnx.helper.make_opsetid("", 13)]
    proto.functions.append(onnx.helper.make_function("own", "Last", ["x", "w", "b"], ["y"], body, opset))
    proto.opset_import.append(onnx.helper.make_opsetid("own", 1))
    check(onnx_cam.load(tiny.save(proto, tmp_path), preprocess="none"))


def test_it_is_pickled_as_the_model_that_it_was_made_from(tmp_path: Path) -> None:
    model = onnx_cam.load(tiny.save(tiny.model(), tmp_path), preprocess="none")
    other = pickle.loads(pickle.dumps(randomised(model, model.layer(), SEED)))
    np.testing.assert_allclose(other.sessions.scores(tiny.image(2)[None], "logit")[0], expected_logits(tiny.image(2)))


def test_without_weights_behind_the_layer_there_is_none(tmp_path: Path) -> None:
    nodes = tiny.body()[:-1]
    nodes[-1].output[0] = "logits"
    proto = tiny.build(
        nodes,
        {name: value for name, value in tiny.weights().items() if name not in ("w3", "b3")},
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CHANNELS])],
    )
    model = onnx_cam.load(tiny.save(proto, tmp_path), preprocess="none")
    with pytest.raises(LayerError, match=r"no weights lie behind layer 'relu2' of tiny\.onnx that could be permuted"):
        randomised(model, model.layer(), SEED)
    assert randomised(model, model.layer("relu1"), SEED)
