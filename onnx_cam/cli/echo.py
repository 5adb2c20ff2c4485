"""Lines on standard output and standard error, in whatever encoding those have."""

from __future__ import annotations

import json
import sys

import click

from onnx_cam.cli.encoding import showable
from onnx_cam.errors import printable

__all__ = ["echo", "echo_json", "printable", "say"]


def echo(text: object = "", *, err: bool = False) -> None:
    """Print a text on standard output or standard error."""
    stream = sys.stderr if err else sys.stdout
    click.echo(showable(str(text), getattr(stream, "encoding", None)), err=err)


def echo_json(content: object) -> None:
    """Print JSON on one line of standard output; what its encoding does not have is escaped: nothing is lost."""
    line = json.dumps(content, ensure_ascii=False, allow_nan=False)
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        line = json.dumps(content, ensure_ascii=True, allow_nan=False)
    click.echo(line)


def say(message: str) -> None:
    """Print a line on standard error."""
    echo(f"onnx-cam: {printable(message)}", err=True)
