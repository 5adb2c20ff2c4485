"""ADCC: average drop, coherency and complexity in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.inputs import ImageTimesMap, ScoredInput, WholeImage
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["ADCC"]

Floats = NDArray[np.float32]

_NEGATIVE = "the score of the image is not above 0, so that there is no drop"


@dataclass(frozen=True)
class ADCC(Metric):
    """The harmonic mean of coherency, ``1 − complexity`` and ``1 − drop``: of a consistent, small map that is enough.

    Coherency is the correlation of the map L↑ with the map of the image multiplied by L↑, brought from [−1, 1] to
    [0, 1]. Complexity is the mean of L↑. The drop is that of Average Drop, as a share. The figure is 0 where one of the
    terms is.

    Parameters
    ----------
    score : {"probability", "logit"}
        f^c, the score of the predicted class, for the drop.

    References
    ----------
    Poppi et al., Revisiting the evaluation of class activation mapping for explainability, 2021, section 4.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import ADCC, MaskedImage, explained_image
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> adcc = ADCC().measure(explained_image(model, "cat.jpg", "gradcam"))
    >>> f"{adcc.value:.2f}", [f"{part:.2f}" for part in adcc.parts.values()]
    ('0.78', ['0.83', '0.63', '0.93'])
    """

    name: ClassVar[str] = "adcc"
    title: ClassVar[str] = "ADCC"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    part_names: ClassVar[tuple[str, ...]] = ("coherency", "1-complexity", "1-drop")
    explanations: ClassVar[int] = 1

    score: ScoreKind = "probability"

    @property
    def passes(self) -> int:
        """One, which the other metrics that multiply the image by the map share."""
        return 1

    def inputs(self, image: MaskedImage) -> Sequence[ScoredInput]:
        """Return the image and the image multiplied by the map, whose scores are Y and O."""
        return WholeImage(self.score), ImageTimesMap(self.score, keep=1.0)

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the harmonic mean, and its terms."""
        whole, masked = map(float, image.scores(self.inputs(image)))
        if whole <= 0:
            return Measurement(None, reason=_NEGATIVE)
        terms = (
            self._coherency(image),
            1 - float(image.importance.mean(dtype=np.float64)),
            1 - max(0.0, whole - masked) / whole,
        )
        value = 0.0 if min(terms) <= 0 else len(terms) / sum(1 / term for term in terms)
        return Measurement(value, parts=dict(zip(self.part_names, terms, strict=True)))

    def _coherency(self, image: MaskedImage) -> float:
        """Return how well the map agrees with that of ``X ⊙ L↑``, from 0 to 1; 0 where either says nothing."""
        if not image.importance.any():
            return 0.0
        _, times_map = self.inputs(image)
        again = image.explain(replace(image.known_origin.picture, network_input=times_map.pixels(image)))
        return (1 + _correlation(image.importance, image.importance_of(again.cam))) / 2


def _correlation(first: Floats, second: Floats) -> float:
    """Return Pearson's correlation; −1, the least, where one of the two is constant."""
    deviations = [one.astype(np.float64) - one.mean(dtype=np.float64) for one in (first, second)]
    lengths = [np.linalg.norm(one) for one in deviations]
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return -1.0
    return float(np.vdot(*deviations) / (lengths[0] * lengths[1]))
