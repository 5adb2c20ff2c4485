"""Which row each row of a padded axis repeats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["padded_rows"]

_MODES = ("reflect", "edge", "wrap")


def padded_rows(size: int, before: int, after: int, mode: str) -> NDArray[np.int64]:
    """Return the rows of an axis in the order in which ONNX's Pad has them.

    Parameters
    ----------
    size : int
        The rows of the axis.
    before, after : int
        How many rows to add; negative ones are cut off first.
    mode : str
        ``reflect``, ``edge`` or ``wrap``: the names are NumPy's, too.

    Raises
    ------
    ValueError
        The mode is another.

    Examples
    --------
    >>> padded_rows(4, 2, -1, "reflect")
    array([2, 1, 0, 1, 2])
    """
    if mode not in _MODES:
        raise ValueError(f"unknown padding mode {mode!r}: expected one of constant, {', '.join(_MODES)}")
    rows = np.arange(max(-before, 0), size - max(-after, 0), dtype=np.int64)
    padded: NDArray[np.int64] = np.pad(rows, (max(before, 0), max(after, 0)), mode=mode)  # type: ignore[call-overload]
    return padded
