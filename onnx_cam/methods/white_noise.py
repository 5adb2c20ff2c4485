"""The control that is drawn at random."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.control import PatternControl
from onnx_cam.methods.subject import Subject

__all__ = ["WhiteNoise"]


@dataclass(frozen=True)
class WhiteNoise(PatternControl):
    """White noise at the layer's resolution: every cell is drawn by itself, uniformly from [0, 1).

    The noise depends on the seed and on the network's input, so that every image has noise of its own and a mean over
    images does not hang on a single draw. It does not depend on the class or on the model's weights.

    Examples
    --------
    >>> WhiteNoise().variant
    'control'
    """

    name: ClassVar[str] = "random"

    def pattern(self, subject: Subject) -> NDArray[np.float64]:
        """Return the noise, (h, w), drawn by Philox with the seed and a hash of the input as its key."""
        image = np.ascontiguousarray(subject.scorer.image, "<f4")  # (C, H, W)
        image_key = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "little")
        key = np.array([subject.scorer.seed, image_key], np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).random(subject.maps.shape[1:])
