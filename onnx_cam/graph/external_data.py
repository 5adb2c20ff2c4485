"""Weights in files beside a model, which are read from nowhere but its own folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeAlias

import onnx
import onnx.numpy_helper
from numpy.typing import NDArray

from onnx_cam.errors import ModelError, one_line
from onnx_cam.graph.detached import DetachedWeights
from onnx_cam.graph.file_kinds.pointers import MAX_PROBE_BYTES, pointer_kind
from onnx_cam.graph.links import broken_link, link_chain
from onnx_cam.graph.walk_protobuf import all_tensors

__all__ = [
    "WeightSource",
    "external_files",
    "find_external_data",
    "hash_external_data",
    "inlined",
    "inlined_node",
    "stored_array",
]

WeightSource: TypeAlias = "Path | DetachedWeights | None"
"""Where weights lie that a protobuf does not hold itself: in files of a folder, or in memory."""

_STORES = (
    re.compile(r"(?P<root>.+?)(?:/[0-9a-f]{2}){1,2}/[0-9a-f]{28,64}"),  # DVC: md5/d4/1d8cd9…
    re.compile(
        r"(?P<root>.+/annex/objects)/.+/(?P<key>[^/]+)/(?P=key)"
    ),  # git-annex: f8/Gq/SHA256E-s5--ab/SHA256E-s5--ab
)
"""How stores that keep each file in a folder of its own name them, after the files' hashes."""


