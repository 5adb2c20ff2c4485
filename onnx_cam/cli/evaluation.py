"""The commands of the evaluation: click over the library, and no logic of its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.options import BATCH_SIZE, LAYER, MODEL, SAMPLES, SEED, load_classifier
from onnx_cam.errors import SettingError
from onnx_cam.names import BASELINES, DATASET_KINDS, ENGINES, METRICS, SCORES

if TYPE_CHECKING:
    from onnx_cam.evaluation import Evaluation

__all__ = ["evaluate", "report"]


@click.command()
@MODEL
@click.argument("dataset")
@click.option(
    "--methods",
    default="scorecam,sscam1,sscam2,sscam-max,iscam",
    show_default=True,
    metavar="NAME[:VARIANT][:sigma=S][:samples=N][:budget=P%][,…]",
    help="Methods; equal: the control, with all weights equal; all: every method that works here.",
)
@click.option(
    "--metrics", default="all", show_default=True, metavar="NAME[,…]", help=f"All, or some of {', '.join(METRICS)}."
)
@click.option("-o", "--out", required=True, type=click.Path(), metavar="RUN", help="Folder of the run.")
@click.option(
    "--kind",
    type=click.Choice(("auto", *DATASET_KINDS)),
    default="auto",
    show_default=True,
    help="The data set's layout.",
)
@click.option("--images", type=click.Path(), metavar="DIR", help="Where the images of an annotation file lie.")
@click.option("--classes", type=click.Path(), metavar="FILE", help="The order of the data set's classes.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most this many images.")
@click.option("--shuffle", is_flag=True, help="Draw the images at random, by --seed.")
@click.option("--only-correct", is_flag=True, help="Of the drawn images those whose class the model finds.")
@click.option("--only-boxed", is_flag=True, help="Draw from the images that have boxes.")
@click.option("--ignore-labels", is_flag=True, help="The data set's classes are not the model's.")
@LAYER
@SAMPLES
@SEED
@BATCH_SIZE
@click.option(
    "--score",
    type=click.Choice(SCORES),
    default="probability",
    show_default=True,
    help="What metrics measure.",
)
@click.option("--keep", type=float, default=1.0, show_default=True, help="Share of pixels, above 0, that a map keeps.")
@click.option("--steps", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Of the curves.")
@click.option(
    "--deletion-baseline",
    type=click.Choice(BASELINES),
    default="zero",
    show_default=True,
    help="What pixels are replaced by.",
)
@click.option(
    "--insertion-baseline",
    type=click.Choice(BASELINES),
    default="blur",
    show_default=True,
    help="What pixels are put onto.",
)
@click.option(
    "--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="Where the work is done."
)
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Of the engine ray.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, and nothing else.")
@click.option("--quiet", is_flag=True, help="No progress and no notes.")
def evaluate(dataset: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Measure which method's maps to believe, by MODEL on the images of DATASET.

    DATASET is a folder, a folder of class folders, or an annotation file: CSV, ILSVRC, Pascal VOC, COCO or index.json.
    The folder RUN keeps every map and figure as it comes: stopped by whatever, the same command goes on. At the end it
    holds summary.json, tables.csv, tables.json and report.html.

    \b
    Examples:
      onnx-cam evaluate model.onnx photos/ --methods scorecam,sscam2,iscam,equal -o run
      onnx-cam evaluate model.onnx LOC_val_solution.csv --limit 2000 --shuffle --only-correct -o run
    """
    chosen = _judged(settings)
    from onnx_cam.evaluation import evaluate as run
    from onnx_cam.evaluation.datasets import open_dataset

    opened = open_dataset(dataset, *(settings[key] for key in ("kind", "images", "classes")))
    classifier = load_classifier(settings["model"], settings)
    names = (
        *("out", "layer", "seed", "batch_size", "limit", "shuffle", "only_correct", "only_boxed", "ignore_labels"),
        *("engine", "workers", "score", "keep", "steps", "deletion_baseline", "insertion_baseline"),
    )
    with terminal.progress("passes", quiet) as progress:
        evaluation = run(classifier, opened, **chosen, **{key: settings[key] for key in names}, progress=progress)
    if not quiet:
        for note in [*classifier.notes, *evaluation.facts["notes"], *evaluation.notes]:
            terminal.say(note)
        for name, reason in evaluation.facts["unreadable"].items():
            terminal.say(f"left out: {name}: {reason}")
    _show(evaluation, as_json)


def _judged(settings: dict[str, Any]) -> dict[str, Any]:
    """Judge methods and metrics by the command's words alone: what is wrong there is wrong usage."""
    from onnx_cam.evaluation.run import choose_named_methods
    from onnx_cam.metrics import choose_metrics

    names = ("score", "keep", "steps", "deletion_baseline", "insertion_baseline")
    if settings["workers"] is not None and settings["engine"] != "ray":
        raise click.UsageError("--workers is of --engine ray; leave it out, or take that engine")
    if settings["only_correct"] and settings["ignore_labels"]:
        raise click.UsageError("--only-correct compares labels that --ignore-labels does not read; give one of the two")
    try:
        choose_named_methods(settings["methods"], settings["samples"])
        choose_metrics(settings["metrics"], **{key: settings[key] for key in names})
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    return {key: settings[key] for key in ("methods", "metrics", "samples")}


def _show(evaluation: Evaluation, as_json: bool) -> None:
    from onnx_cam.evaluation import summarise

    if as_json:
        click.echo(json.dumps(summarise(evaluation), ensure_ascii=False, allow_nan=False))
        return
    terminal.show_evaluation(evaluation)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("-o", "--out", type=click.Path(), default="report.html", show_default=True, help="File to write.")
def report(runs: tuple[str, ...], out: str) -> None:
    """Write one report of several RUNs, the folders that onnx-cam evaluate wrote: a table for each model.

    \b
    Example:
      onnx-cam report run-resnet/ run-vgg/ -o report.html
    """
    from onnx_cam.evaluation import read_evaluation, write_report

    evaluations = [read_evaluation(run) for run in runs]
    write_report(evaluations, out)
    for run, evaluation in zip(runs, evaluations, strict=True):
        if evaluation.progress:
            terminal.say(f"the run in {run} is not finished: the report covers the {evaluation.progress} done so far")
    click.echo(f"wrote {out}")
