"""What a comparison says about its images and maps, in words."""

from __future__ import annotations

import os
from collections.abc import Sequence

from onnx_cam.errors import one_line_text
from onnx_cam.explanation.result import Explanation
from onnx_cam.explanation.saving import readable_path
from onnx_cam.explanation.targets import Target

__all__ = [
    "Row",
    "class_and_score",
    "classes_of_rows",
    "cost",
    "count_methods",
    "image_name",
    "label_and_score",
    "method_name",
    "method_settings",
    "model_and_layer",
]

Row = Sequence[Explanation]
"""The maps of one image and one class, one for each method."""

_SHOWN_ELSEWHERE = ("score", "baseline", "budget", "tolerance")


def image_name(explanation: Explanation) -> str:
    """Return an image's file name; ``array`` for an array or a PIL image, ``image`` for bytes.

    Examples
    --------
    >>> import onnx_cam
    >>> image_name(onnx_cam.explain("model.onnx", "cat.jpg"))
    'cat.jpg'
    """
    if explanation.image is None:
        return explanation.explained_image.stem
    image = readable_path(explanation.image)
    return "standard input" if image == "-" else one_line_text(os.path.basename(image))


def method_name(explanation: Explanation) -> str:
    """Return the method, its variant, its limit on the forward passes and its contrast, as ``--methods`` takes them.

    Examples
    --------
    >>> import onnx_cam
    >>> method_name(onnx_cam.explain("model.onnx", "cat.jpg", method="scorecam", budget="50%"))
    'scorecam:paper:budget=50%'
    """
    budget, tolerance = (explanation.parameters.get(key) for key in ("budget", "tolerance"))
    parts = [explanation.method, explanation.variant]
    if budget is not None:
        parts.append(f"budget={budget}" if isinstance(budget, int) else f"budget={100 * budget:g}%")
    if tolerance is not None:
        parts.append(f"tolerance={tolerance:g}")
    if explanation.versus is not None:
        parts.append(f"versus={explanation.versus.index}")
    return ":".join(parts)


def method_settings(explanation: Explanation) -> str:
    """Return the settings of the method itself; empty where it has none.

    Examples
    --------
    >>> import onnx_cam
    >>> method_settings(onnx_cam.explain("model.onnx", "cat.jpg", method="sscam2", samples=2, sigma=0.5))
    'samples 2, sigma 0.5'
    """
    values = {
        name: value
        for name, value in explanation.parameters.items()
        if name not in _SHOWN_ELSEWHERE and value is not None
    }
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


def label_and_score(explanation: Explanation, target: Target) -> tuple[str, str]:
    """Return a class's label, which can be of any length, and its index and probability, which must stay readable.

    Examples
    --------
    >>> import onnx_cam
    >>> explanation = onnx_cam.explain("model.onnx", "cat.jpg")
    >>> label_and_score(explanation, onnx_cam.Target(281, "tabby", 0.5234))
    ('tabby', ' (281) · 0.523')
    >>> label_and_score(explanation, onnx_cam.Target(7, None, 1.23e-7))
    ('class 7', ' · 1.2e-07')
    """
    probability = f"{target.score:.3f}" if abs(target.score) >= 0.001 or target.score == 0 else f"{target.score:.1e}"
    if target.label is None:
        return explanation.name_of(target), f" · {probability}"
    return one_line_text(target.label), f" ({target.index}) · {probability}"


def class_and_score(explanation: Explanation) -> tuple[str, str]:
    """Return the explained class as `label_and_score` does; of a contrast, A and the class that it is held against.

    Examples
    --------
    >>> import onnx_cam
    >>> class_and_score(onnx_cam.explain("model.onnx", "cat.jpg", method="cam", versus="dog"))
    ('cat rather than dog', ' (1 vs 3)')
    """
    target, versus = explanation.target, explanation.versus
    if versus is None:
        return label_and_score(explanation, target)
    if target.label is None or versus.label is None:
        return one_line_text(explanation.subject), ""
    names = one_line_text(f"{target.label.partition(',')[0]} rather than {versus.label.partition(',')[0]}")
    return names, f" ({target.index} vs {versus.index})"


def cost(explanation: Explanation, classes: int) -> tuple[str, str]:
    """Return the number of forward passes, and the seconds that they took.

    Parameters
    ----------
    explanation : Explanation
    classes : int
        How many classes the forward passes were for: see :func:`classes_of_rows`.

    Examples
    --------
    >>> import onnx_cam
    >>> passes, seconds = cost(onnx_cam.explain("model.onnx", "cat.jpg"), 2)
    >>> passes
    '6 forward passes'
    >>> seconds  # doctest: +ELLIPSIS
    ' · ... s, all 2 classes'
    """
    passes = "1 forward pass" if explanation.passes == 1 else f"{explanation.passes:,} forward passes"
    shared = f", all {classes} classes" if classes > 1 else ""
    return passes, f" · {explanation.seconds:.1f} s{shared}"


def classes_of_rows(rows: Sequence[Row]) -> list[int]:
    """Return for each row the number of classes that were explained for its image, by the same forward passes.

    Examples
    --------
    >>> import onnx_cam
    >>> classes_of_rows(onnx_cam.compare("model.onnx", "cat.jpg", methods="cam", target=[0, 1]).rows)
    [2, 2]
    """
    return [sum(other[0].pixels is row[0].pixels for other in rows) for row in rows]


def count_methods(row: Row) -> int:
    """Return how many methods made the maps of a row, each with its settings; a contrast is no method of its own.

    Examples
    --------
    >>> import onnx_cam
    >>> count_methods(onnx_cam.compare("model.onnx", "cat.jpg", methods="cam", versus="next").rows[0])
    1
    """
    limits = ("budget", "tolerance")
    return len({(e.method, e.variant, method_settings(e), *map(e.parameters.get, limits)) for e in row})


def model_and_layer(explanation: Explanation) -> str:
    """Return the model's file name and hash, and the layer's name and shape, as one line.

    Examples
    --------
    >>> import onnx_cam
    >>> model_and_layer(onnx_cam.explain("model.onnx", "cat.jpg"))  # doctest: +ELLIPSIS
    'model.onnx (SHA-256 ...) · layer relu2 (6×5×5)'
    """
    shape = "×".join(map(str, explanation.layer_shape))
    model = "model" if explanation.model is None else os.path.basename(readable_path(explanation.model))
    return one_line_text(f"{model} (SHA-256 {explanation.model_sha256[:12]}…) · layer {explanation.layer} ({shape})")
