"""Images with labels and boxes, in the layouts that datasets come in."""

from __future__ import annotations

from onnx_cam.evaluation.datasets.boxes import Box
from onnx_cam.evaluation.datasets.classes import class_index
from onnx_cam.evaluation.datasets.formats import FORMATS, open_dataset
from onnx_cam.evaluation.datasets.sample import Dataset, Sample
from onnx_cam.evaluation.datasets.selection import choose

__all__ = ["FORMATS", "Box", "Dataset", "Sample", "choose", "class_index", "open_dataset"]
