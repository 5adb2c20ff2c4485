"""The errors that onnx-cam raises on purpose.

::

    OnnxCamError
    ├── ModelError            the model file: missing, damaged, refused, or not an image classifier
    │   ├── LayerError        no such layer, or one without a spatial map
    │   ├── MissingRuleError  an operator whose gradient is not known
    │   └── LabelsError       class names that cannot be read or do not fit
    ├── TargetError           no such class, or more than one of that name
    ├── DatasetError          a dataset, its labels or its boxes: missing, damaged, or unsuitable for the model
    ├── ImageError            the image: missing, damaged, too large, or unsuitable for the model
    │   └── MissingDecoderError   its format needs a decoder that is not installed (also a MissingExtraError)
    ├── PreprocessingError    a preprocessing that cannot be read or does not fit
    ├── SettingError          a setting that is out of range, unknown, or given twice (also a ValueError)
    ├── DeviceError           the requested device cannot be used
    ├── MissingExtraError     an optional dependency is not installed (also an ImportError)
    ├── ScoreError            the model failed on an input, or its score is not a number
    │   └── OutOfMemoryError  memory ran out even at the smallest batch size (also a MemoryError)
    ├── OutputError           a result cannot be written
    └── AnswersError          a reviewer's answers that cannot be evaluated

Each message is one line: what was given, what was expected, and what to do next.
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
    "MissingDecoderError",
    "MissingExtraError",
    "MissingRuleError",
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
    "printable",
]


class OnnxCamError(Exception):
    """Base class of the errors that onnx-cam raises on purpose: catch it to catch them all.

    Its message is one line, whatever names and texts of damaged files it quotes: what cannot be printed is escaped.

    Examples
    --------
    >>> import onnx_cam
    >>> try:
    ...     onnx_cam.load("missing.onnx")
    ... except onnx_cam.OnnxCamError as error:
    ...     print(error)
    no model file 'missing.onnx'; expected the path of an .onnx file
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(printable(value) if isinstance(value, str) else value for value in arguments))


class ModelError(OnnxCamError):
    """The model file is missing, damaged, refused by the runtime, or not an image classifier.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("labels.txt")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ModelError: 'labels.txt' is text that begins with 'bird cat fish dog', not a model: ...
    """


class LayerError(ModelError):
    """There is no such layer, or it has no spatial map.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx").layer("pooled")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.LayerError: 'pooled' in model.onnx cannot be explained: it has no spatial map, ...
    """


class MissingRuleError(ModelError):
    """An operator between a layer and the logits has a gradient that is not known."""


class LabelsError(ModelError):
    """The class names cannot be read, or do not fit the model.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx", labels=["bird", "cat"])
    Traceback (most recent call last):
        ...
    onnx_cam.errors.LabelsError: the labels (as given) are 2 names at offset 0, but the model has 4 classes; ...
    """


class TargetError(OnnxCamError):
    """There is no such class, or more than one of that name.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> onnx_cam.explain(model, "cat.jpg", target="dogs")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.TargetError: no class named 'dogs'; did you mean 'dog'? Expected one of the 4 names, or an index
    """


class DatasetError(OnnxCamError):
    """A dataset, its labels or its boxes are missing, damaged, or unsuitable for the model.

    Examples
    --------
    >>> from onnx_cam.evaluation import evaluate
    >>> evaluate("model.onnx", "missing.csv", methods=["cam"], out="results")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.DatasetError: ...
    """


class ImageError(OnnxCamError):
    """The image is missing, damaged, too large, or unsuitable for the model.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> onnx_cam.explain(model, "labels.txt")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ImageError: 'labels.txt' is not an image that can be read; expected JPEG, ...
    """


class PreprocessingError(OnnxCamError):
    """The preprocessing cannot be read, or does not fit the model.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx", preprocess="imagnet")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.PreprocessingError: unknown preprocessing 'imagnet'; did you mean 'imagenet'? Expected auto, ...
    """


class SettingError(OnnxCamError, ValueError):
    """A setting is out of range, unknown to the method, or given twice; it is a ValueError, too.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx", size=(0, 224))
    Traceback (most recent call last):
        ...
    onnx_cam.errors.SettingError: invalid size (0, 224); expected two positive whole numbers, height and width
    """


class DeviceError(OnnxCamError):
    """The requested device cannot be used.

    Examples
    --------
    On a machine without CUDA:

    >>> import onnx_cam
    >>> onnx_cam.load("model.onnx", device="cuda")  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    onnx_cam.errors.DeviceError: device 'cuda' needs CUDAExecutionProvider, ...
    """


class MissingExtraError(OnnxCamError, ImportError):
    """An optional dependency is not installed; the message says how to install it. It is an ImportError, too.

    Examples
    --------
    In an environment without PyTorch:

    >>> import onnx_cam.gradients  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    onnx_cam.errors.MissingExtraError: ...
    """


class MissingDecoderError(ImageError, MissingExtraError):
    """An image is in a format whose decoder is not installed; it is a MissingExtraError and an ImportError, too.

    Examples
    --------
    >>> issubclass(MissingDecoderError, ImageError), issubclass(MissingDecoderError, ImportError)
    (True, True)
    """


class ScoreError(OnnxCamError):
    """The model failed on an input, or its score is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx", preprocess="none")
    >>> onnx_cam.explain(model, np.full((3, 20, 20), 3e38, np.float32))
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ScoreError: model.onnx ...
    """


class OutOfMemoryError(ScoreError, MemoryError):
    """Memory ran out even at the smallest batch size; it is a MemoryError, too.

    Examples
    --------
    >>> issubclass(OutOfMemoryError, ScoreError), issubclass(OutOfMemoryError, MemoryError)
    (True, True)
    """


class OutputError(OnnxCamError):
    """A result cannot be written.

    Examples
    --------
    >>> import onnx_cam
    >>> onnx_cam.export(onnx_cam.load("model.onnx"), "model.onnx")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.OutputError: ...
    """


class AnswersError(OnnxCamError):
    """A file of a reviewer's answers is missing, damaged, empty, from another survey, or given twice.

    Examples
    --------
    A survey is needed to run this:

    >>> from onnx_cam.evaluation.survey import score_survey
    >>> score_survey("survey", ["answers.json", "answers.json"])  # doctest: +SKIP
    Traceback (most recent call last):
        ...
    onnx_cam.errors.AnswersError: ...
    """


def did_you_mean(given: str, names: Iterable[str]) -> str:
    """Return a suggestion that continues an error message; a full stop where none of the names is similar.

    Examples
    --------
    >>> did_you_mean("relu99", ["relu9", "conv1"])
    "; did you mean 'relu9'?"
    >>> did_you_mean("horse", ["relu9", "conv1"])
    '.'
    """
    similar_names = get_close_matches(given, list(names), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, similar_names))}?" if similar_names else "."


def one_line(error: BaseException, limit: int = 300) -> str:
    r"""Return an error's text on one line, without control characters, cut to `limit` characters.

    Examples
    --------
    >>> one_line(ValueError("bad\nnews"))
    'bad news'
    >>> one_line(ValueError())
    'ValueError'
    """
    text = one_line_text(str(error)) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"


def one_line_text(text: str) -> str:
    r"""Return a text on one line, without control characters.

    Examples
    --------
    >>> one_line_text("  two\n lines ")
    'two lines'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def printable(text: str) -> str:
    r"""Return a text without what a terminal cannot print: a file's name may hold a line's end, or be no UTF-8.

    Examples
    --------
    >>> printable("two\nlines.png")
    'two\\nlines.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
