"""One operator of a graph, as its rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from torch import Tensor

__all__ = ["Node", "Rule", "Subgraph"]

Rule = Callable[..., Tensor | tuple[Tensor, ...]]
"""``rule(node, *inputs)`` returns an operator's output or outputs. An optional input that is missing is None."""

_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Subgraph:
    """The nodes of the main graph, or of a branch of an If.

    Attributes
    ----------
    nodes : tuple of Node
        In the order in which they are run.
    constants : mapping of str to str
        Each constant tensor, and the name of the module's buffer that holds it.
    outputs : tuple of str
        The tensors that it computes.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, str]
    outputs: tuple[str, ...]

    @property
    def reads(self) -> set[str]:
        """The tensors that it reads from the graph around it."""
        produced = {name for node in self.nodes for name in node.outputs} | set(self.constants)
        return ({name for node in self.nodes for name in node.reads} | set(self.outputs)) - produced


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of a graph.

    Attributes
    ----------
    operator : str
        Its type, such as ``Conv``.
    domain : str
        The domain of the operator; empty for ONNX's own.
    opset : int
        The version of that domain which the model uses.
    name : str
        The node's name; that of its first output if the file gives it none.
    inputs, outputs : tuple of str
        Tensors; the name of an optional tensor that is missing is empty.
    attributes : mapping of str to object
        All attributes except graphs.
    branches : mapping of str to Subgraph
        The attributes that are graphs: those of an If.
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
    branches: Mapping[str, Subgraph] = field(default_factory=dict, repr=False)

    @property
    def reads(self) -> set[str]:
        """The tensors that it reads, including those that the branches of an If capture."""
        captured = [branch.reads for branch in self.branches.values()]
        return set(filter(None, self.inputs)).union(*captured)

    def get(self, name: str, default: _T) -> _T:
        """Return an attribute, or its default if the node does not have it."""
        return cast(_T, self.attributes.get(name, default))

    def ints(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of integers, or None if the node does not have it."""
        value = self.attributes.get(name)
        return None if value is None else [int(number) for number in value]

    def ints_or(self, name: str, tensor: Tensor | None) -> list[int] | None:
        """Return integers that newer versions take as an input and older ones as an attribute; None without either."""
        if tensor is not None:
            return [int(number) for number in tensor.flatten().tolist()]
        return self.ints(name)

    def __str__(self) -> str:
        return (
            f"operator {self.operator} of domain {self.domain or 'ai.onnx'!r}, version {self.opset}, node {self.name!r}"
        )
