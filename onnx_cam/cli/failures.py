"""How a command ends that cannot do what it should: one line on standard error, and an exit status."""

from __future__ import annotations

import _thread
import errno
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from onnx_cam.cli.echo import echo, say
from onnx_cam.errors import OnnxCamError, one_line

__all__ = ["errors_as_lines", "is_foreign", "say_error", "say_failure", "set_debug", "shows_tracebacks"]

_AGAIN_AFTER = 0.02  # seconds
_DEBUG = "onnx_cam.debug"
_FULL_OR_CLOSED = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EINVAL}
_LESS_MEMORY = "try a smaller --batch-size, --samples or --size"
_FILES = ("model", "dataset", "run", "runs", "folder")
"""The parameters that name what a command works on, the likeliest culprit first."""


def set_debug(ctx: click.Context, debug: bool) -> None:
    """Remember for a command, and the commands within it, whether tracebacks are shown."""
    ctx.meta[_DEBUG] = debug or ctx.meta.get(_DEBUG, False)


def shows_tracebacks() -> bool:
    """Tell whether the command that runs was given --debug."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_DEBUG))


def say_error(error: Exception) -> None:
    """Print an error as one line on standard error."""
    say(f"error: {error}")


@contextmanager
def errors_as_lines(
    ctx: click.Context, less_memory: str = _LESS_MEMORY, *, runs_foreign_code: bool = False
) -> Iterator[None]:
    """Turn errors into one line and exit status 1, and Ctrl-C into 130.

    Parameters
    ----------
    ctx : click.Context
        The command's.
    less_memory : str
        How to need less memory.
    runs_foreign_code : bool
        Whether an error that nobody foresaw may be of the user's own code: it keeps its traceback.
    """
    try:
        with _interrupts_that_arrive():
            yield
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        ctx.exit(130)
    except Exception as error:
        if is_foreign(error) or (runs_foreign_code and not isinstance(error, OnnxCamError | MemoryError)):
            raise
        say_failure(error, _file(ctx), less_memory)
        ctx.exit(1)


def is_foreign(error: Exception) -> bool:
    """Whether an error is not of the work itself: wrong usage, the end of the program, or a full or closed output."""
    if isinstance(error, click.ClickException | click.exceptions.Exit | click.Abort):
        return True
    return isinstance(error, OSError) and error.filename is None and error.errno in _FULL_OR_CLOSED


def say_failure(error: Exception, file: str | None, less_memory: str = _LESS_MEMORY) -> None:
    """Print why work on a file failed, as one line; for an error that nobody foresaw also how to report it."""
    where = f"{file}: " if file else ""
    if isinstance(error, OnnxCamError):
        say_error(error)
    elif isinstance(error, MemoryError):
        detail = f": {one_line(error)}" if str(error) else ""
        say(f"error: {where}out of memory{detail}; {less_memory}")
    elif isinstance(error, ImportError):
        say(f"error: the installation is incomplete: {one_line(error)}; install onnx-cam and its dependencies again")
    else:
        debug = shows_tracebacks()
        if debug:
            echo("".join(traceback.format_exception(error)).rstrip("\n"), err=True)
        advice = (
            "report it to the project with the traceback above, and this file if you can"
            if debug
            else "report it to the project, and run the command again with --debug for the traceback"
        )
        say(f"error: {where}{type(error).__name__}: {one_line(error)}; this is a bug in onnx-cam: {advice}")


def _file(ctx: click.Context) -> str | None:
    """Return the name of what a command works on."""
    value = next((ctx.params[name] for name in _FILES if ctx.params.get(name)), None)
    return str(value[0] if isinstance(value, tuple) else value) if value else None


@contextmanager
def _interrupts_that_arrive() -> Iterator[None]:
    """Repeat an interrupt that got lost: Python drops one in a destructor or in the callback of a weak reference."""
    before = sys.unraisablehook

    def again(dropped: sys.UnraisableHookArgs) -> None:
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            before(dropped)
            return
        later = threading.Timer(_AGAIN_AFTER, _thread.interrupt_main)  # once the destructor is done
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
