"""The commands of the evaluation: click over the library, and no logic of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.cli import terminal
from onnx_cam.cli.command import Command
from onnx_cam.cli.completion import complete_files, complete_list
from onnx_cam.cli.echo import echo, echo_json, printable, say
from onnx_cam.cli.options import BATCH_SIZE, DATASET_FILES, LAYER, MODEL, SAMPLES, SEED, load_classifier
from onnx_cam.errors import SettingError
from onnx_cam.names import (
    BASELINES,
    DATASET_KINDS,
    ENGINES,
    METHODS,
    METRIC_EXPLANATIONS,
    METRICS,
    METRICS_OF_ALL,
    SCORES,
)

if TYPE_CHECKING:
    from onnx_cam.evaluation import Evaluation
    from onnx_cam.metrics import Metric

__all__ = ["evaluate", "report"]


_EXTRA_METRICS = ", ".join(f"{name} {count}" for name, count in METRIC_EXPLANATIONS.items())
"""The metrics that ``all`` leaves out, each with the explanations that it takes."""


@click.command(cls=Command)
@MODEL
@click.argument("dataset", shell_complete=complete_files)
@click.option(
    "--methods",
    shell_complete=complete_list(("all", "equal", *METHODS)),
    default="scorecam,sscam1,sscam2,sscam-max,iscam",
    show_default=True,
    metavar="NAME[:VARIANT][:sigma=S][:samples=N][:budget=P%][,…]",
    help="Methods to compare; all stands for every method that works on the model.",
)
@click.option(
    "--no-controls",
    is_flag=True,
    help="Leave out the controls, maps that explain nothing and that a method must beat: equal (all weights equal), "
    "centre (a Gaussian in the middle) and random (white noise). --methods takes their names, too, and "
    "blurred:METHOD, a method's map, blurred.",
)
@click.option(
    "--metrics",
    shell_complete=complete_list(("all", *METRICS)),
    default="all",
    show_default=True,
    metavar="NAME[,…]",
    help=f"Metrics to measure: some of {', '.join(METRICS_OF_ALL)}; all stands for these. all+ adds those that all "
    f"leaves out. Each map then takes so many further explanations, as long as its own: {_EXTRA_METRICS}.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(),
    metavar="RUN",
    help="Folder of the run. If it holds results already, they are continued.",
)
@click.option(
    "--kind",
    type=click.Choice(("auto", *DATASET_KINDS)),
    default="auto",
    show_default=True,
    help="Layout of the dataset; auto recognises it.",
)
@DATASET_FILES
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Evaluate at most N images; default: all.")
@click.option("--shuffle", is_flag=True, help="Draw the images at random, with --seed.")
@click.option("--only-correct", is_flag=True, help="Leave out drawn images for which the model predicts another class.")
@click.option("--only-boxed", is_flag=True, help="Draw only from the images that have boxes.")
@click.option("--ignore-labels", is_flag=True, help="Do not read the dataset's labels, for a model of other classes.")
@LAYER
@SAMPLES
@SEED
@BATCH_SIZE
@click.option(
    "--score",
    type=click.Choice(SCORES),
    default="probability",
    show_default=True,
    help="Score of the predicted class that the metrics measure.",
)
@click.option(
    "--keep",
    type=float,
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the pixels that a map keeps, above 0 and up to 1, for average-drop, average-increase and win.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Number of steps of the deletion and insertion curves.",
)
@click.option(
    "--deletion-baseline",
    type=click.Choice(BASELINES),
    default="zero",
    show_default=True,
    help="Baseline that replaces the pixels that deletion removes.",
)
@click.option(
    "--insertion-baseline",
    type=click.Choice(BASELINES),
    default="blur",
    show_default=True,
    help="Baseline that insertion adds pixels to.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default="local",
    show_default=True,
    help="What distributes the images: this process, or workers of Ray.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of workers of --engine ray; default: one for each GPU, or for each machine without GPUs.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
@click.option("--quiet", is_flag=True, help="Print no progress and no notes.")
def evaluate(dataset: str, as_json: bool, quiet: bool, **settings: Any) -> None:
    """Measure how good the maps of several methods are, for MODEL on the images of DATASET.

    DATASET is a folder of images, a folder with a folder for each class, or annotations: CSV, ILSVRC, Pascal VOC, COCO
    or index.json. Each map and figure is stored in the folder RUN as soon as it is computed; if the command is
    interrupted, the same command continues. At the end the folder also holds summary.json, tables.csv, tables.json and
    report.html.

    \b
    Examples:
      onnx-cam evaluate model.onnx photos/ --methods scorecam,sscam2,iscam,gradcam -o run
      onnx-cam evaluate model.onnx LOC_val_solution.csv --limit 2000 --shuffle --only-correct -o run
    """
    _check_usage(settings)
    from onnx_cam.evaluation import evaluate as run
    from onnx_cam.evaluation.datasets import open_dataset

    opened = open_dataset(dataset, settings["kind"], settings["images"], settings["classes"])
    classifier = load_classifier(settings["model"], settings)
    with terminal.progress("forward passes", quiet) as progress:
        evaluation = run(
            classifier,
            opened,
            methods=settings["methods"],
            metrics=settings["metrics"],
            controls=not settings["no_controls"],
            out=settings["out"],
            samples=settings["samples"],
            layer=settings["layer"],
            seed=settings["seed"],
            batch_size=settings["batch_size"],
            limit=settings["limit"],
            shuffle=settings["shuffle"],
            only_correct=settings["only_correct"],
            only_boxed=settings["only_boxed"],
            ignore_labels=settings["ignore_labels"],
            score=settings["score"],
            keep=settings["keep"],
            steps=settings["steps"],
            deletion_baseline=settings["deletion_baseline"],
            insertion_baseline=settings["insertion_baseline"],
            engine=settings["engine"],
            workers=settings["workers"],
            progress=progress,
        )
    if not quiet:
        for note in [*classifier.notes, *evaluation.facts["notes"], *evaluation.notes]:
            say(note)
        for name, reason in evaluation.facts["unreadable"].items():
            say(f"{name} left out: {reason}")
    if as_json:
        from onnx_cam.evaluation import judge_metrics, summarise

        echo_json({**summarise(evaluation), "metrics": judge_metrics(evaluation)})
    else:
        _show_evaluation(evaluation)


def _check_usage(settings: Mapping[str, Any]) -> None:
    """Raise a usage error for what is wrong with the command's words alone."""
    from onnx_cam.evaluation.method_names import choose_named_methods
    from onnx_cam.metrics import choose_metrics

    if settings["workers"] is not None and settings["engine"] != "ray":
        raise click.UsageError("--workers is only for --engine ray; leave it out, or add --engine ray")
    if settings["only_correct"] and settings["ignore_labels"]:
        raise click.UsageError("--only-correct needs the labels that --ignore-labels leaves out; give one of the two")
    try:
        choose_named_methods(settings["methods"], settings["samples"])
        choose_metrics(
            settings["metrics"],
            score=settings["score"],
            keep=settings["keep"],
            steps=settings["steps"],
            deletion_baseline=settings["deletion_baseline"],
            insertion_baseline=settings["insertion_baseline"],
        )
    except SettingError as error:
        raise click.UsageError(str(error)) from error


