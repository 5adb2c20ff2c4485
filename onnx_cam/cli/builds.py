"""The command that compares two builds of a model: click over the library, with no logic of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.command import Command
from onnx_cam.cli.completion import complete_files, complete_words
from onnx_cam.cli.echo import echo, echo_json, printable, say
from onnx_cam.cli.options import (
    DATASET_FILES,
    LIMITS,
    LOADING,
    SAMPLES,
    SIGMA,
    VARIANT,
    load_classifier,
    preprocess_word,
)
from onnx_cam.errors import SettingError
from onnx_cam.names import DATASET_KINDS, METHODS, PREPROCESSINGS

if TYPE_CHECKING:
    from onnx_cam.builds.baseline import Baseline
    from onnx_cam.builds.result import Diff
    from onnx_cam.builds.saving import SavedBaseline
    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.evaluation.datasets import Dataset

__all__ = ["diff"]

_GATE_FAILED = 3
"""The exit status where a gate fails."""

_OF_MAPS = ("method", "variant", "samples", "sigma", "budget", "tolerance", "seed", "maps", "layer")

_OF_A_DATASET = ("kind", "images", "classes")


@click.command(cls=Command)
@click.argument("words", nargs=-1, required=True, shell_complete=complete_files, metavar="OLD NEW IMAGE...")
@LOADING
@click.option(
    "--new-preprocess",
    callback=preprocess_word,
    shell_complete=complete_words(PREPROCESSINGS, files=True),
    metavar="NAME|FILE.json",
    help="How to preprocess the image for NEW, where it differs from --preprocess, which is for both builds.",
)
@click.option(
    "--fail-if",
    "gates",
    multiple=True,
    metavar="NAME>NUMBER[%]",
    help="Gate: flips, negative-flips, drift, maps or changed, and the limit above which it fails (exit status 3), as "
    "in flips>5% or maps>3. It fails only where the whole 95 % interval is above. Repeatable; by default flips>5% and "
    "maps>3.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    metavar="NAME",
    help=f"Method of the maps: {', '.join(METHODS)}; by default gradcam.",
)
@VARIANT
@SAMPLES
@SIGMA
@LIMITS
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer of OLD whose maps are compared, as onnx-cam layers lists them; by default its default layer.",
)
@click.option(
    "--new-layer",
    metavar="NAME",
    help="Layer of NEW; by default the one that corresponds to that of OLD by name or shape.",
)
@click.option(
    "--maps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of images whose maps are compared; by default 100. Of more images, half of N are drawn at random and "
    "give the figures, and the other half are those whose scores moved most.",
)
@click.option(
    "--layers",
    is_flag=True,
    help="Also compare the activations at every tensor that both builds have, to show where the builds diverge.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    help="Random seed of the noise and of the draw of images; by default 0.",
)
@click.option(
    "--kind",
    type=click.Choice(("auto", *DATASET_KINDS)),
    default="auto",
    show_default=True,
    help="Layout of the dataset, where IMAGE is one with labels; auto recognises it.",
)
@DATASET_FILES
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    metavar="DIR",
    help="Folder for the results, required. A comparison that was stopped goes on there.",
)
@click.option(
    "--save-baseline",
    "baseline",
    type=click.Path(),
    metavar="FILE",
    help="Instead of comparing, keep in FILE what a comparison needs of OLD; the arguments are then OLD IMAGE... Later "
    "FILE is given in place of OLD.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the content of diff.json as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print no progress and no notes.")
def diff(words: tuple[str, ...], baseline: str | None, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Compare two builds of a model, OLD and NEW, on the same IMAGEs: predictions, and where the builds look.

    IMAGE is a file, a folder or a pattern; one IMAGE may also be a dataset as onnx-cam evaluate takes it, whose labels
    give the negative flips. No labels are needed otherwise. The folder DIR then holds diff.json, images.csv, junit.xml,
    summary.md and report.html. The exit status is 3 where a gate fails.

    \b
    Examples:
      onnx-cam diff old.onnx new.onnx photos/ --fail-if "flips>5%" --fail-if "maps>3" -o diff/
      onnx-cam diff --save-baseline old.baseline old.onnx photos/
      onnx-cam diff old.baseline new.onnx photos/ -o diff/
    """
    _check_usage(words, baseline, settings)
    if baseline is not None:
        _save(words, baseline, settings, quiet)
        return
    from onnx_cam.builds.run import diff as run

    old = _open_old(words[0], settings)
    new = load_classifier(words[1], {**settings, "preprocess": settings["new_preprocess"] or settings["preprocess"]})
    with terminal.progress("predictions and maps", quiet) as progress:
        result = run(
            old,
            new,
            _images(words[2:], settings),
            **{name: settings[name] for name in _OF_MAPS},
            new_layer=settings["new_layer"],
            layers=settings["layers"],
            fail_if=settings["gates"] or None,
            out=settings["out"],
            progress=progress,
        )
    if not quiet:
        _say_notes((old, new), result)
    if as_json:
        echo_json(result.record())
    else:
        _show(result)
    _end(result)


