"""Two builds and photos, made in code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from onnx_cam.classifier.labels import METADATA_KEY
from tests import tiny

NAMES = ("bird", "cat", "fish", "dog")
SIDE = 40

Change = Callable[[NDArray[Any]], NDArray[Any]]


def write_photos(folder: Path, count: int, *, size: tuple[int, int] = (SIDE, SIDE)) -> Path:
    """Write pictures of coloured patches, ``(height, width)`` pixels, and return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), np.uint8)
        picture = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.NEAREST)
        picture.save(folder / f"{number:02d}.png")
    return folder


def write_build(folder: Path, name: str, *, names: tuple[str, ...] | None = None, **changes: Change) -> Path:
    """Write the tiny network; `changes` are made to the weights of those names."""
    made = tiny.model(metadata={METADATA_KEY: json.dumps(names)} if names else None)
    change_weights(made, **changes)
    folder.mkdir(parents=True, exist_ok=True)
    return tiny.save(made, folder, name)


def change_weights(made: onnx.ModelProto, **changes: Change) -> None:
    for weight in made.graph.initializer:
        if weight.name in changes:
            changed = np.asarray(changes.pop(weight.name)(numpy_helper.to_array(weight)), np.float32)
            weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    assert not changes, f"no weights of those names: {sorted(changes)}"


def noisy(share: float) -> Change:
    """Return a change that adds noise, in shares of the weights' own standard deviation."""
    return lambda weight: weight + share * weight.std() * np.random.default_rng(1).standard_normal(weight.shape)


def rotated(weight: NDArray[Any]) -> NDArray[Any]:
    """Return a linear layer whose classes have moved by one."""
    return np.roll(weight, 1, axis=0)
