"""Damage to what a model means: who computes what, shapes, types, functions, subgraphs, weights beside the file."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import onnx
from onnx import TensorProto, helper

from onnx_cam.graph.walk_protobuf import all_graphs, all_names, all_nodes, all_tensors
from tests.fuzz.mutators.protobuf import NOT_TEXT, change_message
from tests.fuzz.mutators.values import ODD

__all__ = ["CHANGES", "changed_model"]

_SIZES = (0, 1, -1, 2, 3, 7, 255, 4096, 4097, 10**5, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1)
_LOCATIONS = ("", "a\0b", "..", "../x", "/etc/passwd", "weights.bin", "model.onnx", ".", "x" * 300, NOT_TEXT, "C:\\x")
_OFFSETS = ("", "0", "4", "-1", "1" * 18, "9" * 30, "a", "\0", "1e3", "\u0663")
_OPERATORS = (
    *("Conv", "Relu", "Gemm", "MatMul", "Softmax", "Sigmoid", "Flatten", "Reshape", "Transpose", "Add", "Mul", "Div"),
    *("GlobalAveragePool", "ReduceMean", "BatchNormalization", "LayerNormalization", "Gather", "Slice", "Squeeze"),
    *("Concat", "Split", "Pad", "Resize", "Identity", "Cast", "Shape", "Constant", "ConstantOfShape", "If", "Loop"),
    *("QuantizeLinear", "DequantizeLinear", "QLinearConv", "ArgMax", "LogSoftmax", "Neg", "Clip", "Dropout", "Log"),
    *("MaxPool", "AveragePool", "Upsample", "Einsum", "Attention", "LSTM", "TopK", "Expand", "NoSuchOperator", ""),
)
_ACTIVATIONS = (
    *("Relu", "Sigmoid", "Identity", "Neg", "Softmax", "LogSoftmax", "Tanh", "Transpose", "Exp", "Log", "Abs", "Sqrt"),
    *("Dropout", "Flatten", "Squeeze", "GlobalMaxPool", "GlobalAveragePool", "Reciprocal", "ReduceMean", "Shape"),
    *("HardSigmoid", "Elu", "Softplus", "Sign", "ReduceSum", "Round", "IsNaN", "Not", "NonZero", "Floor"),
)
_METADATA_KEYS = (
    *("onnx_cam.labels", "onnx_cam.preprocessing", "onnx_cam.layer", "names", "labels", "imgsz", "problem_type"),
    *("preprocessor_config", "Image.BitmapPixelFormat", "author", "task", "model_info labels", "image_size"),
)
_CHAIN = 3_000  # nodes: deeper than Python recurses; ONNX Runtime alone needs seconds for 10,000
_DOUBLINGS = 60  # as many paths as no walk may try one by one


_Change = Callable[[onnx.ModelProto, Random], None]


def changed_model(model: onnx.ModelProto, random: Random) -> onnx.ModelProto:
    """Return a copy of a model with a few changes: of what it means, or of any field."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        if random.random() < 0.5:
            names = sorted({name for name in all_names(copy.graph) if name.isprintable()})
            change_message(copy, random, names)
        else:
            random.choices(CHANGES, [_RARE.get(change, 20) for change in CHANGES])[0](copy, random)
    return copy


def _rewire(model: onnx.ModelProto, random: Random) -> None:
    """Let a node read or write any tensor of the model: its own output, a later one, one of another graph."""
    node = _any_node(model, random)
    tensors = node.input if random.random() < 0.7 else node.output
    if tensors:
        tensors[random.randrange(len(tensors))] = random.choice([*sorted(all_names(model.graph)), "", "nowhere"])


