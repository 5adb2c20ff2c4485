"""What every request passes: Host, Origin, token, size and pace of the body, errors, headers of the answer."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onnx_cam.server.address import AllowedHosts
from onnx_cam.server.body import TimedBody
from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import Problem, as_problem, problem_response

__all__ = ["BrokenAnswer", "Guard"]

_CLOSED_TO_OTHERS = ("/api/", "/openapi.json")
"""The addresses that need the token; the page, which asks for it, and the health check do not."""

_PART_BYTES = 256 << 10

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Guard:
    """An application around another one: it refuses what must not get there, and turns what fails into one line.

    Attributes
    ----------
    app : callable
        What answers the requests that may pass.
    hosts : AllowedHosts
    token : str or None
    limits : Limits
    """

    app: ASGIApp
    hosts: AllowedHosts
    token: str | None
    limits: Limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = TimedBody(receive, headers, self.limits)
        answer = _Answer(send, body, self.limits)
        try:
            self._check(scope, headers)
            await self.app(scope, body.receive, answer.send)
        except Exception as error:
            if answer.has_started:
                raise BrokenAnswer from error  # the server closes the connection: the answer cannot be taken back
            await problem_response(as_problem(error))(scope, body.receive, answer.send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse a request that another site's page sent, that calls the server by a foreign name, or lacks the token.

        Raises
        ------
        Problem
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.hosts.allows(host):
            raise Problem(
                403,
                f"the request calls this server {host[:100]!r}, which it does not answer to; allow it: --allow-host",
            )
        if origin is not None and not self.hosts.is_same_origin(origin, host):
            raise Problem(
                403, f"the request comes from a page of another site, {origin[:100]!r}; use this server's own"
            )
        is_visit = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_visit:
            raise Problem(403, "the request comes from a page of another site; use this server's own")
        if self.token is not None and scope["path"].startswith(_CLOSED_TO_OTHERS):
            self._check_token(headers.get("authorization", ""), self.token)

    @staticmethod
    def _check_token(authorization: str, token: str) -> None:
        scheme, _, given = authorization.partition(" ")
        is_right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
        if scheme.lower() != "bearer" or not is_right:
            what = "the token is wrong" if authorization else "this address needs the server's token"
            raise Problem(401, f"{what}; send it as: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})


class BrokenAnswer(Exception):
    """An answer that ended early: the server closes its connection."""


class _Answer:
    """An answer on its way out: with the headers of every answer, and not before the body was read or thrown away."""

    def __init__(self, send: Send, body: TimedBody, limits: Limits) -> None:
        self._send = send
        self._body = body
        self._seconds = limits.send_seconds
        self.has_started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not await self._body.drain():
                headers["connection"] = "close"
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            self.has_started = True
        for part in _parts(message):
            async with asyncio.timeout(self._seconds):  # a client that reads nothing holds its answer in memory
                await self._send(part)


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message in parts that are sent as fast as the client takes them: a server buffers each whole."""
    body = message.get("body", b"")
    while len(body) > _PART_BYTES:
        yield {**message, "body": body[:_PART_BYTES], "more_body": True}
        body = body[_PART_BYTES:]
    yield {**message, "body": body} if "body" in message else message
