"""A layer's tensor as activation maps, (N, K, P) or (N, P, K) as the tensor holds them, P = h·w."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.backward.facts import TensorFacts
from onnx_cam.graph.layer import Layer

__all__ = ["FlatLayer", "FlatMaps", "oriented"]


@dataclass(frozen=True)
class FlatMaps:
    """Maps whose positions lie along one axis.

    Attributes
    ----------
    tensor : str
        float32; (N, K, P), or (N, P, K) where the channels come last.
    channels : int
        K.
    channel_axis : int
        1 or 2.
    """

    tensor: str
    channels: int
    channel_axis: int

    @property
    def position_axis(self) -> int:
        """The axis of the positions."""
        return 3 - self.channel_axis


@dataclass(frozen=True)
class FlatLayer:
    """How a layer's tensor, or the gradient at it, becomes flat maps, without moving its numbers.

    Attributes
    ----------
    layer : Layer
    facts : TensorFacts
        Of the layer's tensor.
    """

    layer: Layer
    facts: TensorFacts

    @property
    def grid(self) -> tuple[int, int]:
        """The rows and columns of the tensor's own grid, which may run along the input's width and height."""
        _, height, width = self.layer.shape
        return (width, height) if self.layer.geometry.transposed else (height, width)

    def emit_maps(self, emitter: Emitter) -> FlatMaps:
        """Return A."""
        layer = self.layer
        if layer.quantization is not None:
            numbers = layer.quantization
            tensor = emitter.add("DequantizeLinear", numbers.tensor, numbers.scale, numbers.zero_point or None)
        else:
            tensor = layer.name if self.facts.dtype == "float32" else emitter.cast(layer.name)
        return self.flat(emitter, tensor)

    def flat(self, emitter: Emitter, tensor: str) -> FlatMaps:
        """Return a float32 tensor of the layer's shape as flat maps."""
        channels, positions = self.layer.shape[0], self.grid[0] * self.grid[1]
        if self.layer.layout == "NCHW":
            return FlatMaps(emitter.reshape(tensor, (None, channels, positions)), channels, 1)
        if self.layer.layout == "tokens" and self.facts.rank == 3:
            start, end = self.layer.prefix, self.layer.prefix + positions
            is_whole = (0, positions) == (start, self.facts.shape[1])
            return FlatMaps(tensor if is_whole else emitter.slice(tensor, [start], [end], [1]), channels, 2)
        return FlatMaps(emitter.reshape(tensor, (None, positions, channels)), channels, 2)


def oriented(emitter: Emitter, flat: str, layer: FlatLayer) -> str:
    """Return one map an image, P numbers each, turned the way the input is: (N, h, w)."""
    _, height, width = layer.layer.shape
    geometry = layer.layer.geometry
    maps = emitter.reshape(flat, (None, *layer.grid))
    if geometry.transposed:
        maps = emitter.transpose(maps, [0, 2, 1])
    flips = {1: height} if geometry.flipped_rows else {}
    return emitter.reversed(maps, flips | ({2: width} if geometry.flipped_columns else {}))
