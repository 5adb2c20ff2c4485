"""The score graph: masking in front of a model and scoring behind it, in one graph.

::

    maps (m, h, w) ── rows · maps · columns ── masks (m, 1, P), once a channel
                                                 │
            "none"                               × scale (m, n)
            "mask"                               + deviation (m) · fields (n, P)
                                                 × image (C, P)
            "input"                              + deviation (m) · fields (n, C·P)
                                                 │ round, cast, layout
                                               model, a batch of m·n
                                                 │ dequantize, softmax or sigmoid, the T targets
                                  probability (m·n, T), logit (m·n, T)

A run scores m maps at n steps each. The maps arrive normalised (:mod:`onnx_cam.runtime.masks` says why that is the
same), so the upsampled map is the mask, and every variant of METHODS.md is this graph with other numbers on its inputs.
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

__all__ = ["PREFIX", "GraphNoise", "arranged", "mask_columns", "score_graph"]

GraphNoise = Literal["none", "mask", "input"]
"""What the noise fields are added to inside the graph: nothing, the mask, or the masked image."""

PREFIX = "onnx_cam/"
"""In front of the name of each input and output of a score graph."""

_FIRST_OPSET = 7  # below, operators do not broadcast, and ONNX Runtime promises nothing
_ROUND_SINCE = 11
_CLIP_INPUTS_SINCE = 11
_OPSET_WHERE_NONE_IS_NAMED = 13
_NO_FRACTIONS = np.array(2**23, np.float32)
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
    size: tuple[int, int],
    *,
    binary: bool = False,
    batch: int | None = None,
) -> onnx.ModelProto:
    """Return the score graph of a classifier.

    The model's own nodes, weights, opsets, functions and metadata stay as they are; what is added is emitted at its
    opset. Inputs, behind `PREFIX`, for m maps at n steps; P = H·W, or H·W·C for an NHWC model, see `arranged`:

    =============  ===================  =============================================================
    ``image``      (C, P) float32       X; (1, P) for NHWC
    ``maps``       (m, h, w) float32    normalised maps
    ``rows``       (H, h) float32       U along one axis …
    ``columns``    (w, P / H) float32   … and the other, see `mask_columns`
    ``scale``      (m, n) float32       c; with noise "none" alone
    ``fields``     (n, P) float32       the noise of each step; (n, C·P) for noise on an NCHW model's input
    ``deviation``  (m) float32          its standard deviation
    ``targets``    (T) int64            the classes to score
    =============  ===================  =============================================================

    Outputs: ``probability`` (m·n, T) float64, and ``logit`` (m·n, T) float64 where the graph has logits. Float64,
    because scores are subtracted: of a class that is nearly certain, float32 keeps too little.

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
    size : tuple of int
        ``(H, W)``.
    binary : bool
        Whether the model has one number for two classes.
    batch : int, optional
        m·n, where the model takes no other.

    Raises
    ------
    ModelError
        The model's opset is below 7, or a tensor has a name that the score graph needs.
    """
    _check_names(proto.graph)
    tapped = tap(proto, [head.tapped_logits] if head.logits else [])
    opset = _opset(tapped)
    if opset < _FIRST_OPSET:
        raise ModelError(
            f"the model's opset is {opset}; expected {_FIRST_OPSET} or later, as ONNX Runtime does: export it again"
        )
    front, back = _Emission(tapped, opset, "front"), _Emission(tapped, opset, "back")
    _emit_front(front, image_input, noise, size)
    _emit_probability(back, head, binary)
    if head.logits:
        _emit_logit(back, head, binary)
    _graft(tapped, image_input, front, back)
    _declare(tapped, head, noise, batch)
    return tapped


def arranged(image: NDArray[np.float32], layout: str) -> NDArray[np.float32]:
    """Return an image (C, H, W) as the score graph multiplies it: (C, H·W), or (1, H·W·C) for an NHWC model.

    With the colours of an NHWC model interleaved in mask and image alike, broadcasting runs over the whole image: on a
    CPU 20 times faster than over a last dimension of 3.
    """
    if layout == "NCHW":
        return np.ascontiguousarray(image.reshape(len(image), -1))
    return np.ascontiguousarray(np.moveaxis(image, 0, -1)).reshape(1, -1)


def mask_columns(columns: NDArray[np.float32], layout: str, channels: int) -> NDArray[np.float32]:
    """Return the columns of a matrix, or of a mask (…, W), each repeated for each colour of an NHWC model."""
    return np.ascontiguousarray(columns if layout == "NCHW" else np.repeat(columns, channels, axis=-1))


class _Emission:
    """Nodes that come in front of the model, or behind it."""

    def __init__(self, model: onnx.ModelProto, opset: int, part: str) -> None:
        self.opset = opset
        self.graph = gs.Graph(opset=opset, ir_version=model.ir_version)
        self.prefix = f"{PREFIX}{part}/"
        self.named: dict[str, gs.Variable] = {}

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
            return self.named.setdefault(source, gs.Variable(source))
        return gs.Constant(f"{node}_{index}", source) if isinstance(source, np.ndarray) else source


def _emit_front(front: _Emission, image_input: ImageInput, noise: GraphNoise, size: tuple[int, int]) -> None:
    nchw = image_input.layout == "NCHW"
    channels, pixels = image_input.channels, size[0] * size[1]
    upsampled = front.add("MatMul", PREFIX + "rows", front.add("MatMul", PREFIX + "maps", PREFIX + "columns"))
    values = _reshape(front, upsampled, -1, 1, pixels if nchw else pixels * channels)  # (m, 1, P)
    if noise == "none":
        values = front.add("Mul", values, _reshape(front, PREFIX + "scale", 0, 0, 1))  # (m, n, P)
    if noise == "mask":
        values = front.add("Add", values, _noise(front))  # (m, n, P)
    if nchw:
        values = _reshape(front, values, -1, 1, pixels)  # (m·n, 1, P)
    values = front.add("Mul", values, PREFIX + "image")
    if noise == "input":
        values = _reshape(front, values, -1, 1, channels * pixels)  # (m, 1, C·P)
        values = front.add("Add", values, _noise(front))  # (m, n, C·P)
    # The Reshape comes behind the Cast: two Casts in a row, to float16 and back where a CPU has no such kernels, would
    # be left out by ONNX Runtime, and with them the rounding that the deployed model sees.
    image = (channels, *size) if nchw else (*size, channels)
    _reshape(front, _as_type(front, values, image_input), -1, *image).name = image_input.name


def _noise(front: _Emission) -> gs.Variable:
    """Return the noise, (m, n, …)."""
    return front.add("Mul", _reshape(front, PREFIX + "deviation", -1, 1, 1), PREFIX + "fields")


def _reshape(front: _Emission, tensor: gs.Variable | str, *shape: int) -> gs.Variable:
    return front.add("Reshape", tensor, np.array(shape, np.int64))


def _as_type(front: _Emission, values: gs.Variable, image_input: ImageInput) -> gs.Variable:
    """Return what the model's input takes: the same as `ImageInput.feed`."""
    if image_input.dtype == "float32":
        return values
    if image_input.dtype in EIGHT_BITS:
        values = _rounded(front, values)
    if image_input.dtype == "int8":
        values = front.add("Sub", values, np.array(128, np.float32))
    return front.add("Cast", values, to=_TYPES[image_input.dtype])


