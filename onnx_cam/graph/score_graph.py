"""The score graph: masking in front of a model and scoring behind it, in one graph.

::

    maps (M, h, w) ── rows · maps · columns ── masks, once a channel
                                                 │ Gather by map_index (B)
                                                 × scale (B)
                  noise "mask":                  + deviation (B) · fields[field_index (B)]
                                                 × image (1, C, H, W)
                  noise "input":                 + deviation (B) · fields[field_index (B)]
                                                 │ round, cast, layout
                                               model
                                                 │ dequantize, softmax or sigmoid, the T targets
                                  probability (B, T), logit (B, T)

The maps arrive normalised (:mod:`onnx_cam.runtime.masks` says why that is the same), so the upsampled map is the mask,
and every variant of METHODS.md is this graph with other numbers on its inputs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.errors import ModelError
from onnx_cam.graph.head import Head
from onnx_cam.graph.image_input import EIGHT_BITS, ImageInput
from onnx_cam.graph.tap import tap

__all__ = ["PREFIX", "GraphNoise", "arranged", "colour_columns", "score_graph"]

GraphNoise = Literal["none", "mask", "input"]
"""What the noise fields are added to inside the graph: nothing, the mask, or the masked image."""

PREFIX = "onnx_cam/"
"""In front of the name of each input of a score graph."""

_FIRST_OPSET = 7  # below, operators do not broadcast, and ONNX Runtime promises nothing
_ROUND_SINCE = 11
_CLIP_INPUTS_SINCE = 11
_AXES_INPUT_SINCE = 13
_OPSET_WHERE_NONE_IS_NAMED = 13
_TYPES = {
    "float16": onnx.TensorProto.FLOAT16,
    "uint8": onnx.TensorProto.UINT8,
    "int8": onnx.TensorProto.INT8,
}


def score_graph(
    proto: onnx.ModelProto,
    image_input: ImageInput,
    head: Head,
    noise: GraphNoise,
    *,
    binary: bool = False,
    batch: int | None = None,
) -> onnx.ModelProto:
    """Return the score graph of a classifier.

    The model's own nodes, weights, opsets, functions and metadata stay as they are; what is added is emitted at its
    opset. Inputs, behind `PREFIX`; B inputs are scored in a run, made of M maps:

    ===============  ========================  =====================================================
    ``image``        (1, C, H, W) float32      X; (1, H, W·C) for an NHWC model, see `arranged`
    ``maps``         (M, h, w) float32         normalised maps
    ``rows``         (H, h) float32            U along one axis …
    ``columns``      (w, W) float32            … and the other; (w, W·C) for NHWC, see `colour_columns`
    ``map_index``    (B) int64                 which map each input's mask is
    ``scale``        (B) float32               c
    ``targets``      (T) int64                 the classes to score
    ``fields``       (N, …) float32            noise, in the mask's or the image's shape; not with "none"
    ``field_index``  (B) int64                 which field each input takes; not with "none"
    ``deviation``    (B) float32               its standard deviation; not with "none"
    ===============  ========================  =====================================================

    Outputs: ``probability`` (B, T) float32, and ``logit`` (B, T) float32 where the graph has logits.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    image_input : ImageInput
        The input that takes the image; the score graph does not have it.
    head : Head
        The output that holds the scores.
    noise : {"none", "mask", "input"}
        Where the noise fields go.
    binary : bool
        Whether the model has one number for two classes.
    batch : int, optional
        B, where the model takes no other.

    Raises
    ------
    ModelError
        The model's opset is below 7.
    """
    tapped = tap(proto, [head.tapped_logits] if head.logits else [])
    opset = _opset(tapped)
    if opset < _FIRST_OPSET:
        raise ModelError(
            f"the model's opset is {opset}; expected {_FIRST_OPSET} or later, as ONNX Runtime does: export it again"
        )
    front, back = _Emission(tapped, opset, "front"), _Emission(tapped, opset, "back")
    _emit_front(front, image_input, noise)
    _emit_probability(back, head, binary)
    if head.logits:
        _emit_logit(back, head, binary)
    _graft(tapped, image_input, front, back)
    _declare(tapped, image_input, head, noise, batch)
    return tapped


def arranged(images: NDArray[np.float32], layout: str) -> NDArray[np.float32]:
    """Return images (…, C, H, W) as the score graph multiplies them: (…, H, W·C) for an NHWC model.

    With colours interleaved along the rows, broadcasting runs along whole rows: on a CPU 20 times faster than over a
    last dimension of 3.
    """
    if layout == "NCHW":
        return np.ascontiguousarray(images)
    moved = np.moveaxis(images, -3, -1)
    return np.ascontiguousarray(moved).reshape(*moved.shape[:-2], -1)


def colour_columns(columns: NDArray[np.float32], layout: str, channels: int) -> NDArray[np.float32]:
    """Return a matrix (w, W), or a field (…, H, W), with each column repeated for each colour of an NHWC model."""
    return columns if layout == "NCHW" else np.repeat(columns, channels, axis=-1)


class _Emission:
    """Nodes that come in front of the model, or behind it."""

    def __init__(self, model: onnx.ModelProto, opset: int, part: str) -> None:
        self.opset = opset
        self.graph = gs.Graph(opset=opset, ir_version=model.ir_version)
        self.prefix = f"{PREFIX}{part}/"

    def add(self, op: str, *inputs: gs.Tensor | str | NDArray[np.generic], **attributes: object) -> gs.Variable:
        """Append a node and return its output; a string is a tensor's name."""
        name = f"{self.prefix}{len(self.graph.nodes)}_{op}"
        tensors = [self._tensor(name, i, source) for i, source in enumerate(inputs)]
        output = gs.Variable(name)
        self.graph.nodes.append(gs.Node(op, name, attrs=attributes, inputs=tensors, outputs=[output]))
        return output

    def exported(self) -> onnx.GraphProto:
        """Return the nodes and their constants, in order."""
        graph: onnx.GraphProto = gs.export_onnx(self.graph, do_type_check=False).graph
        return graph

    def _tensor(self, node: str, index: int, source: gs.Tensor | str | NDArray[np.generic]) -> gs.Tensor:
        if isinstance(source, str):
            return gs.Variable(source)
        return gs.Constant(f"{node}_{index}", source) if isinstance(source, np.ndarray) else source


