"""The check that the extra is installed."""

from __future__ import annotations

import importlib

from onnx_cam.errors import MissingExtraError

__all__ = ["import_extra"]

_PACKAGES = ("starlette", "uvicorn", "python_multipart")


def import_extra() -> None:
    """Import what the other modules of this package need.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    for name in _PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"onnx-cam serve needs {name}, which is not installed; install it with: pip install 'onnx-cam[serve]'"
            ) from error
