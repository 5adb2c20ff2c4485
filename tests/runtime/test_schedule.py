"""Which inputs of a schedule differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_cam.runtime.schedule import Grid, OffsetSpace, Schedule, distinct_inputs

NOISES: tuple[OffsetSpace, ...] = ("none", "map", "mask", "input")
MAPS = np.random.default_rng(0).random((5, 2, 3), np.float32)
MAPS[2] = 0.5  # dead
MAPS[4] = MAPS[1]  # the same again
ONES, EQUAL = np.ones(3), np.full(5, 0.1)
BLANK = -1


def grids_of(**given: Any) -> list[Grid]:
    return distinct_inputs(Schedule(**{"maps": MAPS, "path": ONES, **given}))


def shapes_of(**given: Any) -> list[tuple[int, int]]:
    return [grid.shape for grid in grids_of(**given)]


def drawn(seed: int, noise: OffsetSpace) -> Schedule:
    """Return a schedule with equal and dead maps, and factors, steps and deviations that may be equal or 0."""
    generator = np.random.default_rng(seed)
    count, steps = generator.integers(1, 8, 2)
    maps = generator.random((4, 2, 2), np.float32)[generator.integers(0, 4, count)]
    maps[generator.random(count) < 0.3] = 0.7
    path = generator.choice([0, 0.5, 1], steps) if noise == "none" else np.ones(steps)
    return Schedule(
        maps,
        path,
        factor=None if seed % 3 == 0 else generator.choice([0, 0.5, 1], count),
        offset=noise,
        offset_scale=generator.choice([0, 0.1, 0.2], count),
        score_dead=bool(seed % 2),
    )


def dead(a: np.ndarray) -> bool:
    return bool(a.max() == a.min())


def asked(schedule: Schedule) -> np.ndarray:
    wanted = [schedule.score_dead or not dead(a) for a in schedule.maps]
    return np.repeat(np.array(wanted)[:, None], schedule.shape[1], axis=1)


def input_of(schedule: Schedule, k: int, i: int) -> tuple[Any, ...]:
    """Return what makes the input of channel k at step i: map, factor, step's factor, noise, its field."""
    factor = 1.0 if schedule.factor is None else float(schedule.factor[k])
    blank = dead(schedule.maps[k]) or factor == 0
    noise = (
        0.0 if schedule.offset == "none" or (blank and schedule.offset == "map") else float(schedule.offset_scale[k])
    )
    if noise == 0 and (blank or schedule.path[i] == 0):
        return ("blank",)
    kind = "blank" if blank else schedule.maps[k].tobytes()
    return kind, 0.0 if blank else factor, float(schedule.path[i]), noise, i if noise else -1


def scored_as(schedule: Schedule, grid: Grid, k: int, i: int) -> tuple[Any, ...]:
    """Return the same of the cell that a grid scores for it."""
    unit, step = grid.unit_of[k], grid.step_of[i]
    noise, factor, c = float(grid.offset_scale[unit]), float(grid.factor[unit]), float(grid.path[step])
    if noise == 0 and factor * c == 0:
        return ("blank",)
    kind = "blank" if grid.channel[unit] == BLANK else schedule.maps[grid.channel[unit]].tobytes()
    return kind, factor, c, noise, int(grid.field[step])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", range(12))
def test_grids_share_out_what_is_asked_for(seed: int, noise: OffsetSpace) -> None:
    schedule = drawn(seed, noise)
    grids = distinct_inputs(schedule)
    shared = sum((grid.cells.astype(int) for grid in grids), np.zeros(schedule.shape, int))
    np.testing.assert_array_equal(shared, asked(schedule).astype(int))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seed", range(12))
def test_every_cell_is_scored_as_what_it_is_and_nothing_twice(seed: int, noise: OffsetSpace) -> None:
    schedule = drawn(seed, noise)
    grids = distinct_inputs(schedule)
    for grid in grids:
        for k, i in np.argwhere(grid.cells):
            assert scored_as(schedule, grid, k, i) == input_of(schedule, k, i)
    wanted = {input_of(schedule, k, i) for k, i in np.argwhere(asked(schedule))}
    assert sum(grid.size for grid in grids) == len(wanted)


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ({}, [(3, 1)]),  # maps 1 and 4 are one, the steps too; map 2 is dead
        ({"path": np.array([1, 0.5, 2])}, [(3, 3)]),
        ({"path": np.array([1, 0.5, 1])}, [(3, 2)]),
        ({"path": np.array([0, 0.5, 0])}, [(3, 1), (1, 1)]),
        ({"path": np.zeros(3)}, [(1, 1)]),
        ({"score_dead": True}, [(3, 1), (1, 1)]),
        ({"offset": "mask", "offset_scale": EQUAL}, [(3, 3)]),
        ({"offset": "mask", "offset_scale": np.arange(5) / 10}, [(3, 3), (1, 1)]),  # 1, 3, 4; and 0 without noise
        ({"offset": "input", "offset_scale": EQUAL, "score_dead": True}, [(4, 3)]),  # a blank mask, noisy at each step
        ({"offset": "map", "offset_scale": EQUAL, "score_dead": True}, [(3, 3), (1, 1)]),
        ({"offset": "input", "offset_scale": np.zeros(5), "score_dead": True}, [(3, 1), (1, 1)]),
        ({"maps": MAPS[[2, 2]]}, []),
        ({"maps": MAPS[[2, 2]], "score_dead": True}, [(1, 1)]),
    ],
)
def test_what_differs_in_nothing_is_one(given: dict[str, Any], shapes: list[tuple[int, int]]) -> None:
    assert shapes_of(**given) == shapes


def test_factors_of_channels_are_kept_apart_and_those_of_0_are_one_blank_input() -> None:
    """As in SS-CAM-max's second pass, where a factor is the best score of a channel and may be 0."""
    factor = np.array([0.3, 0, 0.9, 0, 0.2])
    live, blank = grids_of(path=np.ones(1), factor=factor, score_dead=True)
    assert live.shape == (2, 1)
    np.testing.assert_array_equal(live.cells[:, 0], [True, False, False, False, True])
    np.testing.assert_array_equal(live.factor[live.unit_of[[0, 4]]], [0.3, 0.2])
    np.testing.assert_array_equal(live.channel[live.unit_of[[0, 4]]], [0, 1])
    np.testing.assert_array_equal(blank.cells[:, 0], [False, True, True, True, False])
    assert (blank.shape, blank.channel[0], blank.factor[0]) == ((1, 1), BLANK, 0)


def test_a_dead_map_with_noise_stands_for_a_blank_mask_whatever_its_factor() -> None:
    factor = np.array([1, 1, 0.5, 0, 1])
    (grid,) = grids_of(factor=factor, offset="input", offset_scale=EQUAL, score_dead=True)
    assert grid.shape == (3, 3)  # maps 0, 1 and 4, and the blank one of 2 and 3
    assert grid.unit_of[2] == grid.unit_of[3]
    assert (grid.channel[grid.unit_of[2]], grid.factor[grid.unit_of[2]]) == (BLANK, 0)
    np.testing.assert_array_equal(grid.field[grid.step_of], range(3))
