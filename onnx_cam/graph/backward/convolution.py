"""Convolutions."""

from __future__ import annotations

from typing import Any

from onnx_cam.graph.backward.step import Gradients, NoRule, Step
from onnx_cam.graph.backward.windows import Windows, conv_windows, fixed_sizes

__all__ = ["conv", "convolution_backward"]


def conv(step: Step) -> Gradients:
    """The transposed convolution, with the same weights.

    Raises
    ------
    NoRule
        The weights or the bias depend on the image, as in a dynamic convolution.
    """
    if step.wants(1) or step.wants(2):
        raise NoRule("its weights depend on the image")
    if not step.wants(0):
        return {}
    sizes, kernel = fixed_sizes(step.shape()[2:]), fixed_sizes(step.shape(1)[2:])
    windows = conv_windows(step, kernel, sizes)
    if _is_depthwise(step) and set(windows.strides) == {1}:
        return {0: _depthwise_backward(step, windows)}
    return {0: convolution_backward(step, step.gradient, step.value(1), windows, sizes)}


def _is_depthwise(step: Step) -> bool:
    """Return whether each channel has a kernel of its own, and makes one channel."""
    channels = step.shape()[1]
    return step.attribute("group", 1) == channels == step.shape(1)[0]


def _depthwise_backward(step: Step, windows: Windows) -> str:
    """Return the convolution with the kernels turned around: on a CPU four times as fast as the transposed one."""
    kernels = step.emit.reversed(step.value(1), {axis + 2: size for axis, size in enumerate(windows.kernel)})
    around = [
        [e - 1 - p for e, p in zip(windows.extents, side, strict=True)] for side in (windows.before, windows.after)
    ]
    cut = [[min(p, 0) for p in side] for side in around]
    gradient = step.emit.pad(step.gradient, [0, 0, *cut[0]], [0, 0, *cut[1]])
    return step.emit.add(
        "Conv",
        gradient,
        kernels,
        group=step.attribute("group", 1),
        dilations=windows.dilations,
        pads=[max(p, 0) for side in around for p in side],
    )


def convolution_backward(step: Step, gradient: str, weight: str, windows: Windows, sizes: list[int]) -> str:
    """Return the gradient at the image of a convolution.

    Parameters
    ----------
    step : Step
    gradient : str
        At the output, (N, C', …).
    weight : str
        (C', C / groups, …), float32.
    windows : Windows
    sizes : list of int
        The height, width … of the image.
    """
    counts = fixed_sizes(step.output_shape()[2:])
    # The transposed convolution covers the rows from the first window to the last, padding included.
    covered = [(m - 1) * s + e for m, s, e in zip(counts, windows.strides, windows.extents, strict=True)]
    missing = [n + b - c for n, b, c in zip(sizes, windows.before, covered, strict=True)]
    settings: dict[str, Any] = {
        "strides": windows.strides,
        "dilations": windows.dilations,
        "group": step.attribute("group", 1),
    }
    extra = [max(rows, 0) for rows in missing]  # rows behind the last window
    fits = all(rows < s for rows, s in zip(extra, windows.strides, strict=True))
    if fits and min(windows.before) >= 0:
        cut = [max(-rows, 0) for rows in missing]
        settings |= {"pads": [*windows.before, *cut], "output_padding": extra}
        return step.emit.add("ConvTranspose", gradient, weight, **settings)
    whole = step.emit.add("ConvTranspose", gradient, weight, **settings)
    return step.emit.pad(whole, [0, 0, *(-b for b in windows.before)], [0, 0, *missing])
