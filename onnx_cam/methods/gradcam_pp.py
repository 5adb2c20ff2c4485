"""Grad-CAM++."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.gradient import GRADIENT, GradientMethod, gradcam_pp_shares

__all__ = ["GradCAMpp"]

_PEER_EPSILON = 1e-6  # grad-cam's: behind global pooling as large as the denominator itself


@dataclass(frozen=True)
class GradCAMpp(GradientMethod):
    r"""Grad-CAM++: positive gradients, weighted by how much each position has to say.

    .. math:: \alpha_k = \sum_{ij} a_k^{ij} \, \mathrm{ReLU}(g_k^{ij})

    Variants: ``paper``; ``pytorch-grad-cam`` (1e-6 added to the denominator of ``a``).

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, eq. 5 and 19.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[GradCAMpp.name](), GradCAMpp)
    True
    """

    name: ClassVar[str] = "gradcam++"
    variants: ClassVar = {"paper": GRADIENT, "pytorch-grad-cam": GRADIENT}

    def weights_of(self, maps: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Return α, shape (K,)."""
        epsilon = _PEER_EPSILON if self.variant == "pytorch-grad-cam" else 0.0
        shares = gradcam_pp_shares(maps, gradient**2, gradient**3, epsilon)
        return np.asarray((shares * np.maximum(gradient, 0)).sum(axis=(1, 2)))
