"""Peak memory for different numbers of samples, and a run that runs out of memory on purpose.

    python -m benchmarks.memory MODEL IMAGE [--preprocess …] [--samples 2 --samples 40] [--limit MIB …]

Each figure is the peak resident memory of a separate process that makes one `sscam2` map. The noise fields, which are
held in memory, take 4·C·H·W bytes for each sample. With `--limit` the same model runs `scorecam` in an address space of
so many MiB, at a far too large batch size: the line shows its warnings, and the batch size that it falls back to.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import click

TOO_LARGE = 256


def child(arguments: str) -> None:
    """Make one map in this process, and print what it took as JSON."""
    path, image, preprocess, settings, limit = json.loads(arguments)
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit << 20, limit << 20))
    import onnx_cam

    model = onnx_cam.load(path, device="cpu", preprocess=preprocess, threads=2)
    result = onnx_cam.explain(model, image, **settings)
    field = 4 * model.input.channels * model.size[0] * model.size[1] / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"peak": peak, "field": field, "passes": result.passes, "batch": result.batch_size}
    print(json.dumps({**figures, "warnings": result.warnings}))


def measure(path: str, image: str, preprocess: str, settings: dict[str, Any], limit: int = 0) -> dict[str, Any]:
    """Return what `child` prints in a process of its own, or the error that it ends with."""
    arguments = json.dumps([path, image, preprocess, settings, limit])
    command = [sys.executable, "-m", "benchmarks.memory", "--child", arguments, path, image]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        return {"error": process.stderr.strip().splitlines()[-1]}
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return figures


@click.command()
@click.argument("path")
@click.argument("image")
@click.option("--preprocess", default="auto", show_default=True, help="As for onnx-cam explain.")
@click.option("--samples", multiple=True, type=int, default=(2, 40), show_default=True, help="Number of samples N.")
@click.option("--batch-size", type=int, default=None, help="Fix the batch size, which is otherwise measured.")
@click.option("--limit", "limits", multiple=True, type=int, help="Size of the address space in MiB.")
@click.option("--child", "child_arguments", hidden=True, default=None)
def main(  # noqa: PLR0917
    path: str,
    image: str,
    preprocess: str,
    samples: tuple[int, ...],
    batch_size: int | None,
    limits: tuple[int, ...],
    child_arguments: str | None,
) -> None:
    """Print the peak memory of maps as Markdown."""
    if child_arguments is not None:
        child(child_arguments)
        return
    print("| N | batch size | passes | peak, MiB | noise fields, MiB | difference |\n|---|---|---|---|---|---|")
    for n in samples:
        figures = measure(path, image, preprocess, {"method": "sscam2", "samples": n, "batch_size": batch_size})
        noise = n * figures["field"]
        print(
            f"| {n} | {figures['batch']} | {figures['passes']} | {figures['peak']:.0f} | {noise:.1f} "
            f"| {figures['peak'] - noise:.0f} |",
            flush=True,
        )
    for limit in limits:
        figures = measure(path, image, preprocess, {"method": "scorecam", "batch_size": TOO_LARGE}, limit)
        print(f"\nAddress space of {limit} MiB, requested batch size {TOO_LARGE}: {figures}", flush=True)


if __name__ == "__main__":
    main()
