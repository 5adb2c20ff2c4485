"""A session that is opened when it is first needed."""

from __future__ import annotations

from collections.abc import Callable

from onnx_cam.runtime.session import Session

__all__ = ["LateSession"]


class LateSession:
    """A session that is opened when it is first needed, or one that is open already.

    Parameters
    ----------
    open_session : callable
        Opens it.
    session : Session, optional
        The open one.

    Examples
    --------
    >>> import onnx_cam
    >>> model = onnx_cam.load("model.onnx")
    >>> late = LateSession(lambda: model.sessions.open(model.facts.proto))
    >>> late.is_open, late.get().name, late.is_open
    (False, 'model.onnx', True)
    """

    def __init__(self, open_session: Callable[[], Session], session: Session | None = None) -> None:
        self._open_session = open_session
        self._session = session

    @property
    def is_open(self) -> bool:
        """Whether the next run need not load the model."""
        return self._session is not None and self._session.is_open

    def get(self) -> Session:
        """Return the session."""
        if self._session is None:
            self._session = self._open_session()
        return self._session

    def release(self) -> None:
        """Give back the memory of a large model, as `Session.release` does; one that was never opened holds none."""
        if self._session is not None:
            self._session.release()
