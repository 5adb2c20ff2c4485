"""Small classifiers of many kinds: every way of writing one that the graph's readers know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests import tiny

__all__ = ["Sample", "samples"]

_MICROSOFT = "com.microsoft"
_EXTERNAL = "weights.bin"
_ATTENTION = 23  # the opset that has it as one operator


@dataclass(frozen=True)
class Sample:
    """An intact model.

    Attributes
    ----------
    name : str
    proto : onnx.ModelProto
    files : dict of str to bytes
        Files beside it.
    """

    name: str
    proto: onnx.ModelProto
    files: dict[str, bytes] = field(default_factory=dict)


@cache
def samples() -> tuple[Sample, ...]:
    """Return every model."""
    models = {
        "plain": tiny.model(),
        "softmax": tiny.softmax_model(metadata={"onnx_cam.labels": '["bird", "cat", "fish", "dog"]'}),
        "sigmoid": tiny.model(tail=[_node("Sigmoid", "logits", "p")], output="p"),
        "log-softmax": tiny.model(tail=[_node("LogSoftmax", "logits", "p", axis=1)], output="p"),
        "percent": _with_constants(
            [_node("Softmax", "logits", "p", axis=1), _node("Mul", "p hundred", "percent")],
            "percent",
            hundred=np.float32(100),
        ),
        "fixed-batch": tiny.model(batch=1, extra_outputs=[tiny.value_info("pooled", [1, tiny.CHANNELS, 1, 1])]),
        "free-size": tiny.model(size="side", metadata={"imgsz": "[24, 24]"}),
        "binary": _binary(),
        "old": _old(),
        "channels-last": _channels_last(),
        "normalising": _normalising(),
        "constants": _constants(),
        "residual": _residual(),
        "half": _half(),
        "transformer": _transformer(),
        "qdq": _qdq(),
        "integers": _integers(),
        "dynamic": _dynamic(),
        "fused": _fused(),
        "branches": _branches(),
        "loop": _loop(),
        "function": _function(),
        "sparse": _sparse(),
        "several-heads": _several_heads(),
        "selected": _selected(),
    }
    if onnx.defs.onnx_opset_version() >= _ATTENTION:
        models["attention"] = _attention()
    return (*(Sample(name, proto) for name, proto in models.items()), _external())


def _node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Return a node; ``_`` is an optional input left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), name=f"{op}_{outputs.split(maxsplit=1)[0]}", **attributes)


def _model(
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, Any],
    *,
    output: str = "logits",
    image: Sequence[int | str | None] = ("N", 3, tiny.SIZE, tiny.SIZE),
    output_type: int = TensorProto.FLOAT,
    domains: Sequence[str] = (),
    **settings: Any,
) -> onnx.ModelProto:
    outputs = [tiny.value_info(output, ["N", tiny.CLASSES], output_type)]
    made = tiny.build(nodes, weights, image=image, outputs=outputs, **settings)
    made.opset_import.extend(helper.make_opsetid(domain, 1) for domain in domains)
    return made


def _values(*shape: int, seed: int = 1) -> NDArray[np.float32]:
    return np.float32(1 / 3) * np.random.default_rng(seed).standard_normal(shape, np.float32)


def _with_constants(tail: Sequence[onnx.NodeProto], output: str, **constants: Any) -> onnx.ModelProto:
    return _model([*tiny.body(), *tail], tiny.weights() | constants, output=output)


def _binary() -> onnx.ModelProto:
    weights = tiny.weights()
    weights |= {"w3": weights["w3"][:1], "b3": weights["b3"][:1]}
    nodes = [*tiny.body(), _node("Sigmoid", "logits", "p")]
    return tiny.build(nodes, weights, image=["N", 3, 20, 20], outputs=[tiny.value_info("p", ["N", 1])])


def _old() -> onnx.ModelProto:
    """IR 3: the weights are inputs, too."""
    nodes = [*tiny.body()[:-1], _node("Gemm", "flat w3 b3", "logits", transB=1), _node("Dropout", "logits", "out")]
    made = _model(nodes, tiny.weights(), output="out", opset=7, ir_version=3, image=[1, 3, 20, 20])
    made.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in made.graph.initializer
    )
    return made


def _channels_last() -> onnx.ModelProto:
    """uint8 pixels in the order NHWC."""
    nodes = [
        _node("Cast", "image", "real", to=TensorProto.FLOAT),
        _node("Transpose", "real", "first", perm=[0, 3, 1, 2]),
        _node("Conv", "first w1 b1", "conv1", strides=[2, 2]),
        _node("Clip", "conv1 low high", "relu6"),
        _node("Transpose", "relu6", "last", perm=[0, 2, 3, 1]),
        _node("ReduceMean", "last", "mean", axes=[1, 2], keepdims=0),
        _node("MatMul", "mean w", "product"),
        _node("Add", "product b3", "logits"),
    ]
    weights = tiny.weights() | {"low": np.float32(0), "high": np.float32(6), "w": _values(6, 4)}
    del weights["w2"], weights["b2"], weights["w3"]
    return _model(nodes, weights, image=["N", 20, 20, 3], image_type=TensorProto.UINT8)


def _normalising() -> onnx.ModelProto:
    """It resizes, crops, swaps colours, subtracts means and divides by deviations itself."""
    nodes = [
        _node("Resize", "image _ _ sizes", "resized", mode="linear"),
        _node("Slice", "resized starts ends axes", "cropped"),
        _node("Gather", "cropped order", "swapped", axis=1),
        _node("Sub", "swapped means", "centred"),
        _node("Div", "centred deviations", "normal"),
        _node("Pad", "normal pads", "padded"),
        *tiny.body(),
        _node("Softmax", "logits", "p", axis=1),
    ]
    nodes[6].input[0] = "padded"
    weights = tiny.weights() | {
        "sizes": np.array([1, 3, 24, 24]),
        "starts": np.array([2, 2]),
        "ends": np.array([22, 22]),
        "axes": np.array([2, 3]),
        "order": np.array([2, 1, 0]),
        "means": np.array([103.5, 116.3, 123.7], np.float32).reshape(1, 3, 1, 1),
        "deviations": np.array([57, 57, 58], np.float32).reshape(1, 3, 1, 1),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    }
    return _model(nodes, weights, output="p", image=[1, 3, 30, 30])


def _constants() -> onnx.ModelProto:
    """All weights are in Constant nodes, some behind an Identity or a Transpose."""
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in tiny.weights().items()
    ]
    nodes += [_node("Identity", "b2", "bias"), _node("Transpose", "w3", "w3_t", perm=[1, 0])]
    body = tiny.body()
    body[2].input[2] = "bias"
    body[-2:] = [
        _node("Shape", "pooled", "shape"),
        _node("Gather", "shape zero", "rows", axis=0),
        _node("Unsqueeze", "rows first", "row"),
        _node("Concat", "row rest", "target", axis=0),
        _node("Reshape", "pooled target", "flat"),
        _node("MatMul", "flat w3_t", "product"),
        _node("Add", "product b3", "logits"),
    ]
    return _model([*nodes, *body], {"zero": np.int64(0), "first": np.array([0]), "rest": np.array([6])})


def _residual() -> onnx.ModelProto:
    """Depthwise and pointwise convolutions, batch norms, a sum, squeeze and excitation, several poolings."""
    norm = {f"{name}{i}": np.abs(_values(6, seed=i)) + 0.5 for i in (1, 2) for name in ("s", "b_", "m", "v")}
    nodes = [
        _node("Conv", "image w1", "c1", pads=[1, 1, 1, 1]),
        _node("BatchNormalization", "c1 s1 b_1 m1 v1", "n1"),
        _node("HardSigmoid", "n1", "g1"),
        _node("Mul", "n1 g1", "a1"),
        _node("MaxPool", "a1", "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        _node("Conv", "pool1 depth", "c2", group=6, pads=[1, 1, 1, 1], auto_pad="NOTSET"),
        _node("BatchNormalization", "c2 s2 b_2 m2 v2", "n2"),
        _node("GlobalAveragePool", "n2", "squeezed"),
        _node("Conv", "squeezed point", "excited"),
        _node("Sigmoid", "excited", "gate"),
        _node("Mul", "n2 gate", "scaled"),
        _node("Add", "pool1 scaled", "sum"),
        _node("Concat", "sum pool1", "joined", axis=1),
        _node("Split", "joined", "left right", axis=1),
        _node("LeakyRelu", "left", "act", alpha=0.1),
        _node("AveragePool", "act", "pool2", kernel_shape=[2, 2], ceil_mode=1, strides=[2, 2]),
        _node("Conv", "pool2 w2 b2", "last", dilations=[2, 2], pads=[2, 2, 2, 2]),
        _node("ReduceMean", "last", "mean", axes=[-1, -2], keepdims=0),
        _node("Gemm", "mean w3 b3", "logits", transB=1),
    ]
    extra = {"depth": _values(6, 1, 3, 3), "point": _values(6, 6, 1, 1), "w1": tiny.weights()["w1"]}
    weights = {name: value for name, value in tiny.weights().items() if name != "b1"}
    return _model(nodes, weights | norm | extra, opset=12)


def _half() -> onnx.ModelProto:
    weights = {name: value.astype(np.float16) for name, value in tiny.weights().items()}
    return _model(tiny.body(), weights, image_type=TensorProto.FLOAT16, output_type=TensorProto.FLOAT16)


def _transformer() -> onnx.ModelProto:
    """Patches, a class token, positions, one block of attention and one of a network, the token's linear head."""
    nodes = [
        _node("Conv", "image patches", "grid", strides=[5, 5], kernel_shape=[5, 5]),
        _node("Reshape", "grid tokens_shape", "columns"),
        _node("Transpose", "columns", "tokens", perm=[0, 2, 1]),
        _node("Concat", "token tokens", "all", axis=1),
        _node("Add", "all positions", "x"),
        _node("LayerNormalization", "x g1 h1", "norm1", axis=-1),
        _node("MatMul", "norm1 wq", "q"),
        _node("MatMul", "norm1 wk", "k"),
        _node("MatMul", "norm1 wv", "v"),
        _node("Transpose", "k", "k_t", perm=[0, 2, 1]),
        _node("MatMul", "q k_t", "products"),
        _node("Mul", "products scale", "scaled"),
        _node("Softmax", "scaled", "attention", axis=-1),
        _node("MatMul", "attention v", "mixed"),
        _node("Add", "x mixed", "x1"),
        _node("LayerNormalization", "x1 g2 h2", "norm2", axis=-1),
        _node("MatMul", "norm2 wm", "hidden"),
        _node("Gelu", "hidden", "active"),
        _node("MatMul", "active wm", "mlp"),
        _node("Add", "x1 mlp", "x2"),
        _node("LayerNormalization", "x2 g3 h3", "norm3", axis=-1),
        _node("Gather", "norm3 first", "class", axis=1),
        _node("Gemm", "class wh bh", "logits", transB=1),
    ]
    weights = {f"{name}{i}": np.ones(6, np.float32) for i in (1, 2, 3) for name in ("g", "h")}
    weights |= {name: _values(6, 6, seed=i) for i, name in enumerate(("wq", "wk", "wv", "wm"))}
    weights |= {"patches": _values(6, 3, 5, 5), "token": _values(1, 1, 6), "positions": _values(1, 17, 6)}
    weights |= {"wh": _values(4, 6), "bh": _values(4), "scale": np.array([0.4], np.float32)}
    integers = {"tokens_shape": np.array([1, 6, 16]), "first": np.int64(0)}
    return _model(nodes, weights | integers, opset=20, image=[1, 3, 20, 20])