def _close_cycle(model: onnx.ModelProto, random: Random) -> None:
    """Insert a node that reads its own output, or let two read each other's."""
    node = _any_node(model, random)
    if not node.output:
        return
    last = node.output[0]
    first = random.choice([*node.input, last])
    operator = random.choice(["Add", "Mul", "Sub", "Div", "Concat", "Identity", "Softmax"])
    before = helper.make_node(operator, [first, last], ["cycle"], axis=1) if operator == "Concat" else None
    before = before or helper.make_node(operator, [first, last] if len(operator) == 3 else [last], ["cycle"])
    for place, name in enumerate(node.input):
        if name == first:
            node.input[place] = "cycle"
    model.graph.node.insert(random.randrange(len(model.graph.node) + 1), before)


def _remove_names(model: onnx.ModelProto, random: Random) -> None:
    """Leave out some of a node's inputs or outputs: removed, or without a name."""
    node = _any_node(model, random)
    field = random.choice(["input", "input", "output"])
    names = list(getattr(node, field))
    for _ in range(random.choice((1, 1, 2, len(names)))):
        if names:
            place = random.randrange(len(names))
            names[place : place + 1] = [""] if random.random() < 0.5 else []
    node.ClearField(field)
    getattr(node, field).extend(names)


def _other_operator(model: onnx.ModelProto, random: Random) -> None:
    node = _any_node(model, random)
    node.op_type = random.choice(_OPERATORS)
    if random.random() < 0.2:
        node.domain = random.choice(["", "ai.onnx", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml", "nowhere"])


def _insert_node(model: onnx.ModelProto, random: Random) -> None:
    """Insert a node on the way to another, or beside the way, perhaps without outputs."""
    node = _any_node(model, random)
    inputs = [node.input[0]] if node.input else []
    outputs = [] if random.random() < 0.3 else ["inserted"]
    if node.input and outputs and random.random() < 0.7:
        node.input[0] = outputs[0]
    new = helper.make_node(random.choice(_OPERATORS), inputs * random.choice((1, 1, 2, 0)), outputs)
    model.graph.node.insert(random.randrange(len(model.graph.node) + 1), new)


def _insert_activation(model: onnx.ModelProto, random: Random) -> None:
    """Insert a node that changes no shape, or replace one: the model stays intact, and its readers get further."""
    nodes = [node for node in model.graph.node if len(node.input) == 1 and len(node.output) == 1]
    if not nodes:
        return
    node = random.choice(nodes)
    if random.random() < 0.5:
        node.op_type, node.domain = random.choice(_ACTIVATIONS), ""
        node.ClearField("attribute")
        return
    name = f"activated{len(model.graph.node)}"
    place = list(model.graph.node).index(node)
    model.graph.node.insert(place, helper.make_node(random.choice(_ACTIVATIONS), [node.input[0]], [name]))
    model.graph.node[place + 1].input[0] = name


def _reorder(model: onnx.ModelProto, random: Random) -> None:
    graph = random.choice(list(all_graphs(model.graph)))
    nodes = list(graph.node)
    choice = random.randrange(3)
    if choice == 0:
        random.shuffle(nodes)
    elif choice == 1:
        nodes.reverse()
    elif nodes:
        del nodes[random.randrange(len(nodes))]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    graph.ClearField("node")
    graph.node.extend(copies)


def _resize(model: onnx.ModelProto, random: Random) -> None:
    """Change a dimension of an input or an output, or how many there are."""
    graph = model.graph
    info = random.choice([*graph.input, *graph.input, *graph.output, *graph.value_info] or [graph.input.add()])
    shape = info.type.tensor_type.shape
    choice = random.randrange(6)
    if choice == 0:
        shape.dim.add().dim_value = random.choice(_SIZES)
    elif not shape.dim:
        return
    elif choice == 1:
        del shape.dim[random.randrange(len(shape.dim))]
    elif choice == 2:
        shape.dim[random.randrange(len(shape.dim))].dim_param = random.choice(["", "N", "a\0b", NOT_TEXT])
    else:
        shape.dim[random.randrange(len(shape.dim))].dim_value = random.choice(_SIZES)


def _retype(model: onnx.ModelProto, random: Random) -> None:
    graph = model.graph
    info = random.choice([*graph.input, *graph.output, *graph.value_info] or [graph.input.add()])
    info.type.tensor_type.elem_type = random.choice([*range(26), -1, 99, 2**31 - 1])


def _resize_weight(model: onnx.ModelProto, random: Random) -> None:
    """Let a stored tensor promise other dimensions, another type, or more than its bytes hold."""
    if not (tensors := list(all_tensors(model))):
        return
    tensor = random.choice(tensors)
    choice = random.randrange(6)
    if choice == 0 and tensor.raw_data:
        tensor.raw_data = tensor.raw_data[: random.randrange(len(tensor.raw_data))]
    elif choice == 1:
        tensor.raw_data = b""
    elif choice == 2:
        tensor.data_type = random.choice([*range(26), -1, 99])
    elif choice == 3 or not tensor.dims:
        tensor.dims.insert(random.randint(0, len(tensor.dims)), random.choice(_SIZES))
    elif choice == 4:
        del tensor.dims[random.randrange(len(tensor.dims))]
    else:
        tensor.dims[random.randrange(len(tensor.dims))] = random.choice(_SIZES)


def _fill_weight(model: onnx.ModelProto, random: Random) -> None:
    """Replace the values of a stored tensor: nothing but NaN, infinity, zeros, or any bytes."""
    tensors = [tensor for tensor in all_tensors(model) if tensor.raw_data]
    if tensors:
        tensor = random.choice(tensors)
        size = len(tensor.raw_data)
        pattern = random.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0", b"\xff", b"\0\0\0\x80", random.randbytes(8)])
        tensor.raw_data = (pattern * size)[:size]


def _move_weight_outside(model: onnx.ModelProto, random: Random) -> None:
    """Say that a tensor lies in a file beside the model, in odd words."""
    if not (tensors := list(all_tensors(model))):
        return
    tensor = random.choice(tensors)
    if random.random() < 0.7:
        tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("external_data")
    for key, values in (("location", _LOCATIONS), ("offset", _OFFSETS), ("length", _OFFSETS)):
        if random.random() < 0.7:
            tensor.external_data.add(key=key, value=random.choice(values))


def _change_versions(model: onnx.ModelProto, random: Random) -> None:
    if random.random() < 0.3:
        model.ir_version = random.choice((0, 1, 3, 8, 13, 99, 2**40, -1))
    elif model.opset_import and random.random() < 0.7:
        model.opset_import[0].version = random.choice((0, 1, 5, 7, 11, 13, 17, 23, 99, 2**40, -1))
    else:
        model.opset_import.add(domain=random.choice(["", "com.microsoft", "a\0b"]), version=random.choice((1, 13, 99)))


def _add_function(model: onnx.ModelProto, random: Random) -> None:
    """Turn a node into a call of a function: of itself, of two that call each other, or of a sound one."""
    node = _any_node(model, random)
    inner = onnx.NodeProto.FromString(node.SerializeToString())
    for place, name in enumerate(inner.input):
        inner.input[place] = f"i{place}" if name else ""
    for place in range(len(inner.output)):
        inner.output[place] = f"o{place}"
    node.op_type, node.domain = "Called", "local"
    node.ClearField("attribute")
    callee = random.choice(["Called", "Other", inner.op_type])
    if callee in ("Called", "Other"):
        inner.op_type, inner.domain = callee, "local"
        inner.ClearField("attribute")
    opsets = [*model.opset_import, helper.make_opsetid("local", 1)]
    inputs = [f"i{place}" for place in range(len(inner.input))]
    body = [inner, helper.make_node("Conv", inputs, ["unused"])] if random.random() < 0.5 else [inner]
    model.functions.append(helper.make_function("local", "Called", inputs, list(inner.output), body, opsets))
    if callee == "Other":
        inner.op_type = "Called"
        model.functions.append(helper.make_function("local", "Other", inputs, list(inner.output), body, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.ir_version = max(model.ir_version, 8)


def _nest(model: onnx.ModelProto, random: Random) -> None:
    """Put a graph into an If within itself, several times."""
    for _ in range(random.choice((1, 2, 6, 20))):
        copy = onnx.GraphProto()
        copy.CopyFrom(model.graph)
        copy.ClearField("input")
        node = helper.make_node("If", ["condition"], [output.name for output in copy.output])
        node.attribute.append(helper.make_attribute("then_branch", copy))
        if random.random() < 0.5 and model.ByteSize() < 100_000:
            node.attribute.append(helper.make_attribute("else_branch", copy))
        model.graph.ClearField("node")
        model.graph.ClearField("initializer")
        model.graph.node.append(node)
        condition = helper.make_tensor("condition", TensorProto.BOOL, [], [True])
        model.graph.initializer.append(condition)
        if model.ByteSize() > 1_000_000:
            return


def _make_sparse(model: onnx.ModelProto, random: Random) -> None:
    """Turn a weight into a sparse one, with indices that may lie outside it."""
    if not model.graph.initializer:
        return
    place = random.randrange(len(model.graph.initializer))
    tensor = model.graph.initializer[place]
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.extend(tensor.dims)
    sparse.values.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, [2], [0.5, -0.5]))
    indices = [random.choice((0, 1, -1, 7, 10**6, 2**62)) for _ in range(2)]
    sparse.indices.CopyFrom(helper.make_tensor("", TensorProto.INT64, [2], indices))
    del model.graph.initializer[place]


def _add_metadata(model: onnx.ModelProto, random: Random) -> None:
    value = random.choice([*map(str, ODD), NOT_TEXT, '["a", "b", "c", "d"]', "relu1", "conv1", "logits", "image"])
    text = value.encode("utf-8", "replace").decode()
    model.metadata_props.add(key=random.choice(_METADATA_KEYS), value=text[:5000])


def _change_outputs(model: onnx.ModelProto, random: Random) -> None:
    outputs = model.graph.output
    names = [*sorted(all_names(model.graph)), ""]
    choice = random.randrange(4)
    if choice == 0 and outputs:
        outputs[random.randrange(len(outputs))].name = random.choice(names)
    elif choice == 1:
        outputs.add(name=random.choice(names))
    elif choice == 2 and outputs:
        del outputs[random.randrange(len(outputs))]
    elif outputs:
        outputs.add().CopyFrom(outputs[0])


def _lengthen(model: onnx.ModelProto, random: Random) -> None:
    """Insert a chain of nodes that is longer than Python recurses, or one with countless paths."""
    node = random.choice(model.graph.node) if model.graph.node else model.graph.node.add()
    if not node.input:
        return
    operator, copies, length = random.choice([("Relu", 1, _CHAIN), ("Identity", 1, _CHAIN), ("Add", 2, _DOUBLINGS)])
    tensor, chain = node.input[0], []
    for place in range(length):
        chain.append(helper.make_node(operator, [tensor] * copies, [f"chain{place}"]))
        tensor = f"chain{place}"
    index = next(place for place, other in enumerate(model.graph.node) if other is node or other == node)
    node.input[0] = tensor
    nodes = [onnx.NodeProto.FromString(old.SerializeToString()) for old in model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend([*nodes[:index], *chain, *nodes[index:]])


def _any_node(model: onnx.ModelProto, random: Random) -> onnx.NodeProto:
    nodes: list[onnx.NodeProto] = [*all_nodes(model.graph.node)]
    nodes += [node for function in model.functions for node in function.node]
    return random.choice(nodes) if nodes else model.graph.node.add()


CHANGES: tuple[_Change, ...] = (
    *(_insert_activation, _insert_activation, _rewire, _close_cycle, _remove_names, _other_operator, _insert_node),
    *(_reorder, _resize, _retype, _resize_weight, _fill_weight, _move_weight_outside, _change_versions),
    *(_add_function, _nest, _make_sparse, _add_metadata, _change_outputs, _lengthen),
)
"""Every change."""

_RARE: dict[_Change, int] = {_lengthen: 1, _nest: 6, _fill_weight: 8}
"""Weights of changes that are slow to run, or that seldom break anything."""
