"""What a file declares about an input: its sizes, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

__all__ = ["declared_sizes", "declared_text", "list_inputs"]


def declared_sizes(info: onnx.ValueInfoProto) -> list[int | None]:
    """Return the size of each dimension; None for one that the file leaves free.

    Examples
    --------
    >>> declared_sizes(onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, 32, 32]))
    [None, 3, 32, 32]
    """
    shape = info.type.tensor_type.shape
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in shape.dim]


def declared_text(info: onnx.ValueInfoProto) -> str:
    """Return an input's name, shape and type for messages.

    Examples
    --------
    >>> declared_text(onnx.helper.make_tensor_value_info("flag", onnx.TensorProto.BOOL, []))
    "'flag' (a single value; bool)"
    """
    if not info.type.HasField("tensor_type"):
        return f"{info.name!r} ({(info.type.WhichOneof('value') or 'no type').replace('_type', '')})"
    number = info.type.tensor_type.elem_type
    known = number in onnx.TensorProto.DataType.values()
    kind = onnx.TensorProto.DataType.Name(number).lower() if known else f"type {number}"
    sizes = ", ".join("?" if size is None else str(size) for size in declared_sizes(info))
    shape = sizes or ("a single value" if info.type.tensor_type.HasField("shape") else "any shape")
    return f"{info.name!r} ({shape}; {kind})"


def list_inputs(inputs: Iterable[onnx.ValueInfoProto]) -> str:
    """Return inputs for a message.

    Examples
    --------
    >>> list_inputs([])
    'none'
    """
    return ", ".join(map(declared_text, inputs)) or "none"
