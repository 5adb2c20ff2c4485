"""A baseline: what is kept of the old build, so that a new one can be compared with it without the old file.

A text file of JSON lines: the first says which build it is of and how its maps are made, each other holds an image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from onnx_cam.builds.build import MapSettings
from onnx_cam.builds.draw import Draw
from onnx_cam.builds.images import ComparedImage
from onnx_cam.builds.matching import OldLayer
from onnx_cam.builds.views import BuildView
from onnx_cam.classifier.labels import Labels
from onnx_cam.errors import ImageError, ModelError, SettingError, one_line
from onnx_cam.files import write_files
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture
from onnx_cam.methods import Method, make_method

__all__ = ["Baseline", "is_baseline", "read_baseline", "write_baseline"]

_KEY = "onnx_cam_baseline"
_VERSION = 1
_BEGINNING = b'{"' + _KEY.encode() + b'": '


@dataclass(frozen=True)
class Baseline:
    """What was kept of an old build.

    Attributes
    ----------
    path : str
        The file, for messages.
    facts : mapping
        What the build is, as `Build.describe` says it.
    layer : OldLayer
    labels : Labels
        The names of its classes.
    settings : MapSettings
        How its maps were made.
    views : mapping of str to BuildView
        What it says about each image, by the image's hash; with a map for those that were drawn.
    unusable : frozenset of str
        The hashes of images that could not be used.

    Examples
    --------
    >>> import onnx_cam
    >>> saved = onnx_cam.save_baseline("model.onnx", ["cat.jpg", "dog.jpg"], "model.baseline")
    >>> baseline = read_baseline("model.baseline")
    >>> baseline.layer.name, len(baseline.views), baseline.settings.method.name
    ('relu2', 2, 'gradcam')
    """

    path: str
    facts: Mapping[str, Any]
    layer: OldLayer
    labels: Labels
    settings: MapSettings
    views: Mapping[str, BuildView]
    unusable: frozenset[str] = frozenset()

    def describe(self) -> dict[str, Any]:
        """Return what the build is, as plain JSON values."""
        return dict(self.facts)

    def draw(self, images: Sequence[ComparedImage]) -> Draw:
        """Return which images get maps: those that the baseline has one of.

        Raises
        ------
        ImageError
            The images are not those of the baseline.
        """
        given = {image.sha256 for image in images} - self.unusable
        new, missing = len(given - self.views.keys()), len(self.views.keys() - given)
        if new or missing:
            raise ImageError(
                f"the baseline '{self.path}' was saved for other images: {new} of the {len(given)} given are not in "
                f"it, and {missing} of its {len(self.views)} are not given; give the same images, or save a new "
                "baseline"
            )
        return Draw(frozenset(sha256 for sha256, view in self.views.items() if view.map is not None), 0)

    def look(
        self, image: ComparedImage, among: Sequence[int], settings: MapSettings | None
    ) -> tuple[BuildView, Picture | None]:
        """Return what the build said about an image.

        Raises
        ------
        ImageError
            The image could not be used.
        ModelError
            It predicted a class that the new build does not have.
        """
        if image.sha256 in self.unusable:
            raise ImageError(f"{image.name} could not be used when the baseline was saved")
        view = self.views[image.sha256]
        if view.predicted not in among:
            raise ModelError(
                f"the old build predicts class {view.predicted} for {image.name}, which the new build does not have; "
                "compare it with the old file itself, which leaves that class out"
            )
        return view, None

    def check(self, method: Method | None, *, seed: int | None, maps: int | None, layer: str | Layer | None) -> None:
        """Check that what a user asks for is what the baseline was made with; None where nothing is asked for.

        Raises
        ------
        SettingError
        """
        if method is not None and method != self.settings.method:
            self._refuse(_spelled(self.settings.method), _spelled(method))
        if seed is not None and seed != self.settings.seed:
            self._refuse(f"seed={self.settings.seed}", f"seed={seed}")
        count = sum(view.map is not None for view in self.views.values())
        if maps is not None and maps != count:
            self._refuse(f"maps of {count} images", f"{maps}")
        name = layer.name if isinstance(layer, Layer) else layer
        if name is not None and name != self.layer.name:
            self._refuse(f"layer {self.layer.name!r}", repr(name))

    def _refuse(self, made_with: str, given: str) -> None:
        raise SettingError(
            f"the baseline '{self.path}' was made with {made_with}, not {given}; leave that out, or save a new baseline"
        )


def _spelled(method: Method) -> str:
    """Return a method and its settings, as ``sscam2:range:samples=10:sigma=0.05``."""
    settings = asdict(method)
    parts = [method.name, str(settings.pop("variant"))]
    return ":".join([*parts, *(f"{name}={value}" for name, value in settings.items() if value is not None)])


def write_baseline(baseline: Baseline) -> None:
    """Write a baseline to its path; a file there is replaced whole or not at all.

    Raises
    ------
    OutputError
        It cannot be written.
    """
    layer, labels = baseline.layer, baseline.labels
    header = {
        _KEY: _VERSION,
        "build": dict(baseline.facts),
        "layer": {"name": layer.name, "shape": layer.shape, "rank": layer.rank, "is_chosen": layer.is_chosen},
        "labels": {"names": labels.names, "offset": labels.offset, "classes": labels.classes, "source": labels.source},
        "settings": baseline.settings.describe(),
        "images": len(baseline.views),
        "unusable": sorted(baseline.unusable),
    }
    lines = [header, *({"image": sha256, **view.as_json()} for sha256, view in baseline.views.items())]
    content = b"".join(json.dumps(line, allow_nan=False).encode("ascii") + b"\n" for line in lines)
    write_files({Path(baseline.path): content})


def is_baseline(path: object) -> bool:
    """Tell whether a file is a baseline, by its content.

    Examples
    --------
    >>> is_baseline("model.onnx")
    False
    """
    if not isinstance(path, str | Path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except (OSError, ValueError):
        return False


def read_baseline(path: str | Path) -> Baseline:
    """Read a baseline.

    Raises
    ------
    ModelError
        It is damaged, or of another version.
    """
    try:
        header, *lines = map(json.loads, Path(path).read_bytes().splitlines())
        version = header[_KEY]
        if version == _VERSION:
            return _baseline(str(path), header, lines)
    except OSError as error:
        raise ModelError(f"cannot read the baseline '{path}': {error.strerror or error}") from error
    except (ValueError, TypeError, LookupError) as error:
        raise ModelError(
            f"the baseline '{path}' is damaged ({one_line(error, 80)}); save it again: onnx-cam diff --save-baseline"
        ) from error
    raise ModelError(
        f"the baseline '{path}' has version {version!r}; expected {_VERSION}: save it again with this version of "
        "onnx-cam, or use the one that wrote it"
    )


def _baseline(path: str, header: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Baseline:
    """Return the baseline that the lines of a file describe."""
    views = {line["image"]: BuildView.from_json(line) for line in lines}
    if len(views) != header["images"]:
        raise ValueError(f"{len(views)} of its {header['images']} images are there")
    layer, labels, settings = header["layer"], header["labels"], dict(header["settings"])
    seed = int(settings.pop("seed"))
    channels, height, width = layer["shape"]
    names = None if labels["names"] is None else tuple(map(str, labels["names"]))
    return Baseline(
        path,
        header["build"],
        OldLayer(layer["name"], (channels, height, width), layer["rank"], layer["is_chosen"]),
        Labels(names, labels["offset"], labels["classes"], labels["source"]),
        MapSettings(make_method(settings.pop("method"), **settings), seed),
        views,
        frozenset(header["unusable"]),
    )
