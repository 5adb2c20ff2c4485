"""Several heads in one vector, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.heads.base import Doubles, HeadKind

__all__ = ["Several"]


@dataclass(frozen=True)
class Several(HeadKind):
    """The numbers of several heads, one after the other: each part becomes probabilities by itself.

    Parameters
    ----------
    parts : tuple of (int, HeadKind)
        How many numbers each part has, and what they are. A single number is a single class here.

    Examples
    --------
    >>> from onnx_cam.graph.heads import Logits, Sigmoid
    >>> Several(((2, Logits()), (1, Sigmoid()))).probabilities(np.array([[0.0, 0.0, 0.25]]))
    array([[0.5 , 0.5 , 0.25]])
    """

    name: ClassVar[str] = "several"
    expected: ClassVar[str] = "the numbers of several heads"

    parts: tuple[tuple[int, HeadKind], ...] = ()

    def probabilities(self, values: Doubles) -> Doubles:
        """Return the probabilities of each part, one after the other."""
        ends = np.cumsum([size for size, _ in self.parts])
        pieces = np.split(values, ends[:-1], axis=1)
        shares = [kind.probabilities(piece) for (_, kind), piece in zip(self.parts, pieces, strict=True)]
        return np.concatenate([s[:, -p.shape[1] :] for s, p in zip(shares, pieces, strict=True)], axis=1)

    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append a Gather and the nodes of its kind for each part, and a Concat."""
        shares, start = [], 0
        for size, kind in self.parts:
            piece = emission.add("Gather", values, np.arange(start, start + size), axis=1)
            shares.append(kind.emit(emission, piece, binary=False))
            start += size
        return emission.add("Concat", *shares, axis=1)
