"""Make tensors of a graph extra outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

__all__ = ["Dequantized", "tap"]


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


def tap(proto: onnx.ModelProto, tensors: Iterable[str | onnx.ValueInfoProto | Dequantized]) -> onnx.ModelProto:
    """Return the model with tensors as extra outputs, after its own.

    Nothing else changes: nodes, weights, IR version, opsets, functions and metadata stay the same, byte for byte.
    A tensor that is an output already is not added again.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    tensors : iterable of str, onnx.ValueInfoProto or Dequantized
        A bare name leaves type and shape to the runtime's inference, which ``onnx.checker`` does not accept. For
        integers a DequantizeLinear is appended.

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
        tapped.graph.output.append(info)
        output_names.add(info.name)
    return tapped


def _name(tensor: str | Dequantized) -> str:
    return tensor if isinstance(tensor, str) else tensor.name
