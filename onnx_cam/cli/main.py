"""The command line: click over the library, and no logic of its own.

Nothing heavy is imported here before a command runs: ``onnx-cam --help`` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from onnx_cam._version import __version__
from onnx_cam.cli import terminal
from onnx_cam.cli.evaluation import evaluate, report
from onnx_cam.cli.options import BATCH_SIZE, DRAWING, IMAGES, LAYER, LIMITS, MODEL, SAMPLES, SEED, TARGET, load_model
from onnx_cam.cli.survey import survey, survey_score
from onnx_cam.errors import ImageError, ScoreError, SettingError
from onnx_cam.names import BASELINES, METHODS, SCORES

if TYPE_CHECKING:
    from pathlib import Path

    from onnx_cam.classifier.classifier import Classifier
    from onnx_cam.comparison.result import Comparison
    from onnx_cam.methods import Method

__all__ = ["main"]


class _Commands(click.Group):
    """Turns the library's errors into one line and exit status 1, and Ctrl-C into 130."""

    def main(self, *args: Any, **settings: Any) -> Any:
        try:
            return super().main(*args, **settings)
        except OSError as error:  # standard output is full, or closed
            terminal.say_error(OSError(f"cannot write the result: {error.strerror or error}; free the space"))
            raise SystemExit(1) from None

    def invoke(self, ctx: click.Context) -> Any:
        with terminal.errors_as_lines(ctx, "try a smaller --batch-size, --samples or --size"):
            return super().invoke(ctx)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
