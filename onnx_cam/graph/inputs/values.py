"""From what a user gives as the value of an input to an array of the input's type and shape."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnx_cam.errors import SettingError, one_line
from onnx_cam.files import read_at_most
from onnx_cam.graph.inputs.declared import declared_sizes, declared_text

__all__ = ["InputValue", "read_value"]

Array = NDArray[Any]

_MAX_FILE_BYTES = 1 << 30
_MAX_SHOWN = 40
_MOST_RECORDED = 64  # numbers
_WORDS = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?\d{1,40}")
_FRACTION = re.compile(r"(?i)[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?|nan")


@dataclass(frozen=True)
class InputValue:
    """The value of an input beside the image.

    Attributes
    ----------
    array : ndarray
        Of the input's type and number of dimensions; a dimension of the batch has size 1.
    follows_batch : bool
        Whether its first dimension is that of the batch, so that it holds for each image of a run.
    """

    array: Array
    follows_batch: bool

    def describe(self) -> Any:
        """Return the value as plain JSON values, for the record; of a large array its shape, type and hash.

        Examples
        --------
        >>> InputValue(np.array([[32, 48]]), follows_batch=True).describe()
        [[32, 48]]
        """
        array = self.array
        if array.dtype.kind == "O":
            array = np.asarray([str(text) for text in array.ravel()]).reshape(array.shape)
        is_plain = array.dtype.kind in "biuU"
        if array.size <= _MOST_RECORDED and (is_plain or np.isfinite(array.astype(np.float64)).all()):
            return (array if is_plain else array.astype(np.float64)).tolist()
        content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
        return {"shape": list(array.shape), "dtype": str(self.array.dtype), "sha256": content}


def read_value(value: object, info: onnx.ValueInfoProto, image: onnx.ValueInfoProto | None) -> InputValue:
    """Return the array that a user's value stands for.

    Parameters
    ----------
    value : bool, number, str, sequence or ndarray
        A string is read as the command line's: numbers separated by commas, nested lists as in JSON, ``true`` or
        ``false``, or the path of a ``.npy`` file; for an input of strings it is the text itself.
    info : onnx.ValueInfoProto
        The input, with its type and shape.
    image : onnx.ValueInfoProto or None
        The input that takes the image, where its first dimension is a batch: it tells which others have one.

    Raises
    ------
    SettingError
        The value is not of the input's type or shape.

    Examples
    --------
    >>> image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, ["N", 3, 32, 32])
    >>> shape = onnx.helper.make_tensor_value_info("im_shape", onnx.TensorProto.INT64, ["N", 2])
    >>> read_value("32,48", shape, image)
    InputValue(array=array([[32, 48]]), follows_batch=True)
    """
    if not info.type.HasField("tensor_type"):
        raise SettingError(
            f"input {info.name!r} is not a tensor, and --set only gives values to tensors; export the model without it"
        )
    array = _typed(_parsed(value, info), value, info)
    if not info.type.tensor_type.HasField("shape"):
        return InputValue(array, follows_batch=False)
    sizes = declared_sizes(info)
    has_batch = image is not None and _has_batch(info, image)
    # A value that fits the declared shape is taken as it is, unless its first dimension must be that of the batch.
    if not has_batch or (not _names_batch(info) and array.shape[:1] != (1,) and _matches(array.shape, sizes)):
        fitted, has_batch = _fitted(array, sizes), False
    else:
        fitted = _fitted(array, [1, *sizes[1:]])
    if fitted is None:
        raise SettingError(
            f"invalid value {_shown(value)} for input {declared_text(info)}: it has {_shape_in_words(array)}; "
            f"expected {_shape_expected(sizes, has_batch)}"
        )
    return InputValue(np.ascontiguousarray(fitted).reshape(fitted.shape), has_batch)


def _has_batch(info: onnx.ValueInfoProto, image: onnx.ValueInfoProto) -> bool:
    """Whether the first dimension of an input may be that of the image's batch, as far as names and sizes tell."""
    dims = info.type.tensor_type.shape.dim
    if not dims:
        return False
    first, batch = dims[0], image.type.tensor_type.shape.dim[0]
    if first.dim_value > 0 or batch.dim_value > 0:
        return bool(first.dim_value == batch.dim_value)
    return not (first.dim_param and batch.dim_param) or first.dim_param == batch.dim_param


def _names_batch(info: onnx.ValueInfoProto) -> bool:
    """Whether the first dimension has a name, which is the batch's where `_has_batch` says so."""
    return bool(info.type.tensor_type.shape.dim[0].dim_param)


def _parsed(value: object, info: onnx.ValueInfoProto) -> object:
    """Return a value as numbers: text is read, unless the input takes text."""
    if not isinstance(value, str):
        return value
    if value.lower().endswith(".npy"):
        return _load_npy(value)
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise _invalid(value, info, "a list as in JSON, e.g. [[1, 2]]") from None
    if info.type.tensor_type.elem_type == onnx.TensorProto.STRING:
        count = math.prod(size or 1 for size in declared_sizes(info))
        return text.split(",") if count > 1 else text
    numbers = [_number(part.strip(), value, info) for part in text.split(",")]
    return numbers if len(numbers) > 1 else numbers[0]


