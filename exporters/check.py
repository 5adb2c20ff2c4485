"""The last step of every exporter: describe the model in its metadata, compare it with the framework, write it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

import onnx_cam
from onnx_cam.classifier.classifier import Classifier
from onnx_cam.classifier.labels import METADATA_KEY as LABELS_KEY
from onnx_cam.errors import LayerError, ModelError, OutputError, one_line
from onnx_cam.files import results_folder
from onnx_cam.graph.layer import METADATA_KEY as LAYER_KEY
from onnx_cam.image.configurations.choose import METADATA_KEY as PREPROCESSING_KEY

__all__ = ["TOLERANCE", "Exported", "Report", "finish", "relative_difference"]

Floats = NDArray[np.float32]
Reference = Callable[[Floats], tuple[NDArray[np.floating], NDArray[np.floating]]]

TOLERANCE = 1e-4
"""The largest relative difference from the framework at which a model is still written."""

_BATCHES = (1, 3)
_LARGER = 32  # pixels to add for the second size, at which an input of free size is also compared
_SEED = 0


@dataclass(frozen=True)
class Exported:
    """An exported graph, and the framework's own results to compare it with.

    Attributes
    ----------
    proto : onnx.ModelProto
        The graph. Its first output holds the scores, its second the layer to explain.
    reference : callable
        The framework's forward pass: it maps images ``(B, C, H, W)`` float32 to the scores ``(B, classes)`` and the
        layer's activation maps.
    size : tuple of int
        Height and width of the input in pixels; if they are free in the graph, the size to use by default.
    framework : str
        The framework's name, for messages.

    Examples
    --------
    A graph to write and describe; as an example, onnx-cam's own export and ONNX Runtime in place of a framework:

    >>> model = onnx_cam.load("model.onnx", device="cpu")
    >>> _ = onnx_cam.export(model, "tapped.onnx", layer="relu2")
    >>> proto = onnx.load("tapped.onnx")
    >>> session = model.sessions.open(proto)
    >>> exported = Exported(proto, lambda images: session.run(images, ["logits", "relu2"]), (20, 20), "ONNX Runtime")
    >>> exported.outputs, exported.layer
    (['logits', 'relu2'], 'relu2')
    """

    proto: onnx.ModelProto
    reference: Reference
    size: tuple[int, int]
    framework: str

    @property
    def outputs(self) -> list[str]:
        """The names of the output with the scores and of the one with the layer."""
        return [output.name for output in self.proto.graph.output[:2]]

    @property
    def layer(self) -> str:
        """The name of the output with the layer."""
        return self.outputs[1]


@dataclass
class Report:
    """How far ONNX Runtime's results are from the framework's.

    Attributes
    ----------
    layer : str
        The name of the layer's output tensor.
    shape : tuple of int
        ``(K, h, w)``, the shape of the layer's activation maps.
    framework : str
        The framework's name.
    differences : dict of str to tuple of float
        For each input that was compared, the relative difference of the scores and that of the layer.

    Examples
    --------
    >>> report = Report("layer4", (512, 7, 7), "torch", {"random input 1×3×224×224": (1e-6, 2e-6)})
    >>> print(*report.lines())
    random input 1×3×224×224: relative difference from torch: scores 1.0e-06, layer4 2.0e-06
    """

    layer: str
    shape: tuple[int, int, int]
    framework: str
    differences: dict[str, tuple[float, float]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report as text, one line an input."""
        return [
            f"{name}: relative difference from {self.framework}: scores {scores:.1e}, {self.layer} {layer:.1e}"
            for name, (scores, layer) in self.differences.items()
        ]


