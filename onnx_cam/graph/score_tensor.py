"""The tensor of scores behind an output that holds something made of them: a label, a rank, a map of names, a row."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_graphsurgeon as gs

from onnx_cam.graph.head_ending import RESHAPING

__all__ = ["behind_labels", "behind_squeeze", "holds_labels"]

_BEST = ("ArgMax", "TopK", "Hardmax", "ZipMap")
_CLASSIFIERS = ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")  # their outputs: label, scores
_FIRST = {*RESHAPING, "LabelEncoder", "CategoryMapper", "ZipMap", "Slice", "Split"}
_LOOK_UPS = {"Gather", "GatherND", "GatherElements", "ArrayFeatureExtractor"}
_MOST_STEPS = 50


def holds_labels(output: gs.Tensor) -> bool:
    """Tell whether an output holds labels, ranks or a map of names to scores, and not the scores themselves.

    Examples
    --------
    >>> best = gs.Node("ArgMax", inputs=[gs.Variable("scores")], outputs=[gs.Variable("best")])
    >>> holds_labels(best.outputs[0])
    True
    """
    return any(_selects(node, output) or _is_label(node, tensor) for node, tensor in _steps(output))


def behind_labels(output: gs.Tensor) -> gs.Tensor | None:
    """Return the tensor of scores that labels, ranks or a map of names to scores are made from; None without one.

    Examples
    --------
    >>> best = gs.Node("ArgMax", inputs=[gs.Variable("scores")], outputs=[gs.Variable("best")])
    >>> behind_labels(best.outputs[0]).name
    'scores'
    """
    for node, tensor in _steps(output):
        if _is_label(node, tensor):
            return node.outputs[1]
        if _selects(node, output) and node.inputs:
            scores = node.inputs[0]
            return behind_labels(scores) or scores
    return None


def _selects(node: gs.Node, output: gs.Tensor) -> bool:
    """Tell whether a node selects from scores, or names them; the maximum over classes is the score of the best one."""
    is_column = output.shape is not None and (len(output.shape) == 1 or output.shape[1:] in ([1], (1,)))
    return node.op in _BEST or (node.op == "ReduceMax" and is_column)


def _is_label(node: gs.Node, tensor: gs.Tensor) -> bool:
    return node.op in _CLASSIFIERS and len(node.outputs) > 1 and tensor is node.outputs[0]


def _steps(tensor: gs.Tensor) -> Iterator[tuple[gs.Node, gs.Tensor]]:
    """Yield the nodes before a tensor, each with the output of it that is followed, up to those that make scores."""
    for _ in range(_MOST_STEPS):
        if len(tensor.inputs) != 1:
            return
        node = tensor.inputs[0]
        yield node, tensor
        if node.op in _FIRST and node.inputs:
            tensor = node.inputs[0]
        elif node.op in _LOOK_UPS and len(node.inputs) > 1:  # names[index]
            tensor = node.inputs[1]
        else:
            return


def behind_squeeze(output: gs.Tensor) -> gs.Tensor | None:
    """Return the tensor with a dimension of classes from which an output lost it; None where it lost none.

    Examples
    --------
    >>> scores, row = gs.Variable("scores", shape=["N", 1]), gs.Variable("row", shape=["N"])
    >>> squeeze = gs.Node("Squeeze", inputs=[scores], outputs=[row])
    >>> behind_squeeze(row).name
    'scores'
    """
    if output.shape is not None and len(output.shape) > 1:
        return None
    reducing = ("Squeeze", "Gather") if output.shape is None else ("Squeeze", "Gather", "Reshape", "Flatten")
    found, tensor = None, output
    for _ in range(_MOST_STEPS):
        node = tensor.inputs[0] if len(tensor.inputs) == 1 else None
        if node is None or not node.inputs or node.op not in (*reducing, "Identity", "Cast"):
            return found
        tensor = node.inputs[0]
        found = tensor if node.op in reducing else found
    return found
