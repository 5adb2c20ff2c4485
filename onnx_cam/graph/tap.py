"""Make tensors of a graph extra outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import onnx

__all__ = ["Dequantized", "Tapped", "Unblocked", "tap"]


@dataclass(frozen=True)
class Dequantized:
    """A tensor of integers, tapped as the numbers that they stand for.

    Attributes
    ----------
    tensor : str
        The integers.
    scale, zero_point : str
        The tensors that hold their quantization; `zero_point` is empty where there is none.

    Examples
    --------
    >>> Dequantized("conv1", "conv1_scale", "conv1_zero_point").name
    'conv1_onnx_cam_dequantized'
    """

    tensor: str
    scale: str
    zero_point: str

    @property
    def name(self) -> str:
        """The output's name."""
        return f"{self.tensor}_onnx_cam_dequantized"


@dataclass(frozen=True)
class Unblocked:
    """A tensor in ONNX Runtime's blocks of channels, tapped with its channels in order.

    Attributes
    ----------
    tensor : str
        The blocked tensor, of an operator of the domain ``com.microsoft.nchwc``.
    channels : int
        How many channels it has.

    Examples
    --------
    >>> Unblocked("conv1", 64).name
    'conv1_onnx_cam_unblocked'
    """

    tensor: str
    channels: int

    @property
    def name(self) -> str:
        """The output's name."""
        return f"{self.tensor}_onnx_cam_unblocked"


Tapped: TypeAlias = "str | onnx.ValueInfoProto | Dequantized | Unblocked"


def tap(proto: onnx.ModelProto, tensors: Iterable[Tapped]) -> onnx.ModelProto:
    """Return the model with tensors as extra outputs, after its own.

    Nothing else changes: nodes, weights, IR version, opsets, functions and metadata stay the same, byte for byte.
    A tensor that is an output already is not added again.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    tensors : iterable of str, onnx.ValueInfoProto, Dequantized or Unblocked
        A bare name leaves type and shape to the runtime's inference, which ``onnx.checker`` does not accept. For
        integers a DequantizeLinear is appended, for blocks of channels ONNX Runtime's own ReorderOutput.

    Returns
    -------
    onnx.ModelProto
        A copy.

    Examples
    --------
    >>> model = onnx.load("model.onnx")
    >>> [output.name for output in tap(model, ["relu2"]).graph.output]
    ['logits', 'relu2']
    """
    tapped = onnx.ModelProto()
    tapped.CopyFrom(proto)
    output_names = {output.name for output in tapped.graph.output}
    for tensor in tensors:
        info = tensor if isinstance(tensor, onnx.ValueInfoProto) else onnx.ValueInfoProto(name=_name(tensor))
        if info.name in output_names:
            continue
        if isinstance(tensor, Dequantized):
            inputs = [tensor.tensor, tensor.scale, *filter(None, [tensor.zero_point])]
            tapped.graph.node.append(onnx.helper.make_node("DequantizeLinear", inputs, [tensor.name], name=tensor.name))
        if isinstance(tensor, Unblocked):
            tapped.graph.node.append(
                onnx.helper.make_node(
                    "ReorderOutput",
                    [tensor.tensor],
                    [tensor.name],
                    name=tensor.name,
                    domain="com.microsoft.nchwc",
                    channels=tensor.channels,
                )
            )
        tapped.graph.output.append(info)
        output_names.add(info.name)
    return tapped


def _name(tensor: str | Dequantized | Unblocked) -> str:
    return tensor if isinstance(tensor, str) else tensor.name
