"""The padding that ``auto_pad`` asks for, of convolutions and of pooling."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["same_pads"]


def same_pads(mode: str, sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Return the rows to add before and after along each axis, so that the output has ⌈n / stride⌉ rows.

    Parameters
    ----------
    mode : {"SAME_UPPER", "SAME_LOWER"}
        Where the larger half comes: after, or before.
    sizes : sequence of int
        The size of the image along each axis.
    extents : sequence of int
        The size of the window along each axis, dilation included.
    strides : sequence of int
        The stride along each axis.

    Examples
    --------
    >>> same_pads("SAME_UPPER", sizes=[7, 9], extents=[3, 4], strides=[2, 1])
    [(1, 1), (1, 2)]
    """
    totals = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(sizes, extents, strides, strict=True)]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if mode == "SAME_UPPER" else [(after, before) for before, after in halves]
