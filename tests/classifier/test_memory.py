"""Models in memory, and classifiers that are pickled or copied."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_cam
from onnx_cam.errors import ModelError
from tests import tiny


def explain(model: onnx_cam.Classifier) -> np.ndarray:
    return onnx_cam.explain(model, tiny.image(), method="sscam2", samples=2).map


def load(source: onnx_cam.classifier.loading.ModelSource, **settings: object) -> onnx_cam.Classifier:
    return onnx_cam.load(source, device="cpu", preprocess="none", **settings)  # type: ignore[arg-type]


def test_a_model_in_memory_gives_the_map_of_its_file(tmp_path: Path) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    from_file = load(path)
    content = path.read_bytes()
    for source in (content, bytearray(content), memoryview(content), onnx.load(path)):
        model = load(source)
        assert model.file.sha256 == from_file.file.sha256
        assert model.file.path is None
        np.testing.assert_array_equal(explain(model), explain(from_file))
    record = onnx_cam.explain(load(content), tiny.image()).record()
    assert record["model"] is None
    assert record["model_sha256"] == from_file.file.sha256
    assert onnx_cam.explain(content, tiny.image(), preprocess="none").map.shape == (20, 20)


def test_a_protobuf_is_copied() -> None:
    proto = tiny.model()
    before = proto.SerializeToString()
    model = load(proto)
    explain(model)
    assert proto.SerializeToString() == before
    proto.graph.node[1].op_type = "Sigmoid"
    np.testing.assert_array_equal(explain(model), explain(load(before)))


def test_nothing_is_looked_for_beside_a_model_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    monkeypatch.chdir(tmp_path)
    assert onnx_cam.load(tiny.save(tiny.model(), tmp_path), device="cpu").notes
    model = onnx_cam.load(tiny.model(), device="cpu")
    assert model.labels.names is None
    assert not any("labels.txt" in note for note in model.notes)
    assert {one.what: one.value for one in onnx_cam.inspect(model)}["model"] == "in memory"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"", "the model is empty"),
        (b"PK\x03\x04" + bytes(100), "the model is "),
        (bytes(range(128, 256)), "the model is not an ONNX model, or damaged"),
        (5, "got int as a model; expected a path, the bytes of an .onnx file, or an onnx.ModelProto"),
        (None, "got NoneType as a model"),
        (onnx.ModelProto(), "the model is "),
        (onnx.GraphProto(), "got GraphProto as a model"),
    ],
)
def test_what_is_no_model_in_memory_is_refused(source: object, message: str) -> None:
    with pytest.raises(ModelError, match=message) as raised:
        onnx_cam.load(source)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_bytes_with_weights_in_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(tiny.model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(ModelError, match=r"keeps weights in 'weights\.bin'.*give its path"):
        onnx_cam.load(path.read_bytes())
    with pytest.raises(ModelError, match=r"keeps weights in 'weights\.bin'.*onnx\.load"):
        onnx_cam.load(onnx.load(path, load_external_data=False))
    np.testing.assert_array_equal(explain(load(onnx.load(path))), explain(load(path)))


def test_a_pickled_classifier_loads_itself_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.save(tiny.model(size="side"), tmp_path)
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    model = load("tiny.onnx", size=(20, 20), labels="names.txt")
    dumped = pickle.dumps(model)
    monkeypatch.chdir("/")
    again = pickle.loads(dumped)
    assert (again.size, again.labels.names, again.provider) == ((20, 20), ("a", "b", "c", "d"), model.provider)
    np.testing.assert_array_equal(explain(again), explain(model))
    assert again.file.sha256 == model.file.sha256


def test_a_pickle_goes_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(load(tiny.model())))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb')).classes)"
    words = [sys.executable, "-c", code, str(tmp_path / "model.pickle")]
    assert subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ).stdout.split() == ["4"]


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_copy_is_a_classifier_of_its_own(in_memory: bool, tmp_path: Path) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    model = load(path.read_bytes() if in_memory else path, constants={})
    named = model.with_labels(replace(model.labels, names=("a", "b", "c", "d")))
    for again in (copy.deepcopy(named), copy.copy(named), pickle.loads(pickle.dumps(named))):
        assert again.sessions is not model.sessions
        assert again.labels == named.labels
        assert again.file.sha256 == model.file.sha256
        np.testing.assert_array_equal(explain(again), explain(model))


def test_a_pickle_of_another_version_or_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    dumped = pickle.dumps(load(path))
    tiny.save(tiny.model(seed=1), tmp_path)
    with pytest.raises(ModelError, match="has changed since the classifier was pickled"):
        pickle.loads(dumped)
    path.unlink()
    with pytest.raises(ModelError, match="no model file"):
        pickle.loads(dumped)
    monkeypatch.setattr("onnx_cam.classifier.reloading.__version__", "99.0")
    with pytest.raises(ModelError, match=r"pickled by onnx-cam .*, and this is 99\.0; load the model with"):
        pickle.loads(dumped)


def test_an_explanation_can_be_pickled() -> None:
    result = onnx_cam.explain(load(tiny.model()), tiny.image(), method="cam")
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.map, result.map)
    assert again.record() == result.record()


def test_a_target_of_bytes_is_refused() -> None:
    with pytest.raises(onnx_cam.OnnxCamError, match=r"invalid target b'1': expected an index, a name"):
        onnx_cam.explain(load(tiny.model()), tiny.image(), target=b"1")
