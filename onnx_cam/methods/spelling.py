"""A method and its settings as one word: ``sscam2:paper:sigma=0.5:samples=3``."""

from __future__ import annotations

from collections.abc import Callable

from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, Method, make_method
from onnx_cam.methods.equal import EqualWeights

__all__ = ["ALL", "CONTROL", "read_method"]

ALL = "all"
"""Every method that works on the model."""

CONTROL = EqualWeights.name
"""The name of the control; it is no method, and not in the list."""

_TYPES: dict[str, Callable[[str], int | float | str]] = {
    "samples": int,
    "sigma": float,
    "budget": str,
    "tolerance": float,
}
_FORM = "NAME[:VARIANT][:samples=N][:sigma=S][:budget=P%][:tolerance=T]"


def read_method(text: str, samples: int | None = None) -> Method:
    """Return the method that a word stands for: its name, and its variant and settings with colons.

    Parameters
    ----------
    text : str
    samples : int, optional
        N of a method that has samples and does not say how many.

    Raises
    ------
    SettingError
        The name, the variant or a setting is unknown, or a number cannot be read.
    """
    name, *parts = text.split(":")
    if name == CONTROL and not parts:
        return EqualWeights()
    settings: dict[str, str | int | float | None] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            key, value = "variant", part
        if key in settings:
            raise SettingError(f"{text!r} says its {key} twice; say it once")
        settings[key] = _read(text, key, value) if equals else value
    if samples is not None and name in METHODS and "samples" in METHODS[name].__dataclass_fields__:
        settings.setdefault("samples", samples)
    return make_method(name, **settings)


def _read(text: str, key: str, value: str) -> int | float | str:
    if key not in _TYPES:
        raise SettingError(f"{text!r} sets {key!r}; expected {_FORM}")
    try:
        return _TYPES[key](value)
    except ValueError as error:
        raise SettingError(f"{text!r}: {value!r} is no number for {key}; expected one") from error
