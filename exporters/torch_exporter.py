"""From torch to one ONNX file: ``python -m exporters.torch_exporter NETWORK --layer PATH -o OUT.onnx``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from exporters import command
from exporters.check import finish
from models import NETWORKS
from onnx_cam.errors import MissingExtraError, did_you_mean

__all__ = ["main"]

_OPSETS = click.IntRange(9, 20)  # those that torch's exporter by tracing writes


def _network(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in NETWORKS and not re.fullmatch(r"[\w.]+:[\w.]+", value):
        hint = did_you_mean(value, NETWORKS)
        raise click.BadParameter(
            f"unknown network {value!r}{hint} Expected {', '.join(NETWORKS)} or package.module:factory"
        )
    return value


@click.command(cls=command.ExporterCommand)
@click.argument("network", callback=_network, metavar="NETWORK|package.module:factory")
@click.option("--weights", metavar="FILE", help="A torch checkpoint that holds tensors alone; random weights without.")
@click.option("--layer", required=True, metavar="TORCH.MODULE.PATH", help="The module whose output is explained.")
@click.option("--dynamic-size", is_flag=True, help="Leave height and width free.")
@click.option("--opset", type=_OPSETS, default=17, show_default=True, help="Of the file.")
@click.option("--classes", type=click.IntRange(min=1), help="Handed to the factory; its own number without.")
@command.SIZE
@command.LABELS
@command.PREPROCESS
@command.IMAGE
@command.OUT
def main(
    network: str,
    weights: str | None,
    layer: str,
    out: Path,
    **settings: Any,
) -> None:
    r"""Export a torch network with a layer as an extra output, proved against torch, to explain without an option.

    \b
    Example:
      python -m exporters.torch_exporter resnet18 --weights resnet18.pth --layer layer4 --labels imagenet -o r18.onnx
    """
    try:
        from exporters.torch_network import build_network, export_network
        from models.checkpoint import load_weights
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("the torch exporter needs torch: pip install 'onnx-cam[torch]'") from error
    import torch

    torch.manual_seed(0)
    module = build_network(network, settings["classes"])
    if weights is None:
        click.echo("no --weights: they are random", err=True)
    else:
        load_weights(module, weights)
    exported = export_network(module, layer, **{name: settings[name] for name in ("size", "dynamic_size", "opset")})
    command.show(out, finish(exported, out, **{name: settings[name] for name in ("labels", "preprocess", "image")}))


if __name__ == "__main__":
    main()
