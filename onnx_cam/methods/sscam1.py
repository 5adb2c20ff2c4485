"""SS-CAM(1): smoothing of the activation map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.methods.base import NoisyMethod, Variant
from onnx_cam.methods.mean_score import MeanScoreMethod
from onnx_cam.methods.scorecam import TORCHCAM_MASKING
from onnx_cam.runtime.masks import Masking

__all__ = ["SSCAM1"]


@dataclass(frozen=True)
class SSCAM1(NoisyMethod, MeanScoreMethod):
    r"""SS-CAM(1): Score-CAM, averaged over masks with Gaussian noise.

    .. math:: \alpha_k = \frac1N \sum_i f^c(X \odot (H_k + m_i)) - f^c(X_b), \qquad m_i \sim N(0, \sigma^2)

    Variants: ``range`` (σ as a share of the mask's range); ``paper`` (the equation's σ = 2); ``feature`` (noise on
    ``A_k``, σ as a share of its range); ``authors`` (noise of ``(σ / range)²`` on the upsampled map, which
    is not normalised; no baseline); ``torchcam`` (noise on the mask of Score-CAM's ``torchcam``).

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, the noise fields; 10 by default, 35 for ``torchcam``.
    sigma : float, optional
        σ; 0.1 by default for ``range``, 0.15 for ``feature``, and 2 for the others.

    References
    ----------
    Wang et al., SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization, 2020, eq. 9-11.

    Examples
    --------
    >>> SSCAM1(variant="feature").sigma
    0.15
    """

    name: ClassVar[str] = "sscam1"
    variants: ClassVar = {
        "range": Variant(noise="mask", samples=10, sigma=0.1),
        "paper": Variant(noise="mask", samples=10, sigma=2.0),
        "feature": Variant(noise="map", spread="map", samples=10, sigma=0.15),
        "authors": Variant(
            masking=Masking(normalise="never"),
            noise="mask",
            spread="upsampled",
            score="probability",
            baseline=False,
            samples=10,
            sigma=2.0,
        ),
        "torchcam": Variant(
            masking=TORCHCAM_MASKING,
            noise="mask",
            score="logit",
            baseline=False,
            softmax=True,
            samples=35,
            sigma=2.0,
        ),
    }
    empty_because: ClassVar[str] = (
        "no channel scored above the baseline; with sscam1 this means that σ is too large for this model"
    )
