"""Insertion: the area under the score while the baseline gets the image's pixels, the most important ones first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import CurveMetric

__all__ = ["Insertion"]


@dataclass(frozen=True)
class Insertion(CurveMetric):
    """The area under the score while the image's pixels are added to the baseline, the most important ones first.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.
    steps : int
        The curve has steps + 1 points.
    baseline : {"zero", "black", "mean", "blur"}
        X_b, which the pixels are added to.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import Insertion, MaskedImage
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> insertion = Insertion(steps=10).measure(image)
    >>> len(insertion.curve), f"{insertion.value:.2f}"
    (11, '0.96')
    """

    name: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    removes: ClassVar[bool] = False

    baseline: str = "blur"
