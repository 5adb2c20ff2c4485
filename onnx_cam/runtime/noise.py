"""Noise fields, which depend on nothing but the seed, the step and the shape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError

__all__ = ["noise_field", "noise_fields"]

Floats = NDArray[np.float32]


def noise_field(seed: int, step: int, shape: tuple[int, ...]) -> Floats:
    """Return a field of standard normal noise, float32, drawn by Philox with the key (seed, step).

    Examples
    --------
    >>> bool((noise_field(0, 1, (2, 2)) == noise_field(0, 1, (2, 2))).all())
    True
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, step], np.uint64)))
    return generator.standard_normal(shape, np.float32)


def noise_fields(seed: int, count: int, shape: tuple[int, ...], arrange: Callable[[Floats], Floats]) -> Floats:
    """Return the fields of the first steps, each arranged as the score graph takes it: (count, …).

    Parameters
    ----------
    seed : int
    count : int
        How many steps.
    shape : tuple of int
        The shape of a field before it is arranged.
    arrange : callable
        Returns a field as the score graph takes it.

    Raises
    ------
    OutOfMemoryError
        They do not fit into memory.
    """
    first = arrange(noise_field(seed, 0, shape))
    try:
        fields = np.empty((count, *first.shape), np.float32)
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{count} noise fields need {count * first.nbytes / 2**20:,.0f} MiB, which is more than there is; "
            "use fewer --samples, or a smaller --size"
        ) from error
    for step in range(count):
        fields[step] = arrange(noise_field(seed, step, shape))
    return fields
