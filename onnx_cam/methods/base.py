"""What every gradient-free method is: a schedule of masked inputs, and a reduction of their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import ScoreError, SettingError, did_you_mean
from onnx_cam.runtime.masks import Masking
from onnx_cam.runtime.schedule import NoiseSpace, Schedule
from onnx_cam.runtime.scorer import Scorer
from onnx_cam.runtime.scores import RESOLUTION, ScoreKind

if TYPE_CHECKING:
    from onnx_cam.budget.map_error import MapError

__all__ = [
    "Method",
    "Subject",
    "TargetWeighed",
    "Variant",
    "Weighed",
    "authors_deviation",
    "difference",
    "weighted_sum",
]

Floats = NDArray[np.float32]
Weights = NDArray[np.float64]

_MAX_SAMPLES = 10_000  # N noise fields are held at once


@dataclass(frozen=True)
class Variant:
    """One row of METHODS.md: how a method is wired.

    Attributes
    ----------
    masking : Masking
        How a map becomes a mask.
    noise : {"none", "map", "mask", "input"}
        What noise is added to.
    spread : {"absolute", "map", "upsampled", "masked"}
        What σ is measured by: nothing; the range of ``A_k``; or, as ``(σ / range)²``, the range of ``U(A_k)`` or of
        ``X ⊙ H_k``.
    score : {"probability", "logit"} or None
        The score that the variant is defined on; None leaves it to the user.
    baseline : bool
        Whether ``f^c(X_b)`` is subtracted; what a softmax over the channels would cancel is not.
    softmax : bool
        Whether α is the softmax of the mean scores over all channels, dead ones included.
    samples : int
        N by default.
    sigma : float
        σ by default.
    """

    masking: Masking = field(default_factory=Masking)
    noise: NoiseSpace = "none"
    spread: Literal["absolute", "map", "upsampled", "masked"] = "absolute"
    score: ScoreKind | None = None
    baseline: bool = True
    softmax: bool = False
    samples: int = 1
    sigma: float = 0.0


@dataclass(frozen=True)
class Subject:
    """What a method works on: one image's activations, and the means to score inputs.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        A, the activation maps of the target layer.
    scorer : Scorer
        For the T targets.
    score : {"probability", "logit"}
        f^c.
    linear_head : callable
        Returns ``w_k^c``, shape (T, K), or None where the model has no linear layer behind global pooling.
    gradient : callable
        Returns ``∂Y^c/∂A_k`` for an image (C, H, W), shape (T, K, h, w).
    """

    maps: Floats
    scorer: Scorer
    score: ScoreKind
    linear_head: Callable[[], NDArray[np.float32] | None]
    gradient: Callable[[Floats], Floats] | None = None

    @cached_property
    def gradients(self) -> Floats:
        """``g_k = ∂Y^c/∂A_k`` for the T targets, (T, K, h, w) float32; Y^c is the logit."""
        return self._gradients_at(self.scorer.image, 1)

    def noisy_gradients(self, deviation: float, step: int, steps: int) -> Floats:
        """Return the gradients at X with the noise field of a step added, (T, K, h, w) float32."""
        return self._gradients_at(self.scorer.noisy_image(deviation, step), steps)

    def _gradients_at(self, image: Floats, steps: int) -> Floats:
        assert self.gradient is not None
        gradients = self.gradient(image)
        self.scorer.count_pass(steps)
        if not np.isfinite(gradients).all():
            raise ScoreError("the gradient at this layer is NaN or infinite; choose another --layer")
        return gradients


@dataclass(frozen=True)
class TargetWeighed:
    """The weights (K,) of one target's map, and what is known of them; see `Weighed`."""

    weights: Weights
    error: MapError | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Weighed:
    """The weights of T targets' maps, and what is known of them.

    Attributes
    ----------
    weights : ndarray of shape (T, K), float64
        α.
    errors : tuple of MapError
        Of each target's map; empty where nothing was left out and nothing was drawn.
    exact_passes : int, optional
        The inputs that an exact map takes, where there was a limit.
    notes : tuple of str
        What the reader of the maps should know.
    own_notes : tuple of tuple of str
        The same for each target's map; empty where there is nothing to know.
    """

    weights: Weights
    errors: tuple[MapError, ...] = ()
    exact_passes: int | None = None
    notes: tuple[str, ...] = ()
    own_notes: tuple[tuple[str, ...], ...] = ()

    def of(self, target: int) -> TargetWeighed:
        """Return one target's part; the notes on all maps are not in it."""
        error = self.errors[target] if self.errors else None
        return TargetWeighed(self.weights[target], error, self.own_notes[target] if self.own_notes else ())


