"""A request's body, counted and timed as it arrives."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import Problem

__all__ = ["TimedBody"]

_DRAINED = 6  # times the largest body: what is read and thrown away, so that the client gets to read the refusal


class TimedBody:
    """A body that is refused as soon as it is too large or too slow.

    The size is counted here since it need not be declared, and the pace since nothing else in the server watches it.

    Parameters
    ----------
    receive : callable
        The server's.
    headers : Headers
        Of the request.
    limits : Limits

    Attributes
    ----------
    is_complete : bool
        Whether all of it has arrived.
    is_gone : bool
        Whether the client has left.
    """

    def __init__(self, receive: Receive, headers: Headers, limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        self._waits_for_permission = headers.get("expect", "").lower() == "100-continue"
        self._declared = _declared(headers)
        self.is_complete = self._declared == 0 and "transfer-encoding" not in headers
        self.is_gone = False
        self._arrived = 0
        self._started = time.monotonic()

    async def receive(self) -> Message:
        """Return the next message of the server, as an application expects it.

        Raises
        ------
        Problem
            The body is too large, or arrives too slowly.
        """
        if self.is_complete or self.is_gone:
            return await self._receive()  # the client's leaving, for which an application may wait as long as it likes
        if self._declared > self._limits.body_bytes:
            raise self._too_large()
        message = await self._next()
        if self._arrived > self._limits.body_bytes:
            raise self._too_large()
        return message

    async def drain(self) -> bool:
        """Read what is left of the body and throw it away; return whether that was all.

        A connection that is closed while its client still sends gets reset, and the client never reads the answer.
        """
        if self._waits_for_permission and not self._arrived:
            return self.is_complete  # the client sends nothing before it is asked to
        try:
            while not (self.is_complete or self.is_gone) and self._arrived <= _DRAINED * self._limits.body_bytes:
                await self._next()
        except Problem:
            return False
        return self.is_complete

    async def _next(self) -> Message:
        deadline = self._started + self._limits.body_seconds + self._arrived / self._limits.body_rate
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise Problem(
                408,
                f"the body arrives too slowly: {self._arrived:,} bytes in {time.monotonic() - self._started:.0f} s; "
                f"expected at least {self._limits.body_rate / 1000:g} kB a second: send a smaller image",
            ) from None
        if message["type"] == "http.disconnect":
            self.is_gone = True
        else:
            self._arrived += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"the request is larger than {self._limits.body_bytes / (1 << 20):g} MB; expected a photo: make it smaller",
        )


def _declared(headers: Headers) -> int:
    """Return the length that a request declares; 0 without one."""
    length = headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0
