"""What the gradient methods share: they weigh the maps by ``g_k = ∂Y^c/∂A_k``, Y^c the logit."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.base import Variant
from onnx_cam.methods.contrast import ContrastMethod
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights

__all__ = ["GRADIENT", "GradientMethod", "PositionMethod", "gradcam_pp_shares", "no_gradient"]

Floats = NDArray[np.float32]
Array = NDArray[Any]

GRADIENT = Variant(score="logit", baseline=False)


@dataclass(frozen=True)
class GradientMethod(ContrastMethod):
    """Base of the methods that need nothing but activations and gradients."""

    empty_because: ClassVar[str] = "no weight is above zero"
    demanding: ClassVar[bool] = True
    needs_gradient: ClassVar[bool] = True

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        gradients = subject.gradients.astype(np.float64)  # (T, K, h, w)
        maps = subject.maps.astype(np.float64)
        return np.stack([self.weights_of(maps, one) for one in gradients])

    @abstractmethod
    def weights_of(self, maps: Array, gradient: Array) -> Array:
        """Return α for one target, shape (K,), from A and g of shape (K, h, w)."""

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        if not subject.gradients.any():
            return no_gradient(self.name)
        return super().why_empty(subject)


@dataclass(frozen=True)
class PositionMethod(GradientMethod):
    """Base of the methods that weigh each position of each channel by itself."""

    @abstractmethod
    def position_weights(self, gradient: Array) -> Array:
        """Return the weights for one target, (K, h, w), from its gradient of that shape."""

    def weights_of(self, maps: Array, gradient: Array) -> Array:
        """Return each channel's mean weight, shape (K,)."""
        return np.asarray(self.position_weights(gradient).mean(axis=(1, 2)))

    def combine(self, subject: Subject, weights: Weights) -> NDArray[np.float64]:
        """Return L for each target, (T, h, w)."""
        products = [self.position_weights(one) * subject.maps for one in subject.gradients.astype(np.float64)]
        return np.asarray(np.maximum(np.sum(products, axis=1), 0))


def no_gradient(method: str) -> str:
    """Return why a map is empty where every gradient is zero."""
    return (
        f"the gradient is zero everywhere, e.g. because an activation or an 8-bit score is saturated, so {method} "
        "cannot explain this; use scorecam, which needs no gradient"
    )


def gradcam_pp_shares(maps: Array, squares: Array, cubes: Array, epsilon: float = 0.0) -> Array:
    """Return ``a_k^{ij} = g² / (2 g² + Σ_ab A_k^{ab} · g³)``, 0 where the denominator is 0; all (K, h, w).

    Parameters
    ----------
    maps, squares, cubes : ndarray of shape (K, h, w)
        A, g² and g³, or their means.
    epsilon : float
        Added to the denominator.

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, eq. 19.
    """
    denominator = 2 * squares + maps.sum(axis=(1, 2), keepdims=True) * cubes + epsilon
    return np.asarray(np.divide(squares, denominator, out=np.zeros_like(squares), where=denominator != 0))
