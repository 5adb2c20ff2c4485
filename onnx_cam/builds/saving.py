"""Keep what later comparisons need of a build, so that its file is not needed any more."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnx_cam.builds.baseline import Baseline, is_baseline, write_baseline
from onnx_cam.builds.draw import random_order
from onnx_cam.builds.images import read_image_set
from onnx_cam.builds.opening import map_settings, open_old_build, suffixes_for
from onnx_cam.builds.steps import Steps
from onnx_cam.builds.views import BuildView
from onnx_cam.errors import ImageError, OutputError

if TYPE_CHECKING:
    from onnx_cam.builds.images import Images
    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.graph.layer import Layer
    from onnx_cam.graph.read import ModelSource
    from onnx_cam.image.preprocessing import Preprocessing
    from onnx_cam.methods import Method
    from onnx_cam.runtime.scorer import Progress

__all__ = ["SavedBaseline", "save_baseline"]


@dataclass(frozen=True)
class SavedBaseline:
    """What was kept of a build.

    Attributes
    ----------
    path : Path
        The file.
    images, maps : int
        How many images it holds, and how many of them with maps.
    left_out : mapping of str to str
        Why an image could not be used, by its name.
    notes : tuple of str
        What the user should know, a line each.

    Examples
    --------
    >>> SavedBaseline(Path("model.baseline"), 40, 40, {}, ()).maps
    40
    """

    path: Path
    images: int
    maps: int
    left_out: Mapping[str, str]
    notes: tuple[str, ...]


def save_baseline(
    old: Classifier | ModelSource,
    images: Images,
    path: str | Path,
    *,
    method: str | Method | None = None,
    layer: str | Layer | None = None,
    variant: str | None = None,
    samples: int | None = None,
    sigma: float | None = None,
    budget: int | float | str | None = None,
    tolerance: float | None = None,
    seed: int | None = None,
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    maps: int | None = None,
    progress: Progress | None = None,
) -> SavedBaseline:
    """Keep what :func:`onnx_cam.diff` needs of an old build: predictions, maps and noise floors, but not the model.

    Parameters
    ----------
    old : Classifier or model
        The build.
    images : Dataset, image or sequence of images
        As for :func:`onnx_cam.diff`, which later takes the same ones.
    path : str or Path
        The file to write; of files that are there, only a baseline is replaced.
    method, layer, variant, samples, sigma, budget, tolerance, seed, preprocess
        As for :func:`onnx_cam.diff`, which later uses the same ones.
    maps : int, optional
        How many images, drawn at random, are kept with maps; 100 by default.
    progress : callable, optional
        Called with the steps done and the steps expected in all.

    Returns
    -------
    SavedBaseline

    Raises
    ------
    OnnxCamError
        A subclass of it says what is wrong; see :mod:`onnx_cam.errors`.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.save_baseline("model.onnx", ["cat.jpg", "dog.jpg"], "model.baseline").maps
    2
    >>> onnx_cam.diff("model.baseline", "model.onnx", ["cat.jpg", "dog.jpg"]).figures["map_distance"].value
    0.0
    """
    requested = map_settings(
        method,
        variant=variant,
        samples=samples,
        sigma=sigma,
        budget=budget,
        tolerance=tolerance,
        seed=seed,
        maps=maps,
    )
    _check_place(Path(path))
    side, settings = open_old_build(old, requested, layer=layer, preprocess=preprocess)
    image_set = read_image_set(images, side.labels, suffixes_for(side.build))
    drawn = set(random_order(image_set.images, settings.seed)[: requested.count])
    classes = range(side.build.classifier.classes)
    steps = Steps(len(image_set.images), len(drawn), progress)
    views: dict[str, BuildView] = {}
    left_out = dict(image_set.left_out)
    unusable: set[str] = set()
    for image in image_set.images:
        has_map = image.sha256 in drawn
        try:
            views[image.sha256], _ = side.look(image, classes, settings if has_map else None)
        except ImageError as error:
            left_out[image.name] = str(error)
            unusable.add(image.sha256)
        steps.finish(has_map=has_map)
    if not views:
        raise ImageError(
            f"none of the {len(left_out)} images can be used, the first because: {next(iter(left_out.values()))}"
        )
    write_baseline(Baseline(str(path), side.describe(), side.layer, side.labels, settings, views, frozenset(unusable)))
    with_maps = sum(view.map is not None for view in views.values())
    return SavedBaseline(Path(path), len(views), with_maps, left_out, image_set.notes)


def _check_place(path: Path) -> None:
    """Refuse to replace a file that is no baseline: it may be the model, whose name was given in the wrong place.

    Raises
    ------
    OutputError
    """
    if path.is_file() and path.stat().st_size and not is_baseline(path):
        raise OutputError(f"'{path}' already exists and is not a baseline; choose another file for --save-baseline")
