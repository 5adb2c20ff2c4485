"""The head kinds, one file each, and the one list of them.

A head kind says what the numbers of an output are. It computes probabilities from them in NumPy, and emits nodes that
compute the same in a graph.
"""

from __future__ import annotations

from onnx_cam.graph.heads.base import HeadKind, softmax
from onnx_cam.graph.heads.complement import Complement
from onnx_cam.graph.heads.log_softmax import LogSoftmax
from onnx_cam.graph.heads.logits import Logits
from onnx_cam.graph.heads.multi_label import MultiLabel
from onnx_cam.graph.heads.negated import Negated
from onnx_cam.graph.heads.negative_log import NegativeLog
from onnx_cam.graph.heads.percent import Percent
from onnx_cam.graph.heads.raw import Raw
from onnx_cam.graph.heads.scaled import Scaled
from onnx_cam.graph.heads.several import Several
from onnx_cam.graph.heads.sigmoid_head import Sigmoid
from onnx_cam.graph.heads.softmax_head import Softmax

__all__ = [
    "HEADS",
    "Complement",
    "HeadKind",
    "LogSoftmax",
    "Logits",
    "MultiLabel",
    "Negated",
    "NegativeLog",
    "Percent",
    "Raw",
    "Scaled",
    "Several",
    "Sigmoid",
    "Softmax",
    "head_of_operator",
    "softmax",
]

HEADS: dict[str, HeadKind] = {
    kind.name: kind
    for kind in (
        *(Logits(), Softmax(), LogSoftmax(), Sigmoid()),
        *(MultiLabel(), Percent(), Complement(), Negated(), NegativeLog(), Raw()),
    )
}
"""Name to head kind, of those that a user can name; `Scaled` and `Several` are only ever concluded."""

_BY_OPERATOR = {operator: kind for kind in HEADS.values() for operator in kind.operators}


def head_of_operator(operator: str) -> HeadKind | None:
    """Return the head kind of a graph that ends in an ONNX operator; None where the operator says nothing.

    Examples
    --------
    >>> head_of_operator("Softmax")
    Softmax()
    >>> head_of_operator("Gemm") is None
    True
    """
    return _BY_OPERATOR.get(operator)