def _show_evaluation(evaluation: Evaluation) -> None:
    """Print methods × metrics, each figure with its interval, what the controls win, and the files that hold more."""
    from onnx_cam.evaluation import summarise
    from onnx_cam.evaluation.report.answer import what_controls_win
    from onnx_cam.evaluation.report.wording import named

    metrics = [metric for metric in evaluation.metrics if metric.name != "win"]
    errors = _errors(evaluation)
    rows = []
    for method, figures in summarise(evaluation).items():
        measured = figures["empty"]["n"] - figures["empty"]["value"]
        cells = [_figure(figures[metric.name], measured) for metric in metrics]
        empty = f"{figures['empty']['value']} of {figures['empty']['n']}"
        rows.append((named(method), *cells, empty, *([errors[method]] if any(errors.values()) else [])))
    header = ("method", *(f"{metric.title} {metric.unit}".strip() for metric in metrics), "empty maps")
    terminal.show_table((*header, *(["relative error %"] if any(errors.values()) else [])), rows)
    echo(f"means over {len(evaluation.images)} images with {100 * evaluation.facts['level']:g} % bootstrap intervals")
    for metric in evaluation.metrics:
        echo(f"  {_about(metric)}")
    for sentence in what_controls_win(evaluation):
        echo(printable(sentence))
    for path in evaluation.files:
        echo(printable(f"wrote {path}"))


def _errors(evaluation: Evaluation) -> dict[str, str]:
    """Return the mean estimated relative error of each method's maps, in %; empty where there is none."""
    from onnx_cam.evaluation.results.summary import mean_error

    errors = {method: mean_error(evaluation, method) for method in evaluation.methods}
    return {
        method: f"{100 * error.value:.1f} ({100 * error.low:.1f} to {100 * error.high:.1f})"
        if error.value is not None and error.low is not None and error.high is not None
        else ""
        for method, error in errors.items()
    }


def _about(metric: Metric) -> str:
    """Return which direction of a metric is better, and its settings."""
    direction = f"{metric.better} is better" if metric.better else "neither direction is better"
    settings = [f"{name} {value}" for name, value in metric.parameters.items()]
    files = ["compares pairs of methods, see the files below"] if metric.name == "win" else []
    return f"{metric.name}: {'; '.join([direction, *filter(None, [', '.join(settings)]), *files])}"


def _figure(figure: Mapping[str, Any], measured: int) -> str:
    """Return a figure with its interval, and its number of images where that is not the number of maps measured."""
    if figure["value"] is None:
        return "–"
    digits = 1 if abs(figure["value"]) >= 10 or figure["high"] >= 10 else 3
    value, low, high = (f"{figure[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})" + (f" n={figure['n']}" if figure["n"] != measured else "")


@click.command(cls=Command)
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_files, metavar="RUN...")
@click.option(
    "-o", "--out", type=click.Path(), default="report.html", show_default=True, help="File to write the report to."
)
def report(runs: tuple[str, ...], out: str) -> None:
    """Write a report that compares several RUNs, the folders that onnx-cam evaluate wrote.

    A run may be in progress: then the report covers the images that are finished so far, and says so.

    \b
    Example:
      onnx-cam report run-resnet/ run-vgg/ -o report.html
    """
    from onnx_cam.evaluation import read_evaluation, write_report

    evaluations = [read_evaluation(run) for run in runs]
    write_report(evaluations, out)
    for run, evaluation in zip(runs, evaluations, strict=True):
        if evaluation.progress:
            say(f"the run in {run} is not finished: the report covers {evaluation.progress}")
    echo(f"wrote {out}")
