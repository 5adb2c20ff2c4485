"""Check a parsed model before anything reads its graph: what ONNX Runtime refuses anyway need not be provided for.

Everything that reads graphs may then rely on it: names are text, a node has the inputs and outputs of its operator and
at least one output, a stored tensor holds as many values as it says, no tensor is defined twice
or computed from itself, and a node comes after those that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache

import onnx
from onnx.defs import OpSchema, SchemaError, get_schema

from onnx_cam.errors import ModelError
from onnx_cam.graph.order import sort_nodes
from onnx_cam.graph.walk_protobuf import all_graphs, all_nodes, all_tensors, subgraphs

__all__ = ["check_names", "make_sound"]

_Tensor = onnx.TensorProto
_BYTES: dict[int, int] = {
    **dict.fromkeys([_Tensor.FLOAT, _Tensor.INT32, _Tensor.UINT32], 4),
    **dict.fromkeys([_Tensor.DOUBLE, _Tensor.INT64, _Tensor.UINT64, _Tensor.COMPLEX64], 8),
    **dict.fromkeys([_Tensor.FLOAT16, _Tensor.BFLOAT16, _Tensor.INT16, _Tensor.UINT16], 2),
    **dict.fromkeys([_Tensor.INT8, _Tensor.UINT8, _Tensor.BOOL], 1),
}
"""Bytes of an element, for the types that are stored in whole bytes."""

_ADVICE = "copy or export it again"


def check_names(proto: onnx.ModelProto, called: str) -> None:
    r"""Check that the names in a model are text: Python's protobuf returns the bytes of one that is not UTF-8.

    Parameters
    ----------
    proto : onnx.ModelProto
    called : str
        What messages call the model.

    Raises
    ------
    ModelError
        A name is not UTF-8.

    Examples
    --------
    >>> content = onnx.load("model.onnx").SerializeToString()
    >>> check_names(onnx.ModelProto.FromString(content), "the model")
    >>> check_names(onnx.ModelProto.FromString(content.replace(b"logits", b"logi\xff\xff")), "the model")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ModelError: the model is damaged: the name b'logi\xff\xff' is not text: copy or export it again
    """
    for name in _names(proto):
        if not isinstance(name, str):
            raise ModelError(f"{called} is damaged: the name {bytes(name[:50])!r} is not text: {_ADVICE}")


def make_sound(proto: onnx.ModelProto, called: str) -> None:
    """Check a model, and bring it into the form that everything reads.

    Nodes are sorted where they are not, as the runtime takes them in any order; optional inputs without a name at the
    end of a node's are left out.

    Parameters
    ----------
    proto : onnx.ModelProto
        It is changed in place, where it has to be.
    called : str
        What messages call the model.

    Raises
    ------
    ModelError
        The model is damaged.

    Examples
    --------
    >>> model = onnx.load("model.onnx")
    >>> make_sound(model, "the model")
    >>> del model.graph.node[0].input[1:]
    >>> make_sound(model, "the model")
    Traceback (most recent call last):
        ...
    onnx_cam.errors.ModelError: the model is damaged: node 'Conv_1' (Conv) has 1 inputs; expected 2 to 3: ...
    """
    fault = next(_faults(proto), None)
    if fault is None:
        fault = next(filter(None, (sort_nodes(nodes) for nodes in _node_lists(proto))), None)
    _leave_out_unnamed_inputs(proto)
    if fault is not None:
        raise ModelError(f"{called} is damaged: {fault}: {_ADVICE}")


def _leave_out_unnamed_inputs(proto: onnx.ModelProto) -> None:
    """Remove the empty names at the end of nodes' inputs, which say the same as none.

    ONNX Runtime's optimiser ends the process at a LayerNormalization whose third input has an empty name.
    """
    for nodes in (proto.graph.node, *(function.node for function in proto.functions)):
        for node in all_nodes(nodes):
            while node.input and not node.input[-1] and _domain(node.domain) == "":
                del node.input[-1]


def _faults(proto: onnx.ModelProto) -> Iterator[str]:
    """Yield what is wrong with a model."""
    if not all(info.name for info in (*proto.graph.input, *proto.graph.output)):
        yield "an input or an output has no name"
    yield from _recursive_functions(proto)
    for holder in _node_lists(proto):
        yield from _repeated_names(holder)
    for tensor in all_tensors(proto):
        yield from _contradictions(tensor)
    yield from _incomplete_nodes(proto.graph.node, proto.opset_import)
    for node in all_nodes(proto.graph.node):
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                yield f"node {_label(node)} takes its attribute {attribute.name!r} from a function, and is in none"
    for function in proto.functions:
        yield from _incomplete_nodes(function.node, function.opset_import)


def _node_lists(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto | onnx.FunctionProto]:
    yield from all_graphs(proto.graph)
    for function in proto.functions:
        yield function
        for node in all_nodes(function.node):
            yield from subgraphs(node)


def _names(proto: onnx.ModelProto) -> Iterator[str | bytes]:
    """Yield every text of a model that is looked up or compared; not its metadata or descriptions."""
    for holder in _node_lists(proto):
        yield holder.name
        if isinstance(holder, onnx.GraphProto):
            for info in (*holder.input, *holder.output, *holder.value_info):
                yield info.name
                yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
        else:
            yield from (holder.domain, *holder.input, *holder.output, *holder.attribute)
        for node in holder.node:
            yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
            for attribute in node.attribute:
                yield from (attribute.name, attribute.ref_attr_name)
    for tensor in all_tensors(proto):
        yield tensor.name
        for entry in tensor.external_data:
            yield from (entry.key, entry.value)
    yield from (opset.domain for opset in proto.opset_import)


def _repeated_names(holder: onnx.GraphProto | onnx.FunctionProto) -> Iterator[str]:
    """Yield a tensor that is defined twice: as two inputs, by two nodes, or as an input and by a node."""
    inputs = [info.name for info in holder.input] if isinstance(holder, onnx.GraphProto) else list(holder.input)
    seen: set[str] = set()
    for name in (*inputs, *(name for node in holder.node for name in node.output if name)):
        if name in seen:
            yield f"the tensor {name!r} is defined twice"
        seen.add(name)


def _recursive_functions(proto: onnx.ModelProto) -> Iterator[str]:
    """Yield a function that calls itself, also by way of others."""
    bodies = {(function.domain, function.name): function.node for function in proto.functions}
    calls = {
        key: {(node.domain, node.op_type) for node in all_nodes(nodes)} & bodies.keys() for key, nodes in bodies.items()
    }
    # Take away those that call nothing that is left, until none is taken away any more.
    while leaves := [key for key, called in calls.items() if not called & calls.keys()]:
        for key in leaves:
            del calls[key]
    if calls:
        yield f"its function {next(iter(calls))[1]!r} calls itself"


def _contradictions(tensor: onnx.TensorProto) -> Iterator[str]:
    """Yield where a stored tensor holds more or fewer values than its shape says."""
    if any(size < 0 for size in tensor.dims):
        yield f"the tensor {tensor.name!r} has a negative dimension"
    width = _BYTES.get(tensor.data_type)
    if width is None or not tensor.HasField("raw_data") or tensor.data_location == _Tensor.EXTERNAL:
        return
    needed = width * math.prod(tensor.dims)
    if needed != len(tensor.raw_data):
        yield (
            f"the tensor {tensor.name!r} of shape {_shown(tensor.dims)} holds {len(tensor.raw_data):,} bytes; "
            f"expected {needed:,}"
        )


def _incomplete_nodes(nodes: Iterable[onnx.NodeProto], imports: Iterable[onnx.OperatorSetIdProto]) -> Iterator[str]:
    """Yield where a node lacks an input, an output or an attribute that its operator must have."""
    opsets = {_domain(opset.domain): opset.version for opset in imports}
    for node in all_nodes(nodes):
        schema = _schema(node.op_type, _domain(node.domain), opsets.get(_domain(node.domain), 0))
        if schema is None and not node.output:
            yield f"node {_label(node)} has no outputs"
        if schema is not None:
            yield from (f"node {_label(node)} {lack}" for lack in _lacks(node, schema))


def _lacks(node: onnx.NodeProto, schema: OpSchema) -> Iterator[str]:
    for what, names, least, most, formals in (
        ("inputs", node.input, schema.min_input, schema.max_input, schema.inputs),
        ("outputs", node.output, schema.min_output, schema.max_output, schema.outputs),
    ):
        if not least <= len(names) <= most:
            expected = f"{least}" if least == most else f"{least} to {most}" if most < 2**31 - 1 else f"{least} or more"
            yield f"has {len(names)} {what}; expected {expected}"
        for place, (name, formal) in enumerate(zip(names, formals, strict=False)):
            if not name and formal.option == OpSchema.FormalParameterOption.Single:
                yield f"lacks a name for {formal.name!r}, number {place} of its {what}"
    present = {attribute.name: attribute for attribute in node.attribute}
    for name, expected_attribute in schema.attributes.items():
        attribute = present.get(name)
        if attribute is None and expected_attribute.required:
            yield f"lacks the attribute {name!r}"
        if attribute is not None and not attribute.ref_attr_name and attribute.type != _type(expected_attribute):
            yield f"has an attribute {name!r} of another type than its operator's"


def _type(attribute: OpSchema.Attribute) -> int:
    number: int = attribute.type.value  # type: ignore[attr-defined] # it is an enumeration
    return number


@lru_cache(maxsize=4096)
def _schema(operator: str, domain: str, version: int) -> OpSchema | None:
    """Return what onnx knows about an operator; None for one of other domains, or in a version that onnx lacks."""
    try:
        return get_schema(operator, version, domain)
    except (SchemaError, TypeError):  # a version that is no C integer
        return None


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _label(node: onnx.NodeProto) -> str:
    name = node.name or next(filter(None, node.output), "")
    return f"{name[:80]!r} ({node.op_type[:80]})"


def _shown(sizes: Iterable[int]) -> str:
    return "×".join(map(str, list(sizes)[:8])) or "()"
