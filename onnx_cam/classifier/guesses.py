"""What was guessed of a model, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from onnx_cam.errors import ModelError
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.head import Head
from onnx_cam.graph.image_input import EIGHT_BITS, ImageInput
from onnx_cam.image.files import MAX_PIXELS
from onnx_cam.image.find_preprocessing import both_normalise
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["choose_size", "guesses"]

_DEFAULT_SIZE = (224, 224)
_MAX_BATCH = 4096


def choose_size(
    asked: tuple[int, int] | None, image_input: ImageInput, preprocessing: Preprocessing | None, model: str
) -> tuple[tuple[int, int], list[str]]:
    """Return ``(H, W)`` of the input: the graph's, the one asked for, the preprocessing's, or a guess; and notes.

    Raises
    ------
    ModelError
        It is too large, or the batch is.
    """
    known = image_input.height, image_input.width
    found = asked or (preprocessing.size if preprocessing else None)
    wanted = found or _DEFAULT_SIZE
    chosen = known[0] or wanted[0], known[1] or wanted[1]
    if chosen[0] * chosen[1] > MAX_PIXELS or (image_input.batch or 1) > _MAX_BATCH:
        raise ModelError(
            f"{model} takes {image_input.batch or 1} images of {chosen[0]}×{chosen[1]}; expected at most "
            f"{MAX_PIXELS:,} pixels and a batch of {_MAX_BATCH}"
        )
    if found is None and None in known:
        return chosen, [f"the model leaves its input size free: taking {chosen[0]}×{chosen[1]} (--size HxW)"]
    return chosen, []


def guesses(
    head: Head, preprocessing: Preprocessing | None, image_input: ImageInput, built_in: BuiltIn | None
) -> Iterator[str]:
    """Yield what was guessed or looks wrong, with the option that settles it."""
    if head.choice:
        yield head.choice
    if preprocessing is None:
        return
    if preprocessing.source.startswith("a guess"):
        yield f"preprocessing: ImageNet's, {preprocessing.source} (--preprocess)"
    if image_input.dtype in EIGHT_BITS and preprocessing.normalises:
        yield (
            f"preprocessing {preprocessing.name!r} normalises, but the input takes {image_input.dtype} pixels: "
            "--preprocess raw leaves them as they are"
        )
    elif built_in and both_normalise(preprocessing, built_in):
        plain = "raw" if built_in.takes_pixels else "unit"
        yield (
            f"preprocessing {preprocessing.name!r} normalises, and so does the graph itself: {built_in}; "
            f"--preprocess {plain} leaves it to the graph"
        )
