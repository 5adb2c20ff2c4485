"""A tiny classifier with many channels, so that a part of the passes makes sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.budget.map_error import relative_error
from tests import tiny

CHANNELS = 80
SIZE = 30  # of the image; the maps are 8×8
DEAD = (72, 73)
REPEATED = {74: 0, 75: 1}  # channel: the one that it equals
SCALED = {76: (2, 2.0), 77: (3, 0.5), 78: (4, 4.0)}  # channel: one with the same mask, and its factor
MASKS = CHANNELS - len(DEAD) - len(REPEATED) - len(SCALED)  # that differ
EXACT = MASKS + len(SCALED)  # maps that differ: the passes of an exact map with one sample

_FIRST = 8  # channels of the first convolution


def weights(seed: int = 5) -> dict[str, NDArray[np.float32]]:
    """Return the weights of `tiny.body` with 80 channels; dead, repeated and scaled ones are among them."""
    rng = np.random.default_rng(seed)
    second, bias = rng.standard_normal((CHANNELS, _FIRST, 3, 3)) / 8, rng.standard_normal(CHANNELS) / 8
    second[list(DEAD)], bias[list(DEAD)] = 0, (-1.0, 0.7)
    for channel, (of, factor) in {**{k: (of, 1.0) for k, of in REPEATED.items()}, **SCALED}.items():
        second[channel], bias[channel] = factor * second[of], factor * bias[of]
    made = {
        "w1": rng.standard_normal((_FIRST, 3, 3, 3)) / 5,
        "b1": rng.standard_normal(_FIRST) / 4,
        "w2": second,
        "b2": bias,
        "w3": 8 * rng.standard_normal((tiny.CLASSES, CHANNELS)) / CHANNELS**0.5,
        "b3": rng.standard_normal(tiny.CLASSES) / 2,
    }
    return {name: np.asarray(value, np.float32) for name, value in made.items()}


def model(seed: int = 5, **changed: NDArray[Any]) -> onnx.ModelProto:
    """Return the network; weights can be changed by name."""
    return tiny.build(
        tiny.body(),
        {**weights(seed), **changed},
        image=["batch", 3, SIZE, SIZE],
        outputs=[tiny.value_info("logits", ["batch", tiny.CLASSES])],
    )


def load(folder: Path, seed: int = 5, **changed: NDArray[Any]) -> onnx_cam.Classifier:
    """Return a classifier that has explained nothing yet."""
    return onnx_cam.load(tiny.save(model(seed, **changed), folder, "wide.onnx"), device="cpu", preprocess="none")


def image(seed: int = 1) -> NDArray[np.float32]:
    return tiny.image(seed, SIZE)


def activations(classifier: onnx_cam.Classifier, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return A, (80, 8, 8)."""
    return np.asarray(classifier.sessions.activations(classifier.layer(), x).maps, np.float64)


def left_of(found: onnx_cam.Explanation, exact: onnx_cam.Explanation, maps: NDArray[np.float64]) -> float:
    """Return the relative error of a map, given the exact one and the activation maps (K, h, w)."""
    live = maps[np.ptp(maps, axis=(1, 2)) > 0]
    return relative_error(found.cam.ravel().astype(float), exact.cam.ravel().astype(float), live.sum(axis=0).ravel())


def covered(found: onnx_cam.Explanation, exact: onnx_cam.Explanation) -> float:
    """Return the share of positions at which the exact map lies within the 90 % bars."""
    assert found.error is not None
    return float(np.mean(np.abs(found.cam - exact.cam) <= 1.645 * found.error))
