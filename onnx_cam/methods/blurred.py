"""The control that blurs the map of a method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnx_cam.errors import SettingError
from onnx_cam.methods.base import Method
from onnx_cam.methods.control import Control
from onnx_cam.methods.limit import Limit
from onnx_cam.methods.subject import Subject
from onnx_cam.methods.weights import Weighed, Weights
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["Blurred"]

_SPREAD = 0.1  # of the side


@dataclass(frozen=True)
class Blurred(Control):
    """The map of a method, blurred by a Gaussian with a standard deviation of a tenth of each side.

    It costs what the method costs. Where it does as well as the method, the metric does not see the map's detail.

    Parameters
    ----------
    variant : str, optional
    of : Method
        The method whose map is blurred; not another blurred one.

    Examples
    --------
    >>> from onnx_cam.methods import SSCAM2
    >>> Blurred(of=SSCAM2(samples=3)).parameters
    {'of': 'sscam2:range:samples=3:sigma=0.05'}
    """

    name: ClassVar[str] = "blurred"

    of: Method = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.of, Blurred):
            raise SettingError(f"{self.of.spelling} is blurred already; expected blurred:METHOD with another method")
        # What the method needs of the model is a fact of its class, and here one of each object.
        for need in ("demanding", "needs_gradient", "needs_logits", "needs_probabilities"):
            object.__setattr__(self, need, getattr(self.of, need))

    @property
    def parameters(self) -> dict[str, Any]:
        """The method and its settings as one word, as in the record."""
        return {"of": self.of.spelling}

    @property
    def spelling(self) -> str:
        """The method as one word, after ``blurred:``."""
        return f"{self.name}:{self.of.spelling}"

    @property
    def other_class(self) -> int | str | None:
        """The class that the method contrasts targets with."""
        return self.of.other_class

    @property
    def limit(self) -> Limit | None:
        """The method's limit on its forward passes."""
        return self.of.limit

    @property
    def sample_count(self) -> int:
        """The method's N."""
        return self.of.sample_count

    def expected_passes(self, channels: int) -> int:
        """Return what the method is expected to take."""
        return self.of.expected_passes(channels)

    def score_kind(self, requested: ScoreKind | None) -> ScoreKind:
        """Return the score that the method uses."""
        return self.of.score_kind(requested)

    def check_baseline(self, requested: str | None) -> None:
        """Refuse a baseline for a method that has none."""
        self.of.check_baseline(requested)

    def baseline_name(self, requested: str | None) -> str | None:
        """Return the method's baseline for the record."""
        return self.of.baseline_name(requested)

    def why_empty(self, subject: Subject) -> str:
        """Return why the method's map is empty."""
        return self.of.why_empty(subject)

    def weigh(self, subject: Subject) -> Weighed:
        """Return the method's α, (T, K). What is known about its error is about the map before it is blurred."""
        return replace(self.of.weigh(subject), errors=())

    def weights(self, subject: Subject) -> Weights:
        """Return the method's α, (T, K)."""
        return self.of.weights(subject)

    def combine(self, subject: Subject, weights: Weights) -> NDArray[np.float64]:
        """Return the method's map, blurred, for each target: (T, h, w)."""
        maps = self.of.combine(subject, weights)  # (T, h, w)
        return np.asarray(_smoothing(maps.shape[1]) @ maps @ _smoothing(maps.shape[2]).T)


def _smoothing(side: int) -> NDArray[np.float64]:
    """Return the matrix that blurs along a side, (side, side). Its rows sum to 1: a flat map stays as it is."""
    cells = np.arange(side)
    kernel = np.exp(-0.5 * ((cells[:, None] - cells) / (_SPREAD * side)) ** 2)
    return np.asarray(kernel / kernel.sum(axis=1, keepdims=True))
