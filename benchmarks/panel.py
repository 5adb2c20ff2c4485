"""Every model of a panel of deployed classifiers: what is concluded of it, and whether its maps are right.

    python -m benchmarks.panel ../shared [--part facts|oracle|energy] [--images 12]

`facts`: what `inspect` concludes. `oracle`: the largest difference between `scorecam` (`paper`) and the slow reference:
it runs the file itself, one input at a time, told its layout, types and head by the panel's index, not by onnx-cam.
`variants`: the same for every method and variant, N = 2, at the layer with the fewest channels; for quantized models
also how far the reference itself moves when the network's input is multiplied by 1 + 1e-6, in brackets.
`energy`: for the ImageNet models, the median share of the map's energy inside the box over boxed photos whose top-1 is
right, beside the median share of the crop that the box covers.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

import onnx_cam
from onnx_cam.errors import ScoreError
from onnx_cam.explanation.versions import package_versions
from onnx_cam.graph.head import RESHAPING
from onnx_cam.graph.tap import tap
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import METHODS
from tests.oracle import REFERENCES, Case, Network, scorecam_paper, softmax

Array = NDArray[np.float64]

PREPROCESSING = {  # the index's mean and std, as a preset or a file
    "ch_ppocr_mobile_v2.0_cls_infer": {
        "resize": "stretch", "channels": "BGR", "mean": [127.5] * 3, "std": [127.5] * 3, "size": [48, 192],
    },
    "vit_cifar10_ibp_3_3_8": {
        "crop_pct": 1.0, "mean": [125.3, 122.95, 113.87], "std": [51.59, 50.85, 51.26],
    },
    "fer_minixception": "tf",
    "mobilenetv1_025_keras_nhwc": "tf",
    "squeezenet_fp16_two_outputs": "caffe",
    "resnet50_int8_qdq_nhwc": "caffe",
    "mobilenetv2_tv": "imagenet",
    "mobilenetv2_quant_nns": "imagenet",
}  # fmt: skip
SAMPLES = 2
NUDGE = 1e-6
FITTING = "cat_720p.jpg"


class DeployedNetwork(Network):
    """A file of the panel, fed and read as its index entry says."""

    def __init__(self, proto: onnx.ModelProto, layer: str, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.scales = {w.name: numpy_helper.to_array(w) for w in proto.graph.initializer}
        self.producers = {name: node for node in proto.graph.node for name in node.output}
        self.logits = entry["outputs"][0]["name"]
        if (before := self._softmax_input) is not None:
            proto = tap(proto, [before])
        super().__init__(proto, layer, entry["outputs"][0]["name"])

    def feed(self, x: Array) -> dict[str, np.ndarray]:
        arranged = np.moveaxis(x[None], 1, -1) if self.entry["layout"] == "NHWC" else x[None]
        kind = self.entry["inputs"][0]["dtype"]
        if "uint8" in kind:
            return {self.input: np.clip(np.rint(arranged), 0, 255).astype(np.uint8)}
        return {self.input: arranged.astype(np.float16 if "float16" in kind else np.float32)}

    def real(self, tensor: np.ndarray, name: str) -> Array:
        """Return what a tensor's integers stand for."""
        values = tensor.astype(np.float64)
        if tensor.dtype.kind == "f":
            return values
        node = self.producers[name]
        scale, zero = node.input[6:8] if node.op_type == "QLinearConv" else node.input[1:3]
        return np.asarray((values - self.scales[zero]) * self.scales[scale])

    def activations(self, x: Array) -> Array:
        maps = self.real(self.session.run([self.layer], self.feed(x))[0], self.layer)[0]
        if maps.ndim == 2:  # the transformer of the panel: a class token, then 4×4 patches
            return np.asarray(maps[1:].T.reshape(-1, 4, 4))
        return np.asarray(maps)

    def logit(self, x: Array) -> Array:
        """Return the scores' logits: the output, or what the final Softmax reads."""
        return self._values(self._softmax_input or self.logits, x)

    def probability(self, x: Array) -> Array:
        output = self._values(self.logits, x)
        return output if "softmax" in self.entry["output_kind"] else np.asarray(softmax(output))

    @property
    def _softmax_input(self) -> str | None:
        name = self.logits
        while name in self.producers:
            node = self.producers[name]
            if node.op_type == "Softmax":
                return str(node.input[0])
            name = node.input[0] if node.op_type in RESHAPING else ""
        return None

    def _values(self, name: str, x: Array) -> Array:
        return np.asarray(self.real(self.session.run([name], self.feed(x))[0], name).ravel())


