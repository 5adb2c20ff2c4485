"""Weights from a part of the forward passes: plan, score and regress in rounds until a limit is reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget.blas_threads import one_blas_thread
from onnx_cam.budget.features import DEAD, Channels, describe_channels
from onnx_cam.budget.map_error import MapError
from onnx_cam.budget.observations import Observations
from onnx_cam.budget.plan import SMALLEST_PLAN, growing_rounds, next_passes, round_sizes
from onnx_cam.budget.regression import Regression, regress
from onnx_cam.budget.regression_error import estimate_error
from onnx_cam.methods.limit import Limit
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weighed, difference
from onnx_cam.runtime.masks import normalised
from onnx_cam.runtime.schedule import Schedule, distinct_inputs

__all__ = ["weigh_by_part"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

_PLANNED_TARGETS = 8  # the plan uses the first ones only: each holds the covariance of all masks
_WORTHWHILE = 0.5  # a tolerance that needs more than this share of an exact map's passes is met by running them all


def weigh_by_part(
    limit: Limit,
    schedule: Schedule,
    subject: Subject,
    baseline: Doubles,
    exactly: Callable[[Doubles | None], Weighed],
) -> Weighed:
    """Return the weights α of each target from as many of a schedule's inputs as the limit allows.

    Parameters
    ----------
    limit : Limit
        A budget, a tolerance, or both.
    schedule : Schedule
        The inputs of the exact map; dead maps are not scored.
    subject : Subject
        The image, its activation maps, and the means to score inputs.
    baseline : ndarray of shape (T,), float64
        What is subtracted from the mean scores of each target: the baseline's score, or 0.
    exactly : callable
        Returns the exact weights, given the scores (K, N, T) of the whole schedule; given None, it runs the schedule.

    Returns
    -------
    Weighed
        With the error of each target's map, unless the map is exact.
    """
    # Run the whole schedule where a part of it would save nothing.
    exact = sum(grid.size for grid in distinct_inputs(schedule))  # the forward passes of an exact map
    reason = _why_exact(limit, exact)
    if reason is not None:
        return replace(exactly(None), exact_passes=exact, notes=(f"{reason}: the map is exact",))

    # See the schedule as M masks times N samples, and count the passes that the limit allows.
    inputs = _Inputs(schedule, subject)
    allowed = min(limit.passes(exact) - inputs.blank_passes, inputs.count)
    most = max(allowed, SMALLEST_PLAN)

    # Score masks in rounds, and predict the scores of the others. BLAS would wait for ONNX Runtime's threads.
    with one_blas_thread():
        run = _PartialRun(inputs, subject, baseline, expected_passes=most if limit.tolerance is None else 0)
        if limit.tolerance is None:
            run.run_rounds(round_sizes(most))
        else:
            run.run_until(limit.tolerance, most)
        weighed = run.weigh()  # α is (T, K)
    notes = run.notes(limit, allowed)

    # Channels that share an input were never candidates: count them as skipped, as an exact run does.
    subject.scorer.skip(schedule.shape[0] * schedule.shape[1] - exact)

    # If the rounds ended up scoring everything, the weights are those of an exact run.
    if run.is_complete:
        weighed = replace(exactly(run.all_scores()), own_notes=weighed.own_notes)
    return replace(weighed, exact_passes=exact, notes=notes)


def _why_exact(limit: Limit, exact: int) -> str | None:
    """Return why the whole schedule is run, or None if a part of it is enough."""
    if limit.budget == 0 or (limit.budget is None and limit.tolerance == 0):
        setting = "tolerance" if limit.budget is None else "budget"
        return f"a {setting} of 0 runs all {exact:,} forward passes"
    if exact <= SMALLEST_PLAN:
        return f"{exact} forward passes are too few to predict any of them, so all were run"
    if limit.passes(exact) >= exact and not limit.tolerance:
        return f"the budget covers all {exact:,} forward passes"
    return None


@dataclass(frozen=True)
class _Inputs:
    """A schedule as M distinct masks times N distinct samples, and how such inputs are scored.

    A step of the path whose factor is 0 gives the same blank input for all masks, so it is scored once and is not a
    sample. If all other steps are equal, they are one sample.
    """

    schedule: Schedule
    subject: Subject

    @cached_property
    def channels(self) -> Channels:
        """The distinct masks."""
        masks = normalised(self.schedule.maps, self.subject.scorer.size, self.schedule.masking)
        return describe_channels(self.schedule.maps, masks)

    @cached_property
    def noisy(self) -> bool:
        """Whether samples differ by their noise."""
        return self.schedule.offset != "none" and bool(self.schedule.offset_scale.any())

    @cached_property
    def steps(self) -> Doubles:
        """The factor of each sample, (N,)."""
        steps = self.schedule.path[self.schedule.path != 0]
        return np.asarray(steps if self.noisy or len(np.unique(steps)) > 1 else steps[:1])

    @property
    def samples(self) -> int:
        """N."""
        return len(self.steps)

    @property
    def count(self) -> int:
        """M · N."""
        return self.channels.count * self.samples

    @property
    def blank_share(self) -> float:
        """The share, 0 to below 1, of the path's steps at which the input is blank."""
        return float((self.schedule.path == 0).mean())

    @property
    def blank_passes(self) -> int:
        """The forward passes that the blank input takes, 0 or 1."""
        return int(self.blank_share > 0)

    def blank_score(self, later: int) -> Doubles:
        """Return the scores of the blank input, (T,); `later` passes will follow, which the progress counts."""
        first = self.channels.representatives[:1]
        blank = Schedule(self.schedule.maps[first], path=np.zeros(1), masking=self.schedule.masking)
        return np.asarray(self.subject.scorer.run(blank, self.subject.score_kind, later=later)[0, 0])

    def scores(self, mask: Indices, sample: Indices, later: int) -> Doubles:
        """Return the scores of inputs, (n, T); the inputs of one sample are run together.

        Parameters
        ----------
        mask, sample : ndarray of shape (n,), int64
        later : int
            The forward passes that will follow these, which the progress counts.
        """
        scores = np.zeros((len(mask), self.subject.scorer.target_count))
        remaining = len(mask) + later
        for i in np.unique(sample):
            rows = np.flatnonzero(sample == i)
            remaining -= len(rows)
            part = self._part(self.channels.representatives[mask[rows]], int(i))
            scores[rows] = self.subject.scorer.run(part, self.subject.score_kind, later=remaining)[:, 0]
        return scores

    def _part(self, channel: Indices, sample: int) -> Schedule:
        """Return the schedule of some channels at one sample, with the noise that the whole schedule has there."""
        whole = self.schedule
        part = Schedule(
            whole.maps[channel],
            path=self.steps[sample : sample + 1],
            masking=whole.masking,
            channels=channel,
            first_step=sample,
        )
        if not self.noisy:
            return part
        field = self._fields[sample : sample + 1]
        return replace(part, offset=whole.offset, offset_scale=whole.offset_scale[channel], offset_fields=field)

    @cached_property
    def _fields(self) -> Floats:
        """The noise field of each sample, (N, …)."""
        grid = self.schedule.maps.shape[1:]
        return np.asarray(self.subject.scorer.fields(self.schedule.offset, self.samples, grid))


