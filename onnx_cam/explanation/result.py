"""The result: a map, and the record of how it was made."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.map_error import INTERVAL_LEVEL, MapError
from onnx_cam.drawing.canvas import data_uri
from onnx_cam.drawing.error_picture import draw_error
from onnx_cam.drawing.overlay import draw_overlay, encode_png
from onnx_cam.errors import SettingError
from onnx_cam.explanation.provenance import Provenance
from onnx_cam.explanation.saving import file_name, readable_path, save_explanation
from onnx_cam.explanation.targets import Target

__all__ = ["Explanation"]

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

_DOUBT = (1 - INTERVAL_LEVEL) / 2  # what an interval leaves out at either end


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Explanation(Provenance):
    """What a method says about one image and one class.

    How the map was made is in the attributes of :class:`onnx_cam.explanation.provenance.Provenance`: `model`, `layer`,
    `image`, `method`, `variant`, `seed`, `passes`, `seconds`, `provider` and more.

    Attributes
    ----------
    cam : ndarray of shape (h, w), float32
        L, at the layer's resolution, not normalised, ≥ 0.
    weights : ndarray of shape (K,), float32
        α, one for each channel of the layer.
    target : Target
        The class that is explained.
    versus : Target or None
        The class that the target is contrasted with; None where the map explains the target's own score.
    top : tuple of Target
        The five likeliest classes.
    specificity : float or None
        The class specificity ``‖n(L) − n(L_equal)‖``, where n scales a map to unit length and L_equal has all live
        weights equal: at 0 the map does not depend on the class. None where either map is zero everywhere.
    map_error : MapError or None
        How far the map may be from the one that it estimates; None for a map from all forward passes without noise,
        which has no error of this kind.
    warnings : tuple of str
        What the reader of the map should know.

    Examples
    --------
    >>> import onnx_cam
    >>> result = onnx_cam.explain("model.onnx", "cat.jpg")
    >>> result.method, result.variant, str(result.target)
    ('scorecam', 'paper', 'cat (1)')
    >>> result.cam.shape, result.map.shape, result.weights.shape
    ((5, 5), (36, 48), (6,))
    >>> result.passes, result.passes_skipped
    (6, 2)
    """

    cam: Floats
    weights: Floats
    target: Target
    versus: Target | None = None
    top: tuple[Target, ...]
    specificity: float | None
    map_error: MapError | None = None
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        worth = ", ".join(filter(None, (self.state, self.precision)))
        passes = "1 forward pass" if self.passes == 1 else f"{self.passes:,} forward passes"
        return f"<Explanation of {self.subject} by {self.method} {self.variant}: {passes}, {worth}>"

    @property
    def is_raw(self) -> bool:
        """Whether `target.score` is a number of the model's output and no probability, as of a regression."""
        return bool(self.parameters.get("score") == "raw")

    def name_of(self, target: Target) -> str:
        """Return a target in words; a number that has no label is not a class."""
        return f"output {target.index}" if self.is_raw and target.label is None else str(target)

    @property
    def subject(self) -> str:
        """What is explained, in words: a class, or one class rather than another."""
        name = self.name_of(self.target)
        return name if self.versus is None else f"{name} rather than {self.name_of(self.versus)}"

    # --- the map

    @cached_property
    def map(self) -> Floats:
        """The map in the image as given, ``(H, W)`` float32 in [0, 1]: ``s(U(L))``, 0 outside what the network sees."""
        return self.geometry.place(self.cam)

    @property
    def empty(self) -> bool:
        """Whether `cam` is zero everywhere."""
        return not self.cam.any()

    @property
    def state(self) -> str:
        """In words: whether the map is empty, and otherwise its class specificity."""
        if self.empty:
            return "empty map"
        known = self.specificity is not None
        return f"class specificity {self.specificity:.3f}" if known else "class specificity unknown"

    # --- its error

    @property
    def error(self) -> Floats | None:
        """The standard deviation of `cam` at each position, (h, w) float32, in its unit; None without an error.

        NaN everywhere where all scores of a part of the passes are equal, so that nothing is known.
        """
        return None if self.map_error is None else self.map_error.deviation

    @property
    def error_of(self) -> str | None:
        """What the error comes from: ``"passes left out"`` or ``"noise"``; None without an error.

        With passes left out, the true map is the exact one with the same noise fields; with noise, it is the map of
        infinitely many fields.
        """
        return None if self.map_error is None else self.map_error.of

    @property
    def relative_error(self) -> float | None:
        """The estimated relative error of the class-specific part, ``‖n(L) − n(L*)‖ / ‖n(L_equal) − n(L*)‖``.

        L* is the true map. 0 is exact, 1 is no better than the map with equal weights, which takes no forward pass.
        None without an error, and where the map is empty or equals that map.
        """
        return self.map_error.relative_error if self.map_error and self.map_error.is_known else None

    @property
    def relative_error_interval(self) -> tuple[float, float] | None:
        """The 90 % interval of `relative_error`; None where that is."""
        return (self.map_error.low, self.map_error.high) if self.map_error and self.map_error.is_known else None

    @property
    def above_average(self) -> Floats | None:
        """The probability that the true map lies above its own average at a position, (h, w) float32 in [0, 1]."""
        return None if self.map_error is None else self.map_error.above

    @property
    def unsettled(self) -> NDArray[np.bool_] | None:
        """Where it is open, at 90 %, whether the true map lies above its average: (h, w), or None without an error."""
        if self.above_average is None:
            return None
        return np.asarray((self.above_average > _DOUBT) & (self.above_average < 1 - _DOUBT))

    @property
    def precision(self) -> str:
        """The relative error in words; empty without an error."""
        if self.error is None:
            return ""
        if self.relative_error is None or self.relative_error_interval is None:
            return "relative error unknown"
        low, high = map(_percent, self.relative_error_interval)
        level = _percent(INTERVAL_LEVEL)
        return f"relative error {_percent(self.relative_error)} % ({level} % interval {low}–{high} %)"

    # --- pictures, record and files

    @property
    def file_name(self) -> str:
        """What its files are called, without their suffixes."""
        return file_name(self.stem, f"{self.method}-{self.variant}", self.target, self.versus)

    def overlay(self, alpha: float = 0.5, colormap: str = "turbo") -> Pixels:
        """Return the map drawn over the image, grey and dark where the network sees nothing.

        Parameters
        ----------
        alpha : float
            Opacity of the colours, in [0, 1].
        colormap : str
            One of :data:`onnx_cam.names.COLORMAPS`.

        Returns
        -------
        ndarray of shape (H, W, 3), uint8, RGB

        Examples
        --------
        >>> import onnx_cam
        >>> onnx_cam.explain("model.onnx", "cat.jpg").overlay().shape
        (36, 48, 3)
        """
        return draw_overlay(self.pixels, self.map, self.crop, alpha=alpha, colormap=colormap, empty=self.empty)

    def error_picture(self, alpha: float = 0.5, colormap: str = "turbo") -> Pixels:
        """Return the map, its standard deviation and where it is settled, side by side.

        The parameters are those of `overlay`.

        Returns
        -------
        ndarray of shape (h, w, 3), uint8, RGB

        Raises
        ------
        SettingError
            The map has no error.
        """
        if self.error is None or self.above_average is None:
            raise SettingError(
                f"the map by {self.method} {self.variant} is exact and not a mean over noise fields, so there is no "
                "error to draw; use a budget, a tolerance, or a noisy method with several samples"
            )
        return draw_error(
            self.pixels,
            self.overlay(alpha, colormap),
            self.geometry.upsample(np.nan_to_num(self.error)),
            self.geometry.upsample(self.above_average, blocks=True),
            crop=self.crop,
            titles=self._error_titles(self.error),
            doubt=_DOUBT,
            alpha=alpha,
            colormap=colormap,
        )

    def _error_titles(self, deviation: Floats) -> list[tuple[str, str]]:
        """Return a title and a line of detail for each panel of the error picture."""
        highest = float(self.cam.max())
        share = 100 * float(deviation.max()) / highest if highest > 0 else np.nan
        largest = "unknown" if np.isnan(share) else f"at most {share:.2g} % of the map's maximum"
        return [
            (f"{self.method} {self.variant}", self.precision),
            (f"standard deviation ({self.error_of})", largest),
            ("above the map's average", "bright: yes, dark: no, striped: open, pale: not seen"),
        ]

    def record(self, files: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the provenance record as plain JSON values.

        Parameters
        ----------
        files : mapping, optional
            Paths of the ``overlay``, the ``map`` and the ``record`` itself, where they were written.

        Examples
        --------
        >>> import onnx_cam
        >>> record = onnx_cam.explain("model.onnx", "cat.jpg").record()
        >>> record["method"], record["target"]["label"], record["crop"]
        ('scorecam', 'cat', [8, 2, 39, 33])
        """
        return {
            "model": None if self.model is None else readable_path(self.model),
            "model_sha256": self.model_sha256,
            "constants": dict(self.constants),
            "custom_ops": [readable_path(path) for path in self.custom_ops],
            "image": None if self.image is None else readable_path(self.image),
            "image_sha256": self.image_sha256,
            "method": self.method,
            "variant": self.variant,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "layer": self.layer,
            "layer_shape": list(self.layer_shape),
            "target": asdict(self.target),
            "versus": None if self.versus is None else asdict(self.versus),
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
            "streams": self.streams,
            "preprocessing": dict(self.preprocessing),
            "warnings": list(self.warnings),
            "files": {key: readable_path(path) for key, path in (files or {}).items()},
            "versions": dict(self.versions),
        }

    def _error_record(self) -> dict[str, Any] | None:
        if self.error is None:
            return None
        interval = self.relative_error_interval
        return {
            "of": self.error_of,
            "relative_error": self.relative_error,
            "relative_error_interval": None if interval is None else list(interval),
            "level": INTERVAL_LEVEL,
            "largest_deviation": None if np.isnan(self.error).any() else float(self.error.max()),
        }

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
            Whether the error is written too, where there is one: as a picture (PNG) and as numbers (``.npy``, (h, w)
            float32).

        Returns
        -------
        dict of str to Path
            ``overlay``, ``map`` and ``record``; with an error also ``error`` and ``deviation``.

        Raises
        ------
        OutputError
            The folder cannot be made, or written to.

        Examples
        --------
        >>> import onnx_cam
        >>> paths = onnx_cam.explain("model.onnx", "cat.jpg").save("out")
        >>> paths["overlay"].name
        'cat_scorecam-paper_1-cat.png'
        """
        deviation = self.error if error else None
        return save_explanation(
            Path(folder),
            stem or self.stem,
            method=f"{self.method}-{self.variant}",
            target=self.target,
            versus=self.versus,
            overlay=encode_png(self.overlay(alpha, colormap)),
            placed_map=self.map,
            make_record=self.record,
            error_picture=None if deviation is None else encode_png(self.error_picture(alpha, colormap)),
            deviation=deviation,
        )

    def _repr_html_(self) -> str:
        picture = data_uri(encode_png(self.overlay()), "image/png")
        top = "".join(f"<li>{html.escape(self.name_of(t))}: {t.score:.3f}</li>" for t in self.top)
        notes = "".join(f"<p><b>{html.escape(warning)}</b></p>" for warning in self.warnings)
        return (
            f'<figure><img src="{picture}" style="max-width: 480px" '
            f'alt="Map of {html.escape(self.subject)}"><figcaption>{html.escape(repr(self)[1:-1])}'
            f"<ol>{top}</ol>{notes}</figcaption></figure>"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}"