def _rounded(front: _Emission, pixels: gs.Variable) -> gs.Variable:
    """Return whole pixel values from 0 to 255."""
    if front.opset < _CLIP_INPUTS_SINCE:
        clipped = front.add("Clip", pixels, min=0.0, max=255.0)
    else:
        clipped = front.add("Clip", pixels, np.array(0, np.float32), np.array(255, np.float32))
    if front.opset < _ROUND_SINCE:  # float32 has no fractions from 2²³ on: a sum is rounded, half to even
        return front.add("Sub", front.add("Add", clipped, _NO_FRACTIONS), _NO_FRACTIONS)
    return front.add("Round", clipped)


def _emit_probability(back: _Emission, head: Head, binary: bool) -> None:
    """Emit f^c as a probability, as `onnx_cam.runtime.scores.probabilities` does; (m·n, T) float64."""
    values = _doubles(back, head.output)
    if head.quantizer is not None:
        shifted = back.add("Sub", values, np.array(head.zero_point, np.float64))
        values = back.add("Mul", shifted, np.array(head.scale, np.float64))
    if head.kind == "log-softmax":
        values = back.add("Exp", values)
    elif binary and head.kind == "sigmoid":
        values = back.add("Concat", back.add("Sub", np.array(1, np.float64), values), values, axis=1)
    elif head.kind == "logits":
        if binary:
            values = back.add("Concat", back.add("Sub", values, values), values, axis=1)  # 0 and z
        values = back.add("Softmax", values, axis=1)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "probability"


