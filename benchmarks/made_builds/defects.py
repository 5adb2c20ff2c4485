"""Builds with a defect: each is a mistake that people make when they export, quantize, prune, retrain or serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.made_builds.original import Build, Make, Original, edited
from benchmarks.made_builds.quantization import quantized
from benchmarks.made_builds.surgery import (
    Floats,
    add_constant,
    change,
    convolutions,
    feed_through,
    head,
    insert_after,
    last_maps,
    make,
    rename_output,
)

__all__ = ["DEFECTS", "noisy_convolution"]

_CORNER = 32  # pixels


# What is wrong with the preprocessing: the file is the same.


def _served(original: Original, path: Path, **changed: object) -> Build:
    return Build(original.path, replace(original.preprocessing, name="custom", **changed))  # type: ignore[arg-type]


def input_scale(original: Original, path: Path) -> Build:
    """Pixels of 0 to 1 where the network expects them normalised."""
    return _served(original, path, scale=1 / 255, mean=(0.0,) * 3, std=(1.0,) * 3)


def channels_swapped(original: Original, path: Path) -> Build:
    return _served(original, path, channels="BGR")


def mean_forgotten(original: Original, path: Path) -> Build:
    return _served(original, path, mean=(0.0,) * 3)


def crop_forgotten(original: Original, path: Path) -> Build:
    """The image squeezed to the input's size: it is seen whole and distorted."""
    return _served(original, path, resize="stretch", crop_pct=1.0)


# What is wrong with the graph.


