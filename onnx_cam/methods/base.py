"""What a method is: a schedule of masked inputs to score, and a reduction of their scores to weights.

METHODS.md, "One engine for all gradient-free methods". The gradient methods have no schedule; they weigh by gradients
(:mod:`onnx_cam.methods.gradient`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError, did_you_mean
from onnx_cam.methods.limit import Limit
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weighed, Weights, authors_deviation, weighted_sum
from onnx_cam.runtime.masks import Masking
from onnx_cam.runtime.schedule import OffsetSpace, Schedule
from onnx_cam.runtime.scores import ScoreKind

__all__ = [
    "Method",
    "NoisyMethod",
    "SampledMethod",
    "Variant",
]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_MAX_SAMPLES = 10_000  # N noise fields are held at once


@dataclass(frozen=True)
class Variant:
    """One row of METHODS.md, "Variants": how a method is wired.

    Attributes
    ----------
    masking : Masking
        How a map becomes a mask.
    noise : {"none", "map", "mask", "input"}
        What the noise is added to.
    spread : {"absolute", "image", "map", "upsampled", "masked"}
        What σ is relative to: nothing; the range of ``X`` or of ``A_k``; or, as ``(σ / range)²``, the range of
        ``U(A_k)`` or of ``X ⊙ H_k``.
    score : {"probability", "logit"} or None
        The score that the variant is defined on; None leaves it to the user.
    baseline : bool
        Whether ``f^c(X_b)`` is subtracted. It is not where a softmax over the channels would cancel it.
    softmax : bool
        Whether α is the softmax of the mean scores over all channels, dead ones included.
    samples : int
        The default of N.
    sigma : float
        The default of σ.

    Examples
    --------
    >>> Variant(noise="mask", sigma=0.1).baseline
    True
    """

    masking: Masking = field(default_factory=Masking)
    noise: OffsetSpace = "none"
    spread: Literal["absolute", "image", "map", "upsampled", "masked"] = "absolute"
    score: ScoreKind | None = None
    baseline: bool = True
    softmax: bool = False
    samples: int = 1
    sigma: float = 0.0


@dataclass(frozen=True)
class Method(ABC):
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
        Whether it needs more than scores, and so may not work on a model at all: a comparison runs it before the long
        work of others.
    needs_gradient : bool
        Whether it needs the gradient at the layer.
    needs_logits : bool
        Whether it needs the image's logits.
    needs_probabilities : bool
        Whether it is defined only where the scores are probabilities.

    Examples
    --------
    >>> from onnx_cam.methods import SSCAM2
    >>> SSCAM2(samples=35)
    SSCAM2(variant='range', versus=None, budget=None, tolerance=None, samples=35, sigma=0.05)
    """

    name: ClassVar[str]
    variants: ClassVar[Mapping[str, Variant]]
    empty_because: ClassVar[str] = "no channel scored above the baseline"
    demanding: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = False
    needs_logits: ClassVar[bool] = False
    needs_probabilities: ClassVar[bool] = False

    variant: str | None = None

    def __post_init__(self) -> None:
        if self.variant is None:
            object.__setattr__(self, "variant", next(iter(self.variants)))
        if self.variant not in self.variants:
            raise SettingError(
                f"unknown variant {self.variant!r} of {self.name}{did_you_mean(str(self.variant), self.variants)} "
                f"Expected one of {', '.join(self.variants)}"
            )

    @property
    def wiring(self) -> Variant:
        """The chosen variant."""
        return self.variants[str(self.variant)]

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings beside the variant, as in the record."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "variant"}

    @property
    def spelling(self) -> str:
        """The method, its variant and its settings as one word, as ``--methods`` takes it."""
        settings = [f"{name}={value}" for name, value in self.parameters.items() if value is not None]
        return ":".join([self.name, str(self.variant), *settings])

    @property
    def limit(self) -> Limit | None:
        """When to stop scoring; None where the map is exact."""
        return None

    @property
    def sample_count(self) -> int:
        """How often each mask is scored, N."""
        return 1

    def expected_passes(self, channels: int) -> int:
        """Return the forward passes that a map is expected to take, for the progress of a run.

        Parameters
        ----------
        channels : int
            The activation maps of the layer, K.
        """
        exact = channels * self.sample_count
        return exact if self.limit is None else self.limit.passes(exact) or exact

    def score_kind(self, requested: ScoreKind | None) -> ScoreKind:
        """Return the score to use: the variant's own, then the requested one, then the probability.

        Raises
        ------
        SettingError
            The variant is defined on the other one.
        """
        fixed = self.wiring.score
        if fixed and requested and requested != fixed:
            raise SettingError(f"{self.name} {self.variant} is defined on the {fixed}; leave out score={requested}")
        return fixed or requested or "probability"

    def why_empty(self, subject: Subject) -> str:
        """Return why no weight is above zero, for the warning about an empty map."""
        return self.empty_because

    def combine(self, subject: Subject, weights: Weights) -> Doubles:
        """Return L for each target, (T, h, w): ``ReLU(Σ_k α_k A_k)``."""
        return weighted_sum(weights, subject.maps)

    @property
    def other_class(self) -> int | str | None:
        """The class that targets are contrasted with: an index, a name or ``"next"``; None without a contrast."""
        return None

    @property
    def subtracts_baseline(self) -> bool:
        """Whether ``f^c(X_b)`` is subtracted from the scores."""
        return self.wiring.baseline

    def check_baseline(self, requested: str | None) -> None:
        """Refuse a baseline for a variant that has none.

        Raises
        ------
        SettingError
        """
        if requested is not None and not self.subtracts_baseline:
            raise SettingError(f"{self.name} {self.variant} does not use a baseline; leave out baseline={requested}")

    def baseline_name(self, requested: str | None) -> str | None:
        """Return the baseline for the record; None where the variant has none."""
        return requested or "zero" if self.subtracts_baseline else None

    def path(self) -> Doubles:
        """Return c_i, shape (N,): one step, at which the mask is as it is."""
        return np.ones(1)

    def schedule(self, subject: Subject) -> Schedule:
        """Return the inputs to score: K maps at N steps."""
        wiring = self.wiring
        return Schedule(
            maps=subject.maps,
            path=self.path(),
            offset=wiring.noise,
            offset_scale=self.deviation(subject),
            masking=subject.masking(wiring.masking),
            score_dead=wiring.softmax,
        )

    def deviation(self, subject: Subject) -> Doubles:
        """Return the noise's standard deviation for each map, shape (K,); 0 for a method without noise."""
        return np.zeros(len(subject.maps))

    def weigh(self, subject: Subject) -> Weighed:
        """Return α, (T, K), with what is known about its error."""
        return Weighed(self.weights(subject))

    @abstractmethod
    def weights(self, subject: Subject) -> Weights:
        """Return α, shape (T, K), float64."""


