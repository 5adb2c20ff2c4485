"""How many inputs a run takes, told by times that are made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from onnx_cam.runtime.batch_size import BatchSize


def sizes_until_settled(batch: BatchSize, seconds_an_input: Callable[[int], float], runs: int = 3) -> list[int]:
    """Run full batches until the size is final; return the sizes tried, each run `runs` times."""
    tried = []
    while not batch.settled:
        tried.append(batch.size)
        batch.ran(batch.size, batch.size * seconds_an_input(batch.size), full=True)
    assert tried == [size for size in dict.fromkeys(tried) for _ in range(runs)]
    return list(dict.fromkeys(tried))


def test_what_is_asked_for_stays() -> None:
    batch = BatchSize(7)
    assert (batch.settled, batch.size) == (True, 7)
    for _ in range(10):
        batch.ran(7, 1.0, full=True)
    assert batch.size == 7


@pytest.mark.parametrize(
    ("seconds", "tried", "best"),
    [
        ({4: 1.0, 8: 0.5, 16: 0.4, 32: 0.6}, [4, 8, 16, 32], 16),
        ({4: 1.0, 8: 1.2}, [4, 8], 4),
        ({4: 1.0, 8: 1.0}, [4, 8], 4),
        ({4: 1.0, 8: 0.99}, [4, 8], 4),  # a hundredth is not worth the memory
    ],
)
def test_it_doubles_while_an_input_gets_cheaper(seconds: dict[int, float], tried: list[int], best: int) -> None:
    batch = BatchSize(first=4)
    assert sizes_until_settled(batch, seconds.__getitem__) == tried
    assert batch.size == best


def test_it_ends_at_the_largest() -> None:
    batch = BatchSize(first=4, largest=40)
    assert sizes_until_settled(batch, lambda size: 1 / size) == [4, 8, 16, 32]
    assert batch.size == 32
    assert BatchSize(first=4, largest=3).size == 3


def test_the_first_run_of_a_size_does_not_count() -> None:
    batch = BatchSize(first=4, largest=8)
    for seconds in (1, 4, 4, 90, 6, 4):  # 1 s an input at 4, then 0.5 s at 8
        batch.ran(batch.size, seconds, full=True)
    assert (batch.settled, batch.size) == (True, 8)


def test_a_run_that_is_not_full_tells_nothing() -> None:
    batch = BatchSize(first=4)
    for _ in range(20):
        batch.ran(3, 1.0, full=False)
    assert (batch.settled, batch.size) == (False, 4)


def test_halves_go_down_to_1() -> None:
    batch = BatchSize(11)
    halves = []
    while batch.halve():
        halves.append(batch.size)
    assert halves == [5, 2, 1]
    assert batch.size == 1
    assert not batch.halve()


def test_once_halved_it_grows_no_more() -> None:
    batch = BatchSize(first=4)
    assert batch.halve()
    for _ in range(20):
        batch.ran(2, 1.0, full=True)
    assert (batch.settled, batch.size) == (True, 2)


@pytest.mark.parametrize(
    ("free", "tried"),
    [
        ([1000, 900, 800, 600], [4, 8, 16]),  # 400 taken at 16: twice as many would take 800 more, 600 are left
        ([1000, 700, 200], [4, 8]),
        ([1000, 600], [4]),
        ([1000, None, None, None], [4, 8, 16]),
        ([None, 1, 1, 1], [4, 8, 16]),
    ],
)
def test_a_batch_that_would_not_fit_is_not_tried(free: list[int | None], tried: list[int]) -> None:
    left = iter(free)
    batch = BatchSize(first=4, largest=16, free=lambda: next(left))
    assert sizes_until_settled(batch, lambda size: 1 / size) == tried
    assert batch.size == tried[-1]


def test_free_memory_is_not_asked_for_where_the_size_is() -> None:
    def free() -> int:
        raise AssertionError

    assert BatchSize(3, free=free).size == 3
