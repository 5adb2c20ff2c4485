"""Work on the images of a command, one by one: those that fail are reported, and the others go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from onnx_cam.cli.echo import say
from onnx_cam.cli.failures import is_foreign, say_failure
from onnx_cam.errors import ImageError, OnnxCamError, ScoreError

if TYPE_CHECKING:
    from onnx_cam.classifier.classifier import Classifier

__all__ = ["end_with", "for_each", "list_files", "report_failure", "split_target"]

Result = TypeVar("Result")

_OF_ONE_IMAGE = (ImageError, ScoreError)  # with another error of ours, the other images would fail, too


def list_files(images: Sequence[str], settings: dict[str, Any], quiet: bool) -> tuple[list[str], int]:
    """Return the image files that the words stand for, each once, and how many words stand for none.

    What is skipped in a folder is reported, unless `quiet`.
    """
    from onnx_cam.image.files import SUFFIXES, find_images

    suffixes = SUFFIXES if settings["preprocess"] != "none" else (".npy",)
    lists, failed = for_each(lambda name: find_images([name], suffixes), images)
    if not quiet:
        for note in dict.fromkeys(note for one in lists for note in one.notes):
            say(note)
    return list(dict.fromkeys(path for one in lists for path in one.paths)), failed


def for_each(work: Callable[[str], Result], names: Iterable[str]) -> tuple[list[Result], int]:
    """Work on each image, report those that fail and go on; return the results of the others, and how many failed."""
    results: list[Result] = []
    failed = 0
    for name in names:
        try:
            results.append(work(name))
        except Exception as error:
            report_failure(error, name)
            failed += 1
    return results, failed


def report_failure(error: Exception, name: str) -> None:
    """Report the error of an image, and go on; raise one with which the other images would fail, too."""
    if is_foreign(error) or (isinstance(error, OnnxCamError) and not isinstance(error, _OF_ONE_IMAGE)):
        raise error
    say_failure(error, name)


def end_with(failed: int, images: int) -> None:
    """End the command with exit status 1 where an image failed, and say how many did."""
    if failed:
        if images > 1:
            say(f"{failed} of {images} images failed")
        click.get_current_context().exit(1)


def split_target(classifier: Classifier, text: str) -> str | list[str]:
    """Return a single target, or a list where commas separate several; a name may itself contain commas."""
    from onnx_cam.explanation.targets import split_targets

    return split_targets(classifier.labels.names, text)
