"""Several methods on the same images, side by side: the comparison of the papers' figures, for any model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import cast

import numpy as np

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.loading import load
from onnx_cam.comparison.result import Comparison
from onnx_cam.errors import MissingExtraError, ModelError, OnnxCamError, SettingError
from onnx_cam.explanation.explaining import check_settings, explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.explanation.targets import TargetLike, TargetList, Versus, count_targets, read_top_n
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import ImageLike, Picture
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.methods import METHODS, Method, make_method
from onnx_cam.methods.contrast import NEXT, contrasted, read_versus
from onnx_cam.methods.spelling import ALL, read_method
from onnx_cam.runtime.scorer import Progress

__all__ = ["ComparisonBuilder", "choose_methods", "compare"]

_MAX_CELLS = 400  # of the grid, the images as given included

Watch = Callable[[str], AbstractContextManager[Progress | None]]
"""Called with the image and the method that come next; returns a context that yields a progress callback, or None."""

ExplanationRow = tuple[Explanation, ...]
"""The maps of one image and one class, one for each method."""


def compare(
    model: Classifier | str | Path,
    images: ImageLike | Sequence[ImageLike],
    *,
    methods: str | Sequence[str | Method] | None = None,
    target: TargetLike | TargetList | None = None,
    versus: Versus | None = None,
    layer: str | Layer | None = None,
    samples: int | None = None,
    seed: int = 0,
    preprocess: str | os.PathLike[str] | Preprocessing | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Explain the same images by several methods, side by side.

    Each method is used as it is defined, with its own score, baseline and σ.

    Parameters
    ----------
    model : Classifier, str or Path
        What :func:`onnx_cam.load` returned, or the path of a model.
    images : image, or list of them
        Each as for :func:`onnx_cam.explain`.
    methods : str, or sequence of str and Method, optional
        Names in :data:`onnx_cam.METHODS`, ``name:variant``, ``name:variant:sigma=0.5``, or method objects; one string
        can hold several, separated by commas. By default, and for ``"all"``, every method that works on the model.
    samples : int, optional
        N, for the methods that are given by name and draw samples.
    versus : int or str, optional
        Show three maps for each method in one row: of A, of B, and of why A rather than B. B is an index, a name, or
        ``"next"``: the second of two targets, otherwise the likeliest class other than the target.
    target, layer, seed, preprocess, batch_size, progress
        As for :func:`onnx_cam.explain`; without `versus`, an image with several targets becomes as many rows.

    Returns
    -------
    Comparison

    Raises
    ------
    OnnxCamError
        The subclass says what failed; see :mod:`onnx_cam.errors`.

    Examples
    --------
    >>> import onnx_cam
    >>> comparison = onnx_cam.compare("model.onnx", ["cat.jpg", "dog.jpg"], methods="scorecam,sscam2:paper", samples=2)
    >>> [explanation.variant for explanation in comparison.rows[0]]
    ['paper', 'paper']
    >>> [one.subject for one in onnx_cam.compare("model.onnx", "cat.jpg", methods="cam", versus="dog").rows[0]]
    ['cat (1)', 'dog (3)', 'cat (1) rather than dog (3)']
    >>> comparison.save("comparison.png")
    [PosixPath('comparison.png')]
    """
    # Check everything that can be judged without the model, before the model is loaded.
    method_objects = choose_methods(methods, samples)
    for method in method_objects:
        check_settings(method, seed=seed, batch_size=batch_size)

    # Explain each image by each method: M methods and T targets give T rows of M maps.
    image_list: list[ImageLike] = list(images) if isinstance(images, list | tuple) else [cast("ImageLike", images)]
    comparing = ComparisonBuilder(
        model if isinstance(model, Classifier) else load(model),
        method_objects,
        images=len(image_list),
        lenient=methods in (None, ALL),
        target=target,
        versus=versus,
        layer=layer,
        preprocess=preprocess,
        seed=seed,
        batch_size=batch_size,
    )
    for image in image_list:
        comparing.add(image, lambda _: nullcontext(progress))

    comparison = comparing.finish()
    assert comparison is not None  # there is at least one image, and none failed
    return comparison


