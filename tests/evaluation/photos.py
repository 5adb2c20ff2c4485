"""A small dataset, made in code: pictures, a CSV of labels and boxes, and a model that takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper
from PIL import Image

from tests import tiny

SIDE = 40


def write_dataset(folder: Path, count: int = 5) -> Path:
    """Write pictures and their CSV; return the CSV. Labels are 0 to 3, the fifth picture has no box."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,label,x0,y0,x1,y1"]
    for i in range(count):
        coarse = np.random.default_rng(i).integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(np.kron(coarse, np.ones((SIDE // 5, SIDE // 5, 1), np.uint8))).save(folder / f"{i}.png")
        box = "" if i == 4 else f"{2 + i},{3 + i},{20 + i},{25 + i}"
        lines.append(f"{i}.png,{i % tiny.CLASSES},{box or ',,,'}")
    table = folder / "photos.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def write_model(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return tiny.save(tiny.model(seed=seed), folder, f"tiny{seed}.onnx")


def write_model_without_cam(folder: Path) -> Path:
    """Write a model with a ReLU after its linear layer: CAM cannot work on it."""
    tail = [helper.make_node("Relu", ["logits"], ["bent"]), helper.make_node("Gemm", ["bent", "w4"], ["scores"])]
    model = tiny.model(tail=tail, output="scores")
    model.graph.initializer.append(numpy_helper.from_array(np.eye(tiny.CLASSES, dtype=np.float32), "w4"))
    return tiny.save(model, folder, "bent.onnx")
