"""Insertion AUC: add pixels from the most to the least important one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.metrics.base import CurveMetric

__all__ = ["Insertion"]


@dataclass(frozen=True)
class Insertion(CurveMetric):
    """The area under f^c against the share of pixels added, from the most to the least important one.

    Parameters
    ----------
    baseline : {"zero", "black", "mean", "blur"}
        What pixels are added to.

    References
    ----------
    Petsiuk et al., RISE, section 4.2; Naidu and Michael, SS-CAM, section 4.
    """

    name: ClassVar[str] = "insertion"
    title: ClassVar[str] = "Insertion"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    removes: ClassVar[bool] = False

    baseline: str = "blur"
