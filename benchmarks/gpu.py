"""What only a GPU can show, as Markdown.

    python -m benchmarks.gpu --device cuda --model MODEL --image IMAGE [--preprocess imagenet] [--part …]

The parts:

`devices`: which devices pass the self-test, and where the model's nodes ran. `agreement`: the maps of every method on
the device and on the CPU. `throughput`: forward passes per second of the engine and of bare inference, in float32 and
float16, on a ResNet-50 with random weights, and Score-CAM maps per second. `options`: what the options of the CUDA
provider change. `memory`: a batch that does not fit into memory.

All parts except `options` also run with `--device cpu`, to try out the script.
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
from benchmarks.versions import versions_line
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


def devices(settings: Settings, image: str, device: str) -> None:
    """Print which devices work, and where the nodes of the model ran."""
    for tested in onnx_cam.check():
        print(f"* {tested.device}: {'works' if tested.works else 'does not work'}: {tested.detail}")
    model = onnx_cam.load(**settings, device=device)
    result = onnx_cam.explain(model, image, layer=model.layers()[-1])
    print(f"* {model.name}: provider {result.provider}, nodes that ran on the CPU instead: {result.cpu_fallback_nodes}")


def agreement(settings: Settings, image: str, device: str) -> None:
    """Print how far the maps on the device differ from those on the CPU, for every method and variant."""
    models = onnx_cam.load(**settings, device=device), onnx_cam.load(**settings, device="cpu")
    layer = min(models[1].layers(), key=lambda layer: layer.shape[0])
    print("| method | variant | largest difference from the CPU, relative to the maximum |\n|---|---|---|")
    for name, method in onnx_cam.METHODS.items():
        for variant in method.variants:
            method_settings: Settings = {"method": name, "variant": variant, "layer": layer.name}
            if "samples" in method(variant=variant).parameters:
                method_settings["samples"] = SAMPLES
            a, b = (onnx_cam.explain(model, image, target=None, **method_settings).cam for model in models)
            difference = f"{np.abs(a - b).max() / b.max():.1e}" if b.any() else "both empty" if not a.any() else "∞"
            print(f"| {name} | {variant} | {difference} |", flush=True)


def throughput(settings: Settings, image: str, device: str, runs: int = 5) -> None:
    """Print the forward passes per second of the engine and of bare inference, for each floating type."""
    print("| type | method | N | bare, passes/s (batch size) | engine, passes/s (batch size) | ratio | maps/s |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for half in (False, True):
            path = Path(folder) / f"resnet50_{16 if half else 32}.onnx"
            path.write_bytes(resnet50(half).SerializeToString())
            model = onnx_cam.load(path, device=device, preprocess="imagenet")
            bare = Bare(model, None, BATCHES)
            for name in ("scorecam", "sscam2"):
                method_settings: Settings = {"method": name, **({} if name == "scorecam" else {"samples": SAMPLES})}
                bare_seconds, engine_seconds, result = compare(model, image, method_settings, runs, bare)
                ratio = statistics.median(b / e for b, e in zip(bare_seconds, engine_seconds, strict=True))
                engine = statistics.median(engine_seconds)
                print(
                    f"| float{16 if half else 32} | {name} | {result.parameters.get('samples', 1)} "
                    f"| {1 / statistics.median(bare_seconds):.0f} ({bare.best.batch}) | {1 / engine:.0f} "
                    f"({result.batch_size}) | {ratio:.3f} | {1 / (engine * result.passes):.2f} |",
                    flush=True,
                )


def options(settings: Settings, image: str, device: str) -> None:
    """Print the speed and the map's difference for several options of the CUDA provider."""
    cuda_options = cast("dict[str, str]", DEVICES["cuda"].options)
    standard = dict(cuda_options)
    print("| options | first map, s | passes/s after it | difference from the standard options |\n|---|---|---|---|")
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
    """Print what happens with a batch size that does not fit into memory."""
    model = onnx_cam.load(**settings, device=device)
    requested = 32768 if device.startswith("cuda") else 64
    result = onnx_cam.explain(model, image, batch_size=requested, method="sscam1", samples=max(1, requested // 1024))
    print(
        f"* requested batch size {requested}: {result.passes} forward passes at batch size {result.batch_size}; "
        f"{result.warnings}"
    )


PARTS: dict[str, Callable[[Settings, str, str], None]] = {
    "devices": devices,
    "agreement": agreement,
    "throughput": throughput,
    "options": options,
    "memory": memory,
}


@click.command()
@click.option("--model", "path", required=True, help="Model to explain.")
@click.option("--image", required=True, help="Image to explain.")
@click.option("--preprocess", default="auto", show_default=True, help="As for onnx-cam explain.")
@click.option("--device", default="cuda", show_default=True, help="Device to measure.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(tuple(PARTS)),
    default=tuple(PARTS),
    help="Part to run; all by default. Can be repeated.",
)
def main(path: str, image: str, preprocess: str, device: str, parts: tuple[str, ...]) -> None:
    """Print what only a GPU can show, as Markdown."""
    print(f"{device}; {versions_line()}")
    for part in parts:
        print(f"\n## {part}\n", flush=True)
        if part == "options" and not device.startswith("cuda"):
            print("only for the CUDA provider")
            continue
        PARTS[part]({"path": path, "preprocess": preprocess}, image, device)


if __name__ == "__main__":
    main()
