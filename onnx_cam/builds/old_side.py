"""The old side of a comparison: a build that runs, or the baseline that was kept of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from onnx_cam.builds.build import Build, MapSettings
from onnx_cam.builds.draw import Draw, draw_images
from onnx_cam.builds.images import ComparedImage
from onnx_cam.builds.matching import OldLayer, old_layer
from onnx_cam.builds.views import BuildView
from onnx_cam.classifier.labels import Labels
from onnx_cam.image.picture import Picture

__all__ = ["OldSide", "RunningBuild"]


class OldSide(Protocol):
    """What a comparison needs of the old build."""

    @property
    def labels(self) -> Labels:
        """The names of its classes."""

    @property
    def layer(self) -> OldLayer:
        """The layer that its maps are of."""

    def describe(self) -> dict[str, Any]:
        """Return what the build is, as plain JSON values."""

    def draw(self, images: Sequence[ComparedImage]) -> Draw:
        """Return which of the images get maps."""

    def look(
        self, image: ComparedImage, among: Sequence[int], settings: MapSettings | None
    ) -> tuple[BuildView, Picture | None]:
        """Return what the build says about an image, with the map where there are settings, and the decoded image."""


@dataclass(frozen=True)
class RunningBuild:
    """An old build whose file is there.

    Attributes
    ----------
    build : Build
    is_chosen : bool
        Whether the user named its layer.
    maps : int
        On how many images maps are compared.
    seed : int
        Of their draw.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> side = RunningBuild(Build(model, model.preprocessing, model.layer()), is_chosen=False, maps=100, seed=0)
    >>> side.layer.name
    'relu2'
    """

    build: Build
    is_chosen: bool
    maps: int
    seed: int

    @property
    def labels(self) -> Labels:
        """The names of its classes."""
        return self.build.classifier.labels

    @property
    def layer(self) -> OldLayer:
        """The layer that its maps are of."""
        return old_layer(self.build.classifier, self.build.layer, is_chosen=self.is_chosen)

    def describe(self) -> dict[str, Any]:
        """Return what the build is, as plain JSON values."""
        return self.build.describe()

    def draw(self, images: Sequence[ComparedImage]) -> Draw:
        """Return which of the images get maps."""
        return draw_images(images, self.maps, self.seed)

    def look(
        self, image: ComparedImage, among: Sequence[int], settings: MapSettings | None
    ) -> tuple[BuildView, Picture | None]:
        """Return what the build says about an image, with the map where there are settings, and the decoded image."""
        picture = self.build.open(image.source)
        decoded = picture if self.build.preprocessing is not None else None
        return self.build.look(picture, among, settings), decoded