def _check_usage(words: Sequence[str], baseline: str | None, settings: Mapping[str, Any]) -> None:
    """Raise a usage error for what is wrong with the command's words alone."""
    from onnx_cam.builds.gates import read_gates
    from onnx_cam.builds.images import check_one_dataset
    from onnx_cam.builds.opening import map_settings

    _check_words(words, baseline, settings)
    try:
        check_one_dataset(words[2 if baseline is None else 1 :], **{name: settings[name] for name in _OF_A_DATASET})
        read_gates(settings["gates"])
        map_settings(**{name: settings[name] for name in _OF_MAPS if name != "layer"})
    except SettingError as error:
        raise click.UsageError(str(error)) from error


def _check_words(words: Sequence[str], baseline: str | None, settings: Mapping[str, Any]) -> None:
    if baseline is not None:
        options = {
            "out": "-o",
            "new_layer": "--new-layer",
            "new_preprocess": "--new-preprocess",
            "gates": "--fail-if",
            "layers": "--layers",
        }
        for name, option in options.items():
            if settings[name]:
                raise click.UsageError(f"{option} is for a comparison, and --save-baseline makes none: leave it out")
        if len(words) < 2:
            raise click.UsageError("expected OLD and at least one IMAGE beside --save-baseline FILE")
        if models := [word for word in words[1:] if word.lower().endswith(".onnx")]:
            raise click.UsageError(f"--save-baseline takes OLD and IMAGE..., and no NEW: leave out {models[0]!r}")
        return
    if len(words) < 3:
        raise click.UsageError("expected OLD, NEW and at least one IMAGE")
    if settings["out"] is None:
        raise click.UsageError("missing option -o DIR, the folder for the results")


def _open_old(word: str, settings: dict[str, Any]) -> Classifier | Baseline:
    """Return the old build; or what was kept of it, where the file is a baseline."""
    from onnx_cam.builds.baseline import is_baseline, read_baseline

    return read_baseline(word) if is_baseline(word) else load_classifier(word, settings)


def _images(words: Sequence[str], settings: Mapping[str, Any]) -> Dataset | list[str]:
    """Return the dataset that a single word stands for, or the words."""
    from onnx_cam.builds.images import find_dataset

    return find_dataset(words, **{name: settings[name] for name in _OF_A_DATASET}) or list(words)


def _save(words: Sequence[str], path: str, settings: dict[str, Any], quiet: bool) -> None:
    from onnx_cam.builds.saving import save_baseline

    model, *images = words
    classifier = load_classifier(model, settings)
    with terminal.progress("predictions and maps", quiet) as progress:
        saved = save_baseline(
            classifier,
            _images(images, settings),
            path,
            **{name: settings[name] for name in _OF_MAPS},
            progress=progress,
        )
    if not quiet:
        _say_notes([classifier], saved)
    images_saved = "1 image" if saved.images == 1 else f"{saved.images:,} images"
    echo(printable(f"wrote {path}: {images_saved}, {saved.maps:,} with maps"))


def _say_notes(models: Sequence[Classifier | Baseline], result: Diff | SavedBaseline) -> None:
    from onnx_cam.classifier.classifier import Classifier

    classifiers = [model for model in models if isinstance(model, Classifier)]
    for line in dict.fromkeys(f"{model.name}: {note}" for model in classifiers for note in model.notes):
        say(line)
    for note in result.notes:
        say(note)
    for name, reason in result.left_out.items():
        say(f"{name} left out: {reason}")


def _show(result: Diff) -> None:
    """Print the figures with their intervals, and the files that hold more."""
    from onnx_cam.builds.figures import FIGURES
    from onnx_cam.builds.summary import shown

    rows = [(name, *shown(name, figure), figure.n, FIGURES[name]) for name, figure in result.figures.items()]
    terminal.show_table(("figure", "value", "95 % interval", "images", ""), rows)
    if result.along is not None:
        echo(printable(result.along.in_words()))
    for path in result.files:
        echo(printable(f"wrote {path}"))


def _end(result: Diff) -> None:
    """Say on standard error which gates fail, by how much, and end with exit status 3 where one does."""
    for judged in result.gates:
        if judged.failed is None:
            say(f"gate {judged.gate.text} not judged: {judged.reason}")
        elif judged.failed:
            say(f"gate {judged.gate.text} failed: {judged.reason}")
    if result.failed:
        click.get_current_context().exit(_GATE_FAILED)
