"""Work on the images of a command, one by one: those that fail are reported, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onnx_cam.cli import terminal
from onnx_cam.errors import ImageError, ScoreError

if TYPE_CHECKING:
    from onnx_cam.classifier.classifier import Classifier

__all__ = ["end_with", "for_each", "list_files", "split_target"]

Result = TypeVar("Result")


def list_files(images: Sequence[str], settings: dict[str, Any]) -> tuple[list[str], int]:
    """Return the image files that the words stand for, each once, and how many words stand for none."""
    from onnx_cam.image.files import SUFFIXES, list_images

    suffixes = SUFFIXES if settings["preprocess"] != "none" else (".npy",)
    paths, failed = for_each(lambda name: list_images([name], suffixes), images)
    return list(dict.fromkeys(path for group in paths for path in group)), failed


def for_each(work: Callable[[str], Result], names: Iterable[str]) -> tuple[list[Result], int]:
    """Work on each image, report those that fail and go on; return the results of the others, and how many failed."""
    results: list[Result] = []
    failed = 0
    for name in names:
        try:
            results.append(work(name))
        except (ImageError, ScoreError) as error:
            failed += 1
            terminal.say_error(error)
    return results, failed


def end_with(failed: int, images: int) -> None:
    """End the command with exit status 1 where an image failed, and say how many did."""
    if failed:
        if images > 1:
            terminal.say(f"{failed} of {images} images failed")
        click.get_current_context().exit(1)


def split_target(classifier: Classifier, text: str) -> str | list[str]:
    """Return a single target, or a list where commas separate several; a name may itself contain commas."""
    from onnx_cam.classifier.labels import fold

    if "," not in text or fold(text) in map(fold, classifier.labels.names or ()):
        return text
    return [part.strip() for part in text.split(",") if part.strip()]
