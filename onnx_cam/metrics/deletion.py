"""Deletion AUC: remove pixels from the most to the least important one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import CurveMetric

__all__ = ["Deletion"]


@dataclass(frozen=True)
class Deletion(CurveMetric):
    """The area under f^c against the share of pixels removed, from the most to the least important one.

    Parameters
    ----------
    baseline : {"zero", "black", "mean", "blur"}
        What pixels are replaced by.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "deletion"
    title: ClassVar[str] = "Deletion"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"
    removes: ClassVar[bool] = True
