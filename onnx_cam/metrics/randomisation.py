"""Parameter randomisation: whether the map depends on what the network learned behind the layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from onnx_cam.errors import ModelError, OutOfMemoryError, ScoreError
from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage
from onnx_cam.metrics.ranks import spearman

__all__ = ["Randomisation"]


@dataclass(frozen=True)
class Randomisation(Metric):
    """``1 − ρ(L, L′)``: how much the order of the map's cells changes where the weights behind the layer are permuted.

    ρ is Spearman's rank correlation of the maps before and after, for the same class. At 0 the map does not depend on
    what the network learned behind the layer; an empty map after counts as 1. The metric is not defined for an empty
    map before, and for a layer without weights behind it.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section 3.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import MaskedImage, Randomisation, explained_image
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> f"{Randomisation().measure(explained_image(model, 'cat.jpg', 'layercam')).value:.2f}"
    '0.25'
    """

    name: ClassVar[str] = "randomisation"
    title: ClassVar[str] = "Randomisation"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    explanations: ClassVar[int] = 1

    def measure(self, image: MaskedImage) -> Measurement:
        """Return how much the order changes, from 0 to 2; None where it is not defined."""
        if image.cam.max() == image.cam.min():
            return Measurement(None)
        try:
            randomised = image.randomised()
            after = image.explain(image.known_origin.picture, classifier=randomised).cam
        except OutOfMemoryError:
            raise
        except (ModelError, ScoreError) as error:  # permuted weights may overflow, or be too large for a protobuf
            return Measurement(None, reason=str(error))
        if after.max() == after.min():
            return Measurement(1.0)
        return Measurement(1 - spearman(image.cam, after))
