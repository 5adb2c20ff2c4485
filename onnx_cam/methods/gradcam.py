"""Grad-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.gradient import GRADIENT, GradientMethod

__all__ = ["GradCAM"]


@dataclass(frozen=True)
class GradCAM(GradientMethod):
    r"""Grad-CAM: a channel's weight is its mean gradient.

    .. math:: \alpha_k = \frac1{hw} \sum_{ij} g_k^{ij}

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1-2.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[GradCAM.name](), GradCAM)
    True
    """

    name: ClassVar[str] = "gradcam"
    variants: ClassVar = {"paper": GRADIENT}

    def weights_of(self, maps: NDArray[Any], gradient: NDArray[Any]) -> NDArray[Any]:
        """Return α, shape (K,)."""
        return np.asarray(gradient.mean(axis=(1, 2)))
