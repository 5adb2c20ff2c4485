"""Errors as a status and one line."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from onnx_cam.errors import (
    ImageError,
    LayerError,
    MissingExtraError,
    MissingRuleError,
    OnnxCamError,
    PreprocessingError,
    SettingError,
    TargetError,
    one_line,
    one_line_text,
)

__all__ = ["LOG", "Problem", "as_problem", "problem_response"]

LOG = logging.getLogger("onnx_cam.server")
"""What an operator should know: errors that are bugs."""

_LONGEST_LINE = 2000  # characters
_OF_THE_REQUEST = (
    ImageError,
    TargetError,
    LayerError,
    PreprocessingError,
    SettingError,
    MissingRuleError,
    MissingExtraError,
)
"""Errors that another request would not meet; any other is the server's."""


class Problem(Exception):
    """Why a request is refused or fails.

    Parameters
    ----------
    status : int
        The HTTP status.
    message : str
        One line.
    headers : mapping of str to str, optional
        Headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def as_problem(error: BaseException) -> Problem:
    """Return an error as a status and one line; one that nobody foresaw is a bug, and is logged.

    Examples
    --------
    >>> from onnx_cam.errors import ScoreError
    >>> as_problem(TargetError("no class 9")).status, as_problem(ScoreError("the model failed")).status
    (422, 500)
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return Problem(error.status_code, _of_http(error), error.headers)
    if isinstance(error, ClientDisconnect):
        return Problem(499, "the client has left")
    if isinstance(error, OnnxCamError):
        is_of_request = isinstance(error, _OF_THE_REQUEST)
        return Problem(422 if is_of_request else 500, str(error))
    if isinstance(error, MemoryError):
        detail = f" ({one_line(error)})" if str(error) else ""
        return Problem(500, f"out of memory{detail}; try a smaller image, or fewer samples or classes")
    what = f"{type(error).__name__}: {one_line(error)}"
    LOG.error("%s; this is a bug in onnx-cam", what, exc_info=error)
    return Problem(500, f"{what}; this is a bug in onnx-cam: report it to the project")


def problem_response(problem: Problem) -> Response:
    """Return ``{"error": "one line"}`` with the problem's status.

    Examples
    --------
    >>> problem_response(Problem(404, "no such page")).body
    b'{"error": "no such page"}'
    """
    line = one_line_text(problem.message)
    line = line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"
    content = json.dumps({"error": line}, ensure_ascii=False)
    return Response(content, problem.status, problem.headers, media_type="application/json")


def _of_http(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this address; the API is described at /openapi.json"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return f"this address does not take this method; expected {allowed or 'another one'}"
    return one_line_text(error.detail)
