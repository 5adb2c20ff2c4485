"""What a head kind is: the meaning of an output's numbers, in NumPy and as nodes of a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.graph.emission import Emission

__all__ = ["Doubles", "HeadKind", "both_classes", "sigmoid", "softmax"]

Doubles = NDArray[np.float64]

_RANGE_SLACK = 1e-3  # how far outside [0, 1] float16 may put a probability


@dataclass(frozen=True)
class HeadKind(ABC):
    """What the numbers of a model's output are, and how they become probabilities.

    `probabilities` computes in NumPy what `emit` writes into a graph: the first for runs of the model as it is, the
    second for the score graph. They stand side by side so that one is not changed without the other.

    Attributes
    ----------
    name : str
        The name in records, and for ``--head``.
    operators : tuple of str
        The ONNX operators that make such numbers when a graph ends in one of them.
    expected : str
        What such numbers look like, for messages.
    gives_probabilities : bool
        Whether `probabilities` returns probabilities; if not, it returns the numbers themselves.
    sums_to_one : bool
        Whether the probabilities of an image are those of one choice among the classes, and sum to 1.

    Examples
    --------
    >>> from onnx_cam.graph.heads import HEADS
    >>> HEADS["softmax"].operators
    ('Softmax', 'QLinearSoftmax')
    """

    name: ClassVar[str]
    operators: ClassVar[tuple[str, ...]] = ()
    expected: ClassVar[str] = ""
    gives_probabilities: ClassVar[bool] = True
    sums_to_one: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def probabilities(self, values: Doubles) -> Doubles:
        """Return f^c as a probability.

        Parameters
        ----------
        values : ndarray of shape (B, outputs), float64
            The output's numbers. A single one stands for two classes.

        Returns
        -------
        ndarray of shape (B, classes), float64, in [0, 1]
        """

    def fits(self, values: Doubles, *, slack: float = 1e-3) -> bool:
        """Tell whether the numbers of a run can be of this kind.

        Parameters
        ----------
        values : ndarray of shape (B, outputs), float64
            The output's numbers.
        slack : float
            How far from 1 the probabilities of an image may sum, where they should sum to 1: rounding moves them.

        Examples
        --------
        >>> from onnx_cam.graph.heads import Softmax
        >>> Softmax().fits(np.array([[0.25, 0.75]])), Softmax().fits(np.array([[25.0, 75.0]]))
        (True, False)
        """
        with np.errstate(over="ignore", invalid="ignore"):  # numbers of another kind may be anything
            shares = self.probabilities(values)
        if not ((shares >= -_RANGE_SLACK) & (shares <= 1 + _RANGE_SLACK)).all():
            return False
        if not self.sums_to_one:
            return True
        return values.shape[1] > 1 and bool(np.allclose(shares.sum(axis=1), 1, atol=slack, rtol=0))

    @abstractmethod
    def emit(self, emission: Emission, values: gs.Variable, *, binary: bool) -> gs.Variable:
        """Append the nodes that compute f^c as a probability, and return their output, (B, classes) float64.

        Parameters
        ----------
        emission : Emission
            Where the nodes go.
        values : onnx_graphsurgeon.Variable
            The output's numbers, (B, outputs) float64.
        binary : bool
            Whether there is a single number for two classes.
        """


def softmax(values: NDArray[Any]) -> Doubles:
    """Return the softmax over the last axis, in float64.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    values = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):  # the caller reports scores that are NaN or infinite
        exponential = np.exp(values - values.max(axis=-1, keepdims=True))
        shares: Doubles = exponential / exponential.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(values: Doubles) -> Doubles:
    """Return ``1 / (1 + exp(−z))``, by the hyperbolic tangent, which never overflows.

    Examples
    --------
    >>> sigmoid(np.array([0.0, 1000.0]))
    array([0.5, 1. ])
    """
    return 0.5 * (1 + np.tanh(values / 2))


def both_classes(emission: Emission, probability: gs.Variable) -> gs.Variable:
    """Append the nodes that make two classes, 1 − p and p, of one probability (B, 1)."""
    return emission.add("Concat", emission.add("Sub", np.array(1, np.float64), probability), probability, axis=1)
