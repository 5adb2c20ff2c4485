"""Methods by the names that tables, pages and files of an evaluation use for them."""

from __future__ import annotations

from collections.abc import Sequence

from onnx_cam.errors import SettingError
from onnx_cam.methods import METHODS, Method
from onnx_cam.methods.contrast import NEXT
from onnx_cam.methods.spelling import ALL, read_method

__all__ = ["choose_named_methods", "names_all"]


def choose_named_methods(methods: str | Sequence[str | Method], samples: int | None = None) -> dict[str, Method]:
    """Return methods by their names.

    Parameters
    ----------
    methods : str, or sequence of str and Method
        Names with their variant and settings, as in ``sscam2:paper:sigma=0.5``; a single string may hold several with
        commas between them. ``"all"`` stands for every method, without the control ``equal``.
    samples : int, optional
        N, for the methods given by name that have samples and do not state how many.

    Raises
    ------
    SettingError
        A method is unknown or given twice.

    Examples
    --------
    >>> choose_named_methods("scorecam, sscam2:sigma=0.5", samples=7)["sscam2:sigma=0.5"].parameters
    {'samples': 7, 'sigma': 0.5}
    """
    words = _words(methods)
    if not words:
        raise SettingError(f"no method to evaluate; expected {ALL}, or some of {', '.join(METHODS)}")
    if ALL in words:  # other words may add the control, or a method with other settings
        words = [*METHODS, *(word for word in words if word != ALL)]
    named: dict[str, Method] = {}
    for word in words:
        method = read_method(word, samples) if isinstance(word, str) else word
        name = word if isinstance(word, str) else f"{method.name}:{method.variant}"
        if name in named or method in named.values():
            raise SettingError(f"{name} is given twice; give each method once")
        if method.other_class not in (None, NEXT):
            raise SettingError(
                f"{name} contrasts with a fixed class, but an evaluation explains the predicted class of each image, "
                f"which may be that class: use versus={NEXT}"
            )
        named[name] = method
    return named


def names_all(methods: str | Sequence[str | Method]) -> bool:
    """Tell whether methods are given as ``"all"``, which leaves out those that do not work on a model.

    Examples
    --------
    >>> names_all("all,equal"), names_all("scorecam")
    (True, False)
    """
    return ALL in _words(methods)


def _words(methods: str | Sequence[str | Method]) -> list[str | Method]:
    if isinstance(methods, str):
        return [part.strip() for part in methods.split(",") if part.strip()]
    return list(methods)
