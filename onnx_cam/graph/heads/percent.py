"""Percentages: probabilities times 100."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnx_cam.graph.heads.scaled import Scaled

__all__ = ["Percent"]


@dataclass(frozen=True)
class Percent(Scaled):
    """Probabilities in per cent.

    Examples
    --------
    >>> import numpy as np
    >>> Percent().probabilities(np.array([[25.0, 75.0]]))
    array([[0.25, 0.75]])
    """

    name: ClassVar[str] = "percent"
    expected: ClassVar[str] = "numbers from 0 to 100"

    factor: float = 100.0
    shift: float = 0.0
