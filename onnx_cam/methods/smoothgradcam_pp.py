"""Smooth Grad-CAM++."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.base import NoisyMethod
from onnx_cam.methods.gradient import GRADIENT, GradientMethod, gradcam_pp_shares
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights

__all__ = ["SmoothGradCAMpp"]

_AT_ONCE = 4  # noisy inputs a batch


@dataclass(frozen=True)
class SmoothGradCAMpp(NoisyMethod, GradientMethod):
    r"""Smooth Grad-CAM++: Grad-CAM++ with g, g² and g³ each averaged over noisy inputs.

    The inputs are ``X + N(0, σ²)``, with σ as a share of the input's range; the activations are those of X itself.

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        n, the noisy inputs; 25 by default.
    sigma : float, optional
        σ as a share of the input's range; 0.15 by default.

    References
    ----------
    Omeiza et al., Smooth Grad-CAM++, 2019, eq. 8-9.

    Examples
    --------
    >>> SmoothGradCAMpp().samples
    25
    """

    name: ClassVar[str] = "smoothgradcam++"
    variants: ClassVar = {"paper": replace(GRADIENT, samples=25, sigma=0.15)}

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        powers = self._mean_powers(subject)  # (3, T, K, h, w)
        return np.stack([self._weights(subject.maps.astype(np.float64), *one) for one in powers.swapaxes(0, 1)])

    def weights_of(self, maps: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Return α of a single gradient: that of Grad-CAM++."""
        return self._weights(maps, gradient, gradient**2, gradient**3)

    def _mean_powers(self, subject: Subject) -> NDArray[np.float64]:
        """Return the means of g, g² and g³ over the noisy inputs, (3, T, K, h, w)."""
        count = self.sample_count
        deviation = self.noise_scale * float(np.ptp(subject.scorer.image))
        total: NDArray[np.float64] | None = None
        for start in range(0, count, _AT_ONCE):
            steps = range(start, min(start + _AT_ONCE, count))
            for gradient in subject.noisy_gradients(deviation, steps, count).astype(np.float64):
                powers = np.stack([gradient, gradient**2, gradient**3])
                total = powers if total is None else total + powers
        assert total is not None
        return total / count

    def _weights(
        self, maps: NDArray[Any], gradient: NDArray[Any], squares: NDArray[Any], cubes: NDArray[Any]
    ) -> NDArray[Any]:
        shares = gradcam_pp_shares(maps, squares, cubes)
        return np.asarray((shares * np.maximum(gradient, 0)).sum(axis=(1, 2)))
