"""A model's own scores as nodes: its output's numbers in float64, and the probabilities that they stand for."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnx_cam.graph.emission import Emission
from onnx_cam.graph.head import Head

__all__ = ["emit_doubles", "emit_probabilities"]


def emit_probabilities(emission: Emission, head: Head, *, binary: bool) -> gs.Variable:
    """Append the nodes that compute f^c of every class, as `onnx_cam.runtime.scores.probabilities` does.

    Parameters
    ----------
    emission : Emission
    head : Head
        The output that holds the scores.
    binary : bool
        Whether it has a single number for two classes.

    Returns
    -------
    onnx_graphsurgeon.Variable
        (N, classes) float64; of a raw head the output's own numbers.

    Examples
    --------
    >>> from onnx_cam.graph.heads import Softmax
    >>> emission = Emission(onnx.load("model.onnx"), 13, "back")
    >>> probabilities = emit_probabilities(emission, Head("p", Softmax(), "logits", ""), binary=False)
    >>> [node.op_type for node in emission.exported().node]
    ['Flatten', 'Cast']
    """
    values = emit_doubles(emission, head.output)
    if head.quantizer is not None:
        shifted = emission.add("Sub", values, np.array(head.zero_point, np.float64))
        values = emission.add("Mul", shifted, np.array(head.scale, np.float64))
    return head.kind.emit(emission, values, binary=binary)


def emit_doubles(emission: Emission, tensor: str) -> gs.Variable:
    """Return a tensor (N, classes), (N, classes, 1, 1), … as (N, classes) float64.

    Examples
    --------
    >>> emission = Emission(onnx.load("model.onnx"), 13, "back")
    >>> emit_doubles(emission, "logits").name
    'onnx_cam/back/1_Cast'
    """
    # Flatten comes first: a Cast right after a float16 output would cancel the one that ONNX Runtime puts there.
    return emission.add("Cast", emission.add("Flatten", tensor, axis=1), to=onnx.TensorProto.DOUBLE)
