"""A survey of a run: images drawn at random, and the maps of each in random order under neutral names."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import filterfalse
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from onnx_cam.errors import OutputError, SettingError, did_you_mean, one_line_text
from onnx_cam.evaluation.results.evaluation import Evaluation, RunProgress, read_evaluation
from onnx_cam.evaluation.results.records import SeenImage
from onnx_cam.evaluation.survey.draw import as_jpeg, draw_image, draw_maps
from onnx_cam.evaluation.survey.key import KEY_NAME, PAGE_NAME, Item, Key, read_key
from onnx_cam.evaluation.survey.page import Question, write_page
from onnx_cam.files import results_folder, write_files
from onnx_cam.methods.controls import is_control

__all__ = ["Survey", "make_survey"]

_Value = TypeVar("_Value")

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_EMPTY = "a method's map is empty"
_SAME = "all methods' maps look the same"
_RUN_FACTS = ("model_sha256", "layer", "preprocessing", "dataset", "seed", "versions")
"""The facts of the run that the key holds."""


@dataclass(frozen=True)
class Survey:
    """A survey that was written.

    Attributes
    ----------
    page : Path
        The page for the reviewers, and the only file that they get.
    key_file : Path
        The file of the key, which the reviewers must not see.
    key : Key
    progress : RunProgress or None
        How far the run had come that the images were drawn from; None if it was finished.

    Examples
    --------
    >>> from onnx_cam.evaluation.survey.key import Item
    >>> key = Key("f4", 7, {"cam": "", "equal": ""}, {"1": Item("a.jpg", "", "cat", {"A": ("cam",), "B": ("equal",)})})
    >>> Survey(Path("survey.html"), Path("key.json"), key).describe()["images"]
    1
    """

    page: Path
    key_file: Path
    key: Key
    progress: RunProgress | None = None

    def describe(self) -> dict[str, Any]:
        """Return plain JSON values about the survey, which do not undo the blinding."""
        return {
            "survey": self.key.survey,
            "images": len(self.key.items),
            "methods": list(self.key.methods),
            "left_out": dict(self.key.left_out),
            "alike": self.key.alike,
            "files": {"page": str(self.page), "key": str(self.key_file)},
        }


def make_survey(
    evaluation: Evaluation | str | Path,
    out: str | Path,
    *,
    images: int = 50,
    methods: Sequence[str] | str | None = None,
    seed: int | None = None,
) -> Survey:
    """Write the page for a blind review of a run's maps, and the key that undoes the blinding.

    The images are drawn at random from those of the run and are the same for every reviewer. The maps of each image are
    in random order. An image is left out if one of its maps is empty, or if all its maps look the same. Maps of several
    methods that look the same are shown once and stand for all of these methods.

    Parameters
    ----------
    evaluation : Evaluation, str or Path
        A run, or its folder. From an unfinished run, the images that are finished are drawn.
    out : str or Path
        The folder for the page and the key.
    images : int
        The number of images to show; all of them if the run has fewer.
    methods : sequence of str or str, optional
        Names as in the run's tables, or one text with commas between them. By default all methods; the controls only
        take part where they are named.
    seed : int, optional
        Random seed; a new one that nobody can guess by default. The same seed and run give the same survey.

    Returns
    -------
    Survey

    Raises
    ------
    SettingError
        A setting is out of range, or the run lacks a method.
    OutputError
        The run has no finished image, none of its images can be shown, or `out` cannot be written to or holds another
        survey.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.evaluation import evaluate
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> run = evaluate(model, "photos.csv", methods="scorecam,sscam2", metrics="average-drop", out="run", report=False)
    >>> survey = make_survey(run, "survey", images=2, seed=1)
    >>> survey.page.name, len(survey.key.items)
    ('survey.html', 2)
    """
    if images < 1:
        raise SettingError(f"images={images}; expected at least 1")
    if seed is None:
        seed = secrets.randbits(128)
    elif seed < 0:
        raise SettingError(f"seed={seed}; expected at least 0")
    run = evaluation if isinstance(evaluation, Evaluation) else read_evaluation(evaluation)
    names = _method_names(run, methods)
    with results_folder(out):
        shown, left_out = _draw(run, names, images, np.random.default_rng(seed))
        questions = [question for question, _ in shown]
        key = Key(
            survey=_identify(questions),
            seed=seed,
            methods={name: run.methods[name] for name in names},
            items={question.number: item for question, item in shown},
            left_out=left_out,
            run={name: run.facts[name] for name in _RUN_FACTS if name in run.facts} | _unfinished(run),
        )
        survey = Survey(Path(out) / PAGE_NAME, Path(out) / KEY_NAME, key, run.progress)
        _write(survey, questions)
    return survey


def _unfinished(run: Evaluation) -> dict[str, str]:
    """Return how far the run had come: once it has more images, the same seed gives another survey."""
    return {"progress": str(run.progress)} if run.progress else {}


def _write(survey: Survey, questions: Sequence[Question]) -> None:
    key = survey.key
    if survey.key_file.exists() and read_key(survey.key_file.parent).survey != key.survey:
        raise OutputError(
            f"'{survey.key_file}' is the key of another survey, whose answers cannot be scored without it; "
            "choose another folder with --out, or remove the file"
        )
    page = write_page(key.survey, questions).encode()
    write_files({survey.key_file: key.as_json(), survey.page: page})


def _method_names(run: Evaluation, methods: Sequence[str] | str | None) -> tuple[str, ...]:
    if isinstance(methods, str):
        methods = [name.strip() for name in methods.split(",") if name.strip()]
    names = tuple(filterfalse(is_control, run.methods) if methods is None else dict.fromkeys(methods))
    for name in names:
        if name not in run.methods:
            hint = did_you_mean(name, run.methods)
            raise SettingError(f"the run has no method {name!r}{hint} Expected some of {', '.join(run.methods)}")
    if not 2 <= len(names) <= len(_LETTERS):
        raise SettingError(
            f"{len(names)} methods to compare; expected 2 to {len(_LETTERS)}: name them, or some controls, "
            "with --methods, or evaluate more methods"
        )
    return names


def _draw(
    run: Evaluation, names: Sequence[str], images: int, generator: np.random.Generator
) -> tuple[list[tuple[Question, Item]], dict[str, int]]:
    """Return the images to show with their entries in the key, and how many images were left out for each reason."""
    shown: list[tuple[Question, Item]] = []
    left_out = {_EMPTY: 0, _SAME: 0}
    # Go through the run's images in random order until enough of them can be shown.
    for index in generator.permutation(len(run.images)):
        if len(shown) == images:
            break
        image = run.images[index]
        pixels = draw_image(image)
        # One picture for each group of methods whose maps look the same.
        maps = draw_maps(image, pixels, {name: run.maps[image.sha256, name].cam for name in names})
        if maps is None or len(maps) == 1:
            left_out[_EMPTY if maps is None else _SAME] += 1
            continue
        # The pictures get their letters in random order; only the key says which methods each letter stands for.
        order = [maps[place] for place in generator.permutation(len(maps))]
        class_name = _class_name(image)
        pictures = _lettered(picture for picture, _ in order)
        question = Question(str(len(shown) + 1), class_name, as_jpeg(pixels), pictures)
        item = Item(image.name, image.sha256, class_name, _lettered(methods for _, methods in order))
        shown.append((question, item))
    if not shown:
        raise OutputError(
            f"none of the {len(run.images)} images can be shown: for {left_out[_EMPTY]} {_EMPTY}, for "
            f"{left_out[_SAME]} {_SAME}; leave out a method with --methods"
        )
    return shown, left_out


def _lettered(values: Iterable[_Value]) -> dict[str, _Value]:
    return dict(zip(_LETTERS, values, strict=False))


def _class_name(image: SeenImage) -> str:
    name = image.facts.predicted_name
    return one_line_text(name) if name else f"class {image.facts.predicted}"


def _identify(questions: Sequence[Question]) -> str:
    """Return a hash of what is shown, in its order. It gives away nothing that the page does not."""
    hashed = hashlib.sha256()
    for question in questions:
        for part in (question.class_name.encode(), question.picture, *question.maps.values()):
            hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()[:16]
