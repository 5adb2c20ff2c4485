"""How many bytes of requests are in memory, and how many bodies arrive at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import Problem

__all__ = ["Holding"]

_BUSY = "the server holds as many requests as it can; try again later"


class Holding:
    """The requests that are in memory, those that still arrive and those that wait for the model.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._arriving = 0

    def enter(self) -> Held:
        """Return a place for one more request; leave it with its `release`.

        Raises
        ------
        Problem
            As many bodies as may be arrive already.
        """
        if self._arriving >= self._limits.bodies:
            raise Problem(429, _BUSY, {"Retry-After": "2"})
        return Held(self)

    def _add(self, count: int) -> None:
        if self._bytes + count > self._limits.held_bytes:
            raise Problem(429, _BUSY, {"Retry-After": "5"})
        self._bytes += count


class Held:
    """One request's place."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._bytes = 0

    async def count(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body, and count them.

        Raises
        ------
        Problem
            There is no room for more.
        """
        self._holding._arriving += 1
        try:
            async for chunk in chunks:
                self._holding._add(len(chunk))
                self._bytes += len(chunk)
                yield chunk
        finally:
            self._holding._arriving -= 1

    def release(self) -> None:
        """Give the room back."""
        self._holding._bytes -= self._bytes
        self._bytes = 0
