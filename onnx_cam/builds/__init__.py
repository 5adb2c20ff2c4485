"""Two builds of one model compared: what they predict, and where they look."""

from __future__ import annotations

from onnx_cam.builds.result import Diff
from onnx_cam.builds.run import diff
from onnx_cam.builds.saving import save_baseline

__all__ = ["Diff", "diff", "save_baseline"]
