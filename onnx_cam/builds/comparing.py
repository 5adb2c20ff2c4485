"""The work of a comparison: image after image, what the old side and the new build say about it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnx_cam.builds.build import Build, MapSettings
from onnx_cam.builds.compared import ImageDiff
from onnx_cam.builds.draw import Draw
from onnx_cam.builds.images import ComparedImage
from onnx_cam.builds.matching import ClassMatch
from onnx_cam.builds.old_side import OldSide
from onnx_cam.builds.progress_file import ProgressFile
from onnx_cam.builds.steps import Steps
from onnx_cam.errors import ImageError
from onnx_cam.runtime.scorer import Progress

__all__ = ["Comparing"]


@dataclass(frozen=True)
class Comparing:
    """What is the same for every image of a comparison.

    Attributes
    ----------
    old : OldSide
    new : Build
    classes : ClassMatch
    settings : MapSettings

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.builds.images import read_image_set
    >>> from onnx_cam.builds.old_side import RunningBuild
    >>> model = onnx_cam.load("model.onnx")
    >>> build = Build(model, model.preprocessing, model.layer())
    >>> side = RunningBuild(build, is_chosen=False, maps=1, seed=0)
    >>> comparing = Comparing(side, build, ClassMatch((0, 1, 2, 3), (0, 1, 2, 3)), MapSettings(onnx_cam.GradCAM(), 0))
    >>> images = read_image_set(["cat.jpg", "dog.jpg"], None).images
    >>> compared, _ = comparing.work(images, side.draw(images), ProgressFile({}), None)
    >>> [image.old.predicted for image in compared], sum(image.distance is not None for image in compared)
    ([1, 3], 1)
    """

    old: OldSide
    new: Build
    classes: ClassMatch
    settings: MapSettings

    def describe(self) -> dict[str, Any]:
        """Return everything that what is said about an image depends on, as plain JSON values."""
        classes = json.dumps([self.classes.old, self.classes.new])
        return {
            "old": self.old.describe(),
            "new": self.new.describe(),
            "settings": self.settings.describe(),
            "classes": hashlib.sha256(classes.encode()).hexdigest(),
        }

    def work(
        self, images: Sequence[ComparedImage], draw: Draw, done: ProgressFile, progress: Progress | None
    ) -> tuple[tuple[ImageDiff, ...], dict[str, str]]:
        """Compare the builds on images.

        Parameters
        ----------
        images : sequence of ComparedImage
        draw : Draw
            Which of them get maps.
        done : ProgressFile
            What is known already, and where the rest is kept.
        progress : callable, optional
            Called with the steps done and the steps expected in all.

        Returns
        -------
        tuple of ImageDiff
            In the order of the images.
        dict of str to str
            Why an image could not be used, by its name.

        Raises
        ------
        ImageError
            No image can be used.
        """
        steps = Steps(len(images), len(draw.drawn) + draw.others, progress)
        unreadable: dict[str, str] = {}
        # Every image: what both builds predict and, for those that were drawn, the maps, from the same runs.
        for image in images:
            has_map = image.sha256 in draw.drawn
            try:
                self._compare(image, done, has_map=has_map)
            except ImageError as error:
                unreadable[image.name] = str(error)
            steps.finish(has_map=has_map)
        usable = [image for image in images if image.name not in unreadable]
        if not usable:
            raise ImageError(
                f"none of the {len(images)} images can be used, the first because: {next(iter(unreadable.values()))}"
            )
        # Then the maps of those whose scores moved most.
        for image in self._moved_most(usable, draw, done):
            self._compare(image, done, has_map=True)
            steps.finish_map()
        mapped = draw.drawn | {image.sha256 for image in self._moved_most(usable, draw, done)}
        return tuple(self._image_diff(image, draw, done, mapped) for image in usable), unreadable

    def _compare(self, image: ComparedImage, done: ProgressFile, *, has_map: bool) -> None:
        """Show an image to both builds, unless what they say is known; the class is the one that the old predicts."""
        known = done.views.get(image.sha256)
        if known is not None and (not has_map or known[1].map is not None):
            return
        settings = self.settings if has_map else None
        old, picture = self.old.look(image, self.classes.old, settings)
        target = self.classes.to_new(old.predicted)
        assert target is not None  # it is the likeliest of the classes that both have
        new = self.new.look_for(self.new.open(image.source, picture), target, self.classes.new, settings)
        done.add(image.sha256, old, new)

    def _moved_most(self, images: Sequence[ComparedImage], draw: Draw, done: ProgressFile) -> list[ComparedImage]:
        """Return the images, beside those that were drawn, of which the old class's probability changed most."""
        others = [image for image in images if image.sha256 not in draw.drawn]

        def drift(image: ComparedImage) -> float:
            old, new = done.views[image.sha256]
            return abs(new.probability - old.probability)

        return sorted(others, key=drift, reverse=True)[: draw.others]

    def _image_diff(
        self, image: ComparedImage, draw: Draw, done: ProgressFile, mapped: frozenset[str] | set[str]
    ) -> ImageDiff:
        old, new = done.views[image.sha256]
        if image.sha256 not in mapped:  # an earlier call may have made maps of more images
            old, new = replace(old, map=None, floor=None), replace(new, map=None)
        return ImageDiff(image, old, new, self.classes, is_drawn=image.sha256 in draw.drawn)
