"""Read an untrusted ONNX file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError
from onnx_graphsurgeon.logger import G_LOGGER

from onnx_cam.errors import ModelError, one_line
from onnx_cam.files import read_at_most
from onnx_cam.graph.walk_protobuf import all_tensors

__all__ = ["MAX_BYTES", "ModelFile", "import_graph", "read_model"]

MAX_BYTES = 2**31 - 1
"""The size limit of a protobuf, 2 GiB; a larger model stores its weights in files beside the graph."""

_ORT_FORMAT = b"ORTM"  # bytes 4-8 of a file in ONNX Runtime's own format


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file as it was read.

    Attributes
    ----------
    path : Path
        Where it was read from.
    sha256 : str
        The hash of the file's bytes, in hexadecimal digits; weights in files beside the model are not included.
    proto : onnx.ModelProto
        The model; external weights are not loaded.
    external : bool
        Whether weights are stored in files beside the model.

    Examples
    --------
    >>> from pathlib import Path
    >>> ModelFile(Path("models/resnet50.onnx"), "", onnx.ModelProto(), external=False).name
    'resnet50.onnx'
    """

    path: Path
    sha256: str
    proto: onnx.ModelProto
    external: bool

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def metadata(self) -> dict[str, str]:
        """The model's ``metadata_props``."""
        return {p.key: p.value for p in self.proto.metadata_props}


def read_model(path: str | Path) -> ModelFile:
    """Read and check an ONNX file, without its external weights.

    Raises
    ------
    ModelError
        The file is missing, empty, too large, in another format, damaged, or has weights outside its folder.

    Examples
    --------
    >>> file = read_model("model.onnx")
    >>> [output.name for output in file.proto.graph.output]
    ['logits']
    """
    path = Path(path)
    content = _read_bytes(path)
    proto = _parse(path, content)
    locations = sorted(set(_external_locations(proto)))
    for location in locations:
        _check_location(path, location)
    return ModelFile(path, hashlib.sha256(content).hexdigest(), proto, bool(locations))


def import_graph(file: ModelFile) -> gs.Graph:
    """Return a model's graph in graphsurgeon's form, whose tensors and nodes refer to each other.

    Raises
    ------
    ModelError
        The graph is damaged.

    Examples
    --------
    >>> graph = import_graph(read_model("model.onnx"))
    >>> [node.op for node in graph.nodes]
    ['Conv', 'Relu', 'Conv', 'Relu', 'GlobalAveragePool', 'Flatten', 'Gemm']
    """
    G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to standard output
    try:
        return gs.import_onnx(file.proto)
    except Exception as error:  # a damaged graph makes graphsurgeon raise anything
        raise ModelError(
            f"the graph of {file.name} cannot be read: {one_line(error)}; export the model again"
        ) from error


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModelError(f"'{path}' is a folder; expected an .onnx file")
        with open(path, "rb") as file:
            content = read_at_most(file, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise ModelError(
                f"'{path}' is larger than 2 GiB, the limit of an ONNX file; store its weights as external data"
            )
        return content
    except FileNotFoundError:
        raise ModelError(f"no model file '{path}'; expected the path of an .onnx file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the model '{path}': {one_line(error)}") from error


def _parse(path: Path, content: bytes) -> onnx.ModelProto:
    if not content:
        raise ModelError(f"'{path}' is empty; expected an ONNX model: copy or export it again")
    if content[4:8] == _ORT_FORMAT:
        raise ModelError(
            f"'{path}' is in ONNX Runtime's own format (.ort), whose graph cannot be rewritten; "
            "give the .onnx file that it was converted from"
        )
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError:
        raise ModelError(
            f"'{path}' is not an ONNX model, or cut off; expected an .onnx file: copy or export it again"
        ) from None
    if not proto.graph.node or not proto.graph.output or proto.ir_version < 1:
        raise ModelError(f"'{path}' holds no ONNX graph with outputs; expected an .onnx file: copy or export it again")
    return proto


def _external_locations(proto: onnx.ModelProto) -> Iterator[str]:
    for tensor in all_tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield next((e.value for e in tensor.external_data if e.key == "location"), "")


def _check_location(path: Path, location: str) -> None:
    absolute = PurePosixPath(location).is_absolute() or bool(PureWindowsPath(location).anchor)
    folder = path.parent.resolve()
    if not location or absolute or not (folder / location).resolve().is_relative_to(folder):
        raise ModelError(
            f"'{path}' reads weights from {location!r}, outside its own folder; refused: "
            "move them beside the model, and save it again"
        )
    if not (folder / location).is_file():
        raise ModelError(f"'{path}' reads weights from {location!r} beside it; no such file: copy it there")
