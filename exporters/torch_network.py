"""A torch network as an ONNX graph, one of its modules an extra output."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from exporters.check import Exported
from models import NETWORKS
from onnx_cam.errors import LayerError, ModelError, did_you_mean, one_line

__all__ = ["build_network", "export_network"]

_INPUT, _SCORES = "image", "scores"
_TRACED_BATCH = 2  # of 1 a squeeze would go unseen


def build_network(network: str, classes: int | None = None) -> nn.Module:
    """Return a network of :data:`models.NETWORKS`, or what ``package.module:factory`` makes.

    Parameters
    ----------
    network : str
    classes : int, optional
        Handed over as the keyword ``classes``; without it the network's own number.

    Raises
    ------
    ModelError
        The factory cannot be imported, fails, or makes no torch module.
    """
    factory = NETWORKS[network] if network in NETWORKS else _import(network)
    try:
        made = factory() if classes is None else factory(classes=classes)
    except (Exception, SystemExit) as error:  # the factory is anybody's code
        raise ModelError(f"{network} failed ({type(error).__name__}: {one_line(error, 160)}); mend it") from error
    if not isinstance(made, nn.Module):
        raise ModelError(f"{network} made a {type(made).__name__}; expected a torch.nn.Module")
    return made


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    except (Exception, SystemExit) as error:  # importing runs anybody's code, a whole program's at worst
        raise ModelError(
            f"cannot import {path} ({type(error).__name__}: {one_line(error, 120)}); expected package.module:factory, "
            "to be found from this folder"
        ) from error


def export_network(
    network: nn.Module, layer: str, *, size: tuple[int, int] = (224, 224), dynamic_size: bool = False, opset: int = 17
) -> Exported:
    """Return a network as an ONNX graph with a free batch: its scores first, then the output of one of its modules.

    Parameters
    ----------
    network : nn.Module
        Images (B, C, H, W) to scores (B, classes); it is put into evaluation mode, in float32.
    layer : str
        The module's path, as in ``named_modules``; of one that is called more than once the last call counts.
    size : tuple of int
        ``(H, W)`` of the input.
    dynamic_size : bool
        Leave H and W free in the graph.
    opset : int

    Raises
    ------
    LayerError
        No such module, or it makes no tensor.
    ModelError
        The network fails on the input, or torch cannot export it.
    """
    _check_layer(network, layer)
    network = network.eval().float()
    images = torch.randn(_TRACED_BATCH, _channels(network), *size, generator=torch.Generator().manual_seed(0))
    _, maps = _run(network, layer, images)
    output = f"{layer}.output" if layer in (_INPUT, _SCORES) else layer
    axes = {_INPUT: _free(images, dynamic_size), _SCORES: {0: "batch"}, output: _free(maps, dynamic_size)}
    with tempfile.TemporaryDirectory() as folder, _tapped(network, layer):
        path = Path(folder) / "network.onnx"
        _export(network, images, path, axes, opset)
        proto = onnx.load(path)

    def reference(images: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
        scores, maps = _run(network, layer, torch.from_numpy(images))
        return scores.numpy(), maps.numpy()

    return Exported(proto, reference, size, "torch")


def _check_layer(network: nn.Module, layer: str) -> None:
    names = [name for name, _ in network.named_modules() if name]
    if layer not in names:
        raise LayerError(
            f"no module {layer!r} in {type(network).__name__}{did_you_mean(layer, names)} "
            f"Expected a path as in named_modules(), from {names[0]!r} to {names[-1]!r}"
            if names
            else f"{type(network).__name__} has no modules to name; expected a network of torch modules"
        )


def _channels(network: nn.Module) -> int:
    """Return the channels of the first convolution, which takes the image."""
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 3)


def _free(tensor: Tensor, dynamic_size: bool) -> dict[int, str]:
    """Return the axes to leave free: the batch, and on request height and width, or the number of tokens."""
    names = {0: "batch"}
    if dynamic_size:
        names |= {2: "height", 3: "width"} if tensor.ndim == 4 else dict.fromkeys(range(1, tensor.ndim - 1), "tokens")
    return names


@contextmanager
def _tapped(network: nn.Module, layer: str) -> Iterator[None]:
    """Make a network return its scores and the output of one of its modules."""
    kept: list[Any] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        kept.append(output)
        return output.clone() if isinstance(output, Tensor) else output  # what follows may work in place

    def add(_module: nn.Module, _inputs: Any, scores: Any) -> tuple[Any, Any]:
        return scores, kept.pop() if kept else None

    hooks = network.get_submodule(layer).register_forward_hook(keep), network.register_forward_hook(add)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _run(network: nn.Module, layer: str, images: Tensor) -> tuple[Tensor, Tensor]:
    shape = tuple(images.shape)
    try:
        with torch.no_grad(), _tapped(network, layer):
            scores, maps = network(images)
    except Exception as error:  # the network is anybody's code
        raise ModelError(
            f"{type(network).__name__} fails on an input of shape {shape} ({one_line(error, 120)}); give "
            "the --size that it takes, without --dynamic-size where it takes no other"
        ) from error
    if not isinstance(maps, Tensor):
        made = "is not called" if maps is None else f"makes a {type(maps).__name__}"
        raise LayerError(f"the module {layer!r} {made} in a forward pass; expected one that makes a tensor")
    if not isinstance(scores, Tensor) or scores.ndim < 2:
        raise ModelError(f"{type(network).__name__} makes no class scores; expected one tensor (B, classes)")
    return scores, maps


def _export(network: nn.Module, images: Tensor, path: Path, axes: dict[str, dict[int, str]], opset: int) -> None:
    silent = mock.patch("torch._C._jit_onnx_log", create=True)  # else a failure prints the graph to standard output
    try:
        with silent, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the exporter by tracing: the other needs onnxscript
            torch.onnx.export(
                network,
                (images,),
                path,
                input_names=[_INPUT],
                output_names=list(axes)[1:],
                dynamic_axes=axes,
                opset_version=opset,
                dynamo=False,
                external_data=False,
            )
    except Exception as error:  # torch raises many kinds
        hint = "try it without --dynamic-size" if 2 in axes[_INPUT] else "try another --opset"
        raise ModelError(f"torch cannot export {type(network).__name__} ({one_line(error, 160)}); {hint}") from error
