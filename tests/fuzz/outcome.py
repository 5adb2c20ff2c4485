"""How one input ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Outcome", "Status", "is_line"]

Status = Literal["accepted", "refused", "traceback", "message", "hang", "crash"]


@dataclass(frozen=True)
class Outcome:
    """How one input ended.

    Attributes
    ----------
    kind : str
        The name of the input's kind.
    seed : int
    status : str
        ``accepted``, ``refused`` with an OnnxCamError, or a finding: ``traceback`` of another exception, a ``message``
        that is not one line, a ``hang``, a ``crash`` of the process.
    seconds : float
    detail : str
        The error's message; for a finding also where it comes from.
    place : str
        What equal findings have in common.
    """

    kind: str
    seed: int
    status: Status
    seconds: float
    detail: str = ""
    place: str = ""

    @property
    def is_finding(self) -> bool:
        return self.status not in ("accepted", "refused")


def is_line(message: str) -> bool:
    """Whether a message is one line that a user can read."""
    return bool(message) and message.isprintable() and "Traceback" not in message
