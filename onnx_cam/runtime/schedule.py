"""What a method wants scored, and which of those inputs really differ.

A schedule is the table of inputs ``M_{k,i} = X ⊙ (c_{k,i} · H_k + m_i) + e_i`` (METHODS.md, "One engine"). Many of its
cells are the same input: maps that are equal, masks that are blank, steps that differ in nothing.
:func:`distinct_inputs` finds the inputs that differ, and only those are run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.masks import Masking, is_dead

__all__ = ["BLANK", "NO_FIELD", "Grid", "OffsetSpace", "Schedule", "distinct_inputs"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]

OffsetSpace = Literal["none", "map", "mask", "input"]
"""What an offset is added to: nothing; the activation map; the mask (m_i); the masked image (e_i)."""

BLANK = -1
"""In place of a channel: a mask that is 0 everywhere."""

NO_FIELD = -1
"""In place of a field's number: a step without an offset."""


@dataclass(frozen=True)
class Schedule:
    """What is scored: one input ``M_{k,i} = X ⊙ (c_{k,i} · H_k + m_i) + e_i`` for each of K maps at each of N steps.

    The offsets ``m_i`` and ``e_i`` are a field of numbers of each step times a scale of each channel. The noisy methods
    take fields of standard normal noise, which are drawn from the seed where the schedule has none of its own.

    Attributes
    ----------
    maps : ndarray of shape (K, h, w), float32
        The activation maps.
    path : ndarray of shape (N,), float64
        ``c_i``, the factor of the mask at each step; 1 for methods with noise.
    factor : ndarray of shape (K,), float64, optional
        A factor of each channel: ``c_{k,i} = factor_k · path_i``.
    offset : {"none", "map", "mask", "input"}
        What the offset is added to: the activation map before upsampling, the mask (m_i), or the masked image (e_i).
    offset_scale : ndarray of shape (K,), float64
        The offset's scale for each channel: the standard deviation of noise.
    masking : Masking
        How a map becomes a mask.
    score_dead : bool
        Whether dead maps are scored, with mask 0 and one pass a step for all of them; otherwise their scores are 0.
    offset_fields : ndarray of shape (N, …), float32, optional
        The field of each step, in place of noise drawn from the seed.
    channels : ndarray of shape (K,), int64, optional
        The numbers of the maps' channels in messages, where `maps` is a part of a layer's.
    first_step : int
        The number of the first step in messages.

    Examples
    --------
    >>> schedule = Schedule(np.ones((5, 7, 7), np.float32), path=np.ones(2))
    >>> schedule.shape
    (5, 2)
    """

    maps: Floats
    path: Doubles
    factor: Doubles | None = None
    offset: OffsetSpace = "none"
    offset_scale: Doubles = field(default_factory=lambda: np.zeros(0))
    masking: Masking = field(default_factory=Masking)
    score_dead: bool = False
    offset_fields: Floats | None = None
    channels: Indices | None = None
    first_step: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        """``(K, N)``."""
        return len(self.maps), len(self.path)


@dataclass(frozen=True)
class Grid:
    """Inputs that differ: U units, each a map with its factor and offset, at n steps.

    Attributes
    ----------
    channel : ndarray of shape (U,), int64
        The unit's map; `BLANK` for a mask of 0.
    factor, offset_scale : ndarray of shape (U,), float64
        The factor of the unit's mask, and the scale of its offset.
    path : ndarray of shape (n,), float64
        The factor of each step.
    field : ndarray of shape (n,), int64
        Which offset field each step takes; `NO_FIELD` without one.
    cells : ndarray of shape (K, N), bool
        The inputs of the schedule that are scored here, as …
    unit_of, step_of : ndarray of shape (K,) and (N,), int64
        … this unit at this step.
    """

    channel: Indices
    factor: Doubles
    offset_scale: Doubles
    path: Doubles
    field: Indices
    cells: NDArray[np.bool_]
    unit_of: Indices
    step_of: Indices

    @property
    def shape(self) -> tuple[int, int]:
        """``(U, n)``."""
        return len(self.channel), len(self.path)

    @property
    def size(self) -> int:
        """How many inputs there are."""
        return len(self.channel) * len(self.path)


