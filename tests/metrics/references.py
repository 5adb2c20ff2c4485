"""What the references of the metrics have in common: the tiny network, one forward pass at a time, and slow maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from PIL import Image

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from tests import tiny
from tests.oracle import Array, Case, Network, s, scorecam_paper, upsample

Pixels = NDArray[np.uint8]

SIDE = 40  # pixels of a picture


def load(folder: Path, proto: onnx.ModelProto | None = None, preprocess: Any = "unit", **settings: Any) -> Classifier:
    path = tiny.save(tiny.model(seed=3) if proto is None else proto, folder)
    return onnx_cam.load(path, device="cpu", preprocess=preprocess, **settings)


def network_of(classifier: Classifier, layer: str = "relu2") -> Network:
    return Network(classifier.facts.proto, layer, "logits")


def picture(seed: int, height: int = SIDE, width: int = SIDE) -> Pixels:
    """Return smooth colours, (H, W, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def save_picture(folder: Path, seed: int, **size: int) -> Path:
    path = folder / f"{seed}.png"
    Image.fromarray(picture(seed, **size)).save(path)
    return path


def raised(cam: Array, size: tuple[int, int] = (tiny.SIZE, tiny.SIZE)) -> Array:
    """``L↑ = s(U(L))``; zeros for a constant map."""
    return np.zeros(size) if cam.max() == cam.min() else s(upsample(cam.astype(np.float64), size))


def scorecam(network: Network, target: int) -> Callable[[Array], Array]:
    """Return what computes the Score-CAM map of an input, (h, w)."""
    return lambda x: scorecam_paper(Case(network, np.asarray(x, np.float64), target))


def unit(values: Array) -> Array:
    return np.asarray(values / np.sqrt((values**2).sum()), np.float64)
