"""What was guessed of a model, a line each."""

from __future__ import annotations

from collections.abc import Iterator

from onnx_cam.find_preprocessing import both_normalise
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.head import Head
from onnx_cam.graph.image_input import EIGHT_BITS, ImageInput
from onnx_cam.preprocess import Preprocessing

__all__ = ["guesses"]


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
