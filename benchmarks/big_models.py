"""Seconds and peak memory of a large model, beside those of ONNX Runtime alone.

    python -m benchmarks.big_models MODEL [--preprocess …] [--repeats 3] [--network vgg16 --layer features.29]

Each step runs in a process of its own: an ``onnxruntime.InferenceSession`` of the file, `load`, then `load` followed by
an explanation or an export. Seconds are those of the step itself, without imports, and for the later ones without
`load`; the peak is the resident memory of the whole process. The steps take turns, and the fastest of the repeats is
printed with its processor time; with other work on the machine, that says more than the seconds. With `--network` the
torch exporter is run, too: that line is a whole process, from its start.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Figures = dict[str, float]


def bare(path: str) -> Figures:
    """Load a file with ONNX Runtime alone."""
    import onnxruntime

    return timed(lambda: onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]))


def after_load(path: str, preprocess: str, step: str) -> Figures:
    """Load a file, and take the step that follows."""
    import numpy as np

    import onnx_cam

    if step == "load":
        return timed(lambda: onnx_cam.load(path, device="cpu", preprocess=preprocess))
    model = onnx_cam.load(path, device="cpu", preprocess=preprocess)
    image = np.random.default_rng(0).integers(0, 256, (*model.size, 3), np.uint8)
    if step == "export":
        with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            return timed(lambda: onnx_cam.export(model, Path(folder) / "tapped.onnx"))
    if step == "gradcam":
        return timed(lambda: onnx_cam.explain(model, image, method="gradcam"))
    return timed(lambda: onnx_cam.explain(model, image, method="scorecam", budget="5%"))


def timed(step: Callable[[], Any]) -> Figures:
    """Run a step, and return its seconds, its processor seconds and the peak memory of this process in MiB."""
    started, processor_started = time.perf_counter(), time.process_time()
    kept = step()
    figures = {"seconds": time.perf_counter() - started, "processor": time.process_time() - processor_started}
    del kept
    return {**figures, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


STEPS = {
    "ONNX Runtime alone": "bare",
    "load": "load",
    "explain --budget 5% after load": "explain",
    "gradcam after load": "gradcam",
    "export after load": "export",
}


def measure(step: str, path: str, preprocess: str) -> Figures:
    """Return the figures of a step in a process of its own."""
    command = [sys.executable, __file__, path, "--preprocess", preprocess, "--child", step]
    figures: Figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return figures


def measure_exporter(network: str, layer: str, folder: Path) -> Figures:
    """Return the figures of the torch exporter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, "-m", "exporters.torch_exporter", network, "--layer", layer]
    subprocess.run([*command, "-o", str(folder / "exported.onnx")], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": time.perf_counter() - started, "processor": processor, "peak": after.ru_maxrss / 1024}


@click.command()
@click.argument("path")
@click.option("--preprocess", default="imagenet", show_default=True, help="As for onnx-cam explain.")
@click.option("--repeats", default=3, show_default=True, help="How often each step is measured.")
@click.option("--network", help="A network of the torch exporter, to be exported as well.")
@click.option("--layer", default="features.29", show_default=True, help="The layer to export it with.")
@click.option("--child", hidden=True)
def main(  # noqa: PLR0917
    path: str, preprocess: str, repeats: int, network: str | None, layer: str, child: str | None
) -> None:
    """Print seconds and peak memory as Markdown."""
    if child is not None:
        figures = bare(path) if child == "bare" else after_load(path, preprocess, child)
        print(json.dumps(figures))
        return
    print("| step | seconds | processor seconds | peak, MiB |\n|---|---|---|---|")
    rounds = [{name: measure(step, path, preprocess) for name, step in STEPS.items()} for _ in range(repeats)]
    if network is not None:  # after the others: the largest child so far decides the peak
        with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
            rounds.append({f"exporter, {network}": measure_exporter(network, layer, Path(folder))})
    for name in {name: None for figures in rounds for name in figures}:
        runs = [figures[name] for figures in rounds if name in figures]
        fastest = min(runs, key=lambda one: one["seconds"])
        peak = max(one["peak"] for one in runs)
        print(f"| {name} | {fastest['seconds']:.1f} | {fastest['processor']:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
