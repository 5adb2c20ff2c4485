"""SS-CAM-max: SS-CAM with the maximum in place of the mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.heads import softmax
from onnx_cam.methods.base import NoisyMethod, Variant
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights
from onnx_cam.runtime.schedule import Schedule

__all__ = ["SSCAMMax"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SSCAMMax(NoisyMethod):
    r"""SS-CAM-max: each channel's best noisy score, scored once more, in a softmax over the channels.

    .. math::
        S_k = \max_i f^c(X \odot H_k + e_i), \qquad
        \alpha_k = \mathrm{softmax}_k\bigl(f^c(S_k \cdot X \odot H_k) - f^c(X_b)\bigr)

    Where one linear layer follows global average pooling, ``H_k`` is made of ``A_k · w_k^c``: a negative weight flips
    the map. ``S_k`` is always a probability, and small: α is nearly uniform. The baseline cancels in the softmax.

    Variants: ``paper`` (σ absolute); ``authors-scale`` (σ scaled as in ``sscam2`` ``authors``).

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, the noise fields; 10 by default (the paper's listing runs N − 1 times, here it is N).
    sigma : float, optional
        σ; 4 by default.

    References
    ----------
    Naidu and Michael, SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization (workshop paper), 2020,
    Algorithm 1.

    Examples
    --------
    >>> SSCAMMax().parameters
    {'samples': 10, 'sigma': 4.0}
    """

    name: ClassVar[str] = "sscam-max"
    needs_probabilities: ClassVar[bool] = True
    variants: ClassVar = {
        "paper": Variant(noise="input", baseline=False, softmax=True, samples=10, sigma=4.0),
        "authors-scale": Variant(noise="input", spread="masked", baseline=False, softmax=True, samples=10, sigma=4.0),
    }

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        # Where a linear layer follows global pooling, a negative weight flips the map: R distinct maps for all targets.
        signed, rows_of = _signed_maps(subject.maps, subject.linear_weights, subject.scorer.target_count)
        # First pass: the best of N noisy scores of each map, for each target.
        first = subject.scorer.run(self.schedule(replace(subject, maps=signed)), "probability")  # (R, N, T)
        best = first.max(axis=1)  # (R, T)
        # Second pass, for each target by itself: the masked image times that best score.
        return np.stack([self._second_pass(subject, signed[rows], best[rows, t], t) for t, rows in enumerate(rows_of)])

    def _second_pass(
        self, subject: Subject, maps: Floats, best: NDArray[np.float64], target: int
    ) -> NDArray[np.float64]:
        schedule = Schedule(
            maps, path=np.ones(1), factor=best, masking=subject.masking(self.wiring.masking), score_dead=True
        )
        return softmax(subject.scorer.run(schedule, subject.score_kind)[:, 0, target])


def _signed_maps(maps: Floats, head: NDArray[np.float32] | None, targets: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distinct maps among ``sign(w_k^c) · A_k``, (R, h, w), and which of them each target and channel has.

    The second array has shape (T, K).
    """
    if head is None:
        return maps, np.tile(np.arange(len(maps)), (targets, 1))
    sign = np.sign(head).astype(np.int64)  # (T, K)
    pairs = np.stack([np.broadcast_to(np.arange(len(maps)), sign.shape), sign], axis=-1).reshape(-1, 2)
    distinct, rows_of = np.unique(pairs, axis=0, return_inverse=True)
    signed = maps[distinct[:, 0]] * distinct[:, 1, None, None].astype(np.float32)
    return signed, rows_of.reshape(sign.shape)
