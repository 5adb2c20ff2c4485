"""The engine compared with bare inference: forward passes per second of both, and their ratio.

    python -m benchmarks.throughput MODEL IMAGE --method scorecam [--samples N] [--preprocess …] [--device cpu]

MODEL is a file, or `lite0` for the EfficientNet-Lite0 of `onnx-cam demo`. Bare inference is `session.run` of the model
file on random input, with the session settings of onnx-cam, in its best configuration: how many runs at once, how many
threads each, and how many images a run, searched in the same process before the comparison. The engine's time is that
of the whole call after the image was read, including the noise fields. The two take turns, bare inference before and
after each of the engine's runs, and the ratio is the median over the turns: where other programs use the machine, its
speed drifts between them.
"""

from __future__ import annotations

import platform
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import numpy as np

import onnx_cam
from benchmarks.versions import versions_line
from onnx_cam.demo import demo_model
from onnx_cam.runtime.cores import usable_cores
from onnx_cam.runtime.device_session import DeviceSession, open_device_session
from onnx_cam.runtime.devices import CPU, import_onnxruntime

BATCHES = (1, 2, 4, 8, 16, 32, 64)
BARE_SECONDS = 1.5  # of bare inference before each of the engine's runs, and again after it
SEARCH_SECONDS = 0.7  # of each configuration


@dataclass(frozen=True)
class Configuration:
    """How bare inference is run: runs at once, threads of each, and images a run."""

    streams: int
    threads: int | None
    batch: int

    def __str__(self) -> str:
        return f"{self.streams}×{self.threads or 'all'}, {self.batch}"


class Bare:
    """Bare inference: the model file, run on random input."""

    def __init__(self, model: onnx_cam.Classifier, threads: int | None, batches: tuple[int, ...] = BATCHES) -> None:
        self.model = model
        self.sessions: dict[int | None, DeviceSession] = {}
        self.outputs = [model.head.output]
        shape = (model.input.channels, *model.size)
        self.images = np.random.default_rng(0).standard_normal((max(batches), *shape), np.float32) * 50
        sizes = batches if model.input.batch is None else (model.input.batch,)
        spreads = _spreads(usable_cores(threads)) if self.session(None).device is CPU else ((1, None),)
        candidates = [Configuration(streams, count, size) for streams, count in spreads for size in sizes]
        self.best = min(candidates, key=lambda one: self.seconds_a_pass(one, SEARCH_SECONDS))

    def session(self, threads: int | None) -> DeviceSession:
        """Return the session with so many threads."""
        if threads not in self.sessions:
            device = self.model.sessions.opener.device
            proto, weights = self.model.file.proto, self.model.file.weights
            self.sessions[threads] = open_device_session(
                proto, name=self.model.name, device=device, threads=threads, weights=weights
            )
        return self.sessions[threads]

    def seconds_a_pass(self, configuration: Configuration, seconds: float) -> float:
        """Return the mean time of a forward pass; on CUDA the input and output stay on the device."""
        runs = [self._bound_run(configuration) for _ in range(configuration.streams)]
        for run in runs:
            run()
        passes = [0] * len(runs)
        started = time.perf_counter()

        def repeat(stream: int) -> None:
            while time.perf_counter() - started < seconds:
                runs[stream]()
                passes[stream] += configuration.batch

        threads = [threading.Thread(target=repeat, args=(stream,)) for stream in range(len(runs))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.perf_counter() - started) / sum(passes)

    def _bound_run(self, configuration: Configuration) -> Callable[[], object]:
        """Return a function that runs one batch."""
        opened, images = self.session(configuration.threads), self.images[: configuration.batch]
        name, batch = self.model.input.name, self.model.input.feed(images)
        if "CUDA" not in opened.provider:
            return lambda: opened.session.run(self.outputs, {name: batch})
        binding = opened.session.io_binding()
        binding.bind_ortvalue_input(name, opened.place(batch))
        binding.bind_output(self.outputs[0], "cpu")
        return lambda: opened.session.run_with_iobinding(binding)


def _spreads(cores: int) -> tuple[tuple[int, int | None], ...]:
    """Return how runs and threads can share so many cores: as many runs as cores, half of them, and so on."""
    streams = [cores]
    while streams[-1] > 1:
        streams.append(streams[-1] // 2)
    return tuple((count, max(1, cores // count)) for count in streams)


def compare(
    model: onnx_cam.Classifier, image: Any, settings: dict[str, Any], runs: int, bare: Bare
) -> tuple[list[float], list[float], Any]:
    """Return the seconds per forward pass of bare inference and of the engine in each run, and the last explanation."""
    # The first call also loads the score graph, and measures the engine's streams and its batch size.
    onnx_cam.explain(model, image, **settings)
    bare_seconds, engine_seconds = [], []
    for run in range(runs):
        before = bare.seconds_a_pass(bare.best, BARE_SECONDS)
        result = onnx_cam.explain(model, image, **settings, seed=run)
        engine_seconds.append(result.seconds / result.passes)
        bare_seconds.append((before + bare.seconds_a_pass(bare.best, BARE_SECONDS)) / 2)
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
def main(  # noqa: PLR0917
    path: str,
    image: str,
    methods: tuple[str, ...],
    samples: int | None,
    preprocess: str,
    device: str,
    threads: int | None,
    runs: int,
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
    print("| method | N | passes | bare, passes/s (streams × threads, batch) | engine, the same | ratio (range) |")
    print("|---|---|---|---|---|---|")
    for method in methods:
        settings = {"method": method, **{k: v for k, v in other_settings.items() if v is not None}}
        if samples is not None and method != "scorecam":
            settings["samples"] = samples
        bare_seconds, engine_seconds, result = compare(model, image, settings, runs, bare)
        ratios = [b / e for b, e in zip(bare_seconds, engine_seconds, strict=True)]
        print(
            f"| {method} {result.variant} | {result.parameters.get('samples', 1)} | {result.passes} "
            f"| {1 / statistics.median(bare_seconds):.1f} ({bare.best}) "
            f"| {1 / statistics.median(engine_seconds):.1f} ({_configuration(model, result)}) "
            f"| {statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f}) |",
            flush=True,
        )


def _configuration(model: onnx_cam.Classifier, result: onnx_cam.Explanation) -> Configuration:
    """Return what the engine chose."""
    threads = max(1, usable_cores(model.sessions.opener.threads) // result.streams)
    return Configuration(result.streams, threads, result.batch_size)


if __name__ == "__main__":
    main()
