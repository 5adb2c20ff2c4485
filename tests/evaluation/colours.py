"""A dataset of four colours, and a network that tells them apart: what it looks at is known by construction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

from tests import tiny

Pixels = NDArray[np.uint8]

COLOURS = np.array([[230, 40, 40], [40, 230, 40], [40, 40, 230], [220, 220, 40]])
"""Red, green, blue and yellow."""

DIRECTIONS = np.array([[1, -0.8, -0.8], [-0.8, 1, -0.8], [-0.8, -0.8, 1], [0.6, 0.6, -1.5]], np.float32)


def picture(colour: int, seed: int, side: int = 40) -> Pixels:
    """Return noise of one colour, (H, W, 3)."""
    noise = np.random.default_rng(seed).integers(-30, 31, (side // 5, side // 5, 1))
    return np.kron(np.clip(COLOURS[colour] + noise, 0, 255), np.ones((5, 5, 1))).astype(np.uint8)


def write_dataset(folder: Path, count: int = 12, colours: int = 4) -> Path:
    """Write pictures of all colours in turn, and the CSV of their labels, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,label"]
    for i in range(count):
        Image.fromarray(picture(i % colours, i)).save(folder / f"{i}.png")
        lines.append(f"{i}.png,{i % colours}")
    table = folder / "photos.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def network(size: int | str = tiny.SIZE, scale: float = 40.0) -> onnx.ModelProto:
    """Return the network: each of four channels answers to a colour, and each class reads its channel's mean.

    The layer is ``relu1``; behind it the channels are mixed a little, so that no weight is zero.
    """
    mixed = np.full((4, 4), -0.1, np.float32) + np.eye(4, dtype=np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["conv1"], strides=[2, 2]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("GlobalAveragePool", ["relu1"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w2", "b2"], ["logits"], transB=1),
    ]
    weights = {
        "w1": np.repeat(np.repeat(DIRECTIONS[:, :, None, None] / 4, 2, axis=2), 2, axis=3),
        "w2": scale * mixed,
        "b2": np.zeros(4, np.float32),
    }
    return tiny.build(nodes, weights, image=["batch", 3, size, size], outputs=[tiny.value_info("logits", ["batch", 4])])
