"""Values of a configuration, which may be of any type: each is checked and converted here."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import numpy as np

from onnx_cam.errors import one_line_text
from onnx_cam.image.files import MAX_PIXELS
from onnx_cam.image.preprocessing import Preprocessing
from onnx_cam.image.resizing import INTERPOLATIONS, LIBRARIES, RESIZES, Interpolation, Size

__all__ = [
    "NO_MEAN",
    "NO_STD",
    "Config",
    "checked",
    "constants",
    "interpolation",
    "listed",
    "not_applied",
    "number",
    "other_keys",
    "pair",
    "pixel_keys",
    "switch",
    "whole_number",
    "width_first",
]

Config: TypeAlias = Mapping[str, object]
"""A parsed configuration: any key may be missing, and any value may be of any type."""

NO_MEAN = (0.0, 0.0, 0.0)
NO_STD = (1.0, 1.0, 1.0)

_CHANNELS = 3
_LEVELS = 255
_MOST_NAMES = 5
_LONGEST_NAME = 40
_PIL_FILTERS: tuple[Interpolation, ...] = (
    "nearest",
    "lanczos",
    "linear",
    "cubic",
    "area",
    "hamming",
)  # by their number
_SPELLINGS: dict[str, Interpolation] = {
    **{name: name for name in INTERPOLATIONS},
    "bilinear": "linear",
    "bicubic": "cubic",
    "box": "area",
    "lanczos4": "lanczos",
}
_PIXEL_WORDS = re.compile(
    r"(?i)(?<![a-z])(means?|std|stddev|scales?|(image|img|input)_?(size|scale|shape|range|format)|imgsz|rescale\w*)(?![a-z])"
    r"|normali[sz]|preproc|resiz|crop|letterbox|interpolation|pixel|bgr|colou?r_?(space|mode|order|format)"
    r"|channel_?(order|swap)|(reverse|swap|flip)\w*channel"
)
_CROP_PCTS = (0.05, 20.0)  # above 1, a resized image is padded


def number(value: object) -> float:
    """Return a number as a float.

    Raises
    ------
    ValueError
        It is of another type.

    Examples
    --------
    >>> number(224)
    224.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_shown(value)} where a number is expected")
    return float(value)


def whole_number(value: object) -> int:
    """Return a positive whole number; 224.0 is one.

    Raises
    ------
    ValueError
        It is of another type, or not positive.

    Examples
    --------
    >>> whole_number(224.0)
    224
    """
    length = number(value)
    if not (math.isfinite(length) and length == int(length) and length > 0):
        raise ValueError(f"{_shown(value)} where a positive whole number is expected")
    return int(length)


def switch(config: Config, key: str, default: bool) -> bool:
    """Return whether a setting is on; the default where it is missing or null.

    Examples
    --------
    >>> switch({"do_resize": None}, "do_resize", True)
    True
    """
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValueError(f"{key}: {_shown(value)} where true or false is expected")
    return value


def pair(value: object) -> Size:
    """Return ``(H, W)`` of a pair, or of one number for a square.

    Examples
    --------
    >>> pair([256, 192]), pair([224]), pair(224)
    ((256, 192), (224, 224), (224, 224))
    """
    sides = list(value) if isinstance(value, list | tuple) else [value]
    if len(sides) not in (1, 2):
        raise ValueError(f"{_shown(value)} where a height and a width are expected")
    return whole_number(sides[0]), whole_number(sides[-1])


def width_first(value: object) -> Size:
    """Return ``(H, W)`` of a pair ``(W, H)``, or of one number for a square.

    Examples
    --------
    >>> width_first([256, 192]), width_first(224)
    ((192, 256), (224, 224))
    """
    width, height = pair(value)
    return height, width


def constants(values: object) -> tuple[float, ...]:
    """Return one number per channel; a single number counts for all three.

    Examples
    --------
    >>> constants([0.5]), constants([0.485, 0.456, 0.406])
    ((0.5, 0.5, 0.5), (0.485, 0.456, 0.406))
    """
    numbers = [number(value) for value in (values if isinstance(values, list | tuple) else [values])]
    return tuple(numbers * _CHANNELS if len(numbers) == 1 else numbers)


def interpolation(value: object) -> Interpolation:
    """Return our name of an interpolation that is given by Pillow's number or by a name.

    Examples
    --------
    >>> interpolation(3), interpolation("BILINEAR")
    ('cubic', 'linear')
    """
    if type(value) is int and 0 <= value < len(_PIL_FILTERS):
        return _PIL_FILTERS[value]
    name = _SPELLINGS.get(value.lower()) if isinstance(value, str) else None
    if name is None:
        raise ValueError(f"unknown interpolation {_shown(value)}")
    return name