def _emit_logit(back: _Emission, head: Head, binary: bool) -> None:
    """Emit the logit, as `onnx_cam.runtime.scores.logits` does; (m·n, T) float64."""
    values = _doubles(back, head.integers.name if head.integers else head.logits)
    if binary:
        values = back.add("Concat", back.add("Sub", np.array(0, np.float64), values), values, axis=1)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "logit"


def _doubles(back: _Emission, tensor: str) -> gs.Variable:
    """Return a tensor (m·n, classes), (m·n, classes, 1, 1), … as (m·n, classes) float64."""
    # In this order: a Cast right behind a float16 output would cancel the one that ONNX Runtime ends it with on a CPU.
    return back.add("Cast", back.add("Flatten", tensor, axis=1), to=onnx.TensorProto.DOUBLE)


def _graft(model: onnx.ModelProto, image_input: ImageInput, front: _Emission, back: _Emission) -> None:
    before, after = front.exported(), back.exported()
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before.node, *own, *after.node])
    model.graph.initializer.extend([*before.initializer, *after.initializer])
    kept = [info for info in model.graph.input if info.name != image_input.name]  # IR 3 lists the weights here
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _declare(model: onnx.ModelProto, head: Head, noise: GraphNoise, batch: int | None) -> None:
    """Declare the inputs, and put the scores in place of the model's outputs."""
    floats: dict[str, int] = {"image": 2, "maps": 3, "rows": 2, "columns": 2}
    floats |= {"scale": 2} if noise == "none" else {"fields": 2, "deviation": 1}
    make = onnx.helper.make_tensor_value_info
    for name, rank in floats.items():
        model.graph.input.append(make(PREFIX + name, onnx.TensorProto.FLOAT, [f"{name}_{i}" for i in range(rank)]))
    model.graph.input.append(make(PREFIX + "targets", onnx.TensorProto.INT64, ["T"]))
    del model.graph.output[:]
    for name in ("probability", "logit") if head.logits else ("probability",):
        model.graph.output.append(make(PREFIX + name, onnx.TensorProto.DOUBLE, [batch or "m·n", "T"]))


def _check_names(graph: onnx.GraphProto) -> None:
    names = [info.name for info in [*graph.input, *graph.output, *graph.initializer]]
    taken = [name for name in [*names, *(o for node in graph.node for o in node.output)] if name.startswith(PREFIX)]
    if taken:
        raise ModelError(
            f"the model has a tensor called {taken[0]!r}; expected no name that begins with {PREFIX!r}, as those that "
            "onnx-cam adds do: rename it"
        )


def _opset(model: onnx.ModelProto) -> int:
    for entry in reversed(model.opset_import):  # of several ONNX Runtime takes the last
        if entry.domain in ("", "ai.onnx"):
            return int(entry.version)
    model.opset_import.append(onnx.helper.make_opsetid("", _OPSET_WHERE_NONE_IS_NAMED))
    return _OPSET_WHERE_NONE_IS_NAMED
