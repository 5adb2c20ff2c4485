"""Grid pointing game %: whether the map finds its class among three others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from onnx_cam.errors import SettingError
from onnx_cam.metrics.base import Measurement, Metric
from onnx_cam.metrics.masked_image import MaskedImage

__all__ = ["GridPointing"]


@dataclass(frozen=True)
class GridPointing(Metric):
    """``100 · Σ_cell L↑ / Σ L↑``: the share of the map that lies in its class's cell of a mosaic; chance is 25 %.

    The mosaic of 2×2 holds the image and three images of other classes, in cells drawn by the seed. It has twice the
    size of the model's input where the model takes that; otherwise it is scaled to the input. Images take part that are
    still classified rightly at a cell's resolution, with a probability of at least 0.5.

    Parameters
    ----------
    scaled : bool, optional
        Whether the mosaic is shrunk to the model's input; by default where the model takes no other size. A run settles
        it.

    References
    ----------
    Zhang et al., Top-down neural attention by excitation backprop, IJCV 2018, section 4.1; Böhle et al., Convolutional
    dynamic alignment networks for interpretable classifications, CVPR 2021, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx_cam
    >>> from onnx_cam.image.mosaic import make_mosaic
    >>> from onnx_cam.metrics import GridPointing, MaskedImage, explained_image
    >>> from onnx_cam.metrics.mosaic import Mosaic
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> cat, dog = (model.network_input(name) for name in ("cat.jpg", "dog.jpg"))
    >>> mosaic = Mosaic(make_mosaic([dog, cat, dog, dog], model.size), 3, 1, model, model.layer())
    >>> image = explained_image(model, "cat.jpg", "gradcam")
    >>> image.origin = replace(image.origin, mosaic=lambda: mosaic)
    >>> f"{GridPointing().measure(image).value:.0f} %"
    '40 %'
    """

    name: ClassVar[str] = "grid-pointing"
    title: ClassVar[str] = "Grid pointing"
    unit: ClassVar[Literal["%", ""]] = "%"
    better: ClassVar[Literal["lower", "higher"] | None] = "higher"
    needs_mosaic: ClassVar[bool] = True
    explanations: ClassVar[int] = 1

    scaled: bool | None = None

    def measure(self, image: MaskedImage) -> Measurement:
        """Return the share in %; None where the image takes no part, and for an empty map of the mosaic."""
        origin = image.known_origin
        if origin.mosaic is None:
            raise SettingError(
                "grid-pointing needs the mosaic that the image is part of; give it with the map's origin"
            )
        mosaic = origin.mosaic()
        if isinstance(mosaic, str):
            return Measurement(None, reason=mosaic)
        picture = replace(origin.picture, network_input=mosaic.network_input)
        result = image.explain(picture, target=mosaic.target, classifier=mosaic.classifier, layer=mosaic.layer)
        importance = MaskedImage(
            mosaic.classifier, mosaic.network_input, mosaic.target, result.cam, frame=mosaic.layer.geometry.frame
        ).importance
        total = importance.sum(dtype=np.float64)
        return Measurement(float(100 * importance[mosaic.area].sum(dtype=np.float64) / total) if total else None)
