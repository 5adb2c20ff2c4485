"""The gradients of logits with respect to a layer."""

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
"""An array of the module's floating type: float32, or float64 after ``module.double()``."""

_SHAPE_OPERATORS = {"Shape", "Size"}
"""They read no values, so there is no gradient that they could end."""


def layer_gradients(
    module: GraphModule,
    image: Array,
    layer: str | Dequantized,
    logits: str | Dequantized,
    targets: Sequence[int],
    *,
    binary: bool = False,
) -> tuple[Array, Array]:
    """Return a layer's activations and the gradient of each target's logit with respect to them.

    Parameters
    ----------
    module : GraphModule
        The model, with `layer` and `logits` among the tensors that its outputs need.
    image : ndarray of shape (B, …)
        In the layout of the model's input; B > 1 if the model has a fixed batch size. The logits of the first image
        are differentiated.
    layer, logits : str or Dequantized
        Tensors of the graph. A tensor of integers is treated as the real numbers that they represent.
    targets : sequence of int
        T classes.
    binary : bool
        Whether the model has a single logit z: class 1 then has the logit z, and class 0 has −z.

    Returns
    -------
    activations : ndarray of shape (B, …)
        A, the layer's tensor.
    gradients : ndarray of shape (T, B, …)
        ``∂Y^c/∂A`` for each target c.

    Raises
    ------
    LayerError
        The logits do not depend on the layer, or integers between the two end the gradient.
    TargetError
        There is no such class.

    Examples
    --------
    >>> import onnx
    >>> module = GraphModule(onnx.load("model.onnx"), name="model.onnx")
    >>> image = np.ones((1, 3, 20, 20), np.float32)
    >>> activations, gradients = layer_gradients(module, image, "relu2", "logits", targets=[0, 2])
    >>> activations.shape, gradients.shape
    ((1, 6, 5, 5), (2, 1, 6, 5, 5))
    """
    # Run the graph up to the layer, without recording gradients: the activations are (B, …).
    pixels = torch.tensor(np.asarray(image), device=module.device)
    with torch.no_grad():
        activations = _value(module, pixels, layer, {})

    # Run the rest from a copy of them, which is the leaf that gradients flow back to: the scores are (classes,).
    leaf = activations.detach().clone().requires_grad_()
    with torch.enable_grad():
        replaced = _replacement(module, pixels, layer, leaf)
        scores = _value(module, pixels, logits, replaced)[0].flatten()
    _check_targets(scores, targets, binary, module.name)
    if not scores.requires_grad:
        raise _no_gradient(module, pixels, layer, logits, replaced)

    # One backward pass for each target: (T, B, …).
    return _as_array(activations), np.stack([_gradient(scores, target, leaf, binary) for target in targets])


def _value(module: GraphModule, image: Tensor, tensor: str | Dequantized, replaced: dict[str, Tensor]) -> Tensor:
    """Return a tensor of the graph; integers as the real numbers that they represent."""
    if isinstance(tensor, str):
        return module(image, [tensor], replaced)[0]  # type: ignore[no-any-return]
    scale, zero_point = _quantization(module, image, tensor)
    return dequantize(module(image, [tensor.tensor], replaced)[0], scale, zero_point)


def _replacement(module: GraphModule, image: Tensor, layer: str | Dequantized, leaf: Tensor) -> dict[str, Tensor]:
    """Return what takes the layer's place in the graph: the leaf, quantized again where the layer is integers."""
    if isinstance(layer, str):
        return {layer: leaf}
    scale, zero_point = _quantization(module, image, layer)
    return {layer.tensor: quantize(leaf, scale, zero_point)}


def _quantization(module: GraphModule, image: Tensor, tensor: Dequantized) -> tuple[Tensor, Tensor | None]:
    """Return the scale and the zero point of a tensor of integers."""
    with torch.no_grad():
        scale, *rest = module(image, [name for name in (tensor.scale, tensor.zero_point) if name])
    return scale, rest[0] if rest else None


def _check_targets(scores: Tensor, targets: Sequence[int], binary: bool, model: str) -> None:
    classes = 2 if binary else scores.numel()
    if binary and scores.numel() != 1:
        raise TargetError(f"{model} has {scores.numel()} logits, but binary=True expects one; leave out binary")
    for target in targets:
        if not 0 <= target < classes:
            raise TargetError(f"no class {target} in {model}; expected one from 0 to {classes - 1}")


def _gradient(scores: Tensor, target: int, leaf: Tensor, binary: bool) -> Array:
    """Return the gradient of one target's logit, (B, …); 0 if the logit does not depend on the layer."""
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
    """Return an error that says why the logits have no gradient: they do not depend on the layer, or a node ends it."""
    source, end = (t if isinstance(t, str) else t.tensor for t in (layer, logits))
    ends: list[Node] = []  # nodes with a gradient at an input but at no output

    def watch(node: Node, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> None:
        has_gradient = any(t is not None and t.requires_grad for t in inputs)
        if has_gradient and node.operator not in _SHAPE_OPERATORS and not any(t.requires_grad for t in outputs):
            ends.append(node)

    if module.leads_to(source, end):
        module(image, [end], replaced, watch)
    if ends:
        return LayerError(
            f"the gradient of {module.name} does not reach layer {source!r}: {ends[0]} outputs integers; "
            "choose a layer after it, or a method that needs no gradient, such as scorecam"
        )
    return LayerError(
        f"the score of {module.name} does not depend on layer {source!r}; choose another, listed by: onnx-cam layers"
    )
