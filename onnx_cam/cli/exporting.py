"""``onnx-cam export``: the model with a layer, or with its own heatmap, as an extra output."""

from __future__ import annotations

import re
from typing import Any

import click

from onnx_cam.cli.command import Command
from onnx_cam.cli.echo import echo, say
from onnx_cam.cli.options import MODEL, load_classifier
from onnx_cam.errors import SettingError
from onnx_cam.names import HEATMAP_METHODS, HEATMAP_RESOLUTIONS, METHODS

__all__ = ["export"]


def _target(ctx: click.Context, param: click.Parameter, value: str | None) -> str | int | None:
    """Return the class to explain: an index, ``top1`` or ``input``."""
    if value is None or value in ("top1", "input"):
        return value
    if not re.fullmatch(r"\d{1,9}", value):
        raise click.BadParameter(f"invalid target {value!r} of a heatmap: expected top1, input or the index of a class")
    return int(value)


@click.command(cls=Command)
@MODEL
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer to add, or to explain with --heatmap: its output tensor or node; by default the default layer.",
)
@click.option("--heatmap", is_flag=True, help="Add the model's own heatmap instead of a layer.")
@click.option(
    "--method",
    type=click.Choice(METHODS),
    metavar="NAME",
    help=f"Method of the heatmap: {', '.join(HEATMAP_METHODS)}; by default cam where the layer allows it, or else "
    "gradcam.",
)
@click.option(
    "--target",
    callback=_target,
    metavar="top1|INDEX|input",
    help="Class that the heatmap explains: the likeliest of each image (the default), always the same, or what a new "
    "input of the model says.",
)
@click.option(
    "--resolution",
    type=click.Choice(HEATMAP_RESOLUTIONS),
    help="Size of the heatmap: that of the layer (the default), or that of the network's input.",
)
@click.option("-o", "--out", "path", required=True, type=click.Path(), metavar="FILE.onnx", help="File to write.")
def export(model: str, layer: str | None, heatmap: bool, path: str, **settings: Any) -> None:
    """Write MODEL with a layer, or with its own heatmap, as an extra output.

    \b
    Examples:
      onnx-cam export model.onnx --layer relu5 -o tapped.onnx
      onnx-cam export model.onnx --heatmap -o explaining.onnx
      onnx-cam export model.onnx --heatmap --method gradcam --target input -o explaining.onnx
    """
    names = ("method", "target", "resolution")
    given = {name: value for name in names if (value := settings.pop(name)) is not None}
    if heatmap:
        _export_heatmap(model, layer, path, given, settings)
    elif given:
        name = next(iter(given))
        raise click.UsageError(f"--{name} is for a heatmap: add --heatmap, or leave out --{name}")
    else:
        _export_layer(model, layer, path, settings)


def _export_layer(model: str, layer: str | None, path: str, settings: dict[str, Any]) -> None:
    import onnx_cam

    tapped = onnx_cam.export(load_classifier(model, settings), path, layer=layer)
    shape = "×".join(map(str, tapped.shape))
    echo(f"wrote {path}: its extra output {tapped.name} ({shape}) is the layer; the others are unchanged in a run")


def _export_heatmap(model: str, layer: str | None, path: str, given: dict[str, Any], settings: dict[str, Any]) -> None:
    from onnx_cam.explanation.embedding import check_heatmap

    try:
        check_heatmap(**given)
    except SettingError as error:
        raise click.UsageError(str(error)) from error
    import onnx_cam

    embedded = onnx_cam.export_heatmap(load_classifier(model, settings), path, layer=layer, **given)
    for note in embedded.notes:
        say(f"{model}: {note}")
    size = "×".join(map(str, embedded.size))
    difference = embedded.proof.outputs
    outputs = f"change by at most {100 * difference:.1g} % of the largest value" if difference else "are unchanged"
    echo(
        f"wrote {path}: heatmap ({size}) by {embedded.method} at layer {embedded.layer.name}, and heatmap_class; on "
        f"trial images the heatmap differs from that of onnx-cam explain by at most {embedded.proof.heatmap:.1g}, and "
        f"the model's own outputs {outputs}"
    )
