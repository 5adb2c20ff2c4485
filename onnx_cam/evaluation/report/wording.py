"""Numbers and names as the report prints them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from onnx_cam.errors import one_line_text
from onnx_cam.metrics import Metric

__all__ = ["choices", "count", "explained", "figure", "file_name", "label", "plain", "span"]

_NAMES = {"keep": "share of pixels kept", "tie": "tie up to"}
_LONGEST = 200  # characters of a name that are printed


def figure(value: float | None, unit: str = "") -> str:
    """Return a figure: one digit behind the point where it is in %, else three; a dash for none."""
    if value is None:
        return "–"
    return _minus(f"{value:.1f}" if unit == "%" else f"{value:.3f}")


def span(low: float | None, high: float | None, unit: str = "") -> str:
    """Return an interval in brackets; nothing where there is none."""
    return "" if low is None or high is None else f"[{figure(low, unit)}, {figure(high, unit)}]"


def plain(value: Any) -> str:
    """Return a value of any kind on one line."""
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
    """Return a name that comes from elsewhere on one line, and not without end."""
    line = one_line_text(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def count(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def choices(metric: Metric) -> str:
    """Return a metric's free choices on one line."""
    return ", ".join(f"{_NAMES.get(name, name)} {plain(value)}" for name, value in metric.parameters.items())


def explained(metric: Metric) -> list[tuple[str, bool]]:
    """Return what a metric is, from its docstring: pieces of text, and whether each is a formula."""
    text = " ".join((inspect.getdoc(type(metric)) or "").split("\n\n")[0].split())
    return [(piece, bool(i % 2)) for i, piece in enumerate(text.split("``")) if piece]


def file_name(path: Any) -> str:
    """Return the last part of a path, which may have been written on another system."""
    return label(PurePath(str(path).replace("\\", "/")).name)


def _minus(text: str) -> str:
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")
