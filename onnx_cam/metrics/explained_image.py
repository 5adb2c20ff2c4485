"""An image that is explained to be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.explanation.explaining import explain
from onnx_cam.explanation.result import Explanation
from onnx_cam.graph.layer import Layer
from onnx_cam.image.picture import Picture
from onnx_cam.methods import Method, make_method
from onnx_cam.metrics.map_origin import MapOrigin
from onnx_cam.metrics.masked_image import MaskedImage

if TYPE_CHECKING:
    from onnx_cam.explanation.targets import TargetLike
    from onnx_cam.image.sources import ImageLike

__all__ = ["explained_image"]


def explained_image(
    classifier: Classifier,
    image: ImageLike | Picture,
    method: str | Method = "scorecam",
    *,
    target: TargetLike | None = None,
    layer: str | Layer | None = None,
    seed: int = 0,
    batch_size: int | None = None,
) -> MaskedImage:
    """Explain an image, and return it with its map and what metrics need beside it, but for boxes and mosaics.

    Parameters
    ----------
    classifier : Classifier
    image, method, target, layer, seed, batch_size
        As :func:`onnx_cam.explain` takes them, with the model's own preprocessing; one class.

    Examples
    --------
    >>> import onnx_cam
    >>> from onnx_cam.metrics import AverageGain
    >>> model = onnx_cam.load("model.onnx", preprocess="unit")
    >>> image = explained_image(model, "cat.jpg", "gradcam")
    >>> image.target, image.second_class, AverageGain().measure(image).value
    (3, 0, 0.0)
    """
    preprocessing = classifier.preprocessing
    picture = image if isinstance(image, Picture) else classifier.open_picture(image, preprocessing)
    made_by, tapped = make_method(method), classifier.layer(layer)
    result = explain(classifier, picture, method=made_by, target=target, layer=tapped, seed=seed, batch_size=batch_size)
    assert isinstance(result, Explanation)
    return MaskedImage(
        classifier,
        picture.network_input,
        result.target.index,
        result.cam,
        preprocessing=preprocessing,
        specificity=result.specificity,
        second_class=next((one.index for one in result.top if one.index != result.target.index), None),
        batch_size=batch_size,
        frame=tapped.geometry.frame,
        origin=MapOrigin(picture, made_by, tapped, seed),
    )
