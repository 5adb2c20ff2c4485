"""The command that compares methods: click over the library, with no logic of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.command import Command
from onnx_cam.cli.completion import complete_list
from onnx_cam.cli.echo import echo_json
from onnx_cam.cli.images import end_with, for_each, list_files, split_target
from onnx_cam.cli.options import (
    BATCH_SIZE,
    DRAWING,
    IMAGES,
    LAYER,
    MODEL,
    SAMPLES,
    SEED,
    TARGET,
    VERSUS,
    load_classifier,
)
from onnx_cam.errors import SettingError
from onnx_cam.names import METHODS

if TYPE_CHECKING:
    from pathlib import Path

    from onnx_cam.comparison.result import Comparison
    from onnx_cam.methods import Method

__all__ = ["compare"]


@click.command(cls=Command)
@MODEL
@IMAGES
@click.option(
    "--methods",
    shell_complete=complete_list(("all", *METHODS)),
    default="all",
    show_default=True,
    metavar="NAME[:VARIANT][:budget=P%][,…]",
    help="Methods to compare; all: every method that works on this model.",
)
@TARGET
@VERSUS
@LAYER
@SAMPLES
@SEED
@BATCH_SIZE
@click.option(
    "-o",
    "--out",
    "paths",
    type=click.Path(),
    multiple=True,
    default=("comparison.png",),
    show_default=True,
    metavar="FILE.png|FILE.html",
    help="File to write; give it twice for both kinds.",
)
@DRAWING
def compare(images: tuple[str, ...], paths: tuple[str, ...], as_json: bool, quiet: bool, **settings: Any) -> None:
    """Draw the maps of several methods side by side: a row for each IMAGE and class.

    IMAGE is a file, a folder, a glob, or - for standard input. With --versus, a row holds the maps of both classes and
    of the one against the other. The file itself records how each map was made: in a text
    chunk of the PNG, in the footer of the HTML.

    \b
    Examples:
      onnx-cam compare model.onnx cat.jpg --methods scorecam,sscam1,sscam2,iscam -o grid.png
      onnx-cam compare model.onnx photos/ --methods sscam2,sscam2:paper --samples 35 -o grid.html -o grid.png
      onnx-cam compare model.onnx cat.jpg --methods gradcam --target 281,282 --versus next -o why.png
    """
    methods = _methods(settings, paths)
    from onnx_cam.comparison.comparing import ComparisonBuilder
    from onnx_cam.comparison.result import output_folders
    from onnx_cam.methods.spelling import ALL

    classifier = load_classifier(settings["model"], settings)
    unique, failed = list_files(images, settings, quiet)
    chosen = {key: settings[key] for key in ("layer", "seed", "batch_size")}
    with output_folders(paths):
        comparing = ComparisonBuilder(
            classifier,
            methods,
            images=max(1, len(unique)),
            lenient=settings["methods"] == ALL,
            target=split_target(classifier, settings["target"]),
            versus=settings["versus"],
            **chosen,
        )
        _, lost = for_each(lambda path: comparing.add(path, lambda name: terminal.progress(name, quiet)), unique)
        comparison = comparing.finish()
        if comparison:
            written = comparison.save(*paths, alpha=settings["alpha"], colormap=settings["colormap"])
            if not quiet:
                terminal.say_notes(comparison, [f"{classifier.name}: {note}" for note in classifier.notes])
            _print_comparison(comparison, written, as_json)
    end_with(failed + lost, len(unique) + failed)


def _methods(settings: dict[str, Any], paths: Sequence[str]) -> tuple[Method, ...]:
    """Return what to compare, judged by the command's words alone: what is wrong there is wrong usage."""
    from onnx_cam.comparison.comparing import choose_methods
    from onnx_cam.comparison.result import check_output
    from onnx_cam.drawing.overlay import check_drawing
    from onnx_cam.explanation.explaining import check_settings

    try:
        for path in paths:
            check_output(path)
        methods = choose_methods(settings["methods"], settings["samples"])
        for method in methods:
            check_settings(method, seed=settings["seed"], batch_size=settings["batch_size"])
        check_drawing(settings["alpha"], settings["colormap"])
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    return methods


def _print_comparison(comparison: Comparison, written: Sequence[Path], as_json: bool) -> None:
    if not as_json:
        terminal.show_comparison(comparison, written)
        return
    files = {path.suffix[1:].lower(): str(path) for path in written}
    for explanation in comparison.explanations:
        echo_json(explanation.record(files))
