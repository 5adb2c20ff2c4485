"""The gradient of logits with respect to a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnx_cam.errors import LayerError, TargetError
from onnx_cam.gradients.graph_module import GraphModule
from onnx_cam.gradients.node import Node
from onnx_cam.gradients.quantization import dequantize, quantize
from onnx_cam.graph.tap import Dequantized

__all__ = ["layer_gradients"]

Array = NDArray[Any]

_SHAPES = {"Shape", "Size"}
"""They read no values, so they end no gradient that there could be."""


def layer_gradients(
    module: GraphModule,
    image: Array,
    layer: str | Dequantized,
    logits: str | Dequantized,
    targets: Sequence[int],
    *,
    binary: bool = False,
) -> tuple[Array, Array]:
    """Return a layer's tensor and the gradient of each target's logit with respect to it.

    Parameters
    ----------
    module : GraphModule
    image : ndarray of shape (B, …)
        In the layout of the model's input; several where the model fixes its batch. The logits are the first one's.
    layer, logits : str or Dequantized
        Tensors of the graph; integers count as the numbers that they stand for.
    targets : sequence of int
        Classes, T of them.
    binary : bool
        The model has one logit z: class 1 has the logit z, and class 0 has −z.

    Returns
    -------
    A : ndarray of shape (B, …)
        The layer's tensor.
    g : ndarray of shape (T, B, …)
        ``∂Y^c/∂A`` for each target.

    Raises
    ------
    LayerError
        The score does not depend on the layer, or whole numbers are in the way.
    TargetError
        No such class.
    """
    pixels = torch.tensor(np.asarray(image), device=module.device)
    with torch.no_grad():
        activations = _value(module, pixels, layer, {})
    leaf = activations.detach().clone().requires_grad_()
    with torch.enable_grad():
        replaced = _in_place_of(module, pixels, layer, leaf)
        scores = _value(module, pixels, logits, replaced)[0].flatten()
    _check_targets(scores, targets, binary, module.name)
    if not scores.requires_grad:
        raise _no_gradient(module, pixels, layer, logits, replaced)
    return _as_array(activations), np.stack([_gradient(scores, t, leaf, binary) for t in targets])


def _value(module: GraphModule, image: Tensor, tensor: str | Dequantized, replaced: dict[str, Tensor]) -> Tensor:
    """Return a tensor of the graph; of integers, what they stand for."""
    if isinstance(tensor, str):
        return module(image, [tensor], replaced)[0]  # type: ignore[no-any-return]
    scale, zero_point = _quantization(module, image, tensor)
    return dequantize(module(image, [tensor.tensor], replaced)[0], scale, zero_point)


def _in_place_of(module: GraphModule, image: Tensor, layer: str | Dequantized, leaf: Tensor) -> dict[str, Tensor]:
    """Return what stands in the graph for the layer, so that the leaf's gradient is that of real numbers."""
    if isinstance(layer, str):
        return {layer: leaf}
    scale, zero_point = _quantization(module, image, layer)
    return {layer.tensor: quantize(leaf, scale, zero_point)}


def _quantization(module: GraphModule, image: Tensor, tensor: Dequantized) -> tuple[Tensor, Tensor | None]:
    with torch.no_grad():
        scale, *rest = module(image, [name for name in (tensor.scale, tensor.zero_point) if name])
    return scale, rest[0] if rest else None


def _check_targets(scores: Tensor, targets: Sequence[int], binary: bool, model: str) -> None:
    classes = 2 if binary else scores.numel()
    if binary and scores.numel() != 1:
        raise TargetError(f"{model} has {scores.numel()} logits; expected one, as binary=True says")
    for target in targets:
        if not 0 <= target < classes:
            raise TargetError(f"no class {target} in {model}; expected one from 0 to {classes - 1}")


def _gradient(scores: Tensor, target: int, leaf: Tensor, binary: bool) -> Array:
    index, sign = (0, 1 if target else -1) if binary else (target, 1)
    (gradient,) = torch.autograd.grad(scores[index], leaf, retain_graph=True, allow_unused=True)
    return _as_array(torch.zeros_like(leaf) if gradient is None else sign * gradient)


def _as_array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().cpu().numpy()
    return array


def _no_gradient(
    module: GraphModule,
    image: Tensor,
    layer: str | Dequantized,
    logits: str | Dequantized,
    replaced: dict[str, Tensor],
) -> LayerError:
    """Say why the score has no gradient: nothing leads there, or a node ends it."""
    source, end = (t if isinstance(t, str) else t.tensor for t in (layer, logits))
    ends: list[Node] = []

    def watch(node: Node, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> None:
        tracked = any(t is not None and t.requires_grad for t in inputs)
        if tracked and node.operator not in _SHAPES and not any(t.requires_grad for t in outputs):
            ends.append(node)

    if module.leads_to(source, end):
        module(image, [end], replaced, watch)
    if ends:
        return LayerError(
            f"the gradient of {module.name} ends before it reaches layer {source!r}: {ends[0]} makes whole numbers; "
            "choose a layer behind it, or a method that needs no gradient, such as scorecam"
        )
    return LayerError(
        f"the score of {module.name} does not depend on layer {source!r}; choose another, listed by: onnx-cam layers"
    )
