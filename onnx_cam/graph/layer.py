"""A layer that can be explained: its tensor, how it holds its maps, and where its cells lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.layer_geometry import AS_IT_IS, LayerGeometry
from onnx_cam.graph.tap import Dequantized, Unblocked
from onnx_cam.graph.token_grid import TokenGrid, tokens_to_maps

__all__ = ["METADATA_KEY", "Candidate", "Layer", "Layout"]

METADATA_KEY = "onnx_cam.layer"
"""The metadata property that names the layer to explain where the user names none."""

Layout = Literal["NCHW", "NHWC", "tokens"]
Floats = NDArray[np.float32]


class _Tappable:
    """A tensor with a name, and how to tap it."""

    name: str
    quantization: Dequantized | None
    blocked: Unblocked | None

    @property
    def tapped(self) -> str | Dequantized | Unblocked:
        """What to tap: the tensor, the numbers that its integers stand for, or its channels in order."""
        return self.quantization or self.blocked or self.name

    @property
    def output(self) -> str:
        """The name of the tapped output."""
        return self.tapped if isinstance(self.tapped, str) else self.tapped.name


@dataclass(frozen=True)
class Layer(_Tappable):
    """A layer that can be explained.

    Attributes
    ----------
    name : str
        The layer's output tensor, which is unique in the graph.
    op_type : str
        The operator that computes it.
    shape : tuple of int
        ``(K, h, w)``: channels, height, width.
    is_default : bool
        Whether this layer is explained when none is named.
    node : str
        The operator's own name; empty where the file gives it none.
    layout : {"NCHW", "NHWC", "tokens"}
        How the tensor holds its maps.
    prefix : int
        How many tokens come before those of the grid: class token, registers.
    quantization : Dequantized or None
        What the integers of a quantized tensor stand for.
    blocked : Unblocked or None
        How a tensor that ONNX Runtime saved in blocks of channels is brought back into order.
    geometry : LayerGeometry
        Where the layer's cells lie in the network's input.
    passed_over : Layer or None
        The layer nearer to the scores that would be the default if it were known where its cells lie.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx").layers()[0]
    Layer(name='relu2', op_type='Relu', shape=(6, 5, 5), is_default=True, node='Relu_2', layout='NCHW', prefix=0)
    """

    name: str
    op_type: str
    shape: tuple[int, int, int]
    is_default: bool
    node: str = ""
    layout: Layout = "NCHW"
    prefix: int = 0
    quantization: Dequantized | None = field(default=None, repr=False)
    blocked: Unblocked | None = field(default=None, repr=False)
    geometry: LayerGeometry = field(default=AS_IT_IS, repr=False)
    passed_over: Layer | None = field(default=None, repr=False)

    def describe(self) -> dict[str, Any]:
        """Return the fields that a user needs to choose a layer, as plain JSON values.

        Examples
        --------
        >>> Layer("relu2", "Relu", (6, 5, 5), True).describe()["shape"]
        [6, 5, 5]
        """
        return {
            "name": self.name,
            "op_type": self.op_type,
            "shape": list(self.shape),
            "is_default": self.is_default,
            "node": self.node,
            "layout": self.layout,
        }

    def maps(self, tensor: NDArray[Any]) -> Floats:
        """Return the tapped tensor as activation maps.

        Parameters
        ----------
        tensor : ndarray of shape (N, K, h, w), (N, h, w, K) or (N, T, K)
            As `layout` says.

        Returns
        -------
        ndarray of shape (N, K, h, w), float32

        Examples
        --------
        >>> layer = Layer("relu", "Relu", (6, 5, 4), False, layout="NHWC")
        >>> layer.maps(np.zeros((1, 5, 4, 6))).shape
        (1, 6, 5, 4)
        """
        if self.layout == "tokens":
            height, width = self.shape[:0:-1] if self.geometry.transposed else self.shape[1:]
            tensor = tokens_to_maps(tensor, TokenGrid(height, width, self.prefix))
        elif self.layout == "NHWC":
            tensor = np.moveaxis(tensor, -1, 1)
        return np.ascontiguousarray(self.geometry.oriented(tensor), np.float32)


@dataclass(frozen=True)
class Candidate(_Tappable):
    """A tensor that is a layer if its shape turns out to be spatial.

    Attributes
    ----------
    name, op_type, node, layout, quantization, blocked
        As those of :class:`Layer`.

    Examples
    --------
    >>> Candidate("conv1", "Conv", "", "NCHW").output
    'conv1'
    >>> Candidate("conv1", "QLinearConv", "", "NCHW", Dequantized("conv1", "scale", "zero_point")).output
    'conv1_onnx_cam_dequantized'
    """

    name: str
    op_type: str
    node: str
    layout: Layout
    quantization: Dequantized | None = None
    blocked: Unblocked | None = None
