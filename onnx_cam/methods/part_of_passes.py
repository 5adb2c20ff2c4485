"""Weights from a part of the passes: the loop between the plan, the scorer and the regression."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from onnx_cam.budget import (
    SMALLEST_PLAN,
    Channels,
    MapError,
    Observations,
    Regression,
    describe_channels,
    estimate_error,
    growing_rounds,
    next_passes,
    regress,
    round_sizes,
)
from onnx_cam.budget.blas_threads import one_blas_thread
from onnx_cam.methods.base import Subject, Weighed, difference
from onnx_cam.methods.limit import Limit
from onnx_cam.runtime.masks import normalised
from onnx_cam.runtime.schedule import Schedule, distinct_inputs

__all__ = ["weigh_by_part"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_FLAT = "all {} scores are equal: the class plays no part that could be seen, and all weights are equal"
_PLANNERS = 8  # targets that the plan looks at, the first ones: each holds the covariance of all masks
_WORTH_IT = 0.5  # of the exact map's passes: a tolerance that needs more is met by all of them


def weigh_by_part(
    limit: Limit,
    schedule: Schedule,
    subject: Subject,
    baseline: Floats,
    exactly: Callable[[Floats | None], Weighed],
) -> Weighed:
    """Return α of each target from as many of a schedule's inputs as the limit says.

    Parameters
    ----------
    limit : Limit
    schedule : Schedule
        Of the exact map; dead maps are not scored.
    subject : Subject
    baseline : ndarray of shape (T,), float64
        What α lacks of the mean scores.
    exactly : callable
        Weighs by the whole schedule's scores (K, N, T), or runs it where there are none.
    """
    exact = sum(grid.size for grid in distinct_inputs(schedule))
    note = _why_exact(limit, exact)
    if note is not None:
        return replace(exactly(None), exact_passes=exact, notes=(note,))
    inputs = _Inputs(schedule, subject)
    most = min(limit.passes(exact) - inputs.blank, inputs.count)
    with one_blas_thread():
        part = _Part(inputs, subject, baseline, later=max(most, SMALLEST_PLAN) if limit.tolerance is None else 0)
        if limit.tolerance is None:
            part.run(round_sizes(max(most, SMALLEST_PLAN)))
        else:
            part.run_until(limit.tolerance, max(most, SMALLEST_PLAN))
        found = part.found()
    notes = part.notes(limit, most)
    subject.scorer.skip(schedule.shape[0] * schedule.shape[1] - exact)
    if part.is_complete:
        found = replace(exactly(part.all_scores()), own_notes=found.own_notes)
    return replace(found, exact_passes=exact, notes=notes)


def _why_exact(limit: Limit, exact: int) -> str | None:
    """Return why a whole schedule is to be run; None where a part may do."""
    if limit.budget == 0 or (limit.budget is None and limit.tolerance == 0):
        return "nothing is to be left out: the map is exact"
    if exact <= SMALLEST_PLAN:
        return f"too few passes to save any, {exact}: the map is exact"
    if limit.passes(exact) >= exact and not limit.tolerance:
        return f"the budget covers all {exact:,} passes: the map is exact"
    return None


@dataclass(frozen=True)
class _Inputs:
    """A schedule as masks and samples: what of it differs, and how it is scored.

    A step of the path whose factor is 0 has one score for all masks. Where all other steps are alike, they are one
    sample.
    """

    schedule: Schedule
    subject: Subject

    @cached_property
    def channels(self) -> Channels:
        masks = normalised(self.schedule.maps, self.subject.scorer.size, self.schedule.masking)
        return describe_channels(self.schedule.maps, masks)

    @cached_property
    def noisy(self) -> bool:
        return self.schedule.noise != "none" and bool(self.schedule.deviation.any())

    @cached_property
    def steps(self) -> Floats:
        """The factor of each sample, (N,)."""
        steps = self.schedule.path[self.schedule.path != 0]
        return np.asarray(steps if self.noisy or len(np.unique(steps)) > 1 else steps[:1])

    @property
    def samples(self) -> int:
        return len(self.steps)

    @property
    def count(self) -> int:
        """Masks times samples."""
        return self.channels.count * self.samples

    @property
    def blank_share(self) -> float:
        """The share of the path's steps that leave nothing of the image."""
        return float((self.schedule.path == 0).mean())

    @property
    def blank(self) -> int:
        """The passes that the blank input takes, 0 or 1."""
        return int(self.blank_share > 0)

    def blank_score(self, later: int) -> Floats:
        """Return the score of the blank input, (T,)."""
        first = self.channels.representatives[:1]
        blank = Schedule(self.schedule.maps[first], path=np.zeros(1), masking=self.schedule.masking)
        return np.asarray(self.subject.scorer.score(blank, self.subject.score, later=later)[0, 0])

    def scores(self, mask: Indices, sample: Indices, later: int) -> Floats:
        """Return the scores of inputs (n, T), those of one sample in the same runs."""
        scores = np.zeros((len(mask), self.subject.scorer.target_count))
        left = len(mask) + later
        for i in np.unique(sample):
            where = np.flatnonzero(sample == i)
            left -= len(where)
            part = self._part(self.channels.representatives[mask[where]], int(i))
            scores[where] = self.subject.scorer.score(part, self.subject.score, later=left)[:, 0]
        return scores

    def _part(self, channel: Indices, sample: int) -> Schedule:
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
        return replace(part, noise=whole.noise, deviation=whole.deviation[channel], fields=field)

    @cached_property
    def _fields(self) -> NDArray[np.float32]:
        grid = self.schedule.maps.shape[1:]
        return np.asarray(self.subject.scorer.fields(self.schedule.noise, self.samples, grid))