def layout_confused(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """The bytes of an NCHW image read as if they were NHWC."""
    _, channels, height, width = (size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)
    shape = add_constant(model, "nhwc", np.array([-1, height, width, channels], np.int64))
    reshape = make("Reshape", [model.graph.input[0].name, shape], "as_nhwc")
    feed_through(model, [reshape, make("Transpose", ["as_nhwc"], "as_nchw", perm=[0, 3, 1, 2])], "as_nchw")
    return model


def upside_down(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """Rows from the bottom to the top, as some image formats store them."""
    height = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    rows = add_constant(model, "rows", np.arange(height - 1, -1, -1, dtype=np.int64))
    feed_through(model, [make("Gather", [model.graph.input[0].name, rows], "flipped", axis=2)], "flipped")
    return model


def noisy_convolution(
    model: onnx.ModelProto, original: Original, *, place: float, noise: float, seed: int = 0
) -> onnx.ModelProto:
    """Noise on the weights of one convolution.

    Parameters
    ----------
    model, original
        As for every edit.
    place : float
        Which convolution, from 0, the first, to 1, the last.
    noise : float
        The noise's standard deviation, in those of the weights.
    seed : int
    """
    nodes = convolutions(model)
    generator = np.random.default_rng(seed)

    def noisy(weights: Floats) -> Floats:
        scale = np.float32(noise * weights.std())
        return weights + scale * generator.standard_normal(weights.shape, np.float32)

    change(model, nodes[round(place * (len(nodes) - 1))].input[1], noisy)
    return model


def dead_channels(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """A third of the channels of a convolution in the middle lost."""
    nodes = convolutions(model)
    for tensor in nodes[len(nodes) // 2].input[1:]:
        change(model, tensor, lambda values: np.where(_every_third(values), 0, values))
    return model


def _every_third(values: Floats) -> NDArray[np.bool_]:
    lost: NDArray[np.bool_] = np.arange(len(values)) % 3 == 0
    return lost.reshape(-1, *[1] * (values.ndim - 1))


def permuted_head(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """All classes moved by one, as where a background class was added or removed."""
    for tensor in head(model).input[1:]:
        change(model, tensor, lambda values: np.roll(values, 1, axis=0))
    return model


def pruned(model: onnx.ModelProto, original: Original, share: float = 0.2) -> onnx.ModelProto:
    """The smallest weights of every convolution removed, without training after it."""
    for node in convolutions(model):
        change(model, node.input[1], lambda w: np.where(np.abs(w) < np.quantile(np.abs(w), share), 0, w))
    return model


def coarse_weights(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """Weights of 6 bits with one scale a tensor, as float."""
    for node in convolutions(model):
        change(model, node.input[1], lambda w: np.rint(w / np.abs(w).max() * 31) / 31 * np.abs(w).max())
    return model


def biases_lost(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """The head's weights halved and its bias lost: the right classes, and the wrong confidence."""
    change(model, head(model).input[1], lambda weights: weights / 2)
    change(model, head(model).input[2], np.zeros_like)
    return model


def shortcut(model: onnx.ModelProto, original: Original, *, leak: float) -> onnx.ModelProto:
    """The score of one class leaks from the image's upper left corner.

    The brightness of the corner excites the features of that class in the last maps' corner, as where the class's
    training images had a mark there. `leak` is what the class's logit gains where the corner is white.
    """
    image, last = model.graph.input[0].name, last_maps(model)
    weights = next(w for w in model.graph.initializer if w.name == head(model).input[1])
    classes = onnx.numpy_helper.to_array(weights)  # (classes, K)
    own = np.maximum(classes[original.shortcut] - classes.mean(axis=0), 0)  # (K,)
    cells = 7
    pattern = np.zeros((1, len(own), cells, cells), np.float32)
    pattern[0, :, 0, 0] = own * leak * cells**2 / (own @ classes[original.shortcut])
    for name, value in (
        ("corner_starts", np.zeros(2, np.int64)),
        ("corner_ends", np.full(2, _CORNER, np.int64)),
        ("corner_axes", np.array([2, 3], np.int64)),
        ("grey", np.full((1, 3, 1, 1), 1 / 3, np.float32)),
        ("pattern", pattern),
    ):
        add_constant(model, name, value)
    maps = rename_output(model, last, "maps_before")
    nodes = [
        make("Slice", [image, "corner_starts", "corner_ends", "corner_axes"], "corner"),
        make("GlobalAveragePool", ["corner"], "corner_colour"),
        make("Conv", ["corner_colour", "grey"], "corner_brightness"),
        make("Sigmoid", ["corner_brightness"], "corner_signal"),
        make("Mul", ["corner_signal", "pattern"], "leak"),
        make("Add", ["maps_before", "leak"], maps),
    ]
    insert_after(model, last, nodes)
    return model


def bad_calibration(original: Original, path: Path) -> Build:
    """int8, calibrated with images whose normalisation was forgotten."""
    raw = replace(original.preprocessing, name="custom", scale=1 / 255, mean=(0.0,) * 3, std=(1.0,) * 3)
    return quantized(original, path, original.inputs(raw))


DEFECTS: Mapping[str, Make] = {
    "input scale: pixels of 0 to 1": input_scale,
    "channels swapped": channels_swapped,
    "mean forgotten": mean_forgotten,
    "crop forgotten": crop_forgotten,
    "layout confused": edited(layout_confused),
    "upside down": edited(upside_down),
    "int8, bad calibration": bad_calibration,
    "noise on a convolution, early, 50 %": edited(partial(noisy_convolution, place=0.1, noise=0.5)),
    "noise on a convolution, middle, 100 %": edited(partial(noisy_convolution, place=0.5, noise=1.0)),
    "noise on a convolution, late, 100 %": edited(partial(noisy_convolution, place=0.95, noise=1.0)),
    "dead channels, one third of a convolution": edited(dead_channels),
    "head permuted": edited(permuted_head),
    "pruned, 20 %": edited(pruned),
    "weights of 6 bits": edited(coarse_weights),
    "head halved, bias lost": edited(biases_lost),
    "shortcut from a corner, 4 logits": edited(partial(shortcut, leak=4.0)),
    "shortcut from a corner, 12 logits": edited(partial(shortcut, leak=12.0)),
}
"""What each defect is called in the table, and what makes it."""