def load(shared: Path, entry: dict[str, Any], folder: Path) -> onnx_cam.Classifier:
    chosen: Any = PREPROCESSING.get(entry["name"], "auto")
    if isinstance(chosen, dict):
        path = folder / f"{entry['name']}.json"
        path.write_text(json.dumps({"scale": 1.0, **chosen}))
        chosen = str(path)
    labels = entry.get("labels")
    if isinstance(labels, str):
        labels = "imagenet" if "imagenet_classes" in labels else None
    return onnx_cam.load(shared / "panel" / entry["file"], device="cpu", preprocess=chosen, labels=labels)


def image_for(shared: Path, entry: dict[str, Any]) -> Any:
    if entry["name"] == "mnist_cntk":  # a one, drawn
        digit = np.zeros((28, 28, 3), np.uint8)
        digit[4:24, 13:16] = 255
        return digit
    return shared / "images" / FITTING


def facts(shared: Path, entry: dict[str, Any], folder: Path) -> str:
    model = load(shared, entry, folder)
    found = {f.what: f for f in onnx_cam.inspect(model)}
    layer = model.layer()
    image = image_for(shared, entry)
    top = onnx_cam.explain(model, image, layer=model.layers()[-1].name, preprocess=None).top[0]
    taken = f"{model.input.layout} {model.input.dtype} {model.input.shape}"
    batch = found["batch"].value + (", freed" if model.input.batch else "")
    preset = found["preprocessing"].value.split(":")[0]
    shape = "×".join(map(str, layer.shape))
    return (
        f"| {entry['name']} | {taken} | {batch} | {model.head.kind.name} {model.classes} | {preset} "
        f"| `{layer.name[-36:]}` {layer.op_type} {shape} {layer.layout} | {top} {top.score:.2f} |"
    )


def oracle(shared: Path, entry: dict[str, Any], folder: Path) -> str:
    model = load(shared, entry, folder)
    layer = model.layer()
    image = image_for(shared, entry)
    result = onnx_cam.explain(model, image, layer=layer.name)
    x = open_picture(image, model.preprocessing, model.input.channels, model.size).network_input
    network = DeployedNetwork(model.file.proto, layer.name, entry)
    reference = scorecam_paper(Case(network, x.astype(np.float64), result.target.index))
    difference = np.abs(result.cam - reference).max() / reference.max() if reference.any() else float(result.cam.any())
    return f"| {entry['name']} | {result.passes} | {result.empty} | {difference:.1e} |"