def _emit_front(front: _Emission, image_input: ImageInput, noise: GraphNoise) -> None:
    nhwc = image_input.layout == "NHWC"
    upsampled = front.add("MatMul", PREFIX + "rows", front.add("MatMul", PREFIX + "maps", PREFIX + "columns"))
    mask = front.add("Gather", upsampled, PREFIX + "map_index", axis=0)  # (B, H, W)
    mask = front.add("Mul", mask, _column(front, "scale", 3))
    if noise == "mask":
        mask = front.add("Add", mask, _scaled_field(front, 3))
    if not nhwc:
        mask = _unsqueeze(front, mask)  # (B, 1, H, W)
    masked = front.add("Mul", PREFIX + "image", mask)  # (B, C, H, W)
    if noise == "input":
        masked = front.add("Add", masked, _scaled_field(front, 3 if nhwc else 4))
    if nhwc:
        masked = front.add("Reshape", masked, np.array([0, 0, -1, image_input.channels], np.int64))
    _as_input(front, masked, image_input)


def _scaled_field(front: _Emission, rank: int) -> gs.Variable:
    fields = front.add("Gather", PREFIX + "fields", PREFIX + "field_index", axis=0)
    return front.add("Mul", fields, _column(front, "deviation", rank))


def _column(front: _Emission, name: str, rank: int) -> gs.Variable:
    """Return an input (B) as (B, 1, …)."""
    return front.add("Reshape", PREFIX + name, np.array([-1, *[1] * (rank - 1)], np.int64))


def _unsqueeze(front: _Emission, tensor: gs.Variable) -> gs.Variable:
    """Insert a dimension of 1 behind the first."""
    if front.opset < _AXES_INPUT_SINCE:
        return front.add("Unsqueeze", tensor, axes=[1])
    return front.add("Unsqueeze", tensor, np.array([1], np.int64))


