"""Why A rather than B: the methods that can contrast two classes, and the setting that names the second one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnx_cam.errors import SettingError
from onnx_cam.methods.base import Method
from onnx_cam.methods.subject import Subject
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["NEXT", "ContrastMethod", "Versus", "contrasted", "read_versus"]

NEXT = "next"
"""Stands for the likeliest class other than the target."""

Versus = int | str
"""The class that a target is contrasted with: an index, a name, or ``"next"``."""


@dataclass(frozen=True)
class ContrastMethod(Method):
    """Base of the methods that can explain why the model says A rather than B.

    Parameters
    ----------
    variant : str, optional
    versus : int or str, optional
        B, an index, a name, or ``"next"``: the pixels that speak for the target and against this class. It takes no
        extra forward pass.

    References
    ----------
    METHODS.md, "Contrast".

    Examples
    --------
    >>> from onnx_cam import GradCAM
    >>> GradCAM(versus="next").parameters
    {'versus': 'next'}
    """

    versus: Versus | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.versus is not None:
            object.__setattr__(self, "versus", read_versus(self.versus))

    @property
    def other_class(self) -> Versus | None:
        """The class that targets are contrasted with."""
        return self.versus

    def score_kind(self, requested: ScoreKind | None) -> ScoreKind:
        """Return the score to use; a contrast is that of the probabilities only where they are requested.

        Raises
        ------
        SettingError
            The variant is defined on the other score.
        """
        if self.versus is not None and self.wiring.score == "probability":
            return requested or "probability"
        return super().score_kind(requested)

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings beside the variant; the other class only where there is one."""
        return {k: v for k, v in super().parameters.items() if k != "versus" or v is not None}

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        reason = super().why_empty(subject)
        if self.versus is None:
            return reason
        if subject.scorer.pairs_vanish:
            return "the probabilities of both classes vanish in every scored image; contrast likelier classes"
        return f"{reason} (the score is that of one class against the other)"


def contrasted(method: Method, versus: Versus | None) -> Method:
    """Return a method that contrasts targets with a class; None for one that explains the targets' own scores.

    Raises
    ------
    SettingError
        The method has no contrast.

    Examples
    --------
    >>> from onnx_cam import CAM
    >>> contrasted(CAM(), "next")
    CAM(variant='paper', versus='next')
    """
    if isinstance(method, ContrastMethod):
        return replace(method, versus=versus)
    if versus is None:
        return method
    raise SettingError(f"{method.name} cannot contrast two classes; leave it out, or leave out versus")


def read_versus(versus: object) -> Versus:
    """Return the class to contrast with as an index or a word.

    Raises
    ------
    SettingError
        It is neither.

    Examples
    --------
    >>> read_versus(282), read_versus("next"), read_versus("7")
    (282, 'next', 7)
    """
    if isinstance(versus, int | np.integer) and not isinstance(versus, bool):
        return int(versus)
    if not isinstance(versus, str) or not versus.strip():
        raise SettingError(f"invalid versus={versus!r}: expected the index or the name of one class, or next")
    word = versus.strip()
    return int(word) if word.isdecimal() and word.isascii() else word
