"""A map from a part of the forward passes: which masks to score, what the other scores are, how precise the map is.

Nothing here runs a model: arrays go in, arrays come out, and every random number comes from a seed.

=========================  =========================================================================
:mod:`.features`           the distinct masks of an image, as points that a regression can use
:mod:`.plan`               which masks to score next
:mod:`.observations`       the scores so far, and each mask's mean score
:mod:`.score_scale`        the scale on which scores are regressed: log-odds, or the scores themselves
:mod:`.regression`         the scores of all masks, predicted from those that were measured
:mod:`.gaussian_process`   Gaussian process regression
:mod:`.kernel`             the covariance of the scores of two masks
:mod:`.covariance`         the covariance of all scores, given those that were measured
:mod:`.map_error`          the error of a map, as numbers
:mod:`.regression_error`   the error that predicted scores cause
:mod:`.noise_error`        the error that a finite number of noise fields causes
:mod:`.blas_threads`       one thread for linear algebra while ONNX Runtime's threads are busy
=========================  =========================================================================

Import from these modules: the package itself imports nothing, because :mod:`.noise_error` and :mod:`.map_error` need
NumPy only, while the regression needs SciPy.

Examples
--------
Score a part of the masks in rounds, then predict the other scores. Here a function of the mask stands for the model.

>>> import numpy as np
>>> from onnx_cam.budget.features import describe_channels
>>> from onnx_cam.budget.observations import Observations
>>> from onnx_cam.budget.plan import next_passes, round_sizes
>>> from onnx_cam.budget.regression import regress
>>> from onnx_cam.budget.regression_error import estimate_error
>>> maps = np.random.default_rng(0).random((60, 4, 4), np.float32)
>>> channels = describe_channels(maps, maps)
>>> scores = maps[:, 1, 2].astype(np.float64)  # what the model says of each mask
>>> observations = Observations.none(targets=1)
>>> for size in round_sizes(20):
...     regressions = [regress(channels, observations)] if len(observations.mask) else []
...     mask, sample = next_passes(channels, observations, size, regressions)
...     observations = observations.joined(mask, sample, scores[mask, None])
>>> regression = regress(channels, observations)  # .weights has one weight for each mask
>>> error = estimate_error(channels, regression)
>>> error.relative_error < error.high < 1
True
"""
