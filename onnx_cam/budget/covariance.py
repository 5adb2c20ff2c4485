"""The covariance of the scores of all masks, given those that were measured. It is used without being made whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.kernel import Kernel, Pairs

__all__ = ["Covariance"]

Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Covariance:
    """``Σ = scale · (K − RᵀR)``, with rows and columns of 0 for the masks that are known exactly.

    Attributes
    ----------
    points : Pairs
        The distances and products of all M masks.
    kernel : Kernel
        K, the covariance before any score is known.
    reduced : ndarray of shape (n, M), float64
        R: the covariance of n observed masks with all masks, multiplied by the inverse of the observations' Cholesky
        factor.
    exact : ndarray of shape (m,), int64
        The masks whose score is known exactly.
    scale : float
        The variance of the values, which are standardised for K and R.

    Examples
    --------
    >>> from onnx_cam.budget.kernel import pairs_of
    >>> points = pairs_of(np.array([[0.0], [0.1], [5.0]]))
    >>> covariance = Covariance.prior(points, Kernel())
    >>> bool(np.allclose(covariance.times(np.eye(3)), Kernel().among(points)))
    True
    """

    points: Pairs
    kernel: Kernel
    reduced: Doubles
    exact: Indices
    scale: float = 1.0

    @classmethod
    def prior(cls, points: Pairs, kernel: Kernel) -> Covariance:
        """Return the covariance before any score is known."""
        return cls(points, kernel, np.zeros((0, len(points.centred))), np.zeros(0, np.int64))

    @cached_property
    def variances(self) -> Doubles:
        """The diagonal, (M,), ≥ 0."""
        reduction = np.einsum("nm,nm->m", self.reduced, self.reduced)
        variances = np.maximum(self.kernel.variances(self.points) - reduction, 0)
        variances[self.exact] = 0
        return np.asarray(variances * self.scale)

    def times(self, vectors: Doubles) -> Doubles:
        """Return Σ times vectors (M, r): (M, r)."""
        vectors = vectors.copy()
        vectors[self.exact] = 0
        product = self.kernel.times(self.points, vectors) - self.reduced.T @ (self.reduced @ vectors)
        product[self.exact] = 0
        return product * self.scale

    def column(self, mask: int) -> Doubles:
        """Return the covariance of all masks with one, (M,)."""
        column = self.kernel.across(self.points, np.array([mask]))[0] - self.reduced[:, mask] @ self.reduced
        column[self.exact] = 0
        return np.asarray(column * (0.0 if mask in self.exact else self.scale))
