"""Read an ONNX file that nobody has vouched for."""

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

__all__ = ["MAX_BYTES", "ModelFile", "import_graph", "read_model"]

MAX_BYTES = 2**31 - 1
"""The largest protobuf there is; a larger model keeps its weights beside the graph."""

_ORT_FORMAT = b"ORTM"  # bytes 4-8 of a file in ONNX Runtime's own format


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file as it was read.

    Attributes
    ----------
    path : Path
        Where it was read from.
    sha256 : str
        Of the file's bytes (of the graph alone where weights are kept beside it).
    proto : onnx.ModelProto
        The model; external weights are not loaded.
    external : bool
        Whether weights are kept in files beside the model.
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
        Missing, empty, too large, in another format, damaged, or with weights outside its folder.
    """
    path = Path(path)
    content = _read_bytes(path)
    proto = _parse(path, content)
    locations = sorted(set(_external_locations(proto)))
    for location in locations:
        _check_location(path, location)
    return ModelFile(path, hashlib.sha256(content).hexdigest(), proto, bool(locations))


def import_graph(file: ModelFile) -> gs.Graph:
    """Return a model's graph, to walk on.

    Raises
    ------
    ModelError
        It is damaged.
    """
    G_LOGGER.severity = G_LOGGER.CRITICAL  # it prints to standard output
    try:
        return gs.import_onnx(file.proto)
    except Exception as error:  # graphsurgeon raises whatever a damaged graph makes it
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
                f"'{path}' has more than {MAX_BYTES:,} bytes, as no ONNX file has; keep its weights as external data"
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
            "give the .onnx file that it was made from"
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
    for tensor in _tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield next((e.value for e in tensor.external_data if e.key == "location"), "")


def _tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _graph_tensors(proto.graph)
    for function in proto.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        if attribute.HasField("sparse_tensor"):
            yield attribute.sparse_tensor.values
            yield attribute.sparse_tensor.indices
        for graph in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
            yield from _graph_tensors(graph)


def _check_location(path: Path, location: str) -> None:
    absolute = PurePosixPath(location).is_absolute() or bool(PureWindowsPath(location).anchor)
    folder = path.parent.resolve()
    if not location or absolute or not (folder / location).resolve().is_relative_to(folder):
        raise ModelError(f"'{path}' wants weights from {location!r}, outside its own folder; refused")
    if not (folder / location).is_file():
        raise ModelError(f"'{path}' wants its weights in {location!r} beside it; no such file: copy it there")
