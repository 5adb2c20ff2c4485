"""A method or a control and its settings as one word: ``sscam2:paper:sigma=0.5:samples=3``, ``blurred:gradcam``."""

from __future__ import annotations

from collections.abc import Callable

from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, Method, make_method, setting_names
from onnx_cam.methods.blurred import Blurred
from onnx_cam.methods.controls import CONTROLS

__all__ = ["ALL", "read_method"]

ALL = "all"
"""Stands for every method that works on the model."""

_TYPES: dict[str, Callable[[str], int | float | str]] = {
    "samples": int,
    "sigma": float,
    "budget": str,
    "tolerance": float,
    "versus": str,
    "gamma": float,
    "references": int,
}
_FORM = "NAME[:VARIANT][:samples=N][:sigma=S][:budget=P%][:tolerance=T][:versus=CLASS|next]"


def read_method(text: str, samples: int | None = None) -> Method:
    """Return the method that a word stands for: a name, followed by a variant and settings after colons.

    Parameters
    ----------
    text : str
        The name is that of a method or of a control; after ``blurred:`` comes the word of a method.
    samples : int, optional
        N, for a method that has samples and whose word does not say how many.

    Raises
    ------
    SettingError
        The name, the variant or a setting is unknown, or a number cannot be read.

    Examples
    --------
    >>> read_method("sscam2:paper:sigma=0.5")
    SSCAM2(variant='paper', versus=None, budget=None, tolerance=None, samples=10, sigma=0.5)
    """
    name, _, rest = text.partition(":")
    if name in CONTROLS:
        return _read_control(text, name, rest, samples)
    parts = text.split(":")[1:]
    settings: dict[str, str | int | float | None] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            key, value = "variant", part
        if key in settings:
            raise SettingError(f"{text!r} gives its {key} twice: give it once")
        settings[key] = _read(text, key, value) if equals else value
    if samples is not None and name in METHODS and "samples" in setting_names(METHODS[name]):
        settings.setdefault("samples", samples)
    return make_method(name, **settings)


def _read_control(text: str, name: str, rest: str, samples: int | None) -> Method:
    """Return the control of a name, given what follows the colon after it."""
    if name == Blurred.name:
        if not rest:
            raise SettingError(
                f"{text!r} does not say whose map to blur: expected blurred:METHOD, e.g. blurred:gradcam"
            )
        return Blurred(of=read_method(rest, samples))
    if "=" in rest or ":" in rest:
        raise SettingError(f"the control {name} has no settings: give {name} in place of {text!r}")
    return CONTROLS[name](rest or None)


def _read(text: str, key: str, value: str) -> int | float | str:
    if key not in _TYPES:
        raise SettingError(f"unknown setting {key!r} in {text!r}: expected {_FORM}")
    try:
        return _TYPES[key](value)
    except ValueError as error:
        raise SettingError(f"invalid {key} {value!r} in {text!r}: expected a number") from error
