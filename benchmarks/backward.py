"""The gradients by ONNX Runtime: how far the maps are from torch's, and what a map costs in forward passes.

    python -m benchmarks.backward ../shared [--part differences|cost]

`differences`: for each model of the panel and for exported networks with random weights, the largest difference between
the maps of the two paths, relative to the maximum, over all gradient methods, for a synthetic image; at the default
layer and at one in the middle. In brackets: the cosine between the two Grad-CAM maps.

`cost`: the time of `explain` with `gradcam`, in units of a forward pass of the plain model, at the default layer and at
the first one, by ONNX Runtime and by torch. Each is the median of runs that take turns with the forward pass.
"""

from __future__ import annotations

import io
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

import onnx_cam
from benchmarks.gradients import random_vit
from benchmarks.panel import load
from benchmarks.versions import versions_line
from onnx_cam.errors import OnnxCamError
from onnx_cam.methods import METHODS
from tests.paper_networks import exported, seeded_network

Floats = NDArray[np.float32]
Path_ = Literal["onnx", "torch"]

GRADIENT_METHODS = [name for name, method in METHODS.items() if method.needs_gradient]
NETWORKS = {
    "alexnet": (224, "features.12"),
    "vgg16": (224, "features.29"),
    "squeezenet1_0": (128, "features.12"),
    "resnet18": (128, "layer4"),
}
"""Network of `models/` to the size of its input and the layer that is tapped."""

SAMPLES = 5
RUNS = 15


