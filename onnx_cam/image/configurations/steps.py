"""A preprocessing given as steps: resize, crop, normalise."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from onnx_cam.image.configurations.values import NO_MEAN, NO_STD, Config, not_applied, other_keys
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import Interpolation, LibraryName, Resize, Size

__all__ = ["AddStep", "Placement", "Steps", "changes_no_pixels", "place"]


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
    unapplied: list[str] = field(default_factory=list)

    def add(
        self, name: str, settings: Config, known_steps: Mapping[str, AddStep], ignored: Collection[str] = ()
    ) -> None:
        """Add a step of that name; note it, or those of its settings but the ignored ones, that are not applied."""
        add_step = known_steps.get(name)
        if add_step is None:
            self.skip(name)
        else:
            known = add_step(self, settings)
            self.skip(*(f"{name}.{key}" for key in other_keys(settings, known | set(ignored))))

    def skip(self, *names: str) -> None:
        """Note steps or settings that are not applied."""
        self.unapplied += names

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
        return Preprocessing(
            "custom",
            resize=placement.resize,
            crop_pct=placement.crop_pct,
            size=placement.size,
            interpolation=self.interpolation,
            library=self.library,
            channels=self.channels,
            scale=self.scale,
            mean=self.mean,
            std=self.std,
            notes=not_applied(self.unapplied),
        )


AddStep: TypeAlias = Callable[[Steps, Config], set[str]]
"""Adds a step with its settings, and returns the names of the settings that it knows."""


def changes_no_pixels(steps: Steps, settings: Config) -> set[str]:
    """Add a step that leaves pixels as they are, whatever its settings.

    Examples
    --------
    >>> changes_no_pixels(Steps(), {"keep_keys": ["image"]})
    {'keep_keys'}
    """
    return set(map(str, settings))
