"""What a method wants scored, and the inputs that really differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.masks import Masking, is_dead

__all__ = ["NoiseSpace", "Rows", "Schedule", "distinct_rows"]

Floats = NDArray[np.float32]
NoiseSpace = Literal["none", "map", "mask", "input"]


@dataclass(frozen=True)
class Schedule:
    """What is scored: one input ``M_{k,i} = X ⊙ (c_i · H_k + m_i) + e_i`` for each of K maps at each of N steps.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        The activation maps.
    scale : ndarray of shape (K, N), float64
        ``c``, the factor of the mask.
    noise : {"none", "map", "mask", "input"}
        What the noise is added to: the activation map before upsampling, the mask (m_i), or the masked image (e_i).
    deviation : ndarray of shape (K,), float64
        The noise's standard deviation for each channel.
    masking : Masking
        How a map becomes a mask.
    score_dead : bool
        Whether dead maps are scored, with mask 0 and one pass a step for all of them; else their scores are 0.
    """

    maps: Floats
    scale: NDArray[np.float64]
    noise: NoiseSpace = "none"
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    masking: Masking = field(default_factory=Masking)
    score_dead: bool = False


@dataclass(frozen=True)
class Rows:
    """Distinct inputs, channel by channel: all arrays have shape (R,)."""

    channel: NDArray[np.int64]  # -1: mask 0
    step: NDArray[np.int64]  # -1: no noise
    scale: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.channel)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.channel[part], self.step[part], self.scale[part], self.deviation[part])


def distinct_rows(schedule: Schedule) -> tuple[Rows, NDArray[np.int64], NDArray[np.bool_]]:
    """Return the inputs that differ, which of them each one asked for is, and which (k, i) are asked for."""
    dead = is_dead(schedule.maps)
    steps = schedule.scale.shape[1]
    asked = np.repeat((~dead | schedule.score_dead)[:, None], steps, axis=1)  # (K, N)
    channel, step = np.nonzero(asked)
    scale = schedule.scale[asked]
    noisy = schedule.noise != "none"
    deviation = schedule.deviation[channel] if noisy else np.zeros(len(channel))
    blank = dead[channel] | (scale == 0)
    if schedule.noise == "map":
        deviation = np.where(blank, 0, deviation)
    first = _first_of_its_kind(schedule.maps)[channel]
    keys = np.stack(
        [np.where(blank, -1, first), np.where(deviation > 0, step, -1), np.where(blank, 0, scale), deviation], axis=1
    )
    distinct, which = np.unique(keys, axis=0, return_inverse=True)
    rows = Rows(distinct[:, 0].astype(np.int64), distinct[:, 1].astype(np.int64), distinct[:, 2], distinct[:, 3])
    return rows, which.reshape(-1), asked


def _first_of_its_kind(maps: Floats) -> NDArray[np.int64]:
    """Return, for each map, the first one that equals it: (K,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(one.tobytes(), k) for k, one in enumerate(maps)], np.int64)