def _qdq() -> onnx.ModelProto:
    """Integers between QuantizeLinear and DequantizeLinear, the weights per channel."""
    nodes = [
        _node("QuantizeLinear", "image s z", "q0"),
        _node("DequantizeLinear", "q0 s z", "d0"),
        _node("DequantizeLinear", "qw ws wz", "w", axis=0),
        _node("Conv", "d0 w", "c1", strides=[2, 2]),
        _node("Relu", "c1", "r1"),
        _node("QuantizeLinear", "r1 s z", "q1"),
        _node("DequantizeLinear", "q1 s z", "d1"),
        _node("GlobalAveragePool", "d1", "pooled"),
        _node("Flatten", "pooled", "flat"),
        _node("Gemm", "flat w3 b3", "logits", transB=1),
        _node("Softmax", "logits", "p", axis=1),
        _node("QuantizeLinear", "p ps pz", "scores"),
    ]
    weights: dict[str, Any] = {name: tiny.weights()[name] for name in ("w3", "b3")}
    weights |= {"s": np.float32(0.05), "z": np.uint8(100), "ps": np.float32(1 / 256), "pz": np.uint8(0)}
    weights |= {"ws": np.array([0.01] * 6, np.float32), "wz": np.zeros(6, np.int8)}
    weights["qw"] = (100 * _values(6, 3, 3, 3)).clip(-127, 127).astype(np.int8)
    return _model(nodes, weights, output="scores", output_type=TensorProto.UINT8)


