"""A tensor with mean 0 and variance 1 over some axes, and the gradient in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnx_cam.graph.backward.emitter import Emitter

__all__ = ["Standardised"]


@dataclass(frozen=True, eq=False)
class Standardised:
    """A tensor with mean 0 and variance 1 over some axes.

    Attributes
    ----------
    axes : sequence of int
    normal : str
        The tensor.
    inverse : str
        The inverse standard deviation, with a size of 1 along the axes.
    is_centred : bool
        Without centring the mean square is 1, and `inverse` is the inverse of its root.
    """

    axes: Sequence[int]
    normal: str
    inverse: str
    is_centred: bool

    @classmethod
    def of(
        cls, emit: Emitter, tensor: str, axes: Sequence[int], epsilon: float, *, centred: bool = True
    ) -> Standardised:
        """Emit it; `epsilon` is added to the variance."""
        if centred:
            tensor = emit.add("Sub", tensor, emit.reduce("ReduceMean", tensor, axes))
        variance = emit.reduce("ReduceMean", emit.square(tensor), axes)
        inverse = emit.add("Reciprocal", emit.add("Sqrt", emit.add("Add", variance, epsilon)))
        return cls(axes, emit.add("Mul", tensor, inverse), inverse, centred)

    def backward(self, emit: Emitter, gradient: str) -> str:
        """Return the gradient in front: (g − mean(g) − normal · mean(g · normal)) · inverse."""
        share = emit.reduce("ReduceMean", emit.add("Mul", gradient, self.normal), self.axes)
        if self.is_centred:
            gradient = emit.add("Sub", gradient, emit.reduce("ReduceMean", gradient, self.axes))
        return emit.add("Mul", emit.add("Sub", gradient, emit.add("Mul", self.normal, share)), self.inverse)
