"""A command: its errors are lines, in any encoding, and --debug shows where one nobody foresaw came from."""

from __future__ import annotations

import sys
from typing import Any

import click

from onnx_cam.cli import failures
from onnx_cam.cli.encoding import prepare_streams, showable

__all__ = ["Command", "CommandGroup"]


class Command(click.Command):
    """A click command with the option ``--debug``, which turns errors into one line and exit status 1."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=lambda ctx, param, value: failures.set_debug(ctx, value),
                help="Show the traceback of an error that is a bug in onnx-cam.",
            )
        )

    def get_help(self, ctx: click.Context) -> str:
        """Return the help as standard output can show it."""
        return showable(super().get_help(ctx), getattr(sys.stdout, "encoding", None))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with failures.errors_as_lines(ctx):
            return super().invoke(ctx)


class CommandGroup(click.Group):
    """A group of such commands; Ctrl-C ends it with exit status 130."""

    command_class = Command

    def get_help(self, ctx: click.Context) -> str:
        """Return the help as standard output can show it."""
        return showable(super().get_help(ctx), getattr(sys.stdout, "encoding", None))

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the program."""
        prepare_streams()
        try:
            return super().main(*args, **settings)
        except OSError as error:  # standard output is full, or closed
            failures.say_error(
                OSError(f"cannot write the result: {error.strerror or error}; free some space and run it again")
            )
            raise SystemExit(1) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Choose the command, and run it."""
        with failures.errors_as_lines(ctx):
            return super().invoke(ctx)
