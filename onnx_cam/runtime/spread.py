"""How a machine's cores are shared out: how many runs at once, and how many threads each of them has.

One run that spreads over all cores waits at a barrier after every small operator. Several runs of one thread each never
wait for each other, so a CPU starts with as many runs as cores. Where the work itself shows that fewer runs of more
threads are faster, those are taken.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Spread", "SpreadChoice"]

_RUNS = 3  # that each stream measures; the first one sets up its buffers and does not count
_WORTH_IT = 0.9  # fewer streams of more threads must take less than this share of the time, before and after
_MOST_STREAMS = 32  # each holds the activations of a batch
_LEAST_LOADS = 6  # a spread is tried where that many times the loading of its session remain to be run


@dataclass(frozen=True)
class Spread:
    """How runs are spread over the cores.

    Attributes
    ----------
    streams : int
        How many runs there are at once.
    threads : int or None
        How many threads each has; None leaves that to ONNX Runtime.

    Examples
    --------
    >>> Spread(streams=2, threads=1)
    Spread(streams=2, threads=1)
    """

    streams: int
    threads: int | None


class SpreadChoice:
    """The spread of a model's runs over the cores of a CPU: measured on the work itself, and kept.

    The measurement begins with one stream a core. Half as many streams of twice as many threads are tried next, and so
    on, as long as that is faster. What seems faster is believed only when the spread before it was measured once more
    and is slower still: other programs come and go. As the spread never changes a map, the measurement costs no
    forward pass.

    Parameters
    ----------
    cores : int
        How many cores may be used.
    first : Spread, optional
        The spread to take, without a measurement.

    Attributes
    ----------
    current : Spread
        The spread of the next runs.
    settled : bool
        Whether that is final, unless memory runs out.
    most_streams : int
        The most runs there are at once: those of the first spread.

    Examples
    --------
    >>> choice = SpreadChoice(2)
    >>> for _ in range(6):  # three runs of each of the two streams
    ...     choice.ran(choice.current, inputs=4, seconds=0.1)
    >>> choice.try_next(inputs=1000, load_seconds=0.1)
    >>> choice.current
    Spread(streams=1, threads=2)
    >>> for _ in range(3):
    ...     choice.ran(choice.current, inputs=4, seconds=0.06)  # two streams took 0.05 s for each four inputs
    >>> choice.current, choice.settled
    (Spread(streams=2, threads=1), True)
    """

    def __init__(self, cores: int, first: Spread | None = None) -> None:
        streams = min(cores, _MOST_STREAMS)
        self.current = first or Spread(streams, max(1, cores // streams))
        self.settled = first is not None or cores == 1
        self.most_streams = self.current.streams
        self._cores = cores
        self._seconds: list[float] = []
        self._best: tuple[float, Spread] | None = None  # seconds an input, all streams together
        self._rival: tuple[float, Spread] | None = None  # what was faster, while the best is measured once more

    @property
    def next(self) -> Spread | None:
        """The spread to try next, once the current one is measured; None where there is none."""
        is_measured = self._best is not None and self._best[1] == self.current and self._rival is None
        if self.settled or not is_measured or self.current.streams == 1:
            return None
        streams = self.current.streams // 2
        return Spread(streams, max(1, self._cores // streams))

    def try_next(self, inputs: int, load_seconds: float) -> None:
        """Take the next spread for a measurement, where the remaining inputs are worth it.

        Parameters
        ----------
        inputs : int
            How many are still to be run.
        load_seconds : float
            How long it takes to load the model with another number of threads.
        """
        if self.next is not None and self._best is not None:
            remaining_seconds = inputs * self._best[0]
            if remaining_seconds > _LEAST_LOADS * load_seconds:
                self.current, self._seconds = self.next, []

    def ran(self, spread: Spread, inputs: int, seconds: float) -> None:
        """Learn from the time of a full run; one of another spread tells nothing."""
        if self.settled or spread != self.current or self.next is not None:
            return
        self._seconds.append(seconds / inputs)
        if len(self._seconds) >= _RUNS * self.current.streams:
            from statistics import median

            self._compare(median(self._seconds[self.current.streams :]) / self.current.streams)

    def halve(self) -> bool:
        """Run half as many streams from now on, because memory ran out; return whether that is possible."""
        self.settled = True
        if self.current.streams == 1:
            return False
        self.current = Spread(self.current.streams // 2, self.current.threads)
        return True

    def _compare(self, seconds: float) -> None:
        self._seconds = []
        if self._best is None:
            self._best = seconds, self.current
        elif self._rival is None:
            # The first measurement of fewer streams: go back, for good or to measure the others once more.
            is_faster = seconds < _WORTH_IT * self._best[0]
            self._rival = (seconds, self.current) if is_faster else None
            self.current, self.settled = self._best[1], not is_faster
        else:
            is_confirmed = self._rival[0] < _WORTH_IT * min(seconds, self._best[0])
            self._best = self._rival if is_confirmed else self._best
            self._rival = None
            self.current = self._best[1]
            self.settled = not is_confirmed or self.current.streams == 1
