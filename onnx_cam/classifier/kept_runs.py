"""What the trial runs of a model gave, kept from one load to the next: numbers and shapes, never what they mean.

Conclusions are drawn anew each time, by the same code as after a run.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.run_cache import read_entry, write_entry

__all__ = ["TrialRuns", "read_runs", "read_shapes", "write_runs", "write_shapes"]

_RUNS, _SHAPES = "trial", "shapes"  # the kinds of entries
_DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32")


@dataclass(frozen=True)
class TrialRuns:
    """What the trial runs gave, of a model whose batches of several images score as the images alone do.

    Attributes
    ----------
    head : int
        Which of the suggested heads holds scores, counted from 0.
    outputs : ndarray of shape (B, …)
        What its output gave for B images, each run by itself.
    parts : tuple of ndarray of shape (B, …)
        The same of each tensor that is joined to that output.
    """

    head: int
    outputs: NDArray[Any]
    parts: tuple[NDArray[Any], ...]


def read_runs(key: str, heads: Sequence[int], images: int) -> TrialRuns | None:
    """Return what earlier runs gave; None where there is nothing, or nothing that fits.

    Parameters
    ----------
    key : str
        As :func:`.run_key.run_key` returns it.
    heads : sequence of int
        How many parts each of the suggested heads has.
    images : int
        How many images were run, B.

    Examples
    --------
    >>> write_runs("a", TrialRuns(0, np.ones((5, 4), np.float32), ()))
    >>> read_runs("a", heads=[0], images=5).outputs.shape
    (5, 4)
    >>> read_runs("a", heads=[2], images=5) is None
    True
    """
    content = read_entry(_RUNS, key)
    if content is None:
        return None
    try:
        head = content["head"]
        outputs, *parts = [_array(one, images) for one in content["arrays"]]
    except (KeyError, TypeError, ValueError):
        return None
    if not _is_count(head) or head >= len(heads) or len(parts) != heads[head]:
        return None
    return TrialRuns(head, outputs, tuple(parts))


def write_runs(key: str, runs: TrialRuns) -> None:
    """Keep what runs gave."""
    arrays = (runs.outputs, *runs.parts)
    if all(array.dtype.name in _DTYPES for array in arrays):
        write_entry(_RUNS, key, {"head": runs.head, "arrays": [_described(array) for array in arrays]})


def read_shapes(key: str, names: Sequence[str]) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes of tensors, as an earlier run found them; None where there is nothing, or nothing that fits.

    Parameters
    ----------
    key : str
    names : sequence of str
        The tensors; those that have no shape here are none of floats.

    Examples
    --------
    >>> write_shapes("a", ["relu2", "labels"], {"relu2": (1, 6, 5, 5)})
    >>> read_shapes("a", ["relu2", "labels"])
    {'relu2': (1, 6, 5, 5)}
    >>> read_shapes("a", ["relu1"]) is None
    True
    """
    content = read_entry(_SHAPES, key)
    if content is None or content.get("names") != list(names):
        return None
    shapes = content.get("shapes")
    if not isinstance(shapes, dict) or not set(shapes) <= set(names):
        return None
    if not all(isinstance(shape, list) and all(map(_is_count, shape)) for shape in shapes.values()):
        return None
    return {name: tuple(shape) for name, shape in shapes.items()}


def write_shapes(key: str, names: Sequence[str], shapes: dict[str, tuple[int, ...]]) -> None:
    """Keep the shapes of tensors."""
    write_entry(_SHAPES, key, {"names": list(names), "shapes": {name: list(shape) for name, shape in shapes.items()}})


def _described(array: NDArray[Any]) -> dict[str, object]:
    values = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": values}


def _array(described: dict[str, Any], images: int) -> NDArray[Any]:
    """Return an array of that many images.

    Raises
    ------
    KeyError, TypeError, ValueError
        It is none.
    """
    name, shape = described["dtype"], described["shape"]
    if name not in _DTYPES or not isinstance(shape, list) or not all(map(_is_count, shape)) or shape[:1] != [images]:
        raise ValueError("no such array")
    content = base64.b64decode(described["values"], validate=True)
    if len(content) != math.prod(shape) * np.dtype(name).itemsize:
        raise ValueError("values that do not fit the shape")
    return np.frombuffer(content, name).reshape(shape)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