def other_keys(config: Config, known: Collection[str]) -> list[str]:
    """Return the keys of a configuration that are not known, except those that are off: null, false or empty.

    Examples
    --------
    >>> other_keys({"size": 224, "do_pad": True, "do_thumbnail": False}, {"size"})
    ['do_pad']
    """
    return [str(key) for key, value in config.items() if key not in known and value not in (None, False, "", [], {})]


def pixel_keys(config: Config, known: Collection[str]) -> list[str]:
    """Return the keys of a model's metadata that sound like a preprocessing and are not known.

    Examples
    --------
    >>> pixel_keys({"mean_values": "123.7 116.3 103.5", "producer": "someone"}, set())
    ['mean_values']
    """
    return [key for key in other_keys(config, known) if _PIXEL_WORDS.search(key) and len(key) <= _LONGEST_NAME]


def not_applied(names: Iterable[str]) -> tuple[str, ...]:
    """Return a note on settings that are not applied; none without names.

    Examples
    --------
    >>> print(*not_applied(["do_pad"]))
    the setting 'do_pad' is not applied; if it changes the pixels, make the network's input yourself (--preprocess none)
    """
    names = list(names)
    if not names:
        return ()
    subject = (
        f"the setting {listed(names)} is not applied; if it changes"
        if len(names) == 1
        else f"the settings {listed(names)} are not applied; if they change"
    )
    return (f"{subject} the pixels, make the network's input yourself (--preprocess none)",)


def listed(names: Iterable[str]) -> str:
    """Return names for a message: the first five, on one line.

    Examples
    --------
    >>> listed("abcdefg")
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    texts = [_cut(one_line_text(name)) for name in names]
    first = ", ".join(f"'{text}'" for text in texts[:_MOST_NAMES])
    return f"{first} and {len(texts) - _MOST_NAMES} more" if len(texts) > _MOST_NAMES else first


def _shown(value: object) -> str:
    """Return a value for a message; of one that holds others, only what it is: it may be huge or deep."""
    kinds = {dict: "an object", list: "a list", type(None): "null"}
    return kinds.get(type(value)) or _cut(one_line_text(repr(value) if isinstance(value, str) else f"{value}"[:200]))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def checked(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing whose fields came from a file, if all of them have values that can be used.

    Raises
    ------
    ValueError
        They do not.

    Examples
    --------
    >>> checked(Preprocessing("custom", crop_pct=0))
    Traceback (most recent call last):
        ...
    ValueError: expected crop_pct from 0.05 to 20
    """
    p = preprocessing
    is_expected = {
        "a name that is text": isinstance(p.name, str),
        "a known kind of resizing": p.resize in RESIZES,
        "a known interpolation": p.interpolation in INTERPOLATIONS,
        "a known library": p.library in LIBRARIES,
        "mean and std of three numbers, or of four for RGBA": len(p.mean) == len(p.std) in (_CHANNELS, _CHANNELS + 1),
        "a std other than 0": all(p.std),
        "crop_pct from 0.05 to 20": _CROP_PCTS[0] <= p.crop_pct <= _CROP_PCTS[1],
        "channels RGB or BGR": p.channels in ("RGB", "BGR"),
        "a size of two positive whole numbers": p.size is None or _is_size(p.size),
        "a pad of three or four whole numbers from 0 to 255": len(p.pad) in (_CHANNELS, _CHANNELS + 1)
        and all(0 <= level <= _LEVELS for level in p.pad),
        "finite numbers": _is_finite(p),
    }
    unmet = [expectation for expectation, is_met in is_expected.items() if not is_met]
    if unmet:
        raise ValueError(f"expected {', '.join(unmet)}")
    return preprocessing


def _is_size(size: tuple[int, ...]) -> bool:
    return len(size) == 2 and all(type(side) is int and 0 < side <= MAX_PIXELS for side in size)


def _is_finite(preprocessing: Preprocessing) -> bool:
    """Tell whether the constants are finite in float32, and turn black and white into finite numbers."""
    p = preprocessing
    with np.errstate(all="ignore"):
        numbers = [np.array(value, np.float32) for value in (p.scale, p.crop_pct, p.mean, p.std)]
        scale, _, mean, std = numbers
        pixels = np.array([[0], [_LEVELS]], np.float32) * scale
        values = (pixels - mean) / std if mean.shape == std.shape else pixels
    return all(np.isfinite(value).all() for value in (*numbers, values))
