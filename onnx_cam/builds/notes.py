"""What the reader of a comparison should know beside its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnx_cam.builds.compared import ImageDiff
from onnx_cam.builds.gates import FEW_IMAGES, Gate
from onnx_cam.builds.images import ComparedImage
from onnx_cam.errors import DatasetError

__all__ = ["check_labels", "notes_on"]

_EMPTY = {(True, True): "both builds", (True, False): "the old build only", (False, True): "the new build only"}
"""Where a map is empty, by whether the old and the new one are."""


def check_labels(gates: Sequence[Gate], images: Sequence[ComparedImage]) -> None:
    """Refuse a gate on negative flips where no image has a label: it could never fail.

    Raises
    ------
    DatasetError
    """
    for gate in gates:
        if gate.figure == "negative_flips" and all(image.label is None for image in images):
            raise DatasetError(
                f"the gate {gate.text!r} needs labels, and the images have none; give a dataset with labels, or leave "
                "the gate out"
            )


def notes_on(images: Sequence[ImageDiff]) -> Iterator[str]:
    """Yield a line on too few images, and on empty maps."""
    if len(images) < FEW_IMAGES:
        yield f"{_count(len(images))}: too few to judge a gate, which takes at least {FEW_IMAGES}"
    empty = [
        (image.old.map.is_empty, image.new.map.is_empty)
        for image in images
        if image.old.map is not None and image.new.map is not None
    ]
    for sides, where in _EMPTY.items():
        if count := empty.count(sides):
            yield f"the map is empty in {where}: {_count(count)}"


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"
