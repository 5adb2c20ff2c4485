"""The loop: every input of a schedule, scored in batches by the score graph.

A method says *what* is scored, by a :class:`onnx_cam.runtime.schedule.Schedule`; how it is run is decided only here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.graph.score_graph import GraphOffset, arranged, mask_columns
from onnx_cam.runtime.masks import Masking, is_dead, masks, upsample, upsampled_range
from onnx_cam.runtime.noise import noise_field, noise_fields
from onnx_cam.runtime.schedule import NO_FIELD, Grid, OffsetSpace, Schedule, distinct_inputs
from onnx_cam.runtime.scored_classes import VANISHING, ScoredClasses
from onnx_cam.runtime.scores import ScoreKind

if TYPE_CHECKING:
    from onnx_cam.runtime.score_session import ScoreSession

__all__ = ["Progress", "ScoredModel", "Scorer"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with the forward passes done, and the forward passes known to be needed.

It is also called while a long run lasts, with the same numbers again. What it raises ends the work."""

_CHUNK = 16  # maps whose masks are held at once


class ScoredModel(Protocol):
    """What scoring needs of a model: :class:`onnx_cam.classifier.sessions.ModelSessions` provides it."""

    refused_sizes: set[tuple[int, int]]
    """Sizes of an image at which a run failed."""

    def score_session(self, offset: GraphOffset) -> ScoreSession:
        """Return the session of the score graph with this offset, the same at each call."""
        ...

    def scores(self, images: Floats, score_kind: ScoreKind) -> Doubles:
        """Return the scores (B, classes) of images (B, C, H, W)."""
        ...

    def baseline_scores(self, image: Floats, score_kind: ScoreKind) -> tuple[Doubles, bool]:
        """Return the scores (classes,) of an image (C, H, W), and whether that took a forward pass."""
        ...


