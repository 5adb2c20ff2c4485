"""Writing to a part of a tensor, given by positions."""

from __future__ import annotations

import numpy as np

from onnx_cam.graph.backward.step import Gradients, NoRule, Step

__all__ = ["scatter_elements", "scatter_nd"]

_OPSET_OF_GATHER_ELEMENTS = 11


def scatter_elements(step: Step) -> Gradients:
    return _scattered(step, "ScatterElements" if step.emit.opset >= _OPSET_OF_GATHER_ELEMENTS else "Scatter")


def scatter_nd(step: Step) -> Gradients:
    return _scattered(step, "ScatterND")


def _scattered(step: Step, operator: str) -> Gradients:
    """What was overwritten has no gradient, and what was written has that of where it is now.

    Where updates are added, both have the gradient; where they are multiplied, that times the other factors; and equal
    maxima or minima share it.
    """
    emit, g, indices = step.emit, step.gradient, step.node.input[1]
    axis = None if operator == "ScatterND" else step.attribute("axis", 0)
    kind = step.attribute("reduction", "none")

    def scatter(target: str, updates: str, reduction: str | None = None) -> str:
        return emit.add(operator, target, indices, updates, axis=axis, reduction=reduction)

    def gather(source: str) -> str:
        if operator == "Scatter":
            raise NoRule("the updates' gradient needs opset 11 or later")
        return emit.add("GatherND" if operator == "ScatterND" else "GatherElements", source, indices, axis=axis)

    gradients: dict[int, str | None] = {}
    if kind == "none":
        if step.wants(0):
            zeros = emit.add("ConstantOfShape", emit.add("Shape", step.node.input[2]))
            gradients[0] = scatter(g, zeros)
        if step.wants(2):
            gradients[2] = gather(g)
    elif kind == "add":
        gradients = {place: g if place == 0 else gather(g) for place in (0, 2) if step.wants(place)}
    elif kind == "mul":
        if step.wants(0):
            gradients[0] = scatter(g, step.value(2), "mul")
        if step.wants(2):
            _check_unique(step, operator)
            gradients[2] = gather(emit.add("Mul", g, step.value(0)))
    else:  # max and min
        old_counts = emit.cast(emit.equal(step.value(0), step.output()))
        new_counts = emit.cast(emit.equal(step.value(2), gather(step.output())))
        share = emit.add("Div", g, scatter(old_counts, new_counts, "add"))
        if step.wants(0):
            gradients[0] = emit.add("Mul", share, old_counts)
        if step.wants(2):
            gradients[2] = emit.add("Mul", gather(share), new_counts)
    return gradients


def _check_unique(step: Step, operator: str) -> None:
    """Make sure that no position is written twice: then a factor's gradient is the old number."""
    indices = step.input_facts(1).value
    if indices is not None and operator == "ScatterND":
        rows = indices.reshape(-1, indices.shape[-1])
        if (rows >= 0).all() and len(np.unique(rows, axis=0)) == len(rows):
            return
    if indices is not None and operator == "ScatterElements" and (indices >= 0).all():
        lines = np.sort(indices, axis=step.attribute("axis", 0))
        if (np.diff(lines, axis=step.attribute("axis", 0)) != 0).all():
            return
    raise NoRule("the positions to which it multiplies may repeat")
