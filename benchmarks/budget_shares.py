"""The share of an exact map's time that a budget takes, beside its share of the forward passes.

    python -m benchmarks.budget_shares MODEL PHOTOS [--images N] [--target top5] [--before FOLDER]

MODEL and PHOTOS are as for `benchmarks.budget`. Each photo is explained exactly, from 5, 10 and 20 % of the forward
passes, and with a tolerance of 0.1, in a warm classifier: a first map has chosen the batch size and the streams.
FOLDER is a checkout of another version, which explains the same photos in turn with this one, in a process of its own.
Times are those of the whole call after the image is open, the layer's and the baseline's passes included.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np

import onnx_cam
from onnx_cam.demo import demo_model
from onnx_cam.evaluation.datasets import open_dataset

ROOT = Path(__file__).parent.parent
LIMITS: dict[str, dict[str, Any]] = {
    "exact": {},
    "5 %": {"budget": 0.05},
    "10 %": {"budget": 0.1},
    "20 %": {"budget": 0.2},
    "tolerance 0.1": {"tolerance": 0.1},
}
HEADER = "| version | limit | passes | share of the wall time | share of the processor time | wall s | processor s |"


class Version:
    """A process that explains photos with one version of the package.

    Parameters
    ----------
    folder : Path
        The checkout.
    model : str
        Path of the model.
    """

    def __init__(self, folder: Path, model: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", model, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def measure(self, photo: str | Path, settings: dict[str, Any]) -> list[float]:
        """Return the wall seconds, the processor seconds and the forward passes of an explanation."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(photo), settings]) + "\n")
        self._process.stdin.flush()
        figures: list[float] = json.loads(self._process.stdout.readline())
        return figures

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(model: str) -> None:
    """Explain the photos named on the standard input, and print what each one cost."""
    classifier = onnx_cam.load(model)
    for line in sys.stdin:
        photo, settings = json.loads(line)
        classifier.sessions.forget_baselines()
        started = time.process_time()
        results = onnx_cam.explain(classifier, photo, **settings)
        seconds = time.process_time() - started
        result = results[0] if isinstance(results, list) else results
        print(json.dumps([result.seconds, seconds, result.passes]), flush=True)


@click.command()
@click.argument("model")
@click.argument("photos")
@click.option("--images", default=5, show_default=True, help="Photos to measure.")
@click.option("--skip", default=10, show_default=True, help="Photos to skip, since the plan was developed on them.")
@click.option("--target", help="Classes to explain, as for onnx-cam explain.")
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Checkout of another version.")
@click.option("--serve", "is_server", is_flag=True, hidden=True)
def main(
    *, model: str, photos: str, images: int, skip: int, target: str | None, before: Path | None, is_server: bool
) -> None:
    """Print the shares of time and passes as a Markdown table: medians over the photos."""
    if is_server:
        serve(model)
        return
    path = str(demo_model()) if model == "lite0" else model
    samples = [sample.path for sample in open_dataset(photos).samples if sample.boxes][skip - 1 : skip + images]
    settings = {} if target is None else {"target": target}
    with ExitStack() as stack:
        versions = {"after": Version(ROOT, path)} | ({"before": Version(before, path)} if before else {})
        for version in versions.values():
            stack.callback(version.close)
            for limit in ("exact", "5 %"):  # the first calls measure the batch size and the streams
                version.measure(samples[0], {**settings, **LIMITS[limit]})
        rows: dict[tuple[str, str], list[list[float]]] = {(name, limit): [] for limit in LIMITS for name in versions}
        for number, photo in enumerate(samples[1:]):
            for limit, how in LIMITS.items():
                for name in list(versions)[:: 1 if number % 2 else -1]:
                    rows[name, limit].append(versions[name].measure(photo, {**settings, **how}))
    click.echo(f"**{Path(path).stem}**{', ' + target if target else ''}: {images} photos\n")
    click.echo(HEADER + "\n|---|" + "---|" * 6)
    for (name, limit), measured in rows.items():
        figures = np.array(measured)
        shares = figures / np.array(rows[name, "exact"])
        wall, processor, passes = np.median(shares, axis=0)
        seconds = f"{np.median(figures[:, 0]):.2f} | {np.median(figures[:, 1]):.2f}"
        click.echo(f"| {name} | {limit} | {passes:.1%} | {wall:.1%} | {processor:.1%} | {seconds} |")


if __name__ == "__main__":
    main()
