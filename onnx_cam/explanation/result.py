"""The result: a map, and the record of how it was made."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.drawing.overlay import draw_overlay, encode_png
from onnx_cam.errors import OutputError, SettingError
from onnx_cam.files import prepare_folder, write_files
from onnx_cam.image.files import safe_stem
from onnx_cam.image.geometry import Geometry

__all__ = ["Explanation", "Target", "read_saved"]


@dataclass(frozen=True)
class Target:
    """A class of the model.

    Attributes
    ----------
    index : int
        The position in the model's output.
    label : str or None
        Its name, where one is known.
    score : float
        Its probability for the image.
    """

    index: int
    label: str | None
    score: float

    def __str__(self) -> str:
        return f"{self.label} ({self.index})" if self.label else f"class {self.index}"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """What a method says about one image and one class.

    Attributes
    ----------
    cam : ndarray of shape (h, w), float32
        L, at the layer's resolution, not normalised.
    weights : ndarray of shape (K,), float32
        α.
    target : Target
        The class that is explained.
    top : tuple of Target
        The five likeliest classes.
    passes : int
        Forward passes really run, tap and baseline included; with several targets, for all of them together.
    passes_skipped : int
        Those that could not change the map.
    seconds : float
        Wall time of the call after the image was read.
    empty : bool
        Whether `cam` is zero everywhere.
    specificity : float or None
        ``‖n(L) − n(L_equal)‖``, n = scaled to unit length, L_equal = all live weights equal: 0 means that the class
        plays no part. None where either map is zero everywhere.
    error : ndarray of shape (h, w), float32, or None
        The standard deviation of `cam` at each position, in its unit; NaN where all scores of a part of the passes are
        equal, so that nothing is known. None for a map from all passes without noise:
        it has no error of this kind.
    error_of : {"passes left out", "noise"} or None
        What the error is about: of a part of the passes, the exact map with the same noise fields; of an exact map of
        a noisy method, the map of ever more samples.
    relative_error : float or None
        Estimate of what is left of the class-specific part, ``‖n(L) − n(L*)‖ / ‖n(L_equal) − n(L*)‖`` with L* the map
        that the error is about: 0 is exact, 1 no better than no passes at all. None without an error, and where the
        map is empty or that of equal weights.
    relative_error_interval : tuple of float or None
        Its 90 % interval.
    above_average : ndarray of shape (h, w), float32, or None
        The chance that L* lies above its own average at the position.
    exact_passes : int or None
        The inputs that an exact map takes, where a budget or a tolerance was given.
    geometry : Geometry
        Where the network's input lies in the image.
    warnings : tuple of str
        What the reader of the map should know.
    """

    cam: NDArray[np.float32]
    weights: NDArray[np.float32]
    target: Target
    top: tuple[Target, ...]
    method: str
    variant: str
    parameters: Mapping[str, Any]
    seed: int
    layer: str
    layer_shape: tuple[int, int, int]
    passes: int
    passes_skipped: int
    seconds: float
    provider: str
    cpu_fallback_nodes: int | None
    batch_size: int
    empty: bool
    specificity: float | None
    geometry: Geometry
    preprocessing: Mapping[str, Any]
    model: str
    model_sha256: str
    image: str | None
    image_sha256: str
    stem: str
    pixels: NDArray[np.uint8]
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    error: NDArray[np.float32] | None = None
    error_of: str | None = None
    relative_error: float | None = None
    relative_error_interval: tuple[float, float] | None = None
    above_average: NDArray[np.float32] | None = None
    exact_passes: int | None = None

    doubt: ClassVar[float] = 0.05
    """What intervals leave out at either end."""

    def __repr__(self) -> str:
        worth = ", ".join(filter(None, (self.state, self.precision)))
        return f"<Explanation of {self.target} by {self.method} {self.variant}: {self.passes} passes, {worth}>"

    @cached_property
    def map(self) -> NDArray[np.float32]:
        """The map in the image as given, ``(H, W)`` float32 in [0, 1]: ``s(U(L))``, 0 outside the network's crop."""
        return self.geometry.place(self.cam)

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """``(x0, y0, x1, y1)``, the part of the image that the network saw."""
        return self.geometry.crop

    @property
    def unsettled(self) -> NDArray[np.bool_] | None:
        """Where it is open, at 90 %, whether the map lies above its average: (h, w), or None without an error."""
        if self.above_average is None:
            return None
        return np.asarray((self.above_average > self.doubt) & (self.above_average < 1 - self.doubt))

    @property
    def state(self) -> str:
        """What the map is worth, in words."""
        if self.empty:
            return "empty map"
        return "specificity unknown" if self.specificity is None else f"specificity {self.specificity:.3f}"

    @property
    def precision(self) -> str:
        """How near the map is to the one that it stands for, in words; empty without an error."""
        if self.error is None:
            return ""
        if self.relative_error is None or self.relative_error_interval is None:
            return "share left unknown"
        low, high = self.relative_error_interval
        return f"share left {self.relative_error:.3f} ({low:.3f} to {high:.3f})"

    def overlay(self, alpha: float = 0.5, colormap: str = "turbo") -> NDArray[np.uint8]:
        """Return the map drawn over the image, ``(H, W, 3)`` uint8 RGB; grey and dark where the network saw nothing."""
        return draw_overlay(self.pixels, self.map, self.crop, alpha=alpha, colormap=colormap, empty=self.empty)

    def record(self, files: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the provenance record as plain JSON values.

        Parameters
        ----------
        files : mapping, optional
            Paths of the ``overlay``, the ``map`` and the ``record`` itself, where they were written.
        """
        return {
            "model": _readable_path(self.model),
            "model_sha256": self.model_sha256,
            "image": None if self.image is None else _readable_path(self.image),
            "image_sha256": self.image_sha256,
            "method": self.method,
            "variant": self.variant,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "layer": self.layer,
            "layer_shape": list(self.layer_shape),
            "target": asdict(self.target),
            "top": [asdict(target) for target in self.top],
            "empty": self.empty,
            "specificity": self.specificity,
            "crop": list(self.crop),
            "passes": self.passes,
            "passes_skipped": self.passes_skipped,
            "exact_passes": self.exact_passes,
            "error": self._error_record(),
            "seconds": self.seconds,
            "provider": self.provider,
            "cpu_fallback_nodes": self.cpu_fallback_nodes,
            "batch_size": self.batch_size,
            "preprocessing": dict(self.preprocessing),
            "warnings": list(self.warnings),
            "files": {key: _readable_path(path) for key, path in (files or {}).items()},
            "versions": dict(self.versions),
        }

    def error_picture(self, alpha: float = 0.5, colormap: str = "turbo") -> NDArray[np.uint8]:
        """Return the map, its error and what is settled of it, side by side: ``(h, w, 3)`` uint8 RGB.

        Raises
        ------
        SettingError
            There is no error.
        """
        from onnx_cam.drawing.error_picture import draw_error

        if self.error is None or self.above_average is None:
            raise SettingError(
                f"the map by {self.method} {self.variant} is exact, and no mean over noise fields: there is no error "
                "to draw; take a budget, a tolerance, or a noisy method with several samples"
            )
        return draw_error(
            self.pixels,
            self.overlay(alpha, colormap),
            self.geometry.upsample(np.nan_to_num(self.error)),
            self.geometry.upsample(self.above_average, blocks=True),
            crop=self.crop,
            titles=self._error_titles(),
            doubt=self.doubt,
            alpha=alpha,
            colormap=colormap,
        )

    def _error_titles(self) -> list[tuple[str, str]]:
        """Return a title and a line of detail for each panel of the error picture."""
        highest, error = float(self.cam.max()), np.asarray(self.error)
        share = 100 * float(error.max()) / highest if highest > 0 else np.nan
        largest = "unknown" if np.isnan(share) else f"at most {share:.2g} % of the map's maximum"
        return [
            (f"{self.method} {self.variant}", self.precision),
            (f"standard deviation ({self.error_of})", largest),
            ("above the map's average", "bright: yes, dark: no, striped: open, pale: not seen"),
        ]

    def save(
        self,
        folder: str | Path,
        *,
        stem: str | None = None,
        alpha: float = 0.5,
        colormap: str = "turbo",
        error: bool = False,
    ) -> dict[str, Path]:
        """Write the overlay (PNG), the map (``.npy``, float32) and the record (JSON).

        Existing files of that name are replaced whole or not at all.

        Parameters
        ----------
        folder : str or Path
            Made if missing.
        stem : str, optional
            In place of the image's own.
        alpha, colormap
            As for `overlay`.
        error : bool
            Whether the error is written too, where there is one: as a picture (PNG), and as it is (``.npy``, (h, w)
            float32).

        Returns
        -------
        dict of str to Path
            ``overlay``, ``map`` and ``record``; ``error`` and ``deviation`` if asked for.

        Raises
        ------
        OutputError
            The folder cannot be made, or written to.
        """
        base = Path(folder) / self._file_name(stem or self.stem)
        paths = {
            "overlay": base.with_name(base.name + ".png"),
            "map": base.with_name(base.name + ".npy"),
            "record": base.with_name(base.name + ".json"),
        }
        more: dict[Path, bytes] = {}
        if error and self.error is not None:
            paths["error"] = base.with_name(base.name + "_error.png")
            paths["deviation"] = base.with_name(base.name + "_error.npy")
            picture = encode_png(self.error_picture(alpha, colormap))
            more = {paths["error"]: picture, paths["deviation"]: _npy(self.error)}
        record = self.record({key: str(path) for key, path in paths.items()})
        contents = {
            **more,
            paths["overlay"]: encode_png(self.overlay(alpha, colormap)),
            paths["map"]: _npy(self.map),
            paths["record"]: (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        }
        prepare_folder(folder)
        write_files(contents)
        for key, suffix in (("error", "_error.png"), ("deviation", "_error.npy")):
            if key not in paths:  # what an earlier result of this name left behind would not be this map's
                base.with_name(base.name + suffix).unlink(missing_ok=True)
        return paths

    def _error_record(self) -> dict[str, Any] | None:
        if self.error is None:
            return None
        interval = self.relative_error_interval
        return {
            "of": self.error_of,
            "relative_error": self.relative_error,
            "relative_error_interval": None if interval is None else list(interval),
            "level": round(1 - 2 * self.doubt, 6),
            "largest_deviation": None if np.isnan(self.error).any() else float(self.error.max()),
        }

    def _file_name(self, stem: str) -> str:
        label = f"-{_slug(self.target.label)}" if self.target.label else ""
        return f"{safe_stem(stem)}_{self.method}-{self.variant}_{self.target.index}{label}"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(encode_png(self.overlay())).decode()
        top = "".join(f"<li>{html.escape(str(t))}: {t.score:.3f}</li>" for t in self.top)
        notes = "".join(f"<p><b>{html.escape(warning)}</b></p>" for warning in self.warnings)
        return (
            f'<figure><img src="data:image/png;base64,{picture}" style="max-width: 480px" '
            f'alt="Map of {html.escape(str(self.target))}"><figcaption>{html.escape(repr(self)[1:-1])}'
            f"<ol>{top}</ol>{notes}</figcaption></figure>"
        )


def read_saved(record: str | Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Read a record that was saved, and the map beside it.

    Returns
    -------
    dict
        The record.
    ndarray of shape (H, W), float32

    Raises
    ------
    OutputError
        Either is missing or damaged.
    """
    path = Path(record)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        beside = path.parent / Path(content["files"]["map"]).name
        return content, np.load(beside, allow_pickle=False)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"'{path}' is no record with its map beside it ({error}); run onnx-cam explain again"
        ) from error


def _readable_path(path: str) -> str:
    """Return a path as text that JSON and a terminal take: bytes that are no UTF-8 are written out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _slug(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label.split(",", maxsplit=1)[0]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "class"
