"""A preprocessing given as steps: resize, crop, normalise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from onnx_cam.image.configurations.values import NO_MEAN, NO_STD, not_applied
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Interpolation, LibraryName, Resize, Size

__all__ = ["Placement", "Steps", "place"]


@dataclass(frozen=True)
class Placement:
    """How an image becomes as large as the network's input, in the terms of :class:`.preprocessing.Preprocessing`."""

    resize: Resize
    crop_pct: float
    size: Size | None


def place(resized: int | Size | None, crop: Size | None) -> Placement:
    """Return the placement of an image that is resized, and then cropped at its centre.

    Parameters
    ----------
    resized : int, tuple of int or None
        The length of the shorter side, whose image keeps its aspect ratio; or ``(H, W)``; or None where the image keeps
        its own size.
    crop : tuple of int or None
        ``(H, W)``.

    Raises
    ------
    ValueError
        The image is resized to one aspect ratio and cropped to another.

    Examples
    --------
    >>> place(256, (224, 224))
    Placement(resize='shorter-side', crop_pct=0.875, size=(224, 224))
    >>> place((256, 256), (224, 224)).resize, place((224, 224), None).resize
    ('stretch-crop', 'stretch')
    """
    if isinstance(resized, int):
        size = crop or (resized, resized)
        return Placement("shorter-side", min(size) / resized, size)
    if crop is None:
        return Placement("cover", 1.0, None) if resized is None else Placement("stretch", 1.0, resized)
    if resized is None:
        return Placement("crop", 1.0, crop)
    if resized == crop:
        return Placement("stretch", 1.0, crop)
    crop_pct = crop[0] / resized[0]
    if round(crop[1] / crop_pct) != resized[1]:
        raise ValueError(f"a crop of {crop[0]}×{crop[1]} of an image of {resized[0]}×{resized[1]} is not supported")
    return Placement("stretch-crop", crop_pct, crop)


@dataclass
class Steps:
    """What the steps that were read so far come to.

    Attributes
    ----------
    resized : int, tuple of int or None
        The shorter side or ``(H, W)`` of the resized image; None where no step resizes.
    crop : tuple of int or None
        ``(H, W)`` of the centre that is cropped.
    crop_first : float or None
        The crop's side divided by the image's shorter side, where it is cropped before it is resized.
    interpolation, library, channels, scale, mean, std
        As in :class:`.preprocessing.Preprocessing`.
    unapplied : list of str
        Steps and settings that are not applied.
    """

    resized: int | Size | None = None
    crop: Size | None = None
    crop_first: float | None = None
    interpolation: Interpolation = "linear"
    library: LibraryName = "opencv"
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = NO_MEAN
    std: tuple[float, ...] = NO_STD
    unapplied: list[str] | None = None

    def skip(self, *names: str) -> None:
        """Note steps or settings that are not applied."""
        self.unapplied = [*(self.unapplied or []), *names]

    def set_resized(self, resized: int | Size) -> None:
        """Add a step that resizes.

        Raises
        ------
        ValueError
            The image was resized or cropped before.
        """
        if self.resized is not None or self.crop is not None:
            raise ValueError("an image that is resized after another resizing or a crop is not supported")
        self.resized = resized

    def set_crop(self, crop: Size) -> None:
        """Add a step that crops the centre."""
        if self.crop is not None:
            raise ValueError("two crops are not supported")
        self.crop = crop

    def preprocessing(self) -> Preprocessing:
        """Return the preprocessing that the steps come to."""
        if self.crop_first is None:
            placement = place(self.resized, self.crop)
        elif self.resized is None:
            placement = Placement("crop-first", self.crop_first, self.crop)
        else:
            raise ValueError("a crop in EfficientNet's style after a resizing is not supported")
        return replace(
            Preprocessing("custom", resize=placement.resize, crop_pct=placement.crop_pct, size=placement.size),
            interpolation=self.interpolation,
            library=self.library,
            channels=self.channels,
            scale=self.scale,
            mean=self.mean,
            std=self.std,
            notes=not_applied(self.unapplied or ()),
        )
