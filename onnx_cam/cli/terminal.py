"""What a user sees at a terminal: results on standard output, progress and messages on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_cam.cli.echo import echo, printable, say
from onnx_cam.cli.encoding import showable

if TYPE_CHECKING:
    from onnx_cam.comparison.result import Comparison
    from onnx_cam.explanation.result import Explanation

__all__ = [
    "progress",
    "say_notes",
    "show_comparison",
    "show_result",
    "show_table",
]

_WIDTH = 100_000  # columns: names are neither wrapped nor cut, so that they can be copied


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
    encoding = getattr(sys.stdout, "encoding", None)  # replaced here, so that the columns stay aligned
    for title in header:
        table.add_column(showable(title, encoding), overflow="fold")
    for row in rows:
        table.add_row(*(Text(showable(str(cell), encoding)) for cell in row))
    Console(width=_WIDTH, highlight=False).print(table)


def show_result(result: Explanation, image: str, files: Mapping[str, Path]) -> None:
    """Print an explanation: the likeliest classes, how the map was made, and where the files are."""
    what, digits = ("value", ".5g") if result.is_raw else ("score", ".3f")
    echo(printable(f"{image}: {result.subject}, {what} {result.target.score:{digits}}"))
    for target in result.top:
        echo(f"  {target.score:{digits}}  {result.name_of(target)}")
    shape = "×".join(map(str, result.layer_shape))
    echo(printable(f"  {result.method} {result.variant} at layer {result.layer} ({shape}), {result.state}"))
    echo(f"  {_passes(result)}, {result.seconds:.1f} s, {result.provider}")
    if result.error is not None:
        cause = (
            "averaging over the noise"
            if result.error_of == "noise"
            else f"running only some of the {result.exact_passes:,} forward passes of an exact map"
        )
        echo(f"  {result.precision} of the class-specific part, from {cause}")
    for what, path in files.items():
        echo(printable(f"  {what:9} {path}"))


def _passes(result: Explanation) -> str:
    """Return how many forward passes ran, of how many with a budget, and how many could not change the map."""
    count = f"{result.passes:,}"
    if result.exact_passes is not None and result.passes < result.exact_passes:
        count += f" of {result.exact_passes:,}"
    passes = f"{count} forward {'pass' if count == '1' else 'passes'}"
    return f"{passes} ({result.passes_skipped:,} skipped)" if result.passes_skipped else passes


def say_notes(comparison: Comparison, notes: Sequence[str]) -> None:
    """Print the notes and warnings of a comparison on standard error."""
    from onnx_cam.comparison.captions import image_name

    for note in notes:
        say(note)
    for name, reason in comparison.left_out.items():
        say(f"{name} left out: {reason}")
    for result in comparison.explanations:
        for warning in result.warnings:
            say(f"{image_name(result)}, {result.subject}, {result.method}: {warning}")


def show_comparison(comparison: Comparison, written: Sequence[Path]) -> None:
    """Print a comparison: a line for each map, and where the picture is."""
    from onnx_cam.comparison.captions import image_name, method_name

    rows = [
        (
            image_name(e),
            e.subject,
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
        echo(printable(f"wrote {path}"))