class ComparisonBuilder:
    """A comparison to which images are added one at a time: an image that fails does not cost the others.

    Parameters
    ----------
    classifier : Classifier
    methods : sequence of Method
        The columns.
    images : int
        How many images will be added.
    lenient : bool
        Whether a method that does not work on this model is left out; otherwise it is an error.
    target, layer, seed, preprocess, batch_size
        As for :func:`onnx_cam.explain`.
    versus : int or str, optional
        As for :func:`compare`.

    Raises
    ------
    SettingError
        There is nothing to compare, or far too much for one picture.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> comparing = ComparisonBuilder(model, choose_methods("scorecam,cam"), images=2, target=[0, 1])
    >>> for image in ("cat.jpg", "dog.jpg"):
    ...     len(comparing.add(image))  # a row for each target
    2
    2
    >>> comparing.finish()
    <Comparison of 2 methods: 4 rows>
    """

    def __init__(
        self,
        classifier: Classifier,
        methods: Sequence[Method],
        *,
        images: int,
        lenient: bool = False,
        target: TargetLike | TargetList | None = None,
        versus: Versus | None = None,
        layer: str | Layer | None = None,
        seed: int = 0,
        preprocess: str | os.PathLike[str] | Preprocessing | None = None,
        batch_size: int | None = None,
    ) -> None:
        if versus is not None:
            versus, target = _read_pair(target, versus)
            for method in () if lenient else methods:
                contrasted(method, versus)  # an error where it has no contrast
        _check_size(images, count_targets(target), len(methods) * (1 if versus is None else 3))
        self._classifier = classifier
        self._methods = list(methods)
        self._lenient = lenient
        self._target = target
        self._versus = versus
        self._layer = layer
        self._seed = seed
        self._preprocess = preprocess
        self._batch_size = batch_size
        self._rows: list[ExplanationRow] = []
        self._left_out: dict[str, OnnxCamError] = {}

    def add(self, image: ImageLike, watch: Watch = lambda _: nullcontext()) -> list[ExplanationRow]:
        """Explain an image by each method; return its rows, one for each target.

        Parameters
        ----------
        image : path, ndarray or PIL image
            As for :func:`onnx_cam.explain`.
        watch : callable
            Called with the names of the image and the method that come next; returns a context that yields a progress
            callback, or None.

        Raises
        ------
        OnnxCamError
            The image cannot be explained; no row was added.
        """
        # Read the image once. A layer that does not exist is an error of the call, not a reason to leave out a method.
        picture = self._classifier.open_picture(image, self._classifier.preprocessing_for(self._preprocess))
        self._classifier.layer(self._layer)

        # Explain it by each method, T targets at a time. Those that demand the most of a model run first, so that what
        # cannot work fails before the long work.
        columns: dict[Method, list[Explanation]] = {}
        for method in sorted(self._methods, key=lambda method: not method.demanding):
            try:
                with watch(f"{picture.stem} {method.name}") as progress:
                    columns[method] = self._explain(picture, method, progress)
            except (MissingExtraError, ModelError, SettingError) as error:
                self._leave_out(method, error)

        # Turn the M columns of T maps into T rows of M maps, the methods in the order in which they were given. The
        # three maps of a contrast stay side by side.
        if self._versus is None:
            rows = list(zip(*(columns[method] for method in self._methods), strict=True))
        else:
            rows = [tuple(explanation for method in self._methods for explanation in columns[method])]
        self._rows += rows
        return rows

    def finish(self) -> Comparison | None:
        """Return the comparison of all images that were added; None where there is none."""
        if not self._rows:
            return None
        reasons = {name: str(error) for name, error in self._left_out.items()}
        return Comparison(tuple(self._methods), tuple(self._rows), reasons)

    def _explain(self, picture: Picture, method: Method, progress: Progress | None) -> list[Explanation]:
        """Return a method's explanations of one image: one for each target, or of A, B, and A rather than B."""
        if self._versus is None:
            return self._explain_classes(picture, method, self._target, progress)
        (contrast,) = self._explain_classes(picture, contrasted(method, self._versus), self._target, progress)
        assert contrast.versus is not None
        pair = [contrast.target.index, contrast.versus.index]
        return [*self._explain_classes(picture, contrasted(method, None), pair, progress), contrast]

    def _explain_classes(
        self, picture: Picture, method: Method, target: TargetLike | TargetList | None, progress: Progress | None
    ) -> list[Explanation]:
        explanations = explain(
            self._classifier,
            picture,
            method=method,
            target=target,
            layer=self._layer,
            seed=self._seed,
            preprocess=self._preprocess,
            batch_size=self._batch_size,
            progress=progress,
        )
        return explanations if isinstance(explanations, list) else [explanations]

    def _leave_out(self, method: Method, error: OnnxCamError) -> None:
        """Remove a method that failed on the first image; raise its error where that is not allowed."""
        if not self._lenient or self._rows or len(self._methods) == 1:
            raise error
        self._methods.remove(method)
        self._left_out[f"{method.name}:{method.variant}"] = error


