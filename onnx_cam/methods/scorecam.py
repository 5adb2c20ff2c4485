"""Score-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.methods.base import Variant
from onnx_cam.methods.mean_score import MeanScoreMethod
from onnx_cam.runtime.masks import Masking

__all__ = ["PEER_EPSILON", "TORCHCAM_MASKING", "ScoreCAM"]

PEER_EPSILON = 1e-8
"""What torchcam and grad-cam add to a map's range before they divide by it."""

TORCHCAM_MASKING = Masking(normalise="before", epsilon=PEER_EPSILON)


@dataclass(frozen=True)
class ScoreCAM(MeanScoreMethod):
    r"""Score-CAM: a channel's weight is the score of the image masked by its activation map.

    .. math:: \alpha_k = f^c(X \odot H_k) - f^c(X_b), \qquad H_k = s(U(A_k))

    Variants: ``paper``; ``torchcam`` (logits, ``s`` before ``U``, softmax over the channels, in which the baseline, X
    itself, cancels); ``pytorch-grad-cam`` (logits, aligned corners, softmax over the channels, no baseline).

    References
    ----------
    Wang et al., Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks, CVPRW 2020;
    as given in SS-CAM, eq. 5-8.

    Examples
    --------
    >>> ScoreCAM().variant, ScoreCAM(variant="torchcam").score_kind(None)
    ('paper', 'logit')
    """

    name: ClassVar[str] = "scorecam"
    variants: ClassVar = {
        "paper": Variant(),
        "torchcam": Variant(masking=TORCHCAM_MASKING, score="logit", baseline=False, softmax=True),
        "pytorch-grad-cam": Variant(
            masking=Masking(epsilon=PEER_EPSILON, align_corners=True), score="logit", baseline=False, softmax=True
        ),
    }
