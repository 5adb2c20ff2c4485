"""Grad++ScoreCAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.methods.base import Variant
from onnx_cam.methods.contrast import ContrastMethod
from onnx_cam.methods.gradient import gradcam_pp_shares, no_gradient
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weights, difference
from onnx_cam.runtime.masks import is_dead, normalised
from onnx_cam.runtime.schedule import Schedule

__all__ = ["GradPPScoreCAM"]

Floats = NDArray[np.float32]

_CHUNK = 16  # images that are held at once


@dataclass(frozen=True)
class GradPPScoreCAM(ContrastMethod):
    r"""Grad++ScoreCAM: Score-CAM with gradient activation maps as masks.

    .. math::
        G_k = a_k \odot \mathrm{ReLU}(g_k) \odot A_k, \qquad
        \alpha_k = f^c(X \odot s(U(G_k))) - f^c(X_b), \qquad
        L = \mathrm{ReLU}\Bigl(\sum_k \alpha_k A_k\Bigr)

    with ``a_k`` of Grad-CAM++. The masks depend on the class, so that every target has forward passes of its own.

    Variants: ``full-resolution``; ``paper`` (X reduced to the layer's size, masks ``s(G_k)``; fed as it is where the
    model takes that size, else resized back); ``weights`` (``G_k = a_k ⊙ ReLU(g_k)``: constant after global average
    pooling, where every mask is therefore dead); ``figure`` (``L = ReLU(Σ α_k G_k)``).

    References
    ----------
    Grad-CAM++: Chattopadhay et al., WACV 2018, eq. 19; Score-CAM: Wang et al., CVPRW 2020.

    Examples
    --------
    >>> import onnx_cam
    >>> isinstance(onnx_cam.METHODS[GradPPScoreCAM.name](), GradPPScoreCAM)
    True
    """

    name: ClassVar[str] = "grad++scorecam"
    variants: ClassVar = {"full-resolution": Variant(), "paper": Variant(), "weights": Variant(), "figure": Variant()}
    demanding: ClassVar = True
    needs_gradient: ClassVar = True

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        gradient_maps = self.gradient_maps(subject)  # (T, K, h, w)
        if self.variant == "paper":
            return np.stack([self._small_weights(subject, maps, t) for t, maps in enumerate(gradient_maps)])
        baseline = subject.scorer.baseline_scores(subject.score_kind)
        # Each target has masks of its own, and so passes of its own: (K, 1, T) scores, of which one target's count.
        masking = subject.masking(self.wiring.masking)
        scores = []
        for t, maps in enumerate(gradient_maps):
            masked = subject.scorer.run(Schedule(maps, path=np.ones(1), masking=masking), subject.score_kind)
            scores.append(difference(masked[:, 0, t], baseline[t], subject.scorer.resolution[t]))
        return np.where(np.stack([is_dead(maps) for maps in gradient_maps]), 0.0, np.stack(scores))

    def combine(self, subject: Subject, weights: Weights) -> NDArray[np.float64]:
        """Return L for each target, (T, h, w)."""
        if self.variant != "figure":
            return super().combine(subject, weights)
        sums = np.einsum("tk,tkhw->thw", weights, self.gradient_maps(subject).astype(np.float64))
        return np.asarray(np.maximum(sums, 0))

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        if not subject.gradients.any():
            return no_gradient(self.name)
        if all(is_dead(maps).all() for maps in self.gradient_maps(subject)):
            return "every gradient activation map is constant, as after global average pooling, and cannot be a mask"
        return super().why_empty(subject)

    def gradient_maps(self, subject: Subject) -> Floats:
        """Return ``G_k`` for each target, (T, K, h, w)."""
        maps = subject.maps.astype(np.float64)
        gradients = subject.gradients.astype(np.float64)
        weights = np.stack([gradcam_pp_shares(maps, g**2, g**3) * np.maximum(g, 0) for g in gradients])
        return np.asarray(weights if self.variant == "weights" else weights * maps, np.float32)

    def _small_weights(self, subject: Subject, maps: Floats, target: int) -> NDArray[np.float64]:
        """Return α for one target where the image is reduced to the layer's size."""
        grid, scorer = (maps.shape[1], maps.shape[2]), subject.scorer
        small = _reduced(scorer.image, grid)
        live = np.flatnonzero(~is_dead(maps))
        masks = normalised(maps[live], grid, self.wiring.masking)
        weights = np.zeros(len(maps))
        baseline = scorer.run_images(_reduced(scorer.baseline_image, grid)[None], subject.score_kind)[0, target]
        for start in range(0, len(live), _CHUNK):
            images = small * masks[start : start + _CHUNK, None]
            weights[live[start : start + _CHUNK]] = scorer.run_images(images, subject.score_kind)[:, target] - baseline
        return weights


def _reduced(image: Floats, grid: tuple[int, int]) -> Floats:
    """Return an image (C, H, W) reduced to (C, h, w), by areas."""
    import cv2

    return np.stack([cv2.resize(one, (grid[1], grid[0]), interpolation=cv2.INTER_AREA) for one in image])
