"""Where the layers' cells lie in the network's input: followed through the operators, or found by a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.errors import OnnxCamError
from onnx_cam.graph.constants import Constants
from onnx_cam.graph.image_axes.follow import follow_image
from onnx_cam.graph.image_axes.rules import Facts
from onnx_cam.graph.image_axes.spans import Span, TokenSpan, Unsettled, View
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.layer_geometry import LayerGeometry, geometry_of_axes
from onnx_cam.graph.tap import tap
from onnx_cam.runtime.session import Session

__all__ = ["settle_geometries"]

Floats = NDArray[np.float32]
Opener = Callable[[onnx.ModelProto], Session]

_MOST_RUNS = 4  # each tells shapes and values up to the next operator whose shapes are computed
_CHANNELS_FIRST, _CHANNELS_LAST = (2, 3), (1, 2)


def settle_geometries(
    layers: Sequence[Layer],
    graph: gs.Graph,
    *,
    proto: onnx.ModelProto,
    constants: Constants,
    image_input: ImageInput,
    size: tuple[int, int],
    image: Callable[[], Floats],
    open_session: Opener,
) -> list[Layer]:
    """Return the layers with their geometry, as far as the operators between the image and each of them say it.

    Parameters
    ----------
    layers : sequence of Layer
    graph : onnx_graphsurgeon.Graph
        The model's graph, to walk on.
    proto : onnx.ModelProto
        The model that is run.
    constants : Constants
        Its constants.
    image_input : ImageInput
        The input that takes the image.
    size : tuple of int
        ``(H, W)`` of the network's input.
    image : callable
        Returns an image (1, C, H, W), float32, for a run that measures shapes and values which the file leaves open.
    open_session : callable
        Loads a rewritten model.
    """
    blank = np.zeros((1, image_input.channels, *size), np.float32)
    axes = _CHANNELS_LAST if image_input.layout == "NHWC" else _CHANNELS_FIRST
    facts = Facts(constants, shapes={image_input.name: image_input.feed(blank).shape})
    placed = list(layers)
    for _ in range(_MOST_RUNS):
        # Follow the image; where an operator's effect depends on a shape or a value, measure it and follow again.
        facts.missing.clear()
        views = follow_image(graph, image_input.name, axes, facts)
        placed = [_with_geometry(layer, views.get(layer.name)) for layer in layers]
        is_open = not all(layer.geometry.is_settled for layer in placed)
        if not is_open or not facts.missing or not _measure(facts, proto, image, open_session):
            break
    return placed


def _with_geometry(layer: Layer, view: View | Unsettled | None) -> Layer:
    """Return a layer with what its axes cover."""
    if view is None or isinstance(view, Unsettled):
        return _unsettled(layer, Unsettled("a branch of the graph") if view is None else view)
    tokens = view.get(1)
    if layer.layout == "tokens" and isinstance(tokens, TokenSpan):
        return _with_token_geometry(layer, tokens)
    rows, columns = _CHANNELS_LAST if layer.layout in ("NHWC", "tokens") else _CHANNELS_FIRST
    down, across = view.get(rows), view.get(columns)
    geometry = geometry_of_axes(down, across) if isinstance(down, Span) and isinstance(across, Span) else None
    if geometry is None:
        return _unsettled(layer, Unsettled(f"{layer.op_type} {layer.name!r}"))
    channels, height, width = layer.shape
    shape = (channels, width, height) if geometry.transposed else layer.shape
    return replace(layer, geometry=geometry, shape=shape)


def _with_token_geometry(layer: Layer, tokens: TokenSpan) -> Layer:
    """Return a layer of tokens with its grid: how many tokens lie before it, and where it lies in the image."""
    geometry = geometry_of_axes(tokens.rows, tokens.columns)
    if geometry is None:
        return _unsettled(layer, Unsettled(f"{layer.op_type} {layer.name!r}"))
    sides = (tokens.width, tokens.height) if geometry.transposed else (tokens.height, tokens.width)
    return replace(layer, geometry=geometry, shape=(layer.shape[0], *sides), prefix=tokens.before)


def _unsettled(layer: Layer, view: Unsettled) -> Layer:
    """Return a layer with the reason why it is not known where its cells lie."""
    can_tell = not view.reorders_tokens
    return replace(layer, geometry=LayerGeometry(source="unsettled", reason=view.reason, a_run_can_tell=can_tell))


def _measure(facts: Facts, proto: onnx.ModelProto, image: Callable[[], Floats], open_session: Opener) -> bool:
    """Run the model with the missing tensors as extra outputs, and note what they are; return whether that worked."""
    names = sorted(name for name in facts.missing if name not in facts.shapes)
    if not names:
        return False
    try:
        arrays = open_session(tap(proto, names)).run_once(image(), names)
    except OnnxCamError:  # a tensor that is no output of its own, e.g. within a branch
        return False
    facts.shapes.update({name: array.shape for name, array in zip(names, arrays, strict=True)})
    facts.values.update(zip(names, arrays, strict=True))
    return True
