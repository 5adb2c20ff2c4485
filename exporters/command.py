"""What the exporters' command lines share: their options, and errors in one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from exporters.check import Report
from onnx_cam.cli.failures import errors_as_lines
from onnx_cam.cli.options import read_size
from onnx_cam.image.preprocessing import PRESETS

__all__ = ["IMAGE", "LABELS", "OUT", "PREPROCESS", "SIZE", "ExporterCommand", "show"]

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_DIGITS = 4  # of a height or width; the network is also run in torch, and larger inputs would not fit in memory


class ExporterCommand(click.Command):
    """A command that reports an error in one line with exit status 1, and exits with status 130 on Ctrl-C."""

    def invoke(self, ctx: click.Context) -> Any:
        with errors_as_lines(ctx, "free some memory, or export at a smaller --size", runs_foreign_code=True):
            return super().invoke(ctx)


def _preprocess(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in PRESETS and not value.endswith(".json"):
        raise click.BadParameter(f"unknown preprocessing {value!r}: expected {', '.join(PRESETS)} or a .json file")
    return value


OUT: Decorator = click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), metavar="OUT.onnx", help="The file to write."
)
IMAGE: Decorator = click.option("--image", metavar="FILE", help="A photo to compare on, in addition to random input.")
LABELS: Decorator = click.option(
    "--labels",
    metavar="FILE|imagenet",
    help="Class names to write into the file: a text or JSON file, or ImageNet's.",
)
PREPROCESS: Decorator = click.option(
    "--preprocess",
    callback=_preprocess,
    default="imagenet",
    show_default=True,
    metavar="NAME|FILE.json",
    help="Preprocessing to write into the file: a preset, or a JSON file.",
)
SIZE: Decorator = click.option(
    "--size",
    callback=partial(read_size, digits=_DIGITS),
    default="224x224",
    show_default=True,
    metavar="HxW",
    help="Height and width of the network's input in pixels.",
)


def show(out: Path, report: Report) -> None:
    """Print the differences from the framework, and how to use the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> show(Path("resnet18.onnx"), Report("layer4", (512, 7, 7), "torch", {"cat.jpg": (1e-6, 2e-6)}))
    cat.jpg: relative difference from torch: scores 1.0e-06, layer4 2.0e-06
    wrote resnet18.onnx; to explain its layer layer4 (512, 7, 7): onnx-cam explain resnet18.onnx IMAGE
    """
    for line in report.lines():
        click.echo(line)
    click.echo(f"wrote {out}; to explain its layer {report.layer} {report.shape}: onnx-cam explain {out} IMAGE")