class _Part:
    """The passes so far of all targets."""

    def __init__(self, inputs: _Inputs, subject: Subject, baseline: Floats, later: int) -> None:
        self._inputs = inputs
        self._subject = subject
        self._probability = subject.score == "probability"
        self._seed = subject.scorer.seed
        share = inputs.blank_share
        self._blank = inputs.blank_score(later) if share else np.zeros(1)
        self._baseline = (baseline - share * self._blank) / (1 - share)
        self._reached = False
        self._observed = Observations.none(subject.scorer.target_count, inputs.samples)

    def run(self, sizes: tuple[int, ...]) -> None:
        """Run rounds of these sizes."""
        left = sum(sizes)
        for size in sizes:
            left -= size
            self._round(size, left)

    def run_until(self, tolerance: float, most: int) -> None:
        """Run rounds until every target's share left is within the tolerance, or so many passes were run."""
        for size in growing_rounds(self._inputs.count):
            had = len(self._observed.mask)
            if min(had + size, most) > _WORTH_IT * self._inputs.count:
                self._all() if most == self._inputs.count else self._round(most - had, 0)
            else:
                self._round(min(size, most - had), 0)
            self._reached = all(error.high <= tolerance for _, error in self._regressed())
            if self._reached or len(self._observed.mask) >= most:
                return

    def notes(self, limit: Limit, most: int) -> tuple[str, ...]:
        """Return what there is to say of how the limit was kept."""
        if self.is_complete:
            what = "the budget" if limit.tolerance is None else f"a share left of {limit.tolerance:g}"
            return (f"{what} took all passes: the map is exact",)
        said = []
        if most < SMALLEST_PLAN:
            said.append(f"fewer than {SMALLEST_PLAN} passes say too little of a class: {SMALLEST_PLAN} were run")
        if limit.tolerance is not None and not self._reached:
            every = " for every class" if self._observed.score.shape[1] > 1 else ""
            said.append(f"the budget ended before a share left of {limit.tolerance:g} was reached{every}")
        return tuple(said)

    @property
    def is_complete(self) -> bool:
        """Whether every input was scored."""
        return len(self._observed.mask) == self._inputs.count

    def all_scores(self) -> Floats:
        """Return the scores of the whole schedule, (K, N, T); 0 for dead maps."""
        inputs, observed = self._inputs, self._observed
        table = np.zeros((inputs.channels.count, inputs.samples, observed.score.shape[1]))
        table[observed.mask, observed.sample] = observed.score
        path = inputs.schedule.path
        whole = np.empty((len(table), len(path), table.shape[2]))
        whole[:, path == 0] = self._blank
        whole[:, path != 0] = table
        mask_of = inputs.channels.mask_of
        return np.asarray(np.where((mask_of < 0)[:, None, None], 0.0, whole[mask_of]))

    def found(self) -> Weighed:
        """Return α and its error for each target."""
        share = 1 - self._inputs.blank_share
        mask_of = self._inputs.channels.mask_of
        weights, errors, notes = [], [], []
        for regression, error in self._regressed():
            of_mask = share * difference(regression.scores, np.asarray(regression.baseline))
            weights.append(np.where(mask_of < 0, 0.0, of_mask[mask_of]))
            errors.append(error.scaled(share))
            notes.append((_FLAT.format(len(self._observed.mask)),) if regression.is_flat else ())
        return Weighed(np.stack(weights), tuple(errors), own_notes=tuple(notes))

    def _round(self, size: int, later: int) -> None:
        channels, coarse = self._inputs.channels, self._observed.coarse()
        regressions = list(islice(self._regressions(coarse), _PLANNERS)) if len(coarse.mask) else []
        mask, sample = next_passes(channels, coarse, size, regressions, seed=self._seed)
        self._score(mask, sample, later)

    def _all(self) -> None:
        """Run what is left."""
        missing = np.ones((self._inputs.channels.count, self._inputs.samples), bool)
        missing[self._observed.mask, self._observed.sample] = False
        mask, sample = np.nonzero(missing)
        self._score(mask, sample, 0)

    def _score(self, mask: Indices, sample: Indices, later: int) -> None:
        self._observed = self._observed.joined(mask, sample, self._inputs.scores(mask, sample, later))

    def _regressions(self, observed: Observations) -> Iterator[Regression]:
        for t, baseline in enumerate(self._baseline):
            yield regress(self._inputs.channels, observed, t, baseline=float(baseline), probability=self._probability)

    def _regressed(self) -> Iterator[tuple[Regression, MapError]]:
        for regression in self._regressions(self._observed):
            yield regression, estimate_error(self._inputs.channels, regression, seed=self._seed)
