"""The result of a comparison: maps by several methods, and the files that show them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_cam.comparison.captions import method_name
from onnx_cam.comparison.grid import check_side, draw_grid
from onnx_cam.comparison.page import write_page
from onnx_cam.drawing.canvas import Pixels, data_uri
from onnx_cam.drawing.overlay import check_drawing, encode_png
from onnx_cam.errors import OutputError, SettingError, did_you_mean
from onnx_cam.explanation.result import Explanation
from onnx_cam.files import prepare_folder, results_folder, write_files
from onnx_cam.methods import Method

__all__ = ["Comparison", "check_output", "output_folders"]

_PNG, _HTML = _SUFFIXES = (".png", ".html")
_TEXT_CHUNK = "onnx-cam"  # the PNG text chunk that holds the record


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The maps of several methods for the same images and classes.

    Attributes
    ----------
    methods : tuple of Method
        The columns.
    rows : tuple of tuple of Explanation
        A row for each image and class, with an explanation for each method.
    left_out : mapping of str to str
        The methods of ``"all"`` that do not work on the model, and why not.

    Examples
    --------
    >>> import onnx_cam
    >>> comparison = onnx_cam.compare("model.onnx", ["cat.jpg", "dog.jpg"], methods="scorecam,cam")
    >>> comparison
    <Comparison of 2 methods: 2 rows>
    >>> [explanation.method for explanation in comparison.rows[0]]
    ['scorecam', 'cam']
    >>> comparison.grid().shape
    (854, 1044, 3)
    >>> [path.name for path in comparison.save("comparison.png", "comparison.html")]
    ['comparison.png', 'comparison.html']
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

    def grid(self, *, alpha: float = 0.5, colormap: str = "turbo", side: int = 320) -> Pixels:
        """Return the comparison as one picture.

        Parameters
        ----------
        alpha : float
            Opacity of the maps' colours, in [0, 1].
        colormap : str
            One of `onnx_cam.names.COLORMAPS`.
        side : int
            The longest side of each map, in pixels, from 64 to 2,048.

        Returns
        -------
        ndarray of shape (H, W, 3), uint8, RGB

        Raises
        ------
        SettingError
            A parameter is out of range or unknown.
        """
        check_drawing(alpha, colormap)
        check_side(side)
        return draw_grid(self.rows, alpha=alpha, colormap=colormap, side=side)

    def html(self, *, alpha: float = 0.5, colormap: str = "turbo", side: int = 320) -> str:
        """Return the comparison as a web page that loads nothing from elsewhere and runs no script.

        Parameters
        ----------
        alpha, colormap, side
            As for :meth:`grid`.

        Raises
        ------
        SettingError
            A parameter is out of range or unknown.
        """
        check_drawing(alpha, colormap)
        check_side(side)
        return write_page(self.rows, self.record(), alpha=alpha, colormap=colormap, side=side)

    def record(self) -> dict[str, Any]:
        """Return how the comparison was made, as plain JSON values: ``records`` has the record of each map, by row."""
        return {
            "methods": [method_name(explanation) for explanation in self.rows[0]],
            "left_out": dict(self.left_out),
            "records": [explanation.record() for explanation in self.explanations],
        }

    def save(
        self, *paths: str | os.PathLike[str], alpha: float = 0.5, colormap: str = "turbo", side: int = 320
    ) -> list[Path]:
        """Write the comparison to files, each with the record of how it was made.

        Either all files are written or none; existing files are replaced.

        Parameters
        ----------
        *paths : str or Path
            Ending in ``.png`` for a picture or ``.html`` for a web page. Missing folders are created.
        alpha, colormap, side
            As for :meth:`grid`.

        Returns
        -------
        list of Path

        Raises
        ------
        SettingError
            A path ends in another suffix, or a parameter is out of range or unknown.
        OutputError
            A file cannot be written.
        """
        suffixes = {Path(path): check_output(path) for path in paths}
        for path in suffixes:
            prepare_folder(path.parent)
        contents = {
            suffix: self._encode(suffix, alpha=alpha, colormap=colormap, side=side) for suffix in set(suffixes.values())
        }
        write_files({path: contents[suffix] for path, suffix in suffixes.items()})
        return list(suffixes)

    def _encode(self, suffix: str, *, alpha: float, colormap: str, side: int) -> bytes:
        """Return the content of a file."""
        if suffix == _HTML:
            return self.html(alpha=alpha, colormap=colormap, side=side).encode("utf-8", "backslashreplace")
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        texts, buffer = PngInfo(), io.BytesIO()
        texts.add_text(_TEXT_CHUNK, json.dumps(self.record(), allow_nan=False))
        grid = self.grid(alpha=alpha, colormap=colormap, side=side)
        Image.fromarray(grid).save(buffer, "PNG", pnginfo=texts)
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        return f'<img src="{data_uri(encode_png(self.grid()), "image/png")}" alt="{repr(self)[1:-1]}">'


def check_output(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file to write, ``.png`` or ``.html``.

    Raises
    ------
    SettingError
        It is another suffix, or there is none.

    Examples
    --------
    >>> check_output("out/Grid.PNG")
    '.png'
    >>> check_output("grid.htm")
    Traceback (most recent call last):
    onnx_cam.errors.SettingError: cannot write 'grid.htm'; did you mean '.html'? Expected a name ending in .png or .html
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        hint = did_you_mean(suffix, _SUFFIXES) if suffix else "."
        raise SettingError(f"cannot write '{os.fspath(path)}'{hint} Expected a name ending in {_PNG} or {_HTML}")
    return suffix


@contextmanager
def output_folders(paths: Iterable[str | os.PathLike[str]]) -> Iterator[None]:
    """Create the folders of files that will be written, before the long work; remove them again if they stay empty.

    Raises
    ------
    OutputError
        A folder cannot be created or written to, or a path is itself a folder.

    Examples
    --------
    >>> with output_folders(["new/grid.png"]):
    ...     Path("new").is_dir()
    True
    >>> Path("new").exists()
    False
    """
    with ExitStack() as folders:
        for path in map(Path, paths):
            if path.is_dir():
                raise OutputError(f"'{path}' is a folder; expected the path of a file to write")
            folders.enter_context(results_folder(path.parent))
        yield
