"""The server as a process: its address, its signals, its end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import uvicorn

from onnx_cam.classifier.classifier import Classifier
from onnx_cam.errors import OnnxCamError, OutputError, one_line
from onnx_cam.explanation.explaining import explain
from onnx_cam.server.address import check_address
from onnx_cam.server.app import make_app
from onnx_cam.server.choices import quick_method
from onnx_cam.server.engine import Engine
from onnx_cam.server.limits import Limits
from onnx_cam.server.problems import LOG

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["check_port", "serve"]

_BACKLOG = 2048  # connections that wait to be accepted
_SOCKETS = 65_536
_FAREWELL = 2  # seconds for answers under way to be sent at the end
_GRACE = 1.0  # seconds for the model's run to notice that it is to end


def serve(
    classifier: Classifier,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    allow_hosts: Sequence[str] = (),
    limits: Limits | None = None,
    loading: Sequence[tuple[str, str]] = (),
    when_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page and the HTTP API of a model until the process is told to end.

    Parameters
    ----------
    classifier : Classifier
        What :func:`onnx_cam.load` returned.
    host : str
        The name or the IP address to listen at. Any but this machine's own needs a token.
    port : int
        0 takes a free one.
    token, allow_hosts, limits, loading
        As for :func:`onnx_cam.server.make_app`.
    when_ready : callable, optional
        Called with the server's URL once it answers.

    Raises
    ------
    SettingError
        Others can reach the host, and there is no token.
    OutputError
        The port is taken, or the host is not this machine's.
    KeyboardInterrupt
        Ctrl-C was pressed; the server has ended. On SIGTERM it ends, and the function returns.

    Examples
    --------
    It does not return before the process is told to end:

    >>> import onnx_cam
    >>> serve(onnx_cam.load("model.onnx"), port=8000)  # doctest: +SKIP
    """
    check_address(host, token, allow_hosts)
    with contextlib.closing(_open_socket(host, port)) as listener:
        app = make_app(classifier, host=host, token=token, allow_hosts=allow_hosts, limits=limits, loading=loading)
        _warm_up(classifier)
        _allow_many_connections()
        server = _Server(_config(app), app.state.service.engine, lambda: when_ready and when_ready(_url(listener)))
        server.run(sockets=[listener])
    if not app.state.service.engine.join(_GRACE):
        _end_at_once(server.last_signal)
    if server.last_signal == signal.SIGINT:
        raise KeyboardInterrupt


def check_port(host: str, port: int) -> None:
    """Check that nobody listens at an address yet, before the work of loading a model.

    Raises
    ------
    OutputError
        The port is taken, or the host is not this machine's.

    Examples
    --------
    >>> check_port("127.0.0.1", 0)
    """
    _open_socket(host, port).close()


def _open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises
    ------
    OutputError
        The port is taken, or the host is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A name may have addresses of both families: everything reaches IPv4.
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise OutputError(f"cannot listen at host {host!r}: {one_line(error)}; expected one of this machine") from error
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"cannot listen at {host}, port {port}: {reason}; choose another with --port") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, which ends the model's work as soon as it is told to end itself."""

    def __init__(self, config: uvicorn.Config, engine: Engine, when_ready: Callable[[], Any]) -> None:
        super().__init__(config)
        self._engine = engine
        self._when_ready = when_ready
        self.last_signal: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._when_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End: who waits for a map is told so, and the others' connections are closed."""
        self.last_signal = sig
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell everybody who waits that the server ends, and wait for the answers under way."""
        self._engine.stop()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that end a process; unlike uvicorn's own, do not raise them again afterwards."""
        handled = (signal.SIGINT, signal.SIGTERM)
        try:
            before = {sig: signal.signal(sig, self.handle_exit) for sig in handled}
        except ValueError:  # not in the main thread, where signals do not arrive
            yield
            return
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)


def _warm_up(classifier: Classifier) -> None:
    """Make the cheapest map once, so that the sessions are open when the first image comes."""
    try:
        explain(classifier, classifier.trial_images(1)[0], method=quick_method(classifier), preprocess="none")
    except OnnxCamError as error:  # a request meets it too, and tells its client
        LOG.warning("a first map of a trial image failed: %s", error)


def _config(app: Any) -> uvicorn.Config:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(
            logging.CRITICAL + 1
        )  # errors are answers here, or lines of onnx-cam's own log
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_FAREWELL,
        timeout_keep_alive=10,
    )


def _allow_many_connections() -> None:
    """Let this process have as many open sockets as the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _SOCKETS if hard == resource.RLIM_INFINITY else min(hard, _SOCKETS)
    with contextlib.suppress(ValueError, OSError):  # some systems name a hard limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _end_at_once(last_signal: int | None) -> None:
    """End the process while the model runs: nothing but this process holds what it works on."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130 if last_signal == signal.SIGINT else 0)
