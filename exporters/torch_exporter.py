"""Export a torch network to one ONNX file: ``python -m exporters.torch_exporter NETWORK --layer PATH -o OUT.onnx``."""

from __future__ import annotations

import re
from pathlib import Path

import click

from exporters import command
from exporters.check import finish
from models import NETWORKS
from onnx_cam.errors import MissingExtraError, did_you_mean

__all__ = ["main"]

_OPSETS = click.IntRange(9, 20)  # the range of torch's exporter by tracing


def _network(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if value not in NETWORKS and not re.fullmatch(r"[\w.]+:[\w.]+", value):
        hint = did_you_mean(value, NETWORKS)
        raise click.BadParameter(
            f"unknown network {value!r}{hint} Expected {', '.join(NETWORKS)} or package.module:factory"
        )
    return value


@click.command(cls=command.ExporterCommand)
@click.argument("network", callback=_network, metavar="NETWORK|package.module:factory")
@click.option("--weights", metavar="FILE", help="Torch checkpoint that holds only tensors; random weights by default.")
@click.option("--layer", required=True, metavar="TORCH.MODULE.PATH", help="The module whose output is to be explained.")
@click.option("--dynamic-size", is_flag=True, help="Leave the height and width of the input free.")
@click.option("--opset", type=_OPSETS, default=17, show_default=True, help="The file's ONNX opset.")
@click.option("--classes", type=click.IntRange(min=1), help="Number of classes for the factory; by default its own.")
@command.SIZE
@command.LABELS
@command.PREPROCESS
@command.IMAGE
@command.OUT
def main(
    *,
    network: str,
    weights: str | None,
    layer: str,
    dynamic_size: bool,
    opset: int,
    classes: int | None,
    size: tuple[int, int],
    labels: str | None,
    preprocess: str,
    image: str | None,
    out: Path,
) -> None:
    r"""Export a torch network with a layer as an extra output. onnx-cam explains the file without any option.

    The results of ONNX Runtime are compared with torch's, and the file is written only if they agree.

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
    module = build_network(network, classes)
    if weights is None:
        click.echo("no --weights given: the weights are random", err=True)
    else:
        load_weights(module, weights)
    # The graph is handed on and not kept here, so that its weights can be let go of once they are written.
    report = finish(
        export_network(module, layer, size=size, dynamic_size=dynamic_size, opset=opset),
        out,
        labels=labels,
        preprocess=preprocess,
        image=image,
    )
    command.show(out, report)


if __name__ == "__main__":
    main()
