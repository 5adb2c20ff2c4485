"""One image with one map: what the metrics measure, and the scores that they share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.graph.frame import WHOLE, Frame
from onnx_cam.image.baselines import make_baseline
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.metrics.pixels import pixel_order
from onnx_cam.runtime.masks import Masking, masks
from onnx_cam.runtime.schedule import Schedule
from onnx_cam.runtime.scorer import Scorer
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["MaskedImage"]

Floats = NDArray[np.float32]

_UNCHANGED = Masking(normalise="never")
"""The map is the mask already."""


class MaskedImage:
    """An image, the class that is explained, and the map that explains it.

    Scores are computed when a metric first asks for them, and kept for the other metrics.

    Parameters
    ----------
    classifier : Classifier
    image : ndarray of shape (C, H, W), float32
        X, in network-input space.
    target : int
        c, the predicted class of X.
    cam : ndarray of shape (h, w), float32
        L, the map at the layer's resolution.
    preprocessing : Preprocessing, optional
        The preprocessing of X, which the baseline ``black`` depends on.
    boxes : ndarray of shape (H, W), bool, optional
        The pixels of X that lie in the object's boxes.
    specificity : float, optional
        The map's class specificity, from its record.
    second_cam : ndarray of shape (h, w), float32, optional
        The same method's map for the second likeliest class.
    batch_size : int, optional
        Forward passes that run at once.
    frame : Frame
        The part of X that the layer's cells cover.

    Attributes
    ----------
    passes : int
        The forward passes so far.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> result = onnx_cam.explain(model, "cat.jpg")
    >>> image = MaskedImage(model, model.network_input("cat.jpg"), result.target.index, result.cam)
    >>> image.importance.shape, f"{image.score('probability'):.2f}"
    ((20, 20), '0.95')
    """

    def __init__(
        self,
        classifier: Classifier,
        image: Floats,
        target: int,
        cam: Floats,
        *,
        preprocessing: Preprocessing | None = None,
        boxes: NDArray[np.bool_] | None = None,
        specificity: float | None = None,
        second_cam: Floats | None = None,
        batch_size: int | None = None,
        frame: Frame = WHOLE,
    ) -> None:
        self.classifier = classifier
        self.image = image
        self.target = target
        self.cam = cam
        self.boxes = boxes
        self.specificity = specificity
        self.second_cam = second_cam
        self.passes = 0
        self._preprocessing = preprocessing
        self._batch_size = batch_size
        self._masking = Masking(frame=frame)
        self._scores: dict[tuple[object, ...], float] = {}

    @cached_property
    def importance(self) -> Floats:
        """``L↑ = s(U(L))``, the map at the size of X, (H, W) float32 in [0, 1]; 0 everywhere if L is constant."""
        size = self.image.shape[1], self.image.shape[2]
        return np.asarray(np.clip(masks(self.cam[None], size, self._masking)[0], 0, 1), np.float32)

    def score(self, kind: ScoreKind) -> float:
        """Return ``Y = f^c(X)``, the score of the image."""
        return self._once(("image", kind), lambda: self._score_images(self.image, kind))

    def baseline_score(self, baseline: str, kind: ScoreKind) -> float:
        """Return ``f^c(X_b)``, the score of a baseline."""
        return self._once(("baseline", baseline, kind), lambda: self._score_images(self._baseline(baseline), kind))

    def masked_score(self, kind: ScoreKind, keep: float) -> float:
        """Return ``O = f^c(X ⊙ L↑)``, where L↑ is 0 outside the given share of the most important pixels."""
        return self._once(("masked", kind, keep), lambda: self._score_masked(kind, keep))

    def score_composed(self, pixel_masks: Floats, baseline: str, kind: ScoreKind) -> NDArray[np.float64]:
        """Return the scores of the image inside masks m and the baseline outside, ``f^c(X ⊙ m + X_b ⊙ (1 − m))``.

        Parameters
        ----------
        pixel_masks : ndarray of shape (B, H, W), float32
            m, 0 or 1, neither of them everywhere.
        baseline : str
        kind : {"probability", "logit"}

        Returns
        -------
        ndarray of shape (B,), float64
        """
        outside = self._baseline(baseline)
        schedule = Schedule(maps=pixel_masks, path=np.ones(1), masking=_UNCHANGED)
        image = self.image
        if outside.any():
            # X ⊙ m + X_b ⊙ (1 − m) = (X − X_b) ⊙ m + X_b: a masked image with the offset X_b.
            image = self.image - outside
            schedule = Schedule(
                maps=pixel_masks,
                path=np.ones(1),
                masking=_UNCHANGED,
                offset="input",
                offset_scale=np.ones(len(pixel_masks)),
                offset_fields=outside[None],
            )
        return self._run(image, schedule, kind)

    def _score_masked(self, kind: ScoreKind, keep: float) -> float:
        masking, maps = self._masking, self.cam[None]
        if keep < 1:
            masking, maps = _UNCHANGED, _most_important(self.importance, keep)[None]
        schedule = Schedule(maps=maps, path=np.ones(1), masking=masking, score_dead=True)
        return float(self._run(self.image, schedule, kind)[0])

    def _run(self, image: Floats, schedule: Schedule, kind: ScoreKind) -> NDArray[np.float64]:
        with self.classifier.in_use:
            scorer = Scorer(
                self.classifier.sessions,
                image,
                [self.target],
                np.zeros_like(image),
                seed=0,
                batch_size=self._batch_size,
            )
            scores = scorer.run(schedule, kind)[:, 0, 0]  # (B,)
        self.passes += scorer.passes
        return scores

    def _score_images(self, image: Floats, kind: ScoreKind) -> float:
        with self.classifier.in_use:
            scores, ran = self.classifier.sessions.baseline_scores(image, kind)
        self.passes += ran
        return float(scores[self.target])

    def _baseline(self, name: str) -> Floats:
        return make_baseline(name, self.image, self._preprocessing)

    def _once(self, key: tuple[object, ...], make: Callable[[], float]) -> float:
        if key not in self._scores:
            self._scores[key] = make()
        return self._scores[key]


def _most_important(importance: Floats, keep: float) -> Floats:
    """Return the importance of the most important pixels, and 0 for the others, (H, W) float32."""
    positions = pixel_order(importance)[: max(1, round(keep * importance.size))]
    mask = np.zeros(importance.size, np.float32)
    mask[positions] = importance.reshape(-1)[positions]
    return mask.reshape(importance.shape)
