"""The command line that repeats a request."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from onnx_cam.explanation.result import Explanation
from onnx_cam.server.order import ExplainOrder

__all__ = ["command_of"]

_NOT_OPTIONS = ("method", "target", "versus", "side", "include")


def command_of(model: str, loading: Sequence[tuple[str, str]], order: ExplainOrder, result: Explanation) -> str:
    """Return the command line that makes a map again.

    Parameters
    ----------
    model : str
        The model's name.
    loading : sequence of (str, str)
        The options that the server's model was loaded with, and their values.
    order : ExplainOrder
        What was asked for.
    result : Explanation
        What came out: its class is named by its index, so that the command does not depend on the likeliest one.
    """
    image = result.image or "image"
    options = [("--method", result.method), ("--target", str(result.target.index))]
    if result.versus is not None:
        options.append(("--versus", str(result.versus.index)))
    options += [
        (f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value))
        for name, value in order.given.items()
        if name not in _NOT_OPTIONS and value is not None
    ]
    named = {name for name, _ in options}
    before = [(name, value) for name, value in loading if name not in named]
    words = ["onnx-cam", "explain", model, f"./{image}" if image.startswith("-") else image]
    return shlex.join([*words, *(word for option in (*before, *options) for word in option)])
