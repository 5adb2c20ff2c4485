"""The settings that a form may hold: how each is read, and how it is described."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.names import BASELINES, COLORMAPS, GRADIENTS, METHODS, PREPROCESSINGS, SCORES
from onnx_cam.server.form import Form, Upload
from onnx_cam.server.problems import Problem

__all__ = ["EXPLAIN_FIELDS", "EXTRAS", "IMAGE", "PREDICT_FIELDS", "FormField", "read_fields", "read_image_field"]

IMAGE = "image"
"""The field that holds the image."""

EXTRAS = ("cam", "map", "error", "view", "link")
"""What a request may ask for beside the record and the overlay."""

_LARGEST_BATCH = 256
_LONGEST_SIDE = 8192  # pixels
_LONGEST_TEXT = 1000  # characters


@dataclass(frozen=True)
class FormField:
    """A setting of a form.

    Attributes
    ----------
    name : str
        As :func:`onnx_cam.explain` and the command line call it.
    read : callable
        Returns the setting of its text; called with the field's name and the text.
    schema : mapping
        Its values, as OpenAPI describes them.
    description : str
    repeats : bool
        Whether the field may be given several times, for a list.
    """

    name: str
    read: Callable[[str, str], Any]
    schema: Mapping[str, Any]
    description: str
    repeats: bool = False


def _text(name: str, text: str) -> str:
    if len(text) > _LONGEST_TEXT:
        raise SettingError(f"{name} is longer than {_LONGEST_TEXT:,} characters; expected a name or a number")
    return text


def _one_of(names: Sequence[str]) -> Callable[[str, str], str]:
    """Return what reads one of a few names."""

    def read(name: str, text: str) -> str:
        if text not in names:
            hint = did_you_mean(text, names)
            raise SettingError(f"unknown {name} {text[:100]!r}{hint} Expected one of {', '.join(names)}")
        return text

    return read


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    """Return what reads a whole number of a range."""

    def read(name: str, text: str) -> int:
        number = int(text) if re.fullmatch(r"[0-9]{1,20}", text) else -1
        if not low <= number <= high:
            raise SettingError(f"invalid {name}={text[:100]!r}: expected a whole number from {low} to {high:,}")
        return number

    return read


def _number(low: float, high: float = math.inf) -> Callable[[str, str], float]:
    """Return what reads a number of a range."""
    limits = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"

    def read(name: str, text: str) -> float:
        is_number = re.fullmatch(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?", text)
        number = float(text) if is_number else math.nan
        if not low <= number <= high or math.isinf(number):
            raise SettingError(f"invalid {name}={text[:100]!r}: expected a number {limits}")
        return number

    return read


def _batch_size(name: str, text: str) -> int | None:
    return None if text == "auto" else _whole(1, _LARGEST_BATCH)(name, text)


def _extras(name: str, text: str) -> frozenset[str]:
    return frozenset(_one_of(EXTRAS)(name, part.strip()) for part in text.split(","))


def _choice(names: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


_NAME = {"type": "string", "minLength": 1, "maxLength": _LONGEST_TEXT}
_PREPROCESS = FormField(
    "preprocess",
    _one_of(PREPROCESSINGS),
    _choice(PREPROCESSINGS),
    "How to preprocess the image, in place of what the server was started with. With none, the image is a .npy file "
    "that holds the network's input.",
)

EXPLAIN_FIELDS: tuple[FormField, ...] = (
    FormField("method", _text, {**_choice(METHODS), "default": "scorecam"}, "The method."),
    FormField(
        "target",
        _text,
        {**_NAME, "default": "top1", "examples": ["top1", "281", "tabby"]},
        "The class to explain: an index, a name, or topN for the N likeliest. Several are separated by commas, or the "
        "field is repeated.",
        repeats=True,
    ),
    FormField(
        "versus",
        _text,
        {**_NAME, "examples": ["282", "next"]},
        "Why the target rather than this class: an index, a name, or next for the likeliest other one.",
    ),
    FormField(
        "layer", _text, _NAME, "The layer: the name of its output tensor or node; by default the last spatial one."
    ),
    FormField("variant", _text, _NAME, "The method's named variant."),
    FormField(
        "samples",
        _whole(1, 10_000),
        {"type": "integer", "minimum": 1, "maximum": 10_000},
        "The number of samples N, for the noisy methods and iscam.",
    ),
    FormField(
        "sigma", _number(0), {"type": "number", "minimum": 0}, "The scale σ of the noise, for the noisy methods."
    ),
    FormField(
        "seed",
        _whole(0, 2**64 - 1),
        {"type": "integer", "minimum": 0, "maximum": 2**64 - 1, "default": 0},
        "The random seed of the noise.",
    ),
    FormField(
        "budget",
        _text,
        {"type": "string", "pattern": r"^([0-9]{1,9}|[0-9]{1,2}%)$", "examples": ["200", "10%"]},
        "At most so many forward passes, or per cent of an exact map's; the other scores are predicted.",
    ),
    FormField(
        "tolerance",
        _number(0, 1),
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        "Stop once the relative error of the map is at most this.",
    ),
    FormField("score", _one_of(SCORES), _choice(SCORES), "The score of a masked image."),
    FormField("baseline", _one_of(BASELINES), _choice(BASELINES), "The image whose score is subtracted."),
    _PREPROCESS,
    FormField(
        "batch_size",
        _batch_size,
        {"oneOf": [{"type": "integer", "minimum": 1, "maximum": _LARGEST_BATCH}, {"type": "string", "const": "auto"}]},
        "Masked images in a run. It never changes the map.",
    ),
    FormField("gradients", _one_of(GRADIENTS), {**_choice(GRADIENTS), "default": "auto"}, "What computes gradients."),
    FormField(
        "alpha",
        _number(0, 1),
        {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        "The opacity of the overlay's colours.",
    ),
    FormField("colormap", _one_of(COLORMAPS), {**_choice(COLORMAPS), "default": "turbo"}, "The overlay's colour map."),
    FormField(
        "side",
        _whole(16, _LONGEST_SIDE),
        {"type": "integer", "minimum": 16, "maximum": _LONGEST_SIDE},
        "The overlay's longest side in pixels, where it is to be smaller than the image. It never changes the map.",
    ),
    FormField(
        "include",
        _extras,
        {
            "type": "string",
            "pattern": f"^({'|'.join(EXTRAS)})(,({'|'.join(EXTRAS)}))*$",
            "examples": ["cam", "map,error"],
        },
        "What else to return, separated by commas: cam, map and error as .npy files (base64), view for what the page "
        "draws, link for the addresses of files that can be downloaded for a while.",
    ),
)
"""What ``/api/explain`` takes beside the image."""

PREDICT_FIELDS: tuple[FormField, ...] = (_PREPROCESS,)
"""What ``/api/predict`` takes beside the image."""


def read_fields(form: Form, fields: Sequence[FormField]) -> dict[str, Any]:
    """Return the settings of a form by their names, only those that it holds; a list where one is repeated.

    Raises
    ------
    SettingError
        A field is unknown, given twice, or its value cannot be read.

    Examples
    --------
    >>> read_fields(Form(values={"seed": ["7"], "alpha": ["0.25"]}), EXPLAIN_FIELDS)
    {'seed': 7, 'alpha': 0.25}
    """
    known = {field.name: field for field in fields}
    settings = {}
    for name, texts in form.values.items():
        if name not in known:
            expected = ", ".join([IMAGE, *known])
            raise SettingError(
                f"unknown field {name[:100]!r}{did_you_mean(name[:100], known)} Expected some of {expected}"
            )
        settings[name] = _read(known[name], texts)
    return settings


def _read(field: FormField, texts: Sequence[str]) -> Any:
    if "" in texts:
        raise SettingError(f"the field {field.name} is empty; give it a value, or leave it out")
    values = [field.read(field.name, text) for text in texts]
    if len(values) > 1 and not field.repeats:
        raise SettingError(f"the field {field.name} is given {len(values)} times; give it once")
    return values[0] if len(values) == 1 else values


def read_image_field(form: Form) -> Upload:
    """Return the image of a form.

    Raises
    ------
    Problem
        There is none, or more than one, or another file.
    """
    others = [name for name in form.files if name != IMAGE]
    if others:
        raise Problem(422, f"the field {others[0][:100]!r} is a file; expected one file, in the field {IMAGE!r}")
    uploads = form.files.get(IMAGE, [])
    if len(uploads) != 1:
        count = "no file" if not uploads else f"{len(uploads)} files"
        raise Problem(422, f"the form has {count} in the field {IMAGE!r}; expected one image")
    return uploads[0]
