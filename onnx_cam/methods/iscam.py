"""IS-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.base import SampledMethod, Variant
from onnx_cam.methods.mean_score import MeanScoreMethod
from onnx_cam.methods.scorecam import TORCHCAM_MASKING

__all__ = ["ISCAM"]


@dataclass(frozen=True)
class ISCAM(SampledMethod, MeanScoreMethod):
    r"""IS-CAM: Score-CAM, averaged over a path of stronger and stronger masks.

    .. math:: \alpha_k = \frac1N \sum_i f^c(c_i \cdot X \odot H_k) - f^c(X_b)

    Variants: ``paper`` (``c_i = i(i−1)/(2N)``); ``torchcam`` (``c_i = i(i+1)/(2N)``, logits, softmax over the
    channels); ``linear`` (``c_i = i/N``, the straight path from the baseline to the masked image).

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, the steps of the path; 10 by default.

    References
    ----------
    Naidu et al., IS-CAM: Integrated Score-CAM for axiomatic-based explanations, 2020; ``c_i`` as torchcam documents it.

    Examples
    --------
    >>> ISCAM(samples=4).path().tolist()
    [0.0, 0.25, 0.75, 1.5]
    """

    name: ClassVar[str] = "iscam"
    variants: ClassVar = {
        "paper": Variant(samples=10),
        "torchcam": Variant(masking=TORCHCAM_MASKING, score="logit", baseline=False, softmax=True, samples=10),
        "linear": Variant(samples=10),
    }

    def path(self) -> NDArray[np.float64]:
        """Return c_i, shape (N,)."""
        n = self.sample_count
        i = np.arange(1, n + 1)
        if self.variant == "linear":
            return i / n
        return i * (i + 1) / (2 * n) if self.variant == "torchcam" else i * (i - 1) / (2 * n)
