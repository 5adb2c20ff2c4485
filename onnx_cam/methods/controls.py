"""The controls of the evaluation, and the one list of them."""

from __future__ import annotations

from onnx_cam.methods.blurred import Blurred
from onnx_cam.methods.centre import Centre
from onnx_cam.methods.control import Control
from onnx_cam.methods.equal import EqualWeights
from onnx_cam.methods.white_noise import WhiteNoise

__all__ = ["CONTROLS", "STANDARD_CONTROLS", "is_control"]

CONTROLS: dict[str, type[Control]] = {cls.name: cls for cls in (EqualWeights, Centre, WhiteNoise, Blurred)}
"""Name to class. They are not in :data:`onnx_cam.METHODS`, because they explain nothing."""

STANDARD_CONTROLS: tuple[Control, ...] = (EqualWeights(), Centre(), WhiteNoise())
"""The controls that join every run of the evaluation."""


def is_control(name: str) -> bool:
    """Tell whether the name of a method, as it stands in the tables of a run, is that of a control.

    Examples
    --------
    >>> is_control("blurred:gradcam"), is_control("gradcam")
    (True, False)
    """
    return name.partition(":")[0] in CONTROLS