def _integers() -> onnx.ModelProto:
    """Operators on integers: QLinearConv, and those of ONNX Runtime's own domain."""
    nodes = [
        _node("QuantizeLinear", "image s z", "q0"),
        _node("QLinearConv", "q0 s z qw s8 z8 s z", "q1", strides=[2, 2]),
        _node("QLinearGlobalAveragePool", "q1 s z s z", "q2", domain=_MICROSOFT, channels_last=0),
        _node("Flatten", "q2", "q3"),
        _node("QLinearMatMul", "q3 s z qm s8 z8 s z", "q4"),
        _node("QLinearSoftmax", "q4 s z ps pz", "p", domain=_MICROSOFT, axis=1, opset=13),
    ]
    weights: dict[str, Any] = {"s": np.float32(0.05), "z": np.uint8(100), "ps": np.float32(1 / 256), "pz": np.uint8(0)}
    weights |= {"s8": np.float32(0.01), "z8": np.int8(0)}
    weights["qw"] = (100 * _values(6, 3, 3, 3)).clip(-127, 127).astype(np.int8)
    weights["qm"] = (100 * _values(6, 4)).clip(-127, 127).astype(np.int8)
    return _model(nodes, weights, output="p", output_type=TensorProto.UINT8, domains=[_MICROSOFT])


