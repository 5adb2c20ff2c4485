"""How many images a model takes at once, as runs tell: several images together must score as each of them alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.classifier.chance import Chance
from onnx_cam.classifier.facts import BatchFacts
from onnx_cam.classifier.sessions import SessionOpener
from onnx_cam.errors import ModelError, ScoreError
from onnx_cam.graph.free_batch import free_batch
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.tap import Dequantized, tap
from onnx_cam.runtime.session import Session

__all__ = ["TRIAL_IMAGES", "BatchTrial", "ScoredAlone", "any_batch", "try_batches"]

Floats = NDArray[np.float32]

_TRIAL_BATCHES = (3, 2)  # two sizes: a batch that the file fixes to one of them would work there
TRIAL_IMAGES = sum(_TRIAL_BATCHES)
_TOLERANCE = 1e-2  # of the difference between two images: a batch that mixes them up differs by all of it
_RANDOM_TOLERANCE = 4.0  # times the difference between two equal runs
_MOST_NOISE = 0.5  # of the difference between two images: with more, a batch that mixes them up cannot be told


@dataclass(frozen=True)
class ScoredAlone:
    """A model and what it scores a few images, each run by itself.

    Attributes
    ----------
    proto : onnx.ModelProto
        The model, as it was run.
    session : Session
        A session of it.
    taps : tuple of str or Dequantized
        What its sessions have as outputs beside the model's own.
    tensor : str
        The tensor whose values are compared.
    images : ndarray of shape (5, C, H, W), float32
    values : ndarray of shape (5, …)
        Its values.
    chance : Chance
        How far they differ from run to run.
    """

    proto: onnx.ModelProto
    session: Session
    taps: tuple[str | Dequantized, ...]
    tensor: str
    images: Floats
    values: NDArray[Any]
    chance: Chance = field(default_factory=lambda: Chance(np.zeros(1)))

    def open(self, opener: SessionOpener, proto: onnx.ModelProto, batch: BatchFacts | None = None) -> Session:
        """Return a session of the model, or of one that is rewritten from it."""
        return opener.open(tap(proto, self.taps), batch)

    def spread(self) -> NDArray[np.float64]:
        """Return how far the images differ, in each of the values."""
        return np.asarray(np.ptp(self.values.astype(np.float64), axis=0))

    @property
    def is_too_random(self) -> bool:
        """Whether equal runs differ so much that nothing can be told from comparing runs."""
        return bool(_RANDOM_TOLERANCE * self.chance.noise.max() > _MOST_NOISE * self.spread().max())

    def hold_together(self, session: Session) -> bool:
        """Tell whether the images score in batches as they do alone."""
        try:
            cuts = np.cumsum(_TRIAL_BATCHES)[:-1]
            parts = [session.run(part, [self.tensor])[0] for part in np.split(self.images, cuts)]
            together = np.concatenate(parts).astype(np.float64)
        except (ScoreError, ValueError):
            return False
        spread = self.spread()
        allowed = _TOLERANCE * (spread + 0.01 * spread.max()) + _RANDOM_TOLERANCE * self.chance.noise.max()
        same_shape = together.shape == self.values.shape
        return bool(same_shape and spread.max() > 0 and (np.abs(together - self.values) <= allowed).all())


@dataclass(frozen=True)
class BatchTrial:
    """What batches a model takes.

    Attributes
    ----------
    batch : BatchFacts
        How many images the model takes at once.
    proto : onnx.ModelProto
        The model to run: as it was, or with its batch freed.
    session : Session
        A session of it.
    notes : tuple of str
        What the user should know.
    """

    batch: BatchFacts
    proto: onnx.ModelProto
    session: Session
    notes: tuple[str, ...] = ()


def try_batches(alone: ScoredAlone, graph: gs.Graph, opener: SessionOpener) -> BatchTrial:
    """Find out whether several images together score as they do alone, with the file's batch freed where it fixes one.

    Parameters
    ----------
    alone : ScoredAlone
    graph : onnx_graphsurgeon.Graph
        The file's graph.
    opener : SessionOpener

    Raises
    ------
    ModelError
        The runtime refuses the model.
    """
    fixed = opener.image_input.batch
    scales_by_batch = _scales_by_batch(graph)
    if fixed is None:
        return _try_free_batch(alone, opener, scales_by_batch=scales_by_batch)
    # Free the batch in the graph, and prove by runs that this changed nothing.
    batch, freed = any_batch(alone.proto, opener.image_input)
    untold = scales_by_batch or alone.is_too_random
    freed_session = None if untold else _open_or_none(alone, freed, opener)
    if freed_session is not None and alone.hold_together(freed_session):
        return BatchTrial(batch, freed, freed_session)
    # A batch of 1 has no other image to mix with; a larger one may have.
    mixes = fixed != 1 and (alone.is_too_random or not alone.hold_together(alone.session))
    source = "the graph: with its batch freed it fails, or the scores change"
    if alone.is_too_random:
        source = f"the graph; {alone.chance.reason}, so that a freed batch cannot be checked"
    batch = BatchFacts(fixed, mixes, source)
    if not mixes:
        return BatchTrial(batch, alone.proto, alone.session)
    note = "the model mixes the images of a batch: running one image at a time"
    if alone.is_too_random:
        note = "whether the model mixes the images of a batch cannot be checked: running one image at a time"
    return BatchTrial(batch, alone.proto, alone.open(opener, alone.proto, batch), (note,))


def any_batch(proto: onnx.ModelProto, image_input: ImageInput) -> tuple[BatchFacts, onnx.ModelProto]:
    """Return what is known of a model that runs have shown to take batches of any size, and the model to run.

    Parameters
    ----------
    proto : onnx.ModelProto
    image_input : ImageInput
        The input that takes the image; a batch that it fixes is freed.
    """
    if image_input.batch is None:
        return BatchFacts(None, False, "the graph"), proto
    source = f"the file fixes it to {image_input.batch}; freed, and checked by runs of several images"
    return BatchFacts(None, False, source), free_batch(proto, image_input.name)


def _try_free_batch(alone: ScoredAlone, opener: SessionOpener, *, scales_by_batch: bool) -> BatchTrial:
    """Find out the same for a file that leaves the batch free."""
    if not scales_by_batch and not alone.is_too_random and alone.hold_together(alone.session):
        return BatchTrial(any_batch(alone.proto, opener.image_input)[0], alone.proto, alone.session)
    source = "a run: several images together fail, or change the scores"
    note = "batches of several images fail, or change the scores: running the images one at a time"
    if alone.is_too_random:
        source = f"{alone.chance.reason}, so that batches of several images cannot be checked"
        note = "whether several images together score as they do alone cannot be checked: running them one at a time"
    batch = BatchFacts(1, False, source)
    return BatchTrial(batch, alone.proto, alone.open(opener, alone.proto, batch), (note,))


def _scales_by_batch(graph: gs.Graph) -> bool:
    """Tell whether the model is quantized by the range of the whole batch, so that the batch changes the scores."""
    return any(node.op.startswith("DynamicQuantize") for node in graph.nodes)


def _open_or_none(alone: ScoredAlone, proto: onnx.ModelProto, opener: SessionOpener) -> Session | None:
    try:
        return alone.open(opener, proto)
    except ModelError:
        return None
