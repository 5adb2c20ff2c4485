"""The loop: every input of a schedule, scored in batches by the score graph.

A method says *what* is scored, by a :class:`Schedule`; how it is run is decided here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.graph.score_graph import GraphNoise, arranged, mask_columns
from onnx_cam.runtime.grid_run import GridRun
from onnx_cam.runtime.masks import Masking, is_dead, masks, upsample, upsampled_range
from onnx_cam.runtime.noise import noise_field, noise_fields
from onnx_cam.runtime.schedule import Grid, NoiseSpace, Schedule, distinct_inputs
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Progress", "ScoredModel", "Scorer"]

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with the passes done and the passes known to be needed."""

_CHUNK = 16  # maps whose masks are held at once


class ScoredModel(Protocol):
    """What scoring needs of a model; a :class:`onnx_cam.Classifier` is one."""

    refused_sizes: set[tuple[int, int]]
    """Sizes of an image at which a run failed."""

    def score_session(self, noise: GraphNoise) -> ScoreSession:
        """Return the session of the score graph with this noise, the same at each call."""
        ...

    def score(self, images: Floats, kind: ScoreKind) -> NDArray[np.float64]:
        """Return the scores (B, classes) of images (B, C, H, W)."""
        ...

    def baseline_scores(self, image: Floats, kind: ScoreKind) -> tuple[NDArray[np.float64], bool]:
        """Return the scores (classes,) of an image (C, H, W), and whether that took a pass."""
        ...


