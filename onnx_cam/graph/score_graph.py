"""The score graph: masking before a model and scoring after it, in one graph.

::

    maps (m, h, w) ── rows · maps · columns ── masks (m, 1, P), once for each channel
                                                 │
            "none"                               × scale (m, n)
            "mask"                               + offset_scale (m) · offset_fields (n, P)
                                                 × image (C, P)
            "input"                              + offset_scale (m) · offset_fields (n, C·P)
                                                 │ round, cast, layout
                                               model, a batch of m·n
                                                 │ dequantize, softmax or sigmoid, the T targets
                                  probability (m·n, T), logit (m·n, T)

A run scores m maps at n steps each. The maps arrive normalised (:mod:`onnx_cam.runtime.masks` says why that gives the
same masks), so that the upsampled map is the mask, and every variant of METHODS.md is this graph with other numbers on
its inputs.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from onnx_cam.errors import ModelError
from onnx_cam.graph.emission import PARTS_OF_A_HEATMAP, PREFIX, Emission, emission_opset
from onnx_cam.graph.emit_head import emit_doubles, emit_probabilities
from onnx_cam.graph.head import Head
from onnx_cam.graph.inputs.image_input import ImageInput
from onnx_cam.graph.tap import tap

__all__ = ["GraphOffset", "arranged", "mask_columns", "score_graph"]

GraphOffset = Literal["none", "mask", "input"]
"""What the offset is added to inside the graph: nothing, the mask, or the masked image."""


def score_graph(
    proto: onnx.ModelProto,
    image_input: ImageInput,
    head: Head,
    offset: GraphOffset,
    size: tuple[int, int],
    *,
    binary: bool = False,
    batch: int | None = None,
) -> onnx.ModelProto:
    """Return the score graph of a classifier.

    The model's own nodes, weights, opsets, functions and metadata stay as they are; what is added is emitted at its
    opset. The inputs, whose names begin with `PREFIX`, for m maps at n steps; P = H·W, or H·W·C for an NHWC model (see
    `arranged`):

    =================  ===================  =============================================================
    ``image``          (C, P) float32       X; (1, P) for NHWC
    ``maps``           (m, h, w) float32    normalised maps
    ``rows``           (H, h) float32       U along one axis …
    ``columns``        (w, P / H) float32   … and along the other, see `mask_columns`
    ``scale``          (m, n) float32       c; only with offset "none"
    ``offset_fields``  (n, P) float32       each step's field; (n, C·P) for an offset of an NCHW model's input
    ``offset_scale``   (m) float32          the offset's scale for each map: the standard deviation of noise
    ``targets``        (T) int64            the classes to score
    =================  ===================  =============================================================

    The outputs are ``probability`` (m·n, T) float64, and ``logit`` (m·n, T) float64 where the graph has logits. They
    are float64 because scores are subtracted from each other, and float32 keeps too little of a class that is nearly
    certain.

    Parameters
    ----------
    proto : onnx.ModelProto
        The model; it is not changed.
    image_input : ImageInput
        The input that takes the image; the score graph does not have it.
    head : Head
        The output that holds the scores.
    offset : {"none", "mask", "input"}
        What the offset is added to.
    size : tuple of int
        ``(H, W)``.
    binary : bool
        Whether the model has a single number for two classes.
    batch : int, optional
        m·n, where the model only runs at that batch size.

    Returns
    -------
    onnx.ModelProto
        A copy, whose inputs and outputs are those above.

    Raises
    ------
    ModelError
        The model's opset is below 7, or a tensor has a name that the score graph needs.

    Examples
    --------
    >>> from onnx_cam.graph.heads import Logits
    >>> image = ImageInput("image", None, 3, 20, 20)
    >>> graph = score_graph(onnx.load("model.onnx"), image, Head("logits", Logits(), "logits", ""), "none", (20, 20))
    >>> [info.name for info in graph.graph.output]
    ['onnx_cam/probability', 'onnx_cam/logit']
    """
    # The model as it is, with its logits as an output, and the opset to emit at.
    _check_names(proto.graph)
    tapped = tap(proto, [head.tapped_logits] if head.logits else [])
    opset = emission_opset(tapped)
    # New nodes before the model (from maps to masked images) and after it (from its output to the targets' scores).
    front, back = Emission(tapped, opset, "front"), Emission(tapped, opset, "back")
    _emit_front(front, image_input, offset, size)
    _emit_probability(back, head, binary)
    if head.logits:
        _emit_logit(back, head, binary)
    # Put them around the model's own nodes, and declare the new inputs and outputs in place of the model's.
    _graft(tapped, image_input, front, back)
    _declare(tapped, head, offset, batch)
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


def _emit_front(front: Emission, image_input: ImageInput, offset: GraphOffset, size: tuple[int, int]) -> None:
    """Emit the masked images, ``X ⊙ (c · H + m) + e``, under the name of the model's own input."""
    nchw = image_input.layout == "NCHW"
    channels, pixels = image_input.channels, size[0] * size[1]
    # Upsample each map once, whatever the number of steps: rows (H, h) · maps (m, h, w) · columns (w, …).
    upsampled = front.add("MatMul", PREFIX + "rows", front.add("MatMul", PREFIX + "maps", PREFIX + "columns"))
    values = _reshape(front, upsampled, -1, 1, pixels if nchw else pixels * channels)  # (m, 1, P)
    # The mask of each step: scaled, or with its offset.
    if offset == "none":
        values = front.add("Mul", values, _reshape(front, PREFIX + "scale", 0, 0, 1))  # (m, n, P)
    if offset == "mask":
        values = front.add("Add", values, _offset(front))  # (m, n, P)
    # The masked images: the same mask for all colours.
    if nchw:
        values = _reshape(front, values, -1, 1, pixels)  # (m·n, 1, P)
    values = front.add("Mul", values, PREFIX + "image")  # (m·n, C, P), or (m, n, P) for NHWC
    if offset == "input":
        values = _reshape(front, values, -1, 1, channels * pixels)  # (m, 1, C·P)
        values = front.add("Add", values, _offset(front))  # (m, n, C·P)
    # As the model's input takes it. The Reshape follows the Cast because ONNX Runtime drops two Casts in a row, to
    # float16 and back where a CPU has no such kernels, and with them the rounding that the deployed model sees.
    image = (channels, *size) if nchw else (*size, channels)
    _reshape(front, image_input.element_type.emit(front, values), -1, *image).name = image_input.name


