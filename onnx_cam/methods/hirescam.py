"""HiResCAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from onnx_cam.methods.gradient import GRADIENT, PositionMethod

__all__ = ["HiResCAM"]


@dataclass(frozen=True)
class HiResCAM(PositionMethod):
    r"""HiResCAM: each position of each channel is weighed by its own gradient.

    .. math:: L = \mathrm{ReLU}\Bigl(\sum_k g_k \odot A_k\Bigr)

    ``weights`` holds each channel's mean gradient, Grad-CAM's weight.

    References
    ----------
    Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations, 2020, eq. 5.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[HiResCAM.name](), HiResCAM)
    True
    """

    name: ClassVar[str] = "hirescam"
    variants: ClassVar = {"paper": GRADIENT}

    def position_weights(self, gradient: NDArray[Any]) -> NDArray[Any]:
        """Return the weight of each position, (K, h, w)."""
        return gradient
