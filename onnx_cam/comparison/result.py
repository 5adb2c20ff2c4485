"""The result of a comparison: maps by several methods, and the files it makes."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.comparison.captions import method_name
from onnx_cam.comparison.grid import check_side, draw_grid
from onnx_cam.comparison.page import write_page
from onnx_cam.drawing.overlay import check_drawing, encode_png
from onnx_cam.errors import OutputError, SettingError, did_you_mean
from onnx_cam.explanation.result import Explanation
from onnx_cam.files import prepare_folder, results_folder, write_files
from onnx_cam.methods import Method

__all__ = ["Comparison", "check_output", "output_folders"]

_SUFFIXES = (".png", ".html")
_CHUNK = "onnx-cam"  # the PNG text chunk that holds the record


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What several methods say about the same images and classes.

    Attributes
    ----------
    methods : tuple of Method
        The columns.
    rows : tuple of tuple of Explanation
        One row for each image and class; an explanation for each method.
    left_out : mapping of str to str
        Methods that ``"all"`` stands for, but that cannot work here, and why.
    """

    methods: tuple[Method, ...]
    rows: tuple[tuple[Explanation, ...], ...]
    left_out: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.methods)} methods: {len(self.rows)} rows>"

    @property
    def explanations(self) -> list[Explanation]:
        """All maps, row by row."""
        return [explanation for row in self.rows for explanation in row]

    def grid(self, *, alpha: float = 0.5, colormap: str = "turbo", side: int = 320) -> NDArray[np.uint8]:
        """Return the comparison as a picture, ``(H, W, 3)`` uint8 RGB.

        Parameters
        ----------
        alpha, colormap
            As for an overlay.
        side : int
            The longest side of each map, in pixels.

        Raises
        ------
        SettingError
        """
        check_drawing(alpha, colormap)
        check_side(side)
        return draw_grid(self.rows, alpha=alpha, colormap=colormap, side=side)

    def html(self, *, alpha: float = 0.5, colormap: str = "turbo", side: int = 320) -> str:
        """Return the comparison as a web page that needs neither a network nor a script.

        The parameters are those of `grid`.
        """
        check_drawing(alpha, colormap)
        check_side(side)
        return write_page(self.rows, self.record(), alpha=alpha, colormap=colormap, side=side)

    def record(self) -> dict[str, Any]:
        """Return how it was made, as plain JSON values: the record of each map, row by row."""
        return {
            "methods": [method_name(explanation) for explanation in self.rows[0]],
            "left_out": dict(self.left_out),
            "records": [explanation.record() for explanation in self.explanations],
        }

    def save(
        self, *paths: str | os.PathLike[str], alpha: float = 0.5, colormap: str = "turbo", side: int = 320
    ) -> list[Path]:
        """Write the comparison, whole or not at all; the record of how it was made goes into each file.

        Parameters
        ----------
        *paths : str or Path
            Ending in ``.png`` or ``.html``. Their folders are made if missing.
        alpha, colormap, side
            As for `grid`.

        Returns
        -------
        list of Path

        Raises
        ------
        SettingError
            Another suffix, or a setting that is out of range.
        OutputError
            A file cannot be written.
        """
        drawing: dict[str, Any] = {"alpha": alpha, "colormap": colormap, "side": side}
        written = {Path(path): check_output(path) for path in paths}
        for path in written:
            prepare_folder(path.parent)
        make = {".png": self._png, ".html": self._page}
        made = {suffix: make[suffix](drawing) for suffix in set(written.values())}
        write_files({path: made[suffix] for path, suffix in written.items()})
        return list(written)

    def _png(self, drawing: Mapping[str, Any]) -> bytes:
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        notes, buffer = PngInfo(), io.BytesIO()
        notes.add_text(_CHUNK, json.dumps(self.record(), allow_nan=False))
        Image.fromarray(self.grid(**drawing)).save(buffer, "PNG", pnginfo=notes)
        return buffer.getvalue()

    def _page(self, drawing: Mapping[str, Any]) -> bytes:
        return self.html(**drawing).encode("utf-8", "backslashreplace")

    def _repr_html_(self) -> str:
        picture = base64.b64encode(encode_png(self.grid())).decode()
        return f'<img src="data:image/png;base64,{picture}" alt="{repr(self)[1:-1]}">'


def check_output(path: str | os.PathLike[str]) -> str:
    """Return what kind of file a path's suffix asks for.

    Raises
    ------
    SettingError
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        hint = did_you_mean(suffix, _SUFFIXES) if suffix else "."
        raise SettingError(
            f"'{os.fspath(path)}' is neither a picture nor a page{hint} Expected a name ending in .png or .html"
        )
    return suffix


@contextmanager
def output_folders(paths: Iterable[str | os.PathLike[str]]) -> Iterator[None]:
    """Make the folders of files that are to come, before the work; where none came, what was made is removed again.

    Raises
    ------
    OutputError
        A folder cannot be made or written to, or stands where a file is to come.
    """
    with ExitStack() as folders:
        for path in map(Path, paths):
            if path.is_dir():
                raise OutputError(f"'{path}' is a folder; expected the path of a file to write")
            folders.enter_context(results_folder(path.parent))
        yield