def variants(shared: Path, entry: dict[str, Any], folder: Path) -> str:
    model = load(shared, entry, folder)
    layer = min((layer for layer in model.layers() if layer.layout == model.layer().layout), key=lambda a: a.shape[0])
    image = image_for(shared, entry)
    x = open_picture(image, model.preprocessing, model.input.channels, model.size).network_input.astype(np.float64)
    network = DeployedNetwork(model.file.proto, layer.name, entry)
    target = onnx_cam.explain(model, image, layer=layer).target.index
    cells = []
    for (method, variant), reference in REFERENCES.items():
        chosen: dict[str, Any] = {} if method == "scorecam" else {"samples": SAMPLES}
        made = METHODS[method](variant=variant, **chosen)
        sigma = float(getattr(made, "sigma", 0.0))
        case = Case(network, x, target, seed=1, samples=getattr(made, "samples", 1), sigma=sigma)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = reference(case)
        try:
            result = onnx_cam.explain(model, image, layer=layer, method=method, variant=variant, seed=1, **chosen)
            moved = ""
            if any(node.op_type == "QuantizeLinear" for node in model.file.proto.graph.node):
                moved = f" ({relative(reference(replace(case, x=x * (1 + NUDGE))), expected)})"
            cells.append(relative(result.cam, expected) + moved)
        except ScoreError:
            cells.append("NaN" if np.isnan(expected).any() else "∞")
    return f"| {entry['name']} | {layer.shape[0]}×{layer.shape[1]}×{layer.shape[2]} | {' | '.join(cells)} |"


def relative(found: np.ndarray, reference: Array) -> str:
    if not reference.any():
        return "∞" if found.any() else "empty"
    return f"{np.abs(found - reference).max() / reference.max():.0e}"


def energy(shared: Path, entry: dict[str, Any], folder: Path, count: int) -> str:
    model = load(shared, entry, folder)
    cheap = model.layers()[-1].name
    inside: list[float] = []
    area: list[float] = []
    for photo in json.loads((shared / "images" / "index.json").read_text()):
        if len(inside) == count or not photo.get("boxes"):
            continue
        path = shared / "images" / photo["file"]
        top = onnx_cam.explain(model, path, layer=cheap).target
        if top.index != photo["imagenet_id"] + model.labels.offset:
            continue
        result = onnx_cam.explain(model, path)
        box = np.zeros(result.map.shape, bool)
        for x0, y0, x1, y1 in photo["boxes"]:
            box[y0 : y1 + 1, x0 : x1 + 1] = True
        x0, y0, x1, y1 = result.crop
        if result.map.any():
            inside.append(float(result.map[box].sum() / result.map.sum()))
            area.append(float(box[y0:y1, x0:x1].mean()))
    return f"| {entry['name']} | {len(inside)} | {statistics.median(inside):.2f} | {statistics.median(area):.2f} |"


HEADERS = {
    "facts": "| model | input | batch | head | preprocessing | default layer | top-1 |\n|---|---|---|---|---|---|---|",
    "oracle": "| model | passes | empty | largest difference to the reference |\n|---|---|---|---|",
    "variants": "| model | layer | "
    + " | ".join(f"{method} {variant}" for method, variant in REFERENCES)
    + " |\n|---|---|"
    + "---|" * len(REFERENCES),
    "energy": "| model | photos | median energy in the box | median area of the box |\n|---|---|---|---|",
}


@click.command()
@click.argument("shared", type=click.Path(path_type=Path))
@click.option("--part", type=click.Choice(tuple(HEADERS)), default="facts")
@click.option("--images", default=12)
@click.option("--model", "names", multiple=True, help="These alone.")
def main(shared: Path, part: str, images: int, names: tuple[str, ...]) -> None:
    """Print one part as a Markdown table."""
    import tempfile

    print(f"{', '.join(f'{name} {version}' for name, version in package_versions().items())}\n")
    print(HEADERS[part], flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for entry in json.loads((shared / "panel" / "index.json").read_text()):
            if names and entry["name"] not in names:
                continue
            imagenet = isinstance(entry.get("labels"), str) and "imagenet_classes" in entry["labels"]
            if part == "energy" and not imagenet:
                continue
            started = time.perf_counter()
            if part == "energy":
                line = energy(shared, entry, Path(folder), images)
            else:
                line = {"facts": facts, "oracle": oracle, "variants": variants}[part](shared, entry, Path(folder))
            print(line, flush=True)
            click.echo(f"{entry['name']}: {time.perf_counter() - started:.0f} s", err=True)


if __name__ == "__main__":
    main()