class Scorer:
    """Scores the inputs of schedules for one image.

    Parameters
    ----------
    model : ScoredModel
        The sessions of the model.
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    targets : sequence of int
        The T classes whose scores are kept: all come from the same forward passes.
    versus : sequence of int
        The class that each target is contrasted with: the scores are then contrast scores, from the same forward
        passes. Empty where a target's own score is explained.
    baseline : ndarray of shape (C, H, W), float32
        X_b.
    seed : int
        The seed of the noise: a step's field depends only on the seed and the step.
    batch_size : int, optional
        Inputs a run; measured by default.
    progress : callable, optional
        See `Progress`.
    image_name : str
        For messages.

    Attributes
    ----------
    image : ndarray of shape (C, H, W), float32
        X.
    baseline_image : ndarray of shape (C, H, W), float32
        X_b.
    seed : int
        The seed of the noise.
    batch_size, streams : int
        Inputs a run, and runs at once, as last chosen.
    passes, passes_skipped : int
        Forward passes so far, and inputs that needed none: dead maps, inputs equal to another, and a baseline whose
        score is kept.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU.
    failures : list of str
        The messages of runs that failed and were repeated.
    resolution : ndarray of shape (T,), float64
        The least difference between two contrast scores that is not a rounding error, as far as scores are known; 0
        without a contrast.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> image = model.network_input("cat.jpg")
    >>> maps = model.sessions.activations(model.layer(), image).maps
    >>> scorer = Scorer(model.sessions, image, [1], np.zeros_like(image), seed=0)
    >>> scorer.run(Schedule(maps, path=np.ones(1)), "probability").shape
    (6, 1, 1)
    >>> scorer.passes, scorer.passes_skipped
    (4, 2)
    """

    def __init__(
        self,
        model: ScoredModel,
        image: Floats,
        targets: Sequence[int],
        baseline: Floats,
        *,
        seed: int,
        versus: Sequence[int] = (),
        batch_size: int | None = None,
        progress: Progress | None = None,
        image_name: str = "the image",
    ) -> None:
        self.image = image
        self.baseline_image = baseline
        self.seed = seed
        self.batch_size, self.streams = batch_size or 1, 1
        self.passes = 0
        self.passes_skipped = 0
        self.cpu_fallback_nodes: int | None = 0
        self.failures: list[str] = []
        self._model = model
        self._classes = ScoredClasses(list(targets), list(versus))
        self.resolution: Doubles = np.zeros(len(targets))
        self._highest_pair: float | None = None  # of the probabilities of a contrast; None before any is scored
        self._requested_batch = batch_size
        self._progress = progress
        self._image_name = image_name

    @property
    def target_count(self) -> int:
        """T."""
        return len(self._classes.targets)

    @property
    def pairs_vanish(self) -> bool:
        """Whether the probabilities of both classes of every contrast vanished in every scored image."""
        return self._highest_pair is not None and self._highest_pair < VANISHING

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the network's input."""
        return self.image.shape[1], self.image.shape[2]

    def run(self, schedule: Schedule, score_kind: ScoreKind, *, later: int = 0) -> Doubles:
        """Score every input of a schedule.

        Parameters
        ----------
        schedule : Schedule
            K maps at N steps.
        score_kind : {"probability", "logit"}
        later : int
            Forward passes that are known to follow these, for the progress.

        Returns
        -------
        ndarray of shape (K, N, T), float64
            0 for dead maps that are not to be scored.

        Raises
        ------
        OutOfMemoryError
            Not even one input fits.
        ScoreError
            The model failed, twice, or a score is NaN or infinite: the channel and the step are named.
        """
        # Only the inputs that differ are run, in up to three grids of U units × n steps.
        grids = distinct_inputs(schedule)
        planned = self.passes + sum(grid.size for grid in grids) + later
        scores = self._table(*schedule.shape)  # (K, N, n), of the n classes that the targets need
        passes = 0
        for grid in grids:
            grid_scores = self._run_grid(schedule, grid, score_kind, planned)
            # Each cell of the schedule takes the score of the unit and the step that stand for it.
            k, i = np.nonzero(grid.cells)
            scores[k, i] = grid_scores[grid.unit_of[k], grid.step_of[i]]
            passes += grid.size
        self.passes_skipped += scores[..., 0].size - passes
        return self._combined(scores, score_kind)

    def baseline_scores(self, score_kind: ScoreKind) -> Doubles:
        """Return ``f^c(X_b)``, shape (T,)."""
        scores, ran = self._model.baseline_scores(self.baseline_image, score_kind)
        self.passes += ran
        self.passes_skipped += not ran
        if not np.isfinite(scores[self._classes.distinct]).all():
            raise ScoreError("the model's score of the baseline image is NaN or infinite; choose another --baseline")
        return self._combined(scores[self._classes.distinct], score_kind)

    def run_images(self, images: Floats, score_kind: ScoreKind) -> Doubles:
        """Return the scores (B, T) of images (B, C, h, w), resized where the model does not take that size."""
        size = (images.shape[2], images.shape[3])
        if size not in self._model.refused_sizes:
            try:
                return self._run_images(images, score_kind)
            except OutOfMemoryError:
                raise
            except ScoreError:
                if size == self.size:
                    raise
                self._model.refused_sizes.add(size)
        return self._run_images(upsample(images, self.size), score_kind)

    def noisy_image(self, deviation: float, step: int) -> Floats:
        """Return X with a step's noise of this standard deviation added, (C, H, W)."""
        return self.image + np.float32(deviation) * noise_field(self.seed, step, self.image.shape)

    def fields(self, offset: OffsetSpace, count: int, grid: tuple[int, ...]) -> Floats:
        """Return the noise fields of the first steps, (count, …), as a schedule takes them.

        Parameters
        ----------
        offset : {"map", "mask", "input"}
            What they are to be added to.
        count : int
            How many steps.
        grid : tuple of int
            ``(h, w)`` of the maps.
        """
        return noise_fields(self.seed, count, self._field_shape(offset, grid), np.asarray)

    def count_pass(self, planned: int) -> None:
        """Count a forward pass that ran elsewhere, one of `planned`."""
        self.passes += 1
        if self._progress:
            self._progress(self.passes, max(self.passes, planned))

    def skip(self, inputs: int) -> None:
        """Count inputs that needed no forward pass."""
        self.passes_skipped += inputs

    def masked_spread(self, maps: Floats, masking: Masking) -> Doubles:
        """Return max − min of ``X ⊙ H_k`` for each map, shape (K,); 0 for a dead one.

        As ``H_k`` is not negative, the extremes over the colours are those of the brightest and the darkest colour.
        """
        brightest, darkest = self.image.max(axis=0), self.image.min(axis=0)  # (H, W)
        spread = np.zeros(len(maps))
        for start in range(0, len(maps), _CHUNK):
            chunk = masks(maps[start : start + _CHUNK], self.size, masking)  # (B, H, W)
            high = (chunk * brightest).max(axis=(1, 2))
            spread[start : start + _CHUNK] = high - (chunk * darkest).min(axis=(1, 2))
        return np.where(is_dead(maps), 0, spread)

    def upsampled_spread(self, maps: Floats, frame: Frame = WHOLE) -> Doubles:
        """Return max − min of ``U(A_k)`` within the frame for each map, shape (K,)."""
        low, high = upsampled_range(maps, self.size, frame=frame)
        return high - low

    def _run_images(self, images: Floats, score_kind: ScoreKind) -> Doubles:
        scores = self._model.scores(images, score_kind)[:, self._classes.distinct]
        self.passes += len(images)
        return self._combined(scores, score_kind)

    def _combined(self, scores: Doubles, score_kind: ScoreKind) -> Doubles:
        """Return the scores of the targets, (…, T), of those of the classes that they need, (…, n)."""
        if self._classes.versus:
            self.resolution = np.maximum(self.resolution, self._classes.resolution(scores, score_kind))
            if score_kind == "probability":
                self._highest_pair = max(self._highest_pair or 0.0, self._classes.highest_pair(scores))
        return self._classes.combine(scores, score_kind)

    def _run_grid(self, schedule: Schedule, grid: Grid, score_kind: ScoreKind, planned: int) -> Doubles:
        """Return the scores of a grid's inputs for the classes that the targets need, as (units, steps, classes)."""
        from onnx_cam.runtime.grid_run import GridRun

        # The session whose graph adds this grid's offset. An offset of the maps is added before they are normalised.
        offset: GraphOffset = "none"
        if schedule.offset != "map" and grid.field[0] != NO_FIELD:
            offset = schedule.offset
        session = self._model.score_session(offset)
        batch = session.new_batch_size(self._requested_batch) if self._requested_batch else session.batch
        fields = self._grid_fields(schedule, grid, session)  # (n, …), or None
        run = GridRun(session, self.failures, schedule, grid, score_kind, fields, self.size, self._image_name)
        # Image and upsampling stay on the device for all runs; the scores come back block by block.
        session.bind(self.image, self._classes.distinct, schedule.maps.shape[1:], schedule.masking)
        scores = self._table(*grid.shape)
        try:
            for block in run.blocks(batch, partial(self._report, planned) if self._progress else None):
                scores[block.units, block.steps] = block.scores
                self.passes += block.scores[..., 0].size
                self._report(planned)
        finally:
            session.release()
            self.batch_size, self.streams = batch.size, session.spread.streams
            self.cpu_fallback_nodes = session.cpu_fallback_nodes
        return scores

    def _report(self, planned: int) -> None:
        """Tell how many passes are done, of those that are planned."""
        if self._progress:
            self._progress(self.passes, planned)

    def _table(self, units: int, steps: int) -> Doubles:
        """Return room for scores, (units, steps, n), of the n classes that the targets need."""
        classes = len(self._classes.distinct)
        try:
            return np.zeros((units, steps, classes))
        except MemoryError as error:
            raise OutOfMemoryError(
                f"out of memory: the scores of {units} channels, {steps} samples and {classes} targets do "
                "not fit; use fewer --samples, or fewer targets at once"
            ) from error

    def _grid_fields(self, schedule: Schedule, grid: Grid, session: ScoreSession) -> Floats | None:
        """Return the offset field of each step, (n, …), as the score graph takes it (on maps: as it is)."""
        count = int(grid.field.max()) + 1
        if count == 0:
            return None
        layout, channels = session.layout, len(self.image)
        arrange: dict[str, Callable[[Floats], Floats]] = {
            "map": lambda field: field,
            "mask": lambda field: mask_columns(field, layout, channels).reshape(-1),
            "input": lambda field: arranged(field, layout).reshape(-1),
        }
        if schedule.offset_fields is not None:
            return np.stack([arrange[schedule.offset](field) for field in schedule.offset_fields])
        shape = self._field_shape(schedule.offset, schedule.maps.shape[1:])
        return noise_fields(self.seed, count, shape, arrange[schedule.offset])

    def _field_shape(self, offset: OffsetSpace, grid: tuple[int, ...]) -> tuple[int, ...]:
        if offset == "map":
            return grid
        return self.size if offset == "mask" else self.image.shape
