"""Write an explanation's files, and read them back."""

from __future__ import annotations

import io
import json
import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutputError
from onnx_cam.explanation.targets import Target
from onnx_cam.files import prepare_folder, write_files
from onnx_cam.image.files import safe_stem

__all__ = ["encode_npy", "file_name", "read_saved", "readable_path", "save_explanation"]

Floats = NDArray[np.float32]

_ERROR_FILES = {"error": "_error.png", "deviation": "_error.npy"}


def save_explanation(
    folder: Path,
    stem: str,
    *,
    method: str,
    target: Target,
    versus: Target | None,
    overlay: bytes,
    placed_map: Floats,
    make_record: Callable[[Mapping[str, str]], dict[str, Any]],
    error_picture: bytes | None,
    deviation: Floats | None,
) -> dict[str, Path]:
    """Write the files of one explanation, all of them or none; return their paths.

    Parameters
    ----------
    folder : Path
        Made if missing.
    stem : str
        The image's; with `method` and `target` it names the files.
    method : str
        Method and variant.
    target : Target
        The explained class.
    versus : Target, optional
        The class that it is contrasted with.
    overlay : bytes
        A PNG file.
    placed_map : ndarray of shape (H, W), float32
        The map in the image's geometry.
    make_record : callable
        Returns the record, given the paths of the files.
    error_picture : bytes, optional
        A PNG file.
    deviation : ndarray of shape (h, w), float32, optional
        The map's standard deviation.

    Raises
    ------
    OutputError
        The folder cannot be made, or written to.
    """
    base = folder / file_name(stem, method, target, versus)
    suffixes = {"overlay": ".png", "map": ".npy", "record": ".json"}
    if error_picture is not None and deviation is not None:
        suffixes |= _ERROR_FILES
    paths = {key: base.with_name(base.name + suffix) for key, suffix in suffixes.items()}
    record = make_record({key: str(path) for key, path in paths.items()})
    contents = {
        paths["overlay"]: overlay,
        paths["map"]: encode_npy(placed_map),
        paths["record"]: (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }
    if error_picture is not None and deviation is not None:
        contents |= {paths["error"]: error_picture, paths["deviation"]: encode_npy(deviation)}
    prepare_folder(folder)
    write_files(contents)
    # The error that an earlier result of this name left behind would not be this map's.
    for key, suffix in _ERROR_FILES.items():
        if key not in paths:
            base.with_name(base.name + suffix).unlink(missing_ok=True)
    return paths


def read_saved(record: str | Path) -> tuple[dict[str, Any], Floats]:
    """Read a record that was saved, and the map beside it.

    Parameters
    ----------
    record : str or Path
        The JSON file.

    Returns
    -------
    dict
        The record.
    ndarray of shape (H, W), float32
        The map.

    Raises
    ------
    OutputError
        Either is missing or damaged.

    Examples
    --------
    >>> import onnx_cam
    >>> paths = onnx_cam.explain("model.onnx", "cat.jpg").save("out")
    >>> record, saved_map = onnx_cam.read_saved(paths["record"])
    >>> record["target"]["index"], saved_map.shape
    (1, (36, 48))
    """
    path = Path(record)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        beside = path.parent / Path(content["files"]["map"]).name
        return content, np.load(beside, allow_pickle=False)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"cannot read '{path}' as a record with its map beside it ({error}); run onnx-cam explain again"
        ) from error


def readable_path(path: str) -> str:
    r"""Return a path as text that JSON and a terminal take: bytes that are not UTF-8 are written out.

    Examples
    --------
    >>> readable_path("photos/cat.jpg")
    'photos/cat.jpg'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_name(stem: str, method: str, target: Target, versus: Target | None = None) -> str:
    """Return what the files of a result are called, without their suffixes.

    Examples
    --------
    >>> file_name("cat", "scorecam-paper", Target(282, "tiger cat", 0.5))
    'cat_scorecam-paper_282-tiger-cat'
    """
    name = f"{safe_stem(stem)}_{method}_{_class_name(target)}"
    return name if versus is None else f"{name}_versus_{_class_name(versus)}"


def _class_name(target: Target) -> str:
    return f"{target.index}-{_slug(target.label)}" if target.label else str(target.index)


def encode_npy(array: Floats) -> bytes:
    """Return an array as the bytes of a ``.npy`` file.

    Examples
    --------
    >>> encode_npy(np.zeros((2, 3), np.float32))[1:6]
    b'NUMPY'
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _slug(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label.split(",", maxsplit=1)[0]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "class"
