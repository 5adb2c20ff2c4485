"""XGrad-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.gradient import GRADIENT, GradientMethod

__all__ = ["XGradCAM"]


@dataclass(frozen=True)
class XGradCAM(GradientMethod):
    r"""XGrad-CAM: the gradient's mean, weighted by the activations.

    .. math:: \alpha_k = \sum_{ij} \frac{A_k^{ij}}{\sum_{ab} A_k^{ab}} \, g_k^{ij}

    0 for a map that sums to 0.

    References
    ----------
    Fu et al., Axiom-based Grad-CAM, BMVC 2020, eq. 7.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[XGradCAM.name](), XGradCAM)
    True
    """

    name: ClassVar[str] = "xgradcam"
    variants: ClassVar = {"paper": GRADIENT}

    def weights_of(self, maps: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Return α, shape (K,)."""
        total = maps.sum(axis=(1, 2))
        products = (maps * gradient).sum(axis=(1, 2))
        return np.asarray(np.divide(products, total, out=np.zeros_like(products), where=total != 0))
