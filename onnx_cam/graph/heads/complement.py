"""Complements: 1 − p for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.graph.heads.scaled import Scaled

__all__ = ["Complement"]


@dataclass(frozen=True)
class Complement(Scaled):
    """What is left of each class's probability to 1, so that the lowest number is the likeliest class.

    Examples
    --------
    >>> import numpy as np
    >>> Complement().probabilities(np.array([[0.75, 0.25]]))
    array([[0.25, 0.75]])
    """

    name: ClassVar[str] = "complement"
    expected: ClassVar[str] = "numbers from 0 to 1"

    factor: float = -1.0
    shift: float = 1.0
