"""Deletion: the area under the score while the image loses its pixels, the most important ones first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import CurveMetric

__all__ = ["Deletion"]


@dataclass(frozen=True)
class Deletion(CurveMetric):
    """The area under the score while the image's pixels are replaced by the baseline, the most important ones first.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.
    steps : int
        The curve has steps + 1 points.
    baseline : {"zero", "black", "mean", "blur"}
        X_b, which replaces the pixels.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import Deletion, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> deletion = Deletion(steps=10).measure(image)
    >>> len(deletion.curve), f"{deletion.value:.2f}"
    (11, '0.86')
    """

    name: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"
    removes: ClassVar[bool] = True
