"""Noise fields: a function of the seed, the step and the shape alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError

__all__ = ["noise_field", "noise_fields"]

Floats = NDArray[np.float32]


def noise_field(seed: int, step: int, shape: tuple[int, ...]) -> Floats:
    """Return a field of the standard normal distribution, float32, drawn from Philox with key (seed, step)."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, step], np.uint64)))
    return generator.standard_normal(shape, np.float32)


def noise_fields(seed: int, count: int, shape: tuple[int, ...], arrange: Callable[[Floats], Floats]) -> Floats:
    """Return the fields of all steps, each arranged as the score graph takes it: (count, …).

    Raises
    ------
    OutOfMemoryError
        They do not fit.
    """
    first = arrange(noise_field(seed, 0, shape))
    try:
        fields = np.empty((count, *first.shape), np.float32)
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{count} noise fields need {count * first.nbytes / 2**20:,.0f} MiB, more than there is; "
            "take fewer --samples, or a smaller --size"
        ) from error
    for step in range(count):
        fields[step] = arrange(noise_field(seed, step, shape))
    return fields