def _dynamic() -> onnx.ModelProto:
    """Weights of 8 bits, and activations that are quantized as the run sees them; a head of 4 bits."""
    nodes = [
        _node("DynamicQuantizeLinear", "image", "q qs qz"),
        _node("ConvInteger", "q qw qz", "sums", strides=[2, 2]),
        _node("Cast", "sums", "real", to=TensorProto.FLOAT),
        _node("Mul", "qs s8", "both"),
        _node("Mul", "real both", "c1"),
        _node("Relu", "c1", "r1"),
        _node("GlobalAveragePool", "r1", "pooled"),
        _node("Flatten", "pooled", "flat"),
        _node("MatMulNBits", "flat packed scales", "logits", domain=_MICROSOFT, K=6, N=4, bits=4, block_size=16),
    ]
    weights: dict[str, Any] = {"s8": np.float32(0.01), "scales": np.full(4, 0.1, np.float32)}
    weights["qw"] = (100 * _values(6, 3, 3, 3)).clip(-127, 127).astype(np.int8)
    weights["packed"] = np.random.default_rng(2).integers(0, 256, (4, 1, 8)).astype(np.uint8)
    return _model(nodes, weights, domains=[_MICROSOFT])


def _fused() -> onnx.ModelProto:
    """Operators that ONNX Runtime's optimiser fuses, as it saves them."""
    nodes = tiny.body()
    nodes[0:2] = [
        _node("FusedConv", "image w1 b1", "relu1", domain=_MICROSOFT, strides=[2, 2], pads=[1] * 4, activation="Relu")
    ]
    nodes[-1] = _node("FusedGemm", "flat w3 b3", "logits", domain=_MICROSOFT, transB=1, activation="LeakyRelu")
    nodes[-1].attribute.append(helper.make_attribute("activation_alpha", 0.9))
    return _model(nodes, tiny.weights(), domains=[_MICROSOFT])


def _attention() -> onnx.ModelProto:
    """Tokens, attention as one operator, and the mean of the tokens."""
    nodes = [
        _node("Conv", "image patches", "grid", strides=[5, 5]),
        _node("Reshape", "grid shape", "columns"),
        _node("Transpose", "columns", "tokens", perm=[0, 2, 1]),
        _node("LayerNormalization", "tokens g h", "norm", axis=-1),
        _node("Attention", "norm norm norm", "mixed", q_num_heads=2, kv_num_heads=2),
        _node("Add", "tokens mixed", "sum"),
        _node("ReduceMean", "sum axes", "mean", keepdims=0),
        _node("Gemm", "mean w3 b3", "logits", transB=1),
    ]
    weights = {name: tiny.weights()[name] for name in ("w3", "b3")} | {"patches": _values(6, 3, 5, 5)}
    weights |= {"g": np.ones(6, np.float32), "h": np.zeros(6, np.float32)}
    integers = {"shape": np.array([0, 6, 16]), "axes": np.array([1])}
    return _model(nodes, weights | integers, opset=_ATTENTION, ir_version=10)


