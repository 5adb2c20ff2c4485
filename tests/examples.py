"""The files that the documents' and docstrings' examples find in their working directory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from onnx_cam.classifier.labels import METADATA_KEY
from tests import tiny

__all__ = ["imagenet_model", "write_example_files", "write_pictures"]

CLASSES = ["bird", "cat", "fish", "dog"]
TINTS = {"cat.jpg": (1.0, 0.8, 0.2), "dog.jpg": (0.2, 0.3, 1.0)}
"""Orange noise is classified as "cat", and blue noise as "dog"."""

PHOTOS = "file,label,x0,y0,x1,y1\ncat.jpg,cat,8,4,35,27\ndog.jpg,dog,12,6,43,31\n"


def write_example_files(folder: Path) -> None:
    """Write a tiny model of four named classes, its class names, two pictures, and a dataset of these."""
    tiny.save(tiny.model(seed=3, metadata={METADATA_KEY: json.dumps(CLASSES)}), folder, "model.onnx")
    (folder / "labels.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    (folder / "photos.csv").write_text(PHOTOS, encoding="utf-8")
    write_pictures(folder)
    picture(TINTS["cat.jpg"]).save(folder / "cat.png")


def write_pictures(folder: Path) -> None:
    """Write ``cat.jpg`` and ``dog.jpg``."""
    for name, tint in TINTS.items():
        picture(tint).save(folder / name, quality=95)


def picture(tint: tuple[float, float, float]) -> Image.Image:
    """Return smooth noise of one colour, 48 pixels wide and 36 high."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3))  # (H, W, 3)
    return Image.fromarray((noise * tint).astype(np.uint8)).resize((48, 36), Image.Resampling.BICUBIC)


def imagenet_model(layer: str) -> onnx.ModelProto:
    """Return the tiny network with a thousand classes; its last layer has the given name."""
    weights = tiny.weights()
    generator = np.random.default_rng(0)
    weights["w3"] = generator.standard_normal((1000, tiny.CHANNELS), np.float32)
    weights["b3"] = np.zeros(1000, np.float32)
    nodes = tiny.body()
    for node in nodes:
        for names in (node.input, node.output):
            names[:] = [layer if name == "relu2" else name for name in names]
    return tiny.build(
        nodes,
        weights,
        image=["batch", 3, tiny.SIZE, tiny.SIZE],
        outputs=[tiny.value_info("logits", ["batch", 1000])],
    )