def _offset(front: Emission) -> gs.Variable:
    """Return the offset, ``scale · field``: (m, n, …)."""
    return front.add("Mul", _reshape(front, PREFIX + "offset_scale", -1, 1, 1), PREFIX + "offset_fields")


def _reshape(front: Emission, tensor: gs.Variable | str, *shape: int) -> gs.Variable:
    return front.add("Reshape", tensor, np.array(shape, np.int64))


def _emit_probability(back: Emission, head: Head, binary: bool) -> None:
    """Emit f^c as a probability; (m·n, T) float64."""
    values = emit_probabilities(back, head, binary=binary)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "probability"


def _emit_logit(back: Emission, head: Head, binary: bool) -> None:
    """Emit the logit, as `onnx_cam.runtime.scores.logits` does; (m·n, T) float64."""
    values = emit_doubles(back, head.integers.name if head.integers else head.logits)
    if binary:
        values = back.add("Concat", back.add("Sub", np.array(0, np.float64), values), values, axis=1)
    back.add("Gather", values, PREFIX + "targets", axis=1).name = PREFIX + "logit"


def _graft(model: onnx.ModelProto, image_input: ImageInput, front: Emission, back: Emission) -> None:
    before, after = front.exported(), back.exported()
    own = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before.node, *own, *after.node])
    model.graph.initializer.extend([*before.initializer, *after.initializer])
    kept = [info for info in model.graph.input if info.name != image_input.name]  # IR 3 lists the weights here
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _declare(model: onnx.ModelProto, head: Head, offset: GraphOffset, batch: int | None) -> None:
    """Declare the inputs, and put the scores in place of the model's outputs."""
    floats: dict[str, int] = {"image": 2, "maps": 3, "rows": 2, "columns": 2}
    floats |= {"scale": 2} if offset == "none" else {"offset_fields": 2, "offset_scale": 1}
    make = onnx.helper.make_tensor_value_info
    for name, rank in floats.items():
        model.graph.input.append(make(PREFIX + name, onnx.TensorProto.FLOAT, [f"{name}_{i}" for i in range(rank)]))
    model.graph.input.append(make(PREFIX + "targets", onnx.TensorProto.INT64, ["T"]))
    del model.graph.output[:]
    for name in ("probability", "logit") if head.logits else ("probability",):
        model.graph.output.append(make(PREFIX + name, onnx.TensorProto.DOUBLE, [batch or "m·n", "T"]))


def _check_names(graph: onnx.GraphProto) -> None:
    names = [info.name for info in [*graph.input, *graph.output, *graph.initializer]]
    names += [output for node in graph.node for output in node.output]
    taken = [name for name in names if name.startswith(PREFIX) and not name.startswith(PARTS_OF_A_HEATMAP)]
    if taken:
        raise ModelError(
            f"the model has a tensor called {taken[0]!r}; expected no name that begins with {PREFIX!r}, as those that "
            "onnx-cam adds do: rename it"
        )
