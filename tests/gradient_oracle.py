"""Slow reference implementations of the gradient methods, straight from METHODS.md.

They run on the torch version of the tiny network, in float64, with torch's own gradients, position by position and
channel by channel. No code is shared with the package.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from tests.oracle import combine, dead, s, softmax, upsample
from tests.torch_twins import Tiny

Array = NDArray[np.float64]


@dataclass
class GradientCase:
    """What a reference map is computed for: the torch version of the tiny network, at its first or second Relu."""

    x: Array  # (C, H, W)
    target: int
    layer: str = "relu2"
    seed: int = 0
    samples: int = 1
    sigma: float = 0.0
    versus: int | None = None

    def __post_init__(self) -> None:
        self.network = Tiny().double()

    def head(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.network.conv1(x))
        return first if self.layer == "relu1" else self.network.relu2(self.network.conv2(first))

    def tail(self, a: torch.Tensor) -> torch.Tensor:
        last = a if self.layer == "relu2" else self.network.relu2(self.network.conv2(a))
        logits: torch.Tensor = self.network.linear(last.mean(dim=(2, 3)))
        return logits

    def activations(self) -> Array:
        with torch.no_grad():
            return np.asarray(self.head(torch.from_numpy(self.x[None]))[0].numpy())

    def gradient(self, x: Array | None = None) -> Array:
        a = self.head(torch.from_numpy((self.x if x is None else x)[None])).detach().requires_grad_()
        logits = self.tail(a)[0]
        score = logits[self.target] if self.versus is None else logits[self.target] - logits[self.versus]
        score.backward()  # type: ignore[no-untyped-call]
        assert a.grad is not None
        return np.asarray(a.grad[0].numpy())

    def f(self, x: Array) -> float:
        with torch.no_grad():
            logits = self.tail(self.head(torch.from_numpy(x[None])))
        values = logits[0].numpy()
        if self.versus is not None:
            return float(values[self.target] - values[self.versus])
        return float(softmax(values)[self.target])

    def noise(self, sample: int) -> Array:
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, sample], np.uint64)))
        return np.asarray(generator.standard_normal(self.x.shape, np.float32), np.float64)


def cam(case: GradientCase) -> Array:
    weights = case.network.linear.weight.detach().numpy()
    own = weights[case.target] if case.versus is None else weights[case.target] - weights[case.versus]
    return combine(own, case.activations())


def gradcam(case: GradientCase) -> Array:
    return combine(np.array([g.mean() for g in case.gradient()]), case.activations())


def _pixel_weights(a: Array, g2: Array, g3: Array, epsilon: float = 0.0) -> Array:
    """Return ``a_k^{ij}`` of Grad-CAM++ for one channel."""
    alpha = np.zeros_like(a)
    for i, j in np.ndindex(a.shape):
        denominator = 2 * g2[i, j] + a.sum() * g3[i, j] + epsilon
        alpha[i, j] = g2[i, j] / denominator if denominator != 0 else 0.0
    return alpha


def _plus_plus(case: GradientCase, epsilon: float) -> Array:
    maps = case.activations()
    gradients = case.gradient()
    pairs = zip(maps, gradients, strict=True)
    return combine(
        np.array([(_pixel_weights(a, g**2, g**3, epsilon) * np.maximum(g, 0)).sum() for a, g in pairs]), maps
    )


def gradcam_pp(case: GradientCase) -> Array:
    return _plus_plus(case, 0.0)


def gradcam_pp_pytorch_grad_cam(case: GradientCase) -> Array:
    return _plus_plus(case, 1e-6)


def smoothgradcam_pp(case: GradientCase) -> Array:
    deviation = case.sigma * (case.x.max() - case.x.min())
    gradients = [case.gradient(case.x + deviation * case.noise(i)) for i in range(case.samples)]
    g, g2, g3 = (np.mean([gradient**power for gradient in gradients], axis=0) for power in (1, 2, 3))
    maps = case.activations()
    weights = [(_pixel_weights(maps[k], g2[k], g3[k]) * np.maximum(g[k], 0)).sum() for k in range(len(maps))]
    return combine(np.array(weights), maps)


def _gradient_maps(case: GradientCase, times_activations: bool = True) -> list[Array]:
    """Return G_k of Grad++ScoreCAM, or with `times_activations` false its factor that lacks A_k."""
    maps = []
    for a, g in zip(case.activations(), case.gradient(), strict=True):
        weights = _pixel_weights(a, g**2, g**3) * np.maximum(g, 0)
        maps.append(weights * a if times_activations else weights)
    return maps


def _scores(case: GradientCase, maps: list[Array]) -> Array:
    """Return the weight of each map: the score of the image masked by it, less that of the baseline."""
    size = (case.x.shape[1], case.x.shape[2])
    baseline = case.f(np.zeros_like(case.x))
    return np.array([0.0 if dead(g) else case.f(case.x * s(upsample(g, size))) - baseline for g in maps])


def gradpp_scorecam(case: GradientCase) -> Array:
    return combine(_scores(case, _gradient_maps(case)), case.activations())


def gradpp_scorecam_weights(case: GradientCase) -> Array:
    return combine(_scores(case, _gradient_maps(case, times_activations=False)), case.activations())


def gradpp_scorecam_figure(case: GradientCase) -> Array:
    maps = _gradient_maps(case)
    return combine(_scores(case, maps), np.array(maps))


def gradpp_scorecam_paper(case: GradientCase) -> Array:
    """X is reduced to h×w by averaging areas; the network takes inputs of any size."""
    maps = _gradient_maps(case)
    h, w = maps[0].shape
    rows, columns = case.x.shape[1] // h, case.x.shape[2] // w
    small = case.x.reshape(len(case.x), h, rows, w, columns).mean(axis=(2, 4))
    baseline = case.f(np.zeros_like(small))
    weights = np.array([0.0 if dead(g) else case.f(small * s(g)) - baseline for g in maps])
    return combine(weights, case.activations())


def finercam(case: GradientCase) -> Array:
    """With γ = 0.6 and the three closest classes, one gradient for each class."""
    with torch.no_grad():
        logits = case.tail(case.head(torch.from_numpy(case.x[None])))[0].numpy()
    others = [index for index in range(len(logits)) if index != case.target]
    closest = sorted(others, key=lambda index: abs(logits[index] - logits[case.target]))[:3]
    own = np.array([g.mean() for g in case.gradient()])
    theirs = [np.array([g.mean() for g in replace(case, target=index).gradient()]) for index in closest]
    return combine(own - 0.6 * np.mean(theirs, axis=0), case.activations())


def xgradcam(case: GradientCase) -> Array:
    maps = case.activations()
    pairs = zip(maps, case.gradient(), strict=True)
    return combine(np.array([(a / a.sum() * g).sum() if a.sum() != 0 else 0.0 for a, g in pairs]), maps)


def layercam(case: GradientCase) -> Array:
    pairs = zip(case.activations(), case.gradient(), strict=True)
    return np.asarray(np.maximum(sum(np.maximum(g, 0) * a for a, g in pairs), 0))


def hirescam(case: GradientCase) -> Array:
    return np.asarray(np.maximum(sum(g * a for a, g in zip(case.activations(), case.gradient(), strict=True)), 0))


GRADIENT_REFERENCES: dict[tuple[str, str], Callable[[GradientCase], Array]] = {
    ("cam", "paper"): cam,
    ("gradcam", "paper"): gradcam,
    ("gradcam++", "paper"): gradcam_pp,
    ("gradcam++", "pytorch-grad-cam"): gradcam_pp_pytorch_grad_cam,
    ("smoothgradcam++", "paper"): smoothgradcam_pp,
    ("grad++scorecam", "full-resolution"): gradpp_scorecam,
    ("grad++scorecam", "paper"): gradpp_scorecam_paper,
    ("grad++scorecam", "weights"): gradpp_scorecam_weights,
    ("grad++scorecam", "figure"): gradpp_scorecam_figure,
    ("xgradcam", "paper"): xgradcam,
    ("layercam", "paper"): layercam,
    ("hirescam", "paper"): hirescam,
    ("finercam", "paper"): finercam,
}
"""(method, variant) to the function that computes L, (h, w)."""