def choose_methods(methods: str | Sequence[str | Method] | None, samples: int | None = None) -> tuple[Method, ...]:
    """Return the methods to compare as objects.

    Parameters
    ----------
    methods, samples
        As for :func:`compare`.

    Raises
    ------
    SettingError
        A method or a variant is unknown or given twice, or `samples` is given and no method draws samples.

    Examples
    --------
    >>> [method.name for method in choose_methods("scorecam, sscam2:paper", samples=4)]
    ['scorecam', 'sscam2']
    >>> choose_methods("scorecam,scorecam")
    Traceback (most recent call last):
    onnx_cam.errors.SettingError: method scorecam:paper is given twice; name each method once
    """
    if methods is None or methods == ALL:
        methods = list(METHODS)
    names = [part.strip() for part in methods.split(",") if part.strip()] if isinstance(methods, str) else list(methods)
    if not names:
        raise SettingError(f"no method to compare; expected {ALL!r}, or some of {', '.join(METHODS)}")
    method_objects = tuple(read_method(name, samples) if isinstance(name, str) else make_method(name) for name in names)
    for i, method in enumerate(method_objects):
        if method in method_objects[:i]:
            raise SettingError(f"method {method.name}:{method.variant} is given twice; name each method once")
    named_methods = [method for name, method in zip(names, method_objects, strict=True) if isinstance(name, str)]
    if samples is not None and not any(hasattr(method, "samples") for method in named_methods):
        listed = ", ".join(method.name for method in method_objects)
        raise SettingError(f"samples={samples}; none of {listed} has samples: leave it out")
    return method_objects


def _read_pair(target: TargetLike | TargetList | None, versus: Versus) -> tuple[Versus, TargetLike | None]:
    """Return B and A, the two classes that a comparison shows beside their contrast.

    Raises
    ------
    SettingError
        More classes are named, or B is named twice.
    """
    count = count_targets(target)
    if count == 1 and (target is None or isinstance(target, int | str | np.integer)):
        return versus, None if read_top_n(target) else target
    if count == 2 and versus == NEXT:
        if read_top_n(target):
            return NEXT, None
        first, second = cast("Sequence[TargetLike]", target)
        return read_versus(second), first
    raise SettingError(
        f"versus={versus!r} with {count} targets: a comparison contrasts two classes; give one target, or two targets "
        "with versus=next"
    )


def _check_size(images: int, targets: int, methods: int) -> None:
    """Check that a comparison fits into one picture: a row for each image and target, a column for each method."""
    if not images:
        raise SettingError("no image to compare; expected at least one")
    if not targets:
        raise SettingError("an empty list of targets; expected at least one class")
    rows, columns = images * targets, methods + 1
    if rows * columns > _MAX_CELLS:
        raise SettingError(
            f"a grid of {rows:,} rows and {columns} columns has {rows * columns:,} cells; "
            f"expected at most {_MAX_CELLS}: compare fewer images, classes or methods at a time"
        )
