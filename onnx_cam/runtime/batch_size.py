"""How many inputs a run takes: the requested number, or the fastest that a short measurement finds."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["BatchSize"]

_RUNS = 2  # of each size, after one in each stream that sets up its buffers and does not count
_WORTH_IT = 0.97  # a batch twice as large must take less than this share of the time per input


class BatchSize:
    """The number of inputs a run takes.

    A requested size is taken. Otherwise the size is measured on the work itself: it doubles from `first` as long as an
    input gets cheaper, at most to `largest`, and the cheapest stays. As the batch size never changes a map, the
    measurement costs no forward pass.

    Parameters
    ----------
    requested : int, optional
        The size to take.
    first, largest : int
        Where the measurement begins and ends.
    fixed : bool
        Whether the model runs at no size but the requested one.
    free : callable, optional
        Returns the free bytes of the device, or None; a batch that would not fit is not tried.
    streams : int
        How many runs there are at once.

    Attributes
    ----------
    size : int
        The size of the next run.
    is_requested : bool
        Whether the user or the model named it: then no run is smaller but the last.
    settled : bool
        Whether the size is final, unless memory runs out.

    Examples
    --------
    >>> batch = BatchSize(first=4, largest=8)
    >>> for _ in range(3):
    ...     batch.ran(4, seconds=0.4, full=True)
    >>> batch.size, batch.settled
    (8, False)
    >>> batch.halve(), batch.size
    (True, 4)
    """

    def __init__(
        self,
        requested: int | None = None,
        *,
        first: int = 4,
        largest: int = 256,
        free: Callable[[], int | None] | None = None,
        fixed: bool = False,
        streams: int = 1,
    ) -> None:
        self.settled = self.is_requested = requested is not None
        self.size = requested or min(first, largest)
        self._fixed = fixed
        self._streams = streams
        self._largest = largest
        self._free = free
        self._free_at_first = free() if free and not self.settled else None
        self._seconds: list[float] = []
        self._best: tuple[float, int] | None = None  # seconds an input, size

    def ran(self, inputs: int, seconds: float, *, full: bool) -> None:
        """Learn from the time of a run; one that was not full tells nothing."""
        if self.settled or not full:
            return
        self._seconds.append(seconds / inputs)
        if len(self._seconds) == self._streams + _RUNS:
            self._compare(min(self._seconds[self._streams :]))

    def halve(self) -> bool:
        """Take half from now on, because memory ran out; return whether that is possible."""
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
        """Tell whether twice the memory that this size took fits beside it: an arena gives nothing back."""
        free_now = self._free() if self._free else None
        if free_now is None or self._free_at_first is None:
            return True
        return free_now > 2 * (self._free_at_first - free_now)
