"""What has to be chosen or guessed about a model, and the notes that say so."""

from __future__ import annotations

import os
from collections.abc import Iterator

from onnx_cam.errors import ModelError
from onnx_cam.graph.built_in import BuiltIn
from onnx_cam.graph.head import Head
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.read import ModelFile
from onnx_cam.image.configurations.choose import both_normalise, choose_preprocessing, loses_levels, with_stated_size
from onnx_cam.image.files import MAX_PIXELS
from onnx_cam.image.preprocessing import Preprocessing

__all__ = ["choose_size", "guesses", "resolve_preprocessing"]

_DEFAULT_SIZE = (224, 224)
_MAX_BATCH = 4096
_MAX_VALUES = 1_000_000_000  # of a run's input, which are 4 GB: more is the size of a damaged file


def resolve_preprocessing(
    preprocess: str | os.PathLike[str] | Preprocessing,
    file: ModelFile,
    image_input: ImageInput,
    built_in: BuiltIn | None,
) -> Preprocessing | None:
    """Return the preprocessing that a user names: an object, a preset, ``auto``, a JSON file; None for ``none``.

    Raises
    ------
    PreprocessingError
        The name is unknown, or a file describes none that can be used.
    """
    if preprocess == "none":
        return None
    fixed = image_input.height, image_input.width
    if isinstance(preprocess, Preprocessing):
        return with_stated_size(preprocess, file, fixed)
    chosen = choose_preprocessing(
        preprocess, file, dtype=image_input.dtype, channels=image_input.channels, built_in=built_in, fixed=fixed
    )
    return with_stated_size(chosen, file, fixed)


def choose_size(
    requested: tuple[int, int] | None, image_input: ImageInput, preprocessing: Preprocessing | None, model: str
) -> tuple[tuple[int, int], list[str]]:
    """Return ``(H, W)`` of the input, and notes.

    The graph's own size comes first, then the requested one, the preprocessing's, and 224×224 as a guess.

    Raises
    ------
    ModelError
        The size is too large, or the batch is.
    """
    fixed = image_input.height, image_input.width
    stated = requested or (preprocessing.size if preprocessing else None)
    default = stated or _DEFAULT_SIZE
    size = fixed[0] or default[0], fixed[1] or default[1]
    pixels, batch = size[0] * size[1], image_input.batch or 1
    if pixels > MAX_PIXELS or batch > _MAX_BATCH or pixels * image_input.channels * batch > _MAX_VALUES:
        raise ModelError(
            f"{model} takes {batch} images of {size[0]}×{size[1]} with {image_input.channels} channels; expected at "
            f"most {MAX_PIXELS:,} pixels, a batch of {_MAX_BATCH}, and {_MAX_VALUES:,} values in all"
        )
    if requested is None and stated is not None and stated != size:
        return size, [
            f"the preprocessing is for {stated[0]}×{stated[1]} pixels, and the model takes {size[0]}×{size[1]}: "
            f"using the model's size ({preprocessing.source if preprocessing else ''})"
        ]
    if stated is None and None in fixed:
        return size, [f"the model leaves its input size free: using {size[0]}×{size[1]} (set it with --size HxW)"]
    return size, []


def guesses(
    head: Head, preprocessing: Preprocessing | None, image_input: ImageInput, built_in: BuiltIn | None
) -> Iterator[str]:
    """Yield what was guessed or looks wrong, with the option that settles it."""
    if head.choice:
        yield head.choice
    if preprocessing is None:
        return
    yield from preprocessing.notes
    if preprocessing.source.startswith("a guess"):
        guess = "RGBA / 255" if image_input.channels == 4 else "ImageNet's"
        yield f"preprocessing: {guess}, {preprocessing.source} (set it with --preprocess)"
    if image_input.channels == 4 and len(preprocessing.mean) < 4:
        yield (
            "the input takes 4 channels: the fourth is taken to be alpha, opaque (255) where an image has none; if it "
            "is something else, hand over the network's input (--preprocess none)"
        )
    if built_in and built_in.tells_order and preprocessing.channels != built_in.channels:
        yield (
            f"preprocessing {preprocessing.name!r} puts the colours into the order {preprocessing.channels}, but the "
            f"means that the graph subtracts are in the order {built_in.channels}"
        )
    if image_input.takes_integers and loses_levels(preprocessing, image_input.dtype):
        yield (
            f"preprocessing {preprocessing.name!r} normalises, but the input takes {image_input.dtype} pixels: "
            "use --preprocess raw to leave them as they are"
        )
    elif built_in and both_normalise(preprocessing, built_in):
        plain = "raw" if built_in.takes_pixels else "unit"
        yield (
            f"preprocessing {preprocessing.name!r} normalises, and so does the graph itself: {built_in}; "
            f"use --preprocess {plain} to leave it to the graph"
        )
