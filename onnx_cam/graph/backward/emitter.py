"""Nodes that compute a gradient, in the form that the model's opset has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnx_cam.graph.backward.facts import Shape
from onnx_cam.graph.emission import PREFIX
from onnx_cam.graph.new_nodes import constant_node, unused_name

__all__ = ["Emitter", "Source"]

Source = str | float | NDArray[Any] | None
"""An input of a node: the name of a tensor, a float32 number, an array, or None for one that is left out."""

_OPSET_OF_AXES_AS_INPUT = {"ReduceSum": 13}
_OPSET_OF_OTHER_AXES_AS_INPUT = 18
_OPSET_OF_UNSQUEEZE_INPUTS = 13
_OPSET_OF_GEMM_WITHOUT_SUMMAND = 11
_OPSET_OF_SIGN = 9
_OPSET_OF_ERF = 9
_OPSET_OF_FLOAT_EQUAL = 11
_OPSET_OF_SLICE_INPUTS = 10
_OPSET_OF_PAD_INPUTS = 11
_OPSET_OF_EXPAND = 8
_OPSET_OF_WHERE = 9


class Emitter:
    """Appends nodes to a list, each at a given opset, and names what they compute.

    Parameters
    ----------
    opset : int
        The model's, 7 or later.
    names : set of str
        The names in use; new ones are added.
    part : str
        What the nodes are for: a part of their names.
    may_be_infinite : bool
        Whether a gradient may be infinite where it does not count, such as that of a root at 0 behind a ReLU.

    Attributes
    ----------
    nodes : list of onnx.NodeProto

    Examples
    --------
    >>> emitter = Emitter(13, set())
    >>> total = emitter.reduce("ReduceSum", "x", [2, 3])
    >>> [node.op_type for node in emitter.nodes]
    ['Constant', 'ReduceSum']
    """

    def __init__(self, opset: int, names: set[str], part: str = "backward", *, may_be_infinite: bool = False) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self._names = names
        self._prefix = f"{PREFIX}{part}/"
        self._selects = may_be_infinite and opset >= _OPSET_OF_WHERE
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: Source, domain: str = "", **attributes: Any) -> str:
        """Append a node with one output, and return that."""
        return self.add_many(operator, *inputs, outputs=1, domain=domain, **attributes)[0]

    def add_many(
        self, operator: str, *inputs: Source, outputs: int, domain: str = "", **attributes: Any
    ) -> tuple[str, ...]:
        """Append a node with several outputs, and return them."""
        tensors = [self._tensor(source) for source in inputs]
        names = tuple(self._name(operator) for _ in range(outputs))
        given = {name: value for name, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(operator, tensors, names, name=names[0], domain=domain, **given))
        return names

    def constant(self, value: NDArray[Any]) -> str:
        """Return the name of a constant; equal ones are one."""
        key = (value.dtype.name, value.shape, value.tobytes())
        if key not in self._constants:
            self._constants[key] = self._name("Constant")
            self.nodes.append(constant_node(self._constants[key], value))
        return self._constants[key]

    def cast(self, tensor: str, data_type: int = TensorProto.FLOAT) -> str:
        """Return a tensor as another type; by default float32."""
        return self.add("Cast", tensor, to=data_type)

    def reduce(self, operator: str, tensor: str, axes: Sequence[int], *, keepdims: bool = True) -> str:
        """Return ``ReduceSum``, ``ReduceMean``, ``ReduceMax`` … over the axes; without axes the tensor itself."""
        if not axes:
            return tensor
        if self.opset >= _OPSET_OF_AXES_AS_INPUT.get(operator, _OPSET_OF_OTHER_AXES_AS_INPUT):
            return self.add(operator, tensor, np.array(axes, np.int64), keepdims=int(keepdims))
        return self.add(operator, tensor, axes=list(axes), keepdims=int(keepdims))

    def reshape(self, tensor: str, shape: Shape, like: str | None = None) -> str:
        """Return a tensor reshaped.

        Parameters
        ----------
        tensor : str
        shape : tuple of int or None
            None for a size that depends on the batch.
        like : str, optional
            A tensor of that shape, to read the sizes from where more than one depends on the batch.

        Raises
        ------
        ValueError
            More than one size depends on the batch, and there is no tensor to read them from.
        """
        if sum(size is None for size in shape) <= 1 and 0 not in shape:
            return self.add("Reshape", tensor, np.array([-1 if n is None else n for n in shape], np.int64))
        if like is None:
            raise ValueError(f"the sizes {shape} depend on the batch in more than one place")
        return self.add("Reshape", tensor, self.add("Shape", like))

    def transpose(self, tensor: str, order: Sequence[int]) -> str:
        """Return a tensor with its axes in another order."""
        return tensor if list(order) == sorted(order) else self.add("Transpose", tensor, perm=list(order))

    def unsqueeze(self, tensor: str, axes: Sequence[int]) -> str:
        """Return a tensor with new axes of size 1, counted in the result."""
        if not axes:
            return tensor
        if self.opset < _OPSET_OF_UNSQUEEZE_INPUTS:
            return self.add("Unsqueeze", tensor, axes=list(axes))
        return self.add("Unsqueeze", tensor, np.array(axes, np.int64))

    def gemm(self, left: str, right: str, **attributes: Any) -> str:
        """Return a product of matrices, with the attributes of Gemm."""
        if self.opset >= _OPSET_OF_GEMM_WITHOUT_SUMMAND:
            return self.add("Gemm", left, right, **attributes)
        return self.add("Gemm", left, right, np.zeros(1, np.float32), **attributes)

    def square(self, tensor: str) -> str:
        """Return the square of each element."""
        return self.add("Mul", tensor, tensor)

    def sign(self, tensor: str) -> str:
        """Return −1, 0 or 1."""
        if self.opset >= _OPSET_OF_SIGN:
            return self.add("Sign", tensor)
        above, below = (self.cast(self.add(operator, tensor, 0.0)) for operator in ("Greater", "Less"))
        return self.add("Sub", above, below)

    def erf(self, tensor: str) -> str:
        """Return the error function.

        Raises
        ------
        ValueError
            The opset does not have it.
        """
        if self.opset < _OPSET_OF_ERF:
            raise ValueError(f"it needs Erf, which opset {self.opset} does not have")
        return self.add("Erf", tensor)

    def divisor(self, tensor: str) -> str:
        """Return a tensor with 1 in place of 0, to divide by."""
        return self.add("Add", tensor, self.cast(self.equal(tensor, 0.0)))

    def within(self, tensor: str, low: float, high: float) -> str:
        """Return where a tensor lies between bounds, bounds included."""
        return self.add("Not", self.add("Or", self.add("Less", tensor, low), self.add("Greater", tensor, high)))

    def masked(self, tensor: Source, condition: str) -> str:
        """Return a tensor where a condition holds, and 0 elsewhere.

        It is a product, as ONNX Runtime's Where takes eight times as long on a CPU, unless ∞ · 0 must be expected.
        """
        if self._selects:
            return self.add("Where", condition, tensor, 0.0)
        return self.add("Mul", tensor, self.cast(condition))

    def equal(self, left: Source, right: Source) -> str:
        """Return where two floating-point tensors are equal."""
        if self.opset >= _OPSET_OF_FLOAT_EQUAL:
            return self.add("Equal", left, right)
        return self.add("Not", self.add("Or", self.add("Greater", left, right), self.add("Less", left, right)))

    def reversed(self, tensor: str, sizes: Mapping[int, int]) -> str:
        """Return a tensor with the order of its rows reversed along axes, whose sizes are given by axis."""
        for axis, size in sizes.items():
            if size > 1:
                tensor = self.add("Gather", tensor, np.arange(size - 1, -1, -1, dtype=np.int64), axis=axis)
        return tensor

    def spread(self, tensor: str, shape: Shape, wanted: Shape, like: str | None = None) -> str:
        """Return a tensor repeated along the axes where its size is 1 and another is wanted.

        Parameters
        ----------
        tensor : str
        shape, wanted : tuple of int or None
            Of the same length.
        like : str, optional
            A tensor of the wanted shape, for a wanted size that depends on the batch.

        Raises
        ------
        ValueError
            A wanted size depends on the batch, and there is no tensor to read it from.
        """
        if shape == wanted:
            return tensor
        repeated = [n if n != m else 1 for m, n in zip(shape, wanted, strict=True)]
        sizes = [n for n in repeated if n is not None]
        if len(sizes) == len(repeated):
            return self.add("Mul", tensor, np.ones(sizes, np.float32))
        if like is None or self.opset < _OPSET_OF_EXPAND:
            raise ValueError(f"the sizes {wanted} depend on the batch")
        return self.add("Expand", tensor, self.add("Shape", like))

    def slice(self, tensor: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> str:
        """Return a part of a tensor."""
        if self.opset < _OPSET_OF_SLICE_INPUTS:
            return self.add("Slice", tensor, starts=list(starts), ends=list(ends), axes=list(axes))
        return self.add("Slice", tensor, *(np.array(numbers, np.int64) for numbers in (starts, ends, axes)))

    def pad(self, tensor: str, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> str:
        """Return a tensor with rows of one value before and after, one number for each axis; negative ones cut off."""
        pads = [*before, *after]
        if not any(pads):
            return tensor
        if self.opset < _OPSET_OF_PAD_INPUTS:
            return self.add("Pad", tensor, pads=pads, value=value)
        return self.add("Pad", tensor, np.array(pads, np.int64), value or None)

    def pad_along(self, tensor: str, rank: int, axis: int, rows: tuple[int, int]) -> str:
        """Return a tensor with rows of zeros before and after along one axis."""
        before, after = ([n if i == axis else 0 for i in range(rank)] for n in rows)
        return self.pad(tensor, before, after)

    def total(self, tensors: Sequence[str]) -> str:
        """Return the sum of tensors of one shape."""
        first, *others = tensors
        for other in others:
            first = self.add("Add", first, other)
        return first

    def _tensor(self, source: Source) -> str:
        if source is None:
            return ""
        if isinstance(source, str):
            return source
        return self.constant(np.asarray(source, np.float32) if isinstance(source, float) else source)

    def _name(self, operator: str) -> str:
        return unused_name(f"{self._prefix}{len(self._names)}_{operator}", self._names)
