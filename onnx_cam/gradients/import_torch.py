"""The check that torch is installed."""

from __future__ import annotations

import importlib

from onnx_cam.errors import MissingExtraError

__all__ = ["import_torch"]


def import_torch() -> None:
    """Import torch, so that the other modules of this package can.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        importlib.import_module("torch")
    except ImportError as error:
        raise MissingExtraError(
            "gradient methods need torch, which is not installed; install it with: pip install 'onnx-cam[torch]'"
        ) from error
