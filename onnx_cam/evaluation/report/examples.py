"""The best, the median and the worst map of each method, as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.canvas import data_uri
from onnx_cam.drawing.overlay import draw_overlay
from onnx_cam.evaluation.report.wording import count, figure, label
from onnx_cam.evaluation.results.evaluation import Evaluation
from onnx_cam.evaluation.results.records import SeenImage
from onnx_cam.evaluation.verdict.ranking import is_ranked
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric

__all__ = ["Criterion", "Example", "Gallery", "choose_criterion", "draw_example", "show_examples"]

_SIDE = 300  # pixels
_QUALITY = 82


@dataclass(frozen=True)
class Criterion:
    """What maps are sorted by: a metric, or the difference of two metrics.

    Attributes
    ----------
    title, unit : str
    plus : Metric
    minus : Metric or None
        The metric whose value is subtracted.
    better : {"lower", "higher"}

    Examples
    --------
    >>> from onnx_cam.metrics import AverageDrop
    >>> Criterion("Average Drop", "%", AverageDrop(), None, "lower").title
    'Average Drop'
    """

    title: str
    unit: str
    plus: Metric
    minus: Metric | None
    better: str

    def values(self, evaluation: Evaluation, method: str) -> NDArray[np.float64]:
        """Return one value for each image, (n,); NaN where it is not defined, or the map is empty."""
        values = evaluation.values(self.plus, method)
        if self.minus is not None:
            values = values - evaluation.values(self.minus, method)
        return np.where(evaluation.blank(method), np.nan, values)


@dataclass(frozen=True)
class Example:
    """A picture with its caption.

    Attributes
    ----------
    case : str
        ``best``, ``median``, ``worst`` or ``only image``.
    image : str
        The image's name.
    predicted : str
        The predicted class and its probability.
    labelled : str
        The label, where it is another class.
    value : str
        The criterion's value, with its unit.
    source : str
        The picture as a data URI.
    width, height : int
        Of the picture, in pixels.
    alt : str
        The text in place of the picture.

    Examples
    --------
    >>> Example("best", "a.jpg", "cat", "", "8.4 %", "data:,", width=300, height=200, alt="Map by cam").case
    'best'
    """

    case: str
    image: str
    predicted: str
    labelled: str
    value: str
    source: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Gallery:
    """The examples of each method.

    Attributes
    ----------
    title, better : str
        Of the criterion that they are chosen by.
    groups : list of (str, list of Example, str)
        A method's name, its examples, and a note on them, which may be empty.
    has_boxes : bool
        Whether boxes are drawn.

    Examples
    --------
    >>> Gallery("Average Drop", "lower", [("cam", [], "All its maps are empty.")], has_boxes=False).better
    'lower'
    """

    title: str
    better: str
    groups: list[tuple[str, list[Example], str]]
    has_boxes: bool


def choose_criterion(evaluation: Evaluation) -> Criterion | None:
    """Return what examples are chosen by; None where no metric has a better direction.

    It is Insertion minus Deletion where the run measured both, otherwise Average Drop, otherwise the first metric that
    has a better direction.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="equal", metrics="insertion,deletion", out="run")
    >>> choose_criterion(evaluation).title
    'Insertion minus Deletion'
    """
    insertion, deletion = evaluation.metric("insertion"), evaluation.metric("deletion")
    if insertion and deletion:
        return Criterion("Insertion minus Deletion", "", insertion, deletion, "higher")
    drop = evaluation.metric("average-drop")
    ranked = [metric for metric in evaluation.metrics if is_ranked(metric)]
    for metric in [drop, *ranked]:
        if metric is not None and metric.better is not None:
            return Criterion(metric.title, metric.unit, metric, None, metric.better)
    return None


def show_examples(evaluation: Evaluation) -> Gallery | None:
    """Return the examples of each method; None where no metric tells a good map from a bad one.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam", metrics="average-drop", out="run")
    >>> (method, examples, note), = show_examples(evaluation).groups
    >>> method, [example.case for example in examples]
    ('scorecam', ['best', 'worst'])
    """
    criterion = choose_criterion(evaluation)
    if criterion is None or not evaluation.images:
        return None
    # Those of the controls show nothing about the model; they are only there where nothing else is.
    methods = [name for name in evaluation.methods if not is_control(name)] or list(evaluation.methods)
    groups = [(label(method), *_group(evaluation, method, criterion)) for method in methods]
    has_boxes = any(image.facts.boxes for image in evaluation.images)
    return Gallery(criterion.title, criterion.better, groups, has_boxes)


def _group(evaluation: Evaluation, method: str, criterion: Criterion) -> tuple[list[Example], str]:
    """Return a method's examples, and a note on them."""
    values = criterion.values(evaluation, method)
    examples = []
    for index, case in _cases(values, criterion.better):
        image = evaluation.images[index]
        cam = evaluation.maps[image.sha256, method].cam
        value = figure(values[index], criterion.unit) + (f" {criterion.unit}" if criterion.unit else "")
        examples.append(_example(image, cam, case, value, f"Map by {label(method)}, {case} by {criterion.title}"))
    empty = int(evaluation.blank(method).sum())
    if not examples:
        all_empty = empty == len(evaluation.images)
        return [], "All its maps are empty." if all_empty else "The figure is not defined for any of its maps."
    return examples, f"{count(empty, 'empty map')} left out." if empty else ""