class Scorer:
    """Scores the inputs of schedules for one image.

    Parameters
    ----------
    model : ScoredModel
        The model.
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    targets : sequence of int
        The T classes whose scores are kept: all come from the same passes.
    baseline : ndarray of shape (C, H, W), float32
        X_b.
    seed : int
        Of the noise: the field of a step depends on the seed and the step alone.
    batch_size : int, optional
        Inputs a run; measured without it.
    progress : callable, optional
    image_name : str
        For messages.

    Attributes
    ----------
    batch_size : int
        Inputs a run, as last chosen.
    passes, passes_skipped : int
        Inputs run so far, and inputs asked for that needed no run: dead maps, inputs equal to another, and a baseline
        whose score was known.
    cpu_fallback_nodes : int or None
        Nodes that the provider left to the CPU.
    failures : list of str
        What runs that were repeated had failed with.
    """

    def __init__(
        self,
        model: ScoredModel,
        image: Floats,
        targets: Sequence[int],
        baseline: Floats,
        *,
        seed: int,
        batch_size: int | None = None,
        progress: Progress | None = None,
        image_name: str = "the image",
    ) -> None:
        self._model = model
        self.image = image
        self._targets = list(targets)
        self._baseline = baseline
        self._seed = seed
        self._asked_batch = batch_size
        self._progress = progress
        self._image_name = image_name
        self.batch_size = batch_size or 1
        self.passes = 0
        self.passes_skipped = 0
        self.cpu_fallback_nodes: int | None = 0
        self.failures: list[str] = []

    @property
    def seed(self) -> int:
        """Of the noise."""
        return self._seed

    @property
    def target_count(self) -> int:
        """T."""
        return len(self._targets)

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the network's input."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def baseline_image(self) -> Floats:
        """X_b, (C, H, W)."""
        return self._baseline

    def baseline(self, kind: ScoreKind) -> NDArray[np.float64]:
        """Return ``f^c(X_b)``, shape (T,)."""
        scores, ran = self._model.baseline_scores(self._baseline, kind)
        self.passes += ran
        self.passes_skipped += not ran
        if not np.isfinite(scores[self._targets]).all():
            raise ScoreError("the model's score of the baseline image is NaN or infinite; choose another --baseline")
        return scores[self._targets]

    def noisy_image(self, deviation: float, step: int) -> Floats:
        """Return X with the noise field of a step, of this standard deviation, added; (C, H, W)."""
        return self.image + np.float32(deviation) * noise_field(self._seed, step, self.image.shape)

    def count_pass(self, planned: int) -> None:
        """Take note of a pass that was run elsewhere, one of so many."""
        self.passes += 1
        if self._progress:
            self._progress(self.passes, max(self.passes, planned))

    def skip(self, inputs: int) -> None:
        """Take note of inputs that need no run."""
        self.passes_skipped += inputs

    def score_images(self, images: Floats, kind: ScoreKind) -> NDArray[np.float64]:
        """Return the targets' scores of images (B, C, h, w), resized if the model does not take that size: (B, T)."""
        size = (images.shape[2], images.shape[3])
        if size not in self._model.refused_sizes:
            try:
                return self._score_images(images, kind)
            except OutOfMemoryError:
                raise
            except ScoreError:
                if size == self.size:
                    raise
                self._model.refused_sizes.add(size)
        return self._score_images(upsample(images, self.size), kind)

    def _score_images(self, images: Floats, kind: ScoreKind) -> NDArray[np.float64]:
        scores = self._model.score(images, kind)[:, self._targets]
        self.passes += len(images)
        return scores

    def score(self, schedule: Schedule, kind: ScoreKind, *, later: int = 0) -> NDArray[np.float64]:
        """Score every input of a schedule.

        Parameters
        ----------
        schedule : Schedule
        kind : {"probability", "logit"}
        later : int
            Inputs that are known to be asked for after these, for the progress.

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
        grids = distinct_inputs(schedule)
        planned = self.passes + sum(grid.size for grid in grids) + later
        table = self._table(*schedule.shape)
        ran = 0
        for grid in grids:
            scores = self._score_grid(schedule, grid, kind, planned)  # (U, n, T)
            k, i = np.nonzero(grid.cells)
            table[k, i] = scores[grid.unit_of[k], grid.step_of[i]]
            ran += grid.size
        self.passes_skipped += table[..., 0].size - ran
        return table

    def fields(self, noise: NoiseSpace, count: int, grid: tuple[int, ...]) -> Floats:
        """Return the noise fields of the first steps, (count, …), as a schedule takes them; `grid` is the maps'."""
        return noise_fields(self._seed, count, self._field_shape(noise, grid), np.asarray)

    def masked_spread(self, maps: Floats, masking: Masking) -> NDArray[np.float64]:
        """Return max − min of ``X ⊙ H_k`` for each map, shape (K,); 0 for a dead one.

        As ``H_k`` is not negative, the extremes over the colours are those of the brightest and the darkest colour.
        """
        brightest, darkest = self.image.max(axis=0), self.image.min(axis=0)  # (H, W)
        spread = np.zeros(len(maps))
        for start in range(0, len(maps), _CHUNK):
            made = masks(maps[start : start + _CHUNK], self.size, masking)  # (B, H, W)
            high = (made * brightest).max(axis=(1, 2))
            spread[start : start + _CHUNK] = high - (made * darkest).min(axis=(1, 2))
        return np.where(is_dead(maps), 0, spread)

    def upsampled_spread(self, maps: Floats) -> NDArray[np.float64]:
        """Return max − min of ``U(A_k)`` for each map, shape (K,)."""
        low, high = upsampled_range(maps, self.size)
        return high - low

    def _score_grid(self, schedule: Schedule, grid: Grid, kind: ScoreKind, planned: int) -> NDArray[np.float64]:
        noise: GraphNoise = "none" if schedule.noise == "map" or grid.fields[0] < 0 else schedule.noise
        session = self._model.score_session(noise)
        batch = session.batch_size(self._asked_batch) if self._asked_batch else session.batch
        run = GridRun(
            session,
            schedule,
            grid,
            kind,
            self._fields(schedule, grid, session),
            self.size,
            self._image_name,
            self.failures,
        )
        session.bind(self.image, self._targets, schedule.maps.shape[1:], schedule.masking.align_corners)
        scores = self._table(*grid.shape)
        try:
            for block in run.blocks(batch):
                scores[block.units, block.steps] = block.scores
                self.passes += block.scores[..., 0].size
                if self._progress:
                    self._progress(self.passes, planned)
        finally:
            session.release()
            self.batch_size = batch.size
            self.cpu_fallback_nodes = session.cpu_fallback_nodes
        return scores

    def _table(self, units: int, steps: int) -> NDArray[np.float64]:
        """Return room for scores, (units, steps, T)."""
        try:
            return np.zeros((units, steps, self.target_count))
        except MemoryError as error:
            raise OutOfMemoryError(
                f"the scores of {units} channels, {steps} samples and {self.target_count} targets do not fit; "
                "take fewer --samples, or fewer targets at once"
            ) from error

    def _fields(self, schedule: Schedule, grid: Grid, session: ScoreSession) -> Floats | None:
        """Return the noise of each step, (n, …), as the score graph takes it (on maps: as they are)."""
        count = int(grid.fields.max()) + 1
        if count == 0:
            return None
        layout, channels = session.layout, len(self.image)
        arrange: dict[str, Callable[[Floats], Floats]] = {
            "map": lambda field: field,
            "mask": lambda field: mask_columns(field, layout, channels).reshape(-1),
            "input": lambda field: arranged(field, layout).reshape(-1),
        }
        if schedule.fields is not None:
            return np.stack([arrange[schedule.noise](field) for field in schedule.fields])
        shape = self._field_shape(schedule.noise, schedule.maps.shape[1:])
        return noise_fields(self._seed, count, shape, arrange[schedule.noise])

    def _field_shape(self, noise: NoiseSpace, grid: tuple[int, ...]) -> tuple[int, ...]:
        if noise == "map":
            return grid
        return self.size if noise == "mask" else self.image.shape
