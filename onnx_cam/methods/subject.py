"""What a method works on: one image's activation maps, and what scores inputs or gives gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.model_gradients import FoundGradients
from onnx_cam.errors import ScoreError
from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.runtime.masks import Masking
from onnx_cam.runtime.scorer import Scorer
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Subject"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Subject:
    """What a method works on: the activations of one image, and what it needs to score inputs.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the activation maps of the target layer.
    scorer : Scorer
        For the T targets.
    score_kind : {"probability", "logit"}
        What f^c is.
    logit_sums : ndarray of shape (T, classes), float64
        The sum of logits that is explained for each target: its own, or that less another's.
    linear_head : callable
        Returns ``w_k^c`` of every class, shape (classes, K), or None where the model has no linear layer after global
        pooling.
    gradient : callable, optional
        Returns the gradients at A of sums of logits, for images (B, C, H, W), and the forward passes that it took.
    logits : ndarray of shape (classes,), float64, optional
        Of the image, for a method that needs them.
    frame : Frame
        The part of the network's input that the maps' cells cover.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> image = model.network_input("cat.jpg")
    >>> scorer = Scorer(model.sessions, image, [1], np.zeros_like(image), seed=0)
    >>> maps = model.sessions.activations(model.layer(), image).maps
    >>> subject = Subject(maps, scorer, "probability", np.eye(4)[[1]], linear_head=lambda: None)
    >>> subject.maps.shape
    (6, 5, 5)
    """

    maps: Floats
    scorer: Scorer
    score_kind: ScoreKind
    logit_sums: Doubles
    linear_head: Callable[[], Floats | None]
    gradient: Callable[[Floats, Doubles], FoundGradients] | None = None
    logits: Doubles | None = None
    frame: Frame = WHOLE

    def masking(self, masking: Masking) -> Masking:
        """Return a variant's masking for the frame of these maps."""
        return masking if self.frame.is_whole else replace(masking, frame=self.frame)

    @cached_property
    def linear_weights(self) -> Floats | None:
        """``w_k`` of each target's sum of logits, (T, K) float32; None without a linear layer after global pooling."""
        weights = self.linear_head()
        if weights is None:
            return None
        classes = np.flatnonzero(self.logit_sums.any(axis=0))  # a few, of thousands
        return (self.logit_sums[:, classes] @ weights[classes]).astype(np.float32)

    @cached_property
    def gradients(self) -> Floats:
        """``g_k = ∂Y^c/∂A_k`` for the T targets, (T, K, h, w) float32; Y^c is the logit, or the contrast of two."""
        return self.gradients_of(self.logit_sums)

    def gradients_of(self, logit_sums: Doubles) -> Floats:
        """Return the gradients at A of sums of logits (n, classes), for the image: (n, K, h, w) float32."""
        gradients: Floats = self._gradients_at(self.scorer.image[None], logit_sums, 1)[0]
        return gradients

    def noisy_gradients(self, deviation: float, steps: range, planned: int) -> Floats:
        """Return the gradients at X with the noise field of each step added, (B, T, K, h, w) float32.

        Parameters
        ----------
        deviation : float
            The standard deviation of the noise.
        steps : range
            B steps.
        planned : int
            How many steps there are in all, for the progress.
        """
        images = np.stack([self.scorer.noisy_image(deviation, i) for i in steps])
        return self._gradients_at(images, self.logit_sums, planned)

    def _gradients_at(self, images: Floats, logit_sums: Doubles, planned: int) -> Floats:
        assert self.gradient is not None
        found = self.gradient(images, logit_sums)
        for _ in range(found.passes):
            self.scorer.count_pass(planned)
        if not np.isfinite(found.values).all():
            raise ScoreError("the gradient at this layer is NaN or infinite; choose another --layer")
        return found.values
