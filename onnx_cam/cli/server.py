"""``onnx-cam serve``: click over the library, with no logic of its own."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import Any

import click

from onnx_cam.cli.command import Command
from onnx_cam.cli.echo import say
from onnx_cam.cli.failures import shows_tracebacks
from onnx_cam.cli.options import MODEL, load_classifier
from onnx_cam.errors import SettingError

__all__ = ["serve"]


@click.command(cls=Command)
@MODEL
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Name or IP address to listen at. Any other than this machine's own needs --token.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="PORT",
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--token",
    envvar="ONNX_CAM_TOKEN",
    metavar="T",
    help="Text that every request of the API has to show (Authorization: Bearer T); the page asks for it. The "
    "environment variable ONNX_CAM_TOKEN sets it without showing it to other users of the machine.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which requests may call the server, beside localhost and IP addresses; repeat it for several.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    metavar="SECONDS",
    help="Longest time that the model works on one request, in seconds.",
)
@click.option(
    "--queue",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    metavar="N",
    help="Number of requests that may wait for the model; others are told to come back later.",
)
@click.option("--quiet", is_flag=True, help="Hide the address and the notes.")
def serve(model: str, host: str, port: int, quiet: bool, **settings: Any) -> None:
    """Serve a page to try MODEL on, and an HTTP API.

    The page takes an image and shows which pixels the decision rests on. The API does the same for programs: POST
    /api/explain and /api/predict, GET /api/model, /health and /openapi.json. Only this machine can reach it, unless
    --host says otherwise. Ctrl-C ends it.

    \b
    Examples:
      onnx-cam serve model.onnx
      onnx-cam serve model.onnx --labels imagenet --port 8080
      onnx-cam serve model.onnx --host 0.0.0.0 --token "$TOKEN" --allow-host cam.example.org
    """
    from onnx_cam import server

    token, allow_hosts = settings.pop("token"), settings.pop("allow_hosts")
    try:
        server.check_address(host, token, allow_hosts)
        limits = server.Limits(seconds=settings.pop("time_limit"), waiting=settings.pop("queue"))
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    server.check_port(host, port)
    classifier = load_classifier(model, settings)
    _log_bugs()
    if not quiet:
        for note in classifier.notes:
            say(f"{classifier.name}: {note}")
    server.serve(
        classifier,
        host=host,
        port=port,
        token=token,
        allow_hosts=allow_hosts,
        limits=limits,
        loading=_loading_options(settings),
        when_ready=lambda url: None if quiet else say(f"serving {classifier.name} at {url} (Ctrl-C ends it)"),
    )


_DEFAULTS = {"preprocess": "auto", "head": "auto", "device": "auto"}
_NAMES = {"input_name": "--input", "output_name": "--output"}


def _loading_options(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the options that a model was loaded with, other than the defaults, as on a command line."""
    found = []
    for name, value in settings.items():
        option = _NAMES.get(name, f"--{name.replace('_', '-')}")
        if name == "constants":
            found += [("--set", f"{key}={text}") for key, text in value.items()]
        elif name == "custom_ops":
            found += [(option, library) for library in value]
        elif value is not None and value != _DEFAULTS.get(name):
            found.append((option, "x".join(map(str, value)) if name == "size" else str(value)))
    return found


class _Lines(logging.Handler):
    """Prints what the server logs as lines; with --debug also where an error comes from."""

    def __init__(self, *, with_traceback: bool) -> None:
        super().__init__(logging.WARNING)
        self._with_traceback = with_traceback

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{record.levelname.lower()}: {record.getMessage()}")
        if self._with_traceback and record.exc_info:
            for line in "".join(traceback.format_exception(*record.exc_info)).splitlines():
                say(line)


def _log_bugs() -> None:
    log = logging.getLogger("onnx_cam.server")
    log.addHandler(_Lines(with_traceback=shows_tracebacks()))
    log.propagate = False
