"""What an input runs through: the public functions, as a user calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import onnx_cam
from onnx_cam.classifier.label_sources import label_files
from onnx_cam.classifier.labels import find_labels
from onnx_cam.classifier.problem_type import stated_kind
from onnx_cam.errors import OnnxCamError
from onnx_cam.graph.read import ModelFile, read_model
from onnx_cam.image.configurations.choose import choose_preprocessing, with_stated_size
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import PRESETS
from tests import tiny
from tests.fuzz.outcome import is_line

__all__ = ["MODEL", "explain_model", "open_image", "read_beside_model", "read_labels"]

MODEL = "model.onnx"

_THROUGH_LOAD = 20  # one of so many configurations goes through the whole of `load`, which takes far longer
_WITH_GRADIENTS = 10  # one of so many models is explained by gradients, too


def explain_model(folder: Path, seed: int) -> None:
    """Load a model, list its layers and what is known about it, and explain an image in several ways.

    Raises
    ------
    OnnxCamError
        The first step's, where one was refused.
    """
    model = onnx_cam.load(folder / MODEL, device="cpu", threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    image = pixels if model.preprocessing is not None else np.zeros((model.input.channels, *model.size), np.float32)
    methods = ["cam", "scorecam", *(["gradcam"] if seed % _WITH_GRADIENTS == 0 else [])]
    _all_of(model.layers, partial(onnx_cam.inspect, model))
    refusals = [refusal for method in methods if (refusal := _refusal(partial(_explain, model, image, method)))]
    if len(refusals) == len(methods):  # no method explains every model
        raise refusals[0]


def _explain(model: onnx_cam.Classifier, image: object, method: str) -> None:
    # A layer may have any number of channels: the budget bounds the forward passes of those that have many.
    layer = model.layer(None)
    budget = 16 if layer.shape[0] > 64 and method == "scorecam" else None
    explanation = onnx_cam.explain(model, image, method=method, budget=budget)  # type: ignore[call-overload]
    if not np.isfinite(explanation.map).all():
        raise AssertionError("the map is not finite")


def open_image(folder: Path, seed: int) -> None:
    """Open an image file as the input of a network."""
    (path,) = folder.iterdir()
    open_picture(str(path), None if path.suffix == ".npy" else PRESETS["imagenet"], 3, (tiny.SIZE, tiny.SIZE))


def read_beside_model(folder: Path, seed: int) -> None:
    """Read all that is beside a model or in its metadata: preprocessing, size, names, the kind of its numbers."""
    if seed % _THROUGH_LOAD == 0:
        explain_model(folder, 1)
        return
    file = read_model(folder / MODEL)
    others = [path for path in folder.iterdir() if path.name != MODEL]
    _all_of(
        lambda: _check_notes(with_stated_size(choose_preprocessing("auto", file), file, (None, None)).notes),
        lambda: _check_notes(find_labels(None, None, file, tiny.CLASSES).notes),
        lambda: stated_kind(file),
        *(_reading_on_request(path, file) for path in others),
    )


def read_labels(folder: Path, seed: int) -> None:
    """Read a label file, as a user gives it and as it lies beside a model."""
    (path,) = (path for path in folder.iterdir() if path.name != MODEL)
    if seed % _THROUGH_LOAD == 0:
        onnx_cam.load(folder / MODEL, device="cpu", threads=1, labels=path)
        return
    file = read_model(folder / MODEL)
    _all_of(
        lambda: label_files(folder / MODEL),
        lambda: _check_notes(find_labels(None, None, file, tiny.CLASSES).notes),
        lambda: find_labels(path, None, file, tiny.CLASSES),
    )


def _reading_on_request(path: Path, file: ModelFile) -> Callable[[], object]:
    return lambda: with_stated_size(choose_preprocessing(path, file), file, (None, None))


def _check_notes(notes: tuple[str, ...]) -> None:
    """Check that what is said of files that cannot be used is said in a line each."""
    for note in notes:
        if not is_line(note):
            raise AssertionError(f"a note that is not one line: {note!r}")


def _all_of(*steps: Callable[[], object]) -> None:
    """Take every step, also after one that was refused.

    Raises
    ------
    OnnxCamError
        The first step's.
    """
    refusals = [refusal for step in steps if (refusal := _refusal(step))]
    if refusals:
        raise refusals[0]


def _refusal(step: Callable[[], object]) -> OnnxCamError | None:
    """Return the error that a step is refused with; one that is not a line is raised at once."""
    try:
        step()
    except OnnxCamError as error:
        if not is_line(str(error)):
            raise
        return error
    return None
