"""The engine compared with bare inference: forward passes per second of both, and their ratio.

    python -m benchmarks.throughput MODEL IMAGE --method scorecam [--samples N] [--preprocess …] [--device cpu]

MODEL is a file, or `lite0` for the EfficientNet-Lite0 of `onnx-cam demo`. Bare inference is `session.run` of the model
file on random input, with the session settings of onnx-cam, at its best batch size: the one measured first or the
engine's own, whichever is faster at the time. The engine's time is that of the whole call after the image was read,
including the noise fields. The two take turns in one process, and the ratio is the median over the turns. If other
programs use the machine, its speed drifts between turns: with `--interleave` each of the engine's batches is followed
by a bare one of the same size.
"""

from __future__ import annotations

import platform
import statistics
import time
from typing import Any

import click
import numpy as np

import onnx_cam
from benchmarks.versions import versions_line
from onnx_cam.demo import demo_model
from onnx_cam.runtime.device_session import open_device_session
from onnx_cam.runtime.devices import import_onnxruntime

BATCHES = (1, 2, 4, 8, 16, 32, 64)
BARE_SECONDS = 1.5  # of bare inference before each of the engine's runs, and again after it


class Bare:
    """Bare inference: the model file, run on random input."""

    def __init__(self, model: onnx_cam.Classifier, threads: int | None, batches: tuple[int, ...] = BATCHES) -> None:
        self.loaded = open_device_session(
            model.file.proto,
            name=model.name,
            device=model.sessions.opener.device,
            threads=threads,
            folder=model.file.folder,
        )
        self.input = model.input
        self.outputs = [model.head.output]
        shape = (model.input.channels, *model.size)
        self.images = np.random.default_rng(0).standard_normal((max(batches), *shape), np.float32) * 50
        fixed = model.input.batch
        self.batch = fixed or min(batches, key=lambda batch: self.seconds_a_pass(batch, 1.0))

    def seconds_a_pass(self, batch: int, seconds: float) -> float:
        """Return the mean time of a forward pass; on CUDA the input and output stay on the device."""
        run = self.bound_run(batch)
        for _ in range(3):
            run()
        passes, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds:
            run()
            passes += batch
        return elapsed / passes

    def bound_run(self, batch: int) -> Any:
        """Return a function that runs one batch of this size."""
        if "CUDA" in self.loaded.provider:
            return self._run_on_device(batch)
        feed = {self.input.name: self.input.feed(self.images[:batch])}
        return lambda: self.loaded.session.run(self.outputs, feed)

    def _run_on_device(self, batch: int) -> Any:
        binding = self.loaded.session.io_binding()
        value = self.loaded.place(self.input.feed(self.images[:batch]))
        binding.bind_ortvalue_input(self.input.name, value)
        binding.bind_output(self.outputs[0], "cpu")
        return lambda: self.loaded.session.run_with_iobinding(binding)


def interleave(
    model: onnx_cam.Classifier, image: Any, settings: dict[str, Any], runs: int, bare: Bare
) -> tuple[list[float], list[float], Any]:
    """Return the same as `compare`, but run a bare batch of the same size after each of the engine's batches."""
    onnx_cam.explain(model, image, **settings)
    bare_seconds, engine_seconds = [], []
    for run in range(runs):
        clock = _Clock(bare)
        result = onnx_cam.explain(model, image, **settings, seed=run, progress=clock)
        bare_seconds.append(clock.seconds / clock.passes)
        engine_seconds.append((result.seconds - clock.seconds) / result.passes)
    return bare_seconds, engine_seconds, result


class _Clock:
    """Run and time a bare batch whenever the engine reports progress."""

    def __init__(self, bare: Bare) -> None:
        self.bare = bare
        self.runs: dict[int, Any] = {}
        self.seconds = 0.0
        self.passes = self.before = 0

    def __call__(self, done: int, planned: int) -> None:
        batch = self.bare.input.batch or done - self.before
        if batch not in self.runs:
            self.runs[batch] = self.bare.bound_run(batch)
        started = time.perf_counter()
        self.runs[batch]()
        self.passes += batch
        self.before = done
        self.seconds += time.perf_counter() - started


def compare(
    model: onnx_cam.Classifier, image: Any, settings: dict[str, Any], runs: int, bare: Bare
) -> tuple[list[float], list[float], Any]:
    """Return the seconds per forward pass of bare inference and of the engine in each run, and the last explanation."""
    # The first call also loads the score graph and measures the engine's batch size.
    engine_batch = onnx_cam.explain(model, image, **settings).batch_size
    sizes = {bare.batch, bare.input.batch or engine_batch}
    bare_seconds, engine_seconds = [], []
    for run in range(runs):
        before = min(bare.seconds_a_pass(size, BARE_SECONDS) for size in sizes)
        result = onnx_cam.explain(model, image, **settings, seed=run)
        engine_seconds.append(result.seconds / result.passes)
        after = min(bare.seconds_a_pass(size, BARE_SECONDS) for size in sizes)
        bare_seconds.append((before + after) / 2)
    return bare_seconds, engine_seconds, result


@click.command()
@click.argument("path")
@click.argument("image")
@click.option("--method", "methods", multiple=True, default=("scorecam",), help="Method to measure. Can be repeated.")
@click.option("--variant", default=None, help="Variant; the method's default if omitted.")
@click.option("--samples", type=int, default=None, help="Number of samples N; the variant's default if omitted.")
@click.option("--layer", default=None, help="Layer to explain; the last spatial one by default.")
@click.option("--preprocess", default="auto", show_default=True, help="As for onnx-cam explain.")
@click.option("--device", default="cpu", show_default=True, help="Device to run on.")
@click.option("--threads", type=int, default=None, help="Threads of ONNX Runtime; its own choice by default.")
@click.option("--batch-size", type=int, default=None, help="Batch size of the engine; measured by default.")
@click.option("--runs", default=5, show_default=True, help="Runs of each method.")
@click.option("--interleave", "interleaved", is_flag=True, help="Take turns batch by batch instead of run by run.")
def main(  # noqa: PLR0917
    path: str,
    image: str,
    methods: tuple[str, ...],
    samples: int | None,
    preprocess: str,
    device: str,
    threads: int | None,
    runs: int,
    interleaved: bool,
    **other_settings: Any,
) -> None:
    """Print a line for each method: forward passes per second of bare inference and of the engine, and their ratio.

    The speeds are medians over the runs.
    """
    model = onnx_cam.load(
        demo_model() if path == "lite0" else path, device=device, preprocess=preprocess, threads=threads
    )
    bare = Bare(model, threads)
    runtime = f"{model.provider} ({import_onnxruntime().get_device()})"
    print(f"{model.name} on {platform.machine()}, {runtime}; {versions_line()}\n")
    print("| method | N | passes | bare, passes/s (batch size) | engine, passes/s (batch size) | ratio (range) |")
    print("|---|---|---|---|---|---|")
    turns = interleave if interleaved else compare
    for method in methods:
        settings = {"method": method, **{k: v for k, v in other_settings.items() if v is not None}}
        if samples is not None and method != "scorecam":
            settings["samples"] = samples
        bare_seconds, engine_seconds, result = turns(model, image, settings, runs, bare)
        ratios = [b / e for b, e in zip(bare_seconds, engine_seconds, strict=True)]
        print(
            f"| {method} {result.variant} | {result.parameters.get('samples', 1)} | {result.passes} "
            f"| {1 / statistics.median(bare_seconds):.1f} ({bare.batch}) "
            f"| {1 / statistics.median(engine_seconds):.1f} ({result.batch_size}) "
            f"| {statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
