"""Load a torch checkpoint into a module, admitting nothing but tensors."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onnx_cam.errors import ModelError, one_line, one_line_text

__all__ = ["load_weights"]

_PREFIX = "module."  # of what DataParallel saved
_WRAPPER = "state_dict"
_COUNTER = "num_batches_tracked"  # checkpoints before torch 0.4.1 lack it, and a forward pass does not read it
_REFUSED = r"GLOBAL (\S+)"  # in torch's message, what a pickle wanted beside tensors
_TORCH_SAYS = "WeightsUnpickler error: "  # behind much advice
_SHOWN = 3


def load_weights(module: nn.Module, path: str | Path) -> None:
    """Load a checkpoint: every parameter and buffer of the module must be there, in its shape, and nothing else.

    Parameters
    ----------
    module : nn.Module
        It is changed in place.
    path : str or Path
        What ``torch.save`` wrote: a state dict, bare, or under the key ``state_dict``; a ``module.`` in front of every
        name is dropped.

    Raises
    ------
    ModelError
        The file is missing, damaged, or holds anything but tensors; or they do not fit.
    """
    path = Path(path)
    tensors = _without_prefix(_tensors(_read(path), path))
    _check_fit(module, tensors, path)
    try:
        module.load_state_dict(tensors, strict=False)  # names and shapes were compared, old checkpoints allowed for
    except RuntimeError as error:
        raise ModelError(f"the weights '{path}' cannot be copied: {one_line(error, 120)}; save them again") from error


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"no weights file '{path}'; expected the path of a torch checkpoint (.pth, .pt)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a plain pickle; what is wrong with it is said below
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        refused = re.search(_REFUSED, str(error))
        if refused is None:
            raise _damaged(path, error) from error
        raise ModelError(
            f"the weights '{path}' hold more than tensors ({refused[1]}), which could run code, or are damaged; "
            "save the state_dict alone: torch.save(model.state_dict(), …)"
        ) from error
    except Exception as error:  # a damaged file raises anything
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ModelError:
    reason = one_line_text(str(error).rsplit(_TORCH_SAYS, 1)[-1])[:80] or type(error).__name__
    return ModelError(f"the weights '{path}' are damaged, or no torch checkpoint ({reason}); copy them again")


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPER), Mapping):
        content = content[_WRAPPER]
    if not isinstance(content, Mapping):
        raise ModelError(f"the weights '{path}' hold one {type(content).__name__}; expected tensors by name")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"the weights '{path}' hold more than tensors: {name!r} is of type {type(value).__name__}; "
                "expected a state_dict"
            )
    return dict(content)


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if not tensors or not all(name.startswith(_PREFIX) for name in tensors):
        return tensors
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _check_fit(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    unexpected = [name for name in tensors if name not in expected]
    reshaped = [
        f"{name} {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    problems = [f"{len(names)} {what} ({_some(names)})" for what, names in found.items() if names]
    if problems:
        raise ModelError(
            f"the weights '{path}' do not fit {type(module).__name__}: {'; '.join(problems)}; "
            "expected those of this very network, with as many classes"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
