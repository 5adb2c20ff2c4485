"""The summary of a comparison in Markdown, as CI systems show it beside a job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnx_cam.builds.figures import FIGURES
from onnx_cam.errors import one_line_text

if TYPE_CHECKING:
    from onnx_cam.builds.result import Diff
    from onnx_cam.metrics.interval import Interval

__all__ = ["as_markdown", "shown"]

_PER_CENT = ("flips", "negative_flips", "drift", "changed")
_MAX_NAMED = 10  # images
_STATES = {True: "failed", False: "passed", None: "not judged"}


def as_markdown(diff: Diff) -> str:
    """Return the gates, the figures with their intervals, and the images whose maps changed most.

    Examples
    --------
    >>> import onnx_cam
    >>> text = as_markdown(onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"]))
    >>> text.splitlines()[0]
    '## onnx-cam diff: no gate failed'
    """
    failed = [judged.gate.text for judged in diff.gates if judged.failed]
    lines = [
        f"## onnx-cam diff: {', '.join(map(_code, failed)) + ' failed' if failed else 'no gate failed'}",
        "",
        f"Old: {_code(diff.old['name'])} ({_short(diff.old['sha256'])}), layer {_code(diff.old['layer'])}  ",
        f"New: {_code(diff.new['name'])} ({_short(diff.new['sha256'])}), layer {_code(diff.new['layer'])}",
        "",
        *_table(("figure", "value", "95 % interval", "images", ""), _figures(diff)),
        "",
    ]
    if diff.gates:
        rows = [(_code(judged.gate.text), _STATES[judged.failed], judged.reason) for judged in diff.gates]
        lines += [*_table(("gate", "", ""), rows), ""]
    if diff.worst:
        lines += ["Images whose maps are farthest apart:", ""]
        lines += [*_table(("image", "distance", "flip", "drift"), _worst(diff)), ""]
    lines += [f"* {_plain(note)}" for note in _notes(diff)]
    return "\n".join(lines).rstrip() + "\n"


def shown(name: str, figure: Interval) -> tuple[str, str]:
    """Return a figure and its interval as text.

    Examples
    --------
    >>> from onnx_cam.metrics.interval import Interval
    >>> shown("flips", Interval(0.05, 0.02, 0.13, 60)), shown("maps", Interval(2.5, 2.0, 3.25, 60))
    (('5.0 %', '2.0 % to 13.0 %'), ('2.50', '2.00 to 3.25'))
    """
    if figure.value is None or figure.low is None or figure.high is None:
        return "–", ""
    value, low, high = (_number(name, number) for number in (figure.value, figure.low, figure.high))
    return value, f"{low} to {high}"


def _number(name: str, number: float) -> str:
    if name in _PER_CENT:
        return f"{100 * number:.1f} %"
    return f"{number:.2f}" if name == "maps" else f"{number:.3f}"


def _figures(diff: Diff) -> list[tuple[str, ...]]:
    return [(_code(name), *shown(name, figure), str(figure.n), FIGURES[name]) for name, figure in diff.figures.items()]


def _worst(diff: Diff) -> list[tuple[str, ...]]:
    return [
        (_plain(image.name), f"{image.distance:.3f}", "yes" * image.is_flip, f"{100 * image.drift:.1f} %")
        for image in diff.worst[:_MAX_NAMED]
    ]


def _notes(diff: Diff) -> list[str]:
    along = [diff.along.in_words()] if diff.along is not None else []
    return [*along, *diff.notes, *(f"{name} left out: {reason}" for name, reason in diff.left_out.items())]


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [header, ("---",) * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _short(sha256: str) -> str:
    return _code(sha256[:12])


def _code(text: str) -> str:
    return f"`{one_line_text(text).replace('`', '').replace('|', chr(92) + '|')}`"


def _plain(text: str) -> str:
    """Return a text that Markdown prints as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", one_line_text(text))
