"""What stands beside a map in a comparison, in words."""

from __future__ import annotations

import os
from collections.abc import Sequence

from onnx_cam.errors import one_line_text
from onnx_cam.explanation.result import Explanation, Target

__all__ = ["Row", "about", "cost", "image_name", "label_and_rest", "method_name", "score", "settings", "sharing"]

Row = Sequence[Explanation]
"""One image and one class, by each method."""


def image_name(explanation: Explanation) -> str:
    """Return an image's file name."""
    image = explanation.record()["image"]
    if image is None:
        return "array"
    return "standard input" if image == "-" else one_line_text(os.path.basename(image))


_SAID = ("score", "baseline", "budget", "tolerance")  # elsewhere


def method_name(explanation: Explanation) -> str:
    """Return the method and the variant as ``--methods`` takes them."""
    budget, tolerance = (explanation.parameters.get(key) for key in ("budget", "tolerance"))
    parts = [explanation.method, explanation.variant]
    if budget is not None:
        parts.append(f"budget={budget}" if isinstance(budget, int) else f"budget={100 * budget:g}%")
    if tolerance is not None:
        parts.append(f"tolerance={tolerance:g}")
    return ":".join(parts)


def label_and_rest(target: Target) -> tuple[str, str]:
    """Return a class's label, which may be of any length, and what must not be cut off behind it."""
    if target.label is None:
        return f"class {target.index}", f" · {score(target)}"
    return one_line_text(target.label), f" ({target.index}) · {score(target)}"


def score(target: Target) -> str:
    """Return a class's probability; three digits, however small it is."""
    return f"{target.score:.3f}" if target.score >= 0.001 or target.score == 0 else f"{target.score:.1e}"


def cost(explanation: Explanation, classes: int) -> str:
    """Return passes and seconds; `classes` is the number of classes that they were shared by."""
    shared = f", all {classes} classes" if classes > 1 else ""
    passes = "1 pass" if explanation.passes == 1 else f"{explanation.passes:,} passes"
    return f"{passes} · {explanation.seconds:.1f} s{shared}"


def settings(explanation: Explanation) -> str:
    """Return the method's own settings."""
    own = {k: v for k, v in explanation.parameters.items() if k not in _SAID and v is not None}
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in own.items()
    )


def sharing(rows: Sequence[Row]) -> list[int]:
    """Return for each row how many rows came of its image's passes."""
    return [sum(other[0].pixels is row[0].pixels for other in rows) for row in rows]


def about(explanation: Explanation) -> str:
    """Return the model and the layer in a line."""
    shape = "×".join(map(str, explanation.layer_shape))
    model = one_line_text(os.path.basename(explanation.record()["model"]))
    return f"{model} (SHA-256 {explanation.model_sha256[:12]}…) · layer {explanation.layer} ({shape})"
