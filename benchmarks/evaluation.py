"""Print the tables of runs of ``onnx-cam evaluate`` as Markdown.

    python -m benchmarks.evaluation RUN… [--pair A B]…

RUN is the folder of a finished run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from onnx_cam.evaluation import Evaluation, read_evaluation, summarise
from onnx_cam.evaluation.report.answer import what_controls_win
from onnx_cam.evaluation.verdict.ranking import usable_values
from onnx_cam.metrics.interval import Interval, mean_interval


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--pair", "pairs", nargs=2, multiple=True, metavar="A B", help="Print the mean of A less that of B.")
def main(runs: tuple[Path, ...], pairs: tuple[tuple[str, str], ...]) -> None:
    """Print the tables of finished runs as Markdown."""
    for folder in runs:
        evaluation = read_evaluation(folder)
        print_facts(evaluation)
        print_figures(evaluation)
        print_wins(evaluation)
        print_controls(evaluation)
        print_differences(evaluation, pairs)


def print_facts(evaluation: Evaluation) -> None:
    """Print what was measured, and with which versions."""
    versions = ", ".join(f"{name} {version}" for name, version in evaluation.facts["versions"].items())
    correct = sum(image.facts.is_right for image in evaluation.images)
    print(f"{evaluation.facts['provider']}, layer `{evaluation.facts['layer']}`; {versions}.")
    print(f"{len(evaluation.images)} images, {correct} classified as labelled; in brackets 95 % intervals.\n")


def print_figures(evaluation: Evaluation) -> None:
    """Print each method's mean of each metric, with its interval."""
    metrics = [metric for metric in evaluation.metrics if metric.name != "win"]
    print(f"| | {' | '.join(f'{m.title} {m.unit}'.strip() for m in metrics)} | empty | passes |")
    print("|---|" + "---|" * (len(metrics) + 2))
    for method, figures in summarise(evaluation).items():
        cells = [show(figures[metric.name]) for metric in metrics]
        passes = [evaluation.maps[image.sha256, method].record["passes"] for image in evaluation.images]
        mean = f"{sum(passes) / len(passes):,.0f}"
        print(f"| `{method}` | {' | '.join(cells)} | {figures['empty']['value']} | {mean} |")
    print()


def print_wins(evaluation: Evaluation) -> None:
    """Print how often each method beats each other one."""
    if evaluation.metric("win") is None:
        return
    names = list(evaluation.methods)
    print(f"| Win %, row over column | {' | '.join(names)} |\n|---|" + "---|" * len(names))
    for method, figures in summarise(evaluation).items():
        cells = [f"{figures['win'][other]['value']:.0f}" if other != method else "–" for other in names]
        print(f"| `{method}` | {' | '.join(cells)} |")
    print()


def print_controls(evaluation: Evaluation) -> None:
    """Print which metrics a control wins."""
    for sentence in what_controls_win(evaluation) or ["No control wins a metric."]:
        print(f"* {sentence}")
    print()


def print_differences(evaluation: Evaluation, pairs: Sequence[tuple[str, str]]) -> None:
    """Print how much one method's mean is above another's, over the images that both have a figure for."""
    metrics = [metric for metric in evaluation.metrics if metric.name != "win"]
    if not pairs:
        return
    print(f"| | {' | '.join(metric.title for metric in metrics)} |\n|---|" + "---|" * len(metrics))
    for method, other in pairs:
        cells = []
        for metric in metrics:
            differences = usable_values(evaluation, metric, method) - usable_values(evaluation, metric, other)
            cells.append(difference(mean_interval(differences[~np.isnan(differences)])))
        print(f"| `{method}` − `{other}` | {' | '.join(cells)} |")
    print()


def difference(interval: Interval) -> str:
    """Return a mean difference and its interval."""
    if interval.value is None or interval.low is None or interval.high is None:
        return "–"
    digits = 1 if max(abs(interval.low), abs(interval.high)) >= 1 else 3
    return f"{interval.value:+.{digits}f} ({interval.low:+.{digits}f} to {interval.high:+.{digits}f})"


def show(figure: dict[str, Any]) -> str:
    """Return a mean and its interval."""
    if figure["value"] is None:
        return "–"
    digits = 1 if figure["high"] >= 10 else 3
    return f"{figure['value']:.{digits}f} ({figure['low']:.{digits}f}–{figure['high']:.{digits}f})"


if __name__ == "__main__":
    main()