@click.option("--method", type=click.Choice(METHODS), default="scorecam", show_default=True)
@TARGET
@LAYER
@click.option("--variant", metavar="V", help="A named variant of the method; see the README.")
@SAMPLES
@click.option("--sigma", type=click.FloatRange(min=0), help="σ, of the noisy methods.")
@SEED
@click.option("--score", type=click.Choice(SCORES), help="What a channel's mask is scored by.")
@click.option("--baseline", type=click.Choice(BASELINES), help="The image that is subtracted.")
@BATCH_SIZE
@LIMITS
@click.option(
    "--save", "saved", type=click.Choice(("error",)), multiple=True, help="Also write a picture of the map's error."
)
@click.option("--out", type=click.Path(), default="onnx-cam-out", show_default=True, help="Folder for the results.")
@DRAWING
def explain(model: str, images: tuple[str, ...], target: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Draw which pixels of IMAGE the decision of MODEL rests on.

    IMAGE is a file, a folder, a glob, or - for standard input. Each result is three files in --out: the overlay (PNG),
    the map (.npy) and the record (JSON).

    \b
    Examples:
      onnx-cam explain model.onnx cat.jpg --method sscam2
      onnx-cam explain model.onnx photos/ --labels imagenet --target top3 --json
      onnx-cam explain model.onnx cat.jpg --target 281,282 --preprocess tf
      onnx-cam explain model.onnx cat.jpg --budget 10% --save error
    """
    method = _method(settings)
    from onnx_cam.files import results_folder
    from onnx_cam.image.files import stems

    classifier = load_model(model, settings)
    unique, failed = _list(images, settings)
    wanted, notes = _target(classifier, target), [] if quiet else classifier.notes
    with results_folder(settings["out"]):
        stem = dict(zip(unique, stems(unique), strict=True))
        chosen: dict[str, Any] = {
            "target": wanted,
            "as_json": as_json,
            "quiet": quiet,
            "notes": notes,
            "settings": settings,
        }
        _, lost = _each(lambda path: _explain_one(classifier, method, path, stem=stem[path], **chosen), unique)
    _end(failed + lost, len(unique) + failed)


def _list(images: Sequence[str], settings: dict[str, Any]) -> tuple[list[str], int]:
    """Return the image files that words stand for, each once, and how many words stand for none."""
    from onnx_cam.image.files import SUFFIXES, list_images

    suffixes = SUFFIXES if settings["preprocess"] != "none" else (".npy",)
    paths, failed = _each(lambda name: list_images([name], suffixes), images)
    return list(dict.fromkeys(path for found in paths for path in found)), failed


def _end(failed: int, images: int) -> None:
    if failed:
        if images > 1:
            terminal.say(f"{failed} of {images} images failed")
        click.get_current_context().exit(1)


def _each(work: Callable[[str], Any], names: Iterable[str]) -> tuple[list[Any], int]:
    """Work on each image; report the bad ones, go on, and return what came of the rest and how many failed."""
    done, failed = [], 0
    for name in names:
        try:
            done.append(work(name))
        except (ImageError, ScoreError) as error:
            failed += 1
            terminal.say_error(error)
    return done, failed


def _explain_one(
    classifier: Classifier,
    method: Method,
    path: str,
    *,
    stem: str,
    target: str | list[str],
    as_json: bool,
    quiet: bool,
    notes: list[str],
    settings: dict[str, Any],
) -> None:
    import onnx_cam

    chosen = {key: settings[key] for key in ("layer", "seed", "score", "baseline", "batch_size")}
    with terminal.progress(stem, quiet) as progress:
        found = onnx_cam.explain(classifier, path, method=method, target=target, progress=progress, **chosen)
    while notes:  # once, and not beside the error of a bad image
        terminal.say(f"{classifier.name}: {notes.pop(0)}")
    for result in found if isinstance(found, list) else [found]:
        drawing = {key: settings[key] for key in ("alpha", "colormap")}
        error = "error" in settings["saved"]
        files = result.save(settings["out"], stem=stem, error=error, **drawing)
        if error and result.error is None and not quiet:
            terminal.say(f"{path}: an exact map has no error but that of several noise fields: there is none to save")
        if not quiet:
            for warning in result.warnings:
                terminal.say(f"{path}: {warning}")
        if as_json:
            record = result.record({key: str(value) for key, value in files.items()})
            click.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
        else:
            terminal.show_result(result, path, files)


def _method(settings: dict[str, Any]) -> Method:
    """Judge the method's settings by the command's words alone: what is wrong there is wrong usage."""
    from onnx_cam.drawing.overlay import check_drawing
    from onnx_cam.explanation.explaining import check_settings
    from onnx_cam.methods import make_method

    try:
        own = ("variant", "samples", "sigma", "budget", "tolerance")
        method = make_method(settings["method"], **{key: settings[key] for key in own})
        check_settings(method, **{key: settings[key] for key in ("score", "baseline", "seed", "batch_size")})
        check_drawing(settings["alpha"], settings["colormap"])
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    return method


def _target(classifier: Classifier, text: str) -> str | list[str]:
    """Return a single target, or the list that commas stand for; a name may hold commas itself."""
    names = {name.casefold() for name in classifier.labels.names or ()}
    if "," not in text or text.casefold() in names:
        return text
    return [part.strip() for part in text.split(",") if part.strip()]


@main.command()
@MODEL
@IMAGES
@click.option(
    "--methods",
    default="all",
    show_default=True,
    metavar="NAME[:VARIANT][:budget=P%][,…]",
    help="Methods, or all that work here.",
)
@TARGET
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
    help="File to write; twice for both kinds.",
)
@DRAWING
def compare(images: tuple[str, ...], paths: tuple[str, ...], as_json: bool, quiet: bool, **settings: Any) -> None:
    """Draw the maps of several methods side by side: a row for each IMAGE and class.

    IMAGE is a file, a folder, a glob, or - for standard input. How each map was made is in the file itself: a text
    chunk of the PNG, the footer of the HTML.

    \b
    Examples:
      onnx-cam compare model.onnx cat.jpg --methods scorecam,sscam1,sscam2,iscam -o grid.png
      onnx-cam compare model.onnx photos/ --methods sscam2,sscam2:paper --samples 35 -o grid.html -o grid.png
    """
    methods = _methods(settings, paths)
    from onnx_cam.comparison.comparing import Comparing
    from onnx_cam.comparison.result import output_folders
    from onnx_cam.methods.spelling import ALL

    classifier = load_model(settings["model"], settings)
    unique, failed = _list(images, settings)
    chosen = {key: settings[key] for key in ("layer", "seed", "batch_size")}
    with output_folders(paths):
        comparing = Comparing(
            classifier,
            methods,
            images=max(1, len(unique)),
            lenient=settings["methods"] == ALL,
            target=_target(classifier, settings["target"]),
            **chosen,
        )
        _, lost = _each(lambda path: comparing.add(path, lambda name: terminal.progress(name, quiet)), unique)
        comparison = comparing.finish()
        if comparison:
            written = comparison.save(*paths, alpha=settings["alpha"], colormap=settings["colormap"])
            if not quiet:
                terminal.say_notes(comparison, [f"{classifier.name}: {note}" for note in classifier.notes])
            _print_comparison(comparison, written, as_json)
    _end(failed + lost, len(unique) + failed)


def _methods(settings: dict[str, Any], paths: Sequence[str]) -> tuple[Method, ...]:
    """Judge what to compare and where to write it by the command's words alone."""
    from onnx_cam.comparison.comparing import choose_methods
    from onnx_cam.comparison.result import check_output
    from onnx_cam.explanation.explaining import check_settings

    try:
        for path in paths:
            check_output(path)
        methods = choose_methods(settings["methods"], settings["samples"])
        for method in methods:
            check_settings(method, seed=settings["seed"], batch_size=settings["batch_size"])
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    return methods


def _print_comparison(comparison: Comparison, written: Sequence[Path], as_json: bool) -> None:
    if not as_json:
        terminal.show_comparison(comparison, written)
        return
    files = {path.suffix[1:].lower(): str(path) for path in written}
    for explanation in comparison.explanations:
        click.echo(json.dumps(explanation.record(files), ensure_ascii=False, allow_nan=False))


@main.command()
@MODEL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def layers(model: str, as_json: bool, **settings: Any) -> None:
    """List the layers of MODEL that can be explained, the default first.

    \b
    Example:
      onnx-cam layers model.onnx
    """
    classifier = load_model(model, settings)
    classifier.layer()  # an error where there is none
    found = classifier.layers()
    if as_json:
        for layer in found:
            click.echo(json.dumps(layer.describe(), ensure_ascii=False))
    else:
        rows = [
            (f.name, f.op_type, "×".join(map(str, f.shape)), f.layout, f.node, "default" * f.is_default) for f in found
        ]
        terminal.show_table(("layer (output tensor)", "operator", "K×h×w", "layout", "node", ""), rows)


@main.command()
@MODEL
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(model: str, as_json: bool, **settings: Any) -> None:
    """Print what is known of MODEL, and what it was concluded from.

    \b
    Example:
      onnx-cam inspect model.onnx --labels imagenet
    """
    import onnx_cam

    found = onnx_cam.inspect(load_model(model, settings))
    if as_json:
        content = {finding.what: {"value": finding.value, "source": finding.source} for finding in found}
        click.echo(json.dumps(content, ensure_ascii=False))
    else:
        terminal.show_table(("what", "value", "from"), [(f.what, f.value, f.source) for f in found])


@main.command()
@MODEL
@click.option("--layer", metavar="NAME", help="Layer's output tensor or node; the default layer without it.")
@click.option("-o", "--out", "path", required=True, type=click.Path(), metavar="TAPPED.onnx", help="File to write.")
def export(model: str, layer: str | None, path: str, **settings: Any) -> None:
    """Write MODEL with a layer as an extra output.

    \b
    Example:
      onnx-cam export model.onnx --layer relu5 -o tapped.onnx
    """
    import onnx_cam

    tapped = onnx_cam.export(load_model(model, settings), path, layer=layer)
    shape = "×".join(map(str, tapped.shape))
    click.echo(f"wrote {path}: its output {tapped.name} ({shape}) is the layer; the others are as before, by a run")


@main.command()
def check() -> None:
    """Show what runs here: versions, and each device proved by a convolution.

    \b
    Example:
      onnx-cam check
    """
    import onnx_cam
    from onnx_cam.explanation.explaining import package_versions

    checks = onnx_cam.check()
    terminal.show_table(("package", "version"), list(package_versions().items()))
    click.echo()
    rows = [(c.device, c.provider, "works" if c.works else "no", c.detail) for c in checks]
    terminal.show_table(("device", "provider", "", "detail"), rows)
    if not any(c.works for c in checks):
        click.get_current_context().exit(1)


@main.command()
@click.option("--out", type=click.Path(), default="onnx-cam-demo", show_default=True, help="Folder for the results.")
@click.option("--quiet", is_flag=True, help="No progress and no notes.")
def demo(out: str, quiet: bool) -> None:
    """Explain a photo of a cat by EfficientNet-Lite0, with nothing to download.

    \b
    Example:
      onnx-cam demo
    """
    from onnx_cam.demo import run_demo

    with terminal.progress("chelsea", quiet) as progress:
        result, files, model = run_demo(out, progress)
    if not quiet:
        terminal.say(f"the model: {model}")
    terminal.show_result(result, str(result.image), files)


for command in (evaluate, report, survey, survey_score):
    main.add_command(command)
