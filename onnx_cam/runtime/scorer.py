"""The loop: every input of a schedule, scored in batches by the score graph.

A method says *what* is scored, by a :class:`Schedule`; how it is run is decided here alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import OutOfMemoryError, ScoreError
from onnx_cam.graph.score_graph import GraphNoise, arranged, colour_columns
from onnx_cam.runtime.batch_size import BatchSize
from onnx_cam.runtime.masks import Masking, is_dead, masks, normalised, upsampled_range
from onnx_cam.runtime.noise import noise_fields
from onnx_cam.runtime.schedule import Rows, Schedule, distinct_rows
from onnx_cam.runtime.score_session import ScoreSession
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Progress", "ScoredModel", "Scorer"]

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with the passes done and the passes known to be needed."""

_CHUNK = 16  # maps whose masks are held at once


class ScoredModel(Protocol):
    """What scoring needs of a model; a :class:`onnx_cam.Classifier` is one."""

    def score_session(self, noise: GraphNoise) -> ScoreSession:
        """Return the session of the score graph with this noise, the same at each call."""
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

    @property
    def target_count(self) -> int:
        """T."""
        return len(self._targets)

    @property
    def size(self) -> tuple[int, int]:
        """``(H, W)`` of the network's input."""
        return self.image.shape[1], self.image.shape[2]

    def baseline(self, kind: ScoreKind) -> NDArray[np.float64]:
        """Return ``f^c(X_b)``, shape (T,)."""
        scores, ran = self._model.baseline_scores(self._baseline, kind)
        self.passes += ran
        self.passes_skipped += not ran
        if not np.isfinite(scores[self._targets]).all():
            raise ScoreError("the model's score of the baseline image is NaN or infinite; choose another --baseline")
        return scores[self._targets]

    def score(self, schedule: Schedule, kind: ScoreKind) -> NDArray[np.float64]:
        """Score every input of a schedule.

        Parameters
        ----------
        schedule : Schedule
        kind : {"probability", "logit"}

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
        rows, which, asked = distinct_rows(schedule)
        scores = self._score_rows(schedule, rows, kind) if len(rows) else np.zeros((0, self.target_count))
        self.passes_skipped += schedule.scale.size - len(rows)
        table = np.zeros((*schedule.scale.shape, self.target_count))
        table[asked] = scores[which]
        return table

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

    def _score_rows(self, schedule: Schedule, rows: Rows, kind: ScoreKind) -> NDArray[np.float64]:
        noise: GraphNoise = "none" if schedule.noise == "map" else schedule.noise
        session = self._model.score_session(noise)
        batch = session.batch_size(self._asked_batch) if self._asked_batch else session.batch
        fields = self._fields(schedule, rows, session)
        run = _Run(session, batch, schedule, kind, self.size, fields, self._image_name)
        session.bind(
            self.image,
            self._targets,
            schedule.maps.shape[1:],
            align_corners=schedule.masking.align_corners,
            fields=None if schedule.noise == "map" else fields,
        )
        try:
            return self._loop(run, rows)
        finally:
            session.release()
            self.batch_size = batch.size
            self.cpu_fallback_nodes = session.cpu_fallback_nodes

    def _loop(self, run: _Run, rows: Rows) -> NDArray[np.float64]:
        scores = np.zeros((len(rows), self.target_count))
        planned = self.passes + len(rows)
        done = 0
        while done < len(rows):
            found = run.score(rows, done)
            scores[done : done + len(found)] = found
            done += len(found)
            self.passes += len(found)
            if self._progress:
                self._progress(self.passes, planned)
        return scores

    def _fields(self, schedule: Schedule, rows: Rows, session: ScoreSession) -> Floats | None:
        """Return the noise of each step that has any, as the score graph takes it (on maps: as they are)."""
        count = int(rows.step.max()) + 1
        if schedule.noise == "none" or (count == 0 and schedule.noise == "map"):
            return None
        layout, channels = session.layout, len(self.image)
        if schedule.noise == "map":
            return noise_fields(self._seed, count, schedule.maps.shape[1:], lambda field: field)
        if schedule.noise == "mask":
            return noise_fields(
                self._seed, max(count, 1), self.size, lambda field: colour_columns(field, layout, channels)
            )
        return noise_fields(self._seed, max(count, 1), self.image.shape, lambda field: arranged(field, layout))


@dataclass(frozen=True)
class _Run:
    """One schedule on one session: rows to the score graph's inputs, and what to do when a run fails."""

    session: ScoreSession
    batch: BatchSize
    schedule: Schedule
    kind: ScoreKind
    size: tuple[int, int]
    fields: Floats | None
    image_name: str

    def score(self, rows: Rows, start: int) -> NDArray[np.float64]:
        """Score the rows from `start` on that make up one batch, fewer where memory runs out."""
        retried = False
        while True:
            part = rows[start : start + self.batch.size]
            started = time.perf_counter()
            try:
                scores = self._run(part)
            except ScoreError as error:
                halved = isinstance(error, OutOfMemoryError) and self.batch.halve()
                if retried and not halved:
                    raise
                retried = retried or not halved
                self.session.reopen()
            else:
                self.batch.ran(len(part), time.perf_counter() - started)
                return self._finite(scores, part, start)

    def _run(self, part: Rows) -> NDArray[np.float64]:
        schedule = self.schedule
        channel = np.maximum(part.channel, 0)  # of a blank mask any map will do: its scale is 0
        if schedule.noise == "map":  # every step has a mask of its own
            maps, map_index = schedule.maps[channel] + self._map_noise(part), np.arange(len(part))
        else:
            channels, map_index = np.unique(channel, return_inverse=True)
            maps = schedule.maps[channels]
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is found just below
            return self.session.run(
                self.kind,
                maps=normalised(maps, self.size, schedule.masking),
                map_index=map_index.reshape(-1),
                scale=part.scale.astype(np.float32),
                field_index=np.maximum(part.step, 0),
                deviation=np.where(part.step >= 0, part.deviation, 0).astype(np.float32),
                constant=self.batch.size,
            )

    def _map_noise(self, part: Rows) -> Floats:
        if self.fields is None:
            return np.zeros((1, 1, 1), np.float32)
        deviation = np.where(part.step >= 0, part.deviation, 0).astype(np.float32)
        return deviation[:, None, None] * self.fields[np.maximum(part.step, 0)]

    def _finite(self, scores: NDArray[np.float64], part: Rows, start: int) -> NDArray[np.float64]:
        bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(bad):
            channel, step = int(part.channel[bad[0]]), int(part.step[bad[0]])
            which = "the blank mask" if channel < 0 else f"channel {channel}"
            sample = f", sample {step}" if step >= 0 else ""
            raise ScoreError(
                f"the model's score is NaN or infinite for {which}{sample} of {self.image_name} "
                f"(pass {start + int(bad[0])}); expected finite scores: "
                "try a smaller --sigma, another --layer, or check the model"
            )
        return scores
