"""Shared libraries of custom operators, which ONNX Runtime loads into the process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import onnx

from onnx_cam.errors import ModelError, SettingError, one_line

__all__ = ["operator_libraries", "register_libraries", "unknown_domain"]

_KNOWN_DOMAINS = {
    *("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"),
    *(
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.microsoft.experimental",
        "com.microsoft.dml",
        "com.ms.internal.nhwc",
    ),
    *("org.pytorch.aten", "ai.graphcore"),
}
"""The domains of the operators that ONNX Runtime has, in one build or another."""

_EXTENSIONS_DOMAIN = "ai.onnx.contrib"


def operator_libraries(
    libraries: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None,
) -> tuple[str, ...]:
    """Return the absolute paths of the libraries that a user names.

    Raises
    ------
    ModelError
        A file is missing.
    SettingError
        It is no path, and no list of paths.

    Examples
    --------
    >>> operator_libraries(None)
    ()
    """
    names = [libraries] if isinstance(libraries, str | os.PathLike) else libraries or ()
    if not isinstance(names, Sequence) or not all(isinstance(name, str | os.PathLike) for name in names):
        raise SettingError(
            f"invalid custom_ops={libraries!r}: expected the path of a shared library, or a list of them"
        )
    for name in names:
        if not os.path.isfile(name):
            raise ModelError(
                f"no operator library '{os.fspath(name)}'; expected the path of a shared library (.so, .dll or .dylib)"
            )
    return tuple(dict.fromkeys(os.path.abspath(name) for name in names))


def register_libraries(options: Any, libraries: Sequence[str]) -> None:
    """Let a session know the operators of libraries.

    Parameters
    ----------
    options : onnxruntime.SessionOptions
    libraries : sequence of str
        Absolute paths.

    Raises
    ------
    ModelError
        ONNX Runtime cannot load one.
    """
    for library in libraries:
        try:
            options.register_custom_ops_library(library)
        except Exception as error:  # ONNX Runtime's exceptions share no base but this
            raise ModelError(
                f"ONNX Runtime cannot load the operator library '{library}': {one_line(error, 200)}; expected a "
                "library of custom operators, built for this system and this version of ONNX Runtime"
            ) from error


def unknown_domain(proto: onnx.ModelProto) -> str | None:
    """Return what to do about the first operator of a domain that ONNX Runtime itself does not have; None without one.

    Examples
    --------
    >>> node = onnx.helper.make_node("grid_sampler", ["x"], ["y"], domain="mmdeploy")
    >>> model = onnx.helper.make_model(onnx.helper.make_graph([node], "main", [], []))
    >>> unknown_domain(model)
    "operators of domain 'mmdeploy' come from a library of custom operators: name it with --custom-ops LIBRARY"
    """
    local = {function.domain for function in proto.functions}
    domain = next((node.domain for node in proto.graph.node if node.domain not in _KNOWN_DOMAINS | local), None)
    if domain is None:
        return None
    package = " (of the package onnxruntime-extensions)" if domain == _EXTENSIONS_DOMAIN else ""
    return (
        f"operators of domain {domain!r} come from a library of custom operators{package}: "
        "name it with --custom-ops LIBRARY"
    )
