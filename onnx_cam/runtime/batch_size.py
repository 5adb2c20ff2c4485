"""How many inputs a run takes: as asked for, or as a short measurement says."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BatchSize"]

_RUNS = 3  # of each size: the first one sets up its buffers, and does not count
_WORTH_IT = 0.97  # a batch twice as large must take less than this share of the time for an input


class BatchSize:
    """The number of inputs a run takes.

    With `asked`, that. Else it is measured on the work itself: sizes double from `first` as long as an input gets
    cheaper, at most to `largest`; the cheapest stays. The batch never changes a map, so no pass is spent on measuring.

    Parameters
    ----------
    asked : int, optional
        The size to take.
    first, largest : int
        Where the measurement begins and ends.
    fixed : bool
        Whether the model takes no other than the size asked for.
    free : callable, optional
        Returns the bytes that the device has left, or None: a batch that would not fit is not tried.

    Attributes
    ----------
    size : int
        For the next run.
    settled : bool
        Whether the size is final, memory permitting.
    """

    def __init__(
        self,
        asked: int | None = None,
        *,
        first: int = 4,
        largest: int = 256,
        free: Callable[[], int | None] | None = None,
        fixed: bool = False,
    ) -> None:
        self.settled = asked is not None
        self.size = asked or min(first, largest)
        self._fixed = fixed
        self._largest = largest
        self._free = free
        self._free_at_first = free() if free and not self.settled else None
        self._seconds: list[float] = []
        self._best: tuple[float, int] | None = None  # seconds an input, size

    def ran(self, inputs: int, seconds: float, *, full: bool) -> None:
        """Take note of a run; one that was not full tells nothing."""
        if self.settled or not full:
            return
        self._seconds.append(seconds / inputs)
        if len(self._seconds) == _RUNS:
            self._compare(min(self._seconds[1:]))

    def halve(self) -> bool:
        """Take at most half from now on, as memory ran out; return whether there is a half to take."""
        self.settled = True
        if self.size == 1 or self._fixed:
            return False
        self.size //= 2
        return True

    def _compare(self, seconds: float) -> None:
        if self._best is not None and seconds > _WORTH_IT * self._best[0]:
            self.size, self.settled = self._best[1], True
            return
        self._best = seconds, self.size
        self._seconds = []
        if 2 * self.size > self._largest or not self._twice_as_many_fit():
            self.settled = True
        else:
            self.size *= 2

    def _twice_as_many_fit(self) -> bool:
        """Whether there is room for twice the memory that this size took, beside it: an arena gives nothing back."""
        left = self._free() if self._free else None
        if left is None or self._free_at_first is None:
            return True
        return left > 2 * (self._free_at_first - left)
