"""Several methods on the same images: the papers' comparison, for any model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.comparison.result import Comparison
from onnx_cam.errors import MissingExtraError, ModelError, OnnxCamError, SettingError
from onnx_cam.explanation.explaining import check_settings, explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.graph.find_layers import Layer
from onnx_cam.image.picture import open_picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import METHODS, Method, make_method
from onnx_cam.methods.spelling import ALL, read_method
from onnx_cam.runtime.scorer import Progress

__all__ = ["Comparing", "choose_methods", "compare"]

_MAX_CELLS = 400

Watch = Callable[[str], AbstractContextManager[Progress | None]]


class Comparing:
    """A comparison in the making: images are added one by one, so that one that fails costs no other.

    Parameters
    ----------
    classifier : Classifier
    methods : sequence of Method
    images : int
        How many are to come.
    lenient : bool
        Whether a method that cannot work on this model is left out; otherwise that is an error.
    target, layer, seed, preprocess, batch_size
        As for :func:`onnx_cam.explain`.

    Raises
    ------
    SettingError
        Nothing to compare, or far too much for one picture.
    """

    def __init__(
        self,
        classifier: Classifier,
        methods: Sequence[Method],
        *,
        images: int,
        lenient: bool = False,
        target: int | str | Sequence[int | str] | None = None,
        layer: str | Layer | None = None,
        preprocess: str | os.PathLike[str] | Preprocessing | None = None,
        **settings: Any,
    ) -> None:
        cells = images * _rows_of(target) * (len(methods) + 1)
        if not 1 <= cells <= _MAX_CELLS:
            raise SettingError(
                f"{images} images with {len(methods)} methods make {cells:,} cells; expected 1 to {_MAX_CELLS}: "
                "compare fewer images, classes or methods at a time"
            )
        self._classifier = classifier
        self._methods = list(methods)
        self._lenient = lenient
        self._preprocess = preprocess
        self._settings = {"target": target, "layer": layer, "preprocess": preprocess, **settings}
        self._rows: list[tuple[Explanation, ...]] = []
        self._left_out: dict[str, OnnxCamError] = {}

    def add(self, image: Any, watch: Watch = lambda _: nullcontext()) -> list[tuple[Explanation, ...]]:
        """Explain an image by each method; return its rows, one for each class.

        Parameters
        ----------
        image : path, ndarray or PIL image
        watch : callable
            Called with what is being done; returns a context that yields a progress callback, or None.

        Raises
        ------
        OnnxCamError
            No row was added.
        """
        classifier, chosen = self._classifier, self._preprocess
        preprocessing = classifier.preprocessing if chosen is None else classifier.choose_preprocessing(chosen)
        picture = open_picture(image, preprocessing, classifier.input.channels, classifier.size)
        classifier.layer(self._settings["layer"])  # its error is no method's
        columns: dict[Method, list[Explanation]] = {}
        for method in sorted(self._methods, key=lambda method: not method.demanding):
            try:
                with watch(f"{picture.stem} {method.name}") as progress:
                    found = explain(classifier, picture, method=method, progress=progress, **self._settings)
            except (MissingExtraError, ModelError, SettingError) as error:
                self._leave_out(method, error)
                continue
            columns[method] = found if isinstance(found, list) else [found]
        rows = list(zip(*(columns[method] for method in self._methods), strict=True))
        self._rows += rows
        return rows

    def _leave_out(self, method: Method, error: OnnxCamError) -> None:
        if not self._lenient or self._rows or len(self._methods) == 1:
            raise error
        self._methods.remove(method)
        self._left_out[f"{method.name}:{method.variant}"] = error

    def finish(self) -> Comparison | None:
        """Return the comparison; None where no image could be explained."""
        if not self._rows:
            return None
        reasons = {name: str(error) for name, error in self._left_out.items()}
        return Comparison(tuple(self._methods), tuple(self._rows), reasons)


def compare(
    model: Classifier | str | Path,
    images: Any,
    *,
    methods: str | Sequence[str | Method] | None = None,
    target: int | str | Sequence[int | str] | None = None,
    layer: str | Layer | None = None,
    samples: int | None = None,
    seed: int = 0,
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Explain the same images by several methods, side by side.

    Each method is taken as it is defined: with its own score, baseline and σ.

    Parameters
    ----------
    model : Classifier, str or Path
        What :func:`onnx_cam.load` returned, or the path of a model.
    images : image, or list of them
        Each as for :func:`onnx_cam.explain`.
    methods : str, or sequence of str and Method, optional
        Names in :data:`onnx_cam.METHODS`, or ``name:variant`` or ``name:variant:sigma=0.5``, or method objects; a
        single string may hold several, with commas. By default, and for ``"all"``, every method that works on this
        model.
    samples : int, optional
        N, for the methods that are given by name and have one.
    target, layer, seed, preprocess, batch_size, progress
        As for :func:`onnx_cam.explain`; an image with several targets takes as many rows.

    Returns
    -------
    Comparison

    Raises
    ------
    OnnxCamError
        As its subclass says; see :mod:`onnx_cam.errors`.
    """
    chosen = choose_methods(methods, samples)
    for method in chosen:
        check_settings(method, seed=seed, batch_size=batch_size)
    several = list(images) if isinstance(images, list | tuple) else [images]
    comparing = Comparing(
        model if isinstance(model, Classifier) else load(model),
        chosen,
        images=len(several),
        lenient=methods in (None, ALL),
        target=target,
        layer=layer,
        preprocess=preprocess,
        seed=seed,
        batch_size=batch_size,
    )
    for image in several:
        comparing.add(image, lambda _: nullcontext(progress))
    comparison = comparing.finish()
    assert comparison is not None  # there is an image, and it did not fail
    return comparison


def choose_methods(methods: str | Sequence[str | Method] | None, samples: int | None = None) -> tuple[Method, ...]:
    """Return the methods to compare, from what `compare` takes.

    Raises
    ------
    SettingError
        A method or variant is unknown or said twice, or `samples` is for none of them.
    """
    if methods is None or methods == ALL:
        methods = list(METHODS)
    named = [part.strip() for part in methods.split(",") if part.strip()] if isinstance(methods, str) else list(methods)
    if not named:
        raise SettingError(f"no method to compare; expected {ALL}, or some of {', '.join(METHODS)}")
    chosen = [_choose(method, samples) for method in named]
    for i, method in enumerate(chosen):
        if method in chosen[:i]:
            raise SettingError(f"{method.name}:{method.variant} said twice; name each method once")
    if samples is not None and not any(
        isinstance(name, str) and hasattr(m, "samples") for name, m in zip(named, chosen, strict=True)
    ):
        raise SettingError(f"samples={samples}; none of {', '.join(m.name for m in chosen)} has samples: leave it out")
    return tuple(chosen)


def _choose(method: str | Method, samples: int | None) -> Method:
    return read_method(method, samples) if isinstance(method, str) else make_method(method)


def _rows_of(target: Any) -> int:
    """Return how many classes of each image are asked for."""
    if isinstance(target, str):
        match = re.fullmatch(r"top([1-9]\d{0,8})", target)
        return int(match[1]) if match else 1
    return len(target) if isinstance(target, Sequence | np.ndarray) else 1
