"""The windows of convolutions and pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.graph.backward.step import NoRule, Step
from onnx_cam.graph.same_pads import same_pads

__all__ = ["Windows", "conv_windows", "fixed_sizes"]


@dataclass(frozen=True)
class Windows:
    """Where the windows of an operator lie, one number for each spatial axis.

    Attributes
    ----------
    kernel, strides, dilations : list of int
    before, after : list of int
        Rows of padding; negative ones are cut off.
    """

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @property
    def extents(self) -> list[int]:
        """The size of a window, dilation included."""
        return [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]


def fixed_sizes(shape: Sequence[int | None], what: str = "a height or width") -> list[int]:
    """Return sizes that must not depend on the batch.

    Raises
    ------
    NoRule
        One does; the message says what it is a size of.
    """
    sizes = [size for size in shape if size is not None]
    if len(sizes) < len(shape):
        raise NoRule(f"{what} depends on the batch")
    return sizes


def conv_windows(step: Step, kernel: Sequence[int], sizes: Sequence[int]) -> Windows:
    """Return the windows of a node with the attributes of Conv, over an image of these sizes."""
    rank = len(sizes)
    strides, dilations = step.ints("strides") or [1] * rank, step.ints("dilations") or [1] * rank
    windows = Windows(list(kernel), strides, dilations, [0] * rank, [0] * rank)
    mode = step.attribute("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pairs = same_pads(mode, sizes, windows.extents, strides)
        before, after = [b for b, _ in pairs], [a for _, a in pairs]
    else:
        pads = (step.ints("pads") if mode == "NOTSET" else None) or [0] * (2 * rank)
        before, after = pads[:rank], pads[rank:]
    return Windows(list(kernel), strides, dilations, before, after)
