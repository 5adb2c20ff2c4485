"""Read an untrusted ONNX model, from a file or from memory."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError, EncodeError
from onnx_graphsurgeon.logger import G_LOGGER

from onnx_cam.errors import ModelError, one_line
from onnx_cam.files import read_at_most
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.external_data import WeightSource, find_external_data
from onnx_cam.graph.file_kinds import file_kind
from onnx_cam.graph.file_kinds.folders import folder_kind
from onnx_cam.graph.links import broken_link
from onnx_cam.graph.read_detached import DetachedModel, detach_weights, is_large
from onnx_cam.graph.soundness import check_names, make_sound

__all__ = ["MAX_BYTES", "ModelFile", "ModelSource", "import_graph", "read_model"]

ModelSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | onnx.ModelProto"
"""What a user can hand over as a model: a path, the bytes of a file, or a protobuf."""

MAX_BYTES = 2**31 - 1
"""The size limit of a protobuf, 2 GiB; a larger model stores its weights in files beside the graph."""

_IN_MEMORY = "the model"  # what messages call a model that was not read from a file

_UNKNOWN = "not an ONNX model, or damaged; expected an .onnx file: copy or export it again"
_NO_GRAPH = "not an ONNX model with a graph and outputs; expected an .onnx file: copy or export it again"


@dataclass(frozen=True)
class ModelFile:
    """An ONNX model as it was read.

    Attributes
    ----------
    path : Path or None
        Where it was read from; None for a model in memory.
    sha256 : str
        The hash of the file's bytes, in hexadecimal digits; weights in files beside the model are not included.
    proto : onnx.ModelProto
        The model; external weights are not loaded.
    folder : Path or None
        The folder that the locations of external weights are relative to; None where the file holds all weights.
    detached : DetachedWeights or None
        The large weights of a large file, which are not in `proto`.

    Examples
    --------
    >>> from pathlib import Path
    >>> ModelFile(Path("models/resnet50.onnx"), "", onnx.ModelProto(), folder=None).name
    'resnet50.onnx'
    """

    path: Path | None
    sha256: str
    proto: onnx.ModelProto
    folder: Path | None
    detached: DetachedWeights | None = None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return _IN_MEMORY if self.path is None else self.path.name

    @property
    def external(self) -> bool:
        """Whether weights are stored in files beside the model."""
        return self.folder is not None

    @property
    def weights(self) -> WeightSource:
        """Where the weights are that `proto` does not hold."""
        return self.folder if self.detached is None else self.detached

    @property
    def producer(self) -> str:
        """The name and version of the program that wrote the file; empty where it does not say."""
        return " ".join(filter(None, map(_as_text, (self.proto.producer_name, self.proto.producer_version))))

    @property
    def metadata(self) -> dict[str, str]:
        """The model's ``metadata_props``; bytes that are not UTF-8 are kept as lone surrogates."""
        return {_as_text(p.key): _as_text(p.value) for p in self.proto.metadata_props}


def read_model(source: ModelSource) -> ModelFile:
    """Read and check an ONNX model, without its external weights.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto
        A protobuf is copied.

    Raises
    ------
    ModelError
        The file is missing, empty, too large, in another format, damaged, or has weights outside its folder; or the
        model in memory has weights in files.

    Examples
    --------
    >>> file = read_model("model.onnx")
    >>> [output.name for output in file.proto.graph.output]
    ['logits']
    >>> read_model(file.proto).sha256 == file.sha256
    True
    """
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    content = b"" if path is not None else _bytes_in_memory(source)
    large = _read_large(content if path is None else path)
    if large is not None:
        check_names(large.proto, _called(path))
        make_sound(large.proto, _called(path))
        return ModelFile(path, large.sha256, large.proto, None, large.weights)
    content = content if path is None else _read_bytes(path)
    proto = _parse(path, content)
    check_names(proto, _called(path))
    folder = find_external_data(path, proto)
    make_sound(proto, _called(path))
    return ModelFile(path, hashlib.sha256(content).hexdigest(), proto, folder)


def _read_large(source: Path | bytes) -> DetachedModel | None:
    """Return a large model with its weights beside the protobuf; None for any other, or one that cannot be read so."""
    if isinstance(source, bytes):
        return detach_weights(io.BytesIO(source), len(source)) if is_large(len(source)) else None
    try:
        size = source.stat().st_size if source.is_file() else 0
        if not is_large(size) or size > MAX_BYTES:
            return None
        with open(source, "rb") as file:
            return detach_weights(file, size)
    except (OSError, ValueError):
        return None


def _bytes_in_memory(source: object) -> bytes:
    """Return the bytes of a model that is not a file."""
    try:
        if isinstance(source, onnx.ModelProto):
            content = bytes(source.SerializeToString())
        elif isinstance(source, bytes | bytearray | memoryview):
            content = bytes(source)
        else:
            raise ModelError(
                f"got {type(source).__name__} as a model; expected a path, the bytes of an .onnx file, "
                "or an onnx.ModelProto"
            )
    except (ValueError, EncodeError) as error:  # protobuf's ways to say that it is too large, or incomplete
        raise ModelError(
            f"the onnx.ModelProto cannot be written as bytes ({one_line(error, 80)}); above 2 GiB, save it with its "
            "weights as external data, and give its path"
        ) from error
    if len(content) > MAX_BYTES:
        raise ModelError("the model is larger than 2 GiB; save it with its weights as external data, and give its path")
    return content


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


def _as_text(text: str | bytes) -> str:
    return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise ModelError(f"'{path}' is {folder_kind(path)}")
        with open(path, "rb") as file:
            content = read_at_most(file, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise ModelError(
                f"'{path}' is larger than 2 GiB, the limit of an ONNX file; store its weights as external data"
            )
        return content
    except (OSError, ValueError) as error:
        if target := broken_link(path):
            raise ModelError(
                f"'{path}' is a link to '{target}', which does not exist or links back; "
                "fetch that file (git annex get, dvc pull), or copy the model in place of the link"
            ) from None
        if isinstance(error, FileNotFoundError):
            raise ModelError(f"no model file '{path}'; expected the path of an .onnx file") from None
        raise ModelError(f"cannot read the model '{path}': {one_line(error)}") from error


def _called(path: Path | None) -> str:
    return _IN_MEMORY if path is None else f"'{path}'"


def _parse(path: Path | None, content: bytes) -> onnx.ModelProto:
    called = _called(path)
    if not content:
        raise ModelError(f"{called} is empty; expected an ONNX model: copy or export it again")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError:
        raise ModelError(f"{called} is {file_kind(content, path) or _UNKNOWN}") from None
    if not proto.graph.node or not proto.graph.output or proto.ir_version < 1:
        raise ModelError(f"{called} is {file_kind(content, path) or _NO_GRAPH}")
    return proto
