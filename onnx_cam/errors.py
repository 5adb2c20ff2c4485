"""Every error that onnx-cam raises on purpose.

::

    OnnxCamError
    ├── ModelError            the model file: missing, damaged, refused, or no classifier
    │   ├── LayerError        no such layer, or one without a spatial map
    │   └── LabelsError       class names that cannot be read or do not fit
    ├── TargetError           no such class, or more than one of that name
    ├── DatasetError          a data set, its labels or its boxes: missing, damaged, or unfit for the model
    ├── ImageError            the image: missing, damaged, too large, or of no use to the model
    ├── PreprocessingError    a preprocessing that cannot be read or does not fit
    ├── SettingError          a setting out of range, unknown, or said twice (also a ValueError)
    ├── DeviceError           the device that was asked for cannot be used
    ├── MissingExtraError     an optional dependency is not installed (also an ImportError)
    ├── ScoreError            the model failed on an input, or its score is not a number
    │   └── OutOfMemoryError  memory ran out, with the smallest batch too (also a MemoryError)
    ├── OutputError           a result cannot be written
    └── AnswersError          a reviewer's answers that cannot be scored

Each message is one line: what was given, what was expected, what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AnswersError",
    "DatasetError",
    "DeviceError",
    "ImageError",
    "LabelsError",
    "LayerError",
    "MissingExtraError",
    "ModelError",
    "OnnxCamError",
    "OutOfMemoryError",
    "OutputError",
    "PreprocessingError",
    "ScoreError",
    "SettingError",
    "TargetError",
    "did_you_mean",
    "one_line",
    "one_line_text",
]


class OnnxCamError(Exception):
    """Base of every error that onnx-cam raises on purpose."""


class ModelError(OnnxCamError):
    """The model file is missing, damaged, refused by the runtime, or no image classifier."""


class LayerError(ModelError):
    """There is no such layer, or it has no spatial map."""


class LabelsError(ModelError):
    """The class names cannot be read, or do not fit the model."""


class TargetError(OnnxCamError):
    """There is no such class, or more than one of that name."""


class DatasetError(OnnxCamError):
    """A data set, its labels or its boxes are missing, damaged, or do not fit."""


class ImageError(OnnxCamError):
    """The image is missing, damaged, too large, or of no use to the model."""


class PreprocessingError(OnnxCamError):
    """The preprocessing cannot be read, or does not fit the model."""


class SettingError(OnnxCamError, ValueError):
    """A setting is out of range, unknown to the method, or said twice."""


class DeviceError(OnnxCamError):
    """The device that was asked for cannot be used."""


class MissingExtraError(OnnxCamError, ImportError):
    """An optional dependency is not installed."""


class ScoreError(OnnxCamError):
    """The model failed on an input, or its score is NaN or infinite."""


class OutOfMemoryError(ScoreError, MemoryError):
    """Memory ran out, with the smallest batch too."""


class OutputError(OnnxCamError):
    """A result cannot be written."""


class AnswersError(OnnxCamError):
    """A file of a reviewer's answers is missing, damaged, empty, of another survey, or there twice."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'a' or 'b'?"``, or a full stop where no known name is close."""
    close = get_close_matches(given, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "."


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return an error's text on one line, without control characters, cut to `limit` characters."""
    text = one_line_text(str(error)) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def one_line_text(text: str) -> str:
    """Return a text on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