@dataclass(frozen=True)
class SampledMethod(Method):
    """Base of the methods that score each mask N times.

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, from 1 to 10,000; the variant's own default.
    """

    samples: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples is None:
            object.__setattr__(self, "samples", self.wiring.samples)
        samples = self.samples
        if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or not 1 <= samples <= _MAX_SAMPLES:
            raise SettingError(
                f"invalid samples={samples!r} of {self.name}: expected a whole number from 1 to {_MAX_SAMPLES:,}"
            )

    @property
    def sample_count(self) -> int:
        """N."""
        assert self.samples is not None
        return int(self.samples)

    def path(self) -> Doubles:
        """Return c_i, shape (N,): 1 at every step."""
        return np.ones(self.sample_count)


@dataclass(frozen=True)
class NoisyMethod(SampledMethod):
    """Base of the methods that score each mask with N noise fields.

    Parameters
    ----------
    variant : str, optional
    samples : int, optional
        N, the number of noise fields.
    sigma : float, optional
        σ, the scale of the noise, ≥ 0; the variant's own default.
    """

    sigma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma is None:
            object.__setattr__(self, "sigma", self.wiring.sigma)
        sigma = self.sigma
        if isinstance(sigma, bool) or not isinstance(sigma, int | float | np.number) or not 0 <= sigma < np.inf:
            raise SettingError(f"invalid sigma={sigma!r} of {self.name}: expected a finite number of at least 0")

    @property
    def noise_scale(self) -> float:
        """σ."""
        assert self.sigma is not None
        return float(self.sigma)

    def deviation(self, subject: Subject) -> Doubles:
        """Return the noise's standard deviation for each map, shape (K,), from σ as the variant says."""
        wiring, sigma, maps, scorer = self.wiring, self.noise_scale, subject.maps, subject.scorer
        if wiring.spread == "image":
            return np.full(len(maps), sigma * float(np.ptp(scorer.image)))
        if wiring.spread == "map":
            return np.asarray(sigma * np.ptp(maps.astype(np.float64), axis=(1, 2)), np.float64)
        if wiring.spread == "upsampled":
            return authors_deviation(sigma, scorer.upsampled_spread(maps, subject.frame))
        if wiring.spread == "masked":
            return authors_deviation(sigma, scorer.masked_spread(maps, subject.masking(wiring.masking)))
        return np.full(len(maps), sigma)
