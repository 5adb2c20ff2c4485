"""Peak memory against the number of samples, and a run that runs out of memory on purpose.

    python -m benchmarks.memory MODEL IMAGE [--preprocess …] [--samples 2 --samples 40] [--limit MIB …]

Every figure is the peak resident memory of a process of its own that makes one `sscam2` map. The noise fields, which
have to be held, are 4·C·H·W bytes a sample. With `--limit` the same model runs `scorecam` at a batch far too large in
an address space of so many MiB: what it says, and which batch it went on with.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import Any

import click

TOO_LARGE = 256


def child(given: str) -> None:
    path, image, preprocess, settings, limit = json.loads(given)
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit << 20, limit << 20))
    import onnx_cam

    model = onnx_cam.load(path, device="cpu", preprocess=preprocess, threads=2)
    result = onnx_cam.explain(model, image, **settings)
    field = 4 * model.input.channels * model.size[0] * model.size[1] / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"peak": peak, "field": field, "passes": result.passes, "batch": result.batch_size}
    print(json.dumps({**found, "warnings": result.warnings}))


def measure(path: str, image: str, preprocess: str, settings: dict[str, Any], limit: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.memory", "--child"]
    given = json.dumps([path, image, preprocess, settings, limit])
    ran = subprocess.run([*command, given, path, image], capture_output=True, text=True, check=False)
    if ran.returncode:
        return {"error": ran.stderr.strip().splitlines()[-1]}
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@click.command()
@click.argument("path")
@click.argument("image")
@click.option("--preprocess", default="auto")
@click.option("--samples", multiple=True, type=int, default=(2, 40))
@click.option("--batch-size", type=int, default=None, help="Fixed, so that a measured one does not differ by chance.")
@click.option("--limit", "limits", multiple=True, type=int)
@click.option("--child", "given", hidden=True, default=None)
def main(  # noqa: PLR0917
    path: str,
    image: str,
    preprocess: str,
    samples: tuple[int, ...],
    batch_size: int | None,
    limits: tuple[int, ...],
    given: str | None,
) -> None:
    """Print the figures as Markdown."""
    if given is not None:
        child(given)
        return
    print("| N | batch | passes | peak, MiB | its noise fields | peak less noise fields |\n|---|---|---|---|---|---|")
    for n in samples:
        found = measure(path, image, preprocess, {"method": "sscam2", "samples": n, "batch_size": batch_size})
        noise = n * found["field"]
        print(
            f"| {n} | {found['batch']} | {found['passes']} | {found['peak']:.0f} | {noise:.1f} "
            f"| {found['peak'] - noise:.0f} |",
            flush=True,
        )
    for limit in limits:
        found = measure(path, image, preprocess, {"method": "scorecam", "batch_size": TOO_LARGE}, limit)
        print(f"\n{limit} MiB of address space, a batch of {TOO_LARGE} asked for: {found}", flush=True)


if __name__ == "__main__":
    main()
