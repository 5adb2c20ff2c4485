"""Finer-CAM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError
from onnx_cam.methods.base import Method
from onnx_cam.methods.gradient import GRADIENT, no_gradient
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights

__all__ = ["FinerCAM"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FinerCAM(Method):
    r"""Finer-CAM: Grad-CAM of a class's logit less a part of those of the classes that are closest to it.

    .. math::
        \alpha_k = \frac1{hw} \sum_{ij} \frac{\partial}{\partial A_k^{ij}}
        \Bigl(Y^c - \frac{\gamma}{T} \sum_{d=1}^{T} Y^d\Bigr)

    over the T classes whose logits for the image are closest to ``Y^c``: what tells the class from its neighbours.

    Parameters
    ----------
    variant : str, optional
    gamma : float
        γ, at least 0: how much of the neighbours' mean logit is subtracted; at 0 the map is Grad-CAM's.
    references : int
        T, at least 1; a model of C classes has at most C − 1.

    References
    ----------
    Zhang et al., Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation, CVPR 2025.

    Examples
    --------
    >>> FinerCAM().parameters
    {'gamma': 0.6, 'references': 3}
    """

    name: ClassVar[str] = "finercam"
    variants: ClassVar = {"paper": GRADIENT}
    empty_because: ClassVar[str] = "no weight is above zero"
    demanding: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = True
    needs_logits: ClassVar[bool] = True

    gamma: float = field(default=0.6, kw_only=True)
    references: int = field(default=3, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        gamma, references = self.gamma, self.references
        if isinstance(gamma, bool) or not isinstance(gamma, int | float | np.number) or not 0 <= gamma < np.inf:
            raise SettingError(f"invalid gamma={gamma!r} of {self.name}: expected a finite number of at least 0")
        if isinstance(references, bool) or not isinstance(references, int | np.integer) or references < 1:
            raise SettingError(f"invalid references={references!r} of {self.name}: expected a whole number above 0")

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64.

        Raises
        ------
        SettingError
            The model has a single class, which is close to no other.
        """
        gradients = subject.gradients_of(self._sums(subject))  # (T, K, h, w)
        return np.asarray(gradients.astype(np.float64).mean(axis=(2, 3)))

    def logit_sums(self, logits: Doubles, targets: Doubles) -> Doubles:
        """Return the sums of logits that are explained, (T, classes).

        Parameters
        ----------
        logits : ndarray of shape (classes,), float64
            Of the image.
        targets : ndarray of shape (T, classes), float64
            1 for each target's class.

        Examples
        --------
        >>> FinerCAM(references=1).logit_sums(np.array([5.0, 1.0, 4.0]), np.array([[1.0, 0.0, 0.0]]))
        array([[ 1. ,  0. , -0.6]])
        """
        count = min(self.references, len(logits) - 1)
        if count < 1:
            raise SettingError(
                f"{self.name} compares a class with the closest others, and this model has a single output; use gradcam"
            )
        sums = targets.astype(np.float64)
        for row in sums:
            own = int(row.argmax())
            distances = np.abs(logits - logits[own])
            distances[own] = np.inf
            row[np.argsort(distances, kind="stable")[:count]] = -self.gamma / count
        return sums

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        gradients = subject.gradients_of(self._sums(subject))
        return super().why_empty(subject) if gradients.any() else no_gradient(self.name)

    def _sums(self, subject: Subject) -> Doubles:
        assert subject.logits is not None  # as `needs_logits` asks for
        return self.logit_sums(subject.logits, subject.logit_sums)
