"""What a run stores of each image and of each map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.frame import Frame
from onnx_cam.image.geometry import Geometry
from onnx_cam.metrics.base import Measurement

__all__ = ["Corners", "ImageFacts", "MeasuredMap", "MoreFigures", "SeenImage"]

Corners = tuple[float, float, float, float]
"""A box ``(x0, y0, x1, y1)`` in continuous pixels of the image."""


@dataclass(frozen=True)
class ImageFacts:
    """What the dataset and the model say about an image.

    Attributes
    ----------
    label : int or None
        The class that the dataset gives the image, as a position in the model's output; None where it gives none.
    label_name : str or None
        The model's name of that class, where it has names.
    predicted : int
        The class that the model predicts.
    predicted_name : str or None
    score : float
        The probability of the predicted class.
    width, height : int
        Of the image, in pixels.
    crop : tuple of int
        ``(x0, y0, x1, y1)``, the part of the image that the network sees.
    cells : tuple of float
        ``(top, left, bottom, right)``, the part of a map that lies within the crop, in fractions of the map.
    boxes : tuple of Corners
        Where a map of the predicted class should lie.
    mosaic : str
        Which other images make up its mosaic, or why there is none; empty where no metric needs one.

    Examples
    --------
    >>> facts = ImageFacts(1, "cat", 1, "cat", 0.62, width=48, height=36, crop=(6, 0, 42, 36), boxes=((8, 4, 36, 28),))
    >>> facts.is_right
    True
    >>> ImageFacts.from_json(facts.as_json()) == facts
    True
    """

    label: int | None
    label_name: str | None
    predicted: int
    predicted_name: str | None
    score: float
    width: int
    height: int
    crop: tuple[int, int, int, int]
    boxes: tuple[Corners, ...] = ()
    cells: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    mosaic: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the model predicts the class that the dataset labels the image with."""
        return self.predicted == self.label

    @property
    def geometry(self) -> Geometry:
        """Where a map lies in the image."""
        return Geometry(self.height, self.width, self.crop, Frame(*self.cells))

    def as_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return {
            **asdict(self),
            "crop": list(self.crop),
            "cells": list(self.cells),
            "boxes": [list(box) for box in self.boxes],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> ImageFacts:
        """Return the facts that `as_json` wrote; damaged ones raise LookupError, TypeError or ValueError."""
        x0, y0, x1, y1 = content["crop"]
        top, left, bottom, right = content.get("cells", (0.0, 0.0, 1.0, 1.0))
        return cls(
            label=content["label"],
            label_name=content["label_name"],
            predicted=content["predicted"],
            predicted_name=content["predicted_name"],
            score=content["score"],
            width=content["width"],
            height=content["height"],
            crop=(x0, y0, x1, y1),
            cells=(float(top), float(left), float(bottom), float(right)),
            boxes=tuple((a, b, c, d) for a, b, c, d in content["boxes"]),
            mosaic=content.get("mosaic", ""),
        )


@dataclass(frozen=True)
class SeenImage:
    """An image of the dataset after the model has seen it.

    Attributes
    ----------
    sha256 : str
        The hash of the image's file.
    name : str
        Its name in the dataset.
    path : str
        Where the file lies.
    facts : ImageFacts
    picture : bytes
        A JPEG of the whole image, no side longer than 400 pixels.

    Examples
    --------
    >>> facts = ImageFacts(None, None, 1, "cat", 0.62, width=48, height=36, crop=(6, 0, 42, 36))
    >>> SeenImage("ab12", "cat.jpg", "photos/cat.jpg", facts, picture=b"").facts.predicted_name
    'cat'
    """

    sha256: str
    name: str
    path: str
    facts: ImageFacts
    picture: bytes


@dataclass(frozen=True)
class MeasuredMap:
    """A map, the record of how it was made, and its figures.

    Attributes
    ----------
    image, method : str
        The image's hash, and the key of the method.
    cam : ndarray of shape (h, w), float32
        L, the map at the layer's resolution.
    record : mapping
        The record of :meth:`onnx_cam.Explanation.record`, and ``measuring_passes``: the forward passes that the figures
        take. One that several maps share counts for each of them.
    figures : mapping of str to Measurement
        By the keys of the metrics.
    is_last : bool
        Whether the run has no more figures of the map to come.

    Examples
    --------
    >>> made = MeasuredMap("ab12", "[...]", np.eye(2, dtype=np.float32), {"passes": 7}, {"drop": Measurement(12.5)})
    >>> made.figures["drop"].value
    12.5
    >>> made.is_empty
    False
    """

    image: str
    method: str
    cam: NDArray[np.float32]
    record: Mapping[str, Any]
    figures: Mapping[str, Measurement] = field(default_factory=dict)
    is_last: bool = True

    @property
    def passes(self) -> float:
        """The forward passes that the map and these figures took."""
        return float(self.record["passes"] + self.record["measuring_passes"])

    @property
    def is_empty(self) -> bool:
        """Whether the map says nothing: it is zero, or the same, everywhere."""
        return bool(self.cam.max() == self.cam.min())


@dataclass(frozen=True)
class MoreFigures:
    """Further figures of a map that is stored already.

    Attributes
    ----------
    image, method : str
        The image's hash, and the key of the method.
    figures : mapping of str to Measurement
        By the keys of the metrics.
    passes : float
        The forward passes that they took.
    is_last : bool
        Whether the run has no more figures of the map to come.

    Examples
    --------
    >>> MoreFigures("ab12", "[...]", {"stability": Measurement(0.1)}, passes=3).is_last
    True
    """

    image: str
    method: str
    figures: Mapping[str, Measurement]
    passes: float
    is_last: bool = True