def _graph(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], inputs: Sequence[Any] = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "inner", list(inputs), [onnx.ValueInfoProto(name=name) for name in outputs])


def _branches() -> onnx.ModelProto:
    """An If around a squeeze, as PyTorch writes it, and one around the layer."""
    squeezes = _graph([_node("Squeeze", "pooled axes", "squeezed")], ["squeezed"])
    keeps = _graph([_node("Flatten", "pooled", "kept")], ["kept"])
    relu = _graph([_node("Relu", "conv2", "then")], ["then"])
    sigmoid = _graph([_node("Sigmoid", "conv2", "else")], ["else"])
    body = tiny.body()
    body[3] = helper.make_node("If", ["yes"], ["relu2"], then_branch=relu, else_branch=sigmoid)
    body[5] = helper.make_node("If", ["yes"], ["flat"], then_branch=squeezes, else_branch=keeps)
    return _model(body, tiny.weights() | {"yes": np.bool_(True), "axes": np.array([2, 3])})


def _loop() -> onnx.ModelProto:
    """A Loop between the layer and the head, and a Scan-like carried value."""
    inputs = [
        tiny.value_info("i", [], TensorProto.INT64),
        tiny.value_info("go", [], TensorProto.BOOL),
        tiny.value_info("x", ["N", 6, 5, 5]),
    ]
    body = _graph([_node("Identity", "go", "on"), _node("Relu", "x", "y")], ["on", "y"], inputs)
    nodes = tiny.body()
    nodes[3] = helper.make_node("Loop", ["times", "yes", "conv2"], ["relu2"], body=body)
    return _model(nodes, tiny.weights() | {"times": np.int64(2), "yes": np.bool_(True)})


def _function() -> onnx.ModelProto:
    """A block of convolution and activation as a local function that calls another one."""
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("local", 1)]
    act = helper.make_function("local", "Act", ["x"], ["y"], [_node("Relu", "x", "y")], opsets)
    inner = [_node("Conv", "x w b", "c", strides=[2, 2], pads=[1, 1, 1, 1]), _node("Act", "c", "y", domain="local")]
    block = helper.make_function("local", "Block", ["x", "w", "b"], ["y"], inner, opsets)
    nodes = [
        _node("Block", "image w1 b1", "relu1", domain="local"),
        _node("Block", "relu1 w2 b2", "relu2", domain="local"),
        *tiny.body()[4:],
    ]
    made = _model(nodes, tiny.weights(), domains=["local"])
    made.functions.extend([act, block])
    return made


def _sparse() -> onnx.ModelProto:
    made = _model(tiny.body(), {name: value for name, value in tiny.weights().items() if name != "b2"})
    sparse = made.graph.sparse_initializer.add()
    sparse.dims.append(6)
    sparse.values.CopyFrom(helper.make_tensor("b2", TensorProto.FLOAT, [2], [0.5, -0.5]))
    sparse.indices.CopyFrom(helper.make_tensor("", TensorProto.INT64, [2], [1, 4]))
    return made


def _several_heads() -> onnx.ModelProto:
    """Two heads whose scores are joined to one output."""
    tail = [
        _node("Gemm", "flat w4 b4", "other", transB=1),
        _node("Softmax", "logits", "p", axis=1),
        _node("Sigmoid", "other", "o"),
        _node("Concat", "p o", "joined", axis=1),
    ]
    return _with_constants(tail, "joined", w4=_values(3, 6), b4=_values(3))


def _selected() -> onnx.ModelProto:
    """The scores, and labels that an ArgMax and names in the graph give."""
    tail = [
        _node("Softmax", "logits", "p", axis=1),
        _node("ArgMax", "p", "index", axis=1, keepdims=0),
        _node("Gather", "names index", "label"),
    ]
    made = _with_constants(tail, "p", names=np.array([b"bird", b"cat", b"fish", b"dog"], object))
    made.graph.output.insert(0, tiny.value_info("label", ["N"], TensorProto.STRING))
    return made


def _external() -> Sample:
    """The plain model with its weights in a file beside it."""
    proto, content = tiny.model(), b""
    for tensor in proto.graph.initializer:
        for key, value in (("location", _EXTERNAL), ("offset", len(content)), ("length", len(tensor.raw_data))):
            tensor.external_data.add(key=key, value=str(value))
        content += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    return Sample("external", proto, {_EXTERNAL: content})
