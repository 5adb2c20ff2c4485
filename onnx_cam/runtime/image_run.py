"""Images that are scored as they are: the threads that run them prepare them, a batch each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.score_graph import arranged
from onnx_cam.runtime.block_run import Block, BlockRun, even_size
from onnx_cam.runtime.masks import Masking
from onnx_cam.runtime.score_session import TimedScores
from onnx_cam.runtime.scorer import ScoredModel
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["ImageRun", "score_images"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def score_images(
    model: ScoredModel,
    make: Callable[[int], Floats],
    count: int,
    *,
    shape: tuple[int, int, int],
    targets: Sequence[int],
    score_kind: ScoreKind,
    batch_size: int | None = None,
    name: Callable[[int], str] = "image {}".format,
) -> Doubles:
    """Score images of any content, in full batches and in as many streams as the model's runs have.

    Parameters
    ----------
    model : ScoredModel
        The sessions of the model.
    make : callable
        Returns an image by its number, (C, H, W) float32. Several threads call it at once, each for the batch that it
        runs next.
    count : int
        How many images there are.
    shape : tuple of int
        ``(C, H, W)``.
    targets : sequence of int
        The T classes to score.
    score_kind : {"probability", "logit"}
    batch_size : int, optional
        Images a run; measured by default.
    name : callable
        Returns what an image is called in messages.

    Returns
    -------
    ndarray of shape (count, T), float64

    Raises
    ------
    OutOfMemoryError
        Not even one image fits.
    ScoreError
        The model failed, twice, or a score is NaN or infinite: the image is named.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> x = model.network_input("cat.jpg")
    >>> fades = [x, x / 2, 0 * x]
    >>> scores = score_images(
    ...     model.sessions, fades.__getitem__, 3, shape=x.shape, targets=[1, 3], score_kind="probability"
    ... )
    >>> scores[:, 0].round(2).tolist()
    [0.0, 0.01, 0.05]
    """
    # The graph that adds an offset to its input, bound to an image of zeros, takes any image as the offset.
    session = model.score_session("input")
    batch = session.new_batch_size(batch_size) if batch_size else session.batch
    session.bind(np.zeros(shape, np.float32), targets, (1, 1), Masking())
    scores = np.zeros((count, len(targets)))
    try:
        for block in ImageRun(session, [], make, count, score_kind, name).blocks(batch):
            scores[block.units] = block.scores[:, 0]
    finally:
        session.release()
    return scores


@dataclass(frozen=True)
class ImageRun(BlockRun):
    """Images on one session.

    Attributes
    ----------
    make : callable
        Returns an image by its number, (C, H, W) float32.
    count : int
        How many images there are.
    score_kind : {"probability", "logit"}
    name : callable
        Returns what an image is called in messages.
    """

    make: Callable[[int], Floats]
    count: int
    score_kind: ScoreKind
    name: Callable[[int], str]

    @property
    def shape(self) -> tuple[int, int]:
        """``(count, 1)``."""
        return self.count, 1

    @property
    def steps_a_run(self) -> int:
        """Always 1: each image is a unit of its own."""
        return 1

    def inputs_a_run(self, batch_size: int, remaining: int, streams: int) -> int:
        """Return the largest batch that gives all streams as much to do.

        Of 4 images and 2 streams each takes 2, whatever the batch size is. Images and streams are counted as they are
        at first, so that the measured spread changes no batch.
        """
        return self._even_batch(batch_size)

    def _even_batch(self, batch_size: int) -> int:
        if self.session.fixed_batch:
            return batch_size
        return even_size(self.count, batch_size, self.session.spreads.most_streams)

    def run_block(self, block: Block, batch_size: int) -> TimedScores:
        """Make the images of a block, and run them: the scores are (m, 1, T)."""
        numbers = range(self.count)[block.units]
        images = np.stack([arranged(self.make(number), self.session.layout).reshape(-1) for number in numbers])
        return self.session.run_images(self.score_kind, images, full=min(self._even_batch(batch_size), self.count))

    def not_finite(self, unit: int, step: int) -> str:
        """Return the message for an image whose score is NaN or infinite."""
        return (
            f"the model's score is NaN or infinite for {self.name(unit)}; expected finite scores: "
            "choose another baseline, or check the model"
        )
