"""The end that all exporters share: describe the model in its metadata, prove it, and only then write it."""

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
from onnx_cam.graph.find_layers import METADATA_KEY as LAYER_KEY
from onnx_cam.image.find_preprocessing import METADATA_KEY as PREPROCESSING_KEY
from onnx_cam.image.picture import open_picture

__all__ = ["TOLERANCE", "Exported", "Report", "finish", "relative_difference"]

Floats = NDArray[np.float32]
Reference = Callable[[Floats], tuple[NDArray[np.floating], NDArray[np.floating]]]

TOLERANCE = 1e-4
"""The largest relative difference to the framework that is let through."""

_BATCHES = (1, 3)
_LARGER = 32  # pixels: the second size at which a free input is tried
_SEED = 0


@dataclass(frozen=True)
class Exported:
    """What an exporter hands over.

    Attributes
    ----------
    proto : onnx.ModelProto
        The scores are its first output, the layer is its second.
    reference : callable
        What the framework says: images ``(B, C, H, W)`` float32 to scores and layer.
    size : tuple of int
        ``(H, W)`` of the input; of one that is free, the size to take.
    framework : str
        Its name, for messages.
    """

    proto: onnx.ModelProto
    reference: Reference
    size: tuple[int, int]
    framework: str

    @property
    def outputs(self) -> list[str]:
        """The names of the scores and of the layer."""
        return [output.name for output in self.proto.graph.output[:2]]

    @property
    def layer(self) -> str:
        """The name of the layer's tensor."""
        return self.outputs[1]


@dataclass
class Report:
    """What was compared, and how far ONNX Runtime is from the framework.

    Attributes
    ----------
    layer : str
    shape : tuple of int
        ``(K, h, w)``.
    framework : str
    differences : dict of str to tuple of float
        For each input the relative difference of the scores and of the layer.
    """

    layer: str
    shape: tuple[int, int, int]
    framework: str
    differences: dict[str, tuple[float, float]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report as text."""
        return [
            f"{what}: ONNX Runtime against {self.framework}: scores {scores:.1e}, {self.layer} {layer:.1e}"
            for what, (scores, layer) in self.differences.items()
        ]


def relative_difference(found: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Return ``max |found − expected| / max |expected|``: infinite where the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    difference = np.abs(found.astype(np.float64) - expected).max(initial=0)
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
    """Write the model to a file, with all that ``onnx-cam explain`` needs to know; nothing is left where a check fails.

    Parameters
    ----------
    exported : Exported
    out : Path
        An existing file is replaced whole or not at all.
    labels : str, optional
        A file, or ``imagenet``; without it what the metadata says.
    preprocess : str
        A preset or a JSON file; ``auto`` takes what the metadata says.
    image : str, optional
        A photo to compare on, beside random input.

    Raises
    ------
    OnnxCamError
        ONNX Runtime and the framework differ by more than 1e-4; the layer is none that can be explained; labels,
        preprocessing or image cannot be used; the file cannot be written.
    """
    if out.exists() and not out.is_file():
        raise OutputError(f"'{out}' is a folder or a device; expected the path of a file to write")
    with results_folder(out.parent), tempfile.TemporaryDirectory(prefix=".onnx-cam-", dir=out.parent) as folder:
        waiting = Path(folder) / out.name
        _write(exported.proto, waiting)
        said = onnx_cam.load(waiting, device="cpu", labels=labels, preprocess=preprocess, size=_free_size(exported))
        _write(_described(said, exported), waiting)
        del said  # it holds the weights, and so will the next
        model = onnx_cam.load(waiting, device="cpu")
        report = _compare(model, exported, image)
        _replace(waiting, out)
    return report


def _write(proto: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.checker.check_model(proto)
        path.write_bytes(proto.SerializeToString())
    except OSError as error:
        raise OutputError(f"cannot write to '{path.parent.parent}': {error.strerror or error}") from error
    except Exception as error:  # the checker's and protobuf's share no base but this
        raise ModelError(
            f"the exported graph is not valid ONNX: {one_line(error, 160)}; try another --opset"
        ) from error


def _replace(waiting: Path, out: Path) -> None:
    try:
        os.replace(waiting, out)
    except OSError as error:
        raise OutputError(f"cannot write '{out}': {error.strerror or error}; choose another place with -o") from error


def _free_size(exported: Exported) -> tuple[int, int] | None:
    """Return the size to take where the graph leaves it free."""
    shape = exported.proto.graph.input[0].type.tensor_type.shape.dim
    return exported.size if any(side.HasField("dim_param") for side in shape[2:]) else None


def _described(model: Classifier, exported: Exported) -> onnx.ModelProto:
    """Return the model with labels, preprocessing with the size, and layer in its metadata."""
    assert model.preprocessing is not None  # "none" is not among the choices
    preprocessing = replace(model.preprocessing, size=model.size)
    metadata = {
        **model.file.metadata,
        PREPROCESSING_KEY: json.dumps(preprocessing.describe()),
        LAYER_KEY: _explainable(model, exported.layer),
    }
    if model.labels.names is not None:
        metadata[LABELS_KEY] = json.dumps(list(model.labels.names))
    described = onnx.ModelProto()
    described.CopyFrom(exported.proto)
    onnx.helper.set_model_props(described, metadata)
    return described


def _explainable(model: Classifier, layer: str) -> str:
    try:
        return model.layer(layer).name
    except LayerError:
        raise LayerError(
            f"the output of {layer!r} cannot be explained; expected maps with a height and width above 1, or tokens on "
            "a grid, on the way to the scores: give another --layer"
        ) from None


def _compare(model: Classifier, exported: Exported, image: str | None) -> Report:
    report = Report(exported.layer, model.layer().shape, exported.framework)
    session = model.open_session(model.file.proto)
    for what, images in _inputs(model, image):
        scores, layer = exported.reference(images)
        found = session.run(images, exported.outputs)
        report.differences[what] = (relative_difference(found[0], scores), relative_difference(found[1], layer))
        if not max(report.differences[what]) <= TOLERANCE:  # NaN is too large
            raise ModelError(f"{report.lines()[-1]}; expected at most {TOLERANCE:g}: nothing is written")
    return report


def _inputs(model: Classifier, image: str | None) -> Iterator[tuple[str, Floats]]:
    generator = np.random.default_rng(_SEED)
    sizes = [model.size]
    if model.input.height is None and model.input.width is None:
        sizes.append((model.size[0] + _LARGER, model.size[1] + 2 * _LARGER))
    for height, width in sizes:
        for batch in _BATCHES:
            shape = (batch, model.input.channels, height, width)
            yield f"random input {'×'.join(map(str, shape))}", generator.standard_normal(shape, np.float32)
    if image is not None:
        picture = open_picture(image, model.preprocessing, model.input.channels, model.size)
        yield image, picture.network_input[None]
