"""Builds that must pass: the same model, stored or run in another way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from benchmarks.made_builds.original import Build, Make, Original, edited
from benchmarks.made_builds.quantization import quantized
from benchmarks.made_builds.surgery import Floats, change, convolutions, feed_through, head, make, rename_output

__all__ = ["REBUILDS"]


def same_file(original: Original, path: Path) -> Build:
    path.write_bytes(original.path.read_bytes())
    return Build(path)


def renamed(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """Every tensor and node renamed, except input and output."""
    kept = {one.name for one in (*model.graph.input, *model.graph.output)} | {""}
    for node in model.graph.node:
        node.name = f"again/{node.name}"
        for tensors in (node.input, node.output):
            tensors[:] = [name if name in kept else f"again/{name}" for name in tensors]
    for weight in model.graph.initializer:
        weight.name = f"again/{weight.name}"
    del model.graph.value_info[:]
    return model


def other_opset(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    from onnx.version_converter import convert_version

    version = next(one.version for one in model.opset_import if not one.domain)
    converted = convert_version(model, 15 if version != 15 else 16)
    converted.metadata_props.extend(model.metadata_props)
    return converted


def optimised(original: Original, path: Path) -> Build:
    """Saved by ONNX Runtime's optimiser at EXTENDED."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(original.path), options, providers=["CPUExecutionProvider"])
    return Build(path)


def half(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    converted: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return converted


def well_quantized(original: Original, path: Path) -> Build:
    return quantized(original, path, original.calibration_inputs)


def moved(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """All weights of convolutions and head multiplied by about 1 + 1e-5."""
    generator = np.random.default_rng(0)

    def move(weights: Floats) -> Floats:
        return weights * (1 + 1e-5 * generator.standard_normal(weights.shape, np.float32))

    for node in (*convolutions(model), head(model)):
        change(model, node.input[1], move)
    return model


def softmax_appended(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    logits = model.graph.output[0].name
    model.graph.node.append(make("Softmax", [logits], "probabilities", axis=1))
    model.graph.output[0].name = "probabilities"
    return model


def external(original: Original, path: Path) -> Build:
    """Weights in a file of their own."""
    onnx.save(original.read(), path, save_as_external_data=True, location=f"{path.stem}.data", size_threshold=0)
    return Build(path)


def fixed_batch(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    return model


def dynamic_batch(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    for one in (*model.graph.input, *model.graph.output):
        one.type.tensor_type.shape.dim[0].dim_param = "N"
    del model.graph.value_info[:]
    return model


def channels_last(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """The input as NHWC, with a Transpose behind it."""
    image = model.graph.input[0]
    batch, channels, height, width = (size.dim_param or size.dim_value for size in image.type.tensor_type.shape.dim)
    feed_through(model, [make("Transpose", [image.name], "as_nchw", perm=[0, 3, 1, 2])], "as_nchw")
    nhwc = helper.make_tensor_value_info(image.name, onnx.TensorProto.FLOAT, [batch, height, width, channels])
    image.CopyFrom(nhwc)
    return model


def doubled_halves(model: onnx.ModelProto, original: Original) -> onnx.ModelProto:
    """The first convolution's weights halved, and its output added to itself."""
    node = convolutions(model)[0]
    name = rename_output(model, node, "halves")
    change(model, node.input[1], lambda weights: weights / 2)
    if len(node.input) > 2:
        change(model, node.input[2], lambda bias: bias / 2)
    position = list(model.graph.node).index(node) + 1
    model.graph.node.insert(position, make("Add", ["halves", "halves"], name))
    return model


REBUILDS: Mapping[str, Make] = {
    "same file": same_file,
    "tensors renamed": edited(renamed),
    "other opset": edited(other_opset),
    "ONNX Runtime's optimiser, EXTENDED": optimised,
    "float16": edited(half),
    "int8, well calibrated": well_quantized,
    "weights moved by 1e-5": edited(moved),
    "Softmax appended": edited(softmax_appended),
    "external data": external,
    "fixed batch": edited(fixed_batch),
    "dynamic batch": edited(dynamic_batch),
    "NHWC": edited(channels_last),
    "first convolution as two operators": edited(doubled_halves),
}
"""What each rebuild is called in the table, and what makes it."""