@dataclass(frozen=True)
class Method:
    """Base of the methods; its fields are the method's settings.

    Parameters
    ----------
    variant : str, optional
        One of `variants`; the first by default.

    Attributes
    ----------
    name : str
        The name on the command line and in records.
    variants : mapping of str to Variant
        The default first.
    empty_because : str
        Why every weight may be at or below zero, for the warning about an empty map.
    demanding : bool
        It needs more than scores, and so may not work at all: a comparison runs it before the long work of others.
    """

    name: ClassVar[str]
    variants: ClassVar[Mapping[str, Variant]]
    empty_because: ClassVar[str] = "no channel scored above the baseline"
    demanding: ClassVar[bool] = False

    variant: str | None = None

    def __post_init__(self) -> None:
        if self.variant is None:
            object.__setattr__(self, "variant", next(iter(self.variants)))
        if self.variant not in self.variants:
            raise SettingError(
                f"unknown variant {self.variant!r} of {self.name}{did_you_mean(str(self.variant), self.variants)} "
                f"Expected one of {', '.join(self.variants)}"
            )
        for setting in ("samples", "sigma"):
            if hasattr(self, setting) and getattr(self, setting) is None:
                object.__setattr__(self, setting, getattr(self.wiring, setting))
        _check_samples(self)
        _check_sigma(self)

    @property
    def wiring(self) -> Variant:
        """The chosen variant."""
        return self.variants[str(self.variant)]

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings beside the variant, as in the record."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "variant"}

    def score_kind(self, asked: ScoreKind | None) -> ScoreKind:
        """Return the score to use: the variant's own, else the one asked for, else the probability.

        Raises
        ------
        SettingError
            The variant is defined on the other one.
        """
        fixed = self.wiring.score
        if fixed and asked and asked != fixed:
            raise SettingError(f"{self.name} {self.variant} is defined on the {fixed}; leave out score={asked}")
        return fixed or asked or "probability"

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        return self.empty_because

    def combine(self, subject: Subject, weights: Weights) -> NDArray[np.float64]:
        """Return L for each target, (T, h, w): ``ReLU(Σ_k α_k A_k)``."""
        return weighted_sum(weights, subject.maps)

    def check_baseline(self, asked: str | None) -> None:
        """Refuse a baseline for a variant that has none.

        Raises
        ------
        SettingError
        """
        if asked is not None and not self.wiring.baseline:
            raise SettingError(f"{self.name} {self.variant} subtracts no such baseline; leave out baseline={asked}")

    def baseline_name(self, asked: str | None) -> str | None:
        """Return the baseline for the record; None where the variant has none."""
        return asked or "zero" if self.wiring.baseline else None

    def path(self) -> NDArray[np.float64]:
        """Return c_i, shape (N,)."""
        return np.ones(getattr(self, "samples", 1))

    def schedule(self, subject: Subject) -> Schedule:
        """Return the inputs to score."""
        wiring = self.wiring
        return Schedule(
            maps=subject.maps,
            path=self.path(),
            noise=wiring.noise,
            deviation=self.deviation(subject.maps, subject.scorer),
            masking=wiring.masking,
            score_dead=wiring.softmax,
        )

    def deviation(self, maps: Floats, scorer: Scorer) -> NDArray[np.float64]:
        """Return the noise's standard deviation for each map, shape (K,)."""
        wiring, sigma = self.wiring, float(getattr(self, "sigma", 0.0))
        if wiring.spread == "map":
            return np.asarray(sigma * np.ptp(maps.astype(np.float64), axis=(1, 2)), np.float64)
        if wiring.spread == "upsampled":
            return authors_deviation(sigma, scorer.upsampled_spread(maps))
        if wiring.spread == "masked":
            return authors_deviation(sigma, scorer.masked_spread(maps, wiring.masking))
        return np.full(len(maps), sigma)

    def weigh(self, subject: Subject) -> Weighed:
        """Return α with what is known of its error."""
        return Weighed(self.weights(subject))

    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""
        raise NotImplementedError


def weighted_sum(weights: Weights, maps: Floats) -> NDArray[np.float64]:
    """Return ``ReLU(Σ_k α_k A_k)`` for each row of weights, (T, h, w)."""
    return np.maximum(np.tensordot(weights, maps.astype(np.float64), axes=1), 0)


def difference(scores: NDArray[np.float64], baseline: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores less the baseline's; 0 where they differ by no more than a network in float32 can tell.

    Else a map could be made of rounding errors alone, stretched to look like one.
    """
    least = RESOLUTION * np.maximum(np.abs(scores), np.abs(baseline))
    return np.where(np.abs(scores - baseline) <= least, 0.0, scores - baseline)


def authors_deviation(sigma: float, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(σ / (max − min))²``, the noise scale of the SS-CAM authors' code; 0 where the range is 0."""
    with np.errstate(over="ignore"):  # an infinite score is found by the scorer
        return np.divide(sigma, spread, out=np.zeros_like(spread), where=spread > 0) ** 2


def _check_samples(method: Method) -> None:
    samples = getattr(method, "samples", 1)
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or not 1 <= samples <= _MAX_SAMPLES:
        raise SettingError(f"samples={samples!r} of {method.name}; expected a whole number from 1 to {_MAX_SAMPLES:,}")


def _check_sigma(method: Method) -> None:
    sigma = getattr(method, "sigma", 0.0)
    if isinstance(sigma, bool) or not isinstance(sigma, int | float | np.number) or not 0 <= sigma < np.inf:
        raise SettingError(f"sigma={sigma!r} of {method.name}; expected a finite number of at least 0")
