"""A panel of deployed classifiers: what is detected about each model, and whether its maps are correct.

    python -m benchmarks.panel ../shared [--part facts|oracle|variants|energy] [--images 12]

The folder holds the models and photos, each with an index. The parts:

`facts`: what `onnx-cam inspect` detects. `oracle`: the largest difference between `scorecam` (`paper`) and a slow
reference implementation. The reference runs the model file one input at a time, and takes the layout, types and head
from the panel's index, not from onnx-cam. `variants`: the same for every method and variant, N = 2, at the layer with
the fewest channels; for quantized models also, in brackets, how much the reference itself changes when the network's
input is multiplied by 1 + 1e-6. `energy`: for the ImageNet models, the median share of the map's energy inside the box,
over photos with boxes that the model classifies correctly, and the median share of the crop that the box covers.
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
from benchmarks.versions import versions_line
from onnx_cam.errors import ScoreError
from onnx_cam.graph.head import RESHAPING
from onnx_cam.graph.tap import tap
from onnx_cam.image.picture import open_picture
from onnx_cam.methods import METHODS
from tests.oracle import REFERENCES, Case, Network, scorecam_paper, softmax

Array = NDArray[np.float64]

PREPROCESSING = {  # the mean and std of the index, as a preset or a JSON file
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
PERTURBATION = 1e-6  # relative
PHOTO = "cat_720p.jpg"


class DeployedNetwork(Network):
    """A model file of the panel, whose input and output are described by its index entry."""

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
        """Return the real numbers that a tensor of integers represents."""
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
    """Return a model of the panel, with its own preprocessing and labels."""
    preprocessing: Any = PREPROCESSING.get(entry["name"], "auto")
    if isinstance(preprocessing, dict):
        path = folder / f"{entry['name']}.json"
        path.write_text(json.dumps({"scale": 1.0, **preprocessing}))
        preprocessing = str(path)
    labels = entry.get("labels")
    if isinstance(labels, str):
        labels = "imagenet" if "imagenet_classes" in labels else None
    return onnx_cam.load(shared / "panel" / entry["file"], device="cpu", preprocess=preprocessing, labels=labels)


def image_for(shared: Path, entry: dict[str, Any]) -> Any:
    """Return a photo, or for the model of digits an image of a one."""
    if entry["name"] == "mnist_cntk":
        digit = np.zeros((28, 28, 3), np.uint8)
        digit[4:24, 13:16] = 255
        return digit
    return shared / "images" / PHOTO


def facts(shared: Path, entry: dict[str, Any], folder: Path) -> str:
    """Return the line of a model: what is detected about it."""
    model = load(shared, entry, folder)
    findings = {finding.what: finding for finding in onnx_cam.inspect(model)}
    layer = model.layer()
    image = image_for(shared, entry)
    top = onnx_cam.explain(model, image, layer=model.layers()[-1].name, preprocess=None).top[0]
    image_input = f"{model.input.layout} {model.input.dtype} {model.input.shape}"
    batch = findings["batch"].value + (" (fixed in the file)" if model.input.batch else "")
    preset = findings["preprocessing"].value.split(":")[0]
    shape = "×".join(map(str, layer.shape))
    return (
        f"| {entry['name']} | {image_input} | {batch} | {model.head.kind.name} {model.classes} | {preset} "
        f"| `{layer.name[-36:]}` {layer.op_type} {shape} {layer.layout} | {top} {top.score:.2f} |"
    )


def oracle(shared: Path, entry: dict[str, Any], folder: Path) -> str:
    """Return the line of a model: the difference of its Score-CAM map from the reference."""
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
    """Return the line of a model: the differences of all methods and variants from their references."""
    model = load(shared, entry, folder)
    layer = min((layer for layer in model.layers() if layer.layout == model.layer().layout), key=lambda a: a.shape[0])
    image = image_for(shared, entry)
    x = open_picture(image, model.preprocessing, model.input.channels, model.size).network_input.astype(np.float64)
    network = DeployedNetwork(model.file.proto, layer.name, entry)
    target = onnx_cam.explain(model, image, layer=layer).target.index
    cells = []
    for (method, variant), reference in REFERENCES.items():
        settings: dict[str, Any] = {} if method == "scorecam" else {"samples": SAMPLES}
        parameters = METHODS[method](variant=variant, **settings).parameters
        sigma = float(parameters.get("sigma", 0.0))
        case = Case(network, x, target, seed=1, samples=parameters.get("samples", 1), sigma=sigma)
        with np.errstate(over="ignore", invalid="ignore"):
            expected = reference(case)
        try:
            result = onnx_cam.explain(model, image, layer=layer, method=method, variant=variant, seed=1, **settings)
            own_change = ""
            if any(node.op_type == "QuantizeLinear" for node in model.file.proto.graph.node):
                own_change = f" ({relative(reference(replace(case, x=x * (1 + PERTURBATION))), expected)})"
            cells.append(relative(result.cam, expected) + own_change)
        except ScoreError:
            cells.append("NaN" if np.isnan(expected).any() else "∞")
    return f"| {entry['name']} | {layer.shape[0]}×{layer.shape[1]}×{layer.shape[2]} | {' | '.join(cells)} |"


def relative(cam: np.ndarray, reference: Array) -> str:
    """Return the largest difference of two maps, relative to the maximum of the reference."""
    if not reference.any():
        return "∞" if cam.any() else "empty"
    return f"{np.abs(cam - reference).max() / reference.max():.0e}"


def energy(shared: Path, entry: dict[str, Any], folder: Path, count: int) -> str:
    """Return the line of a model: the energy of its maps inside the boxes of correctly classified photos."""
    model = load(shared, entry, folder)
    last_layer = model.layers()[-1].name
    inside: list[float] = []
    area: list[float] = []
    for photo in json.loads((shared / "images" / "index.json").read_text()):
        if len(inside) == count or not photo.get("boxes"):
            continue
        path = shared / "images" / photo["file"]
        top = onnx_cam.explain(model, path, layer=last_layer).target
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
    "oracle": "| model | passes | empty | largest difference from the reference |\n|---|---|---|---|",
    "variants": "| model | layer | "
    + " | ".join(f"{method} {variant}" for method, variant in REFERENCES)
    + " |\n|---|---|"
    + "---|" * len(REFERENCES),
    "energy": "| model | photos | median energy inside the box | median area of the box |\n|---|---|---|---|",
}


@click.command()
@click.argument("shared", type=click.Path(path_type=Path))
@click.option("--part", type=click.Choice(tuple(HEADERS)), default="facts", show_default=True, help="Table to print.")
@click.option("--images", default=12, show_default=True, help="Photos for the part 'energy'.")
@click.option("--model", "names", multiple=True, help="Model to include; all by default. Can be repeated.")
def main(shared: Path, part: str, images: int, names: tuple[str, ...]) -> None:
    """Print one part as a Markdown table; SHARED is the folder of the panel and the photos."""
    import tempfile

    print(f"{versions_line()}\n")
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
