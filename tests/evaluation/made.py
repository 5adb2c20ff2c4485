"""Evaluations of known figures, made in code."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onnx_cam.evaluation.results.evaluation import Evaluation, figure_key
from onnx_cam.evaluation.results.records import Corners, ImageFacts, MeasuredMap, SeenImage
from onnx_cam.metrics import Measurement, Metric

Values = Mapping[str, Sequence[float | None]]
Figures = Mapping[Metric, Values]


def evaluation(
    figures: Figures,
    *,
    empty: Mapping[str, Sequence[int]] | None = None,
    curves: Mapping[str, Sequence[Sequence[float]]] | None = None,
    facts: Mapping[str, Any] | None = None,
    boxes: tuple[Corners, ...] = (),
) -> Evaluation:
    """Return an evaluation with these values: one an image, by metric and method.

    The maps named in `empty`, by method and image, are zero; `curves` are those of every metric.
    """
    methods = list(next(iter(figures.values())))
    number = len(next(iter(figures.values()))[methods[0]])
    images = [SeenImage(f"{i:064x}", f"{i}.png", f"{i}.png", image_facts(boxes=boxes), jpeg()) for i in range(number)]
    maps = {}
    for method in methods:
        for i, image in enumerate(images):
            cam = np.zeros((2, 2), np.float32) if i in (empty or {}).get(method, ()) else np.eye(2, dtype=np.float32)
            curve = tuple(curves[method][i]) if curves else ()
            measured = {
                figure_key(metric, image.facts): Measurement(values[method][i], curve)
                for metric, values in figures.items()
            }
            record = {"passes": 3, "seconds": 0.5}
            maps[image.sha256, method] = MeasuredMap(image.sha256, method, cam, record, measured)
    return Evaluation(Path("run"), dict(facts or {}), {m: m for m in methods}, tuple(figures), tuple(images), maps)


def image_facts(**changes: Any) -> ImageFacts:
    """Return the facts of an image of 40×20 pixels that the network sees whole, with changes."""
    facts = ImageFacts(None, None, 0, None, 0.5, width=40, height=20, crop=(0, 0, 40, 20))
    return replace(facts, **changes)


def jpeg(width: int = 40, height: int = 20, grey: int = 200) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (grey, grey, grey)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
