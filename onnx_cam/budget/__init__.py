"""A map from a part of the passes: which masks to score, what the others' scores are, and how sure the map is.

No model is run here, and nothing is drawn but from a seed::

    channels = describe_channels(maps, masks)
    observed = Observations.none(targets=1)
    for size in round_sizes(budget):
        regressions = [regress(channels, observed)] if len(observed.mask) else []
        mask, sample = next_passes(channels, observed, size, regressions)
        observed = observed.joined(mask, sample, scores_of(mask, sample))
    result = regress(channels, observed)  # .weights, one a mask
    error = estimate_error(channels, result)
"""

from onnx_cam.budget.features import Channels, describe_channels
from onnx_cam.budget.map_error import MapError, estimate_error, estimate_noise_error, relative_error
from onnx_cam.budget.observations import Observations
from onnx_cam.budget.plan import SMALLEST_PLAN, growing_rounds, next_passes, round_sizes
from onnx_cam.budget.regression import Regression, regress

__all__ = [
    "SMALLEST_PLAN",
    "Channels",
    "MapError",
    "Observations",
    "Regression",
    "describe_channels",
    "estimate_error",
    "estimate_noise_error",
    "growing_rounds",
    "next_passes",
    "regress",
    "relative_error",
    "round_sizes",
]
