"""From what a user gives to the old side and the new build."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx_cam.builds.baseline import Baseline, is_baseline, read_baseline
from onnx_cam.builds.build import Build, MapSettings
from onnx_cam.builds.draw import check_maps
from onnx_cam.builds.old_side import OldSide, RunningBuild
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.errors import ModelError
from onnx_cam.explanation.explaining import check_settings
from onnx_cam.graph.layer import Layer
from onnx_cam.image.files import SUFFIXES
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import Method, make_method

if TYPE_CHECKING:
    from onnx_cam.graph.read import ModelSource

    Given = str | os.PathLike[str] | Preprocessing | None

__all__ = [
    "RequestedMaps",
    "map_settings",
    "open_build",
    "open_classifier",
    "open_old_build",
    "open_old_side",
    "suffixes_for",
]

_METHOD = "gradcam"
_MAPS = 100


@dataclass(frozen=True)
class RequestedMaps:
    """What a user asks of the maps; None where nothing is said.

    Attributes
    ----------
    method : Method or None
    seed, maps : int or None

    Examples
    --------
    >>> RequestedMaps(None, None, None).settings.method.name
    'gradcam'
    """

    method: Method | None
    seed: int | None
    maps: int | None

    @property
    def settings(self) -> MapSettings:
        """How maps are made, with the defaults where nothing is said."""
        return MapSettings(self.method or make_method(_METHOD), self.seed or 0)

    @property
    def count(self) -> int:
        """On how many images."""
        return self.maps or _MAPS


def map_settings(
    method: str | Method | None,
    *,
    variant: str | None = None,
    samples: int | None = None,
    sigma: float | None = None,
    budget: int | float | str | None = None,
    tolerance: float | None = None,
    seed: int | None = None,
    maps: int | None = None,
) -> RequestedMaps:
    """Return what a user asks of the maps, once it is valid.

    Raises
    ------
    SettingError

    Examples
    --------
    >>> map_settings("sscam2", samples=4).method.samples
    4
    >>> map_settings(None).method is None
    True
    """
    given = {"variant": variant, "samples": samples, "sigma": sigma, "budget": budget, "tolerance": tolerance}
    made = None
    if method is not None or any(value is not None for value in given.values()):
        made = make_method(_METHOD if method is None else method, **given)
    check_settings(made or make_method(_METHOD), seed=0 if seed is None else seed)
    if maps is not None:
        check_maps(maps)
    return RequestedMaps(made, None if seed is None else int(seed), None if maps is None else int(maps))


def open_old_side(
    old: Classifier | Baseline | ModelSource, requested: RequestedMaps, *, layer: str | Layer | None, preprocess: Given
) -> tuple[OldSide, MapSettings]:
    """Return the old side of a comparison, and how its maps are made.

    Raises
    ------
    SettingError
        Something else is asked for than what a baseline was made with.
    OnnxCamError
        The model or the baseline cannot be read.
    """
    if isinstance(old, str | os.PathLike) and is_baseline(old):
        old = read_baseline(os.fspath(old))
    if not isinstance(old, Baseline):
        return open_old_build(old, requested, layer=layer, preprocess=preprocess)
    old.check(requested.method, seed=requested.seed, maps=requested.maps, layer=layer)
    return old, old.settings


def open_old_build(
    old: Classifier | ModelSource, requested: RequestedMaps, *, layer: str | Layer | None, preprocess: Given
) -> tuple[RunningBuild, MapSettings]:
    """Return an old build whose file is there, ready to run, and how its maps are made."""
    settings = requested.settings
    build = open_build(*open_classifier(old, preprocess), layer)
    build.prepare(settings)
    return RunningBuild(build, layer is not None, requested.count, settings.seed), settings


def open_classifier(model: Classifier | ModelSource, preprocess: Given) -> tuple[Classifier, Preprocessing | None]:
    """Return a model, loaded if needed, and the preprocessing of its images.

    Raises
    ------
    ModelError
        It is a baseline, which cannot be run.
    """
    if isinstance(model, Classifier):
        return model, model.preprocessing_for(preprocess)
    if isinstance(model, str | os.PathLike) and is_baseline(model):
        raise ModelError(f"'{model}' is a baseline, not a model that can be run; give it as the old build")
    loaded = load(model, preprocess="auto" if preprocess is None else preprocess)
    return loaded, loaded.preprocessing


def open_build(classifier: Classifier, preprocessing: Preprocessing | None, layer: str | Layer | None) -> Build:
    """Return a build with the layer that it is compared by."""
    return Build(classifier, preprocessing, classifier.layer(layer))


def suffixes_for(build: Build) -> Sequence[str]:
    """Return the endings of the files that a build takes as images."""
    return SUFFIXES if build.preprocessing is not None else (".npy",)
