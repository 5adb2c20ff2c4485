"""The command line: click over the library, with no logic of its own.

Nothing heavy is imported before a command runs, so that ``onnx-cam --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from onnx_cam._version import __version__
from onnx_cam.cli import terminal
from onnx_cam.cli.builds import diff
from onnx_cam.cli.collection import without_collection
from onnx_cam.cli.command import CommandGroup
from onnx_cam.cli.comparison import compare
from onnx_cam.cli.echo import echo, echo_json, say
from onnx_cam.cli.evaluation import evaluate, report
from onnx_cam.cli.exporting import export
from onnx_cam.cli.images import end_with, list_files, split_target
from onnx_cam.cli.options import (
    BATCH_SIZE,
    DRAWING,
    IMAGES,
    LAYER,
    LIMITS,
    MODEL,
    SAMPLES,
    SEED,
    SIGMA,
    TARGET,
    VARIANT,
    VERSUS,
    load_classifier,
)
from onnx_cam.cli.pipeline import Stages, run_pipeline
from onnx_cam.cli.survey import survey, survey_score
from onnx_cam.errors import SettingError
from onnx_cam.names import BASELINES, GRADIENTS, METHODS, SCORES

if TYPE_CHECKING:
    from pathlib import Path

    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.explanation.result import Explanation
    from onnx_cam.image.picture import Picture
    from onnx_cam.methods import Method

__all__ = ["main"]


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="onnx-cam")
def main() -> None:
    """Show which pixels the decision of a deployed ONNX image classifier rests on.

    \b
    Example:
      onnx-cam explain model.onnx cat.jpg --method sscam2
    """


@main.command()
@MODEL
@IMAGES
@click.option(
    "--method",
    type=click.Choice(METHODS),
    metavar="NAME",
    default="scorecam",
    show_default=True,
    help=f"Method: {', '.join(METHODS)}.",
)
@TARGET
@VERSUS
@LAYER
@VARIANT
@SAMPLES
@SIGMA
@SEED
@click.option(
    "--score",
    type=click.Choice(SCORES),
    help="Score of a masked image; by default the probability, or the variant's own.",
)
@click.option(
    "--baseline",
    type=click.Choice(BASELINES),
    help="Image whose score is subtracted; by default zero in network-input space.",
)
@BATCH_SIZE
@click.option(
    "--gradients",
    type=click.Choice(GRADIENTS),
    default="auto",
    show_default=True,
    help="What computes gradients: the graph itself (onnx), torch, or torch only where the graph cannot (auto).",
)
@LIMITS
@click.option(
    "--save",
    "saved",
    type=click.Choice(("error",)),
    multiple=True,
    help="Also write the map's standard deviation: a picture (PNG) and the numbers (.npy).",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    default="onnx-cam-out",
    show_default=True,
    metavar="DIR",
    help="Folder for the results.",
)
@DRAWING
def explain(model: str, images: tuple[str, ...], target: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Show which pixels of IMAGE the decision of MODEL rests on.

    IMAGE is a file, a folder, a glob, or - for standard input. Each result consists of three files in --out: the
    overlay (PNG), the map (.npy) and the record of how it was made (JSON).

    \b
    Examples:
      onnx-cam explain model.onnx cat.jpg --method sscam2
      onnx-cam explain model.onnx photos/ --labels imagenet --target top3 --json
      onnx-cam explain model.onnx cat.jpg --target 281,282 --preprocess tf
      onnx-cam explain model.onnx cat.jpg --target tabby --versus "tiger cat"
      onnx-cam explain model.onnx cat.jpg --budget 10% --save error
    """
    method = _method(settings)
    from onnx_cam.files import results_folder
    from onnx_cam.image.files import stems

    classifier = load_classifier(model, settings)
    unique, failed = list_files(images, settings, quiet)
    job = _Job(
        classifier,
        method,
        target=split_target(classifier, target),
        stems=dict(zip(unique, stems(unique), strict=True)),
        notes=_Once([] if quiet else [f"{classifier.name}: {note}" for note in classifier.notes]),
        as_json=as_json,
        quiet=quiet,
        settings=settings,
    )
    with results_folder(settings["out"]):
        lost = run_pipeline(unique, Stages(job.read, job.explain, job.write, job.show))
    end_with(failed + lost, len(unique) + failed)


