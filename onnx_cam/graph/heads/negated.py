"""Negated probabilities: −p for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.graph.heads.scaled import Scaled

__all__ = ["Negated"]


@dataclass(frozen=True)
class Negated(Scaled):
    """The negative of each class's probability, so that the lowest number is the likeliest class.

    Examples
    --------
    >>> import numpy as np
    >>> Negated().probabilities(np.array([[-0.25, -0.75]]))
    array([[0.25, 0.75]])
    """

    name: ClassVar[str] = "negated"
    expected: ClassVar[str] = "numbers from -1 to 0"

    factor: float = -1.0
    shift: float = 0.0
