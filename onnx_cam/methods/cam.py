"""CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnx_cam.errors import LayerError
from onnx_cam.methods.base import Variant
from onnx_cam.methods.contrast import ContrastMethod
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights

__all__ = ["CAM"]


@dataclass(frozen=True)
class CAM(ContrastMethod):
    r"""CAM: the weights of the linear layer after global average pooling; it needs no forward pass and no gradient.

    .. math:: \alpha_k = w_k^c

    References
    ----------
    Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016, eq. 2.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.explain("model.onnx", "cat.jpg", method="cam").passes
    1
    """

    name: ClassVar[str] = "cam"
    variants: ClassVar = {"paper": Variant(score="logit", baseline=False)}
    empty_because: ClassVar[str] = "no weight of the linear layer is above zero for this class"
    demanding: ClassVar[bool] = True

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64.

        Raises
        ------
        LayerError
            The layer is not followed by global average pooling and one linear layer.
        """
        weights = subject.linear_weights
        if weights is None:
            raise LayerError(
                "cam needs a layer that is followed by global average pooling and one linear layer, and this one is "
                "not; choose another --layer, or use gradcam, which gives the same map there and works everywhere"
            )
        return np.asarray(weights, np.float64)
