"""What a user sees at a terminal: results on standard output, progress and messages on standard error."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnx_cam.errors import OnnxCamError

if TYPE_CHECKING:
    from onnx_cam.comparison.result import Comparison
    from onnx_cam.explanation.result import Explanation

__all__ = [
    "errors_as_lines",
    "printable",
    "progress",
    "say",
    "say_error",
    "say_notes",
    "show_comparison",
    "show_result",
    "show_table",
]

_AGAIN_AFTER = 0.02  # seconds
_WIDTH = 100_000  # columns: names are neither wrapped nor cut, so that they can be copied


def say(message: str) -> None:
    """Print a line on standard error."""
    click.echo(f"onnx-cam: {printable(message)}", err=True)


def say_error(error: Exception) -> None:
    """Print an error as one line on standard error."""
    say(f"error: {error}")


@contextmanager
def errors_as_lines(ctx: click.Context, memory: str) -> Iterator[None]:
    """Turn errors into one line and exit status 1, and Ctrl-C into 130; `memory` says how to need less memory."""
    try:
        with _interrupts_that_arrive():
            yield
    except OnnxCamError as error:
        say_error(error)
        ctx.exit(1)
    except MemoryError as error:
        detail = f": {error}" if str(error) else ""
        say_error(MemoryError(f"out of memory{detail}; {memory}"))
        ctx.exit(1)
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        ctx.exit(130)


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


def printable(text: str) -> str:
    """Return a text without what a terminal cannot print: a file's name may hold a line's end, or be no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


@contextmanager
def progress(name: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show the progress of forward passes on standard error, where that is a terminal; yield the callback for it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on standard output."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in header:
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=_WIDTH, highlight=False).print(table)


def show_result(result: Explanation, image: str, files: Mapping[str, Path]) -> None:
    """Print an explanation: the likeliest classes, how the map was made, and where the files are."""
    click.echo(printable(f"{image}: {result.target}, score {result.target.score:.3f}"))
    for target in result.top:
        click.echo(f"  {target.score:.3f}  {target}")
    shape = "×".join(map(str, result.layer_shape))
    passes = "1 forward pass" if result.passes == 1 else f"{result.passes:,} forward passes"
    click.echo(printable(f"  {result.method} {result.variant} at layer {result.layer} ({shape}), {result.state}"))
    click.echo(f"  {passes} ({result.passes_skipped:,} skipped), {result.seconds:.1f} s, {result.provider}")
    if result.error is not None:
        cause = (
            "averaging over the noise"
            if result.error_of == "noise"
            else f"skipping some of the {result.exact_passes:,} forward passes of an exact map"
        )
        click.echo(f"  {result.precision} of the class-specific part, from {cause}")
    for what, path in files.items():
        click.echo(printable(f"  {what:9} {path}"))


def say_notes(comparison: Comparison, notes: Sequence[str]) -> None:
    """Print the notes and warnings of a comparison on standard error."""
    from onnx_cam.comparison.captions import image_name

    for note in notes:
        say(note)
    for name, reason in comparison.left_out.items():
        say(f"{name} left out: {reason}")
    for result in comparison.explanations:
        for warning in result.warnings:
            say(f"{image_name(result)}, {result.target}, {result.method}: {warning}")


def show_comparison(comparison: Comparison, written: Sequence[Path]) -> None:
    """Print a comparison: a line for each map, and where the picture is."""
    from onnx_cam.comparison.captions import image_name, method_name

    rows = [
        (
            image_name(e),
            e.target,
            f"{e.target.score:.3f}",
            method_name(e),
            e.passes,
            f"{e.seconds:.1f}",
            e.state,
            e.precision,
        )
        for e in comparison.explanations
    ]
    show_table(("image", "class", "score", "method", "forward passes", "seconds", "map", "error"), rows)
    for path in written:
        click.echo(printable(f"wrote {path}"))