class _PartialRun:
    """The forward passes run so far, and what they tell about the map of each target.

    Parameters
    ----------
    inputs : _Inputs
    subject : Subject
    baseline : ndarray of shape (T,), float64
    expected_passes : int
        How many passes will follow the blank input, which the progress counts; 0 if unknown.
    """

    def __init__(self, inputs: _Inputs, subject: Subject, baseline: Doubles, expected_passes: int) -> None:
        self._inputs = inputs
        self._subject = subject
        self._probability = subject.score_kind == "probability"
        self._seed = subject.scorer.seed
        share = inputs.blank_share
        self._blank = inputs.blank_score(expected_passes) if share else np.zeros(1)
        # The mean over the path includes its blank steps. Their score is known, so it moves into the baseline.
        self._baseline = (baseline - share * self._blank) / (1 - share)  # (T,)
        self._tolerance_met = False
        self._observations = Observations.none(subject.scorer.target_count, inputs.samples)
        self._estimated: list[tuple[Regression, MapError]] = []  # from these observations, for the first targets

    def run_rounds(self, sizes: tuple[int, ...]) -> None:
        """Run rounds of these sizes."""
        remaining = sum(sizes)
        for size in sizes:
            remaining -= size
            self._run_round(size, remaining)

    def run_until(self, tolerance: float, most: int) -> None:
        """Run rounds until the relative error of every target is within the tolerance, or `most` passes were run."""
        for size in growing_rounds(self._inputs.count):
            done = len(self._observations.mask)
            # A tolerance that needs so many passes is met sooner by running the rest than by further rounds.
            if min(done + size, most) > _WORTHWHILE * self._inputs.count:
                self._run_remaining() if most == self._inputs.count else self._run_round(most - done, 0)
            else:
                self._run_round(min(size, most - done), 0)
            self._tolerance_met = all(error.high <= tolerance for _, error in self._estimates())
            if self._tolerance_met or len(self._observations.mask) >= most:
                return

    def notes(self, limit: Limit, allowed: int) -> tuple[str, ...]:
        """Return what the reader of the map should know about how the limit was kept.

        Parameters
        ----------
        limit : Limit
        allowed : int
            The forward passes that the limit allows, before it is raised to the smallest plan.
        """
        goal = "" if limit.tolerance is None else f"a relative error within {limit.tolerance:g}"
        if self.is_complete:
            return (f"{goal or 'the budget'} took all forward passes: the map is exact",)
        notes = []
        if allowed < SMALLEST_PLAN:
            fewest = SMALLEST_PLAN
            notes.append(f"fewer than {fewest} forward passes cannot predict the other scores, so {fewest} were run")
        if goal and not self._tolerance_met:
            targets = " for every class" if self._observations.score.shape[1] > 1 else ""
            notes.append(f"the budget was used up before {goal} was reached{targets}")
        return tuple(notes)

    @property
    def is_complete(self) -> bool:
        """Whether every input was scored."""
        return len(self._observations.mask) == self._inputs.count

    def all_scores(self) -> Doubles:
        """Return the scores of the whole schedule, (K, N, T), after a complete run; 0 for dead maps."""
        inputs, observations = self._inputs, self._observations
        scores = np.zeros((inputs.channels.count, inputs.samples, observations.score.shape[1]))  # (M, samples, T)
        scores[observations.mask, observations.sample] = observations.score
        # Put the blank steps of the path back: every mask has the same score there.
        path = inputs.schedule.path
        mask_scores = np.empty((len(scores), len(path), scores.shape[2]))  # (M, N, T)
        mask_scores[:, path == 0] = self._blank
        mask_scores[:, path != 0] = scores
        mask_of = inputs.channels.mask_of
        return np.asarray(np.where((mask_of == DEAD)[:, None, None], 0.0, mask_scores[mask_of]))

    def weigh(self) -> Weighed:
        """Return α for each target, (T, K), with the error of its map."""
        share = 1 - self._inputs.blank_share
        mask_of = self._inputs.channels.mask_of
        weights, errors, notes = [], [], []
        for t, (regression, error) in enumerate(self._estimates()):
            # The blank steps of the path are in the baseline, so scores and errors count for the other steps only.
            resolution = self._subject.scorer.resolution[t]
            above_baseline = difference(regression.scores, np.asarray(regression.baseline), resolution)  # (M,)
            mask_weights = share * above_baseline
            weights.append(np.where(mask_of == DEAD, 0.0, mask_weights[mask_of]))
            errors.append(error.scaled(share))
            notes.append((self._note_of_flat_scores(),) if regression.is_flat else ())
        return Weighed(np.stack(weights), tuple(errors), own_notes=tuple(notes))

    def _note_of_flat_scores(self) -> str:
        count = len(self._observations.mask)
        return f"all {count:,} scores are equal, so the weights are too: the map does not depend on the class"

    def _run_round(self, size: int, later: int) -> None:
        """Plan and run one round; `later` passes will follow it."""
        # Plan with coarse scores, so that the plan does not depend on the batch size.
        channels, coarse = self._inputs.channels, self._observations.coarse()
        targets = range(min(len(self._baseline), _PLANNED_TARGETS)) if len(coarse.mask) else ()
        regressions = [self._regression(coarse, target) for target in targets]
        mask, sample = next_passes(channels, coarse, size, regressions, seed=self._seed)
        self._run(mask, sample, later)

    def _run_remaining(self) -> None:
        """Run every input that was not scored yet."""
        missing = np.ones((self._inputs.channels.count, self._inputs.samples), bool)
        missing[self._observations.mask, self._observations.sample] = False
        mask, sample = np.nonzero(missing)
        self._run(mask, sample, 0)

    def _run(self, mask: Indices, sample: Indices, later: int) -> None:
        self._observations = self._observations.joined(mask, sample, self._inputs.scores(mask, sample, later))
        self._estimated = []

    def _regression(self, observations: Observations, target: int) -> Regression:
        """Return the regression of a target."""
        baseline = float(self._baseline[target])
        return regress(self._inputs.channels, observations, target, baseline=baseline, probability=self._probability)

    def _estimates(self) -> Iterator[tuple[Regression, MapError]]:
        """Yield the regression of each target and the error of its map, both made once for the same observations."""
        for target in range(len(self._baseline)):
            if target == len(self._estimated):
                regression = self._regression(self._observations, target)
                error = estimate_error(self._inputs.channels, regression, seed=self._seed)
                self._estimated.append((regression, error))
            yield self._estimated[target]