def distinct_inputs(schedule: Schedule) -> list[Grid]:
    """Return the inputs of a schedule that differ, in at most three grids: with an offset, without, and blank.

    Equal maps are one unit, so are all blank masks, and steps that differ in nothing are one step. A grid with nothing
    in it is left out.

    Examples
    --------
    >>> maps = np.zeros((3, 2, 2), np.float32)
    >>> maps[:2, 0, 0] = 1.0  # two equal maps, and a dead one
    >>> [grid.shape for grid in distinct_inputs(Schedule(maps, path=np.array([0.0, 0.5, 1.0])))]
    [(1, 2), (1, 1)]
    """
    # Which masks are blank, and which channels have an offset: (K,) each.
    dead = is_dead(schedule.maps)
    factor = np.ones(len(dead)) if schedule.factor is None else schedule.factor
    blank = dead | (factor == 0)
    has_offset = np.zeros(len(dead), bool)
    if schedule.offset != "none":
        has_offset = schedule.offset_scale > 0
        if schedule.offset == "map":  # a dead map stays dead: its mask is 0 whatever is added
            has_offset &= ~blank
    # Which cells are to be scored, and which of them are blank at their step: (K, N) each.
    scored = np.repeat((~dead | schedule.score_dead)[:, None], len(schedule.path), axis=1)
    blank_cells = blank[:, None] | (schedule.path == 0)
    channel = np.where(blank, BLANK, _first_equal(schedule.maps))
    grids = []
    if (cells := scored & has_offset[:, None]).any():
        grids.append(_grid(schedule, cells, channel, factor, with_offset=True))
    if (cells := scored & ~has_offset[:, None] & ~blank_cells).any():
        grids.append(_grid(schedule, cells, channel, factor, with_offset=False))
    if (cells := scored & ~has_offset[:, None] & blank_cells).any():
        grids.append(_blank_grid(cells))
    return grids


def _grid(
    schedule: Schedule,
    cells: NDArray[np.bool_],
    channel: Indices,
    factor: Doubles,
    *,
    with_offset: bool,
) -> Grid:
    """Return the distinct units and steps of some cells."""
    rows, columns = np.any(cells, axis=1), np.any(cells, axis=0)
    scale = schedule.offset_scale if with_offset else np.zeros(len(channel))
    keys = np.stack([channel, np.where(channel == BLANK, 0, factor), scale], axis=1)[rows]  # (.., 3)
    units, unit = np.unique(keys, axis=0, return_inverse=True)
    fields = np.arange(len(schedule.path)) if with_offset else np.full(len(schedule.path), NO_FIELD)
    steps, step = np.unique(np.stack([fields, schedule.path], axis=1)[columns], axis=0, return_inverse=True)
    return Grid(
        channel=units[:, 0].astype(np.int64),
        factor=units[:, 1],
        offset_scale=units[:, 2],
        path=steps[:, 1],
        field=steps[:, 0].astype(np.int64),
        cells=cells,
        unit_of=_scattered(unit, rows),
        step_of=_scattered(step, columns),
    )


def _blank_grid(cells: NDArray[np.bool_]) -> Grid:
    """Return a single input, the blank one, for all the cells."""
    zero = np.zeros(1)
    unit_of, step_of = (np.zeros(size, np.int64) for size in cells.shape)
    return Grid(np.full(1, BLANK), zero, zero, zero, np.full(1, NO_FIELD), cells, unit_of, step_of)


def _scattered(values: Indices, positions: NDArray[np.bool_]) -> Indices:
    """Return values at the positions that they belong to, 0 elsewhere."""
    scattered = np.zeros(len(positions), np.int64)
    scattered[positions] = values.reshape(-1)
    return scattered


def _first_equal(maps: Floats) -> Indices:
    """Return, for each map, the number of the first map that equals it: (K,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(one.tobytes(), k) for k, one in enumerate(maps)], np.int64)