class RandomSwin(nn.Module):
    """A Swin transformer of one stage with random weights: attention in windows, which the second block shifts."""

    def __init__(self, size: int = 32, width: int = 24, window: int = 4, classes: int = 10) -> None:
        super().__init__()
        self.patches, self.window, self.width = nn.Conv2d(3, width, 4, stride=4), window, width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(2))
        self.mlps = nn.ModuleList(nn.Sequential(nn.Linear(width, 48), nn.GELU(), nn.Linear(48, width)) for _ in "ab")
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).permute(0, 2, 3, 1)  # (N, h, w, C)
        for block, shift in enumerate((0, self.window // 2)):
            attended = torch.roll(self.norms[2 * block](tokens), (-shift, -shift), (1, 2))
            attended = torch.roll(self._attention(attended, block), (shift, shift), (1, 2))
            tokens = tokens + attended
            tokens = tokens + self.mlps[block](self.norms[2 * block + 1](tokens))
        return self.head(self.norm(tokens).mean((1, 2)))  # type: ignore[no-any-return]

    def _attention(self, tokens: Tensor, block: int) -> Tensor:
        n, h, w, c = tokens.shape
        m = self.window
        windows = tokens.reshape(n, h // m, m, w // m, m, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, m * m, c)
        query, key, value = self.qkv[block](windows).reshape(-1, m * m, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(-1, m * m, c)
        return attended.reshape(n, h // m, w // m, m, m, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)


class RandomConvNeXt(nn.Module):
    """Two blocks of a ConvNeXt with random weights: a depthwise 7×7 convolution, then an MLP with channels last."""

    def __init__(self, width: int = 24, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, stride=4)
        self.depthwise = nn.ModuleList(nn.Conv2d(width, width, 7, padding=3, groups=width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mlps = nn.ModuleList(nn.Sequential(nn.Linear(width, 96), nn.GELU(), nn.Linear(96, width)) for _ in "ab")
        self.scale = nn.Parameter(torch.rand(width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for depthwise, norm, mlp in zip(self.depthwise, self.norms, self.mlps, strict=True):
            x = x + (self.scale * mlp(norm(depthwise(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        return self.head(self.norm(x.mean((2, 3))))  # type: ignore[no-any-return]


def export(network: nn.Module, name: str, size: int, folder: Path) -> onnx_cam.Classifier:
    """Return a network as a loaded ONNX file."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, size, size),),
            file,  # type: ignore[arg-type]
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
    path = folder / f"{name}.onnx"
    path.write_bytes(file.getvalue())
    return onnx_cam.load(path, device="cpu", preprocess="none")


def models(shared: Path, folder: Path) -> Iterator[tuple[str, onnx_cam.Classifier]]:
    """Yield each model with its name."""
    for entry in json.loads((shared / "panel" / "index.json").read_text()):
        yield entry["name"], load(shared, entry, folder)
    for name, (size, layer) in NETWORKS.items():
        path = exported(seeded_network(name, 1000, size), layer, size, folder)
        yield f"{name}, random weights", onnx_cam.load(path, device="cpu")
    torch.manual_seed(0)
    yield "ViT of two blocks, random weights", random_vit(folder)
    yield "Swin of two blocks, random weights", export(RandomSwin(), "swin", 32, folder)
    yield "ConvNeXt of two blocks, random weights", export(RandomConvNeXt(), "convnext", 64, folder)


def cam_of(model: onnx_cam.Classifier, layer: str, method: str, path: Path_) -> Floats | None:
    """Return a map; None where the method cannot explain this model."""
    settings: dict[str, Any] = {"samples": SAMPLES} if method == "smoothgradcam++" else {}
    image = model.trial_images(1)[0]
    try:
        explanation = onnx_cam.explain(
            model, image, method=method, layer=layer, gradients=path, preprocess="none", **settings
        )
        cam: Floats = explanation.cam
        return cam
    except OnnxCamError as error:
        print(f"<!-- {model.name}, {layer}, {method}, {path}: {error} -->")
        return None


def difference(model: onnx_cam.Classifier, layer: str) -> str:
    """Return a cell: the largest difference over all methods, and the cosine of the Grad-CAM maps."""
    largest, cosine = 0.0, float("nan")
    for method in GRADIENT_METHODS:
        if method == "grad++scorecam" and model.layer(layer).shape[0] > 300:
            continue  # as many forward passes
        found, expected = (cam_of(model, layer, method, path) for path in ("onnx", "torch"))
        if found is None or expected is None or not expected.max():
            continue
        largest = max(largest, float(np.abs(found - expected).max() / expected.max()))
        if method == "gradcam":
            cosine = float((found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected))
    return f"{largest:.1e} ({cosine:.6f})"


def seconds(run: Any) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def cost(model: onnx_cam.Classifier, layer: str, path: Path_) -> str:
    """Return a cell: the time of a Grad-CAM map in forward passes, and the milliseconds of both."""
    images = model.trial_images(RUNS + 2)

    def explain(i: int) -> None:
        onnx_cam.explain(model, images[i], method="gradcam", layer=layer, gradients=path, preprocess="none")

    for i in (-1, -2):
        explain(i)
    passes, maps = [], []
    for i in range(RUNS):
        passes.append(seconds(lambda: model.sessions.scores(images[-1:], "logit")))
        maps.append(seconds(partial(explain, i)))
    forward, total = statistics.median(passes), statistics.median(maps)
    return f"{total / forward:.2f} ({1e3 * total:.1f} of {1e3 * forward:.1f} ms)"


@click.command()
@click.argument("shared", type=click.Path(exists=True, path_type=Path))
@click.option("--part", type=click.Choice(("differences", "cost")))
def main(shared: Path, part: str | None) -> None:
    """Print both tables as Markdown; SHARED is the folder of the panel."""
    print(f"{versions_line()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        if part != "cost":
            print("\n| model | default layer | a middle layer |\n|---|---|---|")
            for name, model in models(shared, Path(folder)):
                names = [layer.name for layer in model.layers()]
                cells = (difference(model, layer) for layer in (names[0], names[len(names) // 2]))
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
        if part != "differences":
            print("\n| model | layer | ONNX Runtime | torch |\n|---|---|---|---|")
            measured = {"mobilenetv2_tv": onnx_cam.load(shared / "panel" / "mobilenetv2_tv.onnx", device="cpu")}
            file = exported(seeded_network("resnet18", 1000, 224), "layer4", 224, Path(folder))
            measured["resnet18, random weights"] = onnx_cam.load(file, device="cpu")
            for name, model in measured.items():
                layers = model.layers()
                for layer in (layers[0], layers[-1]):
                    both = " | ".join(cost(model, layer.name, path) for path in ("onnx", "torch"))
                    shape = "×".join(map(str, layer.shape))
                    print(f"| {name} | `{layer.name[-40:]}` {shape} | {both} |", flush=True)


if __name__ == "__main__":
    main()
