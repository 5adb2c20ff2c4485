"""Numbers and names as the report prints them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import PurePath

from onnx_cam.errors import one_line_text
from onnx_cam.methods.controls import is_control
from onnx_cam.metrics import Metric

__all__ = ["count", "explained", "figure", "file_name", "label", "named", "plain", "settings", "span"]

_NAMES = {"keep": "share of pixels kept", "tie": "ties up to"}
_MAX_LENGTH = 200  # characters of a name that are printed


def figure(value: float | None, unit: str = "") -> str:
    """Return a figure with one decimal where it is in %, otherwise with three; a dash for None.

    Examples
    --------
    >>> figure(12.34, "%"), figure(0.5), figure(None)
    ('12.3', '0.500', '–')
    """
    if value is None:
        return "–"
    return _minus(f"{value:.1f}" if unit == "%" else f"{value:.3f}")


def span(low: float | None, high: float | None, unit: str = "") -> str:
    """Return an interval in brackets; an empty text where there is none.

    Examples
    --------
    >>> span(0.1, 0.25)
    '[0.100, 0.250]'
    """
    return "" if low is None or high is None else f"[{figure(low, unit)}, {figure(high, unit)}]"


def plain(value: object) -> str:
    """Return a value of any kind on one line.

    Examples
    --------
    >>> plain({"steps": 50, "shuffled": False, "sizes": [1, 2]})
    'steps 50, shuffled no, sizes 1, 2'
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _minus(f"{value:g}")
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)} {plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return label(str(value))


def label(text: str) -> str:
    r"""Return a name from a file or a model on one line, cut to 200 characters.

    Examples
    --------
    >>> label("a\nb")
    'a b'
    """
    line = one_line_text(text)
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1] + "…"


def named(method: str) -> str:
    """Return a method's name in a table, which tells a control.

    Examples
    --------
    >>> named("cam"), named("centre")
    ('cam', 'centre (control)')
    """
    return f"{label(method)} (control)" if is_control(method) else label(method)


def count(number: int, noun: str) -> str:
    """Return a number of things in words.

    Examples
    --------
    >>> count(1, "image"), count(2000, "image")
    ('1 image', '2,000 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def settings(metric: Metric) -> str:
    """Return a metric's settings on one line.

    Examples
    --------
    >>> from onnx_cam.metrics import Deletion
    >>> settings(Deletion())
    'score probability, steps 50, baseline zero'
    """
    return ", ".join(f"{_NAMES.get(name, name)} {plain(value)}" for name, value in metric.parameters.items())


def explained(metric: Metric) -> list[tuple[str, bool]]:
    """Return what a metric measures, from its docstring: pieces of text, and whether each is a formula.

    Examples
    --------
    >>> from onnx_cam.metrics import AverageDrop
    >>> explained(AverageDrop())[0]
    ('100 · max(0, Y − O) / Y', True)
    """
    text = " ".join((inspect.getdoc(type(metric)) or "").split("\n\n")[0].split())
    return [(piece, bool(i % 2)) for i, piece in enumerate(text.split("``")) if piece]


def file_name(path: object) -> str:
    r"""Return the last part of a path, which may have been written on another system.

    Examples
    --------
    >>> file_name(r"C:\models\vgg.onnx")
    'vgg.onnx'
    """
    return label(PurePath(str(path).replace("\\", "/")).name)


def _minus(text: str) -> str:
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")
