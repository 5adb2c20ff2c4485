"""Say what an input takes that takes no image: a volume, a signal, text, or an encoded file."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from onnx_cam.graph.inputs.axes_read import LayerAxes
from onnx_cam.graph.inputs.element_types import element_type_of
from onnx_cam.graph.walk_protobuf import all_nodes

__all__ = ["other_subject"]

_DECODERS = ("ImageDecoder", "DecodeImage", "DecodeJpeg", "DecodePng", "ImageReader")
_LOOKUPS = ("Gather", "Embedding", "EmbedLayerNormalization")
_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


def other_subject(
    graph: onnx.GraphProto, info: onnx.ValueInfoProto, sizes: Sequence[int | None], layer: LayerAxes | None
) -> str:
    """Return what an input takes in place of an image, and what to do about it; empty where that cannot be told.

    Parameters
    ----------
    graph : onnx.GraphProto
    info : onnx.ValueInfoProto
        The input.
    sizes : sequence of int or None
        The sizes of its dimensions.
    layer : LayerAxes or None
        What the first convolution or pooling reads of it.

    Examples
    --------
    >>> info = onnx.helper.make_tensor_value_info("volume", onnx.TensorProto.FLOAT, ["N", 1, 16, 32, 32])
    >>> other_subject(onnx.GraphProto(), info, [None, 1, 16, 32, 32], None)
    'takes a volume or a video (five dimensions); onnx-cam only explains two-dimensional images'
    """
    kind = info.type.tensor_type.elem_type
    readers = {node.op_type for node in all_nodes(graph.node) if info.name in node.input}
    rank = len(sizes) if layer is None else len(layer.axes)
    is_encoded = bool(readers.intersection(_DECODERS)) or kind == onnx.TensorProto.STRING
    subjects = (
        (
            not info.type.HasField("tensor_type"),
            "is not a tensor, and so not an image; export the model again with an input (N, C, H, W)",
        ),
        (
            is_encoded,
            "takes encoded image files or text, and not pixels; cut the decoder off, e.g. with "
            "onnx.utils.extract_model, so that the model begins with an image input (N, C, H, W)",
        ),
        (
            element_type_of(kind) is None,
            f"has the type {_type_name(kind)}, which an image cannot be cast to; export the model with a float32 input",
        ),
        (
            max(rank, len(sizes)) == 5,
            "takes a volume or a video (five dimensions); onnx-cam only explains two-dimensional images",
        ),
        (
            layer is not None and rank == 3,
            "takes a signal (its convolutions have one dimension); onnx-cam only explains two-dimensional images: "
            "unsqueeze it to (N, C, 1, L), and export it with two-dimensional convolutions",
        ),
        (
            kind in _INTEGERS and bool(readers.intersection(_LOOKUPS)),
            "takes a sequence of whole numbers such as the tokens of a text; onnx-cam only explains images",
        ),
    )
    return next((text for holds, text in subjects if holds), "")


def _type_name(kind: int) -> str:
    return onnx.TensorProto.DataType.Name(kind).lower() if kind in onnx.TensorProto.DataType.values() else str(kind)
