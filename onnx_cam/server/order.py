"""A form as settings of :func:`onnx_cam.explain`, all judged before the model runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.drawing.overlay import check_drawing
from onnx_cam.errors import SettingError
from onnx_cam.explanation.explaining import check_settings
from onnx_cam.explanation.targets import count_targets, split_targets
from onnx_cam.methods import Method, make_method
from onnx_cam.server.fields import EXPLAIN_FIELDS, PREDICT_FIELDS, read_fields, read_image_field
from onnx_cam.server.form import Form, Upload
from onnx_cam.server.limits import Limits

__all__ = ["ExplainOrder", "PredictOrder"]

_OF_THE_METHOD = ("variant", "samples", "sigma", "budget", "tolerance", "versus")
_OF_THE_ANSWER = ("alpha", "colormap", "side", "include")
_WITHOUT_MODEL = ("score", "baseline", "seed", "batch_size", "gradients")


@dataclass(frozen=True)
class ExplainOrder:
    """What a request to explain an image asks for.

    Attributes
    ----------
    upload : Upload
        The image.
    method : Method
    settings : mapping of str to object
        What else :func:`onnx_cam.explain` is to be called with; only what the request names.
    given : mapping of str to object
        Everything that the request names, as it was read.
    alpha : float
        Opacity of the overlay's colours.
    colormap : str
    side : int or None
        The longest side of the overlay in pixels; None for that of the image.
    include : frozenset of str
        What is to be in the answer beside record and overlay.
    """

    upload: Upload
    method: Method
    settings: Mapping[str, Any]
    given: Mapping[str, Any]
    alpha: float = 0.5
    colormap: str = "turbo"
    side: int | None = None
    include: frozenset[str] = field(default=frozenset())

    @classmethod
    def of(cls, form: Form, classifier: Classifier, limits: Limits) -> ExplainOrder:
        """Return what a form asks for.

        Raises
        ------
        SettingError, TargetError, LayerError, PreprocessingError
            A setting is unknown, out of range, or not one of this model.
        Problem
            The image is missing.
        """
        given = read_fields(form, EXPLAIN_FIELDS)
        settings = dict(given)
        method = make_method(
            settings.pop("method", "scorecam"),
            **{name: settings.pop(name) for name in _OF_THE_METHOD if name in settings},
        )
        answer = {name: settings.pop(name) for name in _OF_THE_ANSWER if name in settings}
        check_settings(method, **{name: settings[name] for name in _WITHOUT_MODEL if name in settings})
        check_drawing(answer.get("alpha", cls.alpha), answer.get("colormap", cls.colormap))
        settings["target"] = _target(settings.get("target"), classifier, limits)
        _check_noise(method, classifier, limits)
        return cls(read_image_field(form), method, settings, given, **answer)


@dataclass(frozen=True)
class PredictOrder:
    """What a request for the likeliest classes asks for.

    Attributes
    ----------
    upload : Upload
        The image.
    preprocess : str or None
        A preset in place of the model's own preprocessing.
    """

    upload: Upload
    preprocess: str | None

    @classmethod
    def of(cls, form: Form) -> PredictOrder:
        """Return what a form asks for.

        Raises
        ------
        SettingError, Problem
            As for `ExplainOrder`.
        """
        settings = read_fields(form, PREDICT_FIELDS)
        return cls(read_image_field(form), settings.get("preprocess"))


def _target(given: str | list[str] | None, classifier: Classifier, limits: Limits) -> str | list[str] | None:
    """Return the classes of a request: a list where it names several."""
    target = split_targets(classifier.labels.names, given) if isinstance(given, str) else given
    count = count_targets(target)
    if count > limits.classes:
        raise SettingError(f"{count:,} classes at once; this server explains at most {limits.classes}: ask for fewer")
    return target


def _check_noise(method: Method, classifier: Classifier, limits: Limits) -> None:
    """Refuse more noise fields than this server holds in memory."""
    samples = getattr(method, "samples", None)
    height, width = classifier.size
    most = max(1, limits.noise_bytes // (4 * classifier.input.channels * height * width))
    if samples is not None and samples > most:
        raise SettingError(f"invalid samples={samples} of {method.name}: this server takes at most {most:,}")
