"""Replace an If whose condition is constant by the branch that it takes, so that its tensors can be explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx
from onnx import helper

from onnx_cam.graph.constants import Constants
from onnx_cam.graph.new_nodes import replace_nodes, unused_name
from onnx_cam.graph.walk_protobuf import all_names, all_nodes, find_attribute, subgraphs

__all__ = ["fold_branches"]

_MOST_DEPTHS = 16  # of an If within an If


def fold_branches(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without the Ifs of its main graph whose condition is constant; the model itself without one.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed. Its weights may lie in files of an unknown folder.

    Examples
    --------
    >>> make, info = onnx.helper.make_node, onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    >>> branches = [onnx.helper.make_graph([make(op, ["x"], [op])], op, [], [info]) for op in ("Relu", "Neg")]
    >>> for branch in branches:
    ...     branch.output[0].name = branch.name
    >>> nodes = [make("If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1])]
    >>> flag = onnx.helper.make_tensor("flag", onnx.TensorProto.BOOL, [], [False])
    >>> model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "main", [], [info], [flag]))
    >>> [(node.op_type, *node.output) for node in fold_branches(model).graph.node]
    [('Neg', 'y')]
    """
    for _ in range(_MOST_DEPTHS):
        branches = _taken_branches(proto)
        if not branches:
            break
        proto = _folded(proto, branches)
    return proto


def _taken_branches(proto: onnx.ModelProto) -> dict[int, onnx.GraphProto]:
    """Return the branch that each If of the main graph takes, by the node's place, where its condition is constant."""
    taken: dict[int, onnx.GraphProto] = {}
    constants = Constants(proto)
    for place, node in enumerate(proto.graph.node):
        if node.op_type != "If" or node.domain not in ("", "ai.onnx") or not node.input:
            continue
        condition = constants.evaluated(node.input[0])
        if condition is not None and condition.size == 1:
            attribute = find_attribute(node, "then_branch" if bool(condition.ravel()[0]) else "else_branch")
            if attribute is not None and len(attribute.g.output) == len(node.output):
                taken[place] = attribute.g
    return taken


def _folded(proto: onnx.ModelProto, branches: Mapping[int, onnx.GraphProto]) -> onnx.ModelProto:
    folded = onnx.ModelProto()
    folded.CopyFrom(proto)
    rest = onnx.GraphProto(
        input=folded.graph.input, initializer=(onnx.TensorProto(name=w.name) for w in folded.graph.initializer)
    )
    rest.node.extend(node for place, node in enumerate(folded.graph.node) if place not in branches)
    names = all_names(rest)
    nodes: list[onnx.NodeProto] = []
    for place, node in enumerate(folded.graph.node):
        nodes += _inlined(branches[place], node.output, names) if place in branches else [node]
    replace_nodes(folded.graph, nodes)
    return folded


def _inlined(branch: onnx.GraphProto, outputs: Sequence[str], names: set[str]) -> list[onnx.NodeProto]:
    """Return the nodes of a branch, with outputs of the If's names and every other tensor under a name of its own."""
    copy = onnx.GraphProto()
    copy.CopyFrom(branch)
    constants = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in copy.initializer]
    made = [name for node in [*constants, *copy.node] for name in node.output if name]
    new_names = {name: unused_name(name, names) for name in made}
    ends: list[onnx.NodeProto] = []
    for output, name in zip(copy.output, outputs, strict=True):
        if output.name in new_names and new_names[output.name] not in outputs:
            new_names[output.name] = name
        elif name:  # a tensor of the graph around the branch, or one that is handed on twice
            ends.append(helper.make_node("Identity", [new_names.get(output.name, output.name)], [name], name=name))
    nodes = [*constants, *copy.node]
    _rename(nodes, new_names)
    return [*nodes, *ends]


def _rename(nodes: Sequence[onnx.NodeProto], new_names: Mapping[str, str]) -> None:
    """Rename tensors wherever nodes, and the graphs within them, make or read them."""
    for node in all_nodes(nodes):
        for entries in (node.input, node.output):
            for index, name in enumerate(entries):
                if name in new_names:
                    entries[index] = new_names[name]
        for graph in subgraphs(node):
            for output in graph.output:
                output.name = new_names.get(output.name, output.name)
