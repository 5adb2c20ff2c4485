"""Read an untrusted ONNX file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_graphsurgeon as gs
from google.protobuf.message import DecodeError
from onnx_graphsurgeon.logger import G_LOGGER

from onnx_cam.errors import ModelError, one_line
from onnx_cam.files import read_at_most
from onnx_cam.graph.external_data import find_external_data
from onnx_cam.graph.file_kinds import file_kind
from onnx_cam.graph.file_kinds.folders import folder_kind
from onnx_cam.graph.links import broken_link
from onnx_cam.graph.soundness import check_names, make_sound

__all__ = ["MAX_BYTES", "ModelFile", "import_graph", "read_model"]

MAX_BYTES = 2**31 - 1
"""The size limit of a protobuf, 2 GiB; a larger model stores its weights in files beside the graph."""

_UNKNOWN = "not an ONNX model, or damaged; expected an .onnx file: copy or export it again"
_NO_GRAPH = "not an ONNX model with a graph and outputs; expected an .onnx file: copy or export it again"


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
    folder : Path or None
        The folder that the locations of external weights are relative to; None where the file holds all weights.

    Examples
    --------
    >>> from pathlib import Path
    >>> ModelFile(Path("models/resnet50.onnx"), "", onnx.ModelProto(), folder=None).name
    'resnet50.onnx'
    """

    path: Path
    sha256: str
    proto: onnx.ModelProto
    folder: Path | None

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def external(self) -> bool:
        """Whether weights are stored in files beside the model."""
        return self.folder is not None

    @property
    def producer(self) -> str:
        """The name and version of the program that wrote the file; empty where it does not say."""
        return " ".join(filter(None, map(_as_text, (self.proto.producer_name, self.proto.producer_version))))

    @property
    def metadata(self) -> dict[str, str]:
        """The model's ``metadata_props``; bytes that are not UTF-8 are kept as lone surrogates."""
        return {_as_text(p.key): _as_text(p.value) for p in self.proto.metadata_props}


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
    check_names(proto, path)
    folder = find_external_data(path, proto)
    make_sound(proto, path)
    return ModelFile(path, hashlib.sha256(content).hexdigest(), proto, folder)


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


def _parse(path: Path, content: bytes) -> onnx.ModelProto:
    if not content:
        raise ModelError(f"'{path}' is empty; expected an ONNX model: copy or export it again")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError:
        raise ModelError(f"'{path}' is {file_kind(content, path) or _UNKNOWN}") from None
    if not proto.graph.node or not proto.graph.output or proto.ir_version < 1:
        raise ModelError(f"'{path}' is {file_kind(content, path) or _NO_GRAPH}")
    return proto
