"""LayerCAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.gradient import GRADIENT, PositionMethod

__all__ = ["LayerCAM"]


@dataclass(frozen=True)
class LayerCAM(PositionMethod):
    r"""LayerCAM: each position of each channel has a weight of its own, its positive gradient.

    .. math:: L = \mathrm{ReLU}\Bigl(\sum_k \mathrm{ReLU}(g_k) \odot A_k\Bigr)

    ``weights`` holds each channel's mean weight.

    References
    ----------
    Jiang et al., LayerCAM, IEEE TIP 2021, eq. 6-8.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[LayerCAM.name](), LayerCAM)
    True
    """

    name: ClassVar[str] = "layercam"
    variants: ClassVar = {"paper": GRADIENT}

    def position_weights(self, gradient: NDArray[Any]) -> NDArray[Any]:
        """Return the weight of each position, (K, h, w)."""
        return np.asarray(np.maximum(gradient, 0))
