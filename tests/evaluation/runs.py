"""Runs made in code: real maps of a model, measured, and written as an evaluation writes them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import onnx_cam
from onnx_cam.evaluation.finished import Evaluation, figure_key, read_evaluation
from onnx_cam.evaluation.results import FILE_NAME, MeasuredMap, Results, SeenImage
from onnx_cam.metrics import MaskedImage, Metric, choose_metrics
from onnx_cam.picture import open_picture

METHODS = ("scorecam", "sscam1", "iscam")


def write_run(
    folder: Path,
    model: onnx_cam.Classifier,
    images: Mapping[str, NDArray[np.uint8]],
    *,
    methods: Sequence[str] = METHODS,
    metrics: Sequence[Metric] | None = None,
    boxes: Mapping[str, list[list[float]]] | None = None,
    empty: Sequence[tuple[str, str]] = (),
    facts: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Explain and measure images, and write a finished run; `empty` are names and methods whose map is put at zero."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = tuple(metrics) if metrics is not None else choose_metrics(steps=8)
    hashes = []
    with Results(folder / FILE_NAME, write=True) as results:
        for name, pixels in images.items():
            seen, maps = _measure(model, name, pixels, methods, measured, (boxes or {}).get(name, []), empty)
            results.add_image(seen)
            for found in maps:
                results.add_map(found)
            hashes.append(seen.sha256)
        chosen = [[metric.name, metric.parameters] for metric in measured]
        asked = {"images": hashes, "methods": {m: m for m in methods}, "metrics": chosen, "facts": dict(facts or {})}
        results.set_run({"asked": asked, "model": str(model.file.path)})
    return read_evaluation(folder)


def _measure(
    model: onnx_cam.Classifier,
    name: str,
    pixels: NDArray[np.uint8],
    methods: Sequence[str],
    metrics: Sequence[Metric],
    boxes: list[list[float]],
    empty: Sequence[tuple[str, str]],
) -> tuple[SeenImage, list[MeasuredMap]]:
    picture = open_picture(pixels, model.preprocessing, model.input.channels, model.size)
    seen, maps = None, []
    for method in methods:
        found = onnx_cam.explain(model, pixels, method=method)
        predicted = found.target.index
        facts = {
            "label": predicted,
            "label_name": found.target.label,
            "predicted": predicted,
            "predicted_name": found.target.label,
            "score": found.target.score,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            "crop": list(found.crop),
            "boxes": boxes,
        }
        seen = SeenImage(found.image_sha256, name, name, facts, _jpeg(pixels))
        cam = np.zeros_like(found.cam) if (name, method) in empty else found.cam
        masked = MaskedImage(
            model,
            picture.network_input,
            predicted,
            cam,
            preprocessing=model.preprocessing,
            boxes=_box_mask(picture.network_input.shape[1:], boxes),
            specificity=found.specificity,
        )
        figures = {figure_key(metric, facts): metric.measure(masked) for metric in metrics}
        maps.append(MeasuredMap(found.image_sha256, method, cam, found.record(), figures))
    assert seen is not None
    return seen, maps


def _box_mask(size: tuple[int, ...], boxes: list[list[float]]) -> NDArray[np.bool_] | None:
    """Return any part of the network's input: which one does not matter to a report."""
    if not boxes:
        return None
    mask = np.zeros(size, bool)
    mask[: size[0] // 2] = True
    return mask


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    small = Image.fromarray(pixels)
    small.thumbnail((400, 400))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
