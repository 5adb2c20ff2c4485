"""The versions that a map depends on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from onnx_cam._version import __version__
from onnx_cam.runtime.devices import import_onnxruntime

__all__ = ["package_versions"]

_PACKAGES = {"onnx": "onnx", "numpy": "numpy", "opencv": "opencv-python-headless", "pillow": "pillow", "scipy": "scipy"}
"""The name in records, and the distribution."""


@cache
def package_versions() -> dict[str, str]:
    """Return the versions of the packages that a map depends on; none of them is imported for it, but ONNX Runtime.

    Examples
    --------
    >>> list(package_versions())[:3]
    ['onnx_cam', 'onnxruntime', 'onnx']
    """
    versions = {"onnx_cam": __version__, "onnxruntime": str(import_onnxruntime().__version__)}
    versions |= {name: _installed(package) for name, package in _PACKAGES.items()}
    return {**versions, "python": platform.python_version()}


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # e.g. OpenCV from another distribution
        return "unknown"