def relative_difference(actual: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Return ``max |actual − expected| / max |expected|``.

    The result is infinite if the shapes differ, and the absolute difference if all expected values are 0.

    Examples
    --------
    >>> relative_difference(np.array([1.0, -4.0]), np.array([1.5, -4.0]))
    0.125
    """
    if actual.shape != expected.shape:
        return float("inf")
    difference = np.abs(actual.astype(np.float64) - expected).max(initial=0)
    scale = np.abs(expected).max(initial=0)
    return float(difference / scale) if scale > 0 else float(difference)


def finish(
    exported: Exported,
    out: Path,
    *,
    labels: str | None = None,
    preprocess: str = "auto",
    image: str | None = None,
) -> Report:
    """Write an exported model to a file, with metadata that makes every option of ``onnx-cam explain`` unnecessary.

    The file is written only if all checks pass.

    Parameters
    ----------
    exported : Exported
        The graph and the framework's forward pass.
    out : Path
        The file to write. An existing file is replaced completely or left as it is.
    labels : str, optional
        The class names: a text or JSON file, or ``imagenet``. By default those in the graph's metadata, if any.
    preprocess : str
        The preprocessing: a preset or a JSON file. ``auto`` takes it from the graph's metadata.
    image : str, optional
        The path of a photo on which to compare, in addition to random input.

    Returns
    -------
    Report
        The relative differences from the framework.

    Raises
    ------
    OnnxCamError
        ONNX Runtime and the framework differ by more than :data:`TOLERANCE`; the layer cannot be explained; the labels,
        the preprocessing or the image cannot be used; or the file cannot be written.

    Examples
    --------
    With ONNX Runtime in place of a framework:

    >>> model = onnx_cam.load("model.onnx", device="cpu")
    >>> _ = onnx_cam.export(model, "tapped.onnx", layer="relu2")
    >>> proto = onnx.load("tapped.onnx")
    >>> session = model.sessions.open(proto)
    >>> exported = Exported(proto, lambda images: session.run(images, ["logits", "relu2"]), (20, 20), "ONNX Runtime")
    >>> report = finish(exported, Path("described.onnx"), preprocess="tf")
    >>> print(report.lines()[0])
    random input 1×3×20×20: relative difference from ONNX Runtime: scores 0.0e+00, relu2 0.0e+00
    >>> onnx_cam.load("described.onnx", device="cpu").preprocessing.name
    'tf'
    """
    if out.exists() and not out.is_file():
        raise OutputError(f"cannot write '{out}': it is a folder or a device; give the path of a file with -o")
    with results_folder(out.parent), tempfile.TemporaryDirectory(prefix=".onnx-cam-", dir=out.parent) as folder:
        temporary = Path(folder) / out.name

        # Write the bare graph. From here on its weights are on disk, and in memory only if the caller keeps them.
        _write(_checked(exported.proto), temporary)
        exported = replace(exported, proto=_outline(exported.proto))

        # Load it as a user would with these options: that resolves labels, preprocessing, size and layer, and refuses
        # what does not fit. Only what was resolved is kept, as a model holds the weights once more.
        resolved = onnx_cam.load(temporary, device="cpu", labels=labels, preprocess=preprocess, size=_size(exported))
        metadata = _metadata(resolved, exported.layer)
        del resolved
        _write(_described(onnx.load(temporary), metadata), temporary)

        # Load the described file without any option, and compare that with the framework.
        model = onnx_cam.load(temporary, device="cpu")
        report = _compare(model, exported, image)
        _replace(temporary, out)
    return report


def _checked(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        onnx.checker.check_model(proto)
    except Exception as error:  # the only base that the checker's errors and protobuf's have in common
        raise ModelError(
            f"the exported graph is not valid ONNX: {one_line(error, 160)}; try another --opset"
        ) from error
    return proto


def _outline(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model with a graph's inputs and outputs only."""
    return onnx.ModelProto(graph=onnx.GraphProto(input=proto.graph.input, output=proto.graph.output))


def _write(proto: onnx.ModelProto, path: Path) -> None:
    try:
        path.write_bytes(proto.SerializeToString())
    except OSError as error:
        raise OutputError(f"cannot write to '{path.parent.parent}': {error.strerror or error}") from error


def _replace(temporary: Path, out: Path) -> None:
    try:
        os.replace(temporary, out)
    except OSError as error:
        raise OutputError(f"cannot write '{out}': {error.strerror or error}; choose another place with -o") from error


def _size(exported: Exported) -> tuple[int, int] | None:
    """Return the size to load the model at, if the graph leaves it free."""
    shape = exported.proto.graph.input[0].type.tensor_type.shape.dim
    return exported.size if any(side.HasField("dim_param") for side in shape[2:]) else None


def _metadata(model: Classifier, layer: str) -> dict[str, str]:
    """Return a model's metadata, with the labels, the preprocessing (with the input's size) and the layer."""
    assert model.preprocessing is not None  # the exporters do not offer "none"
    preprocessing = replace(model.preprocessing, size=model.size)
    metadata = {
        **model.file.metadata,
        PREPROCESSING_KEY: json.dumps(preprocessing.describe()),
        LAYER_KEY: _explainable(model, layer),
    }
    if model.labels.names is not None:
        metadata[LABELS_KEY] = json.dumps(list(model.labels.names))
    return metadata


def _described(proto: onnx.ModelProto, metadata: dict[str, str]) -> onnx.ModelProto:
    onnx.helper.set_model_props(proto, metadata)
    return proto


def _explainable(model: Classifier, layer: str) -> str:
    try:
        return model.layer(layer).name
    except LayerError:
        raise LayerError(
            f"the output of {layer!r} cannot be explained: expected activation maps with a height and width above 1, "
            "or tokens on a grid, that the scores depend on; choose another --layer"
        ) from None


def _compare(model: Classifier, exported: Exported, image: str | None) -> Report:
    report = Report(exported.layer, model.layer().shape, exported.framework)
    session = model.sessions.open(model.file.proto)
    for name, images in _inputs(model, image):
        expected = exported.reference(images)  # scores (B, classes) and layer
        actual = session.run(images, exported.outputs)
        scores, layer = map(relative_difference, actual, expected)
        report.differences[name] = (scores, layer)
        if not max(scores, layer) <= TOLERANCE:  # also true of NaN
            raise ModelError(f"{report.lines()[-1]}; expected at most {TOLERANCE:g}, so nothing is written")
    return report


def _inputs(model: Classifier, image: str | None) -> Iterator[tuple[str, Floats]]:
    """Yield the inputs to compare on, each with its name: random ones of several shapes, then the photo."""
    generator = np.random.default_rng(_SEED)
    sizes = [model.size]
    if model.input.height is None and model.input.width is None:
        sizes.append((model.size[0] + _LARGER, model.size[1] + 2 * _LARGER))
    for height, width in sizes:
        for batch in _BATCHES:
            shape = (batch, model.input.channels, height, width)
            yield f"random input {'×'.join(map(str, shape))}", generator.standard_normal(shape, np.float32)
    if image is not None:
        picture = model.open_picture(image, model.preprocessing)
        yield image, picture.network_input[None]
