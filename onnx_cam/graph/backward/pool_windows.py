"""The windows of pooling, and what a gradient at them is at the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.backward.step import Step
from onnx_cam.graph.backward.windows import Windows, conv_windows, fixed_sizes

__all__ = ["PoolWindows", "pool_windows", "spread_windows"]


@dataclass(frozen=True)
class PoolWindows(Windows):
    """Where the windows of a pooling operator lie, one number for each spatial axis.

    Attributes
    ----------
    sizes : list of int
        The height, width … of the image.
    counts : list of int
        How many windows there are.
    """

    sizes: list[int]
    counts: list[int]

    @property
    def behind(self) -> list[int]:
        """How many rows the last window ends behind the image; negative where it ends before the last row."""
        each = zip(self.counts, self.strides, self.extents, self.before, self.sizes, strict=True)
        return [(count - 1) * s + extent - before - n for count, s, extent, before, n in each]


def pool_windows(step: Step) -> PoolWindows:
    """Return the windows of a pooling node.

    Raises
    ------
    NoRule
        A height or width depends on the batch.
    """
    sizes, counts = fixed_sizes(step.shape()[2:]), fixed_sizes(step.output_shape()[2:])
    windows = conv_windows(step, step.ints("kernel_shape") or [], sizes)
    return PoolWindows(**vars(windows), sizes=sizes, counts=counts)


def spread_windows(step: Step, planes: str, kernel: NDArray[Any], windows: PoolWindows) -> str:
    """Return the gradient at the image: the transposed convolution with a constant kernel.

    Parameters
    ----------
    step : Step
    planes : str
        (batch · channels, K, *counts): all channels are alike.
    kernel : ndarray
        (K, 1, …), float32.
    windows : PoolWindows
    """
    behind = windows.behind
    image = step.emit.add(
        "ConvTranspose",
        planes,
        np.asarray(kernel, np.float32),
        kernel_shape=windows.kernel,
        strides=windows.strides,
        dilations=windows.dilations,
        pads=[*windows.before, *(max(rows, 0) for rows in behind)],
        output_padding=[
            max(-rows, 0) for rows in behind
        ],  # rows of the image that no window reaches: fewer than a stride
    )
    return step.like_input(image)
