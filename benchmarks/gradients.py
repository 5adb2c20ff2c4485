"""The graph as a torch module: outputs compared with ONNX Runtime, gradients with central differences.

    python -m benchmarks.gradients ../shared

The first table has, for every model of the panel, the largest difference from ONNX Runtime over some trial images,
relative to the tensor's largest number, for the logits and for the default layer. The column "ONNX Runtime itself" is
the same between ONNX Runtime with and without its graph optimisations, for the logits: on quantized models its fused
kernels change the scores.

The second table has derivatives of a logit along random directions of the default layer, in float64, by autograd and by
central differences: the largest difference, relative to the largest derivative.
"""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import onnx_cam
from benchmarks.panel import load
from benchmarks.versions import versions_line
from onnx_cam.gradients import GraphModule, layer_gradients
from onnx_cam.graph.tap import tap

Array = NDArray[Any]

IMAGES = 3
DIRECTIONS = 5
STEP = 1e-5  # relative to the layer's root mean square
DIFFERENTIATED = ("mobilenetv2_tv", "mobilenetv1_025_keras_nhwc", "vit_cifar10_ibp_3_3_8")


class _TransformerBlock(nn.Module):
    """A transformer block that normalises before attention and before its MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.projection(attended.transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class RandomViT(nn.Module):
    """A vision transformer of two blocks with random weights, a class token and a linear head."""

    def __init__(self, size: int = 64, patch: int = 8, width: int = 48, classes: int = 10) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) / 4)
        self.blocks = nn.Sequential(*(_TransformerBlock(width, 4) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], 1) + self.position
        return self.head(self.norm(self.blocks(tokens))[:, 0])  # type: ignore[no-any-return]


def random_vit(folder: Path) -> onnx_cam.Classifier:
    """Return the transformer with random weights, exported to ONNX."""
    torch.manual_seed(0)
    exported = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            RandomViT().eval(),
            (torch.zeros(1, 3, 64, 64),),
            exported,  # type: ignore[arg-type]
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )
    path = folder / "random_vit.onnx"
    path.write_bytes(exported.getvalue())
    return onnx_cam.load(path, device="cpu", preprocess="none")


def difference(values: Array, expected: Array) -> float:
    """Return the largest difference, relative to the largest expected number."""
    expected = expected.astype(np.float64)
    return float(np.abs(values - expected).max() / np.abs(expected).max())


def forward(model: onnx_cam.Classifier, name: str) -> str:
    """Return a model's line of the first table."""
    layer = model.layer()
    proto = tap(model.facts.proto, [model.head.tapped_logits, layer.tapped])
    names = [_name(model.head.tapped_logits), layer.output]
    module = GraphModule(proto, name=model.name)
    optimised, plain = (model.sessions.open(proto, optimise=o) for o in (True, False))
    rows = []
    for image in model.trial_images(IMAGES):
        with torch.no_grad():
            tensors = [t.numpy() for t in module(torch.as_tensor(model.input.feed(image[None])), names)]
        expected, unoptimised = optimised.run(image[None], names), plain.run(image[None], names)
        rows.append([*map(difference, tensors, expected), difference(unoptimised[0], expected[0])])
    logits, maps, runtime_itself = np.max(rows, axis=0)
    return f"| {name} | {_weight_type(proto)} | {logits:.1e} | {maps:.1e} | {runtime_itself:.1e} |"


def _name(tensor: Any) -> str:
    return tensor if isinstance(tensor, str) else str(tensor.name)


def _weight_type(proto: onnx.ModelProto) -> str:
    types = {weight.data_type for weight in proto.graph.initializer}
    if any(node.op_type.startswith(("Quantize", "QLinear")) for node in proto.graph.node):
        return "8 bits"
    return "float16" if onnx.TensorProto.FLOAT16 in types else "float32"


def gradient(model: onnx_cam.Classifier, name: str) -> str:
    """Return a model's line of the second table."""
    layer, logits = model.layer(), model.head.logits
    module = GraphModule(tap(model.facts.proto, [logits, layer.name]), name=model.name).double()
    image = model.input.feed(model.trial_images(1))
    with torch.no_grad():
        target = int(module(torch.as_tensor(image), [logits])[0].argmax())
    activations, gradients = layer_gradients(module, image, layer.name, logits, [target])
    generator = np.random.default_rng(0)
    pairs = []
    for _ in range(DIRECTIONS):
        direction = generator.standard_normal(activations.shape)
        step = STEP * float(np.sqrt((activations**2).mean()))
        forward_logit, backward_logit = (
            _logit(module, image, logits, target, {layer.name: activations + s * direction}) for s in (step, -step)
        )
        pairs.append((float((gradients[0] * direction).sum()), (forward_logit - backward_logit) / (2 * step)))
    derivatives, expected = np.array(pairs).T
    shape = "×".join(map(str, activations.shape[1:]))
    return (
        f"| {name} | `{layer.name[-40:]}` {shape} | {np.abs(gradients).max():.1e} "
        f"| {difference(derivatives, expected):.1e} |"
    )


def _logit(module: GraphModule, image: Array, logits: str, target: int, replaced: dict[str, Array]) -> float:
    tensors = {name: torch.as_tensor(array) for name, array in replaced.items()}
    with torch.no_grad():
        return float(module(torch.as_tensor(image), [logits], tensors)[0].flatten()[target])


@click.command()
@click.argument("shared", type=click.Path(exists=True, path_type=Path))
def main(shared: Path) -> None:
    """Print both tables as Markdown; SHARED is the folder of the panel."""
    entries = json.loads((shared / "panel" / "index.json").read_text())
    print(f"{versions_line()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        models = {entry["name"]: load(shared, entry, Path(folder)) for entry in entries}
        vit = random_vit(Path(folder))
        print("\n| model | weights | logits | layer | ONNX Runtime itself |\n|---|---|---|---|---|")
        for name, model in models.items():
            print(forward(model, name))
        print(forward(vit, "ViT of two blocks, random weights"))
        print("\n| model | layer | largest gradient | difference |\n|---|---|---|---|")
        for name in DIFFERENTIATED:
            print(gradient(models[name], name))
        print(gradient(vit, "ViT of two blocks, random weights"))


if __name__ == "__main__":
    main()
