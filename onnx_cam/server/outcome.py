"""From a job to a response, in one piece or as a stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from onnx_cam.errors import one_line_text
from onnx_cam.server.engine import Engine
from onnx_cam.server.jobs import Job, Waiting
from onnx_cam.server.problems import Problem

__all__ = ["EVENT_STREAM", "EventStream", "content_of"]

EVENT_STREAM = "text/event-stream"
"""The type of an answer in events."""

_WATCH_EVERY = 1.0  # seconds between two looks at a job's time limit


async def content_of(job: Job, engine: Engine, request: Request) -> bytes:
    """Return a job's answer; where the client leaves, the job is ended.

    Raises
    ------
    Problem
        The job failed, or the client has left.
    """
    leaving = asyncio.ensure_future(_left(request))
    ending = asyncio.ensure_future(_ended(job))
    try:
        await asyncio.wait({leaving, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            raise Problem(499, "the client has left")
        return ending.result()
    finally:
        leaving.cancel()
        ending.cancel()
        engine.cancel(job)


class EventStream(StreamingResponse):
    """A job's answer as server-sent events: ``waiting``, ``progress``, and at the end ``result`` or ``error``.

    Parameters
    ----------
    job : Job
        It is ended where the client leaves.
    engine : Engine
    at_end : callable
        Called when the last event was sent, or the client has left.
    """

    def __init__(self, job: Job, engine: Engine, at_end: Callable[[], None]) -> None:
        super().__init__(_events(job), media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})
        self._job = job
        self._engine = engine
        self._at_end = at_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events until there is no other, or the client leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._engine.cancel(self._job)
            self._at_end()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _ended(job: Job) -> bytes:
    async for _ in job.events(_WATCH_EVERY):
        pass
    return job.content


async def _events(job: Job) -> AsyncIterator[bytes]:
    try:
        async for event in job.events(_WATCH_EVERY):
            if event is None:
                yield b": the connection is alive\n\n"
            else:
                yield _event("waiting" if isinstance(event, Waiting) else "progress", json.dumps(asdict(event)))
        yield _event("result", job.content.decode())
    except Problem as problem:
        content = {"error": one_line_text(problem.message), "status": problem.status}
        yield _event("error", json.dumps(content, ensure_ascii=False))


def _event(name: str, line: str) -> bytes:
    return f"event: {name}\ndata: {line}\n\n".encode()
