"""The methods, one file each, and the one list of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.methods.base import Method, Variant
from onnx_cam.methods.cam import CAM
from onnx_cam.methods.finercam import FinerCAM
from onnx_cam.methods.gradcam import GradCAM
from onnx_cam.methods.gradcam_pp import GradCAMpp
from onnx_cam.methods.gradpp_scorecam import GradPPScoreCAM
from onnx_cam.methods.hirescam import HiResCAM
from onnx_cam.methods.iscam import ISCAM
from onnx_cam.methods.layercam import LayerCAM
from onnx_cam.methods.scorecam import ScoreCAM
from onnx_cam.methods.smoothgradcam_pp import SmoothGradCAMpp
from onnx_cam.methods.sscam1 import SSCAM1
from onnx_cam.methods.sscam2 import SSCAM2
from onnx_cam.methods.sscam_max import SSCAMMax
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.xgradcam import XGradCAM

__all__ = [
    "CAM",
    "ISCAM",
    "METHODS",
    "SSCAM1",
    "SSCAM2",
    "FinerCAM",
    "GradCAM",
    "GradCAMpp",
    "GradPPScoreCAM",
    "HiResCAM",
    "LayerCAM",
    "Method",
    "SSCAMMax",
    "ScoreCAM",
    "SmoothGradCAMpp",
    "Subject",
    "Variant",
    "XGradCAM",
    "make_method",
]

_CLASSES: tuple[type[Method], ...] = (
    *(ScoreCAM, SSCAM1, SSCAM2, SSCAMMax, ISCAM, CAM),
    *(GradCAM, GradCAMpp, SmoothGradCAMpp, GradPPScoreCAM, XGradCAM, LayerCAM, HiResCAM),
    FinerCAM,
)

METHODS: dict[str, type[Method]] = {cls.name: cls for cls in _CLASSES}
"""Name to class: the gradient-free methods first, in the papers' order."""


def make_method(method: str | Method, **settings: Any) -> Method:
    """Return a method object from a name and its settings, or check the one that was given.

    Parameters
    ----------
    method : str or Method
    **settings
        ``variant``, ``versus``, ``samples``, ``sigma``, ``budget``, ``tolerance``; None means the method's own default.

    Raises
    ------
    SettingError
        The method is unknown, or a setting is unknown to it, out of range, or given twice.

    Examples
    --------
    >>> make_method("sscam2", samples=35).parameters
    {'samples': 35, 'sigma': 0.05}
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(method, Method):
        if given:
            raise SettingError(f"{', '.join(given)} given twice: set it in {method!r} or as a keyword, not both")
        return method
    if method not in METHODS:
        names = ", ".join(METHODS)
        raise SettingError(f"unknown method {method!r}{did_you_mean(str(method), METHODS)} Expected one of {names}")
    cls = METHODS[method]
    for name in given:
        if name not in setting_names(cls):
            methods = ", ".join(key for key, other in METHODS.items() if name in setting_names(other))
            raise SettingError(f"{method} does not take {name}; leave it out, or use one of {methods}")
    return cls(**given)


def setting_names(cls: type[Method]) -> set[str]:
    """Return the names of a method's settings.

    Examples
    --------
    >>> sorted(setting_names(METHODS["iscam"]))
    ['budget', 'samples', 'tolerance', 'variant', 'versus']
    """
    return {field.name for field in fields(cls)}