class _Once:
    """Lines that are printed once: after the first image that worked, and not beside the error of a bad one."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines

    def say(self) -> None:
        for line in self._lines:
            say(line)
        self._lines = ()


@dataclass(frozen=True)
class _Job:
    """What is the same for every image of an `explain` command."""

    classifier: Classifier
    method: Method
    target: str | list[str]
    stems: Mapping[str, str]
    notes: _Once
    as_json: bool
    quiet: bool
    settings: Mapping[str, Any]

    def read(self, path: str) -> Picture:
        """Read an image."""
        return self.classifier.open_picture(path, self.classifier.preprocessing)

    def explain(self, path: str, picture: Picture) -> list[Explanation]:
        """Explain an image."""
        import onnx_cam

        with terminal.progress(self.stems[path], self.quiet) as progress:
            results = onnx_cam.explain(
                self.classifier,
                picture,
                method=self.method,
                target=self.target,
                layer=self.settings["layer"],
                seed=self.settings["seed"],
                score=self.settings["score"],
                gradients=self.settings["gradients"],
                baseline=self.settings["baseline"],
                batch_size=self.settings["batch_size"],
                progress=progress,
            )
        return results if isinstance(results, list) else [results]

    def write(self, path: str, results: Sequence[Explanation]) -> list[dict[str, Path]]:
        """Write the results of an image, and return the paths of each."""
        return [
            result.save(
                self.settings["out"],
                stem=self.stems[path],
                alpha=self.settings["alpha"],
                colormap=self.settings["colormap"],
                error="error" in self.settings["saved"],
            )
            for result in results
        ]

    def show(self, path: str, results: Sequence[Explanation], written: Sequence[dict[str, Path]]) -> None:
        """Print the results of an image."""
        self.notes.say()
        for result, files in zip(results, written, strict=True):
            self._show(path, result, files)

    def _show(self, path: str, result: Explanation, files: dict[str, Path]) -> None:
        if not self.quiet:
            if "error" in self.settings["saved"] and result.error is None:
                say(f"{path}: no error to save: the map is exact, and not a mean over several noise fields")
            for warning in result.warnings:
                say(f"{path}: {warning}")
        if self.as_json:
            record = result.record({key: str(file) for key, file in files.items()})
            echo_json(record)
        else:
            terminal.show_result(result, path, files)


def _method(settings: dict[str, Any]) -> Method:
    """Return the method, judged by the command's words alone: what is wrong there is wrong usage."""
    with without_collection():
        from onnx_cam.drawing.overlay import check_drawing
        from onnx_cam.explanation.explaining import check_settings
        from onnx_cam.methods import make_method

    try:
        own = ("variant", "versus", "samples", "sigma", "budget", "tolerance")
        method = make_method(settings["method"], **{key: settings[key] for key in own})
        check_settings(
            method, **{key: settings[key] for key in ("score", "baseline", "seed", "batch_size", "gradients")}
        )
        check_drawing(settings["alpha"], settings["colormap"])
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    return method


@main.command()
@MODEL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def layers(model: str, as_json: bool, **settings: Any) -> None:
    """List the layers of MODEL that can be explained, the default first.

    \b
    Example:
      onnx-cam layers model.onnx
    """
    classifier = load_classifier(model, settings)
    classifier.layer()  # an error where there is none
    explainable = classifier.layers()
    if as_json:
        for layer in explainable:
            echo_json(layer.describe())
    else:
        rows = [
            (one.name, one.op_type, "×".join(map(str, one.shape)), one.layout, one.node, "default" * one.is_default)
            for one in explainable
        ]
        terminal.show_table(("layer (output tensor)", "operator", "K×h×w", "layout", "node", ""), rows)


@main.command()
@MODEL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(model: str, as_json: bool, **settings: Any) -> None:
    """Show what was detected about MODEL, and from what.

    \b
    Example:
      onnx-cam inspect model.onnx --labels imagenet
    """
    import onnx_cam

    findings = onnx_cam.inspect(load_classifier(model, settings))
    if as_json:
        content = {finding.what: {"value": finding.value, "source": finding.source} for finding in findings}
        echo_json(content)
    else:
        terminal.show_table(("what", "value", "from"), [(f.what, f.value, f.source) for f in findings])


@main.command()
def check() -> None:
    """Show what runs here: package versions, and each device tested with a convolution.

    \b
    Example:
      onnx-cam check
    """
    import onnx_cam
    from onnx_cam.explanation.versions import package_versions
    from onnx_cam.runtime.packages import package_conflict

    checks = onnx_cam.check()
    terminal.show_table(("package", "version"), list(package_versions().items()))
    echo()
    rows = [(c.device, c.provider, "works" if c.works else "does not work", c.detail) for c in checks]
    terminal.show_table(("device", "provider", "", "detail"), rows)
    if conflict := package_conflict():
        say(conflict)
    if not any(c.works for c in checks):
        click.get_current_context().exit(1)


@main.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    default="onnx-cam-demo",
    show_default=True,
    metavar="DIR",
    help="Folder for the results.",
)
@click.option("--quiet", is_flag=True, help="Hide progress and notes.")
def demo(out: str, quiet: bool) -> None:
    """Explain a photo of a cat with EfficientNet-Lite0; nothing is downloaded.

    \b
    Example:
      onnx-cam demo
    """
    from onnx_cam.demo import run_demo

    with terminal.progress("chelsea", quiet) as progress:
        result, files, model = run_demo(out, progress)
    if not quiet:
        say(f"the model: {model}")
    terminal.show_result(result, str(result.image), files)


for command in (export, compare, diff, evaluate, report, survey, survey_score):
    main.add_command(command)
