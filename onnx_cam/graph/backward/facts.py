"""What a rule may know of a tensor before the gradient is emitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = ["Shape", "TensorFacts"]

Shape = tuple["int | None", ...]
"""Sizes; None where a size depends on the batch."""


@dataclass(frozen=True, eq=False)
class TensorFacts:
    """The shape and the type of a tensor, and its value where no image can change it.

    Attributes
    ----------
    shape : tuple of int or None
        None where a size depends on the batch.
    dtype : str
        NumPy's name of its type, such as ``float32``.
    value : ndarray or None
        The value of a small tensor that neither the image nor the batch changes, such as the axes of a reduction.

    Examples
    --------
    >>> facts = TensorFacts((None, 6, 5, 5), "float32")
    >>> facts.is_float, facts.rank
    (True, 4)
    """

    shape: Shape
    dtype: str
    value: NDArray[Any] | None = None

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return "float" in self.dtype

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @classmethod
    def of(cls, value: NDArray[Any]) -> TensorFacts:
        """Return the facts of a constant.

        Examples
        --------
            >>> import numpy as np
        >>> TensorFacts.of(np.zeros(3, np.float32)).shape
        (3,)
        """
        return cls(value.shape, value.dtype.name, value)
