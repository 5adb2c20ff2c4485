"""What metrics have the model score: each kind of input is a class, and equal inputs are equal objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.scores import ScoreKind

__all__ = ["BaselineImage", "ImageTimesMap", "ImageWithMap", "PartOfImage", "ScoredInput", "WholeImage"]

Floats = NDArray[np.float32]


class ImageWithMap(Protocol):
    """What inputs are made of: :class:`onnx_cam.metrics.masked_image.MaskedImage` provides it."""

    image: Floats
    """X, (C, H, W)."""

    @property
    def mask(self) -> Floats:
        """``s(U(L))``, (H, W)."""
        ...

    @property
    def importance(self) -> Floats:
        """``L↑``, (H, W) in [0, 1]."""
        ...

    def kept(self, count: int, *, most_important: bool) -> Floats:
        """Return the mask that keeps so many of the most or the least important pixels, (H, W), 0 or 1."""
        ...

    def baseline(self, name: str) -> Floats:
        """Return X_b, (C, H, W)."""
        ...


@dataclass(frozen=True)
class ScoredInput(ABC):
    """An input of the model whose score a metric needs.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class.

    Attributes
    ----------
    depends_on_map : bool
        Whether it is another input for another map of the same image.

    Examples
    --------
    >>> from onnx_cam.metrics import AverageDrop
    >>> AverageDrop().inputs(None)
    (WholeImage(score='probability'), ImageTimesMap(score='probability', keep=1.0))
    """

    depends_on_map: ClassVar[bool] = True

    score: ScoreKind

    @abstractmethod
    def pixels(self, image: ImageWithMap) -> Floats:
        """Return the input for an image and its map, (C, H, W) float32."""

    @abstractmethod
    def __str__(self) -> str:
        """What it is called in messages."""


@dataclass(frozen=True)
class WholeImage(ScoredInput):
    """X, whose score is Y.

    Examples
    --------
    >>> print(WholeImage("logit"))
    the image
    """

    depends_on_map: ClassVar[bool] = False

    def pixels(self, image: ImageWithMap) -> Floats:
        """Return X, (C, H, W) float32."""
        return image.image

    def __str__(self) -> str:
        return "the image"


@dataclass(frozen=True)
class BaselineImage(ScoredInput):
    """X_b.

    Parameters
    ----------
    score : {"probability", "logit"}
    baseline : {"zero", "black", "mean", "blur"}

    Examples
    --------
    >>> print(BaselineImage("logit", "blur"))
    the baseline 'blur'
    """

    depends_on_map: ClassVar[bool] = False

    baseline: str

    def pixels(self, image: ImageWithMap) -> Floats:
        """Return X_b, (C, H, W) float32."""
        return image.baseline(self.baseline)

    def __str__(self) -> str:
        return f"the baseline '{self.baseline}'"


@dataclass(frozen=True)
class ImageTimesMap(ScoredInput):
    """``X ⊙ L↑``, whose score is O; L↑ is 0 outside a share of the most important pixels.

    Parameters
    ----------
    score : {"probability", "logit"}
    keep : float
        The share of pixels that the map keeps.

    Examples
    --------
    >>> print(ImageTimesMap("logit", 1.0))
    the image times the map
    """

    keep: float

    def pixels(self, image: ImageWithMap) -> Floats:
        """Return ``X ⊙ L↑``, (C, H, W) float32."""
        if self.keep == 1:
            return image.image * image.mask
        kept = image.kept(max(1, round(self.keep * image.mask.size)), most_important=True)
        return image.image * (image.importance * kept)

    def __str__(self) -> str:
        return "the image times the map"


@dataclass(frozen=True)
class PartOfImage(ScoredInput):
    """``X ⊙ m + X_b ⊙ (1 − m)``: some pixels of the image, and the baseline in place of the others.

    Parameters
    ----------
    score : {"probability", "logit"}
    baseline : {"zero", "black", "mean", "blur"}
        X_b.
    pixels_kept : int
        How many pixels are the image's: those where m is 1.
    most_important : bool
        Whether these are the most important pixels, or the least important ones.

    Examples
    --------
    >>> print(PartOfImage("logit", "blur", pixels_kept=100, most_important=True))
    the baseline 'blur' with 100 pixels of the image
    """

    baseline: str
    pixels_kept: int
    most_important: bool

    def pixels(self, image: ImageWithMap) -> Floats:
        """Return the image on the baseline, (C, H, W) float32."""
        mask = image.kept(self.pixels_kept, most_important=self.most_important)  # m, (H, W)
        outside = image.baseline(self.baseline)
        return (image.image - outside) * mask + outside

    def __str__(self) -> str:
        return f"the baseline '{self.baseline}' with {self.pixels_kept} pixels of the image"
