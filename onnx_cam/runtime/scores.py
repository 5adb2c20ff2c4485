"""From a model's output to scores: probabilities or logits."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.graph.head import Head

__all__ = ["RESOLUTION", "ScoreKind", "logits", "numbers", "probabilities"]

ScoreKind = Literal["probability", "logit"]

RESOLUTION = 2.0**-22
"""The relative resolution of a score: a few units in the last place of float32."""


def probabilities(raw: NDArray[Any], head: Head) -> NDArray[np.float64]:
    """Return f^c as a probability (METHODS.md, "Notation").

    Parameters
    ----------
    raw : ndarray of shape (B, classes), (B, classes, 1, 1) or (B,)
        The output `head.output`.
    head : Head
        What its numbers are. A single logit or sigmoid becomes two classes, 1 − p and p.

    Returns
    -------
    ndarray of shape (B, classes), float64
        In [0, 1]; of a raw head the numbers themselves.
    """
    return head.kind.probabilities(numbers(raw, head))


def logits(raw: NDArray[Any], *, binary: bool = False) -> NDArray[np.float64]:
    """Return the logits; of a raw head the numbers themselves.

    Parameters
    ----------
    raw : ndarray of shape (B, classes), (B, classes, 1, 1) or (B,)
        The tensor `head.logits`.
    binary : bool
        Whether there is a single logit z for two classes: it becomes two, −z and z.

    Returns
    -------
    ndarray of shape (B, classes), float64
    """
    values = _flat(raw)
    return np.concatenate([-values, values], axis=1) if binary else values


def numbers(raw: NDArray[Any], head: Head) -> NDArray[np.float64]:
    """Return the numbers of an output, (B, outputs) float64; integers are dequantized."""
    flat = _flat(raw)
    return (flat - head.zero_point) * head.scale if raw.dtype.kind in "iu" else flat


def _flat(raw: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(raw, np.float64).reshape(len(raw), -1)
