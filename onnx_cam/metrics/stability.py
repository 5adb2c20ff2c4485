"""Stability: how far a map moves where the image hardly changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.image.changes import central_crop, mirror_image, with_noise
from onnx_cam.image.geometry import Geometry
from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.runtime.map_distance import FARTHEST, map_change

__all__ = ["Stability"]

Floats = NDArray[np.float32]
Placed = tuple[Floats, Geometry]
"""A map at the layer's resolution, and where it lies in the image."""

_CROP = 0.95
_GREY_LEVELS = 2.0

_NO_PIXELS = "a network input (.npy) has no pixels to change"


@dataclass(frozen=True)
class Stability(Metric):
    """``‖n(L) − n(L′)‖``: how far the map moves where the image hardly changes; n scales a map to unit length.

    L′ is the map for the same class of the mirror image, mirrored back; of the central 95 % of each side; and of the
    image with noise of two grey levels. Both maps are placed in the image, and compared where both lie. The figure is
    the mean of the three, each from 0 to √2.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import MaskedImage, Stability, explained_image
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> stability = Stability().measure(explained_image(model, "cat.jpg", "gradcam"))
    >>> f"{stability.value:.2f}", {name: f"{part:.2f}" for name, part in stability.parts.items()}
    ('0.10', {'mirror': '0.25', 'crop': '0.03', 'noise': '0.01'})
    """

    name: ClassVar[str] = "stability"
    title: ClassVar[str] = "Stability"
    better: ClassVar[Literal["lower", "higher"] | None] = "lower"
    part_names: ClassVar[tuple[str, ...]] = ("mirror", "crop", "noise")
    explanations: ClassVar[int] = 3

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the mean of the three distances, and each; None for an empty map, and where there are no pixels."""
        picture = image.known_origin.picture
        if picture.decoded is None:
            return Measurement(None, reason=_NO_PIXELS)
        if not image.cam.any():
            return Measurement(None)
        own = image.cam, picture.geometry.seen_by(image.known_origin.layer.geometry.frame)
        changed = (self._of_mirror_image(image), self._of_crop(image), self._of_noisy_image(image))
        distances = [_distance(own, other) for other in changed]
        parts = dict(zip(self.part_names, distances, strict=True))
        return Measurement(sum(distances) / len(distances), parts=parts)

    def _of_mirror_image(self, image: MaskedImage) -> Placed:
        cam, geometry = _explained(image, mirror_image(_pixels(image)))
        return np.ascontiguousarray(cam[:, ::-1]), geometry.mirrored()

    def _of_crop(self, image: MaskedImage) -> Placed:
        crop, top, left = central_crop(_pixels(image), _CROP)
        cam, geometry = _explained(image, crop)
        return cam, geometry.within(_pixels(image).shape[:2], top, left)

    def _of_noisy_image(self, image: MaskedImage) -> Placed:
        origin = image.known_origin
        noisy = with_noise(_pixels(image), _GREY_LEVELS, seed=origin.seed, sha256=origin.picture.sha256)
        return _explained(image, noisy)


def _pixels(image: MaskedImage) -> NDArray[np.uint8]:
    pixels = image.known_origin.picture.decoded
    assert pixels is not None
    return pixels


def _explained(image: MaskedImage, pixels: NDArray[np.uint8]) -> Placed:
    """Return the map of other pixels, and where it lies in them."""
    result = image.explain(image.classifier.open_picture(pixels, image.preprocessing))
    return result.cam, result.geometry


def _distance(first: Placed, second: Placed) -> float:
    """Return the distance of two maps over the part of the image where both lie."""
    area = first[1].common(second[1])
    if area is None:
        return FARTHEST
    return map_change(*(geometry.upsample(cam)[area] for cam, geometry in (first, second)))