def _cases(values: NDArray[np.float64], better: str) -> list[tuple[int, str]]:
    """Return the positions of the best, the median and the worst value; fewer where there are fewer images."""
    defined = np.flatnonzero(~np.isnan(values))
    signed = values[defined] if better == "lower" else -values[defined]
    order = defined[np.argsort(signed, kind="stable")]
    if len(order) == 0:
        return []
    if len(order) == 1:
        return [(int(order[0]), "only image")]
    ends = [(int(order[0]), "best"), (int(order[-1]), "worst")]
    return ends if len(order) == 2 else [ends[0], (int(order[(len(order) - 1) // 2]), "median"), ends[1]]


def _example(image: SeenImage, cam: NDArray[np.float32], case: str, value: str, about: str) -> Example:
    picture = draw_example(image, cam)
    height, width = picture.shape[:2]
    facts = image.facts
    name = label(image.name)
    predicted = f"{_class(facts.predicted, facts.predicted_name)} · {facts.score:.3f}"
    labelled = "" if facts.label is None or facts.is_right else _class(facts.label, facts.label_name)
    alt = f"{about}: {value}. {name}, predicted class {predicted}."
    return Example(case, name, predicted, labelled, value, data_uri(_jpeg(picture), "image/jpeg"), width, height, alt)


def draw_example(image: SeenImage, cam: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map drawn over the small copy of its image, with the boxes as outlines.

    Parameters
    ----------
    image : SeenImage
    cam : ndarray of shape (h, w), float32
        L, the map at the layer's resolution.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8, RGB
        No side is longer than 300 pixels.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> evaluation = evaluate(model, "photos.csv", methods="scorecam", metrics="average-drop", out="run")
    >>> image = evaluation.images[0]
    >>> draw_example(image, evaluation.maps[image.sha256, "scorecam"].cam).shape
    (36, 48, 3)
    """
    from PIL import Image

    with Image.open(io.BytesIO(image.picture)) as opened:
        small = opened.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    pixels = np.asarray(small)
    # The map goes to the crop of the small copy, at the copy's own size.
    height, width = pixels.shape[:2]
    facts = image.facts
    geometry = facts.geometry.scaled(height, width)
    heat = geometry.place(np.asarray(cam, np.float32))
    drawn = draw_overlay(pixels, heat, geometry.crop, empty=bool(cam.max() == cam.min()))
    return _outline(drawn, facts.boxes, (width / facts.width, height / facts.height))


def _outline(
    picture: NDArray[np.uint8], boxes: Sequence[Sequence[float]], scale: tuple[float, float]
) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(picture)
    pen = ImageDraw.Draw(canvas)
    for x0, y0, x1, y1 in boxes:
        left, top = x0 * scale[0], y0 * scale[1]
        corners = left, top, max(x1 * scale[0] - 1, left), max(y1 * scale[1] - 1, top)
        for colour, thickness in (("black", 4), ("white", 2)):
            pen.rectangle(corners, outline=colour, width=thickness)
    return np.asarray(canvas)


def _class(index: int, name: str | None) -> str:
    return f"{label(name)} ({index})" if name else f"class {index}"


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()
