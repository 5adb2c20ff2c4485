"""From what a user gives as the value of an input to an array of the input's type and shape."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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


@dataclass(frozen=True)
class InputValue:
    """The value of an input beside the image.

    Attributes
    ----------
    array : ndarray
        Of the input's type and number of dimensions; a dimension of the batch has size 1.
    follows_batch : bool
        Whether its first dimension is that of the batch, so that it is repeated for each image.
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
        if self.array.size <= _MOST_RECORDED and self.array.dtype.kind != "f":
            return self.array.tolist()
        if self.array.size <= _MOST_RECORDED and np.isfinite(self.array.astype(np.float64)).all():
            return self.array.astype(np.float64).tolist()
        content = hashlib.sha256(np.ascontiguousarray(self.array).tobytes()).hexdigest()
        return {"shape": list(self.array.shape), "dtype": str(self.array.dtype), "sha256": content}


def read_value(value: object, info: onnx.ValueInfoProto, image: onnx.ValueInfoProto) -> InputValue:
    """Return the array that a user's value stands for.

    Parameters
    ----------
    value : bool, number, str, sequence or ndarray
        A string is read as the command line's: numbers separated by commas, nested lists as in JSON, ``true`` or
        ``false``, or the path of a ``.npy`` file; for an input of strings it is the text itself.
    info : onnx.ValueInfoProto
        The input, with its type and shape.
    image : onnx.ValueInfoProto
        The input that takes the image; its first dimension tells which others are those of the batch.

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
    sizes = declared_sizes(info)
    follows = bool(sizes) and _is_batch(info, image)
    array = _typed(_parsed(value, info), value, info)
    fitted = _fitted(array, [1, *sizes[1:]] if follows else sizes)
    if fitted is None:
        raise SettingError(
            f"invalid value {_shown(value)} for input {declared_text(info)}: it has {_shape_in_words(array)}; "
            f"expected {_shape_expected(sizes, follows)}"
        )
    return InputValue(np.ascontiguousarray(fitted).reshape(fitted.shape), follows)


def _is_batch(info: onnx.ValueInfoProto, image: onnx.ValueInfoProto) -> bool:
    """Whether the first dimension of an input is that of the image's batch, as far as names and sizes tell."""
    first, batch = info.type.tensor_type.shape.dim[0], image.type.tensor_type.shape.dim[0]
    if first.dim_value > 0 or batch.dim_value > 0:
        return bool(first.dim_value == batch.dim_value)
    return not (first.dim_param and batch.dim_param) or first.dim_param == batch.dim_param


def _parsed(value: object, info: onnx.ValueInfoProto) -> object:
    """Return a value as numbers: text is read, unless the input takes text."""
    if not isinstance(value, str):
        return value
    if value.lower().endswith(".npy"):
        return _load_npy(value)
    is_text = info.type.tensor_type.elem_type == onnx.TensorProto.STRING
    text = value.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise _invalid(value, info, "a list as in JSON, e.g. [[1, 2]]") from None
    parts = [part.strip() for part in text.split(",")]
    if is_text:
        return parts if len(parts) > 1 else text
    numbers = [_number(part, value, info) for part in parts]
    return numbers if len(parts) > 1 else numbers[0]


def _number(text: str, value: str, info: onnx.ValueInfoProto) -> bool | int | float:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise _invalid(value, info, _kind_in_words(info))


def _load_npy(path: str) -> Array:
    try:
        with open(path, "rb") as file:
            content = read_at_most(file, _MAX_FILE_BYTES)
        if len(content) > _MAX_FILE_BYTES:
            raise ValueError("it is larger than 1 GiB")
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
    except Exception as error:  # a damaged file makes NumPy raise many kinds
        raise SettingError(
            f"cannot read a value from '{Path(path)}': {one_line(error, 80)}; expected a .npy file of numbers"
        ) from error


def _typed(parsed: object, value: object, info: onnx.ValueInfoProto) -> Array:
    """Return numbers as an array of the input's type.

    Raises
    ------
    SettingError
        They are not of that type: fractions for whole numbers, other numbers than 0 and 1 for truth values.
    """
    wanted = _numpy_type(info)
    try:
        with np.errstate(all="ignore"):
            given = np.asarray(parsed)
            if given.dtype.kind not in "biufUO" or (given.dtype.kind == "O" and wanted.kind not in "OU"):
                raise ValueError("it is neither numbers nor a list of them")
            if wanted.kind == "O":
                return np.asarray(given, object)
            array = given.astype(wanted)
            same = array.astype(np.float64) == given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _invalid(value, info, _kind_in_words(info)) from None
    if wanted.kind in "biu" and not np.all(same):
        raise _invalid(value, info, _kind_in_words(info))
    return np.asarray(array)


def _numpy_type(info: onnx.ValueInfoProto) -> np.dtype[Any]:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type))


def _fitted(array: Array, sizes: Sequence[int | None]) -> Array | None:
    """Return an array in the shape of an input; None where it does not fit.

    Dimensions of size 1 may be left out, and a plain list fills a shape of which one dimension at most is free.
    """
    if _matches(array.shape, sizes):
        return array
    if array.ndim > 1:
        missing = len(sizes) - array.ndim
        if (
            missing > 0
            and all(size in (1, None) for size in sizes[:missing])
            and _matches(array.shape, sizes[missing:])
        ):
            return array.reshape([1] * missing + list(array.shape))
        return None
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
    kind = _numpy_type(info).kind
    if kind == "b":
        return "true or false"
    if kind in "iu":
        limits = np.iinfo(_numpy_type(info))
        return f"whole numbers from {limits.min} to {limits.max}, separated by commas"
    return "text" if kind == "O" else "numbers, separated by commas, or a .npy file"


def _shape_in_words(array: Array) -> str:
    return "a single value" if array.ndim == 0 else f"the shape {array.shape}"


def _shape_expected(sizes: Sequence[int | None], follows_batch: bool) -> str:
    if not sizes:
        return "a single value"
    one_image = sizes[1:] if follows_batch else sizes
    if not one_image:
        return "a single value, which is repeated for each image"
    shape = ", ".join("any" if size is None else str(size) for size in one_image)
    return f"{shape} numbers" if len(one_image) == 1 else f"the shape ({shape})"
