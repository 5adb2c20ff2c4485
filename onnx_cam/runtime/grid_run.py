"""One grid of inputs on one session: normalised maps and factors for each run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnx_cam.runtime.block_run import Block, BlockRun
from onnx_cam.runtime.masks import normalised
from onnx_cam.runtime.schedule import BLANK, NO_FIELD, Grid, Schedule
from onnx_cam.runtime.score_session import TimedScores
from onnx_cam.runtime.scores import ScoreKind

__all__ = ["GridRun"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class GridRun(BlockRun):
    """One grid on one session.

    Attributes
    ----------
    schedule : Schedule
        What the grid is a part of.
    grid : Grid
        The inputs to score.
    score_kind : {"probability", "logit"}
    fields : ndarray of shape (n, …), float32, or None
        The offset field of each of the grid's steps, as the score graph takes them (on maps: as they are).
    size : tuple of int
        ``(H, W)``.
    image_name : str
        For messages.
    """

    schedule: Schedule
    grid: Grid
    score_kind: ScoreKind
    fields: Floats | None
    size: tuple[int, int]
    image_name: str

    @property
    def shape(self) -> tuple[int, int]:
        """``(U, n)``."""
        return self.grid.shape

    @property
    def steps_a_run(self) -> int | None:
        """One where each input has a map of its own or the batch is fixed; otherwise any number will do."""
        return 1 if self.schedule.offset == "map" or self.session.fixed_batch else None

    def run_block(self, block: Block, batch_size: int) -> TimedScores:
        """Run a block of m units at n steps: the scores are (m, n, T)."""
        fields = None if self.fields is None else self.fields[block.steps]
        with np.errstate(over="ignore", invalid="ignore"):  # an infinite score is reported afterwards
            maps = self._normalised_maps(block, fields)  # (m, h, w)
            steps = block.steps.stop - block.steps.start
            full = min(max(1, batch_size // steps), self.grid.shape[0])
            factor = self.grid.factor[block.units]
            if self.session.offset == "none":
                scale = np.outer(factor, self.grid.path[block.steps]).astype(np.float32)  # (m, n)
                return self.session.run(self.score_kind, maps, steps, scale=scale, full=full)
            maps = maps * factor[:, None, None].astype(np.float32)
            offset_scale = self._offset_scale(block)
            return self.session.run(self.score_kind, maps, steps, offset_scale=offset_scale, fields=fields, full=full)

    def _normalised_maps(self, block: Block, fields: Floats | None) -> Floats:
        """Return the maps whose upsampling is the block's masks, (m, h, w); any map where the mask is blank."""
        maps = self.schedule.maps[np.maximum(self.grid.channel[block.units], 0)]
        if self.schedule.offset == "map" and fields is not None:
            maps = maps + self._offset_scale(block)[:, None, None] * fields
        return normalised(maps, self.size, self.schedule.masking)

    def _offset_scale(self, block: Block) -> Floats:
        return self.grid.offset_scale[block.units].astype(np.float32)

    def not_finite(self, unit: int, step: int) -> str:
        """Return the message for an input whose score is NaN or infinite."""
        factor = self.grid.factor[unit] * self.grid.path[step]
        return (
            f"the model's score is NaN or infinite for {self._input_name(unit, step)} of {self.image_name} "
            f"(mask times {factor:.3g}, noise of {self.grid.offset_scale[unit]:.3g}); expected finite scores: "
            "try a smaller --sigma, another --layer, or check the model"
        )

    def _input_name(self, unit: int, step: int) -> str:
        """Return what one input is called in a message: its channel, and its sample where it has an offset."""
        channel, sample = int(self.grid.channel[unit]), int(self.grid.field[step])
        names = self.schedule.channels
        number = channel if names is None else names[channel]
        name = "the blank mask" if channel == BLANK else f"channel {number}"
        return name if sample == NO_FIELD else f"{name}, sample {sample + self.schedule.first_step}"
