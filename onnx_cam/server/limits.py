"""Every limit of the server, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from onnx_cam.errors import SettingError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What a request, and all of them together, may take.

    Attributes
    ----------
    seconds : float
        How long the model may work on one request; its wait in the queue does not count.
    waiting : int
        How many requests may wait for the model.
    body_bytes : int
        The size of a request's body.
    body_seconds : float
        How long a body may take, beside the time for its bytes at `body_rate`.
    body_rate : float
        Bytes a second: a body that arrives more slowly is refused.
    bodies : int
        How many bodies may arrive at once.
    held_bytes : int
        The size of all bodies in memory, those of the requests that wait for the model included.
    send_seconds : float
        How long a client may take no byte of an answer.
    classes : int
        How many classes a request may ask for.
    noise_bytes : int
        The size of the noise fields of a request, which all are in memory at once.
    kept_seconds : float
        How long a result can be downloaded.
    kept_bytes : int
        The size of the results that can be downloaded; older ones make room.

    Raises
    ------
    SettingError
        A limit is out of range.

    Examples
    --------
    >>> Limits(seconds=30).body_bytes
    20971520
    """

    seconds: float = 600.0
    waiting: int = 64
    body_bytes: int = 20 << 20
    body_seconds: float = 10.0
    body_rate: float = 50_000.0
    bodies: int = 64
    held_bytes: int = 512 << 20
    send_seconds: float = 60.0
    classes: int = 10
    noise_bytes: int = 512 << 20
    kept_seconds: float = 600.0
    kept_bytes: int = 400 << 20

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise SettingError(f"invalid time limit {self.seconds:g}: expected a number of seconds above 0")
        if self.waiting < 1:
            raise SettingError(f"invalid queue of {self.waiting}: expected room for at least 1 request")
