"""The images on which two builds differ most: the image, the old map and the new map, side by side."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from onnx_cam.builds.compared import ImageDiff
from onnx_cam.builds.views import PlacedMap
from onnx_cam.classifier.labels import Labels
from onnx_cam.drawing.canvas import Pixels, data_uri, resize
from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.errors import ImageError
from onnx_cam.evaluation.report.wording import label
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS

__all__ = ["Example", "Shown", "image_pixels", "show_example"]

_SIDE = 300  # pixels
_QUALITY = 82
_ANY_SIZE = (8, 8)  # of a network's input that is not used
_GREY = 160


@dataclass(frozen=True)
class Shown:
    """A picture in the page.

    Attributes
    ----------
    source : str
        A data URI.
    width, height : int
        In pixels.
    title : str
        What it shows.
    text : str
        The class and its probability, or nothing.
    alt : str
        The text in place of the picture.

    Examples
    --------
    >>> Shown("data:,", 300, 200, "old map", "cat · 0.750", "Map of the old build").title
    'old map'
    """

    source: str
    width: int
    height: int
    title: str
    text: str
    alt: str


@dataclass(frozen=True)
class Example:
    """An image with the maps of both builds.

    Attributes
    ----------
    name : str
        The image's name.
    facts : str
        How far the maps are apart.
    flip : str
        What the new build predicts where that is another class; otherwise empty.
    pictures : list of Shown
        The image, the old map, the new map.

    Examples
    --------
    >>> Example("cat.jpg", "d = 0.31, 9.9 noise floors", flip="", pictures=[]).name
    'cat.jpg'
    """

    name: str
    facts: str
    flip: str
    pictures: list[Shown]


def show_example(image: ImageDiff, pixels: Pixels, floor: float, old_labels: Labels, new_labels: Labels) -> Example:
    """Return an image with both maps drawn over it.

    Parameters
    ----------
    image : ImageDiff
        With both maps.
    pixels : ndarray of shape (H, W, 3), uint8, RGB
        The image as given.
    floor : float
        The noise floor in which the maps' distance is told; 0 where there is none.
    old_labels, new_labels : Labels
        The names of the builds' classes.

    Examples
    --------
    >>> from onnx_cam.builds.images import ComparedImage
    >>> from onnx_cam.builds.matching import ClassMatch
    >>> from onnx_cam.builds.views import BuildView
    >>> from onnx_cam.image.geometry import Geometry
    >>> placed = PlacedMap(np.eye(2, dtype=np.float32), Geometry(40, 60, (0, 0, 60, 40)))
    >>> old, new = BuildView(1, 0.75, placed, 0.03), BuildView(0, 0.25, placed)
    >>> image = ImageDiff(
    ...     ComparedImage("cat.jpg", "cat.jpg", "00ff"), old, new, ClassMatch((0, 1), (0, 1)), is_drawn=True
    ... )
    >>> labels = Labels(("dog", "cat"), offset=0, classes=2, source="doctest")
    >>> example = show_example(image, np.full((40, 60, 3), 128, np.uint8), 0.03, labels, labels)
    >>> example.facts, example.flip
    ('d = 0.000, 0.0 noise floors', 'the most likely class is now dog')
    >>> [(picture.title, picture.text) for picture in example.pictures]
    [('image', ''), ('old map', 'cat · 0.750'), ('new map', 'cat · 0.250')]
    """
    assert image.distance is not None
    small, name = _shrunk(pixels), label(image.name)
    facts = f"d = {image.distance:.3f}" + (f", {image.distance / floor:.1f} noise floors" if floor else "")
    flip = f"the most likely class is now {_class(image.new.predicted, new_labels)}" if image.is_flip else ""
    target = _class(image.old.predicted, old_labels)
    pictures = [_picture(small, "image", "", f"{name}, as given")]
    for build, view in (("old", image.old), ("new", image.new)):
        text = f"{target} · {view.probability:.3f}"
        drawn = _overlay(small, view.map)
        pictures.append(_picture(drawn, f"{build} map", text, f"Map of the {build} build on {name}: {text}"))
    return Example(name, facts, flip, pictures)


def image_pixels(image: ImageDiff) -> Pixels:
    """Return an image as given, (H, W, 3) uint8 RGB; plain grey where it is a network's input and no picture.

    Examples
    --------
    >>> from onnx_cam.builds.images import ComparedImage
    >>> from onnx_cam.builds.matching import ClassMatch
    >>> from onnx_cam.builds.views import BuildView
    >>> view, classes = BuildView(1, 0.75), ClassMatch((0, 1), (0, 1))
    >>> cat = ImageDiff(ComparedImage("cat.jpg", "cat.jpg", "00ff"), view, view, classes, is_drawn=False)
    >>> image_pixels(cat).shape
    (36, 48, 3)
    """
    try:
        return open_picture(image.image.source, PRESETS["unit"], 3, _ANY_SIZE).pixels
    except ImageError:
        assert image.old.map is not None
        geometry = image.old.map.geometry
        return np.full((geometry.height, geometry.width, 3), _GREY, np.uint8)


def _shrunk(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    return resize(pixels, max(1, round(height * scale)), max(1, round(width * scale))) if scale < 1 else pixels


def _class(index: int, labels: Labels) -> str:
    return label(labels.name(index) or f"class {index}")


def _overlay(pixels: Pixels, placed: PlacedMap | None) -> Pixels:
    assert placed is not None
    geometry = placed.geometry.scaled(*pixels.shape[:2])
    return draw_overlay(pixels, geometry.place(placed.cam), geometry.crop, empty=placed.is_empty)


def _picture(pixels: Pixels, title: str, text: str, alt: str) -> Shown:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    height, width = pixels.shape[:2]
    return Shown(data_uri(buffer.getvalue(), "image/jpeg"), width, height, title, text, alt)
