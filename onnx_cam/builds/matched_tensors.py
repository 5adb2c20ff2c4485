"""Which tensors of two builds hold the same activations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set

from onnx_cam.builds.matching import plain_name
from onnx_cam.graph.layer import Layer

__all__ = ["match_tensors"]


def match_tensors(old: Sequence[Layer], new: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """Return pairs of layers of two builds that hold the same activations, from the input to the scores.

    Layers match by name and shape, where a name counts without what a quantizer appends to it: a quantized build's
    layer is then the one behind its DequantizeLinear. The others match by their shape and its rank from the scores, and
    only where both builds have as many of that shape: a layer that one of them lacks would shift the ranks.

    Parameters
    ----------
    old, new : sequence of Layer
        From the input to the scores.

    Examples
    --------
    >>> before = [Layer("relu1", "Relu", (6, 10, 10), False), Layer("relu2", "Relu", (6, 5, 5), True)]
    >>> after = [before[0], Layer("relu2_DequantizeLinear_Output", "DequantizeLinear", (6, 5, 5), True)]
    >>> [(one.name, other.name) for one, other in match_tensors(before, after)]
    [('relu1', 'relu1'), ('relu2', 'relu2_DequantizeLinear_Output')]
    """
    old_named, new_named = _by_name(old), _by_name(new)
    common = old_named.keys() & new_named.keys()
    matches = {old_named[key].name: new_named[key] for key in common}
    old_shapes, new_shapes = _by_shape(old, common), _by_shape(new, common)
    for shape, layers in old_shapes.items():
        others = new_shapes[shape]
        if len(layers) == len(others):
            matches |= {layer.name: other for layer, other in zip(layers, others, strict=True)}
    return [(layer, matches[layer.name]) for layer in old if layer.name in matches]


_Key = tuple[str, tuple[int, int, int]]


def _key(layer: Layer) -> _Key:
    """Return a layer's name, without what a quantizer appends, and its shape."""
    return plain_name(layer.name), layer.shape


def _by_name(layers: Sequence[Layer]) -> dict[_Key, Layer]:
    """Return the layer of each name and shape; of several, the one nearest to the scores."""
    return {_key(layer): layer for layer in layers}


def _by_shape(layers: Sequence[Layer], without: Set[_Key]) -> defaultdict[tuple[int, int, int], list[Layer]]:
    groups: defaultdict[tuple[int, int, int], list[Layer]] = defaultdict(list)
    for layer in layers:
        if _key(layer) not in without:
            groups[layer.shape].append(layer)
    return groups
