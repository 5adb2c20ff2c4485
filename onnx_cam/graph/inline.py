"""Inline local functions, so that the tensors within them can be explained."""

from __future__ import annotations

from dataclasses import replace

import onnx

from onnx_cam.errors import ModelError, one_line
from onnx_cam.graph.read import ModelFile
from onnx_cam.graph.walk_protobuf import all_nodes

__all__ = ["inline_functions", "inline_layers"]

_LAYERS = ("Conv", "Normalization", "MatMul", "Gemm", "Attention", "Einsum")


def inline_layers(file: ModelFile) -> ModelFile:
    """Return a model file whose local functions are inlined, where one of them holds a layer; else the file itself.

    Parameters
    ----------
    file : ModelFile

    Raises
    ------
    ModelError
        The functions cannot be inlined.

    Examples
    --------
    >>> from onnx_cam.graph.read import read_model
    >>> file = read_model("model.onnx")
    >>> inline_layers(file) is file
    True
    """
    functions = file.proto.functions
    if not any(any(name in node.op_type for name in _LAYERS) for f in functions for node in all_nodes(f.node)):
        return file
    import onnx.inliner

    try:
        inlined = onnx.inliner.inline_local_functions(file.proto)
    except Exception as error:  # the inliner raises whatever a damaged function makes it raise
        raise ModelError(
            f"{file.name} has local functions that hold layers, and they cannot be inlined ({one_line(error, 80)}); "
            "export the model again without functions"
        ) from error
    if not inlined.metadata_props:
        inlined.metadata_props.extend(file.proto.metadata_props)
    return replace(file, proto=inlined)


def inline_functions(proto: onnx.ModelProto, model: str) -> onnx.ModelProto:
    """Return the model with calls of its own functions replaced by their nodes.

    Parameters
    ----------
    proto : onnx.ModelProto
    model : str
        The file's name, for messages.

    Raises
    ------
    ModelError
        The functions cannot be inlined.

    Examples
    --------
    >>> import onnx
    >>> model = onnx.load("model.onnx")
    >>> inline_functions(model, "model.onnx") is model
    True
    """
    if not proto.functions:
        return proto
    from onnx import inliner

    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner is C++ and raises exceptions of any type
        raise ModelError(
            f"cannot inline the functions of {model}: {one_line(error)}; export the model again without functions"
        ) from error
