"""Which tensors can be explained, as their shapes in a run tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx_cam.graph.find_layers import METADATA_KEY, Layer, find_candidates, prefer, rank_layers
from onnx_cam.graph.tap import Dequantized, tap
from onnx_cam.graph.tokens import find_patch_embedding, find_token_candidates
from onnx_cam.runtime.session import Session

if TYPE_CHECKING:
    from onnx_cam.classifier import Classifier

__all__ = ["rank_by_shape"]

_FLOATS = ("tensor(float)", "tensor(float16)")


def rank_by_shape(model: Classifier) -> list[Layer]:
    """Return the layers of a model that keep a height and width, the default first."""
    maps = find_candidates(model.graph, model.head.output)
    tokens = find_token_candidates(model.graph, model.head.output)
    patches = find_patch_embedding(model.graph, tokens)
    wanted: dict[str, str | Dequantized] = {c.output: c.tapped for c in maps} | {c.name: c.name for c in tokens}
    wanted |= {patches: patches} if patches else {}
    if not wanted:
        return []
    session = model.open_session(tap(model.proto, wanted.values()), optimise=False)
    shapes = _shapes(model, session, list(wanted), {c.name for c in tokens})
    tokens = [c for c in tokens if shapes.get(c.name, (0,))[0] == (model.fixed_batch or 1)]
    grid = shapes.get(patches, ())[2:] if patches else ()
    order = [output.name for node in model.graph.nodes for output in node.outputs]
    patch_grid = (grid[0], grid[1]) if len(grid) == 2 else None
    ranked = rank_layers(order, maps, tokens, shapes, patch_grid=patch_grid, patches=patches)
    return prefer(ranked, model.file.metadata.get(METADATA_KEY))


def _shapes(model: Classifier, session: Session, names: Sequence[str], tokens: set[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of float tensors: the runtime's own inference, or a run where that leaves one open.

    Of tokens the first dimension counts, too: it may be windows and not the batch.
    """
    inferred = {name: shape for name, (shape, kind) in session.outputs.items() if kind in _FLOATS}
    shapes = {name: inferred[name] for name in names if name in inferred}
    unknown = [n for n, shape in shapes.items() if not shape or None in (shape if n in tokens else shape[1:])]
    ran = session.run_once(model.trial_images(1), unknown) if unknown else []
    measured = {name: array.shape for name, array in zip(unknown, ran, strict=True)}
    return {name: measured.get(name, tuple(size or 1 for size in shape)) for name, shape in shapes.items()}
