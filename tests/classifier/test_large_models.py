"""A large model gives the same maps as one that keeps its weights in its protobuf, and holds fewer copies of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.graph import read_detached
from tests import tiny
from tests.classifier.test_deployed import channels_last, half, reshaped_to_a_fixed_batch

METHODS: dict[str, dict[str, Any]] = {
    "scorecam": {},
    "part of the passes": {"budget": 3},
    "sscam2": {"method": "sscam2", "samples": 2},
    "iscam": {"method": "iscam", "samples": 2},
    "gradcam": {"method": "gradcam"},
    "grad++scorecam": {"method": "grad++scorecam"},
    "cam": {"method": "cam"},
}


def listed_weights() -> onnx.ModelProto:
    """Return a model of IR 3, which lists its weights among the inputs."""
    model = tiny.model()
    model.ir_version = 3
    for tensor in model.graph.initializer:
        model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return model


def with_weights_that_nothing_reads() -> onnx.ModelProto:
    model = tiny.model()
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(9, np.float32), "unread"))
    return model


def with_a_weight_as_an_output() -> onnx.ModelProto:
    model = tiny.model()
    model.graph.output.append(tiny.value_info("b3", [tiny.CLASSES]))
    return model


def with_the_scales_of_a_resize() -> onnx.ModelProto:
    """Return a model whose shapes ONNX Runtime can only infer from a weight's values."""
    body = tiny.body()
    resize = onnx.helper.make_node("Resize", ["relu1", "", "scales"], ["resized"], name="Resize", mode="nearest")
    body[2].input[0] = "resized"
    return tiny.build(
        [*body[:2], resize, *body[2:]],
        {**tiny.weights(), "scales": np.array([1, 1, 2, 2], np.float32)},
        image=["N", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["N", tiny.CLASSES])],
    )


FORMS: dict[str, Callable[[], onnx.ModelProto]] = {
    "plain": tiny.model,
    "softmax": tiny.softmax_model,
    "fixed batch": lambda: tiny.model(batch=1),
    "fixed batch, reshaped": reshaped_to_a_fixed_batch,
    "NHWC": channels_last,
    "float16": half,
    "IR 3": listed_weights,
    "unread weights": with_weights_that_nothing_reads,
    "a weight as an output": with_a_weight_as_an_output,
    "scales of a Resize": with_the_scales_of_a_resize,
}


def load(source: Any, monkeypatch: pytest.MonkeyPatch, *, large: bool = True) -> onnx_cam.Classifier:
    """Load a model; as a large one, every weight is detached."""
    with monkeypatch.context() as patch:
        if large:
            patch.setattr(read_detached, "LARGE_MODEL_BYTES", 0)
            patch.setattr(read_detached, "LARGE_TENSOR_BYTES", 1)
        model = onnx_cam.load(source, device="cpu", preprocess="none")
    assert (model.file.detached is not None) == large
    return model


def arrays(model: onnx_cam.Classifier, **settings: Any) -> list[NDArray[np.float32]]:
    result = onnx_cam.explain(model, tiny.image(), **settings)
    return [result.map, result.cam, result.weights]


def assert_same(new: onnx_cam.Classifier, old: onnx_cam.Classifier, **settings: Any) -> None:
    for one, other in zip(arrays(new, **settings), arrays(old, **settings), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("form", FORMS)
def test_maps_of_every_form_are_the_same_bits(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.save(FORMS[form](), tmp_path)
    large, small = (load(path, monkeypatch, large=large) for large in (True, False))
    assert large.layers() == small.layers()
    assert large.notes == small.notes
    for method in ("scorecam", "gradcam"):
        assert_same(large, small, method=method)


@pytest.mark.parametrize("method", METHODS)
def test_maps_of_every_kind_of_method_are_the_same_bits(
    method: str, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, small = (load(tiny_path, monkeypatch, large=large) for large in (True, False))
    for _ in range(2):  # the second time, sessions that were closed are opened again
        assert_same(large, small, batch_size=4, **METHODS[method])


def test_what_was_loaded_stays_when_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    large, small = (load(path, monkeypatch, large=large) for large in (True, False))
    tiny.save(tiny.model(seed=9), tmp_path)
    assert_same(large, small)
    path.unlink()
    assert_same(large, small, method="gradcam", target=1)


@pytest.mark.parametrize("as_source", [str, bytes, onnx.ModelProto])
def test_copies_and_pickles_are_loaded_with_their_weights(
    as_source: type, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = {str: str(tiny_path), bytes: tiny_path.read_bytes(), onnx.ModelProto: onnx.load(tiny_path)}[as_source]
    large = load(source, monkeypatch)
    for again in (pickle.loads(pickle.dumps(large)), copy.deepcopy(large)):
        assert again.file.sha256 == large.file.sha256
        assert_same(again, large)


def test_the_exported_model_is_the_same_file(tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, large in (("large.onnx", True), ("small.onnx", False)):
        onnx_cam.export(load(tiny_path, monkeypatch, large=large), tmp_path / name, layer="relu1")
    assert (tmp_path / "large.onnx").read_bytes() == (tmp_path / "small.onnx").read_bytes()


def test_only_one_session_is_open_beside_the_score_graph(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each session holds the weights once more; one that is closed is opened again when it is needed."""
    model = load(tiny_path, monkeypatch)
    sessions = model.sessions
    assert sessions._session.is_open
    onnx_cam.explain(model, tiny.image(), layer="relu1")
    onnx_cam.explain(model, tiny.image(1), layer="relu2", baseline="blur")
    assert len(sessions._score_sessions) == 1
    assert sessions._session.is_open + len(sessions._tapped_sessions) == 1
    before = sessions.scores(tiny.image()[None])
    assert sessions._session.is_open
    assert not sessions._tapped_sessions
    sessions._session.release()
    np.testing.assert_array_equal(sessions.scores(tiny.image()[None]), before)


def test_the_session_of_the_trial_runs_is_closed_when_another_opens(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(tiny_path, monkeypatch)
    session = model.sessions._late_session
    assert session.is_open
    onnx_cam.explain(model, tiny.image(), layer="relu1")
    assert not session.is_open


def test_a_small_model_keeps_its_sessions(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny_path, monkeypatch, large=False)
    onnx_cam.explain(model, tiny.image(), layer="relu1")
    onnx_cam.explain(model, tiny.image(), layer="relu2")
    model.sessions._session.release()
    assert model.sessions._session.is_open
    assert len(model.sessions._tapped_sessions) == 2


def test_the_torch_module_shares_the_weights(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny_path, monkeypatch)
    onnx_cam.explain(model, tiny.image(), method="gradcam", gradients="torch")
    assert model.gradients._last_module is not None
    assert model.file.detached is not None
    buffers = {buffer.data_ptr() for buffer in model.gradients._last_module[1].buffers()}
    assert {array.ctypes.data for array in model.file.detached.arrays.values()} <= buffers