def _as_input(front: _Emission, images: gs.Variable, image_input: ImageInput) -> None:
    """End in the tensor that the model reads: the same as `ImageInput.feed`."""
    if image_input.dtype in EIGHT_BITS:
        images = _rounded(front, images)
        if image_input.dtype == "int8":
            images = front.add("Sub", images, np.array(128, np.float32))
    if image_input.dtype != "float32":
        images = front.add("Cast", images, to=_TYPES[image_input.dtype])
    images.name = image_input.name


def _rounded(front: _Emission, pixels: gs.Variable) -> gs.Variable:
    """Return whole pixel values from 0 to 255."""
    if front.opset < _CLIP_INPUTS_SINCE:
        clipped = front.add("Clip", pixels, min=0.0, max=255.0)
    else:
        clipped = front.add("Clip", pixels, np.array(0, np.float32), np.array(255, np.float32))
    if front.opset < _ROUND_SINCE:
        return front.add("Floor", front.add("Add", clipped, np.array(0.5, np.float32)))
    return front.add("Round", clipped)


def _emit_probability(back: _Emission, head: Head, binary: bool) -> None:
    """Emit f^c as a probability, as `onnx_cam.runtime.scores.probabilities` does; (B, T) float32."""
    values = _floats(back, head.output)
    if head.quantizer is not None:
        shifted = back.add("Sub", values, np.array(head.zero_point, np.float32))
        values = back.add("Mul", shifted, np.array(head.scale, np.float32))
    if head.kind == "log-softmax":
        values = back.add("Exp", values)
    elif binary:
        p = values if head.kind == "sigmoid" else back.add("Sigmoid", values)
        values = back.add("Concat", back.add("Sub", np.array(1, np.float32), p), p, axis=1)
    elif head.kind == "logits":
        values = back.add("Softmax", values, axis=1)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "probability"


def _emit_logit(back: _Emission, head: Head, binary: bool) -> None:
    """Emit the logit, as `onnx_cam.runtime.scores.logits` does; (B, T) float32."""
    values = _floats(back, head.integers.name if head.integers else head.logits)
    if binary:
        values = back.add("Concat", back.add("Neg", values), values, axis=1)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "logit"


def _floats(back: _Emission, tensor: str) -> gs.Variable:
    """Return a tensor (B, classes), (B, classes, 1, 1), … as (B, classes) float32."""
    return back.add("Flatten", back.add("Cast", tensor, to=onnx.TensorProto.FLOAT), axis=1)


def _graft(model: onnx.ModelProto, image_input: ImageInput, front: _Emission, back: _Emission) -> None:
    before, after = front.exported(), back.exported()
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before.node, *own, *after.node])
    model.graph.initializer.extend([*before.initializer, *after.initializer])
    kept = [info for info in model.graph.input if info.name != image_input.name]  # IR 3 lists the weights here
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _declare(model: onnx.ModelProto, image_input: ImageInput, head: Head, noise: GraphNoise, batch: int | None) -> None:
    """Declare the inputs, and put the scores in place of the model's outputs."""
    b: int | str = "B" if batch is None else batch
    image = ["C", "H", "W"] if image_input.layout == "NCHW" else ["H", "WC"]
    floats: dict[str, list[int | str]] = {
        "image": [1, *image],
        "maps": ["M", "h", "w"],
        "rows": ["H", "h"],
        "columns": ["w", image[-1]],
    }
    floats["scale"] = [b]
    integers: dict[str, list[int | str]] = {"map_index": [b], "targets": ["T"]}
    if noise != "none":
        floats |= {"fields": ["N", *(image if noise == "input" else image[-2:])], "deviation": [b]}
        integers["field_index"] = [b]
    make = onnx.helper.make_tensor_value_info
    model.graph.input.extend(make(PREFIX + name, onnx.TensorProto.FLOAT, floats[name]) for name in floats)
    model.graph.input.extend(make(PREFIX + name, onnx.TensorProto.INT64, integers[name]) for name in integers)
    del model.graph.output[:]
    for name in ("probability", "logit") if head.logits else ("probability",):
        model.graph.output.append(make(PREFIX + name, onnx.TensorProto.FLOAT, [b, "T"]))


def _opset(model: onnx.ModelProto) -> int:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    model.opset_import.append(onnx.helper.make_opsetid("", _OPSET_WHERE_NONE_IS_NAMED))
    return _OPSET_WHERE_NONE_IS_NAMED
