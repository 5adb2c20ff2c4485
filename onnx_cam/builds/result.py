"""The result of a comparison: its figures, its gates, and what both builds say about each image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_cam.builds.along import AlongTheNetwork
from onnx_cam.builds.compared import ImageDiff
from onnx_cam.builds.gates import JudgedGate
from onnx_cam.classifier.labels import Labels
from onnx_cam.metrics.interval import Interval

__all__ = ["Diff"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Diff:
    """Whether a new build of a model still decides as the old one, and still looks at the same thing.

    Attributes
    ----------
    figures : mapping of str to Interval
        ``flips``, ``negative_flips``, ``drift``, ``map_distance``, ``noise_floor``, ``maps`` and ``changed``, each with
        its 95 % interval; shares and drift are fractions. A figure without images has the value None.
    gates : tuple of JudgedGate
        The limits, and which of them fail.
    images : tuple of ImageDiff
        What both builds say about each image.
    old, new : mapping
        The builds: hash, layer, preprocessing and more, as plain JSON values.
    old_labels, new_labels : Labels
        The names of their classes.
    settings : mapping
        How the maps were made and which images were drawn, as plain JSON values.
    left_out : mapping of str to str
        Why an image could not be used, by its name.
    notes : tuple of str
        What the reader should know, a line each.
    along : AlongTheNetwork or None
        How far the activations are apart from the input to the scores, where that was asked for.
    files : tuple of Path
        The files that were written.

    Examples
    --------
    >>> import onnx_cam
    >>> result = onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"])
    >>> result.figures["flips"].value, result.figures["map_distance"].value, result.failed
    (0.0, 0.0, False)
    """

    figures: Mapping[str, Interval]
    gates: tuple[JudgedGate, ...]
    images: tuple[ImageDiff, ...]
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    old_labels: Labels
    new_labels: Labels
    settings: Mapping[str, Any]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]
    along: AlongTheNetwork | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        failed = ", ".join(judged.gate.text for judged in self.gates if judged.failed)
        images = "1 image" if len(self.images) == 1 else f"{len(self.images):,} images"
        return f"<Diff of {self.old['name']} and {self.new['name']} on {images}: {failed or 'no gate'} failed>"

    @property
    def failed(self) -> bool:
        """Whether a gate fails."""
        return any(judged.failed for judged in self.gates)

    @property
    def worst(self) -> tuple[ImageDiff, ...]:
        """The images with maps, those whose maps are farthest apart first."""
        mapped = [image for image in self.images if image.distance is not None]
        return tuple(sorted(mapped, key=lambda image: -(image.distance or 0.0)))

    def record(self) -> dict[str, Any]:
        """Return the content of ``diff.json``, as plain JSON values.

        Examples
        --------
        >>> import onnx_cam
        >>> record = onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"]).record()
        >>> record["flips"]["value"], record["flips"]["n"], record["negative_flips"]["value"]
        (0.0, 2, None)
        """
        return {
            **{name: figure.describe() for name, figure in self.figures.items()},
            "old": dict(self.old),
            "new": dict(self.new),
            "settings": dict(self.settings),
            "gates": [judged.describe() for judged in self.gates],
            "images": {
                "compared": len(self.images),
                "with_maps": len(self.worst),
                "left_out": dict(self.left_out),
            },
            "layers": self.along and self.along.describe(),
            "notes": list(self.notes),
        }