def _number(text: str, value: str, info: onnx.ValueInfoProto) -> bool | int | float:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    raise _invalid(value, info, _kind_in_words(info))


def _load_npy(path: str) -> Array:
    try:
        if not os.path.isfile(path):
            raise OSError("no such file")
        with open(path, "rb") as file:
            content = read_at_most(file, _MAX_FILE_BYTES)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError("it is larger than 1 GiB")
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception as error:  # a damaged file makes NumPy raise many kinds
        raise SettingError(
            f"cannot read a value from '{path}': {one_line(error, 80)}; expected a .npy file of numbers"
        ) from error


def _typed(parsed: object, value: object, info: onnx.ValueInfoProto) -> Array:
    """Return numbers as an array of the input's type.

    Raises
    ------
    SettingError
        They are not of that type: fractions for whole numbers, other numbers than 0 and 1 for truth values, or numbers
        beyond its range.
    """
    numpy_type = _numpy_type(info)
    if numpy_type.kind == "O":
        return _texts(parsed, value, info)
    try:
        with np.errstate(all="ignore"):
            given = np.asarray(parsed)
            # NumPy has no letter of its own for the short types of the package ml_dtypes, such as bfloat16.
            given = given.astype(np.float64) if given.dtype.kind == "V" else given
            if given.dtype.kind not in "biuf":
                raise ValueError("it is neither numbers nor a list of them")
            array = given.astype(numpy_type)
            kept = array.astype(np.float64)
            same = kept == given.astype(np.float64)
            beyond = np.isfinite(given.astype(np.float64)) & ~np.isfinite(kept)
    except (TypeError, ValueError, OverflowError):
        raise _invalid(value, info, _kind_in_words(info)) from None
    if np.any(beyond) or (numpy_type.kind in "biu" and not np.all(same)):
        raise _invalid(value, info, _kind_in_words(info))
    return np.asarray(array)


def _texts(parsed: object, value: object, info: onnx.ValueInfoProto) -> Array:
    texts = np.asarray(parsed, dtype=object)
    try:
        if not texts.size or not all(isinstance(text, str) for text in texts.ravel()):
            raise ValueError("it is not text")
        "".join(texts.ravel()).encode()
    except ValueError:
        raise _invalid(value, info, "text") from None
    return texts


def _numpy_type(info: onnx.ValueInfoProto) -> np.dtype[Any]:
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))
    except (KeyError, ValueError, TypeError):
        raise SettingError(f"input {declared_text(info)} has a type that no value can be given of") from None


def _fitted(array: Array, sizes: Sequence[int | None]) -> Array | None:
    """Return an array in the shape of an input; None where it does not fit.

    Dimensions of size 1 in front may be left out, and a plain list fills a shape of which one dimension at most is
    free.
    """
    if _matches(array.shape, sizes):
        return array
    missing = len(sizes) - array.ndim
    if array.ndim > 1:
        is_short = missing > 0 and all(size in (1, None) for size in sizes[:missing])
        fits = is_short and _matches(array.shape, sizes[missing:])
        return array.reshape([1] * missing + list(array.shape)) if fits else None
    known = math.prod(size for size in sizes if size is not None)
    free = sizes.count(None)
    if free > 1 or not known or array.size % known or (free == 0 and array.size != known):
        return None
    return array.reshape([-1 if size is None else size for size in sizes])


def _matches(shape: Sequence[int], sizes: Sequence[int | None]) -> bool:
    return len(shape) == len(sizes) and all(size in (None, have) for have, size in zip(shape, sizes, strict=True))


def _invalid(value: object, info: onnx.ValueInfoProto, expected: str) -> SettingError:
    return SettingError(f"invalid value {_shown(value)} for input {declared_text(info)}: expected {expected}")


def _shown(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"of shape {value.shape}, {value.dtype},"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _kind_in_words(info: onnx.ValueInfoProto) -> str:
    numpy_type = _numpy_type(info)
    if numpy_type.kind == "b":
        return "true or false"
    if numpy_type.kind in "iu":
        limits = np.iinfo(numpy_type)
        return f"whole numbers from {limits.min} to {limits.max}, separated by commas"
    return f"numbers that {numpy_type.name} holds, separated by commas, or a .npy file"


def _shape_in_words(array: Array) -> str:
    return "a single value" if array.ndim == 0 else f"the shape {array.shape}"


def _shape_expected(sizes: Sequence[int | None], has_batch: bool) -> str:
    if not sizes:
        return "a single value"
    one_image = sizes[1:] if has_batch else sizes
    if not one_image:
        return "a single value, which holds for each image"
    shape = ", ".join("any" if size is None else str(size) for size in one_image)
    return f"{shape} numbers" if len(one_image) == 1 else f"the shape ({shape})"
