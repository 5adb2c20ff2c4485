"""Copies of the files that hold a model's weights, for a new model in another folder."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import onnx

from onnx_cam.errors import OutputError, one_line
from onnx_cam.graph.external_data import external_files

__all__ = ["copy_external_data", "remove_copies"]


def copy_external_data(proto: onnx.ModelProto, folder: Path | None, new_folder: Path) -> list[Path]:
    """Copy the files that hold a model's weights to another folder, under the same relative names.

    They are copies, since onnx's own reader refuses files with several hard links, and the model's own would be one.

    Parameters
    ----------
    proto : onnx.ModelProto
    folder : Path or None
        The folder that `find_external_data` returned.
    new_folder : Path

    Returns
    -------
    list of Path
        The files that were written; those that were there already with the same content are left out.

    Raises
    ------
    OutputError
        One cannot be written, or there is a file of that name with another content.

    Examples
    --------
    >>> copy_external_data(onnx.load("model.onnx"), None, Path("elsewhere"))
    []
    """
    written: list[Path] = []
    try:
        for source in external_files(proto, folder):
            assert folder is not None
            target = new_folder / source.relative_to(folder)
            if target.exists() and target.samefile(source):
                continue
            if target.exists() and not _same_content(source, target):
                raise OutputError(
                    f"'{target}' exists and holds something else than the weights that belong there; write the new "
                    "model to another folder"
                )
            if not target.exists():
                written.append(target)
                _copy(source, target)
    except (OSError, OutputError) as error:
        remove_copies(written)
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"cannot copy the weights beside the new model: {one_line(error)}; free the space or choose another folder"
        ) from error
    return written


def remove_copies(written: Iterable[Path]) -> None:
    """Remove files that `copy_external_data` wrote, and the folders that are empty without them.

    Examples
    --------
    >>> remove_copies([])
    """
    for path in written:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            path.parent.rmdir()


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".onnx-cam-{secrets.token_hex(8)}")
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _same_content(first: Path, second: Path) -> bool:
    if first.stat().st_size != second.stat().st_size:
        return False
    hashes = []
    for path in (first, second):
        with open(path, "rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").digest())
    return hashes[0] == hashes[1]
