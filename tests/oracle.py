"""Every method and variant, slowly and obviously, straight from the tables of METHODS.md.

One ONNX Runtime session, one forward pass at a time, loops over channels and samples. Nothing here is shared with the
package: upsampling is ``np.interp`` along rows and columns, noise is drawn anew from Philox with key (seed, sample).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class Network:
    """The model with its layer tapped and its logits an output."""

    proto: onnx.ModelProto
    layer: str
    logits: str

    def __post_init__(self) -> None:
        tapped = onnx.ModelProto()
        tapped.CopyFrom(self.proto)
        present = {output.name for output in tapped.graph.output}
        tapped.graph.output.extend(onnx.ValueInfoProto(name=n) for n in (self.layer, self.logits) if n not in present)
        self.session = onnxruntime.InferenceSession(tapped.SerializeToString(), providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name

    def activations(self, x: Array) -> Array:
        return np.asarray(self.session.run([self.layer], {self.input: x[None].astype(np.float32)})[0][0], np.float64)

    def logit(self, x: Array) -> Array:
        raw = self.session.run([self.logits], {self.input: x[None].astype(np.float32)})[0][0]
        return np.asarray(raw, np.float64)

    def probability(self, x: Array) -> Array:
        return softmax(self.logit(x).ravel())


@dataclass
class Case:
    """What a reference map is computed for."""

    network: Network
    x: Array  # (C, H, W)
    target: int
    seed: int = 0
    samples: int = 1
    sigma: float = 0.0
    score: str = "probability"
    x_b: Array | None = None
    head: Array | None = None  # w_k^c, (classes, K)

    @property
    def baseline(self) -> Array:
        return np.zeros_like(self.x) if self.x_b is None else self.x_b

    @property
    def size(self) -> tuple[int, int]:
        return self.x.shape[1], self.x.shape[2]

    def f(self, x: Array) -> float:
        return float(
            (self.network.logit(x) if self.score == "logit" else self.network.probability(x)).ravel()[self.target]
        )

    def f_logit(self, x: Array) -> float:
        return float(self.network.logit(x).ravel()[self.target])

    def f_probability(self, x: Array) -> float:
        return float(self.network.probability(x).ravel()[self.target])

    def noise(self, sample: int, shape: tuple[int, ...]) -> Array:
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, sample], np.uint64)))
        return np.asarray(generator.standard_normal(shape, np.float32), np.float64)


def softmax(values: Array) -> Array:
    exponential: Array = np.exp(values - values.max())
    return np.asarray(exponential / exponential.sum())


def upsample(a: Array, size: tuple[int, int], align_corners: bool = False) -> Array:
    """U: bilinear, with half-pixel centres or aligned corners."""

    def positions(source: int, target: int) -> Array:
        index = np.arange(target)
        return index * (source - 1) / (target - 1) if align_corners else (index + 0.5) * source / target - 0.5

    rows = np.stack([np.interp(positions(a.shape[1], size[1]), np.arange(a.shape[1]), row) for row in a])
    columns = [np.interp(positions(a.shape[0], size[0]), np.arange(a.shape[0]), column) for column in rows.T]
    return np.stack(columns).T


def s(z: Array, epsilon: float = 0.0) -> Array:
    """Min-max normalisation."""
    return np.asarray((z - z.min()) / (z.max() - z.min() + epsilon))


def dead(a: Array) -> bool:
    return bool(a.max() == a.min())


def combine(alpha: Array, maps: Array) -> Array:
    """L."""
    return np.asarray(np.maximum(sum(weight * a for weight, a in zip(alpha, maps, strict=True)), 0))


def each_live(case: Case, alpha_k: Callable[[Array], float]) -> Array:
    maps = case.network.activations(case.x)
    return combine(np.array([0.0 if dead(a) else alpha_k(a) for a in maps]), maps)


def over_channels(case: Case, value_k: Callable[[Array], float]) -> Array:
    """α = softmax over all channels, dead ones included."""
    maps = case.network.activations(case.x)
    return combine(softmax(np.array([value_k(a) for a in maps])), maps)


# --- scorecam


def scorecam_paper(case: Case) -> Array:
    return each_live(case, lambda a: case.f(case.x * s(upsample(a, case.size))) - case.f(case.baseline))


def scorecam_torchcam(case: Case) -> Array:
    baseline = case.f_logit(case.x)
    return over_channels(case, lambda a: case.f_logit(case.x * upsample(s(a, 1e-8), case.size)) - baseline)


def scorecam_pytorch_grad_cam(case: Case) -> Array:
    def value(a: Array) -> float:
        return case.f_logit(case.x * s(upsample(a, case.size, align_corners=True), 1e-8))

    return over_channels(case, value)


# --- sscam1


def sscam1_range(case: Case) -> Array:
    def alpha(a: Array) -> float:
        h = s(upsample(a, case.size))
        scores = [case.f(case.x * (h + case.sigma * case.noise(i, case.size))) for i in range(case.samples)]
        return float(np.mean(scores)) - case.f(case.baseline)

    return each_live(case, alpha)


sscam1_paper = sscam1_range  # the same formula; σ is absolute, and the mask's range is 1


def sscam1_feature(case: Case) -> Array:
    def alpha(a: Array) -> float:
        deviation = case.sigma * (a.max() - a.min())
        noisy = [a + deviation * case.noise(i, a.shape) for i in range(case.samples)]
        return float(np.mean([case.f(case.x * s(upsample(z, case.size))) for z in noisy])) - case.f(case.baseline)

    return each_live(case, alpha)


def sscam1_authors(case: Case) -> Array:
    def alpha(a: Array) -> float:
        u = upsample(a, case.size)
        deviation = (case.sigma / (u.max() - u.min())) ** 2
        noisy = [u + deviation * case.noise(i, case.size) for i in range(case.samples)]
        return float(np.mean([case.f_probability(case.x * z) for z in noisy]))

    return each_live(case, alpha)


def sscam1_torchcam(case: Case) -> Array:
    baseline = case.f_logit(case.x)

    def value(a: Array) -> float:
        mask = upsample(s(a, 1e-8), case.size)
        noisy = [mask + case.sigma * case.noise(i, case.size) for i in range(case.samples)]
        return float(np.mean([case.f_logit(case.x * z) for z in noisy])) - baseline

    return over_channels(case, value)


# --- sscam2


def sscam2_range(case: Case) -> Array:
    def alpha(a: Array) -> float:
        masked = case.x * s(upsample(a, case.size))
        deviation = case.sigma * (case.x.max() - case.x.min())
        noisy = [masked + deviation * case.noise(i, case.x.shape) for i in range(case.samples)]
        return float(np.mean([case.f(z) for z in noisy])) - case.f(case.baseline)

    return each_live(case, alpha)


def sscam2_authors(case: Case) -> Array:
    def alpha(a: Array) -> float:
        masked = case.x * s(upsample(a, case.size))
        deviation = (case.sigma / (masked.max() - masked.min())) ** 2
        noisy = [masked + deviation * case.noise(i, case.x.shape) for i in range(case.samples)]
        return float(np.mean([case.f(z) for z in noisy]))

    return each_live(case, alpha)


def sscam2_paper(case: Case) -> Array:
    def alpha(a: Array) -> float:
        masked = case.x * s(upsample(a, case.size))
        noisy = [masked + case.sigma * case.noise(i, case.x.shape) for i in range(case.samples)]
        return float(np.mean([case.f(z) for z in noisy])) - case.f(case.baseline)

    return each_live(case, alpha)


# --- sscam-max


def _sscam_max(case: Case, scaled: bool) -> Array:
    maps = case.network.activations(case.x)
    head = np.ones(len(maps)) if case.head is None else case.head[case.target]

    def value(a: Array, w: float) -> float:
        weighted = a * w
        masked = 0 * case.x if dead(weighted) else case.x * s(upsample(weighted, case.size))
        spread = masked.max() - masked.min()
        deviation = case.sigma if not scaled else (case.sigma / spread) ** 2 if spread > 0 else 0.0
        noisy = [masked + deviation * case.noise(i, case.x.shape) for i in range(case.samples)]
        best = max(case.f_probability(z) for z in noisy)
        return case.f(best * masked) - case.f(case.baseline)

    return combine(softmax(np.array([value(a, w) for a, w in zip(maps, head, strict=True)])), maps)


def sscam_max_paper(case: Case) -> Array:
    return _sscam_max(case, scaled=False)


def sscam_max_authors_scale(case: Case) -> Array:
    return _sscam_max(case, scaled=True)


# --- iscam


def _iscam_path(case: Case, c: Callable[[int, int], float]) -> Array:
    def alpha(a: Array) -> float:
        masked = case.x * s(upsample(a, case.size))
        scores = [case.f(c(i, case.samples) * masked) for i in range(1, case.samples + 1)]
        return float(np.mean(scores)) - case.f(case.baseline)

    return each_live(case, alpha)


def iscam_paper(case: Case) -> Array:
    return _iscam_path(case, lambda i, n: sum(j / n for j in range(i)))


def iscam_linear(case: Case) -> Array:
    return _iscam_path(case, lambda i, n: i / n)


def iscam_torchcam(case: Case) -> Array:
    baseline = case.f_logit(case.x)

    def value(a: Array) -> float:
        masked = case.x * upsample(s(a, 1e-8), case.size)
        steps = [sum((j + 1) / case.samples for j in range(i)) for i in range(1, case.samples + 1)]
        return float(np.mean([case.f_logit(c * masked) for c in steps])) - baseline

    return over_channels(case, value)


REFERENCES: dict[tuple[str, str], Callable[[Case], Array]] = {
    ("scorecam", "paper"): scorecam_paper,
    ("scorecam", "torchcam"): scorecam_torchcam,
    ("scorecam", "pytorch-grad-cam"): scorecam_pytorch_grad_cam,
    ("sscam1", "range"): sscam1_range,
    ("sscam1", "paper"): sscam1_paper,
    ("sscam1", "feature"): sscam1_feature,
    ("sscam1", "authors"): sscam1_authors,
    ("sscam1", "torchcam"): sscam1_torchcam,
    ("sscam2", "range"): sscam2_range,
    ("sscam2", "authors"): sscam2_authors,
    ("sscam2", "paper"): sscam2_paper,
    ("sscam-max", "paper"): sscam_max_paper,
    ("sscam-max", "authors-scale"): sscam_max_authors_scale,
    ("iscam", "paper"): iscam_paper,
    ("iscam", "torchcam"): iscam_torchcam,
    ("iscam", "linear"): iscam_linear,
}
"""(method, variant) to the function that computes L, (h, w)."""
