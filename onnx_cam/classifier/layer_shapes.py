"""Which tensors can be explained, as their shapes in a run tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.classifier.kept_runs import read_shapes, write_shapes
from onnx_cam.graph.find_layers import find_candidates, prefer, rank_layers
from onnx_cam.graph.layer import Layer
from onnx_cam.graph.tap import Dequantized, Unblocked, tap
from onnx_cam.graph.tokens import find_patch_embedding, find_token_candidates
from onnx_cam.graph.walk import leading_to
from onnx_cam.runtime.session import Session

__all__ = ["choose_by_geometry", "rank_by_shape"]

Floats = NDArray[np.float32]
Opener = Callable[[onnx.ModelProto], Session]

_CUTS = ("Slice", "Split", "Gather")
_NEARLY = 0.98  # of the largest frame: branches whose strides round differently
_FLOATS = ("tensor(float)", "tensor(float16)")


def rank_by_shape(
    graph: gs.Graph,
    proto: onnx.ModelProto,
    scores: str,
    *,
    batch: int,
    image: Callable[[], Floats],
    open_session: Opener,
    key: str | None = None,
) -> list[Layer]:
    """Return the layers of a model that keep a height and width, the one nearest to the scores first, as the default.

    Parameters
    ----------
    graph : onnx_graphsurgeon.Graph
        The model's graph, to walk on.
    proto : onnx.ModelProto
        The model that is run.
    scores : str
        The output that holds the scores.
    batch : int
        How many images a run takes: tokens have it as their first dimension.
    image : callable
        Returns an image (1, C, H, W), float32, for a run where the runtime's inference leaves a shape open.
    open_session : callable
        Loads a rewritten model.
    key : str, optional
        The name under which the shapes are kept in the cache; without it they are not.
    """
    # What could be explained, as the operators tell: outputs of convolutions and what follows them, and tokens.
    candidates = find_candidates(graph, scores)
    tokens = find_token_candidates(graph, scores)
    patches = find_patch_embedding(graph, tokens)
    taps: dict[str, str | Dequantized | Unblocked] = {c.output: c.tapped for c in candidates} | {
        c.name: c.name for c in tokens
    }
    taps |= {patches: patches} if patches else {}
    if not taps:
        return []
    # Which of them are spatial, as their shapes tell.
    shapes = None if key is None else read_shapes(key, list(taps))
    if shapes is None:
        session = open_session(tap(proto, taps.values()))
        shapes = _shapes(session, list(taps), {c.name for c in tokens}, image)
        if key is not None:
            write_shapes(key, list(taps), shapes)
    tokens = [c for c in tokens if shapes.get(c.name, (0,))[0] == batch]
    grid = shapes.get(patches, ())[2:] if patches else ()
    patch_grid = (grid[0], grid[1]) if len(grid) == 2 else None
    order = [output.name for node in graph.nodes for output in node.outputs]
    return rank_layers(order, candidates, tokens, shapes, patch_grid=patch_grid, patches=patches)


def choose_by_geometry(layers: list[Layer], graph: gs.Graph, probe: Callable[[Layer], Layer]) -> list[Layer]:
    """Return the layers with another default, where the geometry of the first choice speaks against it.

    A layer whose geometry is not settled is not a default. Of branches that see the image in different ways, such as a
    mirrored copy or a local crop, the one that sees it as it is comes first.

    Parameters
    ----------
    layers : list of Layer
        With their geometry, as far as the operators say it; the default first.
    graph : onnx_graphsurgeon.Graph
        The model's graph, to walk on.
    probe : callable
        Returns a layer with the geometry that a run finds, where the operators leave it open and a run can tell.
    """
    if not layers or not layers[0].is_default:
        return layers
    first = probe(layers[0])
    layers = [first, *layers[1:]]
    if not first.geometry.is_settled:
        settled = _first_settled(layers)
        if settled is None:
            return layers
        default, *others = prefer(layers, settled.name)
        return [replace(default, passed_over=first), *others]
    if first.geometry.is_plain:
        return layers
    sources = leading_to(graph, first.name)
    parallel = (
        layer
        for layer in layers[1:]
        if layer.geometry.is_settled
        and layer.geometry.is_plain
        and layer.shape == first.shape
        and layer.op_type == first.op_type
        and layer.name not in sources
        and first.name not in leading_to(graph, layer.name)
    )
    upright = next(parallel, None)
    return layers if upright is None else prefer(layers, upright.name)


def _first_settled(layers: Sequence[Layer]) -> Layer | None:
    """Return the settled layer nearest to the scores, leaving out pieces that were cut from another one."""
    settled = [layer for layer in layers if layer.geometry.is_settled and layer.shape[0] > 1]
    largest = max((_area(layer) for layer in settled), default=0.0)
    return next((x for x in settled if x.op_type not in _CUTS or _area(x) > _NEARLY * largest), None)


def _area(layer: Layer) -> float:
    """Return which fraction of the input a layer's frame covers."""
    frame = layer.geometry.frame
    return (frame.bottom - frame.top) * (frame.right - frame.left)


def _shapes(
    session: Session, names: Sequence[str], tokens: set[str], image: Callable[[], Floats]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of float tensors: the runtime's own inference, or a run where that leaves one open.

    Of tokens the first dimension counts, too: it may be windows and not the batch.
    """
    inferred = {name: shape for name, (shape, kind) in session.outputs.items() if kind in _FLOATS}
    shapes = {name: inferred[name] for name in names if name in inferred}
    unknown = [n for n, shape in shapes.items() if not shape or None in (shape if n in tokens else shape[1:])]
    arrays = session.run_once(image(), unknown) if unknown else []
    measured = {name: array.shape for name, array in zip(unknown, arrays, strict=True)}
    return {name: measured.get(name, tuple(size or 1 for size in shape)) for name, shape in shapes.items()}
