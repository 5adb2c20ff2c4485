"""Methods whose weights are mean scores: Score-CAM, SS-CAM(1), SS-CAM(2), IS-CAM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_cam.errors import SettingError
from onnx_cam.graph.heads import softmax
from onnx_cam.methods.contrast import ContrastMethod
from onnx_cam.methods.limit import Limit, read_budget, read_tolerance
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weighed, Weights, difference
from onnx_cam.runtime.masks import is_dead
from onnx_cam.runtime.schedule import Schedule

__all__ = ["MeanScoreMethod"]


@dataclass(frozen=True)
class MeanScoreMethod(ContrastMethod):
    """Base of the methods whose weights are means of scores, or a softmax of such means.

    Parameters
    ----------
    variant : str, optional
    budget : int, float or str, optional
        How many inputs to score: a number, or a share or a percentage of those that an exact map takes. The other
        scores are predicted from these. By default all are scored, as with 0 or a budget that covers them all.
    tolerance : float, optional
        Stop as soon as the upper end of the relative error's interval is at most this.
    versus : int or str, optional
        The class that the target is contrasted with.

    Examples
    --------
    >>> from onnx_cam.methods import ScoreCAM
    >>> ScoreCAM(budget="10%").limit
    Limit(budget=0.1, tolerance=None)
    """

    budget: int | float | str | None = field(default=None, kw_only=True)
    tolerance: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.budget is not None:
            object.__setattr__(self, "budget", read_budget(self.budget))
        if self.tolerance is not None:
            object.__setattr__(self, "tolerance", read_tolerance(self.tolerance))
        if self.limit and self.wiring.softmax:
            able = ", ".join(name for name, variant in self.variants.items() if not variant.softmax)
            raise SettingError(
                f"{self.name} {self.variant} weighs by a softmax over all channels, which needs every channel's score; "
                f"leave out budget and tolerance, or use a variant without a softmax: {able}"
            )

    @property
    def limit(self) -> Limit | None:
        """When to stop; None where the map is to be exact."""
        if self.budget is None and self.tolerance is None:
            return None
        assert not isinstance(self.budget, str)
        return Limit(self.budget, self.tolerance)

    @property
    def subtracts_baseline(self) -> bool:
        """Whether ``f^c(X_b)`` is subtracted: from a contrast score always, unless a softmax would cancel it."""
        return super().subtracts_baseline or (self.versus is not None and not self.wiring.softmax)

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings beside the variant, as in the record; a limit only where there is one."""
        limits = ("budget", "tolerance")
        return {k: v for k, v in super().parameters.items() if k not in limits or v is not None}

    def weigh(self, subject: Subject) -> Weighed:
        """Return α and its error: the schedule's mean scores, reduced as the variant says."""
        # f^c(X_b), (T,). It comes first: the batches that follow may leave no memory for a session of its own.
        baseline = subject.scorer.baseline_scores(subject.score_kind) if self.subtracts_baseline else np.zeros(1)
        baseline = np.broadcast_to(baseline, subject.scorer.target_count)
        # The inputs to score, K maps at N steps: all of them, or as many as the budget or the tolerance allows.
        schedule = self.schedule(subject)
        if self.limit is None:
            return self._weigh_exactly(schedule, subject, baseline)
        from onnx_cam.methods.part_of_passes import weigh_by_part  # imports SciPy

        return weigh_by_part(
            self.limit,
            schedule,
            subject,
            baseline,
            lambda scores: self._weigh_exactly(schedule, subject, baseline, scores),
        )

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        return self.weigh(subject).weights

    def _weigh_exactly(
        self, schedule: Schedule, subject: Subject, baseline: Weights, scores: Weights | None = None
    ) -> Weighed:
        """Return α and its error from the scores of the whole schedule, (K, N, T), which is run where they are None."""
        if scores is None:
            scores = subject.scorer.run(schedule, subject.score_kind)  # (K, N, T)
        # The mean over the samples, less the baseline; a softmax over the channels where the variant has one.
        means = scores.mean(axis=1).T  # (T, K)
        resolution = subject.scorer.resolution  # (T,)
        above_baseline = difference(means, baseline[:, None], resolution[:, None])
        weights = softmax(means) if self.wiring.softmax else np.where(is_dead(subject.maps), 0.0, above_baseline)
        # Without noise, or with one field, the samples say nothing about the error of their mean.
        if schedule.offset == "none" or not schedule.offset_scale.any() or scores.shape[1] < 2:
            return Weighed(weights)
        from onnx_cam.budget.noise_error import estimate_noise_error

        seed = subject.scorer.seed
        by_field = [self._by_field(alpha, scores[..., t].T, resolution[t]) for t, alpha in enumerate(weights)]
        return Weighed(weights, tuple(estimate_noise_error(subject.maps, each, seed=seed) for each in by_field))

    def _by_field(self, weights: Weights, scores: Weights, resolution: float) -> Weights:
        """Return the weights that each noise field gives by itself, (N, K), from its scores (N, K).

        Their mean is α, (K,). A softmax is taken as linear about the mean scores.
        """
        deviations = difference(scores, scores.mean(axis=0), resolution)
        if self.wiring.softmax:
            deviations = weights * (deviations - (deviations @ weights)[:, None])
        return np.asarray(weights + deviations)
