"""Which images two builds are compared along the network on, and what each build is given for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from onnx_cam.builds.along import AlongTheNetwork, compare_along
from onnx_cam.builds.build import Build
from onnx_cam.builds.compared import ImageDiff
from onnx_cam.builds.noise_floor import add_noise
from onnx_cam.builds.old_side import OldSide, RunningBuild
from onnx_cam.errors import SettingError

__all__ = ["MAX_IMAGES", "check_runs", "compare_images_along"]

Floats = NDArray[np.float32]

MAX_IMAGES = 16
"""The images that the medians along the network are over: their activations at all tensors take time."""


def check_runs(old: OldSide) -> RunningBuild:
    """Return an old build whose file is there, as activations take.

    Raises
    ------
    SettingError
        It is a baseline.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> side = RunningBuild(Build(model, model.preprocessing, model.layer()), is_chosen=False, maps=100, seed=0)
    >>> check_runs(side) is side
    True
    """
    if not isinstance(old, RunningBuild):
        raise SettingError(
            "a baseline holds no activations, so the builds cannot be compared along the network: give the old build's "
            "file, or leave out --layers"
        )
    return old


def compare_images_along(old: Build, new: Build, images: Sequence[ImageDiff], seed: int) -> AlongTheNetwork:
    """Compare two builds along the network on the first of the images that were drawn.

    Parameters
    ----------
    old, new : Build
    images : sequence of ImageDiff
    seed : int
        Of the noise floor.

    Examples
    --------
    >>> import onnx_cam
    >>> images = onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"], preprocess="unit").images
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> build = Build(model, model.preprocessing, model.layer())
    >>> compare_images_along(build, build, images, seed=0).images
    2
    """
    drawn = [image for image in images if image.is_drawn][:MAX_IMAGES]
    return compare_along(old.classifier, new.classifier, _inputs(old, new, drawn, seed))


def _inputs(old: Build, new: Build, images: Sequence[ImageDiff], seed: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield the old build's network input, the same with noise, and the new build's."""
    for image in images:
        picture = old.open(image.image.source)
        noisy = add_noise(picture.network_input, old.preprocessing, seed=seed, sha256=picture.sha256)
        yield picture.network_input, noisy, new.open(image.image.source, picture).network_input
