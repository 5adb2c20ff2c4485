"""One operator of a graph, as its rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from torch import Tensor

__all__ = ["Block", "Node", "Rule"]

Rule = Callable[..., Tensor | tuple[Tensor, ...]]
"""``rule(node, *inputs)``: an operator's output or outputs. An input that the graph leaves out is None."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Block:
    """The nodes of a graph, or of an If's branch.

    Attributes
    ----------
    nodes : tuple of Node
        In the order to run them.
    constants : mapping of str to str
        The tensors that are constant, and the buffer that holds each.
    outputs : tuple of str
        What it computes.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, str]
    outputs: tuple[str, ...]

    @property
    def reads(self) -> set[str]:
        """The tensors that it takes from around it."""
        made = {name for node in self.nodes for name in node.outputs} | set(self.constants)
        return ({name for node in self.nodes for name in node.reads} | set(self.outputs)) - made


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of a graph.

    Attributes
    ----------
    operator, domain : str
        What it is; the domain of ONNX itself is empty.
    opset : int
        The version of its domain's operators.
    name : str
        Its own; its first output's where the file gives it none.
    inputs, outputs : tuple of str
        Tensors; an optional one that is left out is empty.
    attributes : mapping of str to object
        All but graphs.
    branches : mapping of str to Block
        The attributes that are graphs.
    rule : callable
        How it is computed.
    """

    operator: str
    domain: str
    opset: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    rule: Rule = field(repr=False)
    branches: Mapping[str, Block] = field(default_factory=dict, repr=False)

    @property
    def reads(self) -> set[str]:
        """The tensors that it needs; an If's branches need some, too."""
        captured = [block.reads for block in self.branches.values()]
        return set(filter(None, self.inputs)).union(*captured)

    def get(self, name: str, default: _T) -> _T:
        """Return an attribute, or what ONNX takes where there is none."""
        return cast(_T, self.attributes.get(name, default))

    def ints(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers; None where there is none."""
        value = self.attributes.get(name)
        return None if value is None else [int(number) for number in value]

    def ints_or(self, name: str, tensor: Tensor | None) -> list[int] | None:
        """Return what newer versions take as an input and older ones as an attribute; None where there is neither."""
        if tensor is not None:
            return [int(number) for number in tensor.flatten().tolist()]
        return self.ints(name)

    def __str__(self) -> str:
        return (
            f"operator {self.operator} of domain {self.domain or 'ai.onnx'!r}, version {self.opset}, node {self.name!r}"
        )
