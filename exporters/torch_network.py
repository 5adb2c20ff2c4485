"""Export a torch network as an ONNX graph with the output of one of its modules as an extra output."""

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
_TRACED_BATCH = 2  # at batch 1 a trace cannot tell the batch from an axis that a squeeze removes


def build_network(network: str, classes: int | None = None) -> nn.Module:
    """Return a network by its name.

    Parameters
    ----------
    network : str
        A key of :data:`models.NETWORKS`, or ``package.module:factory``: the function or class to call.
    classes : int, optional
        Passed to the factory as the keyword ``classes``. By default the factory chooses.

    Returns
    -------
    nn.Module
        With random weights.

    Raises
    ------
    ModelError
        The factory cannot be imported, fails, or returns something other than a torch module.

    Examples
    --------
    >>> network = build_network("squeezenet1_0", classes=3)
    >>> network(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 3])
    """
    factory = NETWORKS[network] if network in NETWORKS else _import(network)
    try:
        module = factory() if classes is None else factory(classes=classes)
    except (Exception, SystemExit) as error:  # the factory is the user's code, and may raise anything
        raise ModelError(f"{network} failed ({type(error).__name__}: {one_line(error, 160)}); fix it") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{network} returned {_with_article(module)}; expected a torch.nn.Module")
    return module


def _with_article(value: object) -> str:
    """Return the name of a value's type with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _import(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        factory: Any = import_module(module)
        for part in name.split("."):
            factory = getattr(factory, part)
        return factory
    except (Exception, SystemExit) as error:  # importing runs the user's code, possibly a whole program that exits
        raise ModelError(
            f"cannot import {path} ({type(error).__name__}: {one_line(error, 120)}); expected package.module:factory, "
            "importable from the current folder"
        ) from error


def export_network(
    network: nn.Module, layer: str, *, size: tuple[int, int] = (224, 224), dynamic_size: bool = False, opset: int = 17
) -> Exported:
    """Return a network as an ONNX graph with two outputs: the scores, and the output of one of the network's modules.

    The batch size is free in the graph.

    Parameters
    ----------
    network : nn.Module
        A network that maps images ``(B, C, H, W)`` to scores ``(B, classes)``. It is changed in place: to evaluation
        mode and float32.
    layer : str
        The module's path as in ``named_modules()``. If the module is called several times in a forward pass, the last
        call counts.
    size : tuple of int
        Height and width of the input in pixels.
    dynamic_size : bool
        Whether to leave height and width free in the graph.
    opset : int
        The ONNX opset, 9 to 20.

    Returns
    -------
    Exported
        The graph, and torch's forward pass to compare it with.

    Raises
    ------
    LayerError
        The module does not exist, or does not return a tensor.
    ModelError
        The network fails on the input, or torch cannot export it.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    >>> exported = export_network(network, "1", size=(8, 8))
    >>> exported.outputs
    ['scores', '1.output']
    >>> scores, maps = exported.reference(np.zeros((5, 3, 8, 8), np.float32))
    >>> scores.shape, maps.shape
    ((5, 2), (5, 4, 6, 6))
    """
    # Run the network once, to see that it works and what shape the layer has.
    _check_layer(network, layer)
    network = network.eval().float()
    images = torch.randn(_TRACED_BATCH, _channels(network), *size, generator=torch.Generator().manual_seed(0))
    _, maps = _run(network, layer, images)

    # Trace it with the layer as a second output. That is named by the module's path, unless the graph has the name
    # already or it is only a number, which torch refuses.
    output = f"{layer}.output" if layer in (_INPUT, _SCORES) or layer.isdecimal() else layer
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
            f"Expected a path of named_modules(), from {names[0]!r} to {names[-1]!r}"
            if names
            else f"{type(network).__name__} contains no modules; expected a network built from torch modules"
        )


def _channels(network: nn.Module) -> int:
    """Return the number of channels of the image: what the first convolution takes."""
    return next((module.in_channels for module in network.modules() if isinstance(module, nn.Conv2d)), 3)


def _free(tensor: Tensor, dynamic_size: bool) -> dict[int, str]:
    """Return the axes to leave free: the batch, and with a dynamic size also the height and width, or the tokens."""
    names = {0: "batch"}
    if dynamic_size:
        names |= {2: "height", 3: "width"} if tensor.ndim == 4 else dict.fromkeys(range(1, tensor.ndim - 1), "tokens")
    return names


@contextmanager
def _tapped(network: nn.Module, layer: str) -> Iterator[None]:
    """Make a network return its scores together with the output of one of its modules."""
    outputs: list[Any] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        outputs.append(output)
        return output.clone() if isinstance(output, Tensor) else output  # the next module may work in place

    def add(_module: nn.Module, _inputs: Any, scores: Any) -> tuple[Any, Any]:
        return scores, outputs.pop() if outputs else None

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
    except Exception as error:  # the network is the user's code, and may raise anything
        raise ModelError(
            f"{type(network).__name__} fails on an input of shape {shape} ({one_line(error, 120)}); give a --size that "
            "it supports, and leave out --dynamic-size if it supports only that one"
        ) from error
    if not isinstance(maps, Tensor):
        problem = "is not called" if maps is None else f"returns {_with_article(maps)}"
        raise LayerError(f"the module {layer!r} {problem} in a forward pass; expected one that returns a tensor")
    if not isinstance(scores, Tensor) or scores.ndim < 2:
        raise ModelError(
            f"{type(network).__name__} returns {_shaped(scores)} as scores; expected one tensor (B, classes)"
        )
    return scores, maps


def _shaped(value: object) -> str:
    return f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else _with_article(value)


def _export(network: nn.Module, images: Tensor, path: Path, axes: dict[str, dict[int, str]], opset: int) -> None:
    silent = mock.patch("torch._C._jit_onnx_log", create=True)  # on failure torch prints the graph to standard output
    try:
        with silent, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of tracing; torch's newer exporter needs onnxscript
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
        hint = "try without --dynamic-size" if 2 in axes[_INPUT] else "try another --opset"
        raise ModelError(f"torch cannot export {type(network).__name__} ({one_line(error, 160)}); {hint}") from error
