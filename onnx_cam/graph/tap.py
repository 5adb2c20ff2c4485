"""Make tensors of a graph extra outputs."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

__all__ = ["tap"]


def tap(proto: onnx.ModelProto, tensors: Iterable[str | onnx.ValueInfoProto]) -> onnx.ModelProto:
    """Return the model with tensors as extra outputs, behind its own.

    Nothing else changes: nodes, weights, IR version, opsets, functions and metadata stay as they are, to the byte.
    A tensor that is an output already is not added again.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    tensors : iterable of str or onnx.ValueInfoProto
        A bare name leaves type and shape to the runtime's inference, which ``onnx.checker`` does not accept.

    Returns
    -------
    onnx.ModelProto
        A copy.
    """
    tapped = onnx.ModelProto()
    tapped.CopyFrom(proto)
    present = {output.name for output in tapped.graph.output}
    for tensor in tensors:
        info = onnx.ValueInfoProto(name=tensor) if isinstance(tensor, str) else tensor
        if info.name not in present:
            tapped.graph.output.append(info)
            present.add(info.name)
    return tapped
