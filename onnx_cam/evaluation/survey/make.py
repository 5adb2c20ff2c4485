"""A survey of a run: images drawn at random, and the maps of each in random order under neutral names."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

__all__ = ["Survey", "make_survey"]

_Value = TypeVar("_Value")

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BLANK = "a map that is the same everywhere"
_SAME = "every method's map looks the same"
_KEPT = ("model_sha256", "layer", "preprocessing", "dataset", "seed", "versions")


@dataclass(frozen=True)
class Survey:
    """A survey that was written.

    Attributes
    ----------
    page : Path
        What reviewers get, and all that they get.
    key_file : Path
        What stays with whoever asks them.
    key : Key
    progress : RunProgress or None
        How far the run had come that the images were drawn from; None where it was finished.
    """

    page: Path
    key_file: Path
    key: Key
    progress: RunProgress | None = None

    def describe(self) -> dict[str, Any]:
        """Return what was made as plain JSON values; they do not undo the blinding."""
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

    Images are drawn at random from the run's, the same for every reviewer; the maps of each are in random order. An
    image for which some method's map is the same everywhere is passed over, and so is one whose maps all look the same.
    Maps of several methods that look the same are shown once, and stand for all of them.

    Parameters
    ----------
    evaluation : Evaluation, str or Path
        A run, or its folder. Of a run that is not finished, the images done so far are drawn from.
    out : str or Path
        Folder for the page and the key.
    images : int
        How many to show; all, where the run has fewer.
    methods : sequence of str or str, optional
        Names as in the run's tables, or a text with commas; all of them by default.
    seed : int, optional
        A fresh one that nobody can guess by default. With the same seed the same run gives the same survey.

    Raises
    ------
    SettingError
        A setting is out of range, or the run lacks a method.
    OutputError
        There is no run with a finished image, nothing to show, or `out` cannot be written to or holds another survey.
    """
    if images < 1:
        raise SettingError(f"images={images}; expected 1 or more")
    if seed is None:
        seed = secrets.randbits(128)
    elif seed < 0:
        raise SettingError(f"seed={seed}; expected 0 or more")
    run = evaluation if isinstance(evaluation, Evaluation) else read_evaluation(evaluation)
    names = _choose(run, methods)
    with results_folder(out):
        shown, left_out = _draw(run, names, images, np.random.default_rng(seed))
        questions = [question for question, _ in shown]
        key = Key(
            _identify(questions),
            seed,
            {name: run.methods[name] for name in names},
            {question.number: item for question, item in shown},
            left_out,
            {name: run.facts[name] for name in _KEPT if name in run.facts} | _unfinished(run),
        )
        survey = Survey(Path(out) / PAGE_NAME, Path(out) / KEY_NAME, key, run.progress)
        _write(survey, questions)
    return survey


def _unfinished(run: Evaluation) -> dict[str, str]:
    """Return how far the run has come, for the key: the same seed gives another survey once there are more images."""
    return {"progress": str(run.progress)} if run.progress else {}


def _write(survey: Survey, questions: Sequence[Question]) -> None:
    key = survey.key
    if survey.key_file.exists() and read_key(survey.key_file.parent).survey != key.survey:
        raise OutputError(
            f"'{survey.key_file}' is the key of another survey, whose answers would be worth nothing without it; "
            "choose another folder with --out, or remove it"
        )
    page = write_page(key.survey, questions).encode()
    write_files({survey.key_file: key.as_json(), survey.page: page})


def _choose(run: Evaluation, methods: Sequence[str] | str | None) -> tuple[str, ...]:
    if isinstance(methods, str):
        methods = [name.strip() for name in methods.split(",") if name.strip()]
    names = tuple(run.methods) if methods is None else tuple(dict.fromkeys(methods))
    for name in names:
        if name not in run.methods:
            hint = did_you_mean(name, run.methods)
            raise SettingError(f"the run has no method {name!r}{hint} Expected some of {', '.join(run.methods)}")
    if not 2 <= len(names) <= len(_LETTERS):
        raise SettingError(
            f"{len(names)} methods to compare; expected 2 to {len(_LETTERS)}: choose them with --methods, "
            "or evaluate more"
        )
    return names


def _draw(
    run: Evaluation, names: Sequence[str], images: int, generator: np.random.Generator
) -> tuple[list[tuple[Question, Item]], dict[str, int]]:
    """Go through the run's images in random order until enough can be shown."""
    shown: list[tuple[Question, Item]] = []
    left_out = {_BLANK: 0, _SAME: 0}
    for index in generator.permutation(len(run.images)):
        if len(shown) == images:
            break
        image = run.images[index]
        pixels = draw_image(image)
        drawn = draw_maps(image, pixels, {name: run.maps[image.sha256, name].cam for name in names})
        if drawn is None or len(drawn) == 1:
            left_out[_BLANK if drawn is None else _SAME] += 1
            continue
        order = [drawn[place] for place in generator.permutation(len(drawn))]
        said = _said(image)
        item = Item(image.name, image.sha256, said, _lettered(names for _, names in order))
        shown.append(
            (Question(str(len(shown) + 1), said, as_jpeg(pixels), _lettered(picture for picture, _ in order)), item)
        )
    if not shown:
        raise OutputError(
            f"of {len(run.images)} images none can be shown: {left_out[_BLANK]} with {_BLANK}, {left_out[_SAME]} where "
            f"{_SAME}; leave the method out with --methods"
        )
    return shown, left_out


def _lettered(values: Iterable[_Value]) -> dict[str, _Value]:
    return dict(zip(_LETTERS, values, strict=False))


def _said(image: SeenImage) -> str:
    name = image.facts.predicted_name
    return one_line_text(name) if name else f"class {image.facts.predicted}"


def _identify(questions: Sequence[Question]) -> str:
    """Return a hash of what is shown, in its order: it tells nothing that the page does not."""
    hashed = hashlib.sha256()
    for question in questions:
        for part in (question.said.encode(), question.picture, *question.maps.values()):
            hashed.update(len(part).to_bytes(8, "big") + part)
    return hashed.hexdigest()[:16]
