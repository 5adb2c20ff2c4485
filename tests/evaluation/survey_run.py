"""Runs for the tests of the survey: one that was really made, and ones whose maps are chosen by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import onnx_cam
from onnx_cam.evaluation import Evaluation, evaluate
from onnx_cam.evaluation.results.records import MeasuredMap, SeenImage
from tests import tiny
from tests.evaluation.made import image_facts

Maps = Mapping[str, NDArray[np.float32]]

SIDE = 60
REAL_METHODS = ("scorecam", "cam", "gradcam", "sscam2:sigma=0.1", "equal")
LABELS = ("owl", "lamp & <b>shade</b>", "boat", "cup")


def evaluate_tiny(folder: Path, count: int = 8) -> Path:
    """Evaluate the tiny network on pictures of noise; return the run's folder."""
    photos = folder / "secret-photos"
    photos.mkdir(parents=True)
    for i in range(count):
        coarse = np.random.default_rng(i).integers(0, 256, (6, 5, 3), np.uint8)
        pixels = np.kron(coarse, np.ones((SIDE // 5, SIDE // 5, 1), np.uint8))
        Image.fromarray(pixels).save(photos / f"picture-{i}.png")
    (folder / "labels.txt").write_text("\n".join(LABELS))
    model = tiny.save(tiny.model(), folder)
    classifier = onnx_cam.load(model, device="cpu", preprocess="unit", labels=str(folder / "labels.txt"))
    evaluate(classifier, photos, methods=",".join(REAL_METHODS), metrics="average-drop", samples=2, out=folder / "run")
    return folder / "run"


def handmade(
    cams: Sequence[Maps], *, size: tuple[int, int] = (30, 40), crop: tuple[int, int, int, int] = (0, 0, 40, 30)
) -> Evaluation:
    """Return a run whose images have these maps; the small copies are as large as the images."""
    images, maps = [], {}
    for i, of_methods in enumerate(cams):
        name = f"image-{i}.png"
        facts = image_facts(width=size[1], height=size[0], crop=crop, predicted=i % 4)
        images.append(SeenImage(f"{i:064x}", name, f"/photos/{name}", facts, _picture(size, i)))
        for method, cam in of_methods.items():
            maps[images[-1].sha256, method] = MeasuredMap(images[-1].sha256, f"key of {method}", cam, {})
    methods = {method: f"key of {method}" for method in cams[0]}
    return Evaluation(Path("run"), {"layer": "relu2"}, methods, (), tuple(images), maps)


def noise(seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((5, 5), np.float32)


def distinct(images: int, methods: Sequence[str]) -> list[Maps]:
    return [{name: noise(100 * i + j) for j, name in enumerate(methods)} for i in range(images)]


def _picture(size: tuple[int, int], seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(60, 200, (*size, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
