"""What only a GPU can show, as Markdown.

    python -m benchmarks.gpu --device cuda --model MODEL --image IMAGE [--preprocess imagenet] [--part …]

`truth`: which devices pass the self-test, and where the model's nodes ran. `agreement`: the maps of every method on the
device and on the CPU. `throughput`: engine and bare inference, float32 and float16, on a ResNet-50 of random weights,
and images a second for Score-CAM. `options`: what the CUDA provider's options are worth. `memory`: a batch that cannot
fit. Everything but `options` runs with `--device cpu`, too, as a trial of the script.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click
import numpy as np

import onnx_cam
from benchmarks.resnet50 import resnet50
from benchmarks.throughput import Bare, compare
from onnx_cam.explanation.versions import package_versions
from onnx_cam.runtime.devices import DEVICES

BATCHES = (1, 8, 16, 32, 64, 128, 256)
SAMPLES = 3
OPTIONS: list[dict[str, str]] = [
    {},
    {"cudnn_conv_algo_search": "HEURISTIC"},
    {"cudnn_conv_algo_search": "DEFAULT"},
    {"use_tf32": "1"},
    {"prefer_nhwc": "1"},
    {"arena_extend_strategy": "kNextPowerOfTwo"},
]
Settings = dict[str, Any]


def truth(settings: Settings, image: str, device: str) -> None:
    for tested in onnx_cam.check():
        print(f"* {tested.device}: {'works' if tested.works else 'no'}: {tested.detail}")
    model = onnx_cam.load(**settings, device=device)
    result = onnx_cam.explain(model, image, layer=model.layers()[-1])
    print(f"* {model.name}: provider {result.provider}, nodes left to the CPU: {result.cpu_fallback_nodes}")


def agreement(settings: Settings, image: str, device: str) -> None:
    there, here = onnx_cam.load(**settings, device=device), onnx_cam.load(**settings, device="cpu")
    layer = min(here.layers(), key=lambda layer: layer.shape[0])
    print("| method | variant | largest difference to the CPU, of the maximum |\n|---|---|---|")
    for name, method in onnx_cam.METHODS.items():
        for variant in method.variants:
            chosen: Settings = {"method": name, "variant": variant, "layer": layer.name}
            if name != "scorecam":
                chosen["samples"] = SAMPLES
            a, b = (onnx_cam.explain(model, image, target=None, **chosen).cam for model in (there, here))
            difference = f"{np.abs(a - b).max() / b.max():.1e}" if b.any() else "both empty" if not a.any() else "∞"
            print(f"| {name} | {variant} | {difference} |", flush=True)


def throughput(settings: Settings, image: str, device: str, runs: int = 5) -> None:
    print("| type | method | N | bare, passes/s (batch) | engine, passes/s (batch) | ratio | maps/s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for half in (False, True):
            path = Path(folder) / f"resnet50_{16 if half else 32}.onnx"
            path.write_bytes(resnet50(half).SerializeToString())
            model = onnx_cam.load(path, device=device, preprocess="imagenet")
            bare = Bare(model, None, BATCHES)
            for name in ("scorecam", "sscam2"):
                chosen: Settings = {"method": name, **({} if name == "scorecam" else {"samples": SAMPLES})}
                bare_seconds, engine_seconds, result = compare(model, image, chosen, runs, bare)
                ratio = statistics.median(b / e for b, e in zip(bare_seconds, engine_seconds, strict=True))
                engine = statistics.median(engine_seconds)
                print(
                    f"| float{16 if half else 32} | {name} | {result.parameters.get('samples', 1)} "
                    f"| {1 / statistics.median(bare_seconds):.0f} ({bare.batch}) | {1 / engine:.0f} "
                    f"({result.batch_size}) | {ratio:.3f} | {1 / (engine * result.passes):.2f} |",
                    flush=True,
                )


def options(settings: Settings, image: str, device: str) -> None:
    cuda_options = cast("dict[str, str]", DEVICES["cuda"].options)
    standard = dict(cuda_options)
    print("| options | first map, s | passes/s after | difference to the standard options |\n|---|---|---|---|")
    reference = None
    for changed in OPTIONS:
        cuda_options.update(standard)
        cuda_options.update(changed)
        model = onnx_cam.load(**settings, device=device)
        started = time.perf_counter()
        onnx_cam.explain(model, image)
        first = time.perf_counter() - started
        result = onnx_cam.explain(model, image)
        reference = result.cam if reference is None else reference
        difference = np.abs(result.cam - reference).max() / reference.max()
        print(f"| {changed or standard} | {first:.1f} | {result.passes / result.seconds:.0f} | {difference:.1e} |")
        for name in changed:
            cuda_options.pop(name)
    cuda_options.update(standard)


def memory(settings: Settings, image: str, device: str) -> None:
    model = onnx_cam.load(**settings, device=device)
    asked = 32768 if device.startswith("cuda") else 64
    result = onnx_cam.explain(model, image, batch_size=asked, method="sscam1", samples=max(1, asked // 1024))
    print(f"* a batch of {asked} asked for: {result.passes} passes at {result.batch_size}; {result.warnings}")


PARTS: dict[str, Callable[[Settings, str, str], None]] = {
    "truth": truth,
    "agreement": agreement,
    "throughput": throughput,
    "options": options,
    "memory": memory,
}


@click.command()
@click.option("--model", "path", required=True)
@click.option("--image", required=True)
@click.option("--preprocess", default="auto")
@click.option("--device", default="cuda")
@click.option("--part", "parts", multiple=True, type=click.Choice(tuple(PARTS)), default=tuple(PARTS))
def main(path: str, image: str, preprocess: str, device: str, parts: tuple[str, ...]) -> None:
    """Print each part."""
    print(f"{device}; {', '.join(f'{name} {version}' for name, version in package_versions().items())}")
    for part in parts:
        print(f"\n## {part}\n", flush=True)
        if part == "options" and not device.startswith("cuda"):
            print("of the CUDA provider alone")
            continue
        PARTS[part]({"path": path, "preprocess": preprocess}, image, device)


if __name__ == "__main__":
    main()
