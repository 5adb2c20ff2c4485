"""The methods as nodes: from activation maps and what weighs them to L (METHODS.md, "Gradient methods").

Each is the same formula as the method's in `onnx_cam.methods`, for a batch of images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx_cam.graph.backward.emitter import Emitter
from onnx_cam.graph.heatmap.maps import FlatMaps

__all__ = ["GRADIENT_FORMULAS", "weighted_sum"]

Formula = Callable[[Emitter, FlatMaps, FlatMaps], str]
"""``formula(emitter, maps, gradients)`` returns L, P numbers an image."""


def weighted_sum(emitter: Emitter, weights: str, maps: FlatMaps) -> str:
    """Return ``ReLU(Σ_k α_k A_k)``; α has K numbers an image."""
    if maps.channel_axis == 1:  # (N, 1, K) · (N, K, P)
        row = emitter.reshape(weights, (None, 1, maps.channels))
        return emitter.add("Relu", emitter.add("MatMul", row, maps.tensor))
    column = emitter.reshape(weights, (None, maps.channels, 1))  # (N, P, K) · (N, K, 1)
    return emitter.add("Relu", emitter.add("MatMul", maps.tensor, column))


def _gradcam(emitter: Emitter, maps: FlatMaps, gradients: FlatMaps) -> str:
    """α_k: the mean of g_k over the positions."""
    return weighted_sum(emitter, emitter.reduce("ReduceMean", gradients.tensor, [gradients.position_axis]), maps)


def _gradcam_pp(emitter: Emitter, maps: FlatMaps, gradients: FlatMaps) -> str:
    """α_k = Σ_ij a_k^{ij} · ReLU(g_k^{ij}).

    ``g² / (2g² + S g³)`` is ``1 / (2 + S g)``, S the sum of A_k: the same share where g is not 0, and in float32 no
    power of a small gradient is lost.
    """
    positive = emitter.add("Relu", gradients.tensor)
    total = emitter.reduce("ReduceSum", maps.tensor, [maps.position_axis])
    denominator = emitter.add("Add", emitter.add("Mul", positive, total), 2.0)
    terms = _divided(emitter, positive, denominator)
    return weighted_sum(emitter, emitter.reduce("ReduceSum", terms, [maps.position_axis]), maps)


def _xgradcam(emitter: Emitter, maps: FlatMaps, gradients: FlatMaps) -> str:
    """α_k = Σ_ij A_k^{ij} g_k^{ij} / Σ_ij A_k^{ij}."""
    products = emitter.reduce("ReduceSum", emitter.add("Mul", maps.tensor, gradients.tensor), [maps.position_axis])
    total = emitter.reduce("ReduceSum", maps.tensor, [maps.position_axis])
    return weighted_sum(emitter, _divided(emitter, products, total), maps)


def _layercam(emitter: Emitter, maps: FlatMaps, gradients: FlatMaps) -> str:
    """L = ReLU(Σ_k ReLU(g_k) ⊙ A_k)."""
    return _position_sum(emitter, maps, emitter.add("Relu", gradients.tensor))


def _hirescam(emitter: Emitter, maps: FlatMaps, gradients: FlatMaps) -> str:
    """L = ReLU(Σ_k g_k ⊙ A_k)."""
    return _position_sum(emitter, maps, gradients.tensor)


def _position_sum(emitter: Emitter, maps: FlatMaps, weights: str) -> str:
    products = emitter.add("Mul", maps.tensor, weights)
    return emitter.add("Relu", emitter.reduce("ReduceSum", products, [maps.channel_axis]))


def _divided(emitter: Emitter, numerator: str, denominator: str) -> str:
    """Return a quotient, 0 where the denominator is 0."""
    is_zero = emitter.cast(emitter.equal(denominator, 0.0))
    quotient = emitter.add("Div", numerator, emitter.add("Add", denominator, is_zero))
    return emitter.add("Mul", quotient, emitter.add("Sub", 1.0, is_zero))


GRADIENT_FORMULAS: Mapping[str, Formula] = {
    "gradcam": _gradcam,
    "gradcam++": _gradcam_pp,
    "xgradcam": _xgradcam,
    "layercam": _layercam,
    "hirescam": _hirescam,
}
"""The formula of each gradient method that can be embedded, by its name."""
