"""The version of ONNX Runtime, for tests of what older ones cannot do or do wrongly."""

from __future__ import annotations

import onnxruntime

__all__ = ["ONNXRUNTIME"]

ONNXRUNTIME = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
"""Major and minor."""
