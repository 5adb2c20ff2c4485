"""What the exporters' command lines share: options, and errors of one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from exporters.check import Report
from onnx_cam.cli import terminal
from onnx_cam.cli.options import read_size
from onnx_cam.image.preprocessing import PRESETS

__all__ = ["IMAGE", "LABELS", "OUT", "PREPROCESS", "SIZE", "ExporterCommand", "show"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_DIGITS = 4  # of a side: the network is run in torch, too


class ExporterCommand(click.Command):
    """Turns errors into one line and exit status 1, and Ctrl-C into 130."""

    def invoke(self, ctx: click.Context) -> Any:
        with terminal.errors_as_lines(ctx, "free some, or export at a smaller --size"):
            return super().invoke(ctx)


def _preprocess(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in PRESETS and not value.endswith(".json"):
        raise click.BadParameter(f"{value!r} is no preprocessing; expected {', '.join(PRESETS)} or a .json file")
    return value


OUT: Decorator = click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUT.onnx", help="The file to write."
)
IMAGE: Decorator = click.option("--image", metavar="FILE", help="A photo to compare on, beside random input.")
LABELS: Decorator = click.option(
    "--labels", metavar="FILE|imagenet", help="Class names to write into the file: text, JSON, or ImageNet's."
)
PREPROCESS: Decorator = click.option(
    "--preprocess",
    callback=_preprocess,
    default="imagenet",
    show_default=True,
    metavar="NAME|FILE.json",
    help="Preprocessing to write into the file.",
)
SIZE: Decorator = click.option(
    "--size",
    callback=partial(read_size, digits=_DIGITS),
    default="224x224",
    show_default=True,
    metavar="HxW",
    help="The network's input.",
)


def show(out: Path, report: Report) -> None:
    """Print what was compared and what was written."""
    for line in report.lines():
        click.echo(line)
    click.echo(f"wrote {out}: onnx-cam explain {out} IMAGE explains {report.layer} {report.shape}")
