"""SS-CAM(2): smoothing of the masked image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.methods.base import NoisyMethod, Variant
from onnx_cam.methods.mean_score import MeanScoreMethod

__all__ = ["SSCAM2"]


@dataclass(frozen=True)
class SSCAM2(NoisyMethod, MeanScoreMethod):
    r"""SS-CAM(2): Score-CAM, averaged over masked images with Gaussian noise.

    .. math:: \alpha_k = \frac1N \sum_i f^c(X \odot H_k + e_i) - f^c(X_b), \qquad e_i \sim N(0, \sigma^2)

    Variants: ``range`` (σ as a share of the range of ``X``, so that it means the same behind every preprocessing);
    ``authors`` (a standard deviation of ``(σ / range)²``, with the range of ``X ⊙ H_k``; no baseline); ``paper`` (the
    equation's σ, which drowns most images).

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, the noise fields; 10 by default.
    sigma : float, optional
        σ; 0.05 by default for ``range``, and 2 for the others.

    References
    ----------
    Wang et al., SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization, 2020, eq. 12-14.

    Examples
    --------
    >>> SSCAM2().sigma, SSCAM2(variant="authors").sigma
    (0.05, 2.0)
    """

    name: ClassVar[str] = "sscam2"
    variants: ClassVar = {
        "range": Variant(noise="input", spread="image", samples=10, sigma=0.05),
        "authors": Variant(noise="input", spread="masked", baseline=False, samples=10, sigma=2.0),
        "paper": Variant(noise="input", samples=10, sigma=2.0),
    }
    empty_because: ClassVar[str] = (
        "no channel scored above the baseline; with sscam2 this means that σ is too large for this model"
    )
