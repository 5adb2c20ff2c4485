"""Large weights beside the protobuf: what was read is what is used, and files of other forms are left to others."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnx_cam.graph import read_detached
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.read import ModelSource, read_model
from onnx_cam.graph.read_detached import DetachedModel, detach_weights
from tests import tiny


def detach(content: bytes, tensor_bytes: int = 1) -> DetachedModel | None:
    return detach_weights(io.BytesIO(content), len(content), tensor_bytes=tensor_bytes)


def detached_model(model: onnx.ModelProto) -> DetachedModel:
    large = detach(model.SerializeToString())
    assert large is not None
    return large


@pytest.fixture
def all_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every model count as large."""
    monkeypatch.setattr(read_detached, "LARGE_MODEL_BYTES", 0)
    monkeypatch.setattr(read_detached, "LARGE_TENSOR_BYTES", 1)


def test_the_protobuf_holds_no_weights_and_the_arrays_hold_all() -> None:
    model = tiny.model(metadata={"a": "b"})
    large = detached_model(model)
    assert not any(tensor.raw_data for tensor in large.proto.graph.initializer)
    arrays = large.weights.initializers(large.proto)
    for name, values in tiny.weights().items():
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].flags.aligned
    assert [node.output for node in large.proto.graph.node] == [node.output for node in model.graph.node]
    assert large.proto.metadata_props == model.metadata_props


def test_the_whole_model_comes_back_byte_for_byte_and_the_hash_is_that_of_the_file() -> None:
    content = tiny.model(metadata={"a": "b"}).SerializeToString()
    large = detach(content)
    assert large is not None
    assert large.weights.attached(large.proto).SerializeToString() == content
    assert large.sha256 == hashlib.sha256(content).hexdigest()


def test_weights_below_the_limit_stay() -> None:
    large = detach(tiny.model().SerializeToString(), tensor_bytes=4 * 6 * 3 * 3 * 3)
    assert large is not None
    assert set(large.weights.initializers(large.proto)) == {"w1", "w2"}
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in large.proto.graph.initializer if tensor.raw_data}
    np.testing.assert_array_equal(stored["w3"], tiny.weights()["w3"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.uint16])
def test_every_type_of_weights_is_kept(dtype: type[np.generic]) -> None:
    values = (np.arange(24).reshape(2, 3, 4) % 7).astype(dtype)
    model = tiny.model()
    model.graph.initializer.append(numpy_helper.from_array(values, "extra"))
    large = detached_model(model)
    array = large.weights.initializers(large.proto)["extra"]
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values)


def test_shapes_and_types_that_numpy_lacks_stay_in_the_protobuf() -> None:
    model = tiny.model()
    short = helper.make_tensor("short", TensorProto.BFLOAT16, [3], np.array([1, 2, 3], np.uint16).tobytes(), raw=True)
    shape = numpy_helper.from_array(np.array([1, 6]), "shape")
    model.graph.initializer.extend([short, shape])
    large = detached_model(model)
    assert list(large.proto.graph.initializer)[-2:] == [short, shape]
    assert len(large.weights.arrays) == len(tiny.weights())


def with_a_second_graph(content: bytes) -> bytes:
    """Append a graph, which protobuf merges with the first."""
    return content + onnx.ModelProto(graph=onnx.GraphProto(doc_string="more")).SerializeToString()  # type: ignore[no-any-return]


def with_a_shape_of_other_size(content: bytes) -> bytes:
    model = onnx.ModelProto.FromString(content)
    model.graph.initializer[0].dims[0] += 1
    return model.SerializeToString()  # type: ignore[no-any-return]


def with_weights_in_a_file(content: bytes) -> bytes:
    model = onnx.ModelProto.FromString(content)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="detached/0")
    return model.SerializeToString()  # type: ignore[no-any-return]


def with_a_constant_in_a_file(content: bytes) -> bytes:
    model = onnx.ModelProto.FromString(content)
    tensor = TensorProto(name="c", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="detached/0")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    return model.SerializeToString()  # type: ignore[no-any-return]


def with_a_repeated_name(content: bytes) -> bytes:
    model = onnx.ModelProto.FromString(content)
    model.graph.initializer.append(model.graph.initializer[0])
    return model.SerializeToString()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "change",
    [
        with_a_second_graph,
        with_a_shape_of_other_size,
        with_weights_in_a_file,
        with_a_constant_in_a_file,
        with_a_repeated_name,
        lambda content: content + b"\x0b",  # a group, which no exporter writes
        lambda content: content + b"\xff" * 11,  # a number without an end
        lambda content: b"",
        lambda content: b"GIF89a" + content,
    ],
)
def test_other_forms_are_left_to_the_ordinary_reader(change: Callable[[bytes], bytes]) -> None:
    assert detach(change(tiny.model().SerializeToString())) is None


def test_a_file_cut_off_anywhere_is_left_to_the_ordinary_reader() -> None:
    content = tiny.model().SerializeToString()
    for length in range(0, len(content), 7):
        large = detach(content[:length])
        # What is whole at the top level may still be parsed: then the ordinary reader parses it, too.
        assert large is None or large.weights.attached(large.proto) == onnx.ModelProto.FromString(content[:length])


def test_a_model_without_large_weights_is_left_to_the_ordinary_reader() -> None:
    content = tiny.model().SerializeToString()
    assert detach(content, tensor_bytes=len(content)) is None


@pytest.mark.usefixtures("all_large")
@pytest.mark.parametrize("as_source", [str, bytes, onnx.ModelProto])
def test_all_sources_give_the_same(as_source: type[str | bytes | onnx.ModelProto], tmp_path: Path) -> None:
    path = tiny.save(tiny.model(), tmp_path)
    sources: dict[type, ModelSource] = {str: str(path), bytes: path.read_bytes(), onnx.ModelProto: onnx.load(path)}
    file = read_model(sources[as_source])
    assert file.detached is not None
    assert file.folder is None
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(Constants(file).value("w3"), tiny.weights()["w3"])


def test_small_models_are_read_as_they_are(tiny_path: Path) -> None:
    file = read_model(tiny_path)
    assert file.detached is None
    assert file.proto == onnx.load(tiny_path)