def find_external_data(path: Path | None, proto: onnx.ModelProto) -> Path | None:
    """Find a model's external weights, and return the folder that their locations are relative to.

    They may lie in the model's folder. Where the model is a symbolic link, that is the folder of the link and the
    folder of what it leads to, and a location may be a link from one to the other: the locations in `proto` are then
    replaced by those of the files themselves, since ONNX Runtime follows no link out of the folder.

    Parameters
    ----------
    path : Path or None
        Where the model was read from; None for one in memory, which has no folder.
    proto : onnx.ModelProto

    Returns
    -------
    Path or None
        None where the model stores all weights itself.

    Raises
    ------
    ModelError
        Weights are missing, cut off, no plain file, or outside the model's folder.

    Examples
    --------
    >>> find_external_data(Path("model.onnx"), onnx.load("model.onnx")) is None
    True
    """
    tensors = [tensor for tensor in all_tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if not tensors:
        return None
    if path is None:
        raise ModelError(
            f"the model keeps weights in {_location(tensors[0])!r}, a file beside it, and a model in memory has no "
            "folder; give its path, or load its weights with onnx.load or onnx.load_external_data_for_model first"
        )
    folders = list(dict.fromkeys(Path(os.path.realpath(place.parent)) for place in link_chain(path)))
    real_paths = {location: _real_path(path, location, folders) for location in sorted({*map(_location, tensors)})}
    _check_contents(path, tensors, real_paths)
    for folder in folders:
        if all(real == Path(os.path.normpath(folder / location)) for location, real in real_paths.items()):
            return folder
    # Some are links to another folder: name all of them as they are found from the folder that they have in common.
    common_folder = _common_folder(path, real_paths.values())
    for tensor in tensors:
        entry = next(entry for entry in tensor.external_data if entry.key == "location")
        entry.value = real_paths[entry.value].relative_to(common_folder).as_posix()
    return common_folder


def hash_external_data(proto: onnx.ModelProto, folder: Path | None) -> str:
    """Return the hash of the files with a model's weights, in hexadecimal digits; empty where it stores all itself.

    Raises
    ------
    ModelError
        One cannot be read.

    Examples
    --------
    >>> hash_external_data(onnx.load("model.onnx"), None)
    ''
    """
    tensors = [tensor for tensor in all_tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if folder is None or not tensors:
        return ""
    total = hashlib.sha256()
    for location in sorted({*map(_location, tensors)}):
        try:
            with open(folder / location, "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        except (OSError, ValueError) as error:
            raise ModelError(
                f"cannot read the weights {location!r}: {one_line(error)}; copy that file again"
            ) from error
    return total.hexdigest()


def external_files(proto: onnx.ModelProto, folder: Path | None) -> list[Path]:
    """Return the files that hold a model's weights.

    Parameters
    ----------
    proto : onnx.ModelProto
    folder : Path or None
        The folder that `find_external_data` returned.

    Examples
    --------
    >>> external_files(onnx.load("model.onnx"), None)
    []
    """
    tensors = [tensor for tensor in all_tensors(proto) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    return [] if folder is None else [folder / location for location in sorted({*map(_location, tensors)})]


def inlined(tensor: onnx.TensorProto, source: WeightSource) -> onnx.TensorProto:
    r"""Return a tensor that holds its values itself.

    onnx's own reader refuses files with several hard links, which package managers and caches make.

    Parameters
    ----------
    tensor : onnx.TensorProto
    source : Path, DetachedWeights or None
        The folder that `find_external_data` returned, or the weights that were detached from the model.

    Raises
    ------
    ModelError
        The values cannot be read.

    Examples
    --------
    >>> tensor = onnx.TensorProto(dims=[2], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    >>> for key, value in {"location": "weights", "offset": "4", "length": "8"}.items():
    ...     _ = tensor.external_data.add(key=key, value=value)
    >>> _ = Path("weights").write_bytes(bytes(4) + b"\x00\x00\x80\x3f" * 2)
    >>> onnx.numpy_helper.to_array(inlined(tensor, Path.cwd()))
    array([1., 1.], dtype=float32)
    """
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return tensor
    if isinstance(source, DetachedWeights):
        return onnx.numpy_helper.from_array(source.array(tensor), tensor.name)
    location = _location(tensor)
    try:
        if source is None:
            raise OSError("its folder is unknown")
        with open(source / location, "rb") as file:
            file.seek(_number(tensor, "offset") or 0)
            content = file.read(_number(tensor, "length"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot read the weight {tensor.name!r} from {location!r}: {error}; copy that file beside the model again"
        ) from error
    return onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type, raw_data=content)


def stored_array(tensor: onnx.TensorProto, source: WeightSource) -> NDArray[Any]:
    """Return the values of a stored tensor; those of a detached weight are not copied.

    Raises
    ------
    ModelError
        The values cannot be read, or are fewer or more than the tensor's shape says.

    Examples
    --------
    >>> stored_array(onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], [0.5, 1]), None)
    array([0.5, 1. ], dtype=float32)
    >>> stored_array(onnx.TensorProto(name="w", data_type=1, dims=[2**40], raw_data=bytes(4)), None)
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ModelError: the weight 'w' is damaged: cannot reshape ...; copy or export the model again
    """
    if isinstance(source, DetachedWeights) and tensor.data_location == onnx.TensorProto.EXTERNAL:
        return source.array(tensor)
    whole = inlined(tensor, source)
    try:
        return onnx.numpy_helper.to_array(whole)
    except Exception as error:  # onnx raises whatever a damaged tensor makes it raise
        raise ModelError(
            f"the weight {tensor.name!r} is damaged: {one_line(error, 120)}; copy or export the model again"
        ) from error


def inlined_node(node: onnx.NodeProto, source: WeightSource) -> onnx.NodeProto:
    """Return a node whose attributes hold the values of their tensors themselves, as a Constant's may not.

    Raises
    ------
    ModelError
        The values cannot be read.

    Examples
    --------
    >>> node = onnx.helper.make_node("Relu", ["x"], ["y"])
    >>> inlined_node(node, None) is node
    True
    """
    if all(attribute.t.data_location != onnx.TensorProto.EXTERNAL for attribute in node.attribute):
        return node
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(inlined(attribute.t, source))
    return copy


def _entry(tensor: onnx.TensorProto, key: str) -> str:
    return next((entry.value for entry in tensor.external_data if entry.key == key), "")


def _location(tensor: onnx.TensorProto) -> str:
    return _entry(tensor, "location")


def _number(tensor: onnx.TensorProto, key: str) -> int | None:
    """Return an offset or a length in bytes; None where the file leaves it out."""
    text = _entry(tensor, key)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,18}", text):
        raise ValueError(f"invalid {key} {text[:20]!r}")
    return int(text)


def _real_path(model: Path, location: str, folders: Sequence[Path]) -> Path:
    """Return the file of a location, where it lies in one of the model's folders."""
    normal = os.path.normpath(location or "..")
    absolute = PurePosixPath(location).is_absolute() or bool(PureWindowsPath(location).anchor)
    if absolute or "\0" in location or normal.split(os.sep)[0] == os.pardir:
        raise ModelError(
            f"'{model}' reads weights from {location!r}, outside its own folder; refused: "
            "move them beside the model, and save it again"
        )
    path = next((folder / normal for folder in folders if os.path.lexists(folder / normal)), None)
    if path is None:
        places = "beside it" if len(folders) == 1 else "beside it or beside the file that it links to"
        raise ModelError(f"'{model}' reads weights from {location!r} {places}; no such file: copy it there")
    if target := broken_link(path):
        raise ModelError(
            f"'{model}' reads weights from '{path}', a link to '{target}', which does not exist or links back: "
            "fetch that file, or copy it in place of the link"
        )
    real = Path(os.path.realpath(path))
    if not any(real.is_relative_to(folder) for folder in folders) and not _in_one_store(real, model):
        raise ModelError(
            f"'{model}' reads weights from {location!r}, a link to '{real}', outside its own folder; refused: "
            "copy that file in place of the link if you trust it"
        )
    if not real.is_file():
        raise ModelError(f"'{model}' reads weights from '{path}', which is not a file: copy them there")
    return real


def _in_one_store(weights: Path, model: Path) -> bool:
    """Whether two files lie in one store, each in a folder of its own that is named after its hash."""
    paths = weights.as_posix(), Path(os.path.realpath(model)).as_posix()
    for store in _STORES:
        matches = [store.fullmatch(path) for path in paths]
        if matches[0] and matches[1] and matches[0]["root"] == matches[1]["root"]:
            return True
    return False


def _common_folder(model: Path, paths: Iterable[Path]) -> Path:
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # drives of Windows
        raise ModelError(
            f"'{model}' links to weights on several drives; copy the model and its weights into one folder"
        ) from None


def _check_contents(model: Path, tensors: Sequence[onnx.TensorProto], real_paths: Mapping[str, Path]) -> None:
    """Refuse files that are placeholders of others, or shorter than the model says."""
    needed = dict.fromkeys(real_paths, 0)
    for tensor in tensors:
        try:
            end = (_number(tensor, "offset") or 0) + (_number(tensor, "length") or 0)
        except ValueError as error:
            raise ModelError(
                f"'{model}' is damaged: the weight {tensor.name!r} has an {error}; copy it again"
            ) from None
        needed[_location(tensor)] = max(needed[_location(tensor)], end)
    for location, path in real_paths.items():
        try:
            size = path.stat().st_size
            with open(path, "rb") as file:
                pointer = pointer_kind(file.read(MAX_PROBE_BYTES))
        except OSError as error:
            raise ModelError(f"cannot read the weights '{path}' of '{model}': {error.strerror or error}") from error
        if pointer:
            raise ModelError(f"the weights {location!r} of '{model}' are {pointer}")
        if size < needed[location]:
            raise ModelError(
                f"the weights {location!r} of '{model}' are cut off: {size:,} bytes instead of "
                f"{needed[location]:,}; copy or download that file again"
            )
