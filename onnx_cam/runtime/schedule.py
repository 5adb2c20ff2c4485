"""What a method wants scored, and the inputs that really differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.masks import Masking, is_dead

__all__ = ["Grid", "NoiseSpace", "Schedule", "distinct_inputs"]

Floats = NDArray[np.float32]
NoiseSpace = Literal["none", "map", "mask", "input"]


@dataclass(frozen=True)
class Schedule:
    """What is scored: one input ``M_{k,i} = X ⊙ (c_{k,i} · H_k + m_i) + e_i`` for each of K maps at each of N steps.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        The activation maps.
    path : ndarray of shape (N,), float64
        ``c_i``, the factor of each step; 1 with noise.
    factor : ndarray of shape (K,), float64, optional
        A factor of each channel: ``c_{k,i} = factor_k · path_i``.
    noise : {"none", "map", "mask", "input"}
        What the noise is added to: the activation map before upsampling, the mask (m_i), or the masked image (e_i).
    deviation : ndarray of shape (K,), float64
        The noise's standard deviation for each channel.
    masking : Masking
        How a map becomes a mask.
    score_dead : bool
        Whether dead maps are scored, with mask 0 and one pass a step for all of them; else their scores are 0.
    fields : ndarray of shape (N, …), float32, optional
        The field of each step, in place of one drawn from the seed: what is added need not be noise.
    channels : ndarray of shape (K,), int64, optional
        What the maps are called in messages, where they are a part of a layer's.
    first_step : int
        The same for the first step.
    """

    maps: Floats
    path: NDArray[np.float64]
    factor: NDArray[np.float64] | None = None
    noise: NoiseSpace = "none"
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    masking: Masking = field(default_factory=Masking)
    score_dead: bool = False
    fields: Floats | None = None
    channels: NDArray[np.int64] | None = None
    first_step: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """``(K, N)``."""
        return len(self.maps), len(self.path)


@dataclass(frozen=True)
class Grid:
    """Inputs that differ: U units, each a map with its factor and noise, at n steps.

    Attributes
    ----------
    channel : ndarray of shape (U,), int64
        The unit's map; −1 for a mask of 0.
    factor, deviation : ndarray of shape (U,), float64
        Of its mask, and of its noise.
    path : ndarray of shape (n,), float64
        The factor of each step.
    fields : ndarray of shape (n,), int64
        The noise field of each step; −1 without noise.
    cells : ndarray of shape (K, N), bool
        The inputs of the schedule that are scored here, as …
    unit_of, step_of : ndarray of shape (K,) and (N,), int64
        … this unit at this step.
    """

    channel: NDArray[np.int64]
    factor: NDArray[np.float64]
    deviation: NDArray[np.float64]
    path: NDArray[np.float64]
    fields: NDArray[np.int64]
    cells: NDArray[np.bool_]
    unit_of: NDArray[np.int64]
    step_of: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """``(U, n)``."""
        return len(self.channel), len(self.path)

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return len(self.channel) * len(self.path)


def distinct_inputs(schedule: Schedule) -> list[Grid]:
    """Return the inputs that differ, as grids: with noise, without, and blank; a grid with nothing in it is left out.

    Identical maps are one unit, so are all blank masks, and steps that differ in nothing are one step.
    """
    dead = is_dead(schedule.maps)
    factor = np.ones(len(dead)) if schedule.factor is None else schedule.factor
    blank = dead | (factor == 0)  # (K,)
    noisy = np.zeros(len(dead), bool)
    if schedule.noise != "none":
        noisy = schedule.deviation > 0
        if schedule.noise == "map":  # no noise makes a map of a dead one
            noisy &= ~blank
    asked = np.repeat((~dead | schedule.score_dead)[:, None], len(schedule.path), axis=1)  # (K, N)
    blank_cells = blank[:, None] | (schedule.path == 0)
    channel = np.where(blank, -1, _first_of_its_kind(schedule.maps))
    grids = []
    if (cells := asked & noisy[:, None]).any():
        grids.append(_grid(schedule, cells, channel, factor, noise=True))
    if (cells := asked & ~noisy[:, None] & ~blank_cells).any():
        grids.append(_grid(schedule, cells, channel, factor, noise=False))
    if (cells := asked & ~noisy[:, None] & blank_cells).any():
        grids.append(_blank_grid(cells))
    return grids


def _grid(
    schedule: Schedule,
    cells: NDArray[np.bool_],
    channel: NDArray[np.int64],
    factor: NDArray[np.float64],
    *,
    noise: bool,
) -> Grid:
    rows, columns = np.any(cells, axis=1), np.any(cells, axis=0)
    deviation = schedule.deviation if noise else np.zeros(len(channel))
    keys = np.stack([channel, np.where(channel < 0, 0, factor), deviation], axis=1)[rows]  # (.., 3)
    units, unit = np.unique(keys, axis=0, return_inverse=True)
    fields = np.arange(len(schedule.path)) if noise else np.full(len(schedule.path), -1)
    steps, step = np.unique(np.stack([fields, schedule.path], axis=1)[columns], axis=0, return_inverse=True)
    return Grid(
        channel=units[:, 0].astype(np.int64),
        factor=units[:, 1],
        deviation=units[:, 2],
        path=steps[:, 1],
        fields=steps[:, 0].astype(np.int64),
        cells=cells,
        unit_of=_spread(unit, rows),
        step_of=_spread(step, columns),
    )


def _blank_grid(cells: NDArray[np.bool_]) -> Grid:
    """Return one input, the blank one, for all the cells."""
    zero, none = np.zeros(1), np.full(1, -1)
    unit_of, step_of = (np.zeros(size, np.int64) for size in cells.shape)
    return Grid(none, zero, zero, zero, none, cells, unit_of, step_of)


def _spread(values: NDArray[np.int64], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return values at the positions that they belong to, 0 elsewhere."""
    spread = np.zeros(len(where), np.int64)
    spread[where] = values.reshape(-1)
    return spread


def _first_of_its_kind(maps: Floats) -> NDArray[np.int64]:
    """Return, for each map, the first one that equals it: (K,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(one.tobytes(), k) for k, one in enumerate(maps)], np.int64)
