"""The engine's forward passes per second against the number of cores.

    python -m benchmarks.scaling MODEL IMAGE --method scorecam [--runs N]

Each number of cores, from 1 to those that this process may use, has a process of its own, bound to these cores by
`taskset` (so this runs on Linux only). Nothing is extrapolated.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

import click

import onnx_cam
from benchmarks.versions import versions_line


@click.command()
@click.argument("path")
@click.argument("image")
@click.option("--method", default="scorecam", show_default=True, help="Method to measure.")
@click.option("--layer", default=None, help="Layer to explain; the last spatial one by default.")
@click.option("--preprocess", default="auto", show_default=True, help="As for onnx-cam explain.")
@click.option("--runs", default=3, show_default=True, help="Runs on each number of cores; the fastest counts.")
@click.option("--on-these-cores", is_flag=True, hidden=True)
def main(path: str, image: str, runs: int, on_these_cores: bool, **settings: Any) -> None:
    """Print a line for each number of cores: streams, batch size, passes per second, and their ratio to one core's."""
    if on_these_cores:
        print(json.dumps(_measure(path, image, runs, settings)))
        return
    cores = sorted(os.sched_getaffinity(0))
    print(f"{os.path.basename(path)} on {platform.machine()}, {len(cores)} cores; {versions_line()}\n")
    print("| cores | streams | batch size | passes/s | of one core's |\n|---|---|---|---|---|")
    one_core = 0.0
    for count in _counts(len(cores)):
        bound = ["taskset", "-c", ",".join(map(str, cores[:count]))]
        words = [sys.executable, "-m", "benchmarks.scaling", *sys.argv[1:], "--on-these-cores"]
        measured = json.loads(subprocess.run([*bound, *words], capture_output=True, text=True, check=True).stdout)
        one_core = one_core or measured["speed"]
        print(
            f"| {count} | {measured['streams']} | {measured['batch_size']} | {measured['speed']:.1f} "
            f"| {measured['speed'] / one_core:.2f} |",
            flush=True,
        )


def _counts(cores: int) -> list[int]:
    """Return 1, 2, 4, … and the number of cores itself."""
    return sorted({2**power for power in range(cores.bit_length()) if 2**power <= cores} | {cores})


def _measure(path: str, image: str, runs: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the engine's speed on the cores that this process is bound to."""
    model = onnx_cam.load(path, device="cpu", preprocess=settings.pop("preprocess"))
    results = [onnx_cam.explain(model, image, seed=run, **settings) for run in range(runs + 1)]
    fastest = max(results[1:], key=lambda result: result.passes / result.seconds)  # the first chooses the streams
    speed = fastest.passes / fastest.seconds
    return {"streams": fastest.streams, "batch_size": fastest.batch_size, "speed": speed}


if __name__ == "__main__":
    main()
