"""Permute the weights behind a layer: the network forgets what it learned there, and stays as it is up to the layer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from onnx_cam.graph.detached import DetachedWeights, is_detached
from onnx_cam.graph.external_data import WeightSource, stored_array
from onnx_cam.graph.new_nodes import replace_nodes, unused_name
from onnx_cam.graph.walk_protobuf import all_graphs, all_names, find_attribute, tensors_read

__all__ = ["PermutedModel", "permute_weights"]

_LAYERS: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "FusedConv"), (1, 2)),
    **dict.fromkeys(("Gemm", "FusedGemm"), (0, 1, 2)),
    **dict.fromkeys(("MatMul", "FusedMatMul", "ConvInteger", "MatMulInteger"), (0, 1)),
    "MatMulIntegerToFloat": (0, 1, 6),
    "DynamicQuantizeMatMul": (1, 4),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3, 6),
    "BatchNormalization": (1, 2, 3, 4),
    **dict.fromkeys(("InstanceNormalization", "LayerNormalization", "GroupNormalization"), (1, 2)),
    **dict.fromkeys(("SimplifiedLayerNormalization", "RMSNormalization"), (1,)),
    "SkipLayerNormalization": (2, 3, 4),
    "SkipSimplifiedLayerNormalization": (2, 3),
}
"""Where operators read their weights: as initializers, or as Constants. Scales and zero points are elsewhere."""

_ARITHMETIC: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "PRelu"), (0, 1)),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), (0, 3)),
}
"""Operators that biases and normalisations are written with: an initializer is a weight there, a Constant is not."""

_FROM_INTEGERS = ("DequantizeLinear",)
_HANDING_ON = ("Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Cast", "QuantizeLinear")
"""Operators that may lie between a stored weight and the operator that reads it; their first input is the weight."""

_FLOATS = ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16")
_INTEGERS = ("INT8", "UINT8", "INT16", "UINT16", "INT32", "INT4", "UINT4")


@dataclass(frozen=True)
class PermutedModel:
    """A model with the weights behind a layer permuted.

    Attributes
    ----------
    proto : onnx.ModelProto
    weights : Path, DetachedWeights or None
        Where the weights are that it does not store itself.
    tensors : tuple of str
        The weights that were permuted, by their names in the original.
    """

    proto: onnx.ModelProto
    weights: WeightSource
    tensors: tuple[str, ...]


def permute_weights(proto: onnx.ModelProto, layer: str, seed: int, weights: WeightSource = None) -> PermutedModel:
    """Return a model in which each weight behind a layer is permuted; nothing before the layer changes.

    Weights are initializers and Constants that a convolution, matrix product or normalisation reads, float or
    quantized, and initializers that are added or multiplied. Scales, zero points and shapes stay. A weight that is also
    read before the layer stays as it is there. Branches and bodies of control flow are left alone.

    Parameters
    ----------
    proto : onnx.ModelProto
        Without local functions; it is not changed.
    layer : str
        A tensor of the main graph.
    seed : int
        Each tensor has a permutation of its own, by the seed and its name.
    weights : Path, DetachedWeights or None
        Where the weights are that `proto` does not store itself.

    Raises
    ------
    ModelError
        A weight cannot be read.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section 3: parameter randomisation.

    Examples
    --------
    >>> permute_weights(onnx.load("model.onnx"), "relu1", seed=0).tensors
    ('w2', 'b2', 'w3', 'b3')
    >>> permute_weights(onnx.load("model.onnx"), "logits", seed=0).tensors
    ()
    """
    permuted = onnx.ModelProto()
    permuted.CopyFrom(proto)
    rewriting = _Rewriting(permuted, layer, seed, weights)
    rewriting.run()
    return PermutedModel(permuted, rewriting.weights, tuple(rewriting.copies))


class _Rewriting:
    """Permuted copies of the weights, and the nodes behind the layer that read them in place of the originals.

    Attributes
    ----------
    weights : Path, DetachedWeights or None
        Where the weights are that the model does not store itself, the permuted ones included.
    copies : dict of str to str
        The name of each permuted copy, by the original's.
    """

    def __init__(self, model: onnx.ModelProto, layer: str, seed: int, weights: WeightSource) -> None:
        self.weights = weights
        self.copies: dict[str, str] = {}
        self._graph = model.graph
        self._layer = layer
        self._seed = seed
        self._names = all_names(model.graph)
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        self._new_nodes: list[onnx.NodeProto] = []
        self._handed_on: dict[str, str] = {}  # tensors between a weight and its reader, and those of the copy

    def run(self) -> None:
        for node in self._nodes_behind():
            for position in self._weight_positions(node):
                replacement = self._permuted(node.input[position], _is_quantized(node), node.op_type in _ARITHMETIC)
                if replacement is not None:
                    node.input[position] = replacement
        replace_nodes(self._graph, [*self._new_nodes, *self._graph.node])
        self._drop_unread()

    def _nodes_behind(self) -> Iterator[onnx.NodeProto]:
        """Yield the nodes that are computed from the layer."""
        behind = {self._layer}
        for node in self._graph.node:  # they are sorted
            if not behind.isdisjoint(tensors_read(node)):
                behind.update(filter(None, node.output))
                yield node

    def _weight_positions(self, node: onnx.NodeProto) -> list[int]:
        positions = _LAYERS.get(node.op_type) or _ARITHMETIC.get(node.op_type, ())
        return [position for position in positions if position < len(node.input) and node.input[position]]

    def _permuted(self, name: str, integers: bool, only_initializers: bool) -> str | None:
        """Return the tensor that takes the place of a weight; None for what is no weight.

        Parameters
        ----------
        name : str
            A tensor that a node behind the layer reads.
        integers : bool
            Whether integers are weights there.
        only_initializers : bool
            Whether a Constant is no weight there.
        """
        if name in self._handed_on:
            return self._handed_on[name]
        if name in self._initializers:
            return self._copy(name, self._initializers[name], integers)
        maker = self._makers.get(name)
        if maker is None:
            return None
        if maker.op_type == "Constant":
            value = find_attribute(maker, "value")
            return None if value is None or only_initializers else self._copy(name, value.t, integers)
        if maker.op_type not in (*_HANDING_ON, *_FROM_INTEGERS):
            return None
        source = self._permuted(maker.input[0], integers or maker.op_type in _FROM_INTEGERS, only_initializers)
        return None if source is None else self._hand_on(maker, source)

    def _hand_on(self, maker: onnx.NodeProto, source: str) -> str:
        """Return what a node makes of a permuted weight, by a copy of the node."""
        copy = onnx.NodeProto.FromString(maker.SerializeToString())
        copy.input[0] = source
        name = unused_name(f"{maker.output[0]}_permuted", self._names)
        copy.output[0] = copy.name = name
        self._new_nodes.append(copy)
        self._handed_on[maker.output[0]] = name
        return name

    def _copy(self, name: str, tensor: onnx.TensorProto, integers: bool) -> str | None:
        """Return a permuted copy of a stored tensor; None for one that is no weight, or a single number."""
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind not in (_INTEGERS if integers else _FLOATS) and kind not in _FLOATS:
            return None
        if int(np.prod(tensor.dims, dtype=np.int64)) < 2:
            return None
        if name not in self.copies:
            array = stored_array(tensor, self.weights)
            self.copies[name] = unused_name(f"{name}_permuted", self._names)
            self._store(self.copies[name], self._shuffled(name, array), tensor)
        return self.copies[name]

    def _shuffled(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        key = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        generator = np.random.Generator(np.random.Philox(key=np.array([self._seed, key], np.uint64)))
        return np.asarray(array.reshape(-1)[generator.permutation(array.size)].reshape(array.shape))

    def _store(self, name: str, array: NDArray[Any], original: onnx.TensorProto) -> None:
        """Add an initializer; one in place of a weight that is kept beside the protobuf is kept there, too."""
        if not isinstance(self.weights, DetachedWeights) or not is_detached(original):
            tensor = numpy_helper.from_array(array, name)
        else:
            location = f"permuted/{name}"
            arrays = {**self.weights.arrays, location: np.ascontiguousarray(array).reshape(-1).view(np.uint8)}
            self.weights = replace(self.weights, arrays=arrays)
            tensor = onnx.TensorProto(name=name, dims=original.dims, data_type=original.data_type)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location)
        self._graph.initializer.append(tensor)

    def _drop_unread(self) -> None:
        """Remove the originals that nothing reads any more, and their places among the inputs of an old file."""
        read = {name for graph in all_graphs(self._graph) for node in graph.node for name in node.input}
        read.update(output.name for graph in all_graphs(self._graph) for output in graph.output)
        unread = {name for name in self.copies if name not in read}
        for stored in (self._graph.initializer, self._graph.input):
            kept = [one for one in stored if one.name not in unread]
            if len(kept) < len(stored):
                del stored[:]
                stored.extend(kept)


def _is_quantized(node: onnx.NodeProto) -> bool:
    """Whether an operator's weights are integers."""
    return "Integer" in node.op_type or "Quantize" in node.op_type or node.op_type.startswith("Q")
