"""The same map by onnx-cam and by other tools, with the same weights: time, peak memory, and how far the maps differ.

    python -m benchmarks.peers [--network resnet18|lite0] [--method scorecam] [--image FILE] [--runs 1]

Each map is made in a separate process, which loads its tool and reports the seconds for the map (without loading) and
the peak resident memory of the process (with the framework). torchcam's SSCAM is given onnx-cam's noise fields, so that
both compute the same map. ResNet-18 has random weights, since it does not matter here what the map shows.

grad-cam is compared if it is installed. openvino-xai has no method of the Score-CAM family.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

SAMPLES = 2
SEED = 5  # the seed of tests.peers, repeated here because that module imports torch
LAYERS = {"resnet18": ("layer4", None), "lite0": ("head", "_bn1.relu6")}
"""Network to the explained layer, as a torch module and as an ONNX tensor; None is the default layer."""

METHODS = ("scorecam", "sscam1", "iscam")


def torch_network(network: str) -> Any:
    """Return a network as a torch module in evaluation mode."""
    import torch

    if network == "lite0":
        from onnx_cam.demo import demo_weights
        from tests.torch_twins import Lite0

        return Lite0(demo_weights())
    from models.resnet import ResNet18

    torch.manual_seed(0)
    return ResNet18().eval()


def prepare(folder: Path, network: str, image: Path) -> None:
    """Write the network as an ONNX model, and its input as an array."""
    import torch

    import onnx_cam
    from onnx_cam.demo import demo_model
    from onnx_cam.image.picture import open_picture

    lite0 = onnx_cam.load(demo_model(), device="cpu")
    x = open_picture(image, lite0.preprocessing, 3, lite0.size).network_input
    np.save(folder / "input.npy", x)
    if network == "lite0":
        (folder / "model.onnx").write_bytes(Path(demo_model()).read_bytes())
        return
    axes = {"image": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        torch_network(network),
        (torch.from_numpy(x[None]),),
        str(folder / "model.onnx"),
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )


def by_onnx_cam(folder: Path, network: str, method: str, target: int, variant: str) -> tuple[np.ndarray, float, int]:
    """Return a map by onnx-cam, its seconds and its forward passes."""
    import onnx_cam

    model = onnx_cam.load(folder / "model.onnx", device="cpu", preprocess="none")
    samples: dict[str, Any] = {} if method == "scorecam" else {"samples": SAMPLES}
    result = onnx_cam.explain(
        model,
        folder / "input.npy",
        method=method,
        variant=variant,
        target=target,
        layer=LAYERS[network][1],
        seed=SEED,
        **samples,
    )
    return result.cam, result.seconds, result.passes


def by_torchcam(folder: Path, network: str, method: str, target: int, variant: str) -> tuple[np.ndarray, float, int]:
    """Return a map by torchcam, its seconds and its forward passes."""
    from tests.peers import torchcam_map

    module = torch_network(network)
    x = np.load(folder / "input.npy")
    passes = _Passes(module)
    started = time.perf_counter()
    cam = torchcam_map(module, LAYERS[network][0], x, target, method, samples=SAMPLES)
    return cam, time.perf_counter() - started, passes.count


def by_grad_cam(folder: Path, network: str, method: str, target: int, variant: str) -> tuple[np.ndarray, float, int]:
    """Return a map by grad-cam, its seconds and its forward passes."""
    from tests.peers import grad_cam_map, import_grad_cam

    import_grad_cam()
    module = torch_network(network)
    x = np.load(folder / "input.npy")
    passes = _Passes(module)
    started = time.perf_counter()
    cam = grad_cam_map(module, LAYERS[network][0], x, target, method)
    return cam, time.perf_counter() - started, passes.count


class _Passes:
    """Counts the images that go through a torch module."""

    def __init__(self, module: Any) -> None:
        self.count = 0
        module.register_forward_pre_hook(self._add)

    def _add(self, module: Any, inputs: tuple[Any, ...]) -> None:
        self.count += len(inputs[0])


TOOLS = {"onnx-cam": by_onnx_cam, "torchcam": by_torchcam, "grad-cam": by_grad_cam}


def measure(folder: Path, tool: str, network: str, method: str, variant: str) -> dict[str, Any] | None:
    """Return the map and the figures of one tool, measured in a process of its own; None if the tool is missing."""
    arguments = json.dumps([str(folder), tool, network, method, variant])
    command = [sys.executable, "-m", "benchmarks.peers", "--child", arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        click.echo(f"{tool}: {process.stderr.strip().splitlines()[-1]}", err=True)
        return None
    figures: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    figures["map"] = np.load(folder / f"{tool}.npy")
    return figures


def child(arguments: str) -> None:
    """Make one map in this process, and print its figures as JSON."""
    folder, tool, network, method, variant = json.loads(arguments)
    cam, seconds, passes = TOOLS[tool](Path(folder), network, method, 285, variant)
    np.save(Path(folder) / f"{tool}.npy", cam)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "passes": passes, "peak": peak}))


def compare(folder: Path, peer: str, network: str, method: str, runs: int) -> str | None:
    """Return one line of the table; the two tools take turns."""
    variant = "torchcam" if peer == "torchcam" else "pytorch-grad-cam"
    pairs = []
    for _ in range(runs):
        ours = measure(folder, "onnx-cam", network, method, variant)
        theirs = measure(folder, peer, network, method, variant)
        if ours is None or theirs is None:
            return None
        pairs.append((ours, theirs))
    ours, theirs = pairs[-1]
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in pairs)
    differs = f"{np.abs(ours['map'] - theirs['map']).max() / theirs['map'].max():.1e}"
    samples = 1 if method == "scorecam" else SAMPLES
    return (
        f"| {network} | {method} `{variant}`, N = {samples} | {peer} | {ours['passes']} / {theirs['passes']} "
        f"| {ours['seconds']:.1f} / {theirs['seconds']:.1f} | {ratio:.1f} "
        f"| {ours['peak']:.0f} / {theirs['peak']:.0f} | {differs} |"
    )


@click.command()
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=click.Choice(tuple(LAYERS)),
    default=tuple(LAYERS),
    help="Network to explain; all by default. Can be repeated.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(METHODS),
    default=METHODS,
    help="Method to compare; all by default. Can be repeated.",
)
@click.option("--image", type=click.Path(path_type=Path), default=None, help="Image; the demo's photo by default.")
@click.option("--runs", default=1, show_default=True, help="Runs of each tool, which take turns.")
@click.option("--child", "child_arguments", hidden=True, default=None)
def main(
    networks: tuple[str, ...], methods: tuple[str, ...], image: Path | None, runs: int, child_arguments: str | None
) -> None:
    """Compare maps by onnx-cam with the same maps by other tools, as a Markdown table."""
    if child_arguments is not None:
        child(child_arguments)
        return
    from onnx_cam.demo import demo_image

    print("| network | map | other tool | passes: onnx-cam / other | seconds | ratio | peak MiB | maps differ by |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for network in networks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepare(folder, network, image or Path(demo_image()))
            for method in methods:
                for peer in ("torchcam", "grad-cam") if method == "scorecam" else ("torchcam",):
                    line = compare(folder, peer, network, method, runs)
                    if line:
                        print(line, flush=True)


if __name__ == "__main__":
    main()
