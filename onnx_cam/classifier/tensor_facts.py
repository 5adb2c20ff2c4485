"""What a run tells of the tensors between a layer and the logits: shapes, types, and the values of parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.graph.backward import TensorFacts
from onnx_cam.graph.backward.path import Path
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.external_data import WeightSource, stored_array
from onnx_cam.graph.tap import tap
from onnx_cam.runtime.session import Session

__all__ = ["find_tensor_facts"]

Floats = NDArray[np.float32]

_MOST_ELEMENTS = 4096  # of a stored tensor whose value is kept
_TYPES = {"float": "float32", "double": "float64"}


def find_tensor_facts(
    proto: onnx.ModelProto,
    path: Path,
    *,
    images: Floats,
    fixed_batch: int | None,
    weights: WeightSource,
    open_session: Callable[[onnx.ModelProto], Session],
) -> dict[str, TensorFacts]:
    """Return the facts of each tensor that a path touches, by running the model on one image and on two.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model that is run.
    path : Path
        The part of its graph between the layer and the logits.
    images : ndarray of shape (2, C, H, W), float32
        Trial images.
    fixed_batch : int, optional
        The only batch size that the model runs at: then no size depends on the batch.
    weights : Path, DetachedWeights or None
        Where the weights are that the model does not store itself.
    open_session : callable
        Loads a rewritten model.
    """
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    facts = {name: _stored_facts(stored[name], weights) for name in path.touched if name in stored}
    computed = [name for name in path.touched if name not in stored]

    # The runtime tells the types; Shape nodes the shapes, so that no activation has to be kept.
    shapes = {name: f"{PREFIX}shape/{place}" for place, name in enumerate(computed)}
    measured = tap(proto, computed)
    for name, output in shapes.items():
        measured.graph.node.append(onnx.helper.make_node("Shape", [name], [output], name=output))
        measured.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.INT64, None))
    session = open_session(measured)
    parameters = [name for name in computed if name in path.parameters]
    outputs = [*shapes.values(), *parameters]
    first = session.run_once(images[:1], outputs)
    second = first if fixed_batch else session.run_once(images, outputs)

    count = len(computed)
    values = dict(zip(parameters, zip(first[count:], second[count:], strict=True), strict=True))
    for name, one, two in zip(computed, first[:count], second[:count], strict=True):
        shape = tuple(int(n) if n == m else None for n, m in zip(one, two, strict=True))
        facts[name] = TensorFacts(shape, _dtype(session.outputs[name][1]), _common(values.get(name)))
    return facts


def _stored_facts(tensor: onnx.TensorProto, weights: WeightSource) -> TensorFacts:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
    size = int(np.prod(tensor.dims, dtype=np.int64))
    value = stored_array(tensor, weights) if size <= _MOST_ELEMENTS else None
    return TensorFacts(tuple(tensor.dims), dtype, value)


def _dtype(onnx_type: str) -> str:
    inner = onnx_type.removeprefix("tensor(").removesuffix(")")
    return _TYPES.get(inner, inner)


def _common(values: tuple[NDArray[Any], NDArray[Any]] | None) -> NDArray[Any] | None:
    """Return a value that is the same for one image and for two."""
    return values[0] if values is not None and np.array_equal(values[0], values[1]) else None
